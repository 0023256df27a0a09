import { useQuery } from "@tanstack/react-query";
import { useBook } from "../../app/book";
import { Answered, Empty, Loading } from "../../components/Answered";
import type { CoverageLine } from "../../generated/api";
import { places } from "../../lib/format";
import { type Market, queries } from "../../lib/queries";
import { CandleChart } from "./CandleChart";
import { MarketPicker } from "./MarketPicker";

// One and the same empty list, so that nothing is drawn anew for it.
const NONE: never[] = [];

interface MarketPanelProps {
  series: CoverageLine[];
  market: Market;
  choose: (market: Market) => void;
}

export function MarketPanel({ series, market, choose }: MarketPanelProps) {
  const book = useBook();
  const candles = useQuery(queries.candles(market));
  const setups = useQuery(queries.setups(book, "all", market.symbol)).data?.items ?? NONE;
  const trades = useQuery(queries.trades(book)).data?.items ?? NONE;
  const positions = useQuery(queries.positions(book)).data ?? NONE;
  const line = series.find((one) => one.exchange === market.exchange && one.symbol === market.symbol);
  const stored = series.find((one) => one.exchange === market.exchange && one.symbol === market.symbol && one.timeframe === market.timeframe);
  return (
    <section className="panel market" aria-labelledby="market-title" id="market">
      <header className="panel-head">
        <h2 id="market-title" className="market-title">
          {market.symbol}
        </h2>
        <MarketPicker series={series} market={market} choose={choose} />
        {stored && stored.missing > 0 && (
          <span className="note" title="Missing candles stay missing; they are never invented.">
            ⚠ {stored.missing} candles missing
          </span>
        )}
      </header>
      <Answered
        query={candles}
        loading={<div className="chart-canvas"><Loading rows={6} /></div>}
        isEmpty={(data) => data.candles.length === 0}
        empty={<Empty title="No candles of this series are stored.">Load some with: tradepulse download-data</Empty>}
      >
        {(data) => (
          <CandleChart
            key={`${market.exchange} ${market.symbol} ${market.timeframe}`}
            market={market}
            series={data}
            digits={places(line?.tick_size)}
            setups={setups}
            trades={trades}
            positions={positions}
          />
        )}
      </Answered>
    </section>
  );
}
