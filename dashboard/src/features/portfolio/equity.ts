import type { UTCTimestamp } from "lightweight-charts";
import type { EquityPoint } from "../../generated/api";
import { seconds } from "../market/regimes";

export interface Drawn {
  time: UTCTimestamp;
  value: number;
}

export interface EquityCurve {
  equity: Drawn[];
  /** Distance below the highest equity so far, in percent, never above zero. */
  drawdown: Drawn[];
  deepest: number;
}

export function curveOf(points: EquityPoint[]): EquityCurve {
  const equity: Drawn[] = [];
  for (const point of points) {
    const drawn = { time: seconds(point.time), value: Number(point.equity) };
    if (equity.at(-1)?.time === drawn.time) equity[equity.length - 1] = drawn;
    else equity.push(drawn);
  }
  let peak = Number.NEGATIVE_INFINITY;
  const drawdown = equity.map(({ time, value }) => {
    peak = Math.max(peak, value);
    return { time, value: peak > 0 ? (value / peak - 1) * 100 : 0 };
  });
  return { equity, drawdown, deepest: drawdown.reduce((least, { value }) => Math.min(least, value), 0) };
}
