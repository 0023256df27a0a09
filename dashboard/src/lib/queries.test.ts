import { describe, expect, it } from "vitest";
import { marketIn, queries } from "./queries";

describe("a market in an address", () => {
  it("is taken when it is named in full, and not otherwise", () => {
    const market = { exchange: "simulated", symbol: "BTC/USDT", timeframe: "1h" };
    expect(marketIn({ ...market, more: 1 })).toEqual(market);
    expect(marketIn({ exchange: "simulated", symbol: 5, timeframe: "1h" })).toEqual({});
  });
});

describe("a question about money", () => {
  it("has the book in its key, so that two books never share an answer", () => {
    const keyed = [queries.summary, queries.equity, queries.positions, queries.orders, queries.trades, queries.statistics, queries.days, queries.risk];
    for (const question of keyed) expect(question("a").queryKey).not.toEqual(question("b").queryKey);
  });
});
