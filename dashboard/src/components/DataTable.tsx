import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef, useState } from "react";
import { inOrder, type Order, type SortValue, turned } from "../lib/order";

export interface Column<Row> {
  id: string;
  header: string;
  cell: (row: Row) => ReactNode;
  /** Right-aligned, with figures below each other. */
  figure?: boolean;
  /** Stays in sight while the rest scrolls sideways: for what can be done with the row. */
  pinned?: boolean;
  /** Names the row for who cannot see the table. */
  rowHeader?: boolean;
  /** Makes the column sortable. Money is text: give Number(text) here and the text to the cell. */
  sortBy?: (row: Row) => SortValue;
}

interface DataTableProps<Row> {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  rowKey: (row: Row) => string;
  order?: Order;
  /** Rows of a `<tfoot>`. */
  footer?: ReactNode;
  testid?: string;
  tall?: boolean;
}

/** Longer tables draw only the rows in sight. */
const VIRTUAL_FROM = 80;
const ROW_HEIGHT = 33;

export function DataTable<Row>({ label, rows, columns, rowKey, order: first, footer, testid, tall = false }: DataTableProps<Row>) {
  const [order, setOrder] = useState<Order | null>(first ?? null);
  const host = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => inOrder(rows, order, (column) => columns.find((one) => one.id === column)?.sortBy), [rows, order, columns]);
  const isVirtual = sorted.length > VIRTUAL_FROM;
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => host.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    enabled: isVirtual,
  });
  const inSight = isVirtual ? virtual.getVirtualItems() : null;
  const [above, below] = inSight?.length ? [inSight[0]?.start ?? 0, virtual.getTotalSize() - (inSight.at(-1)?.end ?? 0)] : [0, 0];
  const shown = inSight ? inSight.map((item) => ({ row: sorted[item.index] as Row, index: item.index })) : sorted.map((row, index) => ({ row, index }));
  return (
    <div ref={host} className={`scroll ${tall || isVirtual ? "scroll-tall" : ""}`} tabIndex={0} role="region" aria-label={`${label}, scrollable`}>
      <table data-testid={testid} aria-label={label} aria-rowcount={sorted.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <Head key={column.id} column={column} order={order} setOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody>
          <Spacer height={above} columns={columns.length} />
          {shown.map(({ row, index }) => (
            <tr key={rowKey(row)} aria-rowindex={index + 2}>
              {columns.map((column) => {
                const Cell = column.rowHeader ? "th" : "td";
                return (
                  <Cell key={column.id} scope={column.rowHeader ? "row" : undefined} className={classOf(column)}>
                    {column.cell(row)}
                  </Cell>
                );
              })}
            </tr>
          ))}
          <Spacer height={below} columns={columns.length} />
        </tbody>
        {footer && <tfoot>{footer}</tfoot>}
      </table>
    </div>
  );
}

function classOf<Row>({ figure, pinned }: Column<Row>): string | undefined {
  return [figure && "figure-cell", pinned && "pinned"].filter(Boolean).join(" ") || undefined;
}

function Spacer({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden="true" className="spacer">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  order: Order | null;
  setOrder: (order: Order) => void;
}

const SORTED = { up: "ascending", down: "descending" } as const;

function Head<Row>({ column, order, setOrder }: HeadProps<Row>) {
  const className = classOf(column);
  if (!column.sortBy)
    return (
      <th scope="col" className={className}>
        {column.header}
      </th>
    );
  const direction = order?.column === column.id ? order.direction : null;
  return (
    <th scope="col" className={className} aria-sort={direction ? SORTED[direction] : "none"}>
      <button type="button" className="sort" onClick={() => setOrder(turned(order, column.id))}>
        {column.header}
        <span aria-hidden="true" className="sort-mark">
          {direction === "up" ? "▲" : direction === "down" ? "▼" : ""}
        </span>
      </button>
    </th>
  );
}
