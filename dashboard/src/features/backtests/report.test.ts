import { describe, expect, it } from "vitest";
import { curveOf, sumOf } from "./report";

describe("sums of money", () => {
  it("are exact, whatever the places and the signs", () => {
    expect(sumOf(["0.1", "0.2", "-16.7342972"])).toBe("-16.4342972");
    expect(sumOf(["-0.5", "0.25", "0.25"])).toBe("0.00");
    expect(sumOf([])).toBe("0");
  });
});

it("the curve of a backtest begins with its cash, so that a first loss is a drawdown", () => {
  const equity = { backtest_id: "b", initial_cash: "100", points: [{ time: 2000, equity: "90" }, { time: 3000, equity: "110" }] };
  const curve = curveOf(equity, 1000);
  expect(curve.equity).toEqual([100, 90, 110]);
  expect(curve.drawdown.map((value) => Math.round(value))).toEqual([0, -10, 0]);
});
