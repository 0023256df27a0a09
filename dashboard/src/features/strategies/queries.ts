import { queryOptions } from "@tanstack/react-query";
import { get } from "../../lib/api";
import type { Book } from "../../lib/queries";

const RANGES_LISTED = 20;

export const strategyQueries = {
  all: () => queryOptions({ queryKey: ["strategies"], queryFn: ({ signal }) => get("/api/patterns/strategies", { signal }) }),
  /** With what the next training may use of each. */
  parameters: (strategy: string) =>
    queryOptions({
      queryKey: ["parameters", strategy],
      queryFn: ({ signal }) => get("/api/patterns/{strategy_id}/parameters", { path: { strategy_id: strategy }, signal }),
    }),
  /** How the allowed ranges were set, newest first. */
  ranges: (strategy: string) =>
    queryOptions({
      queryKey: ["parameters", strategy, "versions"],
      queryFn: ({ signal }) => get("/api/patterns/{strategy_id}/parameters/versions", { path: { strategy_id: strategy }, query: { limit: RANGES_LISTED }, signal }),
    }),
  performance: (book: Book) =>
    queryOptions({
      queryKey: ["statistics", "of strategies", book],
      queryFn: ({ signal }) => get("/api/patterns/performance", { query: { book }, signal }),
    }),
};
