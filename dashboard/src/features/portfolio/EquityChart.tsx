import { AreaSeries, ColorType, createChart, type IChartApi, type ISeriesApi } from "lightweight-charts";
import { useEffect, useMemo, useRef } from "react";
import { faded, type Palette, paletteOf, useTheme } from "../../app/theme";
import { useTimes } from "../../app/times";
import { timeAxis } from "../market/timeAxis";
import type { EquityPoint } from "../../generated/api";
import { number } from "../../lib/format";
import { curveOf, type EquityCurve } from "./equity";

interface Drawing {
  chart: IChartApi;
  equity: ISeriesApi<"Area">;
  drawdown: ISeriesApi<"Area">;
}

export function EquityChart({ points }: { points: EquityPoint[] }) {
  const { theme } = useTheme();
  const { zone } = useTimes();
  const palette = useMemo(() => paletteOf(theme), [theme]);
  const curve = useMemo(() => curveOf(points), [points]);
  const host = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);

  useEffect(() => {
    if (!host.current) return;
    const made = draw(host.current);
    drawing.current = made;
    return () => {
      drawing.current = null;
      made.chart.remove();
    };
  }, []);
  useEffect(() => {
    if (drawing.current) recolour(drawing.current, palette);
  }, [palette]);
  useEffect(() => drawing.current?.chart.applyOptions(timeAxis(zone)), [zone]);
  useEffect(() => {
    if (!drawing.current) return;
    drawing.current.equity.setData(curve.equity);
    drawing.current.drawdown.setData(curve.drawdown);
    drawing.current.chart.timeScale().fitContent();
  }, [curve]);

  return (
    <>
      <div ref={host} className="equity-canvas" role="img" aria-label={inWords(curve)} data-testid="equity-chart" data-count={curve.equity.length} />
      <ul className="legend">
        <li>
          <span className="swatch swatch-bull" aria-hidden="true" /> equity
        </li>
        <li>
          <span className="swatch swatch-bear" aria-hidden="true" /> drawdown, deepest {number(curve.deepest, 2)} %
        </li>
      </ul>
    </>
  );
}

function draw(host: HTMLElement): Drawing {
  const chart = createChart(host, {
    autoSize: true,
    layout: { attributionLogo: false, fontFamily: "'Inter Variable', system-ui, sans-serif", fontSize: 11, panes: { enableResize: false } },
    timeScale: { timeVisible: true, secondsVisible: false, minBarSpacing: 0.02 },
    rightPriceScale: { minimumWidth: 64 },
    handleScroll: false,
    handleScale: false,
  });
  const shared = { lineWidth: 2 as const, priceLineVisible: false, lastValueVisible: true };
  const equity = chart.addSeries(AreaSeries, { ...shared, priceFormat: { type: "custom", minMove: 1, formatter: (value: number) => number(value, 0) } });
  const drawdown = chart.addSeries(
    AreaSeries,
    { ...shared, lineWidth: 1, invertFilledArea: true, priceFormat: { type: "custom", minMove: 0.01, formatter: (value: number) => `${number(value, 1)} %` } },
    1,
  );
  drawdown.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
  chart.panes()[0]?.setStretchFactor(0.68);
  chart.panes()[1]?.setStretchFactor(0.32);
  return { chart, equity, drawdown };
}

function recolour({ chart, equity, drawdown }: Drawing, palette: Palette): void {
  chart.applyOptions({
    layout: { background: { type: ColorType.Solid, color: palette.panel }, textColor: palette.muted, panes: { separatorColor: palette.border } },
    grid: { vertLines: { visible: false }, horzLines: { color: palette.grid } },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderColor: palette.border },
  });
  equity.applyOptions({ lineColor: palette.up, topColor: faded(palette.up, 0.28), bottomColor: faded(palette.up, 0.02) });
  drawdown.applyOptions({ lineColor: palette.down, topColor: faded(palette.down, 0.05), bottomColor: faded(palette.down, 0.35) });
}

function inWords({ equity, deepest }: EquityCurve): string {
  const last = equity.at(-1);
  return last ? `Equity ${number(last.value, 2)}, deepest drawdown ${number(deepest, 2)} percent` : "No equity yet";
}
