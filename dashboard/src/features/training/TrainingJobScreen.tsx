import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { useNow } from "../../app/LiveProvider";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered } from "../../components/Answered";
import { Bar } from "../../components/Bar";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { JobState } from "../../components/JobState";
import { Mark, type Tone } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { TrainingJobStory, UnitLine } from "../../generated/api";
import { number, span, strategyTitle } from "../../lib/format";
import { AgainDialog, CancelDialog } from "./JobDialogs";
import { mayGoOn, type Pace, paceOf, rateOf } from "./progress";
import { hasEnded, trainingQueries } from "./queries";

export function TrainingJobScreen() {
  const { jobId } = useParams({ from: "/training/$jobId" });
  const job = useQuery(trainingQueries.job(jobId));
  return (
    <Page title="Training job" about={<code>{jobId}</code>} actions={job.data && <JobButtons job={job.data} />}>
      <p>
        <Link to="/training">All training jobs</Link>
      </p>
      <Answered query={job}>
        {(data) => (
          <>
            <ProgressPanel job={data} />
            <PartsPanel parts={data.parts} />
          </>
        )}
      </Answered>
    </Page>
  );
}

function JobButtons({ job }: { job: TrainingJobStory }) {
  const user = useUser();
  const [asked, ask] = useState<"cancel" | "again" | null>(null);
  const close = (): void => ask(null);
  return (
    <>
      {job.state === "finished" && (
        <Link to="/training/$jobId/evidence" params={{ jobId: job.job_id }} className="button">
          Evidence
        </Link>
      )}
      {mayTrade(user) && !hasEnded(job.state) && (
        <button type="button" className="button-danger" onClick={() => ask("cancel")}>
          Cancel…
        </button>
      )}
      {mayTrade(user) && mayGoOn(job) && (
        <button type="button" className="button-primary" onClick={() => ask("again")}>
          Train the same again…
        </button>
      )}
      {asked === "cancel" && <CancelDialog job={job} close={close} />}
      {asked === "again" && <AgainDialog job={job} close={close} />}
    </>
  );
}

function ProgressPanel({ job }: { job: TrainingJobStory }) {
  const now = useNow();
  const pace = paceOf(job, now);
  return (
    <Panel title="Progress" id="progress" aside={<span data-testid="job-state"><JobState state={job.state} /></span>}>
      <Figures>
        <Figure label="Parts" main={<Bar label="Parts done" done={pace.done} total={pace.total} />}>
          {pace.failed > 0 ? `${pace.failed} failed` : "one series under one strategy each"}
        </Figure>
        <Figure label="Pace" main={pace.perHour === null ? "–" : `${number(pace.perHour, pace.perHour < 10 ? 1 : 0)} parts/h`}>
          {number(pace.trials, 0)} trials on ended parts
        </Figure>
        <Figure label="Time left" main={leftInWords(job, pace)}>
          {job.started_at === null ? "not begun" : <>began <Moment time={job.started_at} /></>}
        </Figure>
        <Figure label="Parameter sets" main={number(job.points, 0)}>
          seed {job.seed}
        </Figure>
      </Figures>
      <dl className="facts">
        <dt>Outcome</dt>
        <dd data-testid="outcome">{OUTCOMES[job.state]}{job.problem && ` ${job.problem}`}</dd>
        <dt>Markets</dt>
        <dd>{`${job.symbols.join(", ")} on ${job.exchanges.join(", ")}`}</dd>
        <dt>Regimes</dt>
        <dd>{job.market_regimes.join(", ")}</dd>
        <dt>Asked for</dt>
        <dd>
          by {job.requested_by}, <Moment time={job.created_at} />
          {job.finished_at !== null && <>; ended <Moment time={job.finished_at} /></>}
        </dd>
        <dt>Code</dt>
        <dd>{job.code_version}</dd>
      </dl>
    </Panel>
  );
}

const OUTCOMES: Record<TrainingJobStory["state"], string> = {
  queued: "None yet. It begins when a worker is free; `tradepulse up` has one, `tradepulse worker` is one more.",
  running: "None yet: parameters are being tried.",
  judging: "None yet: the gate is judging.",
  deploying: "What passed is being put into force.",
  finished: "Judged. What passed, what did not and why is in the evidence.",
  cancelled: "Cancelled: what was found was not judged.",
  failed: "Failed.",
};

function leftInWords(job: TrainingJobStory, pace: Pace): string {
  if (hasEnded(job.state)) return job.started_at !== null && job.finished_at !== null ? `took ${span(job.finished_at - job.started_at)}` : "–";
  if (pace.millisecondsLeft !== null) return `about ${span(pace.millisecondsLeft)}`;
  return job.state === "running" ? "known after the first part" : "–";
}

const TONES: Record<UnitLine["state"], Tone> = { queued: "neutral", running: "special", done: "good", failed: "bad" };

const PARTS: Column<UnitLine>[] = [
  { id: "series", header: "Series", rowHeader: true, sortBy: (part) => `${part.symbol} ${part.exchange}`, cell: (part) => `${part.symbol} on ${part.exchange}` },
  { id: "timeframe", header: "Timeframe", cell: (part) => part.timeframe },
  { id: "strategy", header: "Strategy", sortBy: (part) => part.strategy, cell: (part) => strategyTitle(part.strategy) },
  { id: "state", header: "State", sortBy: (part) => part.state, cell: (part) => <Mark tone={TONES[part.state]}>{part.state}</Mark> },
  { id: "candles", header: "Candles", figure: true, sortBy: (part) => part.candles, cell: (part) => (part.candles > 0 ? number(part.candles, 0) : "–") },
  { id: "trials", header: "Trials", figure: true, sortBy: (part) => part.trials, cell: (part) => (part.trials > 0 ? number(part.trials, 0) : "–") },
  { id: "rate", header: "Trials/s", figure: true, sortBy: rateOf, cell: rateInFigures },
  { id: "seconds", header: "Work", figure: true, sortBy: (part) => part.seconds, cell: (part) => (part.seconds > 0 ? span(part.seconds * 1000) : "–") },
  { id: "told", header: "Who, or what was wrong", cell: (part) => part.problem ?? part.worker ?? "–" },
];

function rateInFigures(part: UnitLine): string {
  const rate = rateOf(part);
  return rate === null ? "–" : number(rate, rate < 10 ? 1 : 0);
}

function PartsPanel({ parts }: { parts: UnitLine[] }) {
  return (
    <Panel title="Combinations" id="parts" aside={<span className="count">all regimes come out of each</span>}>
      <DataTable label="Combinations of the job" testid="parts" rows={parts} columns={PARTS} rowKey={(part) => `${part.exchange} ${part.symbol} ${part.timeframe} ${part.strategy}`} tall />
    </Panel>
  );
}
