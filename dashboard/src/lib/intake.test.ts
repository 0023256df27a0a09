import { describe, expect, it } from "vitest";
import type { CandleSeries } from "../generated/api";
import { type LiveCandle, withCandle, withEquity } from "./intake";

const series: CandleSeries = {
  exchange: "simulated",
  symbol: "BTC/USDT",
  timeframe: "1m",
  more: false,
  candles: [{ time: 60_000, open: 1, high: 2, low: 1, close: 2, volume: 1, regime: "bull" }],
};
const candle = (open_time: number): LiveCandle => ({
  exchange: "simulated",
  symbol: "BTC/USDT",
  timeframe: "1m",
  open_time,
  open: 2,
  high: 3,
  low: 2,
  close: 3,
  volume: 1,
});

describe("a candle from the socket", () => {
  it("is appended with the regime in force", () => {
    expect(withCandle(series, candle(120_000))?.candles.at(-1)).toMatchObject({ time: 120_000, regime: "bull" });
  });
  it("changes nothing when it came before", () => {
    expect(withCandle(series, candle(60_000))).toBe(series);
  });
  it("makes the series out of date when candles are missing in between", () => {
    expect(withCandle(series, candle(180_000))).toBeNull();
  });
});

describe("an equity mark from the socket", () => {
  const history = { book: "paper", points: [{ time: 5, cash: "1", equity: "1" }] };
  it("is appended in order of time", () => {
    expect(withEquity(history, { time: 6, cash: "2", equity: "2" })?.points).toHaveLength(2);
    expect(withEquity(history, { time: 5, cash: "2", equity: "2" })).toBe(history);
  });
  it("that cannot be read makes the curve out of date", () => {
    expect(withEquity(history, { time: "6" })).toBeNull();
  });
});
