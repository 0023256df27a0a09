import type { ReactNode } from "react";

export type Tone = "good" | "bad" | "neutral" | "special";

const SIGNS: Record<Tone, string> = { good: "✓", bad: "▲", neutral: "–", special: "◆" };

/** A state in a word, a sign and a colour: none of them alone carries it. */
export function Mark({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`mark mark-${tone}`}>
      <span aria-hidden="true">{SIGNS[tone]}</span> {children}
    </span>
  );
}
