import type { BacktestEquity, BacktestLine } from "../../generated/api";

export interface Statistics {
  trades: number;
  wins: number;
  precision: number | null;
  precision_lower: number | null;
  expectancy_r: number | null;
  total_r: number | null;
  profit_factor: number | null;
  max_drawdown: number | null;
}

/** The parts of a stored backtest that are shown; the API passes it on as it was written. */
export interface BacktestReport {
  backtest_id: string;
  created_at: number;
  strategy: string;
  parameters_id: string;
  parameters: Record<string, number | string>;
  exchange: string;
  symbol: string;
  timeframe: string;
  method: string;
  fine: string | null;
  first: number;
  last: number;
  candles: number;
  missing: number;
  data_hash: string;
  code_version: string;
  simulated: boolean;
  market: { kind: string; tick_size: string; lot_size: string; maker_ppm: number; taker_ppm: number; slippage_ppm: number; source: string };
  account: { initial_cash: string; risk_ppm: number };
  statistics: Statistics;
  profit: string;
  final_cash: string;
  left_open: boolean;
  verdicts: Record<string, number>;
}

export interface BacktestTrade {
  trade_id: string;
  direction: number;
  quantity: string;
  entry_price: string;
  entry_time: number;
  exit_price: string;
  exit_time: number;
  exit_reason: string;
  fees: string;
  funding: string;
  profit: string;
  r_multiple: number;
  regime: string;
}

export const reportIn = (line: BacktestLine): BacktestReport => line as unknown as BacktestReport;
export const tradesIn = (items: Record<string, unknown>[]): BacktestTrade[] => items as unknown as BacktestTrade[];

/** A decimal text as whole units of its last place among `places`. */
const units = (text: string, places: number): bigint => {
  const isNegative = text.startsWith("-");
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const size = BigInt(whole + fraction.slice(0, places).padEnd(places, "0"));
  return isNegative ? -size : size;
};

/** The exact sum of decimal texts. */
export function sumOf(texts: string[]): string {
  const places = Math.max(0, ...texts.map((text) => text.split(".")[1]?.length ?? 0));
  const total = texts.reduce((sum, text) => sum + units(text, places), 0n);
  const figures = (total < 0n ? -total : total).toString().padStart(places + 1, "0");
  const whole = figures.slice(0, figures.length - places);
  return `${total < 0n ? "-" : ""}${whole}${places > 0 ? `.${figures.slice(-places)}` : ""}`;
}

/** "0.1 %" of parts per million. */
export const shareOfMillion = (ppm: number): number => ppm / 1_000_000;

export interface EquityCurve {
  x: number[];
  equity: number[];
  /** Share below the highest equity so far; never above zero. */
  drawdown: number[];
}

/** It begins with the cash before the first trade, so that a first loss is a drawdown. */
export function curveOf({ initial_cash, points }: BacktestEquity, first: number): EquityCurve {
  const known = new Map([[first / 1000, Number(initial_cash)], ...points.map((point) => [point.time / 1000, Number(point.equity)] as const)]);
  const x = [...known.keys()].sort((one, other) => one - other);
  const equity = x.map((time) => known.get(time) ?? 0);
  let peak = Number.NEGATIVE_INFINITY;
  const drawdown = equity.map((value) => {
    peak = Math.max(peak, value);
    return peak > 0 ? (value / peak - 1) * 100 : 0;
  });
  return { x, equity, drawdown };
}
