import { describe, expect, it } from "vitest";
import type { TrainingJobStory, UnitLine } from "../../generated/api";
import { mayGoOn, paceOf, requestOf } from "./progress";

const part = (state: UnitLine["state"], trials: number): UnitLine => ({
  exchange: "simulated", symbol: "BTC/USDT", timeframe: "1m", strategy: "htf_sweep", state, worker: null, candles: 0, trials, seconds: 0, problem: null,
});
const job: TrainingJobStory = {
  job_id: "j", state: "running", requested_by: "Tom", created_at: 0, started_at: 1000, finished_at: null, problem: null, code_version: "1",
  symbols: ["BTC/USDT"], exchanges: ["simulated"], strategies: ["htf_sweep"], market_regimes: ["bull"], timeframes: ["1m"], since: null, until: 5,
  ranges: [], points: 64, seed: 7, units: 4, units_done: 2, parts: [part("done", 65), part("failed", 0), part("running", 0), part("queued", 0)],
};

describe("the pace of a training job", () => {
  it("counts parts per hour of work and the time that the rest takes at that pace", () => {
    expect(paceOf(job, 11_000)).toEqual({ done: 2, failed: 1, total: 4, trials: 65, perHour: 720, millisecondsLeft: 10_000 });
  });

  it("is unknown before the first part has ended, and nothing is left once the job has", () => {
    expect(paceOf({ ...job, units_done: 0 }, 11_000).millisecondsLeft).toBeNull();
    const ended = paceOf({ ...job, state: "finished", units_done: 4, finished_at: 5000 }, 99_000);
    expect([ended.perHour, ended.millisecondsLeft]).toEqual([3600, null]);
  });
});

it("only what was broken off or has failed may be begun once more, with what was asked for", () => {
  const ended = (["queued", "running", "finished", "cancelled", "failed"] as const).filter((state) => mayGoOn({ ...job, state }));
  expect(ended).toEqual(["cancelled", "failed"]);
  expect(requestOf(job)).toMatchObject({ symbols: ["BTC/USDT"], until: 5, points: 64, seed: 7 });
});
