import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useBook } from "../../app/book";
import { Answered, Empty } from "../../components/Answered";
import { Figure, Figures } from "../../components/Figures";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import { Plot, type PlotSeries } from "../../components/Plot";
import type { DayLine, TradeRow, TradeStatistics } from "../../generated/api";
import { decimal, inR, number, percent } from "../../lib/format";
import { queries } from "../../lib/queries";
import { barsOfDays, histogramOfR } from "./pictures";
import { TradesPanel } from "./TradesPanel";

export function JournalScreen() {
  const book = useBook();
  const statistics = useQuery(queries.statistics(book)).data;
  return (
    <Page title="Journal" about="Every closed trade, with what it made after all costs.">
      {statistics && statistics.trades > 0 && <StatisticsPanel statistics={statistics} />}
      <div className="pair">
        <DaysPanel />
        <DistributionPanel />
      </div>
      <TradesPanel />
    </Page>
  );
}

function StatisticsPanel({ statistics }: { statistics: TradeStatistics }) {
  const reasons = Object.entries(statistics.exit_reasons).sort(([, left], [, right]) => right - left);
  return (
    <Panel title="In all" id="statistics">
      <Figures>
        <Figure label="Precision" main={percent(statistics.precision)}>
          at least {percent(statistics.precision_lower_bound)}, n = {statistics.trades}
        </Figure>
        <Figure label="Expectancy" main={inR(statistics.expectancy_r)}>
          best {inR(statistics.best_r)}, worst {inR(statistics.worst_r)}
        </Figure>
        <Figure label="Profit factor" main={statistics.profit_factor === null ? "–" : number(statistics.profit_factor, 2)}>
          gained {decimal(statistics.gross_gain, 2)}, lost {decimal(statistics.gross_loss, 2)}
        </Figure>
        <Figure label="Costs" main={decimal(statistics.fees, 2)}>
          fees; funding {decimal(statistics.funding, 2)}
        </Figure>
        <Figure label="Ended by" main={reasons[0]?.[0] ?? "–"}>
          {reasons.map(([reason, count]) => `${count} ${reason}`).join(", ")}
        </Figure>
      </Figures>
    </Panel>
  );
}

const money = (value: number): string => number(value, 0);
const NO_TRADE = <Empty title="No closed trade yet.">It is drawn with the first one.</Empty>;

function DaysPanel() {
  const days = useQuery(queries.days(useBook()));
  return (
    <Panel title="Profit by day (UTC)" id="days">
      <Answered query={days} isEmpty={(data) => data.length === 0} empty={NO_TRADE}>
        {(data) => <Days days={data} />}
      </Answered>
    </Panel>
  );
}

function Days({ days }: { days: DayLine[] }) {
  const { x, heights } = useMemo(() => barsOfDays(days), [days]);
  const series = useMemo(() => gainsAndLosses(heights), [heights]);
  const best = days.reduce((one, other) => (Number(other.profit) > Number(one.profit) ? other : one));
  const worst = days.reduce((one, other) => (Number(other.profit) < Number(one.profit) ? other : one));
  const label = `${days.length} ${days.length === 1 ? "day" : "days"} with closed trades; best ${best.day} ${decimal(best.profit, 2, { sign: true })}, worst ${worst.day} ${decimal(worst.profit, 2, { sign: true })}`;
  return (
    <>
      <Plot label={label} x={x} time="day" series={series} format={money} />
      <p className="panel-note muted">{label}</p>
    </>
  );
}

function DistributionPanel() {
  const trades = useQuery(queries.trades(useBook()));
  return (
    <Panel title="How trades ended, in R" id="distribution">
      <Answered query={trades} isEmpty={(data) => data.items.length === 0} empty={NO_TRADE}>
        {(data) => <Distribution trades={data.items} />}
      </Answered>
    </Panel>
  );
}

const inHalfR = (value: number): string => `${number(value, 1, { sign: true })} R`;

function Distribution({ trades }: { trades: TradeRow[] }) {
  const { x, heights } = useMemo(() => histogramOfR(trades), [trades]);
  const series = useMemo<PlotSeries[]>(() => [{ label: "trades", values: heights, kind: "bars", colour: (palette) => palette.up }], [heights]);
  const most = heights.indexOf(Math.max(...heights));
  const label = `${trades.length} trades by half R; most often around ${inHalfR(x[most] ?? 0)}`;
  return (
    <>
      <Plot label={label} x={x} series={series} format={money} formatX={inHalfR} />
      <p className="panel-note muted">{label}</p>
    </>
  );
}

/** Two series, so that colour repeats what the side of the line says. */
const gainsAndLosses = (heights: number[]): PlotSeries[] => [
  { label: "gains", values: heights.map((height) => (height >= 0 ? height : null)), kind: "bars", colour: (palette) => palette.up },
  { label: "losses", values: heights.map((height) => (height < 0 ? height : null)), kind: "bars", colour: (palette) => palette.down },
];
