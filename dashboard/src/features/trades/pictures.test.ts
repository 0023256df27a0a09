import { describe, expect, it } from "vitest";
import type { DayLine } from "../../generated/api";
import { barsOfDays, histogramOfR } from "./pictures";

describe("the pictures of the journal", () => {
  it("count trades by half R, with nothing left out in between", () => {
    expect(histogramOfR([{ r_multiple: -1 }, { r_multiple: -0.9 }, { r_multiple: 0.49 }, { r_multiple: 0.5 }])).toEqual({
      x: [-0.75, -0.25, 0.25, 0.75],
      heights: [2, 0, 1, 1],
    });
    expect(histogramOfR([])).toEqual({ x: [], heights: [] });
  });
  it("put a day where it begins in UTC", () => {
    expect(barsOfDays([{ day: "2026-01-01", profit: "-12.5" } as DayLine])).toEqual({ x: [1767225600], heights: [-12.5] });
  });
});
