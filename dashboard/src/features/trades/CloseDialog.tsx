import { useBook, useMode } from "../../app/book";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import type { ActivePosition } from "../../generated/api";
import { send } from "../../lib/api";
import { outcomeOf, WAIT_SECONDS } from "../../lib/commands";

export function CloseDialog({ position, close }: { position: ActivePosition; close: () => void }) {
  const book = useBook();
  const isLive = useMode() === "LIVE";
  const run = async ({ reason, key }: Given): Promise<string> =>
    outcomeOf([
      await send("post", "/api/trades/{position_id}/close", {
        path: { position_id: position.position_id },
        query: { wait: WAIT_SECONDS },
        body: { book, reason },
        key,
      }),
    ]);
  return (
    <ActionDialog
      title={`Close ${position.direction} ${position.symbol}`}
      explain={
        <p>
          {position.quantity} are {position.direction === "long" ? "sold" : "bought back"} at market{isLive ? ", with real money" : ", on paper"}. Its stop and
          its target are withdrawn in the same step.
        </p>
      }
      confirm="Close at market"
      phrase={isLive ? `close ${position.symbol}` : undefined}
      asksReason
      danger
      close={close}
      run={run}
    />
  );
}
