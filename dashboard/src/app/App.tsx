import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Answered, Empty, Loading } from "../components/Answered";
import { MarketPanel } from "../features/market/MarketPanel";
import { SetupsPanel } from "../features/patterns/SetupsPanel";
import { PortfolioPanel } from "../features/portfolio/PortfolioPanel";
import { Header } from "../features/system/Header";
import { PositionsPanel } from "../features/trades/PositionsPanel";
import { TradesPanel } from "../features/trades/TradesPanel";
import type { CoverageLine } from "../generated/api";
import { offeredTimeframes } from "../lib/intake";
import { precisionOf } from "../lib/precision";
import { type Market, queries } from "../lib/queries";
import { useLive } from "./LiveProvider";

export function App() {
  const coverage = useQuery(queries.coverage());
  return (
    <>
      <a className="skip" href="#market">
        Skip to the chart
      </a>
      <Header />
      <LossBanner />
      <TradingBanner />
      <main>
        <Answered
          query={coverage}
          loading={<Loading rows={8} />}
          isEmpty={(data) => data.series.length === 0}
          empty={
            <Empty title="No candles are stored yet.">
              Start everything with <code>tradepulse up</code>, or load candles with <code>tradepulse download-data</code>.
            </Empty>
          }
        >
          {(data) => <Screen series={data.series} />}
        </Answered>
      </main>
      <footer>
        TradingView Lightweight Charts™ © 2025 TradingView, Inc.{" "}
        <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer">
          https://www.tradingview.com/
        </a>{" "}
        · all times UTC · <a href="/docs">API</a>
      </footer>
    </>
  );
}

function Screen({ series }: { series: CoverageLine[] }) {
  const positions = useQuery(queries.positions()).data;
  const [chosen, choose] = useMarketInAddress();
  const first = shownMarket(series, chosen) ?? shownMarket(series, positions?.[0] ?? null) ?? series[0];
  const precision = useMemo(() => precisionOf(series), [series]);
  if (!first) return null;
  const { exchange, symbol, timeframe } = first;
  return (
    <div className="screen">
      <div className="column-wide">
        <MarketPanel series={series} market={{ exchange, symbol, timeframe }} choose={choose} />
        <PositionsPanel precision={precision} />
        <TradesPanel precision={precision} />
      </div>
      <div className="column-narrow">
        <PortfolioPanel />
        <SetupsPanel symbol={symbol} precision={precision} />
      </div>
    </div>
  );
}

/** The market asked for, where its candles are stored or can be joined. */
function shownMarket(series: CoverageLine[], market: Market | null): Market | null {
  const stored = series.filter((line) => line.exchange === market?.exchange && line.symbol === market.symbol);
  return market && offeredTimeframes(stored.map((line) => line.timeframe)).includes(market.timeframe) ? market : null;
}

function LossBanner() {
  const { connection } = useLive().live;
  if (connection.state !== "lost") return null;
  return (
    <div className="banner" role="alert" data-testid="loss">
      <strong>The live connection is lost.</strong> What you see is as old as the last message. It reconnects by itself and then
      catches up; if it does not, see whether <code>tradepulse up</code> still runs.
    </div>
  );
}

/** What keeps the trader from trading trained configurations, if anything does. */
function TradingBanner() {
  const trading = useQuery(queries.status()).data?.trading;
  if (!trading || trading.phase === "starting" || (trading.phase === "trading" && !trading.untested)) return null;
  return (
    <div className="banner banner-trading" role="status" data-testid="trading">
      {trading.text}
    </div>
  );
}

/** The market shown, kept in the address so that it can be shared and survives a reload. */
function useMarketInAddress(): [Market | null, (market: Market) => void] {
  const read = useCallback((): Market | null => {
    const query = new URLSearchParams(window.location.search);
    const [exchange, symbol, timeframe] = ["exchange", "symbol", "timeframe"].map((name) => query.get(name));
    return exchange && symbol && timeframe ? { exchange, symbol, timeframe } : null;
  }, []);
  const [market, setMarket] = useState(read);
  useEffect(() => {
    const follow = (): void => setMarket(read());
    window.addEventListener("popstate", follow);
    return () => window.removeEventListener("popstate", follow);
  }, [read]);
  const choose = useCallback((next: Market) => {
    window.history.pushState(null, "", `?${new URLSearchParams({ ...next })}`);
    setMarket(next);
  }, []);
  return [market, choose];
}
