import type { LimitLine } from "../../generated/api";
import { decimal, percent } from "../../lib/format";

const TITLES: Record<string, string> = {
  daily_loss: "Loss of the day",
  drawdown_warn: "Drawdown, warning",
  drawdown_reduce: "Drawdown, exits only",
  drawdown_halt: "Drawdown, halt",
  max_symbol: "One symbol",
  max_base_asset: "One base asset",
  max_exchange: "One exchange",
  max_cluster: "Markets that move together",
  max_total: "All positions",
  max_positions: "Number of positions",
  max_heat: "Heat: risk open at the stops",
  entries_per_minute: "Entries of the last minute",
  orders_per_minute: "Orders of the last minute",
};

export const limitTitle = (limit: string): string => TITLES[limit] ?? limit.replaceAll("_", " ");

const COUNTS = new Set(["max_positions", "entries_per_minute", "orders_per_minute"]);

/** Money, a count, or a share of the equity: as the limit is meant. */
export function limitFigure(limit: string, figure: string): string {
  if (COUNTS.has(limit)) return decimal(figure, 0);
  return limit === "max_heat" ? percent(Number(figure), 2) : decimal(figure, 2);
}

/** What is nearest to its limit comes first. */
export const byShare = (limits: LimitLine[]): LimitLine[] => [...limits].sort((left, right) => right.share - left.share);

export type Strain = "calm" | "near" | "reached";

export const strainOf = (share: number): Strain => (share >= 1 ? "reached" : share >= 0.8 ? "near" : "calm");
