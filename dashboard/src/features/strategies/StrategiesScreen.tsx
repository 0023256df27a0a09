import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useBook } from "../../app/book";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { Mark } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { AllowedParameterLine, ConfigurationLine, ParameterLine, RangesLine, RequirementLine, StrategyLine, StrategyPerformance } from "../../generated/api";
import { regimeTitle } from "../../lib/combination";
import { conditionTitle, inR, measured, percent } from "../../lib/format";
import { configurationQueries } from "../configurations/queries";
import { strategyQueries } from "./queries";
import { RangesDialog } from "./RangesDialog";
import { allowedInWords, boundsInWords } from "./ranges";

export function StrategiesScreen() {
  const strategies = useQuery(strategyQueries.all());
  return (
    <Page title="Strategies" about="The setups that are looked for, the conditions each asks for, and the numbers that training may choose.">
      <Answered query={strategies}>{(data) => data.map((strategy) => <StrategyPanel key={strategy.strategy} strategy={strategy} />)}</Answered>
    </Page>
  );
}

function StrategyPanel({ strategy }: { strategy: StrategyLine }) {
  const performance = useQuery(strategyQueries.performance(useBook())).data?.find((line) => line.strategy === strategy.strategy);
  const inForce = useQuery(configurationQueries.inForce()).data?.items.filter((line) => line.strategy === strategy.strategy);
  return (
    <Panel title={strategy.title} id={strategy.strategy} aside={inForce && <Mark tone={inForce.length > 0 ? "good" : "neutral"}>{`${inForce.length} configurations in force`}</Mark>}>
      <Figures>
        <Figure label="Setups found" main={performance ? performance.setups : "–"}>
          {performance ? verdicts(performance) : "in the book that is looked at"}
        </Figure>
        <Figure label="Closed trades" main={performance ? performance.statistics.trades : "–"}>
          {performance && performance.statistics.trades > 0 ? `precision ${percent(performance.statistics.precision)}, at least ${percent(performance.statistics.precision_lower_bound)}` : "none yet"}
        </Figure>
        <Figure label="Expectancy" main={inR(performance?.statistics.expectancy_r ?? null)}>
          after all costs
        </Figure>
        <Figure label="In force on" main={inForce === undefined ? "–" : new Set(inForce.map((line) => `${line.exchange} ${line.symbol}`)).size}>
          {inForce && inForce.length > 0 ? <InForce lines={inForce} /> : <>no market: nothing trained is traded</>}
        </Figure>
      </Figures>
      <details className="more">
        <summary>What it looks for ({strategy.conditions.length} conditions)</summary>
        <DataTable label={`Conditions of ${strategy.title}`} rows={strategy.conditions} columns={CONDITIONS} rowKey={(one) => one.name} />
      </details>
      <Parameters strategy={strategy} />
    </Panel>
  );
}

function Parameters({ strategy }: { strategy: StrategyLine }) {
  const mayChange = mayTrade(useUser());
  const [isAsked, setAsked] = useState(false);
  const parameters = useQuery(strategyQueries.parameters(strategy.strategy));
  const versions = useQuery(strategyQueries.ranges(strategy.strategy)).data?.items;
  return (
    <details className="more">
      <summary>Its parameters ({strategy.parameters.length})</summary>
      <Answered query={parameters}>
        {(data) => (
          <>
            <DataTable label={`Parameters of ${strategy.title}`} rows={data} columns={PARAMETERS} rowKey={(one) => one.name} />
            {mayChange && versions && (
              <p className="panel-note">
                <button type="button" onClick={() => setAsked(true)}>
                  Set allowed ranges…
                </button>
              </p>
            )}
            {isAsked && versions && <RangesDialog strategy={strategy} parameters={data} version={versions[0]?.version ?? 0} close={() => setAsked(false)} />}
          </>
        )}
      </Answered>
      {versions && versions.length > 0 && <DataTable label={`How the ranges of ${strategy.title} were set`} testid="ranges" rows={versions} columns={RANGES} rowKey={(one) => String(one.version)} />}
    </details>
  );
}

function verdicts({ verdicts: counts }: StrategyPerformance): string {
  const words = Object.entries(counts)
    .slice(0, 3)
    .map(([verdict, count]) => `${count} ${verdict}`);
  return words.join(", ") || "none yet";
}

function InForce({ lines }: { lines: ConfigurationLine[] }) {
  return (
    <>
      {lines.slice(0, 4).map((line) => (
        <span key={line.configuration_id}>
          <Link to="/configurations/$configurationId" params={{ configurationId: line.configuration_id }}>
            {`${line.symbol} ${line.timeframe} ${regimeTitle(line.regime)}`}
          </Link>{" "}
        </span>
      ))}
      {lines.length > 4 && <Link to="/configurations">and {lines.length - 4} more</Link>}
    </>
  );
}

const CONDITIONS: Column<RequirementLine>[] = [
  { id: "name", header: "Condition", rowHeader: true, cell: (one) => conditionTitle(one.name) },
  { id: "threshold", header: "At the defaults", figure: true, cell: (one) => `${one.comparison} ${measured(one.threshold)}` },
  { id: "required", header: "Must hold", cell: (one) => (one.required ? <Mark tone="special">required</Mark> : <span className="muted">counts towards confluence</span>) },
  { id: "weight", header: "Weight", figure: true, cell: (one) => measured(one.weight) },
];

const PARAMETERS: Column<AllowedParameterLine>[] = [
  { id: "name", header: "Parameter", rowHeader: true, cell: (one) => conditionTitle(one.name) },
  { id: "default", header: "Default", figure: true, cell: (one) => (typeof one.default === "number" ? measured(one.default) : one.default) },
  { id: "bounds", header: "Bounds", figure: true, cell: boundsInWords },
  { id: "allowed", header: "Next training may use", figure: true, cell: (one) => (one.allowed ? <Mark tone="special">{allowedInWords(one)}</Mark> : <span className="muted">{allowedInWords(one)}</span>) },
  { id: "kind", header: "Kind", cell: (one) => KINDS[one.kind] },
  { id: "description", header: "What it is", cell: (one) => <span className="told">{one.description}</span> },
];

const RANGES: Column<RangesLine>[] = [
  { id: "version", header: "Version", rowHeader: true, figure: true, cell: (one) => one.version },
  { id: "at", header: "Set", cell: (one) => <Moment time={one.set_at} /> },
  { id: "by", header: "By", cell: (one) => one.set_by },
  { id: "reason", header: "Reason", cell: (one) => <span className="told">{one.reason}</span> },
  { id: "narrowed", header: "Narrowed", cell: (one) => <span className="told">{Object.keys(one.ranges).map(conditionTitle).join(", ") || "nothing"}</span> },
];

const KINDS: Record<ParameterLine["kind"], string> = { int: "whole number", float: "number", choice: "choice" };
