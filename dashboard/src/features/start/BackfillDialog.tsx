import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Field } from "../../components/Field";
import { get, send } from "../../lib/api";

const list = (text: FormDataEntryValue | null): string[] =>
  String(text ?? "")
    .split(/[\s,]+/)
    .filter(Boolean);

/** Asks a worker for candles of a real exchange. */
export function BackfillDialog({ close }: { close: () => void }) {
  const client = useQueryClient();
  const supported = useQuery({ queryKey: ["supported"], queryFn: ({ signal }) => get("/api/exchanges/supported", { signal }) }).data ?? [];
  const exchanges = [...new Set(supported.map((line) => line.exchange))].sort();
  const run = async ({ form, key }: Given): Promise<string> => {
    const body = {
      exchange: String(form.get("exchange")),
      symbols: list(form.get("symbols")),
      timeframes: list(form.get("timeframes")),
      days: Number(form.get("days")),
    };
    const job = await send("post", "/api/data/backfill", { body, key });
    void client.invalidateQueries({ queryKey: ["coverage"] });
    return `A worker loads the candles: job ${job.job_id} is ${job.state}.`;
  };
  return (
    <ActionDialog
      title="Load candles"
      explain={<p>A worker asks the exchange, without a key, and stores what it answers. What is stored already is not asked for again. No money moves.</p>}
      confirm="Load"
      close={close}
      run={run}
    >
      <Field label="Exchange">
        {(control) => (
          <select {...control} name="exchange" required>
            {exchanges.map((exchange) => (
              <option key={exchange}>{exchange}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Symbols" hint="As the exchange's markets are called here, separated by commas.">
        {(control) => <input {...control} name="symbols" defaultValue="BTC/USDT, ETH/USDT" required />}
      </Field>
      <Field label="Timeframes" hint="1m, 5m, 15m, 1h, 4h, 1d, 1w">
        {(control) => <input {...control} name="timeframes" defaultValue="15m" required />}
      </Field>
      <Field label="Days back">{(control) => <input {...control} name="days" type="number" min={1} max={3650} defaultValue={365} required />}</Field>
    </ActionDialog>
  );
}
