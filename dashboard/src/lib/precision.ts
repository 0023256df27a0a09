import type { CoverageLine } from "../generated/api";
import { places } from "./format";

/** Places after the point of a market's prices and quantities, from its own tick and lot size. */
export type Precision = (exchange: string, symbol: string) => { priceDigits: number; quantityDigits: number };

export function precisionOf(series: CoverageLine[]): Precision {
  const known = new Map(series.map((line) => [`${line.exchange} ${line.symbol}`, line]));
  return (exchange, symbol) => {
    const line = known.get(`${exchange} ${symbol}`);
    return { priceDigits: places(line?.tick_size), quantityDigits: line?.lot_size ? places(line.lot_size) : 5 };
  };
}
