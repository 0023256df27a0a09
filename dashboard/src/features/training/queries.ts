import { queryOptions } from "@tanstack/react-query";
import type { JobState } from "../../generated/api";
import { get } from "../../lib/api";

/** What workers do is no event of the feed: while something is at work, it is asked for. */
const AT_WORK_MILLISECONDS = 2000;
const LISTED = 50;
const ENDED: JobState[] = ["finished", "cancelled", "failed"];

export const hasEnded = (state: JobState): boolean => ENDED.includes(state);

export const trainingQueries = {
  jobs: () =>
    queryOptions({
      queryKey: ["training jobs"],
      queryFn: ({ signal }) => get("/api/training/jobs", { query: { limit: LISTED }, signal }),
      refetchInterval: AT_WORK_MILLISECONDS,
    }),
  job: (jobId: string) =>
    queryOptions({
      queryKey: ["training job", jobId],
      queryFn: ({ signal }) => get("/api/training/jobs/{job_id}", { path: { job_id: jobId }, signal }),
      refetchInterval: ({ state }) => (state.data && hasEnded(state.data.state) ? false : AT_WORK_MILLISECONDS),
    }),
};
