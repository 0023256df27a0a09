import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useBook } from "../../app/book";
import { Answered } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Figure, Figures } from "../../components/Figures";
import { Mark } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import type { ConfigurationLine, ParameterLine, RequirementLine, StrategyLine, StrategyPerformance } from "../../generated/api";
import { regimeTitle } from "../../lib/combination";
import { conditionTitle, inR, measured, percent } from "../../lib/format";
import { configurationQueries } from "../configurations/queries";
import { strategyQueries } from "./queries";

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
      <details className="more">
        <summary>Its parameters ({strategy.parameters.length})</summary>
        <DataTable label={`Parameters of ${strategy.title}`} rows={strategy.parameters} columns={PARAMETERS} rowKey={(one) => one.name} />
      </details>
    </Panel>
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

const PARAMETERS: Column<ParameterLine>[] = [
  { id: "name", header: "Parameter", rowHeader: true, cell: (one) => conditionTitle(one.name) },
  { id: "default", header: "Default", figure: true, cell: (one) => (typeof one.default === "number" ? measured(one.default) : one.default) },
  { id: "range", header: "Allowed", figure: true, cell: (one) => (one.kind === "choice" ? one.choices.join(", ") : `${measured(one.low)} to ${measured(one.high)}`) },
  { id: "kind", header: "Kind", cell: (one) => KINDS[one.kind] },
  { id: "description", header: "What it is", cell: (one) => <span className="told">{one.description}</span> },
];

const KINDS: Record<ParameterLine["kind"], string> = { int: "whole number", float: "number", choice: "choice" };
