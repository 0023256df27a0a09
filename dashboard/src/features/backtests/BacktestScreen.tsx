import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import { Plot, type PlotSeries } from "../../components/Plot";
import type { BacktestEquity } from "../../generated/api";
import { send } from "../../lib/api";
import { decimal, inR, number, percent, places, strategyTitle } from "../../lib/format";
import { ValuesTable } from "../evidence/CombinationPanel";
import { Side } from "../trades/Side";
import { backtestQueries } from "./queries";
import { type BacktestReport, type BacktestTrade, curveOf, shareOfMillion, sumOf, tradesIn } from "./report";

export function BacktestScreen() {
  const { backtestId } = useParams({ from: "/backtests/$backtestId" });
  const report = useQuery(backtestQueries.one(backtestId));
  return (
    <Page title="Backtest" about={<code>{backtestId}</code>} actions={report.data && <DeleteButton report={report.data} />}>
      <p>
        <Link to="/backtests">All backtests</Link>
      </p>
      <Answered query={report}>
        {(data) => (
          <>
            <ResultPanel report={data} />
            <EquityPanel report={data} />
            <TradesPanel report={data} />
          </>
        )}
      </Answered>
    </Page>
  );
}

function DeleteButton({ report }: { report: BacktestReport }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [isAsked, setAsked] = useState(false);
  if (!mayTrade(useUser())) return null;
  const run = async ({ key }: Given): Promise<string> => {
    await send("delete", "/api/backtests/{backtest_id}", { path: { backtest_id: report.backtest_id }, key });
    void client.invalidateQueries({ queryKey: ["backtests"] });
    void navigate({ to: "/backtests" });
    return "The backtest is deleted.";
  };
  return (
    <>
      <button type="button" className="button-danger" onClick={() => setAsked(true)}>
        Delete…
      </button>
      {isAsked && (
        <ActionDialog title="Delete this backtest" explain={<p>Its figures and its trades are gone for good. It can be run again.</p>} confirm="Delete" danger close={() => setAsked(false)} run={run} />
      )}
    </>
  );
}

function ResultPanel({ report }: { report: BacktestReport }) {
  const { statistics, market, account } = report;
  return (
    <Panel title={`${strategyTitle(report.strategy)}, ${report.symbol} ${report.timeframe} on ${report.exchange}`} id="result" aside={report.simulated && <span className="badge badge-simulated">SIMULATED</span>}>
      <Figures>
        <Figure label="Profit" main={decimal(report.profit, 2, { sign: true })}>
          {decimal(account.initial_cash, 2)} became {decimal(report.final_cash, 2)}
        </Figure>
        <Figure label="Precision" main={percent(statistics.precision)}>
          at least {percent(statistics.precision_lower)}, n = {statistics.trades}
        </Figure>
        <Figure label="Expectancy" main={inR(statistics.expectancy_r)}>
          {inR(statistics.total_r)} in all
        </Figure>
        <Figure label="Profit factor" main={statistics.profit_factor === null ? "–" : number(statistics.profit_factor, 2)}>
          gains over losses
        </Figure>
        <Figure label="Deepest drawdown" main={percent(statistics.max_drawdown, 2)}>
          by closed trades
        </Figure>
      </Figures>
      <dl className="facts">
        <dt>Candles</dt>
        <dd>
          {number(report.candles, 0)}, <Moment time={report.first} /> to <Moment time={report.last} />; {report.missing > 0 ? `${number(report.missing, 0)} are missing` : "none is missing"}
        </dd>
        <dt>Costs assumed</dt>
        <dd>
          maker {percent(shareOfMillion(market.maker_ppm), 2)}, taker {percent(shareOfMillion(market.taker_ppm), 2)}, slippage {percent(shareOfMillion(market.slippage_ppm), 2)} a side ({market.source})
        </dd>
        <dt>Risk a trade</dt>
        <dd>{percent(shareOfMillion(account.risk_ppm), 2)} of the equity</dd>
        <dt>Setups</dt>
        <dd>
          {Object.entries(report.verdicts)
            .map(([verdict, count]) => `${number(count, 0)} ${verdict}`)
            .join(", ") || "none was found"}
        </dd>
        <dt>Method</dt>
        <dd>
          {report.method === "replay" ? "the engine, candle by candle" : "the kernel"}
          {report.fine && `, with ${report.fine} candles inside`}
          {report.left_open && "; a position was still open at the end and is not counted"}
        </dd>
        <dt>Can be repeated by</dt>
        <dd>
          code {report.code_version}, parameters {report.parameters_id}, data {report.data_hash.slice(0, 12)}
        </dd>
      </dl>
      <ValuesTable values={report.parameters} />
    </Panel>
  );
}

