import { describe, expect, it } from "vitest";
import type { AllowedParameterLine } from "../../generated/api";
import { allowedInWords, choiceOf, highOf, lowOf, rangesIn } from "./ranges";

const number: AllowedParameterLine = { name: "reward_risk", kind: "float", default: 2.5, description: "", low: 1, high: 5, choices: [], allowed: null };
const choice: AllowedParameterLine = { ...number, name: "stop_at", kind: "choice", default: "low", choices: ["low", "middle"] };

describe("ranges that are given", () => {
  it("name only what is narrower than its bounds, and leave an open end to the bound", () => {
    const form = new FormData();
    form.set(lowOf("reward_risk"), "2");
    form.set(highOf("reward_risk"), "");
    form.append(choiceOf("stop_at"), "low");
    expect(rangesIn(form, [number, choice])).toEqual({ reward_risk: { low: 2, high: null, choices: [] }, stop_at: { choices: ["low"] } });
    form.set(lowOf("reward_risk"), " ");
    form.append(choiceOf("stop_at"), "middle");
    expect(rangesIn(form, [number, choice])).toEqual({});
  });

  it("are read as what the next training may use", () => {
    expect(allowedInWords(number)).toBe("all of it");
    expect(allowedInWords({ ...number, allowed: { low: 2, high: null, choices: [] } })).toBe("2 to 5");
    expect(allowedInWords({ ...choice, allowed: { low: null, high: null, choices: ["middle"] } })).toBe("middle");
  });
});
