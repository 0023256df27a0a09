import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineStyle,
  type Time,
} from "lightweight-charts";
import { useEffect, useMemo, useRef, useState } from "react";
import { faded, type Palette, paletteOf, useTheme } from "../../app/theme";
import { Moment, useTimes } from "../../app/times";
import type { ActivePosition, CandleBar, CandleSeries, SetupLine, TradeRow } from "../../generated/api";
import { inR, number } from "../../lib/format";
import type { Market } from "../../lib/queries";
import { isOf, markersOf } from "./markers";
import { RegimeShading, seconds, stretchesOf, toCandle } from "./regimes";
import { timeAxis } from "./timeAxis";

interface ChartProps {
  market: Market;
  series: CandleSeries;
  digits: number;
  setups: SetupLine[];
  trades: TradeRow[];
  positions: ActivePosition[];
}

interface Drawing {
  host: HTMLElement;
  chart: IChartApi;
  candles: ISeriesApi<"Candlestick">;
  volume: ISeriesApi<"Histogram">;
  shading: RegimeShading;
  markers: ISeriesMarkersPluginApi<Time>;
  lines: IPriceLine[];
  drawn: CandleBar[];
}

const BAR_WIDTH = 5.5;

export function CandleChart({ market, series, digits, setups, trades, positions }: ChartProps) {
  const { theme } = useTheme();
  const { zone } = useTimes();
  const palette = useMemo(() => paletteOf(theme), [theme]);
  const host = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const own = useMemo(() => positions.filter((position) => isOf(position, market)), [positions, market]);

  useEffect(() => {
    if (!host.current) return;
    const made = draw(host.current);
    drawing.current = made;
    made.chart.subscribeCrosshairMove(({ time }) => setHovered(typeof time === "number" ? time * 1000 : null));
    return () => {
      drawing.current = null;
      made.chart.remove();
    };
  }, []);

  useEffect(() => {
    const made = drawing.current;
    if (!made) return;
    const formatter = (price: number): string => number(price, digits);
    made.candles.applyOptions({ priceFormat: { type: "custom", formatter, minMove: 10 ** -digits } });
  }, [digits]);

  useEffect(() => {
    if (drawing.current) recolour(drawing.current, palette);
  }, [palette]);

  useEffect(() => drawing.current?.chart.applyOptions(timeAxis(zone)), [zone]);

  useEffect(() => {
    const made = drawing.current;
    if (!made) return;
    showCandles(made, series.candles, palette);
    made.shading.show(stretchesOf(series.candles), {
      band: { bull: faded(palette.up, 0.09), bear: faded(palette.down, 0.09), sideways: faded(palette.neutral, 0.03) },
      edge: { bull: faded(palette.up, 0.75), bear: faded(palette.down, 0.75), sideways: faded(palette.neutral, 0.35) },
    });
  }, [series, palette]);

  useEffect(() => {
    const first = series.candles[0];
    const last = series.candles.at(-1);
    if (!drawing.current || !first || !last) return;
    drawing.current.markers.setMarkers(markersOf({ setups, trades, positions }, market, first.time, last.time, palette));
  }, [series, setups, trades, positions, market, palette]);

  useEffect(() => {
    if (drawing.current) showLevels(drawing.current, own, palette);
  }, [own, palette]);

  const shown = series.candles.find((candle) => candle.time === hovered) ?? series.candles.at(-1);
  return (
    <div className="chart">
      {shown && <Readout candle={shown} digits={digits} />}
      <div
        ref={host}
        className="chart-canvas"
        data-testid="candle-chart"
        data-last={series.candles.at(-1)?.time}
        data-count={series.candles.length}
        role="img"
        aria-label={chartInWords(market, series, digits, own)}
      />
      <ChartLegend />
      {own.length > 0 && <LevelList positions={own} />}
    </div>
  );
}

function draw(host: HTMLElement): Drawing {
  const chart = createChart(host, {
    autoSize: true,
    // The page carries the attribution itself: the built-in logo would need inline styles.
    layout: { attributionLogo: false, fontFamily: "'Inter Variable', system-ui, sans-serif", fontSize: 11 },
    crosshair: { mode: CrosshairMode.Normal },
    timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 6, minBarSpacing: 1 },
    handleScale: { axisPressedMouseMove: true },
  });
  const candles = chart.addSeries(CandlestickSeries, { borderVisible: true });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
  const volume = chart.addSeries(HistogramSeries, {
    priceScaleId: "volume",
    priceFormat: { type: "volume" },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0.015 } });
  const shading = new RegimeShading();
  candles.attachPrimitive(shading);
  return { host, chart, candles, volume, shading, markers: createSeriesMarkers(candles, []), lines: [], drawn: [] };
}

