import { describe, expect, it } from "vitest";
import type { CommandState } from "../generated/api";
import { outcomeOf } from "./commands";

const state = (changes: Partial<CommandState>): CommandState => ({
  command_id: "c1",
  book: "paper",
  kind: "halt",
  subject: "",
  reason: "news",
  requested_by: "Ada",
  requested_at: 0,
  status: "done",
  outcome: "halted",
  traded: true,
  ...changes,
});

describe("what became of commands", () => {
  it("is told once where several ended alike", () => {
    expect(outcomeOf([state({}), state({ book: "other" })])).toBe("Done: halted.");
  });
  it("is an error where one was refused, though others were done", () => {
    expect(() => outcomeOf([state({}), state({ status: "refused", outcome: "it is closed already" })])).toThrow("Refused: it is closed already.");
  });
  it("says that nobody trades, rather than that it was done", () => {
    expect(outcomeOf([state({ status: "waiting", traded: false })])).toContain("Nothing trades this book now");
    expect(outcomeOf([state({ status: "taken" })])).toContain("has not answered yet");
  });
});
