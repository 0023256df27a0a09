import { Mark, type Tone } from "../../components/Mark";
import type { RiskState } from "../../generated/api";

const TONES: Record<RiskState, Tone> = { active: "good", reducing: "bad", halted: "bad" };

export const STATE_WORDS: Record<RiskState, string> = {
  active: "setups are entered",
  reducing: "exits only",
  halted: "nothing new, protection stays",
};

export function StateMark({ state }: { state: RiskState }) {
  return <Mark tone={TONES[state]}>{state}</Mark>;
}
