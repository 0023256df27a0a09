import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useBook } from "../../app/book";
import { usePrecision } from "../../app/precision";
import { useTimes } from "../../app/times";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Panel } from "../../components/Panel";
import type { ExitReason, TradeRow, TradeStatistics } from "../../generated/api";
import { decimal, inR, number, percent, span, strategyTitle } from "../../lib/format";
import type { Precision } from "../../lib/precision";
import { queries, TRADE_LIMIT } from "../../lib/queries";
import { Side } from "./Side";

const REASONS: Record<ExitReason, string> = {
  stop: "■ stop",
  target: "◆ target",
  time: "◷ time",
  manual: "☛ manual",
  unprotected: "▲ unprotected",
};

export function TradesPanel() {
  const book = useBook();
  const trades = useQuery(queries.trades(book));
  const statistics = useQuery(queries.statistics(book)).data;
  const precision = usePrecision();
  const { at, name } = useTimes();
  const columns = useMemo(() => columnsOf(precision, at, name), [precision, at, name]);
  return (
    <Panel title="Closed trades" id="trades" aside={statistics && <Count statistics={statistics} />}>
      <Answered
        query={trades}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="No closed trade yet.">Trades appear here when a stop, a target or the time limit closes a position.</Empty>}
      >
        {(data) => (
          <DataTable
            label="Closed trades"
            testid="trades"
            tall
            rows={data.items}
            columns={columns}
            rowKey={(trade) => trade.trade_id}
            footer={statistics && <Total statistics={statistics} />}
          />
        )}
      </Answered>
    </Panel>
  );
}

function Count({ statistics }: { statistics: TradeStatistics }) {
  return (
    <>
      {statistics.trades > TRADE_LIMIT && <span className="muted">the newest {TRADE_LIMIT} of </span>}
      <span className="count" data-testid="trade-count">
        {statistics.trades}
      </span>
    </>
  );
}

function columnsOf(precision: Precision, at: (time: number) => string, zone: string): Column<TradeRow>[] {
  const digitsOf = (trade: TradeRow): number => precision(trade.exchange, trade.symbol).priceDigits;
  const tone = (trade: TradeRow): string => (trade.r_multiple > 0 ? "gain" : "loss");
  return [
    {
      id: "closed",
      header: `Closed (${zone})`,
      rowHeader: true,
      sortBy: (trade) => trade.exit_time,
      cell: (trade) => (
        <Link to="/journal/$tradeId" params={{ tradeId: trade.trade_id }} aria-label={`Story of the trade closed ${at(trade.exit_time)}`}>
          {at(trade.exit_time)}
        </Link>
      ),
    },
    {
      id: "market",
      header: "Market",
      sortBy: (trade) => trade.symbol,
      cell: (trade) => (
        <>
          {trade.symbol} <span className="muted">{trade.timeframe}</span>
        </>
      ),
    },
    { id: "side", header: "Side", cell: (trade) => <Side side={trade.direction} /> },
    {
      id: "strategy",
      header: "Strategy",
      sortBy: (trade) => trade.strategy,
      cell: (trade) => (
        <>
          {strategyTitle(trade.strategy)} <DefaultsBadge shown={trade.default_parameters} />
        </>
      ),
    },
    { id: "entry", header: "Entry", figure: true, cell: (trade) => decimal(trade.entry_price, digitsOf(trade)) },
    { id: "exit", header: "Exit", figure: true, cell: (trade) => decimal(trade.exit_price, digitsOf(trade)) },
    { id: "reason", header: "Reason", sortBy: (trade) => trade.exit_reason, cell: (trade) => REASONS[trade.exit_reason] },
    {
      id: "held",
      header: "Held",
      figure: true,
      sortBy: (trade) => trade.exit_time - trade.entry_time,
      cell: (trade) => <span className="muted">{span(trade.exit_time - trade.entry_time)}</span>,
    },
    {
      id: "r",
      header: "R",
      figure: true,
      sortBy: (trade) => trade.r_multiple,
      cell: (trade) => <span className={`strong ${tone(trade)}`}>{inR(trade.r_multiple)}</span>,
    },
    {
      id: "profit",
      header: "Profit",
      figure: true,
      sortBy: (trade) => Number(trade.profit),
      cell: (trade) => <span className={tone(trade)}>{decimal(trade.profit, 2, { sign: true })}</span>,
    },
    {
      id: "fees",
      header: "Fees",
      figure: true,
      sortBy: (trade) => Number(trade.fees),
      cell: (trade) => <span className="muted">{decimal(trade.fees, 2)}</span>,
    },
  ];
}

function Total({ statistics }: { statistics: TradeStatistics }) {
  const confidence = number(statistics.confidence * 100, 0);
  return (
    <tr>
      <td colSpan={8} data-testid="precision">
        Precision <strong>{percent(statistics.precision)}</strong>, at least <strong>{percent(statistics.precision_lower_bound)}</strong> with {confidence} %
        confidence, n = {statistics.trades}
      </td>
      <td className="figure-cell strong">⌀ {inR(statistics.expectancy_r)}</td>
      <td className={`figure-cell strong ${Number(statistics.profit) >= 0 ? "gain" : "loss"}`}>{decimal(statistics.profit, 2, { sign: true })}</td>
      <td className="figure-cell">{decimal(statistics.fees, 2)}</td>
    </tr>
  );
}
