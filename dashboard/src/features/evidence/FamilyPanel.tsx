import { useMemo } from "react";
import { Moment } from "../../app/times";
import { Empty } from "../../components/Answered";
import { Panel } from "../../components/Panel";
import { Plot, type PlotSeries } from "../../components/Plot";
import { conditionTitle, inR, measured, number, percent, strategyTitle } from "../../lib/format";
import { FiguresHead, FiguresRow } from "./CombinationPanel";
import { curveOfR, heatMapOf, heatOf, inAgainstOut, logitBars } from "./pictures";
import type { Cscv, FamilyReport, Surface } from "./report";
import { StepsTable } from "./StepsTable";
import { VerdictMark } from "./VerdictMark";

/** A strategy on a timeframe over all markets of the job: what its combinations draw on. */
export function FamilyPanel({ family }: { family: FamilyReport }) {
  return (
    <Panel title={`The family: ${strategyTitle(family.strategy)} on ${family.timeframe}`} id="family" aside={<VerdictMark verdict={family.verdict} />}>
      <div className="panel-body">
        <p>{family.reason}</p>
        <p className="muted">
          {number(family.candles, 0)} candles of {family.series.length} series, <Moment time={family.first} /> to <Moment time={family.last} />; {number(family.points, 0)} parameter sets.
        </p>
      </div>
      <div className="scroll" tabIndex={0} role="region" aria-label="Plateau and defaults, scrollable">
        <table aria-label="Plateau and defaults">
          <FiguresHead />
          <tbody>
            {family.plateau && <FiguresRow title="Plateau, in sample" figures={family.plateau.training} />}
            {family.plateau && <FiguresRow title="Plateau, held out" figures={family.plateau.held_out} />}
            <FiguresRow title="Defaults, in sample" figures={family.defaults.training} />
            <FiguresRow title="Defaults, held out" figures={family.defaults.held_out} />
          </tbody>
        </table>
      </div>
      <StepsTable label="Checks of the gate, family" steps={family.steps} />
    </Panel>
  );
}

export function PicturePanels({ family }: { family: FamilyReport }) {
  return (
    <>
      <EquityPanel points={family.equity ?? []} />
      <div className="pair">
        <Panel title="In sample against out of sample" id="in-out">
          <InOut points={family.in_out ?? []} />
        </Panel>
        <Panel title="Overfitting (CSCV)" id="cscv">
          {family.cscv ? <Logits cscv={family.cscv} /> : <Empty title="The splits could not be compared.">Too few trades: train on more candles.</Empty>}
        </Panel>
      </div>
      <Panel title="Plateau" id="plateau" aside={<span className="count">mean score in sample</span>}>
        {family.surface && family.surface.points.length > 0 ? (
          <HeatTable surface={family.surface} />
        ) : (
          <Empty title="There is no surface to draw.">Too few parameter sets traded often enough: train on more candles.</Empty>
        )}
      </Panel>
    </>
  );
}

const rounded = (value: number): string => number(value, 1);

function EquityPanel({ points }: { points: [number, number, string][] }) {
  const curve = useMemo(() => curveOfR(points), [points]);
  const equity = useMemo<PlotSeries[]>(() => [{ label: "sum of R", values: curve.equity, kind: "line", colour: (palette) => palette.up }], [curve]);
  const drawdown = useMemo<PlotSeries[]>(() => [{ label: "drawdown", values: curve.drawdown, kind: "line", colour: (palette) => palette.down }], [curve]);
  const words = `${points.length} held-out trades made ${inR(curve.equity.at(-1) ?? null)}; the deepest drawdown was ${inR(curve.deepest)}`;
  return (
    <Panel title="Equity of the held-out trades, in R" id="equity">
      {points.length === 0 ? (
        <Empty title="The plateau made no held-out trade.">Train on more candles, or on more markets.</Empty>
      ) : (
        <>
          <Plot label={words} x={curve.x} time="moment" series={equity} format={rounded} />
          <Plot label={`Drawdown, deepest ${inR(curve.deepest)}`} x={curve.x} time="moment" series={drawdown} format={rounded} height={110} />
          <p className="panel-note muted">{words} below its peak. Each was made by the plateau that was chosen without its time.</p>
        </>
      )}
    </Panel>
  );
}

