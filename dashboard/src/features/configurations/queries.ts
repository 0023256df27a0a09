import { queryOptions } from "@tanstack/react-query";
import { get } from "../../lib/api";
import type { Asset } from "../../lib/combination";

/** What training and people put into force is no event of the feed. */
const FORCE_MILLISECONDS = 30_000;

export const configurationQueries = {
  matrix: ({ exchange, symbol }: Asset) =>
    queryOptions({
      queryKey: ["matrix", exchange, symbol],
      queryFn: ({ signal }) => get("/api/training/matrix", { query: { symbol, exchange }, signal }),
      refetchInterval: FORCE_MILLISECONDS,
    }),
  ofAsset: ({ exchange, symbol }: Asset) =>
    queryOptions({
      queryKey: ["configurations", exchange, symbol],
      queryFn: ({ signal }) => get("/api/training/configurations", { query: { symbol, exchange }, signal }),
      refetchInterval: FORCE_MILLISECONDS,
    }),
  inForce: () =>
    queryOptions({
      queryKey: ["configurations", "in force"],
      queryFn: ({ signal }) => get("/api/training/configurations", { query: { active: true }, signal }),
      refetchInterval: FORCE_MILLISECONDS,
    }),
  one: (configurationId: string) =>
    queryOptions({
      queryKey: ["configurations", "one", configurationId],
      queryFn: ({ signal }) => get("/api/training/configurations/{configuration_id}", { path: { configuration_id: configurationId }, signal }),
    }),
};
