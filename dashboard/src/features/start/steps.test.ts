import { describe, expect, it } from "vitest";
import { type Known, stepsOf } from "./steps";

const nothing = {
  user: { name: "Ada", role: "admin" },
  series: [],
  training: { jobs: {}, in_force: {} },
  wallets: [],
  status: { exchange: "binance", trading: { phase: "starting", text: "It starts." } },
} as unknown as Known;
const done = (known: Known): string[] => stepsOf(known).flatMap((step) => (step.done ? [step.id] : []));

describe("the first steps", () => {
  it("begin with a user and nothing else", () => {
    expect(done(nothing)).toEqual(["user"]);
  });
  it("are done when what they ask for is there", () => {
    const known = {
      ...nothing,
      series: [{ exchange: "simulated", symbol: "BTC/USDT" }],
      training: { jobs: { finished: 1 }, in_force: {} },
      status: { exchange: "simulated", trading: { phase: "trading", text: "Trading." } },
    } as unknown as Known;
    expect(done(known)).toEqual(["user", "data", "training", "wallet", "trading"]);
  });
  it("do not take a training that let nothing pass for trading", () => {
    const known = { ...nothing, training: { jobs: { finished: 1 }, in_force: {} } } as unknown as Known;
    const training = stepsOf(known).find((step) => step.id === "training");
    expect(training).toMatchObject({ done: true, found: "1 job; 0 configurations passed the gate and are in force." });
    expect(done(known)).not.toContain("trading");
  });
});
