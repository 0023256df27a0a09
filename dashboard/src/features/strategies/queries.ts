import { queryOptions } from "@tanstack/react-query";
import { get } from "../../lib/api";
import type { Book } from "../../lib/queries";

export const strategyQueries = {
  all: () => queryOptions({ queryKey: ["strategies"], queryFn: ({ signal }) => get("/api/patterns/strategies", { signal }) }),
  performance: (book: Book) =>
    queryOptions({
      queryKey: ["statistics", "of strategies", book],
      queryFn: ({ signal }) => get("/api/patterns/performance", { query: { book }, signal }),
    }),
};
