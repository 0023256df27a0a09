import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Field } from "../../components/Field";
import type { CoverageLine } from "../../generated/api";
import { send } from "../../lib/api";
import { STRATEGIES } from "../../lib/combination";
import { strategyTitle } from "../../lib/format";
import { offeredTimeframes } from "../../lib/intake";
import { queries } from "../../lib/queries";

const NONE: CoverageLine[] = [];
const nameOf = ({ exchange, symbol }: CoverageLine): string => `${symbol} on ${exchange}`;
/** From a day of UTC to the milliseconds of its beginning. */
const momentOf = (day: FormDataEntryValue | null): number | null => (day ? Date.parse(`${String(day)}T00:00:00Z`) : null);

export function StartDialog({ close }: { close: () => void }) {
  const client = useQueryClient();
  const series = useQuery(queries.coverage()).data?.series ?? NONE;
  const markets = [...new Set(series.map(nameOf))].sort();
  const [chosen, choose] = useState<string | null>(null);
  const market = chosen ?? markets[0] ?? "";
  const lines = series.filter((line) => nameOf(line) === market);
  const timeframes = offeredTimeframes(lines.map((line) => line.timeframe)).filter((timeframe) => timeframe !== "1w");
  const run = async ({ form, key }: Given): Promise<string> => {
    const line = lines[0];
    if (!line) throw new Error("There are no candles of that market.");
    const body = {
      strategy: String(form.get("strategy")),
      exchange: line.exchange,
      symbol: line.symbol,
      timeframe: String(form.get("timeframe")),
      method: form.get("method") === "kernel" ? ("kernel" as const) : ("replay" as const),
      since: momentOf(form.get("since")),
      until: momentOf(form.get("until")),
    };
    const job = await send("post", "/api/backtests", { body, key });
    void client.invalidateQueries({ queryKey: ["backtest jobs"] });
    return `The backtest is ${job.state}.`;
  };
  return (
    <ActionDialog
      title="Start a backtest"
      explain={<p>A worker lets one strategy trade the stored candles with its default parameters, fees and slippage included. No money moves, and nothing is chosen by it.</p>}
      confirm="Start"
      close={close}
      run={run}
    >
      <Field label="Strategy">
        {(control) => (
          <select {...control} name="strategy">
            {STRATEGIES.map((id) => (
              <option key={id} value={id}>
                {strategyTitle(id)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Market" error={markets.length === 0 ? "There are no candles. Load some first." : null}>
        {(control) => (
          <select {...control} name="market" value={market} onChange={(event) => choose(event.target.value)} required>
            {markets.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Timeframe">
        {(control) => (
          <select {...control} name="timeframe" required>
            {timeframes.map((timeframe) => (
              <option key={timeframe}>{timeframe}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Method" hint="The engine decides as it does live; the kernel is faster and knows no other open positions.">
        {(control) => (
          <select {...control} name="method">
            <option value="replay">the engine, candle by candle</option>
            <option value="kernel">the kernel</option>
          </select>
        )}
      </Field>
      <Field label="From (UTC)" hint="Empty: from the first candle.">
        {(control) => <input {...control} name="since" type="date" />}
      </Field>
      <Field label="Until (UTC, exclusive)" hint="Empty: to the last candle.">
        {(control) => <input {...control} name="until" type="date" />}
      </Field>
    </ActionDialog>
  );
}
