import type { CommandState } from "../generated/api";

/** How long a click waits for the trader's answer. */
export const WAIT_SECONDS = 5;

/** A command that was refused did nothing: the reason is what must be shown. */
export class CommandRefused extends Error {}

/** What became of commands, in words. */
export function outcomeOf(states: CommandState[]): string {
  const refused = states.filter((state) => state.status === "refused");
  if (refused.length > 0) throw new CommandRefused(`Refused: ${refused.map((state) => state.outcome).join("; ")}.`);
  const waiting = states.filter((state) => state.status !== "done");
  if (waiting.some((state) => !state.traded)) return "Nothing trades this book now: it is done when the trader starts.";
  if (waiting.length > 0) return "Sent. The trader has not answered yet.";
  return `Done: ${[...new Set(states.map((state) => state.outcome))].join("; ")}.`;
}
