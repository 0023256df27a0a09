import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useBook } from "../../app/book";
import { Moment } from "../../app/times";
import { mayAdminister, useUser } from "../../app/who";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { Mark, type Tone } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { CheckLine, LogLine, Resources, SettingLine, State, TrainingSystemStatus } from "../../generated/api";
import { bytes, number, percent } from "../../lib/format";
import { told } from "../../lib/told";
import { queries } from "../../lib/queries";

export function SystemScreen() {
  const user = useUser();
  return (
    <Page title="System" about="Is it running, on what, and what did it do?">
      <ChecksPanel />
      <MachinePanel />
      <WorkPanel />
      <EventsPanel />
      {mayAdminister(user) && <SettingsPanel />}
    </Page>
  );
}

const TONES: Record<State, Tone> = { ok: "good", failed: "bad", unknown: "neutral" };

const CHECKS: Column<CheckLine>[] = [
  { id: "name", header: "Check", rowHeader: true, cell: (check) => check.name },
  { id: "state", header: "State", cell: (check) => <Mark tone={TONES[check.state]}>{check.state}</Mark> },
  { id: "detail", header: "What was found", cell: (check) => check.detail },
];

function ChecksPanel() {
  const report = useQuery(queries.readiness());
  const version = useQuery(queries.version()).data;
  return (
    <Panel
      title="Readiness"
      id="readiness"
      aside={report.data && <Mark tone={report.data.ready ? "good" : "bad"}>{report.data.ready ? "ready" : "not ready"}</Mark>}
    >
      <Answered query={report}>{(data) => <DataTable label="Checks" testid="checks" rows={data.checks} columns={CHECKS} rowKey={(check) => check.name} />}</Answered>
      {version && (
        <p className="panel-note muted">
          TradePulse {version.tradepulse}, Python {version.python}, {version.database}. Something failed? <code>tradepulse doctor</code> says how to mend it.
        </p>
      )}
    </Panel>
  );
}

function MachinePanel() {
  const resources = useQuery(queries.resources());
  return (
    <Panel title="Machine" id="machine">
      <Answered query={resources}>{(data) => <Machine resources={data} />}</Answered>
    </Panel>
  );
}

function Machine({ resources }: { resources: Resources }) {
  const share = (free: number, total: number): string => percent(total > 0 ? free / total : null, 0);
  return (
    <Figures>
      <Figure label="Load of the last minute" main={number(resources.load[0] ?? 0, 2)}>
        on {resources.cpu_count} processors
      </Figure>
      <Figure label="Memory free" main={bytes(resources.memory_available)}>
        {share(resources.memory_available, resources.memory_total)} of {bytes(resources.memory_total)}
      </Figure>
      <Figure label="Disk free" main={bytes(resources.disk_free)}>
        {share(resources.disk_free, resources.disk_total)} of {bytes(resources.disk_total)}
      </Figure>
      <Figure label="This program" main={bytes(resources.process_memory)}>
        {resources.process_threads} threads, {resources.process_files} open files
      </Figure>
    </Figures>
  );
}

const tally = (counts: Record<string, number>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`)
    .join(", ");

function WorkPanel() {
  const status = useQuery(queries.trainingStatus());
  return (
    <Panel title="Background work" id="work">
      <Answered query={status}>{(data) => <Work status={data} />}</Answered>
    </Panel>
  );
}

function Work({ status }: { status: TrainingSystemStatus }) {
  return (
    <Figures>
      <Figure label="Workers at work" main={String(status.workers.length)}>
        {status.workers.length > 0 ? status.workers.map((one) => `${one.worker}: ${one.work}`).join(", ") : "none has work now"}
      </Figure>
      <Figure label="Training jobs" main={String(Object.values(status.jobs).reduce((sum, count) => sum + count, 0))}>
        {tally(status.jobs) || "none yet"}
      </Figure>
      <Figure label="Other jobs" main={String(Object.values(status.background).reduce((sum, count) => sum + count, 0))}>
        {tally(status.background) || "none yet"}
      </Figure>
      <Figure label="Configurations" main={String(Object.values(status.in_force).reduce((sum, count) => sum + count, 0))}>
        {tally(status.in_force) || "none in force"}
      </Figure>
    </Figures>
  );
}

const KINDS = [
  "",
  "setup_evaluated",
  "entry_planned",
  "order_filled",
  "order_rejected",
  "position_opened",
  "position_closed",
  "protection_placed",
  "protection_lost",
  "risk_state_changed",
  "request_answered",
  "not_ready",
  "ready",
  "gap_found",
  "execution_alarm",
];

const EVENTS: Column<LogLine>[] = [
  { id: "time", header: "When", rowHeader: true, cell: (line) => <Moment time={line.time} seconds /> },
  { id: "kind", header: "Event", cell: (line) => line.kind.replaceAll("_", " ") },
  { id: "told", header: "Told", cell: (line) => <span className="told">{told(line.data)}</span> },
];

function EventsPanel() {
  const [kind, setKind] = useState("");
  const log = useQuery(queries.log(useBook(), kind ? [kind] : []));
  return (
    <Panel
      title="What the engine wrote down"
      id="events"
      aside={
        <>
          <select aria-label="Kind of event" value={kind} onChange={(event) => setKind(event.target.value)}>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {one ? one.replaceAll("_", " ") : "everything"}
              </option>
            ))}
          </select>{" "}
          <button type="button" onClick={() => void log.refetch()} disabled={log.isFetching}>
            Read again
          </button>
        </>
      }
    >
      <Answered
        query={log}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="No such event.">{kind ? "Choose “everything”, or wait for one." : "The log begins when trading does: tradepulse up"}</Empty>}
      >
        {(data) => <DataTable label="Events" testid="events" tall rows={data.items} columns={EVENTS} rowKey={(line) => String(line.cursor)} />}
      </Answered>
    </Panel>
  );
}

const SETTINGS: Column<SettingLine>[] = [
  { id: "name", header: "Setting", rowHeader: true, sortBy: (line) => line.name, cell: (line) => <code>{line.name}</code> },
  { id: "value", header: "Value", cell: (line) => line.value ?? <span className="muted">not set</span> },
  { id: "source", header: "Comes from", sortBy: (line) => line.source, cell: (line) => line.source },
];

function SettingsPanel() {
  const settings = useQuery(queries.settings());
  return (
    <Panel title="Settings in force" id="settings" aside={<span className="muted">secrets are hidden</span>}>
      <Answered query={settings}>{(data) => <DataTable label="Settings" tall rows={data} columns={SETTINGS} rowKey={(line) => line.name} />}</Answered>
    </Panel>
  );
}
