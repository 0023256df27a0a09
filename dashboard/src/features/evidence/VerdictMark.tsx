import { Mark, type Tone } from "../../components/Mark";

const TONES: Record<string, Tone> = { deployed: "good", traded: "good", own: "good", "falls back": "special", parent: "special", defaults: "special", "not traded": "neutral" };

/** What the gate decided. */
export function VerdictMark({ verdict }: { verdict: string }) {
  return <Mark tone={TONES[verdict] ?? "neutral"}>{verdict}</Mark>;
}
