import { describe, expect, it } from "vitest";
import type { LimitLine } from "../../generated/api";
import { byShare, limitFigure, limitTitle, strainOf } from "./limits";

describe("a limit", () => {
  it("is written as it is meant: money, a count, a share", () => {
    expect(limitFigure("daily_loss", "460.005")).toBe("460.01");
    expect(limitFigure("max_positions", "3")).toBe("3");
    expect(limitFigure("max_heat", "0.0173")).toBe("1.73 %");
  });
  it("that nobody here knows keeps its name", () => {
    expect(limitTitle("max_new_thing")).toBe("max new thing");
  });
  it("is near from four fifths on, and reached at all of it", () => {
    expect([0.79, 0.8, 0.99, 1, 1.2].map(strainOf)).toEqual(["calm", "near", "near", "reached", "reached"]);
  });
  it("that is nearest comes first", () => {
    const lines = [{ limit: "a", share: 0.1 }, { limit: "b", share: 0.9 }] as LimitLine[];
    expect(byShare(lines).map((line) => line.limit)).toEqual(["b", "a"]);
  });
});
