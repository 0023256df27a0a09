import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Answered, Empty } from "../../components/Answered";
import { Bar } from "../../components/Bar";
import { type Column, DataTable } from "../../components/DataTable";
import { JobState } from "../../components/JobState";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { JobLine } from "../../generated/api";
import { send } from "../../lib/api";
import { decimal, inR, percent, span, strategyTitle } from "../../lib/format";
import { backtestQueries } from "./queries";
import type { BacktestReport } from "./report";
import { StartDialog } from "./StartDialog";

export function BacktestsScreen() {
  const mayStart = mayTrade(useUser());
  const [isAsked, setAsked] = useState(false);
  const found = useQuery(backtestQueries.all());
  const start = (
    <button type="button" className="button-primary" onClick={() => setAsked(true)}>
      Start a backtest…
    </button>
  );
  return (
    <Page
      title="Backtests"
      about="What a strategy would have made of the stored candles, fees and slippage included. What is shown here proves nothing by itself: training judges."
      actions={mayStart ? start : <span className="muted">Backtests are started by traders and admins.</span>}
    >
      <JobsPanel />
      <Panel title="Results" id="results" aside={<span className="count">newest first</span>}>
        <Answered query={found} isEmpty={(data) => data.length === 0} empty={<Empty title="There is no backtest yet.">Start one above; it needs stored candles.</Empty>}>
          {(data) => <DataTable label="Backtests" testid="backtests" rows={data} columns={COLUMNS} rowKey={(one) => one.backtest_id} />}
        </Answered>
      </Panel>
      {isAsked && <StartDialog close={() => setAsked(false)} />}
    </Page>
  );
}

/** Those that have no result, or not yet. */
function JobsPanel() {
  const client = useQueryClient();
  const jobs = useQuery(backtestQueries.jobs()).data?.items ?? [];
  const finished = jobs.filter((job) => job.state === "finished").length;
  useEffect(() => void client.invalidateQueries({ queryKey: ["backtests"] }), [client, finished]);
  const open = jobs.filter((job) => job.state !== "finished");
  if (open.length === 0) return null;
  return (
    <Panel title="At work" id="at-work">
      <DataTable label="Backtests without a result" testid="backtest-jobs" rows={open} columns={JOBS} rowKey={(job) => job.job_id} />
    </Panel>
  );
}

const asked = (job: JobLine, name: string): string => String(job.parameters[name] ?? "–");

const JOBS: Column<JobLine>[] = [
  { id: "what", header: "Backtest", rowHeader: true, cell: (job) => `${strategyTitle(asked(job, "strategy"))}, ${asked(job, "symbol")} ${asked(job, "timeframe")}` },
  { id: "state", header: "State", cell: (job) => <JobState state={job.state} /> },
  { id: "progress", header: "Progress", cell: (job) => (job.progress.total > 0 ? <Bar label="Progress" done={job.progress.done} total={job.progress.total} /> : "–") },
  { id: "left", header: "Time left", figure: true, cell: (job) => (job.progress.seconds_left === null ? "–" : span(job.progress.seconds_left * 1000)) },
  { id: "created", header: "Asked for", cell: (job) => <Moment time={job.created_at} /> },
  { id: "problem", header: "Problem", cell: (job) => <span className="told">{job.problem ?? "–"}</span> },
  { id: "change", header: "Change", pinned: true, cell: (job) => <JobButton job={job} /> },
];

function JobButton({ job }: { job: JobLine }) {
  const [isAsked, setAsked] = useState(false);
  if (!mayTrade(useUser())) return <span className="muted">for traders</span>;
  const hasEnded = job.state === "cancelled" || job.state === "failed";
  return (
    <>
      <button type="button" onClick={() => setAsked(true)}>
        {hasEnded ? "Resume…" : "Cancel…"}
      </button>
      {isAsked && <JobDialog job={job} resume={hasEnded} close={() => setAsked(false)} />}
    </>
  );
}

function JobDialog({ job, resume, close }: { job: JobLine; resume: boolean; close: () => void }) {
  const client = useQueryClient();
  const run = async ({ key }: Given): Promise<string> => {
    const path = { job_id: job.job_id };
    const left = resume ? await send("post", "/api/jobs/{job_id}/resume", { path, key }) : await send("delete", "/api/jobs/{job_id}", { path, key });
    void client.invalidateQueries({ queryKey: ["backtest jobs"] });
    return `The backtest is ${left.state}.`;
  };
  return (
    <ActionDialog
      title={resume ? "Resume this backtest" : "Cancel this backtest"}
      explain={<p>{resume ? "It starts again from its first candle as soon as a worker is free." : "Its worker stops within seconds; there will be no result."}</p>}
      confirm={resume ? "Resume" : "Cancel the backtest"}
      danger={!resume}
      close={close}
      run={run}
    />
  );
}

const COLUMNS: Column<BacktestReport>[] = [
  {
    id: "what",
    header: "Backtest",
    rowHeader: true,
    cell: (one) => (
      <Link to="/backtests/$backtestId" params={{ backtestId: one.backtest_id }}>
        {strategyTitle(one.strategy)}, {one.symbol} {one.timeframe}
      </Link>
    ),
  },
  { id: "exchange", header: "Exchange", cell: (one) => (one.simulated ? `${one.exchange} (simulated)` : one.exchange) },
  { id: "trades", header: "Trades", figure: true, sortBy: (one) => one.statistics.trades, cell: (one) => one.statistics.trades },
  { id: "precision", header: "Precision", figure: true, sortBy: (one) => one.statistics.precision, cell: (one) => percent(one.statistics.precision) },
  { id: "lower", header: "At least", figure: true, cell: (one) => percent(one.statistics.precision_lower) },
  { id: "expectancy", header: "Expectancy", figure: true, sortBy: (one) => one.statistics.expectancy_r, cell: (one) => inR(one.statistics.expectancy_r) },
  { id: "profit", header: "Profit", figure: true, sortBy: (one) => Number(one.profit), cell: (one) => decimal(one.profit, 2, { sign: true }) },
  { id: "drawdown", header: "Drawdown", figure: true, sortBy: (one) => one.statistics.max_drawdown, cell: (one) => percent(one.statistics.max_drawdown, 2) },
  { id: "created", header: "Made", sortBy: (one) => one.created_at, cell: (one) => <Moment time={one.created_at} /> },
];