const inTwo = (value: number): string => number(value, 2);

function InOut({ points }: { points: [number | null, number | null, number][] }) {
  const { x, out, plateau } = useMemo(() => inAgainstOut(points), [points]);
  const series = useMemo<PlotSeries[]>(
    () => [
      { label: "kept what it promised", values: x, kind: "line", colour: (palette) => palette.muted },
      { label: "parameter sets", values: out, kind: "points", colour: (palette) => palette.up },
      { label: "the plateau", values: plateau, kind: "points", colour: (palette) => palette.down },
    ],
    [x, out, plateau],
  );
  if (x.length < 2) return <Empty title="Too few parameter sets traded often enough to compare.">Train on more candles.</Empty>;
  const words = `${x.length} parameter sets: mean R of earlier time (across) against the most recent time (up).`;
  return (
    <>
      <Plot label={words} x={x} series={series} format={inTwo} formatX={inTwo} />
      <p className="panel-note muted">{words} On the line a set keeps what it promised; a cloud without direction means that the past tells nothing. The other colour is the plateau.</p>
    </>
  );
}

function Logits({ cscv }: { cscv: Cscv }) {
  const { x, heights } = useMemo(() => logitBars(cscv), [cscv]);
  const series = useMemo<PlotSeries[]>(
    () => [
      { label: "worse half", values: heights.map((height, index) => ((x[index] ?? 0) < 0 ? height : null)), kind: "bars", colour: (palette) => palette.down },
      { label: "better half", values: heights.map((height, index) => ((x[index] ?? 0) >= 0 ? height : null)), kind: "bars", colour: (palette) => palette.up },
    ],
    [x, heights],
  );
  const words = `In ${percent(cscv.pbo)} of ${number(cscv.splits, 0)} splits the best set in sample ended in the lower half out of sample (PBO).`;
  return (
    <>
      <Plot label={words} x={x} series={series} format={(value) => number(value, 0)} formatX={inTwo} />
      <p className="panel-note muted">
        {words} Chance of a loss out of sample {percent(cscv.loss_probability)}, slope {measured(cscv.slope)}.
      </p>
    </>
  );
}

function HeatTable({ surface }: { surface: Surface }) {
  const map = useMemo(() => heatMapOf(surface), [surface]);
  const [first, second] = surface.parameters.map(conditionTitle);
  const largest = Math.max(...map.cells.flat().map((cell) => Math.abs(cell.score ?? 0)));
  return (
    <>
      <div className="scroll" tabIndex={0} role="region" aria-label="Plateau, scrollable">
        <table className="heat" aria-label={`Mean score by ${first} (across) and ${second} (down)`}>
          <thead>
            <tr>
              <th scope="col">
                {second} ↓ · {first} →
              </th>
              {map.columns.map((edge) => (
                <th key={edge} scope="col" className="figure-cell">
                  {measured(edge)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {map.rows.map((edge, row) => (
              <tr key={edge}>
                <th scope="row">{measured(edge)}</th>
                {map.cells[row]?.map(({ score, count }, column) => (
                  <td key={map.columns[column]} className={`figure-cell ${score === null ? "muted" : `heat${heatOf(score, largest)}`}`} title={`${count} parameter sets`}>
                    {score === null ? "–" : number(score, 2, { sign: true })}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="panel-note muted">
        The two parameters that matter most, from the value written on. A score is the mean R in its own standard errors (t). “–”: none traded often enough there. A good choice has good neighbours.
      </p>
    </>
  );
}
