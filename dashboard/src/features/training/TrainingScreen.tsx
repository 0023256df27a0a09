import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered, Empty } from "../../components/Answered";
import { Bar } from "../../components/Bar";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { JobState } from "../../components/JobState";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { TrainingJobLine, TrainingSystemStatus } from "../../generated/api";
import { number, span } from "../../lib/format";
import { queries } from "../../lib/queries";
import { TrainDialog } from "../start/TrainDialog";
import { trainingQueries } from "./queries";

export function TrainingScreen() {
  const mayStart = mayTrade(useUser());
  const [isAsked, setAsked] = useState(false);
  const jobs = useQuery(trainingQueries.jobs());
  const start = (
    <button type="button" className="button-primary" onClick={() => setAsked(true)}>
      Start training…
    </button>
  );
  return (
    <Page
      title="Training"
      about="Tries parameters on the stored candles and judges them by candles that took no part in the choice."
      actions={mayStart ? start : <span className="muted">Training is started by traders and admins.</span>}
    >
      <StatusPanel />
      <Panel title="Jobs" id="jobs" aside={<span className="count">newest first</span>}>
        <Answered query={jobs} isEmpty={(data) => data.items.length === 0} empty={<Empty title="Nothing was trained yet.">Start a training above; it needs stored candles.</Empty>}>
          {(data) => <DataTable label="Training jobs" testid="training-jobs" rows={data.items} columns={COLUMNS} rowKey={(job) => job.job_id} />}
        </Answered>
      </Panel>
      {isAsked && <TrainDialog close={() => setAsked(false)} />}
    </Page>
  );
}

const COLUMNS: Column<TrainingJobLine>[] = [
  {
    id: "created",
    header: "Asked for",
    rowHeader: true,
    cell: (job) => (
      <Link to="/training/$jobId" params={{ jobId: job.job_id }}>
        <Moment time={job.created_at} />
      </Link>
    ),
  },
  { id: "state", header: "State", cell: (job) => <JobState state={job.state} /> },
  { id: "markets", header: "Markets", cell: (job) => <span className="told">{`${job.symbols.join(", ")} on ${job.exchanges.join(", ")}`}</span> },
  { id: "parts", header: "Parts", cell: (job) => <Bar label="Parts done" done={job.units_done} total={job.units} /> },
  { id: "points", header: "Parameter sets", figure: true, cell: (job) => number(job.points, 0) },
  { id: "took", header: "Took", figure: true, cell: (job) => (job.started_at !== null && job.finished_at !== null ? span(job.finished_at - job.started_at) : "–") },
  { id: "by", header: "By", cell: (job) => job.requested_by },
];

function StatusPanel() {
  const status = useQuery(queries.trainingStatus());
  return (
    <Panel title="Now" id="training-now">
      <Answered query={status}>{(data) => <Status status={data} />}</Answered>
    </Panel>
  );
}

function Status({ status }: { status: TrainingSystemStatus }) {
  const inForce = Object.entries(status.in_force);
  const total = inForce.reduce((sum, [, count]) => sum + count, 0);
  return (
    <Figures>
      <Figure label="Workers at work" main={status.workers.length}>
        {status.workers.length > 0 ? status.workers.map((one) => one.work).join(", ") : "who waits for work is not seen"}
      </Figure>
      <Figure label="Distinct trials ever made" main={number(status.trials_evaluated, 0)}>
        each counts against every claim
      </Figure>
      <Figure label="Configurations in force" main={total}>
        {total > 0 ? inForce.map(([stage, count]) => `${count} in ${stage}`).join(", ") : "nothing trained is traded"} · <Link to="/configurations">Configurations</Link>
      </Figure>
    </Figures>
  );
}
