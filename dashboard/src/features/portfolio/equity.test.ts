import { describe, expect, it } from "vitest";
import { curveOf } from "./equity";

const at = (time: number, equity: string) => ({ time, cash: equity, equity });

describe("the equity curve", () => {
  it("measures drawdown from the highest equity so far", () => {
    const curve = curveOf([at(0, "100"), at(1000, "200"), at(2000, "150"), at(3000, "210")]);
    expect(curve.drawdown.map(({ value }) => value)).toEqual([0, 0, -25, 0]);
    expect(curve.deepest).toBe(-25);
  });
  it("keeps the last of several marks in one second", () => {
    expect(curveOf([at(1000, "1"), at(1500, "2")]).equity).toEqual([{ time: 1, value: 2 }]);
  });
  it("is empty without marks", () => {
    expect(curveOf([])).toEqual({ equity: [], drawdown: [], deepest: 0 });
  });
});
