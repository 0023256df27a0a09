import type { ReactNode } from "react";
import { regimeTitle, TIMEFRAMES } from "../lib/combination";

interface Placed {
  strategy: string;
  regime: string;
  timeframe: string;
}

interface RegimeMatrixProps<Cell extends Placed> {
  label: string;
  regimes: string[];
  cells: Cell[];
  draw: (cell: Cell) => ReactNode;
}

/** One strategy on one market: a row a regime, a column a timeframe. Timeframes without a cell are left out. */
export function RegimeMatrix<Cell extends Placed>({ label, regimes, cells, draw }: RegimeMatrixProps<Cell>) {
  const timeframes = TIMEFRAMES.filter((timeframe) => cells.some((cell) => cell.timeframe === timeframe));
  const at = (regime: string, timeframe: string): Cell | undefined => cells.find((cell) => cell.regime === regime && cell.timeframe === timeframe);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`${label}, scrollable`}>
      <table className="matrix" aria-label={label}>
        <thead>
          <tr>
            <th scope="col">Regime</th>
            {timeframes.map((timeframe) => (
              <th key={timeframe} scope="col">
                {timeframe}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {regimes.map((regime) => (
            <tr key={regime}>
              <th scope="row">{regimeTitle(regime)}</th>
              {timeframes.map((timeframe) => {
                const cell = at(regime, timeframe);
                return <td key={timeframe}>{cell ? draw(cell) : <span className="muted">–</span>}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
