import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useBook } from "../../app/book";
import { Answered } from "../../components/Answered";
import { Figure, Figures } from "../../components/Figures";
import { Panel } from "../../components/Panel";
import type { RiskReport, TradingLine } from "../../generated/api";
import { decimal, number, percent } from "../../lib/format";
import { queries } from "../../lib/queries";
import { Gauge } from "../risk/Gauge";
import { STATE_WORDS, StateMark } from "../risk/StateMark";

/** The day against its limit, and what is waited for. */
export function TodayPanel() {
  const book = useBook();
  const report = useQuery(queries.risk(book));
  const summary = useQuery(queries.summary(book)).data;
  const trading = useQuery(queries.status()).data?.trading;
  return (
    <Panel title="Today" id="today" aside={<Link to="/risk">Limits and kill switch</Link>}>
      <Answered query={report}>{(data) => <Today report={data} equity={summary?.equity ?? data.equity} trading={trading} />}</Answered>
    </Panel>
  );
}

function Today({ report, equity, trading }: { report: RiskReport; equity: string | null; trading: TradingLine | undefined }) {
  const began = Number(report.day_began_with);
  const change = equity === null || began <= 0 ? null : Number(equity) - began;
  const limit = report.limits?.find((line) => line.limit === "daily_loss");
  return (
    <Figures>
      <Figure
        label="Profit of the day (UTC)"
        main={<span className={change === null ? "" : change >= 0 ? "gain" : "loss"}>{change === null ? "–" : number(change, 2, { sign: true })}</span>}
      >
        {change === null ? "the day has not begun" : `${number((change / began) * 100, 2, { sign: true })} % of ${decimal(report.day_began_with, 2)}`}
      </Figure>
      <Figure label="Daily loss limit" main={limit ? `${percent(limit.share, 0)} used` : "off"}>
        {limit ? <Gauge share={limit.share} label="Daily loss limit" /> : "risk.daily_loss is 0"}
      </Figure>
      <Figure label="State" main={<StateMark state={report.state} />}>
        {STATE_WORDS[report.state]}; {report.traded ? "a trader runs this book" : "nobody trades this book now"}
      </Figure>
      <Figure label="Waits for" main={trading ? trading.phase : "–"}>
        {waitsFor(report, trading)}
      </Figure>
    </Figures>
  );
}

function waitsFor({ holds, not_ready, state }: RiskReport, trading: TradingLine | undefined): string {
  const held = [...holds, ...not_ready].map((one) => one.reason);
  if (held.length > 0) return held.join("; ");
  if (state !== "active" || !trading) return "";
  if (trading.phase !== "trading") return trading.text;
  if (trading.untested || trading.configurations === 0) return "a setup with full confluence, by default parameters that no training chose";
  return `a setup with full confluence, of ${trading.configurations} configuration${trading.configurations === 1 ? "" : "s"} in force`;
}
