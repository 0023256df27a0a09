import type { TrainingJobLine, TrainingJobStory, UnitLine } from "../../generated/api";
import { hasEnded } from "./queries";

export interface Pace {
  done: number;
  failed: number;
  total: number;
  /** Parameter sets tried on candles so far. */
  trials: number;
  /** Parts ended per hour since a worker began; null while none has. */
  perHour: number | null;
  millisecondsLeft: number | null;
}

/** How fast a job goes by what has ended since it began. Parts differ in size, so the time left is a rough one. */
export function paceOf(job: TrainingJobStory, now: number): Pace {
  const failed = job.parts.filter((part) => part.state === "failed").length;
  const trials = job.parts.reduce((sum, part) => sum + part.trials, 0);
  const until = job.finished_at ?? now;
  const elapsed = job.started_at === null ? 0 : Math.max(0, until - job.started_at);
  const perHour = job.units_done > 0 && elapsed > 0 ? (job.units_done / elapsed) * 3_600_000 : null;
  const isAtWork = job.state === "running";
  const millisecondsLeft = perHour !== null && isAtWork ? ((job.units - job.units_done) / perHour) * 3_600_000 : null;
  return { done: job.units_done, failed, total: job.units, trials, perHour, millisecondsLeft };
}

/** A part's tries for each second of work; null before it has ended. */
export const rateOf = (part: UnitLine): number | null => (part.seconds > 0 ? part.trials / part.seconds : null);

/** What was asked for, so that it can be asked for once more. */
export const requestOf = (job: TrainingJobLine) => ({
  symbols: job.symbols,
  exchanges: job.exchanges,
  strategies: job.strategies,
  market_regimes: job.market_regimes,
  timeframes: job.timeframes,
  since: job.since,
  until: job.until,
  points: job.points,
  seed: job.seed,
  challenger: false,
});

/** Broken off or failed: the one kind of job that may be begun once more. */
export const mayGoOn = (job: TrainingJobLine): boolean => hasEnded(job.state) && job.state !== "finished";
