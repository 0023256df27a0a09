import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Answered } from "../../components/Answered";
import { Figure, Figures } from "../../components/Figures";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import { RegimeMatrix } from "../../components/RegimeMatrix";
import { Switch } from "../../components/Switch";
import { ANY_REGIME, type Asset, isSame, REGIMES, STRATEGIES } from "../../lib/combination";
import { inR, number, percent, strategyTitle } from "../../lib/format";
import { CombinationPanel } from "./CombinationPanel";
import { FamilyPanel, PicturePanels } from "./FamilyPanel";
import { evidenceQueries } from "./queries";
import { type CombinationReport, familyOf, type LeftOut, mostTelling, type Report } from "./report";
import { VerdictMark } from "./VerdictMark";

export function EvidenceScreen() {
  const { jobId } = useParams({ from: "/training/$jobId/evidence" });
  const report = useQuery(evidenceQueries.report(jobId));
  return (
    <Page title="Evidence" about="What a training found, in sample and out of sample, and what the gate said to it.">
      <p>
        <Link to="/training/$jobId" params={{ jobId }}>
          The training job
        </Link>{" "}
        · <Link to="/configurations">Configurations</Link>
      </p>
      <Answered query={report}>{(data) => <Evidence jobId={jobId} report={data} />}</Answered>
    </Page>
  );
}

function Evidence({ jobId, report }: { jobId: string; report: Report }) {
  const search = useSearch({ from: "/training/$jobId/evidence" });
  const chosen = report.combinations.find((one) => isSame(one, search)) ?? mostTelling(report.combinations);
  const family = chosen && familyOf(report, chosen);
  return (
    <>
      <SummaryPanel report={report} />
      {chosen && <MatrixPanel jobId={jobId} report={report} chosen={chosen} />}
      {chosen && <CombinationPanel report={chosen} defaults={family?.defaults.values} />}
      {family && <FamilyPanel family={family} />}
      {family && <PicturePanels family={family} />}
      {report.left_out.length > 0 && <LeftOutPanel lines={report.left_out} />}
    </>
  );
}

function SummaryPanel({ report: { summary, honesty } }: { report: Report }) {
  return (
    <Panel title="In all" id="summary">
      <Figures>
        <Figure label="Combinations that passed" main={summary.deployed}>
          of {summary.judged} judged
        </Figure>
        <Figure label="Families that passed" main={summary.families_passed}>
          of {summary.families}: a strategy on a timeframe, over all markets
        </Figure>
        <Figure label="Distinct trials ever made" main={honesty.trials === undefined ? "–" : number(honesty.trials, 0)}>
          each counts against every claim
        </Figure>
      </Figures>
      <p className="panel-note">
        {summary.deployed === 0
          ? "Nothing passed, so nothing new is traded. That is a normal outcome: on most markets most rules have no edge after costs."
          : "Passed means: good enough for paper or half size, not a promise."}
      </p>
    </Panel>
  );
}

const nameOf = ({ exchange, symbol }: Asset): string => `${symbol} on ${exchange}`;

function MatrixPanel({ jobId, report, chosen }: { jobId: string; report: Report; chosen: CombinationReport }) {
  const navigate = useNavigate();
  const markets = [...new Set(report.combinations.map(nameOf))].sort();
  const here = report.combinations.filter((one) => nameOf(one) === nameOf(chosen));
  const strategies = STRATEGIES.filter((strategy) => here.some((one) => one.strategy === strategy)).map((strategy) => ({ value: strategy, label: strategyTitle(strategy) }));
  const go = (combination: CombinationReport | undefined): void => {
    if (combination) void navigate({ to: "/training/$jobId/evidence", params: { jobId }, search: named(combination), replace: true });
  };
  const ofStrategy = here.filter((one) => one.strategy === chosen.strategy);
  return (
    <Panel title="By regime and timeframe" id="by-regime">
      <div className="panel-body picker-row">
        <label className="inline-field">
          Market
          <select value={nameOf(chosen)} onChange={(event) => go(mostTelling(report.combinations.filter((one) => nameOf(one) === event.target.value)))}>
            {markets.map((market) => (
              <option key={market}>{market}</option>
            ))}
          </select>
        </label>
        <Switch
          label="Strategy"
          name="evidence-strategy"
          options={strategies}
          value={chosen.strategy}
          choose={(strategy) => go(mostTelling(here.filter((one) => one.strategy === strategy)))}
        />
      </div>
      <RegimeMatrix
        label="Verdicts by regime and timeframe"
        regimes={[...REGIMES, ANY_REGIME]}
        cells={ofStrategy}
        draw={(cell) => (
          <Link to="/training/$jobId/evidence" params={{ jobId }} search={named(cell)} replace className="cell" aria-current={isSame(cell, chosen) ? "true" : undefined}>
            <VerdictMark verdict={cell.verdict} />
            <span className="muted">{heldOut(cell)}</span>
          </Link>
        )}
      />
    </Panel>
  );
}

const named = ({ exchange, symbol, timeframe, strategy, regime }: CombinationReport) => ({ exchange, symbol, timeframe, strategy, regime });

function heldOut({ held_out }: CombinationReport): string {
  if (held_out.trades === 0) return "no held-out trade";
  return `${held_out.trades} trades, ${percent(held_out.precision, 0)} (≥ ${percent(held_out.precision_lower, 0)}), ${inR(held_out.expectancy_r)}`;
}

function LeftOutPanel({ lines }: { lines: LeftOut[] }) {
  const reasons = [...new Set(lines.map((line) => line.reason))];
  return (
    <Panel title="Left out" id="left-out">
      <ul className="panel-body">
        {reasons.map((reason) => (
          <li key={reason}>
            {reason}: <span className="muted">{[...new Set(lines.filter((line) => line.reason === reason).map((line) => line.series))].join(", ")}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
