import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import type { CandleSeries, LiveCandle, SetupLine } from "../generated/api";
import { Intake, joined, offeredTimeframes, withCandle, withEquity, withSetup } from "./intake";

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

describe("an answer that was under way when a candle came", () => {
  const key = ["candles", "simulated", "BTC/USDT", "1m"];
  const lastTime = (client: QueryClient) => client.getQueryData<CandleSeries>(key)?.candles.at(-1)?.time;

  it("does not undo the candle, though it is older", async () => {
    const client = new QueryClient();
    const intake = new Intake(client, () => undefined, () => undefined, () => undefined);
    client.setQueryData(key, series);
    let answer: (series: CandleSeries) => void = () => undefined;
    const asked = client.fetchQuery({
      queryKey: key,
      queryFn: () => new Promise<CandleSeries>((resolve) => (answer = resolve)),
    });
    intake.take({ topic: "candles", sequence: null, data: { ...candle(120_000) } });
    expect(lastTime(client)).toBe(120_000);
    answer(series);
    await asked;
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(lastTime(client)).toBe(120_000);
    intake.stop();
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

describe("a setup from the socket", () => {
  const setup = { setup_id: "2", symbol: "BTC/USDT", taken: false } as SetupLine;
  const page = { items: [{ setup_id: "1" } as SetupLine, { setup_id: "2" } as SetupLine], next_cursor: 7 };
  it("comes on top, once", () => {
    expect(withSetup(page, "all", null, setup).items.map((item) => item.setup_id)).toEqual(["2", "1"]);
  });
  it("is left out where it was not asked for", () => {
    expect(withSetup(page, "taken", null, setup)).toBe(page);
    expect(withSetup(page, "denied", "ETH/USDT", setup)).toBe(page);
  });
});

describe("a timeframe that is not stored", () => {
  it("grows from finer candles and is whole with its last part", () => {
    let growing: Parameters<typeof joined>[0];
    const wholes: boolean[] = [];
    for (let minute = 5; minute < 10; minute++) {
      const step = joined(growing, { ...candle(minute * 60_000), high: minute, low: -minute }, "5m");
      growing = step.growing;
      wholes.push(step.whole);
    }
    expect(wholes).toEqual([false, false, false, false, true]);
    expect(growing).toMatchObject({ parts: 5, candle: { open_time: 300_000, timeframe: "5m", high: 9, low: -9, volume: 5 } });
  });
  it("is offered when a finer one is stored", () => {
    expect(offeredTimeframes(["15m"])).toEqual(["15m", "1h", "4h", "1d"]);
  });
});
