import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useBook } from "../../app/book";
import { Answered, Empty, Loading } from "../../components/Answered";
import { Page } from "../../components/Page";
import type { CoverageLine } from "../../generated/api";
import { offeredTimeframes } from "../../lib/intake";
import { type Market, queries } from "../../lib/queries";
import { SetupsPanel } from "../patterns/SetupsPanel";
import { PositionsPanel } from "../trades/PositionsPanel";
import { ProtectionPanel } from "../trades/ProtectionPanel";
import { MarketPanel } from "./MarketPanel";

/** The market stands in the address, so that it can be shared and survives a reload. */
export function TradingScreen() {
  const coverage = useQuery(queries.coverage());
  return (
    <Page title="Market">
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
        {(data) => <Chosen series={data.series} />}
      </Answered>
    </Page>
  );
}

function Chosen({ series }: { series: CoverageLine[] }) {
  const asked = useSearch({ from: "/trading" });
  const positions = useQuery(queries.positions(useBook())).data;
  const navigate = useNavigate();
  const first = shownMarket(series, asked) ?? shownMarket(series, positions?.[0] ?? {}) ?? series[0];
  if (!first) return null;
  const { exchange, symbol, timeframe } = first;
  return (
    <div className="with-side">
      <div className="stack">
        <MarketPanel series={series} market={{ exchange, symbol, timeframe }} choose={(market) => void navigate({ to: "/trading", search: market })} />
        <PositionsPanel />
        <ProtectionPanel />
      </div>
      <SetupsPanel key={symbol} symbol={symbol} />
    </div>
  );
}

/** The market asked for, where its candles are stored or can be joined. */
function shownMarket(series: CoverageLine[], { exchange, symbol, timeframe }: Partial<Market>): Market | null {
  if (!exchange || !symbol || !timeframe) return null;
  const stored = series.filter((line) => line.exchange === exchange && line.symbol === symbol);
  return offeredTimeframes(stored.map((line) => line.timeframe)).includes(timeframe) ? { exchange, symbol, timeframe } : null;
}
