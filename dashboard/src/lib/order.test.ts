import { describe, expect, it } from "vitest";
import { inOrder, turned } from "./order";

describe("rows of a table", () => {
  const rows = [{ n: 2 }, { n: null }, { n: 10 }, { n: -1 }];
  const by = () => (row: { n: number | null }) => row.n;
  const values = (direction: "up" | "down") => inOrder(rows, { column: "n", direction }, by).map((row) => row.n);

  it("are sorted by value, what is unknown last either way", () => {
    expect(values("up")).toEqual([-1, 2, 10, null]);
    expect(values("down")).toEqual([10, 2, -1, null]);
  });
  it("stay as they came where no column is chosen or the column has no order", () => {
    expect(inOrder(rows, null, by)).toBe(rows);
    expect(inOrder(rows, { column: "x", direction: "up" }, () => undefined)).toBe(rows);
  });
  it("turn with each press", () => {
    const first = turned(null, "n");
    expect([first.direction, turned(first, "n").direction, turned(first, "m").direction]).toEqual(["down", "up", "down"]);
  });
});
