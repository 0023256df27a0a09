import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useBook } from "../../app/book";
import { useLive } from "../../app/LiveProvider";
import { usePrecision } from "../../app/precision";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Panel } from "../../components/Panel";
import type { ActivePosition } from "../../generated/api";
import { decimal, inR, number, strategyTitle } from "../../lib/format";
import { marketOf } from "../../lib/intake";
import { queries } from "../../lib/queries";
import { CloseDialog } from "./CloseDialog";
import { Side } from "./Side";
import { progressOf, type Valuation, valuationOf } from "./valuation";

interface Line extends Valuation {
  position: ActivePosition;
  digits: ReturnType<ReturnType<typeof usePrecision>>;
}

export function PositionsPanel() {
  const positions = useQuery(queries.positions(useBook()));
  const { marks } = useLive().live;
  const precision = usePrecision();
  const user = useUser();
  const [closing, setClosing] = useState<ActivePosition | null>(null);
  const columns = useMemo(() => (mayTrade(user) ? [...COLUMNS, closeColumn(setClosing)] : COLUMNS), [user]);
  const lines = (data: ActivePosition[]): Line[] =>
    data.map((position) => ({
      position,
      digits: precision(position.exchange, position.symbol),
      ...valuationOf(position, marks[marketOf(position.exchange, position.symbol)]),
    }));
  return (
    <Panel title="Open positions" id="positions" aside={positions.data && <span className="count">{positions.data.length}</span>}>
      <Answered
        query={positions}
        isEmpty={(data) => data.length === 0}
        empty={<Empty title="No open position.">A position opens when every required condition of a setup holds. The setups list says what was missing.</Empty>}
      >
        {(data) => <DataTable label="Open positions" testid="positions" rows={lines(data)} columns={columns} rowKey={(line) => line.position.position_id} />}
      </Answered>
      {closing && <CloseDialog position={closing} close={() => setClosing(null)} />}
    </Panel>
  );
}

const price = (name: "entry" | "stop" | "target"): Column<Line> => ({
  id: name,
  header: name[0]?.toUpperCase() + name.slice(1),
  figure: true,
  cell: ({ position, digits }) => <span data-testid={`position-${name}`}>{decimal(position[`${name}_price`], digits.priceDigits)}</span>,
});
const tone = (r: number | null): string => (r === null ? "" : r >= 0 ? "gain" : "loss");

const COLUMNS: Column<Line>[] = [
  {
    id: "market",
    header: "Market",
    rowHeader: true,
    cell: ({ position }) => (
      <>
        {position.symbol} <span className="muted">{position.timeframe}</span>
      </>
    ),
  },
  { id: "side", header: "Side", cell: ({ position }) => <Side side={position.direction} /> },
  {
    id: "strategy",
    header: "Strategy",
    cell: ({ position }) => (
      <>
        {strategyTitle(position.strategy)} <DefaultsBadge shown={position.default_parameters} />
      </>
    ),
  },
  { id: "quantity", header: "Quantity", figure: true, cell: ({ position, digits }) => decimal(position.quantity, digits.quantityDigits) },
  price("entry"),
  price("stop"),
  price("target"),
  {
    id: "now",
    header: "Now",
    figure: true,
    cell: ({ price, digits }) => <span data-testid="position-now">{price === null ? "–" : number(price, digits.priceDigits)}</span>,
  },
  {
    id: "profit",
    header: "Unrealised",
    figure: true,
    cell: ({ profit, r }) => <span className={tone(r)}>{profit === null ? "–" : number(profit, 2, { sign: true })}</span>,
  },
  {
    id: "r",
    header: "R",
    figure: true,
    cell: ({ r }) => (
      <span className={`strong ${tone(r)}`} data-testid="position-r">
        {inR(r)}
      </span>
    ),
  },
  { id: "progress", header: "Stop → target", cell: ({ position, price }) => <Progress progress={progressOf(position, price)} /> },
  { id: "since", header: "Since", cell: ({ position }) => <Moment time={position.entry_time} /> },
];

const closeColumn = (close: (position: ActivePosition) => void): Column<Line> => ({
  id: "close",
  header: "Close",
  pinned: true,
  cell: ({ position }) => (
    <button type="button" onClick={() => close(position)} aria-label={`Close the ${position.direction} ${position.symbol} position`}>
      Close…
    </button>
  ),
});

function Progress({ progress }: { progress: number | null }) {
  if (progress === null) return <>–</>;
  return <progress max={1} value={progress} aria-label={`${Math.round(progress * 100)} percent of the way from stop to target`} />;
}
