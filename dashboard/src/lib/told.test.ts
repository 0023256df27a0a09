import { describe, expect, it } from "vitest";
import { told } from "./told";

describe("an event in one line", () => {
  it("names its plain facts and leaves out what is empty, nested or said already", () => {
    expect(told({ time: 5, reason: "news", holds: [{ cause: "by hand" }], since_when: 3, until: null })).toBe("reason news, since when 3");
    expect(told({ stop: 2590.5299999999997 })).toBe("stop 2590.53");
    expect(told({})).toBe("–");
  });
  it("is cut where it is too long", () => {
    expect(told({ reason: "x".repeat(400) })).toHaveLength(160);
  });
});
