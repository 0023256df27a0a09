import { queryOptions } from "@tanstack/react-query";
import { get } from "../../lib/api";
import { reportIn } from "./report";

export const evidenceQueries = {
  /** A report never changes once it is written. */
  report: (jobId: string) =>
    queryOptions({
      queryKey: ["training report", jobId],
      queryFn: async ({ signal }) => reportIn(await get("/api/training/jobs/{job_id}/results", { path: { job_id: jobId }, signal })),
      staleTime: Number.POSITIVE_INFINITY,
    }),
};
