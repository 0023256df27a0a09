import type { ActivePosition } from "../../generated/api";
import type { Mark } from "../../lib/intake";

export interface Valuation {
  price: number | null;
  profit: number | null;
  r: number | null;
}

/** A position at the newest close known: the one pushed, or the one the API valued it at. */
export function valuationOf(position: ActivePosition, mark: Mark | undefined): Valuation {
  const known = position.mark_price === null ? null : Number(position.mark_price);
  const isNewer = mark !== undefined && mark.time > (position.mark_time ?? 0);
  if (!isNewer)
    return {
      price: known,
      profit: position.unrealised_profit === null ? null : Number(position.unrealised_profit),
      r: position.unrealised_r,
    };
  const sign = position.direction === "long" ? 1 : -1;
  const profit = (mark.price - Number(position.entry_price)) * sign * Number(position.quantity) - Number(position.entry_fee);
  const risk = Number(position.risk);
  return { price: mark.price, profit, r: risk ? profit / risk : null };
}

/** Where the price is between stop (0) and target (1). */
export function progressOf(position: ActivePosition, price: number | null): number | null {
  const stop = Number(position.stop_price);
  const width = Number(position.target_price) - stop;
  return price === null || width === 0 ? null : Math.min(1, Math.max(0, (price - stop) / width));
}
