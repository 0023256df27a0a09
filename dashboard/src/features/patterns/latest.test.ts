import { describe, expect, it } from "vitest";
import type { ConditionLine, SetupLine } from "../../generated/api";
import { latestOf, missingWords } from "./latest";

const condition = (name: string, passed: boolean, required = true): ConditionLine => ({ name, passed, required, value: 1.1, comparison: ">=", threshold: 1.8, weight: 1 });
const setup = (symbol: string, found_at: number, passed: boolean): SetupLine =>
  ({ exchange: "x", symbol, timeframe: "1h", strategy: "s", found_at, conditions: [condition("a", true), condition("b", passed)] }) as SetupLine;

describe("the latest setups", () => {
  it("are one for each market, timeframe and strategy, the fullest first", () => {
    const latest = latestOf([setup("A", 1, true), setup("A", 2, false), setup("B", 1, true)]);
    expect(latest.map((one) => [one.symbol, one.found_at])).toEqual([
      ["B", 1],
      ["A", 2],
    ]);
  });
  it("say what was missing, what is required before context", () => {
    const words = missingWords([condition("regime agrees", false, false), condition("volume_ratio", false), condition("held", true)]);
    expect(words).toEqual(["volume ratio 1.1, asks for ≥ 1.8", "regime agrees 1.1, asks for ≥ 1.8"]);
  });
});
