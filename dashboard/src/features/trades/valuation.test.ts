import { describe, expect, it } from "vitest";
import type { ActivePosition } from "../../generated/api";
import { progressOf, valuationOf } from "./valuation";

const position = {
  direction: "short",
  quantity: "2",
  entry_price: "100",
  entry_fee: "1",
  stop_price: "110",
  target_price: "80",
  risk: "20",
  mark_price: "99",
  mark_time: 1000,
  unrealised_profit: "1",
  unrealised_r: 0.05,
} as ActivePosition;

describe("an open position", () => {
  it("is valued at a newer close that was pushed, the entry fee paid", () => {
    expect(valuationOf(position, { price: 90, time: 2000 })).toEqual({ price: 90, profit: 19, r: 0.95 });
  });
  it("keeps the API's value when what was pushed is not newer", () => {
    expect(valuationOf(position, { price: 90, time: 1000 })).toEqual({ price: 99, profit: 1, r: 0.05 });
  });
  it("of a short lies between a stop above and a target below", () => {
    expect([progressOf(position, 110), progressOf(position, 95), progressOf(position, 70)]).toEqual([0, 0.5, 1]);
  });
});