const money = (value: number): string => number(value, 0);
const inPercent = (value: number): string => `${number(value, 1)} %`;

function EquityPanel({ report }: { report: BacktestReport }) {
  const equity = useQuery(backtestQueries.equity(report.backtest_id));
  return (
    <Panel title="Equity and drawdown" id="equity" aside={<span className="count">after each closed trade</span>}>
      <Answered query={equity} isEmpty={(data) => data.points.length === 0} empty={<Empty title="No trade was closed.">There is nothing to draw.</Empty>}>
        {(data) => <Equity equity={data} first={report.first} />}
      </Answered>
    </Panel>
  );
}

function Equity({ equity, first }: { equity: BacktestEquity; first: number }) {
  const curve = useMemo(() => curveOf(equity, first), [equity, first]);
  const above = useMemo<PlotSeries[]>(() => [{ label: "equity", values: curve.equity, kind: "line", colour: (palette) => palette.up }], [curve]);
  const below = useMemo<PlotSeries[]>(() => [{ label: "drawdown", values: curve.drawdown, kind: "line", colour: (palette) => palette.down }], [curve]);
  return (
    <>
      <Plot label={`Equity, from ${decimal(equity.initial_cash, 2)} to ${decimal(equity.points.at(-1)?.equity ?? equity.initial_cash, 2)}`} x={curve.x} time="moment" series={above} format={money} />
      <Plot label={`Drawdown, deepest ${inPercent(Math.min(...curve.drawdown))}`} x={curve.x} time="moment" series={below} format={inPercent} height={110} />
    </>
  );
}

function TradesPanel({ report }: { report: BacktestReport }) {
  const found = useQuery(backtestQueries.trades(report.backtest_id));
  const columns = useMemo(() => columnsOf(places(report.market.tick_size), places(report.market.lot_size)), [report]);
  return (
    <Panel title="Trades" id="trades" aside={<span className="count">of {report.statistics.trades}, in the order they were closed</span>}>
      <Answered query={found} isEmpty={(data) => data.items.length === 0} empty={<Empty title="No trade was closed.">The setups above say why entries were not made.</Empty>}>
        {(data) => {
          const trades = tradesIn(data.items);
          return <DataTable label="Trades of the backtest" testid="backtest-trades" rows={trades} columns={columns} rowKey={(trade) => trade.trade_id} tall footer={<Totals trades={trades} columns={columns.length} />} />;
        }}
      </Answered>
    </Panel>
  );
}

function Totals({ trades, columns }: { trades: BacktestTrade[]; columns: number }) {
  return (
    <tr>
      <td colSpan={columns}>
        {trades.length} listed: profit {decimal(sumOf(trades.map((trade) => trade.profit)), 2, { sign: true })}, after fees of {decimal(sumOf(trades.map((trade) => trade.fees)), 2)} and funding of{" "}
        {decimal(sumOf(trades.map((trade) => trade.funding)), 2)}
      </td>
    </tr>
  );
}

const columnsOf = (priceDigits: number, quantityDigits: number): Column<BacktestTrade>[] => [
  { id: "exit", header: "Closed", rowHeader: true, sortBy: (trade) => trade.exit_time, cell: (trade) => <Moment time={trade.exit_time} /> },
  { id: "entry", header: "Opened", sortBy: (trade) => trade.entry_time, cell: (trade) => <Moment time={trade.entry_time} /> },
  { id: "side", header: "Side", cell: (trade) => <Side side={trade.direction > 0 ? "long" : "short"} /> },
  { id: "quantity", header: "Quantity", figure: true, cell: (trade) => decimal(trade.quantity, quantityDigits) },
  { id: "from", header: "Entry", figure: true, cell: (trade) => decimal(trade.entry_price, priceDigits) },
  { id: "to", header: "Exit", figure: true, cell: (trade) => decimal(trade.exit_price, priceDigits) },
  { id: "reason", header: "Ended by", sortBy: (trade) => trade.exit_reason, cell: (trade) => trade.exit_reason },
  { id: "regime", header: "Regime", cell: (trade) => trade.regime },
  { id: "fees", header: "Fees", figure: true, sortBy: (trade) => Number(trade.fees), cell: (trade) => decimal(trade.fees, 2) },
  { id: "profit", header: "Profit", figure: true, sortBy: (trade) => Number(trade.profit), cell: (trade) => <span className={trade.profit.startsWith("-") ? "loss" : "gain"}>{decimal(trade.profit, 2, { sign: true })}</span> },
  { id: "r", header: "R", figure: true, sortBy: (trade) => trade.r_multiple, cell: (trade) => inR(trade.r_multiple) },
];
