import type { CoverageLine, SystemStatus, TrainingSystemStatus, UserLine, WalletLine } from "../../generated/api";

export interface Known {
  user: UserLine;
  series: CoverageLine[];
  training: TrainingSystemStatus;
  wallets: WalletLine[];
  status: SystemStatus;
}

export interface Step {
  id: "user" | "data" | "training" | "wallet" | "trading";
  title: string;
  done: boolean;
  /** What was found, in words. */
  found: string;
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0);
const some = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** From an empty machine to trading on paper; each judged by what is there, not by what was clicked. */
export function stepsOf({ user, series, training, wallets, status }: Known): Step[] {
  const symbols = new Set(series.map((line) => `${line.exchange} ${line.symbol}`)).size;
  const [jobs, inForce] = [sum(training.jobs), sum(training.in_force)];
  const isOnSimulated = wallets.length === 0 && status.exchange === "simulated";
  return [
    { id: "user", title: "A user", done: true, found: `You are ${user.name}, ${user.role}.` },
    {
      id: "data",
      title: "Candles",
      done: series.length > 0,
      found: series.length > 0 ? `${some(series.length, "series").replace("seriess", "series")} of ${some(symbols, "market")} are stored.` : "No candles are stored yet.",
    },
    {
      id: "training",
      title: "A first training",
      done: jobs > 0 || inForce > 0,
      found: jobs + inForce > 0 ? `${some(jobs, "job")}; ${some(inForce, "configuration")} passed the gate and ${inForce === 1 ? "is" : "are"} in force.` : "Nothing was trained yet.",
    },
    {
      id: "wallet",
      title: "A wallet",
      done: wallets.length > 0 || isOnSimulated,
      found: wallets.length > 0 ? wallets.map((one) => `${one.name} (${one.mode}, ${one.exchange})`).join(", ") : isOnSimulated ? "The embedded exchange has its own account: SIMULATED prices, no real market." : "There is no wallet yet.",
    },
    { id: "trading", title: "Trading", done: status.trading.phase === "trading" || wallets.some((one) => one.traded), found: status.trading.text },
  ];
}
