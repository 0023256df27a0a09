import type { JobState as State } from "../generated/api";
import { Mark, type Tone } from "./Mark";

const TONES: Record<State, Tone> = {
  queued: "neutral",
  running: "special",
  judging: "special",
  deploying: "special",
  finished: "good",
  cancelled: "neutral",
  failed: "bad",
};

const WORDS: Partial<Record<State, string>> = { queued: "waits for a worker" };

/** How far a job of the workers is. */
export function JobState({ state }: { state: State }) {
  return <Mark tone={TONES[state]}>{WORDS[state] ?? state}</Mark>;
}
