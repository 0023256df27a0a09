import { useQuery } from "@tanstack/react-query";
import { useBook } from "../../app/book";
import { Moment } from "../../app/times";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Panel } from "../../components/Panel";
import type { LogLine } from "../../generated/api";
import { told } from "../../lib/told";
import { queries } from "../../lib/queries";

const KINDS = ["risk_state_changed", "request_answered", "entries_locked", "drawdown_warned", "not_ready", "ready", "execution_alarm"];

const COLUMNS: Column<LogLine>[] = [
  { id: "time", header: "When", rowHeader: true, cell: (line) => <Moment time={line.time} seconds /> },
  { id: "kind", header: "What", cell: (line) => line.kind.replaceAll("_", " ") },
  { id: "told", header: "Told", cell: (line) => <span className="told">{told(line.data)}</span> },
];

/** What stopped trading, and who let it go on. */
export function RiskLog() {
  const log = useQuery(queries.log(useBook(), KINDS));
  return (
    <Panel title="What happened" id="risk-log">
      <Answered
        query={log}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="Nothing yet.">Halts, resumptions, locks and warnings are listed here as they come.</Empty>}
      >
        {(data) => <DataTable label="What happened" rows={data.items} columns={COLUMNS} rowKey={(line) => String(line.cursor)} />}
      </Answered>
    </Panel>
  );
}
