import { queryOptions } from "@tanstack/react-query";
import { get } from "./api";

export interface Market {
  exchange: string;
  symbol: string;
  timeframe: string;
}

/** A market as it stands in an address; nothing where it is not named in full. */
export function marketIn(search: Record<string, unknown>): Partial<Market> {
  const { exchange, symbol, timeframe } = search;
  const isNamed = typeof exchange === "string" && typeof symbol === "string" && typeof timeframe === "string";
  return isNamed ? { exchange, symbol, timeframe } : {};
}

export const CANDLE_LIMIT = 1500;
export const TRADE_LIMIT = 200;
export const SETUP_LIMIT = 100;
/** What the trader is doing is no event: it is asked for. */
const STATUS_MILLISECONDS = 5000;
const RISK_MILLISECONDS = 15_000;
/** What no event tells: how the machine does, and what works in the background. */
const HEALTH_MILLISECONDS = 5000;
/** Hours of candles change little in minutes. */
const CORRELATION_MILLISECONDS = 300_000;
const LOG_LIMIT = 200;

export type SetupFilter = "all" | "taken" | "denied";

/** The money that is looked at; null: the first book there is. */
export type Book = string | null;

/** Every question the pages ask. The first word of a key is what the live feed names when it must be asked again. */
export const queries = {
  status: () =>
    queryOptions({
      queryKey: ["status"],
      queryFn: ({ signal }) => get("/api/system/status", { signal }),
      refetchInterval: STATUS_MILLISECONDS,
    }),
  books: () => queryOptions({ queryKey: ["books"], queryFn: ({ signal }) => get("/api/portfolio/books", { signal }) }),
  /** Which of them is traded is no event. */
  wallets: () =>
    queryOptions({
      queryKey: ["wallets"],
      queryFn: ({ signal }) => get("/api/portfolio/wallets", { signal }),
      refetchInterval: RISK_MILLISECONDS,
    }),
  coverage: () => queryOptions({ queryKey: ["coverage"], queryFn: ({ signal }) => get("/api/data/coverage", { signal }) }),
  summary: (book: Book) =>
    queryOptions({
      queryKey: ["summary", book],
      queryFn: ({ signal }) => get("/api/portfolio/summary", { query: { book }, signal }),
    }),
  equity: (book: Book) =>
    queryOptions({
      queryKey: ["equity", book],
      queryFn: ({ signal }) => get("/api/portfolio/history", { query: { book, limit: 5000 }, signal }),
    }),
  positions: (book: Book) =>
    queryOptions({
      queryKey: ["positions", book],
      queryFn: ({ signal }) => get("/api/trades/active", { query: { book }, signal }),
    }),
  orders: (book: Book) =>
    queryOptions({
      queryKey: ["orders", book],
      queryFn: ({ signal }) => get("/api/portfolio/oco-orders", { query: { book }, signal }),
    }),
  trades: (book: Book) =>
    queryOptions({
      queryKey: ["trades", book],
      queryFn: ({ signal }) => get("/api/trades/history", { query: { book, limit: TRADE_LIMIT }, signal }),
    }),
  statistics: (book: Book) =>
    queryOptions({
      queryKey: ["statistics", book],
      queryFn: ({ signal }) => get("/api/trades/statistics", { query: { book }, signal }),
    }),
  days: (book: Book) =>
    queryOptions({
      queryKey: ["days", book],
      queryFn: ({ signal }) => get("/api/trades/daily-pnl", { query: { book }, signal }),
    }),
  story: (book: Book, tradeId: string) =>
    queryOptions({
      queryKey: ["story", book, tradeId],
      queryFn: ({ signal }) => get("/api/trades/{trade_id}", { path: { trade_id: tradeId }, query: { book }, signal }),
    }),
  setups: (book: Book, filter: SetupFilter, symbol: string | null) =>
    queryOptions({
      queryKey: ["setups", book, filter, symbol],
      queryFn: ({ signal }) =>
        get("/api/patterns/setups", {
          query: { book, limit: SETUP_LIMIT, taken: filter === "all" ? null : filter === "taken", symbol },
          signal,
        }),
    }),
  /** How much of each limit is used is no event: while somebody looks, it is asked for. */
  risk: (book: Book) =>
    queryOptions({
      queryKey: ["risk", book],
      queryFn: ({ signal }) => get("/api/portfolio/risk-management", { query: { book }, signal }),
      refetchInterval: RISK_MILLISECONDS,
    }),
  readiness: () =>
    queryOptions({
      queryKey: ["readiness"],
      queryFn: ({ signal }) => get("/api/system/readiness", { signal }),
      refetchInterval: HEALTH_MILLISECONDS,
    }),
  resources: () =>
    queryOptions({
      queryKey: ["resources"],
      queryFn: ({ signal }) => get("/api/system/resources", { signal }),
      refetchInterval: HEALTH_MILLISECONDS,
    }),
  version: () => queryOptions({ queryKey: ["version"], queryFn: ({ signal }) => get("/api/system/version", { signal }) }),
  settings: () => queryOptions({ queryKey: ["settings"], queryFn: ({ signal }) => get("/api/system/config", { signal }) }),
  trainingStatus: () =>
    queryOptions({
      queryKey: ["training status"],
      queryFn: ({ signal }) => get("/api/training/system-status", { signal }),
      refetchInterval: HEALTH_MILLISECONDS,
    }),
  correlation: (timeframe: string) =>
    queryOptions({
      queryKey: ["correlation", timeframe],
      queryFn: ({ signal }) => get("/api/analytics/correlation-matrix", { query: { timeframe }, signal }),
      staleTime: CORRELATION_MILLISECONDS,
    }),
  log: (book: Book, kinds: string[]) =>
    queryOptions({
      queryKey: ["log", book, kinds],
      queryFn: ({ signal }) => get("/api/trades/logs", { query: { book, kind: kinds.length > 0 ? kinds : null, limit: LOG_LIMIT }, signal }),
      // Most kinds are not told to this list: who comes back to it reads anew.
      staleTime: 0,
    }),
  candles: (market: Market) =>
    queryOptions({
      queryKey: ["candles", market.exchange, market.symbol, market.timeframe],
      queryFn: ({ signal }) => get("/api/analytics/candles", { query: { ...market, limit: CANDLE_LIMIT }, signal }),
    }),
};
