import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Page } from "../../components/Page";
import { queries } from "../../lib/queries";
import { LatestPanel } from "./LatestPanel";
import { SetupsPanel } from "./SetupsPanel";

export function SetupsScreen() {
  const series = useQuery(queries.coverage()).data?.series ?? [];
  const symbols = [...new Set(series.map((line) => line.symbol))].sort();
  const [symbol, setSymbol] = useState<string | null>(null);
  return (
    <Page
      title="Setups"
      about="Every setup that was evaluated, taken or not, with each condition's value and threshold."
      actions={
        <select aria-label="Symbol" value={symbol ?? ""} onChange={(event) => setSymbol(event.target.value || null)}>
          <option value="">all symbols</option>
          {symbols.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      }
    >
      <LatestPanel symbol={symbol} />
      <SetupsPanel key={symbol} symbol={symbol} />
    </Page>
  );
}
