export type SortValue = string | number | null | undefined;

export interface Order {
  column: string;
  direction: "up" | "down";
}

/** A first press sorts downwards, since the largest is what is looked for; a second one turns it. */
export const turned = (order: Order | null, column: string): Order => ({
  column,
  direction: order?.column === column && order.direction === "down" ? "up" : "down",
});

/** Stable; what is unknown comes last, whichever way the rest is sorted. */
export function inOrder<Row>(rows: Row[], order: Order | null, valueOf: (column: string) => ((row: Row) => SortValue) | undefined): Row[] {
  const value = order && valueOf(order.column);
  if (!value) return rows;
  const sign = order.direction === "up" ? 1 : -1;
  return rows
    .map((row, index) => ({ row, index, value: value(row) }))
    .sort((left, right) => compared(left.value, right.value, sign) || left.index - right.index)
    .map(({ row }) => row);
}

function compared(left: SortValue, right: SortValue, sign: number): number {
  if (left == null || right == null) return Number(left == null) - Number(right == null);
  if (typeof left === "string" || typeof right === "string") return sign * String(left).localeCompare(String(right), "en");
  return sign * (left - right);
}
