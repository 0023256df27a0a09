import type { CandlestickData, IChartApi, IPrimitivePaneRenderer, ISeriesPrimitive, SeriesAttachedParameter, Time, UTCTimestamp } from "lightweight-charts";
import type { CandleBar, Regime } from "../../generated/api";

export interface Stretch {
  from: UTCTimestamp;
  to: UTCTimestamp;
  regime: Regime;
}

export const seconds = (milliseconds: number): UTCTimestamp => Math.floor(milliseconds / 1000) as UTCTimestamp;

/** Neighbouring candles of one regime, joined. */
export function stretchesOf(candles: CandleBar[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (const candle of candles) {
    const last = stretches.at(-1);
    if (last && last.regime === candle.regime) last.to = seconds(candle.time);
    else stretches.push({ from: seconds(candle.time), to: seconds(candle.time), regime: candle.regime });
  }
  return stretches;
}

export interface RegimeColours {
  band: Record<Regime, string>;
  edge: Record<Regime, string>;
}

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];
const EDGE_HEIGHT = 5;

/** Shades the pane behind the candles, with a stronger edge at its foot. */
export class RegimeShading implements ISeriesPrimitive<Time> {
  private chart: IChartApi | null = null;
  private redraw: () => void = () => undefined;
  private stretches: Stretch[] = [];
  private colours: RegimeColours | null = null;
  private readonly views = [{ zOrder: () => "bottom" as const, renderer: () => ({ draw: (target: Target) => this.draw(target) }) }];

  attached(parameters: SeriesAttachedParameter<Time>): void {
    this.chart = parameters.chart as unknown as IChartApi;
    this.redraw = parameters.requestUpdate;
  }

  detached(): void {
    this.chart = null;
  }

  paneViews() {
    return this.views;
  }

  show(stretches: Stretch[], colours: RegimeColours): void {
    this.stretches = stretches;
    this.colours = colours;
    this.redraw();
  }

  private draw(target: Target): void {
    const { chart, colours } = this;
    if (!chart || !colours) return;
    const scale = chart.timeScale();
    const half = scale.options().barSpacing / 2;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio, verticalPixelRatio }) => {
      for (const { from, to, regime } of this.stretches) {
        const start = scale.timeToCoordinate(from);
        const end = scale.timeToCoordinate(to);
        if (start === null || end === null) continue;
        const left = Math.max(0, Math.round((start - half) * horizontalPixelRatio));
        const right = Math.min(bitmapSize.width, Math.round((end + half) * horizontalPixelRatio));
        if (right <= left) continue;
        const edge = EDGE_HEIGHT * verticalPixelRatio;
        context.fillStyle = colours.band[regime];
        context.fillRect(left, 0, right - left, bitmapSize.height);
        context.fillStyle = colours.edge[regime];
        context.fillRect(left, bitmapSize.height - edge, right - left, edge);
      }
    });
  }
}

export const toCandle = (bar: CandleBar): CandlestickData<UTCTimestamp> => ({
  time: seconds(bar.time),
  open: bar.open,
  high: bar.high,
  low: bar.low,
  close: bar.close,
});
