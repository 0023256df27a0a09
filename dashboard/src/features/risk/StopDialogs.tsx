import { useBook, useMode } from "../../app/book";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { send } from "../../lib/api";
import { outcomeOf, WAIT_SECONDS } from "../../lib/commands";

/** Halts every book there is, whichever is looked at. */
export function KillDialog({ close }: { close: () => void }) {
  const run = async ({ reason, form, key }: Given): Promise<string> => {
    const body = { reason, close_positions: form.get("close-positions") !== null };
    return outcomeOf(await send("post", "/api/trades/kill-switch", { query: { wait: WAIT_SECONDS }, body, key }));
  };
  return (
    <ActionDialog
      title="Kill switch"
      explain={
        <>
          <p>
            <strong>Every book stops entering at once.</strong> Entries on their way are withdrawn. Stops and targets stay where they are.
          </p>
          <p>Trading begins again only when somebody resumes it.</p>
        </>
      }
      confirm="Stop everything"
      phrase="stop everything"
      asksReason
      danger
      close={close}
      run={run}
    >
      <label className="check">
        <input type="checkbox" name="close-positions" /> Also close every open position at market
      </label>
    </ActionDialog>
  );
}

export function PauseDialog({ close }: { close: () => void }) {
  const book = useBook();
  const run = async ({ reason, key }: Given): Promise<string> =>
    outcomeOf([await send("post", "/api/trades/pause", { query: { wait: WAIT_SECONDS }, body: { book, reason }, key })]);
  return (
    <ActionDialog
      title={`Pause book “${book}”`}
      explain={<p>Nothing new is entered in this book, and entries on their way are withdrawn. Stops and targets stay.</p>}
      confirm="Pause"
      asksReason
      close={close}
      run={run}
    />
  );
}

export function ResumeDialog({ close }: { close: () => void }) {
  const book = useBook();
  const isLive = useMode() === "LIVE";
  const run = async ({ reason, key }: Given): Promise<string> =>
    outcomeOf([await send("post", "/api/trades/resume", { query: { wait: WAIT_SECONDS }, body: { book, reason }, key })]);
  return (
    <ActionDialog
      title={`Resume book “${book}”`}
      explain={
        <p>
          Lifts what only a person may lift: a halt by hand, the kill switch, a drawdown limit. After a drawdown the peak begins anew at the equity of this
          moment. {isLive ? "Real money is traded again." : "No real money moves: this book is on paper."}
        </p>
      }
      confirm="Resume"
      phrase={isLive ? `resume live ${book}` : undefined}
      asksReason
      danger={isLive}
      close={close}
      run={run}
    />
  );
}
