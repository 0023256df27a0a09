import type { DayLine, TradeRow } from "../../generated/api";

export interface Bars {
  x: number[];
  heights: number[];
}

const WIDTH = 0.5;

/** How many trades ended in each half R; empty ones between the ends stand with zero. `x` is the middle of each. */
export function histogramOfR(trades: Pick<TradeRow, "r_multiple">[]): Bars {
  const counts = new Map<number, number>();
  for (const { r_multiple } of trades) {
    const bin = Math.floor(r_multiple / WIDTH);
    counts.set(bin, (counts.get(bin) ?? 0) + 1);
  }
  if (counts.size === 0) return { x: [], heights: [] };
  const [first, last] = [Math.min(...counts.keys()), Math.max(...counts.keys())];
  const bins = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return { x: bins.map((bin) => (bin + 0.5) * WIDTH), heights: bins.map((bin) => counts.get(bin) ?? 0) };
}

/** Profit by UTC day, in Unix seconds at the day's beginning. */
export const barsOfDays = (days: DayLine[]): Bars => ({
  x: days.map((day) => Date.parse(`${day.day}T00:00:00Z`) / 1000),
  heights: days.map((day) => Number(day.profit)),
});
