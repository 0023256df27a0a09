import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Moment } from "../../app/times";
import { Answered } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Mark } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { ConfigurationStory, MoveLine } from "../../generated/api";
import { combinationTitle } from "../../lib/combination";
import { told } from "../../lib/told";
import { CombinationPanel, ValuesTable } from "../evidence/CombinationPanel";
import { combinationReportIn } from "../evidence/report";
import { MoveButtons } from "./MoveButtons";
import { configurationQueries } from "./queries";
import { STAGE_WORDS } from "./stages";

export function ConfigurationScreen() {
  const { configurationId } = useParams({ from: "/configurations/$configurationId" });
  const story = useQuery(configurationQueries.one(configurationId));
  return (
    <Page title="Configuration" about={<code>{configurationId}</code>} actions={story.data && <MoveButtons configuration={story.data} />}>
      <p>
        <Link to="/configurations" search={story.data ? { exchange: story.data.exchange, symbol: story.data.symbol } : {}}>
          Configurations
        </Link>
      </p>
      <Answered query={story}>{(data) => <Story story={data} />}</Answered>
    </Page>
  );
}

function Story({ story }: { story: ConfigurationStory }) {
  const report = combinationReportIn(story.evidence);
  return (
    <>
      <StandingPanel story={story} />
      <LifePanel life={story.life} />
      {report && <CombinationPanel report={report} defaults={undefined} />}
    </>
  );
}

function StandingPanel({ story }: { story: ConfigurationStory }) {
  const { exchange, symbol, strategy, regime, timeframe } = story;
  return (
    <Panel
      title={`${symbol} on ${exchange} · ${combinationTitle(story)}`}
      id="standing"
      aside={
        <span data-testid="in-force">
          <Mark tone={story.active ? "good" : "neutral"}>{story.active ? "in force" : "not in force"}</Mark>
        </span>
      }
    >
      <dl className="facts">
        <dt>Version</dt>
        <dd>{story.version}</dd>
        <dt>Stage</dt>
        <dd>
          {story.stage}: {STAGE_WORDS[story.stage]}
        </dd>
        <dt>Origin</dt>
        <dd>
          {story.origin}, <Moment time={story.created_at} />
        </dd>
        <dt>Evidence</dt>
        <dd>
          {story.job_id === null ? (
            "It was not trained here."
          ) : (
            <Link to="/training/$jobId/evidence" params={{ jobId: story.job_id }} search={{ exchange, symbol, strategy, regime, timeframe }}>
              Evidence of its training
            </Link>
          )}
        </dd>
      </dl>
      <ValuesTable values={story.values} />
    </Panel>
  );
}

const MOVES: Column<MoveLine>[] = [
  { id: "time", header: "When", rowHeader: true, cell: (move) => <Moment time={move.time} /> },
  { id: "action", header: "What", cell: (move) => move.action },
  { id: "stage", header: "Stage", cell: (move) => move.stage },
  { id: "active", header: "In force", cell: (move) => (move.active ? "yes" : "no") },
  { id: "by", header: "By", cell: (move) => move.by },
  { id: "reason", header: "Reason", cell: (move) => <span className="told">{move.reason || "–"}</span> },
  { id: "figures", header: "Figures", cell: (move) => <span className="told muted">{told(move.figures)}</span> },
];

function LifePanel({ life }: { life: MoveLine[] }) {
  return (
    <Panel title="Its life" id="life" aside={<span className="count">oldest first</span>}>
      <DataTable label="Moves of the configuration" testid="life" rows={life} columns={MOVES} rowKey={(move) => `${move.time} ${move.action} ${move.active}`} />
    </Panel>
  );
}
