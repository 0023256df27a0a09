import "uplot/dist/uPlot.min.css";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import { faded, type Palette, paletteOf, useTheme } from "../app/theme";
import { useTimes } from "../app/times";
import { clockTime, type Zone } from "../lib/format";

export interface PlotSeries {
  label: string;
  values: (number | null)[];
  kind: "line" | "bars" | "points";
  colour: (palette: Palette) => string;
}

interface PlotProps {
  /** What the picture shows, in words, with its most important figures. */
  label: string;
  /** Ascending; Unix seconds where `time` is set. */
  x: number[];
  /** "day": each is a UTC day, whatever the reader's zone. */
  time?: "moment" | "day";
  series: PlotSeries[];
  format?: (value: number) => string;
  formatX?: (value: number) => string;
  height?: number;
}

const FONT = "11px 'Inter Variable', system-ui, sans-serif";

/** Every picture that is no candles. */
export function Plot({ label, x, time, series, format = String, formatX, height = 180 }: PlotProps) {
  const { theme } = useTheme();
  const chosen = useTimes().zone;
  const zone = time === "day" ? "UTC" : chosen;
  const host = useRef<HTMLDivElement>(null);
  const palette = useMemo(() => paletteOf(theme), [theme]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const plot = new uPlot(
      {
        width: element.clientWidth || 300,
        height,
        legend: { show: false },
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: time !== undefined, range: (_, least, most) => spread(x, least, most) }, y: { range: withZero(series) } },
        tzDate: (seconds) => (zone === "UTC" ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000)),
        axes: [time ? timeAxis(palette, zone, time === "day") : axis(palette, formatX), { ...axis(palette, format), size: 64 }],
        series: [{}, ...series.map((one) => drawn(one, palette))],
      },
      [x, ...series.map((one) => one.values)] as uPlot.AlignedData,
      element,
    );
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [x, time, series, format, formatX, height, palette, zone]);

  return <div ref={host} className="plot" role="img" aria-label={label} style={{ minHeight: height }} />;
}

const DAY = 86_400;

/** Half a step of room on both sides, so that bars at the ends are drawn whole. */
function spread(x: number[], least: number, most: number): uPlot.Range.MinMax {
  const steps = x.slice(1).map((value, index) => value - (x[index] ?? value));
  const room = (steps.length > 0 ? Math.min(...steps) : least > DAY ? DAY : 1) / 2;
  return [least - room, most + room];
}

/** Bars stand on zero, so it must be in sight. */
function withZero(series: PlotSeries[]): uPlot.Range.Function {
  const isOfBars = series.some((one) => one.kind === "bars");
  return (_, least, most) => uPlot.rangeNum(isOfBars ? Math.min(0, least) : least, isOfBars ? Math.max(0, most) : most, 0.1, true);
}

/** Days as "01-31", hours as "14:05". */
const timeAxis = (palette: Palette, zone: Zone, isOfDays: boolean): uPlot.Axis => ({
  ...axis(palette),
  space: 60,
  ...(isOfDays ? { incrs: [1, 2, 7, 14, 30, 90, 180, 365].map((days) => days * DAY) } : {}),
  values: (_, splits, _axis, _space, step) =>
    splits.map((seconds) => {
      const [date = "", clock = ""] = clockTime(seconds * 1000, zone).split(" ");
      return step >= DAY ? date.slice(5) : clock;
    }),
});

const axis = (palette: Palette, format?: (value: number) => string): uPlot.Axis => ({
  stroke: palette.muted,
  font: FONT,
  grid: { stroke: palette.grid, width: 1 },
  ticks: { show: false },
  ...(format ? { values: (_: uPlot, splits: number[]) => splits.map(format) } : {}),
});

function drawn({ label, kind, colour }: PlotSeries, palette: Palette): uPlot.Series {
  const stroke = colour(palette);
  if (kind === "line") return { label, stroke, width: 2, points: { show: false } };
  if (kind === "points") return { label, stroke, paths: () => null, points: { show: true, size: 6, fill: faded(stroke, 0.5) } };
  const paths = uPlot.paths.bars;
  if (!paths) throw new Error("this uPlot draws no bars");
  return { label, stroke, fill: faded(stroke, 0.45), width: 1, paths: paths({ size: [0.8, 60] }), points: { show: false } };
}
