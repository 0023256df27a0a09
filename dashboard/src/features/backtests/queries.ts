import { queryOptions } from "@tanstack/react-query";
import { get } from "../../lib/api";
import { reportIn } from "./report";

/** What workers do is no event of the feed. */
const AT_WORK_MILLISECONDS = 2000;
const LISTED = 100;
const TRADES_LISTED = 500;

export const backtestQueries = {
  all: () =>
    queryOptions({
      queryKey: ["backtests"],
      queryFn: async ({ signal }) => (await get("/api/backtests", { query: { limit: LISTED }, signal })).items.map(reportIn),
    }),
  /** Waiting, at work, cancelled and failed ones; what has finished is in the list of results. */
  jobs: () =>
    queryOptions({
      queryKey: ["backtest jobs"],
      queryFn: ({ signal }) => get("/api/jobs", { query: { kind: ["backtest"], limit: LISTED }, signal }),
      refetchInterval: AT_WORK_MILLISECONDS,
    }),
  one: (backtestId: string) =>
    queryOptions({
      queryKey: ["backtest", backtestId],
      queryFn: async ({ signal }) => reportIn(await get("/api/backtests/{backtest_id}", { path: { backtest_id: backtestId }, signal })),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  trades: (backtestId: string) =>
    queryOptions({
      queryKey: ["backtest trades", backtestId],
      queryFn: ({ signal }) => get("/api/backtests/{backtest_id}/trades", { path: { backtest_id: backtestId }, query: { limit: TRADES_LISTED }, signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  equity: (backtestId: string) =>
    queryOptions({
      queryKey: ["backtest equity", backtestId],
      queryFn: ({ signal }) => get("/api/backtests/{backtest_id}/equity", { path: { backtest_id: backtestId }, signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
};
