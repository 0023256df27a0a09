import type { SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import type { Palette } from "../../app/theme";
import type { ActivePosition, SetupLine, TradeRow } from "../../generated/api";
import { number } from "../../lib/format";
import { timeframeSpan } from "../../lib/intake";
import type { Market } from "../../lib/queries";
import { seconds } from "./regimes";

interface Told {
  setups: SetupLine[];
  trades: TradeRow[];
  positions: ActivePosition[];
}

type Row = { exchange: string; symbol: string; timeframe: string };
export const isOf = (row: Row, market: Market): boolean =>
  row.exchange === market.exchange && row.symbol === market.symbol && row.timeframe === market.timeframe;

/** Marks of this market, ascending, on the bars between `first` and `last` (UTC ms). Shape and words carry the meaning, colour repeats it. */
export function markersOf(told: Told, market: Market, first: number, last: number, palette: Palette): SeriesMarker<Time>[] {
  const barOf = (time: number): UTCTimestamp => seconds(Math.floor(time / timeframeSpan(market.timeframe)) * timeframeSpan(market.timeframe));
  const trades = told.trades.filter((trade) => isOf(trade, market));
  const markers: SeriesMarker<Time>[] = [
    ...told.setups
      .filter((setup) => isOf(setup, market) && setup.taken !== true)
      .map((setup) => ({
        time: seconds(setup.bar_time),
        position: setup.direction === "long" ? ("belowBar" as const) : ("aboveBar" as const),
        shape: "square" as const,
        color: palette.neutral,
        size: 0.5,
        id: setup.setup_id,
      })),
    ...[...trades, ...told.positions.filter((position) => isOf(position, market))].map((entry) => ({
      time: barOf(entry.entry_time),
      position: entry.direction === "long" ? ("belowBar" as const) : ("aboveBar" as const),
      shape: entry.direction === "long" ? ("arrowUp" as const) : ("arrowDown" as const),
      color: palette.text,
      size: 1,
      id: `entry ${entry.setup_id}`,
    })),
    ...trades.map((trade) => ({
      time: barOf(trade.exit_time),
      position: trade.direction === "long" ? ("aboveBar" as const) : ("belowBar" as const),
      shape: "circle" as const,
      color: trade.r_multiple > 0 ? palette.up : palette.down,
      size: 0.7,
      text: `${number(trade.r_multiple, 1, { sign: true })}R`,
      id: `exit ${trade.trade_id}`,
    })),
  ];
  return markers
    .filter((marker) => Number(marker.time) >= seconds(first) && Number(marker.time) <= seconds(last))
    .sort((left, right) => Number(left.time) - Number(right.time));
}
