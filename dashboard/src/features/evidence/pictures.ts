import type { Cscv, Surface } from "./report";

export interface HeatCell {
  /** Mean score of the sets in it; null where none was tried often enough. */
  score: number | null;
  count: number;
}

export interface HeatMap {
  /** Lower edges of the columns, of the first parameter. */
  columns: number[];
  /** Lower edges of the rows, of the second parameter, highest first. */
  rows: number[];
  cells: HeatCell[][];
}

const MOST_CELLS = 8;

/** The distinct values where there are few of them, else equal steps over their range. */
function edgesOf(values: number[]): number[] {
  const distinct = [...new Set(values)].sort((one, other) => one - other);
  if (distinct.length <= MOST_CELLS) return distinct;
  const [least, most] = [distinct[0] ?? 0, distinct.at(-1) ?? 0];
  return Array.from({ length: MOST_CELLS }, (_, step) => least + ((most - least) * step) / MOST_CELLS);
}

const placeIn = (edges: number[], value: number): number => Math.max(0, edges.filter((edge) => edge <= value).length - 1);

/** Mean score over the two parameters that matter most. */
export function heatMapOf({ points }: Surface): HeatMap {
  const columns = edgesOf(points.map(([first]) => first));
  const upward = edgesOf(points.map(([, second]) => second));
  const scores: number[][][] = upward.map(() => columns.map(() => []));
  for (const [first, second, score] of points) scores[placeIn(upward, second)]?.[placeIn(columns, first)]?.push(score);
  const cells = scores.map((row) => row.map((inside) => ({ score: inside.length ? inside.reduce((sum, one) => sum + one, 0) / inside.length : null, count: inside.length })));
  return { columns, rows: upward.toReversed(), cells: cells.toReversed() };
}

/** From -3 (the worst there is) to 3 (the best); 0 is around nothing. The sign is the score's own. */
export function heatOf(score: number, largest: number): number {
  const share = largest > 0 ? Math.abs(score) / largest : 0;
  return Math.sign(score) * Math.ceil(Math.min(1, share) * 3);
}

/** Middles of the bars of the logits: below zero the best set in sample ended in the lower half out of sample. */
export const logitBars = ({ histogram: { edges, counts } }: Cscv): { x: number[]; heights: number[] } => ({
  x: counts.map((_, index) => ((edges[index] ?? 0) + (edges[index + 1] ?? 0)) / 2),
  heights: counts,
});

export interface CurveOfR {
  /** Unix seconds, each once. */
  x: number[];
  equity: number[];
  /** Distance below the highest sum so far; never above zero. */
  drawdown: number[];
  deepest: number;
}

/** The running sum of R as it stood at the end of each moment. It begins at nothing, so a first loss is a drawdown. */
export function curveOfR(points: [number, number, string][]): CurveOfR {
  const sums = new Map(points.map(([time, sum]) => [time / 1000, sum]));
  const x = [...sums.keys()].sort((one, other) => one - other);
  const equity = x.map((time) => sums.get(time) ?? 0);
  let peak = 0;
  const drawdown = equity.map((value) => {
    peak = Math.max(peak, value);
    return value - peak;
  });
  return { x, equity, drawdown, deepest: Math.min(0, ...drawdown) };
}

/** In sample against out of sample by rising in-sample figure; the first of the list is the plateau. */
export function inAgainstOut(points: [number | null, number | null, number][]): { x: number[]; out: (number | null)[]; plateau: (number | null)[] } {
  const known = points
    .map(([before, after], index) => ({ before, after, isPlateau: index === 0 }))
    .filter((one): one is { before: number; after: number; isPlateau: boolean } => one.before !== null && one.after !== null)
    .sort((one, other) => one.before - other.before);
  return {
    x: known.map((one) => one.before),
    out: known.map((one) => (one.isPlateau ? null : one.after)),
    plateau: known.map((one) => (one.isPlateau ? one.after : null)),
  };
}
