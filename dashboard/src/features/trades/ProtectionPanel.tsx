import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useBook } from "../../app/book";
import { usePrecision } from "../../app/precision";
import { Moment } from "../../app/times";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Mark } from "../../components/Mark";
import { Panel } from "../../components/Panel";
import type { OcoLeg, OcoOrder } from "../../generated/api";
import { decimal } from "../../lib/format";
import type { Precision } from "../../lib/precision";
import { queries } from "../../lib/queries";

/** What rests to protect open positions: stop and target, of which one cancels the other. */
export function ProtectionPanel() {
  const book = useBook();
  const orders = useQuery(queries.orders(book));
  const open = useQuery(queries.positions(book)).data?.length ?? 0;
  const precision = usePrecision();
  const columns = useMemo(() => columnsOf(precision), [precision]);
  return (
    <Panel title="Protection" id="protection">
      <Answered
        query={orders}
        isEmpty={(data) => data.length === 0}
        empty={
          open > 0 ? (
            <Empty title="Nothing rests for the open positions.">
              The trader watches stop and target itself, or places them right now. Stays it so, look at “What happened” on the risk screen.
            </Empty>
          ) : (
            <Empty title="Nothing needs protection.">A stop and a target rest here as soon as a position opens.</Empty>
          )
        }
      >
        {(data) => <DataTable label="Protection" testid="protection" rows={data} columns={columns} rowKey={(one) => `${one.exchange} ${one.symbol} ${one.setup_id}`} />}
      </Answered>
    </Panel>
  );
}

function columnsOf(precision: Precision): Column<OcoOrder>[] {
  const digits = (one: OcoOrder) => precision(one.exchange, one.symbol);
  const price = (one: OcoOrder, leg: OcoLeg | null): string => (leg?.price == null ? "–" : decimal(leg.price, digits(one).priceDigits));
  return [
    { id: "market", header: "Market", rowHeader: true, cell: (one) => one.symbol },
    { id: "stop", header: "Stop", figure: true, cell: (one) => price(one, one.stop) },
    { id: "stop-state", header: "State", cell: (one) => <Leg leg={one.stop} absent="no stop rests" /> },
    { id: "target", header: "Target", figure: true, cell: (one) => price(one, one.target) },
    { id: "target-state", header: "State", cell: (one) => <Leg leg={one.target} absent="watched" /> },
    {
      id: "quantity",
      header: "Quantity",
      figure: true,
      cell: (one) => {
        const quantity = (one.stop ?? one.target)?.quantity;
        return quantity == null ? "–" : decimal(quantity, digits(one).quantityDigits);
      },
    },
    { id: "since", header: "Since", cell: (one) => <Moment time={(one.stop ?? one.target)?.intended_at} /> },
  ];
}

function Leg({ leg, absent }: { leg: OcoLeg | null; absent: string }) {
  if (leg === null) return <Mark tone="neutral">{absent}</Mark>;
  return <Mark tone={leg.status === "open" ? "good" : "special"}>{leg.status}</Mark>;
}
