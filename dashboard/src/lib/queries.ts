import { queryOptions } from "@tanstack/react-query";
import { get } from "./api";

export interface Market {
  exchange: string;
  symbol: string;
  timeframe: string;
}

export const CANDLE_LIMIT = 1500;
export const TRADE_LIMIT = 200;
export const SETUP_LIMIT = 100;
/** What the trader is doing is no event: it is asked for. */
const STATUS_MILLISECONDS = 5000;

export type SetupFilter = "all" | "taken" | "denied";

/** Every question this page asks. The first word of a key is what the live feed names when it must be asked again. */
export const queries = {
  status: () =>
    queryOptions({
      queryKey: ["status"],
      queryFn: ({ signal }) => get("/api/system/status", { signal }),
      refetchInterval: STATUS_MILLISECONDS,
    }),
  coverage: () => queryOptions({ queryKey: ["coverage"], queryFn: ({ signal }) => get("/api/data/coverage", { signal }) }),
  summary: () => queryOptions({ queryKey: ["summary"], queryFn: ({ signal }) => get("/api/portfolio/summary", { signal }) }),
  equity: () =>
    queryOptions({
      queryKey: ["equity"],
      queryFn: ({ signal }) => get("/api/portfolio/history", { query: { limit: 5000 }, signal }),
    }),
  positions: () => queryOptions({ queryKey: ["positions"], queryFn: ({ signal }) => get("/api/trades/active", { signal }) }),
  trades: () =>
    queryOptions({
      queryKey: ["trades"],
      queryFn: ({ signal }) => get("/api/trades/history", { query: { limit: TRADE_LIMIT }, signal }),
    }),
  statistics: () =>
    queryOptions({ queryKey: ["statistics"], queryFn: ({ signal }) => get("/api/trades/statistics", { signal }) }),
  story: (tradeId: string) =>
    queryOptions({
      queryKey: ["story", tradeId],
      queryFn: ({ signal }) => get("/api/trades/{trade_id}", { path: { trade_id: tradeId }, signal }),
    }),
  setups: (filter: SetupFilter, symbol: string | null) =>
    queryOptions({
      queryKey: ["setups", filter, symbol],
      queryFn: ({ signal }) =>
        get("/api/patterns/setups", {
          query: { limit: SETUP_LIMIT, taken: filter === "all" ? null : filter === "taken", symbol },
          signal,
        }),
    }),
  candles: (market: Market) =>
    queryOptions({
      queryKey: ["candles", market.exchange, market.symbol, market.timeframe],
      queryFn: ({ signal }) => get("/api/analytics/candles", { query: { ...market, limit: CANDLE_LIMIT }, signal }),
    }),
};
