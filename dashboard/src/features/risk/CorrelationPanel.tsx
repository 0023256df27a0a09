import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Answered, Empty } from "../../components/Answered";
import { Panel } from "../../components/Panel";
import { Switch } from "../../components/Switch";
import type { CorrelationMatrix } from "../../generated/api";
import { number } from "../../lib/format";
import { queries } from "../../lib/queries";

const TIMEFRAMES = ["5m", "15m", "1h", "4h", "1d"].map((timeframe) => ({ value: timeframe, label: timeframe }));
/** Above this, markets count as moving together (risk.cluster_correlation by default). */
const TOGETHER = 0.7;

export function CorrelationPanel() {
  const [timeframe, setTimeframe] = useState("1h");
  const matrix = useQuery(queries.correlation(timeframe));
  return (
    <Panel
      title="How markets move together"
      id="correlation"
      aside={<Switch label="Timeframe" name="correlation-timeframe" options={TIMEFRAMES} value={timeframe} choose={setTimeframe} />}
    >
      <Answered
        query={matrix}
        isEmpty={(data) => data.markets.length < 2}
        empty={<Empty title="Fewer than two markets have candles of this timeframe.">Choose another timeframe, or load candles with: tradepulse download-data</Empty>}
      >
        {(data) => <Matrix matrix={data} />}
      </Answered>
    </Panel>
  );
}

function Matrix({ matrix }: { matrix: CorrelationMatrix }) {
  return (
    <>
      <div className="scroll" tabIndex={0} role="region" aria-label="Correlations, scrollable">
        <table aria-label="Correlations">
          <thead>
            <tr>
              <td />
              {matrix.markets.map((market) => (
                <th key={market} scope="col" className="figure-cell">
                  {market}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {matrix.matrix.map((row, index) => (
              <tr key={matrix.markets[index]}>
                <th scope="row">{matrix.markets[index]}</th>
                {row.map((value, other) => (
                  <td key={matrix.markets[other]} className={`figure-cell ${index === other ? "muted" : value !== null && value >= TOGETHER ? "loss strong" : ""}`}>
                    {value === null ? "unknown" : number(value, 2)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="panel-note muted">
        Of the newest {matrix.bars} candles that each pair has in common. {number(TOGETHER, 1)} and more is in bold. The limits have a measure of their own, with older
        hours weighted less.
      </p>
    </>
  );
}
