import { strategyTitle } from "./format";

/** A market on one exchange, whatever the timeframe: what a matrix is about. */
export interface Asset {
  exchange: string;
  symbol: string;
}

/** What is trained, judged and put into force by itself. */
export interface Combination extends Asset {
  timeframe: string;
  strategy: string;
  regime: string;
}

export const STRATEGIES = ["htf_sweep", "volume_breakout", "divergence_capitulation"];
export const REGIMES = ["bull", "bear", "sideways"];
export const TIMEFRAMES = ["1m", "5m", "15m", "1h", "4h", "1d"];
/** Of all regimes together: what a regime falls back to. */
export const ANY_REGIME = "any";

const texts = (search: Record<string, unknown>, names: string[]): boolean => names.every((name) => typeof search[name] === "string");

export function assetIn(search: Record<string, unknown>): Partial<Asset> {
  return texts(search, ["exchange", "symbol"]) ? { exchange: String(search["exchange"]), symbol: String(search["symbol"]) } : {};
}

/** A combination as it stands in an address; nothing where it is not named in full. */
export function combinationIn(search: Record<string, unknown>): Partial<Combination> {
  if (!texts(search, ["exchange", "symbol", "timeframe", "strategy", "regime"])) return {};
  const { timeframe, strategy, regime } = search as Record<string, string>;
  return { ...assetIn(search), timeframe: timeframe ?? "", strategy: strategy ?? "", regime: regime ?? "" };
}

export const isSame = (one: Partial<Combination>, other: Partial<Combination>): boolean =>
  one.exchange === other.exchange && one.symbol === other.symbol && one.timeframe === other.timeframe && one.strategy === other.strategy && one.regime === other.regime;

export const regimeTitle = (regime: string): string => (regime === ANY_REGIME ? "all regimes" : regime);

/** "HTF sweep · bull · 1h". */
export const combinationTitle = ({ strategy, regime, timeframe }: Pick<Combination, "strategy" | "regime" | "timeframe">): string =>
  `${strategyTitle(strategy)} · ${regimeTitle(regime)} · ${timeframe}`;