function recolour({ chart, candles }: Drawing, palette: Palette): void {
  chart.applyOptions({
    layout: { background: { type: ColorType.Solid, color: palette.panel }, textColor: palette.muted },
    grid: { vertLines: { color: palette.grid }, horzLines: { color: palette.grid } },
    rightPriceScale: { borderColor: palette.border },
    timeScale: { borderColor: palette.border },
    crosshair: { vertLine: { color: palette.muted }, horzLine: { color: palette.muted } },
  });
  // Rising candles are hollow, falling ones filled: readable without any colour.
  candles.applyOptions({
    upColor: palette.panel,
    borderUpColor: palette.up,
    wickUpColor: palette.up,
    downColor: palette.down,
    borderDownColor: palette.down,
    wickDownColor: palette.down,
  });
}

function showCandles(made: Drawing, candles: CandleBar[], palette: Palette): void {
  const volumeOf = (bar: CandleBar) => ({
    time: seconds(bar.time),
    value: bar.volume,
    color: faded(bar.close >= bar.open ? palette.up : palette.down, 0.28),
  });
  const before = made.drawn;
  made.drawn = candles;
  const grewBy = candles.length - before.length;
  const continues = before.length > 0 && grewBy >= 0 && grewBy <= 20 && candles[0]?.time === before[0]?.time;
  if (continues && candles[before.length - 1]?.time === before.at(-1)?.time && grewBy > 0) {
    for (const bar of candles.slice(before.length)) {
      made.candles.update(toCandle(bar));
      made.volume.update(volumeOf(bar));
    }
    return;
  }
  made.candles.setData(candles.map(toCandle));
  made.volume.setData(candles.map(volumeOf));
  const isAnotherSeries = before.length === 0 || Math.abs((candles[0]?.time ?? 0) - (before[0]?.time ?? 0)) > 86_400_000;
  if (isAnotherSeries || grewBy < 0)
    made.chart.timeScale().setVisibleLogicalRange({ from: candles.length - made.host.clientWidth / BAR_WIDTH, to: candles.length + 8 });
}

function showLevels(made: Drawing, positions: ActivePosition[], palette: Palette): void {
  for (const line of made.lines) made.candles.removePriceLine(line);
  made.lines = positions.flatMap((position) => [
    level(made, position.entry_price, `${position.direction} entry`, palette.text, LineStyle.Solid),
    level(made, position.stop_price, "stop", palette.down, LineStyle.Dashed),
    level(made, position.target_price, "target", palette.up, LineStyle.Dotted),
  ]);
}

const level = (made: Drawing, price: string, title: string, color: string, lineStyle: LineStyle): IPriceLine =>
  made.candles.createPriceLine({ price: Number(price), title, color, lineStyle, lineWidth: 1, axisLabelVisible: true });

function Readout({ candle, digits }: { candle: CandleBar; digits: number }) {
  const change = candle.close / candle.open - 1;
  return (
    <dl className="readout">
      <div className="readout-time">
        <dt className="sr-only">Candle</dt>
        <dd>
          <Moment time={candle.time} />
        </dd>
      </div>
      {(["open", "high", "low", "close"] as const).map((name) => (
        <div key={name}>
          <dt>{name[0]?.toUpperCase()}</dt>
          <dd data-testid={name === "close" ? "last-close" : undefined}>{number(candle[name], digits)}</dd>
        </div>
      ))}
      <div>
        <dt className="sr-only">Change</dt>
        <dd className={change >= 0 ? "gain" : "loss"}>{number(change * 100, 2, { sign: true })} %</dd>
      </div>
      <div>
        <dt>Vol</dt>
        <dd>{number(candle.volume, 2)}</dd>
      </div>
      <div>
        <dt>Regime</dt>
        <dd>
          <span className={`swatch swatch-${candle.regime}`} aria-hidden="true" />
          {candle.regime}
        </dd>
      </div>
    </dl>
  );
}

function ChartLegend() {
  return (
    <ul className="legend" aria-label="Legend of the chart">
      {(["bull", "bear", "sideways"] as const).map((regime) => (
        <li key={regime}>
          <span className={`swatch swatch-${regime}`} aria-hidden="true" />
          {regime} regime
        </li>
      ))}
      <li>
        <span aria-hidden="true">▲▼</span> entry
      </li>
      <li>
        <span aria-hidden="true">●</span> exit with its R
      </li>
      <li>
        <span aria-hidden="true" className="muted">
          ■
        </span>{" "}
        setup not taken
      </li>
      <li className="legend-attribution">
        Charts by{" "}
        <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer">
          TradingView
        </a>
      </li>
    </ul>
  );
}

function LevelList({ positions }: { positions: ActivePosition[] }) {
  return (
    <ul className="sr-only" data-testid="levels">
      {positions.map((position) => (
        <li key={position.position_id}>
          {`${position.direction} entry ${position.entry_price}, stop ${position.stop_price}, target ${position.target_price}, now ${inR(position.unrealised_r)}`}
        </li>
      ))}
    </ul>
  );
}

function chartInWords(market: Market, series: CandleSeries, digits: number, positions: ActivePosition[]): string {
  const last = series.candles.at(-1);
  const open = positions.length ? `${positions.length} open position${positions.length > 1 ? "s" : ""}` : "no open position";
  const close = last ? `, last close ${number(last.close, digits)} in a ${last.regime} regime` : "";
  return `Candles of ${market.symbol} on ${market.exchange}, ${market.timeframe}${close}, ${open}`;
}
