import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import type { CoverageLine } from "../../generated/api";
import { send } from "../../lib/api";
import { queries } from "../../lib/queries";

const NONE: CoverageLine[] = [];

/** Everything that is stored, every strategy, every regime, every timeframe that can be made of it. */
export function TrainDialog({ close }: { close: () => void }) {
  const client = useQueryClient();
  const series = useQuery(queries.coverage()).data?.series ?? NONE;
  const symbols = [...new Set(series.map((line) => line.symbol))].sort();
  const exchanges = [...new Set(series.map((line) => line.exchange))].sort();
  const run = async ({ key }: Given): Promise<string> => {
    const body = { symbols, exchanges, strategies: [], market_regimes: [], timeframes: [], challenger: false };
    const job = await send("post", "/api/training/start-multi-dimensional", { body, key });
    void client.invalidateQueries({ queryKey: ["training status"] });
    void client.invalidateQueries({ queryKey: ["training jobs"] });
    return `Training job ${job.job_id} is ${job.state}: ${job.units} combinations.`;
  };
  return (
    <ActionDialog
      title="Train on what is stored"
      explain={
        <p>
          {symbols.length > 0
            ? `Workers try every strategy on ${symbols.join(", ")} of ${exchanges.join(", ")}. It may take hours; trading goes on meanwhile, and no money moves.`
            : "There are no candles to train on. Load some first."}
        </p>
      }
      confirm="Start training"
      close={close}
      run={run}
    />
  );
}
