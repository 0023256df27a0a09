import { describe, expect, it } from "vitest";
import { curveOfR, heatMapOf, heatOf, inAgainstOut, logitBars } from "./pictures";

describe("the plateau's map", () => {
  it("has a column and a row for each value where there are few, the highest row first, and means where sets meet", () => {
    const map = heatMapOf({ parameters: ["a", "b"], points: [[1, 10, 2], [1, 10, 4], [2, 20, -1]] });
    expect(map.columns).toEqual([1, 2]);
    expect(map.rows).toEqual([20, 10]);
    expect(map.cells.map((row) => row.map((cell) => cell.score))).toEqual([
      [null, -1],
      [3, null],
    ]);
  });

  it("steps evenly over the range where there are many, and loses no set", () => {
    const points = Array.from({ length: 100 }, (_, index): [number, number, number] => [index, index % 3, 1]);
    const map = heatMapOf({ parameters: ["a", "b"], points });
    expect(map.columns).toHaveLength(8);
    expect(map.cells.flat().reduce((sum, cell) => sum + cell.count, 0)).toBe(100);
  });

  it("shades by the share of the largest score, with its sign", () => {
    expect([heatOf(3, 3), heatOf(0.5, 3), heatOf(-2, 3)]).toEqual([3, 1, -2]);
  });
});

describe("the equity of held-out trades", () => {
  it("begins at nothing, so that a first loss is a drawdown, and takes the last of trades that end together", () => {
    const curve = curveOfR([[1000, -1, "A"], [2000, 1, "A"], [2000, 0.5, "B"]]);
    expect(curve).toEqual({ x: [1, 2], equity: [-1, 0.5], drawdown: [-1, 0], deepest: -1 });
  });
});

it("the bars of the logits stand in the middle of their edges", () => {
  const cscv = { pbo: 0.5, splits: 3, histogram: { edges: [-1, 0, 1], counts: [1, 2] }, loss_probability: null, slope: null };
  expect(logitBars(cscv)).toEqual({ x: [-0.5, 0.5], heights: [1, 2] });
});

it("in sample against out of sample rises along the first and keeps the plateau apart", () => {
  expect(inAgainstOut([[2, 1, 9], [1, 3, 9], [null, 1, 0]])).toEqual({ x: [1, 2], out: [3, null], plateau: [null, 1] });
});
