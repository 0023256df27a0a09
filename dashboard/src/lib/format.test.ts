import { describe, expect, it } from "vitest";
import { bytes, clockTime, decimal, measured, number, places, span, utc, zoneName } from "./format";

describe("decimal", () => {
  it("rounds half away from zero without a float in between", () => {
    expect(decimal("1234.565", 2)).toBe("1,234.57");
    expect(decimal("-0.995", 2)).toBe("\u22121.00");
    expect(decimal("99999999999999999.995", 2)).toBe("100,000,000,000,000,000.00");
  });
  it("pads to the precision of the symbol and shows no minus before zero", () => {
    expect(decimal("97000.1", 2)).toBe("97,000.10");
    expect(decimal("-0.001", 2)).toBe("0.00");
    expect(decimal("5", 0, { sign: true })).toBe("+5");
  });
});

describe("the other formats", () => {
  it("read the precision from a tick size", () => {
    expect([places("0.10"), places("0.00001"), places("5"), places(null)]).toEqual([1, 5, 0, 2]);
  });
  it("write time in UTC whatever the machine's zone", () => {
    expect(utc(1767225600000, { seconds: true })).toBe("2026-01-01 00:00:00");
    expect(utc(1767225600000, { date: false })).toBe("00:00");
  });
  it("write spans and measured values", () => {
    expect([span(900), span(62_000), span(7_500_000), span(349_200_000)]).toEqual(["0 s", "1 m 2 s", "2 h 5 m", "4 d 1 h"]);
    expect([null, 0, 3, 3.42492, 0.41, -0.123456, 97000.25].map(measured)).toEqual([
      "unknown",
      "0",
      "3",
      "3.425",
      "0.41",
      "\u22120.1235",
      "97,000.3",
    ]);
    expect(number(-0.001, 2)).toBe("0.00");
  });
  it("write time in the reader's own zone where that is asked for", () => {
    const time = new Date(2026, 0, 1, 9, 5).getTime();
    expect(clockTime(time, "local")).toBe("2026-01-01 09:05");
    expect(clockTime(1767225600000, "UTC")).toBe("2026-01-01 00:00");
    expect(zoneName("UTC", time)).toBe("UTC");
  });
  it("write sizes", () => {
    expect([0, 512, 1536, 3 * 1024 ** 3].map(bytes)).toEqual(["0 B", "512 B", "1.5 KiB", "3.0 GiB"]);
  });
});
