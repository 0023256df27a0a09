import { Moment } from "../../app/times";
import { Mark } from "../../components/Mark";
import { Panel } from "../../components/Panel";
import { combinationTitle } from "../../lib/combination";
import { conditionTitle, inR, measured, number, percent } from "../../lib/format";
import { StepsTable } from "./StepsTable";
import type { CombinationReport, Figures, Published, Values } from "./report";
import { VerdictMark } from "./VerdictMark";

/** What the gate found about one combination, and by which figures. */
export function CombinationPanel({ report, defaults }: { report: CombinationReport; defaults: Values | undefined }) {
  return (
    <Panel title={`${report.symbol} · ${combinationTitle(report)}`} id="combination" aside={<VerdictMark verdict={report.verdict} />}>
      <div className="panel-body">
        <p>
          {report.reason}
          {report.falls_back_to && ` It trades with what passed for ${report.falls_back_to === "any" ? "all regimes" : report.falls_back_to}.`}
        </p>
      </div>
      <FiguresTable report={report} />
      <StepsTable label="Checks of the gate" steps={report.steps} />
      <ValuesTable values={report.values} defaults={defaults} />
      {report.data && (
        <p className="panel-note muted">
          {number(report.data.candles, 0)} candles, <Moment time={report.data.first} /> to <Moment time={report.data.last} />, hash {report.data.hash.slice(0, 12)}. Parameters{" "}
          {report.parameters_id}, origin {report.origin}.
        </p>
      )}
    </Panel>
  );
}

function FiguresTable({ report: { training, held_out, published, verdict } }: { report: CombinationReport }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="In sample and out of sample, scrollable">
      <table aria-label="In sample and out of sample" data-testid="in-and-out">
        <FiguresHead />
        <tbody>
          <FiguresRow title="In sample" figures={training} />
          <FiguresRow title="Out of sample (held out)" figures={held_out} />
          <PublishedRow title={verdict === "deployed" ? "Published (pooled)" : "Pooled, not published"} figures={published} />
        </tbody>
      </table>
    </div>
  );
}

export function FiguresHead() {
  return (
    <thead>
      <tr>
        <th scope="col">Trades that count</th>
        {["Trades", "Won", "Precision", "At least", "Break-even", "Expectancy", "Std. error"].map((name) => (
          <th key={name} scope="col" className="figure-cell">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

export function FiguresRow({ title, figures }: { title: string; figures: Figures }) {
  const cells = [
    number(figures.trades, 0),
    number(figures.wins, 0),
    percent(figures.precision),
    figures.trades > 0 ? percent(figures.precision_lower) : "–",
    percent(figures.break_even),
    inR(figures.expectancy_r),
    figures.standard_error === null ? "–" : `± ${number(figures.standard_error, 2)} R`,
  ];
  return <Row title={title} cells={cells} />;
}

function PublishedRow({ title, figures }: { title: string; figures: Published | null }) {
  if (!figures) return <Row title={title} cells={["not estimated", "–", "–", "–", "–", "–", "–"]} />;
  const cells = [
    `${measured(figures.effective_trades)} effective`,
    "–",
    percent(figures.precision),
    percent(figures.precision_lower),
    percent(figures.break_even),
    `${inR(figures.expectancy_r)}, at least ${inR(figures.expectancy_lower)}`,
    "–",
  ];
  return <Row title={title} cells={cells} />;
}

function Row({ title, cells }: { title: string; cells: string[] }) {
  return (
    <tr>
      <th scope="row">{title}</th>
      {cells.map((cell, index) => (
        <td key={index} className="figure-cell">
          {cell}
        </td>
      ))}
    </tr>
  );
}

export const valueInWords = (value: number | string | undefined): string => (value === undefined ? "–" : typeof value === "number" ? measured(value) : value);

export function ValuesTable({ values, defaults }: { values: Values; defaults?: Values | undefined }) {
  return (
    <details className="more">
      <summary>Parameters</summary>
      <div className="scroll" tabIndex={0} role="region" aria-label="Parameters, scrollable">
        <table aria-label="Parameters">
          <thead>
            <tr>
              <th scope="col">Parameter</th>
              <th scope="col" className="figure-cell">
                Value
              </th>
              {defaults && (
                <th scope="col" className="figure-cell">
                  Default
                </th>
              )}
              {defaults && <th scope="col">Compared</th>}
            </tr>
          </thead>
          <tbody>
            {Object.entries(values).map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{conditionTitle(name)}</th>
                <td className="figure-cell">{valueInWords(value)}</td>
                {defaults && <td className="figure-cell muted">{valueInWords(defaults[name])}</td>}
                {defaults && <td>{defaults[name] === value ? <span className="muted">default</span> : <Mark tone="special">chosen</Mark>}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
