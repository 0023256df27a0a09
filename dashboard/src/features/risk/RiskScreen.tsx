import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useBook } from "../../app/book";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { LimitLine, RiskReport, RiskState } from "../../generated/api";
import { decimal, percent } from "../../lib/format";
import { queries } from "../../lib/queries";
import { CorrelationPanel } from "./CorrelationPanel";
import { Gauge } from "./Gauge";
import { byShare, limitFigure, limitTitle } from "./limits";
import { RiskLog } from "./RiskLog";
import { STATE_WORDS, StateMark } from "./StateMark";
import { KillDialog, PauseDialog, ResumeDialog } from "./StopDialogs";

export function RiskScreen() {
  const report = useQuery(queries.risk(useBook()));
  return (
    <Page title="Risk" about="What keeps entries from being made, and how much of each limit is used." actions={<StopButtons report={report.data} />}>
      <Answered query={report}>
        {(data) => (
          <>
            <StatePanel report={data} />
            <LimitsPanel limits={data.limits} />
            <CorrelationPanel />
            <RiskLog />
          </>
        )}
      </Answered>
    </Page>
  );
}

const DIALOGS = { pause: PauseDialog, resume: ResumeDialog, kill: KillDialog };

function StopButtons({ report }: { report: RiskReport | undefined }) {
  const user = useUser();
  const [asked, ask] = useState<keyof typeof DIALOGS | null>(null);
  if (!mayTrade(user)) return <span className="muted">Stopping and resuming is for traders and admins.</span>;
  const Dialog = asked && DIALOGS[asked];
  // By hand is lifted by hand; the day's loss by midnight alone.
  const isLiftable = report?.holds.some((hold) => hold.until === null) ?? false;
  return (
    <>
      <button type="button" onClick={() => ask("pause")} disabled={!report}>
        Pause…
      </button>
      <button type="button" onClick={() => ask("resume")} disabled={!isLiftable}>
        Resume…
      </button>
      <button type="button" className="button-danger" onClick={() => ask("kill")}>
        Kill switch…
      </button>
      {Dialog && <Dialog close={() => ask(null)} />}
    </>
  );
}

function StatePanel({ report }: { report: RiskReport }) {
  const lost = report.equity === null ? null : 1 - Number(report.equity) / Number(report.peak || 1);
  return (
    <Panel title={`State of book “${report.book}”`} id="state" aside={<State state={report.state} />}>
      <Figures>
        <Figure label="Equity" main={report.equity === null ? "–" : decimal(report.equity, 2)}>
          {report.traded ? "a trader runs this book" : "nobody trades this book now"}
        </Figure>
        <Figure label="The day began with" main={decimal(report.day_began_with, 2)}>
          at 00:00 UTC
        </Figure>
        <Figure label="Peak" main={decimal(report.peak, 2)}>
          {lost !== null && Number(report.peak) > 0 ? `now ${percent(Math.max(0, lost))} below` : "none yet"}
        </Figure>
      </Figures>
      <Causes report={report} />
    </Panel>
  );
}

function State({ state }: { state: RiskState }) {
  return (
    <span data-testid="risk-state">
      <StateMark state={state} /> <span className="muted">{STATE_WORDS[state]}</span>
    </span>
  );
}

interface Cause {
  key: string;
  cause: string;
  does: string;
  reason: string;
  since: number;
  until: number | null;
  lifted: string;
}

function causesOf({ holds, not_ready, locks }: RiskReport): Cause[] {
  return [
    ...holds.map((one) => ({ ...one, key: `hold ${one.cause}`, does: one.state, lifted: "a person, with a reason" })),
    ...not_ready.map((one) => ({ ...one, key: `missing ${one.cause}`, does: "no entries", until: null, lifted: "itself, when it is back" })),
    ...locks.map((one) => ({
      ...one,
      key: `lock ${one.cause} ${one.market?.exchange} ${one.market?.symbol}`,
      does: one.market ? `no entries on ${one.market.symbol}` : "no entries",
      lifted: "time",
    })),
  ];
}

const CAUSES: Column<Cause>[] = [
  { id: "cause", header: "Cause", rowHeader: true, cell: (one) => one.cause },
  { id: "does", header: "What it does", cell: (one) => one.does },
  { id: "reason", header: "Reason", cell: (one) => one.reason },
  { id: "since", header: "Since", cell: (one) => <Moment time={one.since} /> },
  { id: "until", header: "Lifted by", cell: (one) => (one.until === null ? one.lifted : <Moment time={one.until} />) },
];

function Causes({ report }: { report: RiskReport }) {
  const causes = causesOf(report);
  if (causes.length === 0) return <Empty title="Nothing keeps entries from being made.">{report.traded ? null : <>Start trading with <code>tradepulse up</code>.</>}</Empty>;
  return <DataTable label="What keeps entries from being made" testid="causes" rows={causes} columns={CAUSES} rowKey={(one) => one.key} />;
}

const LIMITS: Column<LimitLine>[] = [
  { id: "limit", header: "Limit", rowHeader: true, sortBy: (one) => limitTitle(one.limit), cell: (one) => limitTitle(one.limit) },
  { id: "about", header: "Of", cell: (one) => one.about || <span className="muted">the account</span> },
  { id: "used", header: "Used", figure: true, cell: (one) => limitFigure(one.limit, one.used) },
  { id: "allowed", header: "Allowed", figure: true, cell: (one) => limitFigure(one.limit, one.allowed) },
  { id: "share", header: "Share", figure: true, sortBy: (one) => one.share, cell: (one) => percent(one.share, 0) },
  { id: "gauge", header: "How near", cell: (one) => <Gauge share={one.share} label={limitTitle(one.limit)} /> },
];

function LimitsPanel({ limits }: { limits: RiskReport["limits"] }) {
  return (
    <Panel title="Limits" id="limits" aside={<span className="muted">changed in the settings (risk.…), read at a start</span>}>
      {limits === null ? (
        <Empty title="No limit is used yet.">The book has not begun, or a market that it holds is not known. Start trading with: tradepulse up</Empty>
      ) : (
        <DataTable label="Limits" testid="limits" rows={byShare(limits)} columns={LIMITS} rowKey={(one) => `${one.limit} ${one.about}`} />
      )}
    </Panel>
  );
}
