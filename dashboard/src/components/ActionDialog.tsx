import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { ApiError, session } from "../lib/session";
import { wishKey } from "../lib/wish";
import { Dialog } from "./Dialog";
import { Field } from "./Field";
import { useToasts } from "./Toasts";

export interface Given {
  /** Why, in the person's words; empty where it is not asked for. */
  reason: string;
  form: FormData;
  /** For the write's `Idempotency-Key`: stays the same while one and the same wish is sent again. */
  key: string;
}

interface ActionDialogProps {
  title: string;
  /** What will happen, and what will not. */
  explain: ReactNode;
  confirm: string;
  /** Must be typed before anything happens: for what moves real money or stops everything. */
  phrase?: string | undefined;
  asksReason?: boolean;
  danger?: boolean;
  close: () => void;
  /** Answers what is told afterwards. What it throws is shown, and everything stays as it was typed. */
  run: (given: Given) => Promise<string>;
  /** More fields of the form. */
  children?: ReactNode;
}

/** Every write that matters asks here first. Where the server wants the password once more, it is asked for in place. */
export function ActionDialog({ title, explain, confirm, phrase, asksReason = false, danger = false, close, run, children }: ActionDialogProps) {
  const { tell } = useToasts();
  const wish = useRef(wishKey());
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const [wantsPassword, setWantsPassword] = useState(false);
  const isArmed = phrase === undefined || typed.trim() === phrase;

  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (!isArmed || busy) return;
    const form = new FormData(event.currentTarget);
    const password = String(form.get("password-again") ?? "");
    form.delete("password-again");
    const reason = String(form.get("reason") ?? "").trim();
    setBusy(true);
    setError(null);
    try {
      if (password) await session.confirm(password);
      const told = await run({ reason, form, key: wish.current([...form.entries()].join("\n")) });
      tell({ title: told });
      close();
    } catch (problem) {
      setBusy(false);
      if (problem instanceof ApiError && problem.code === "confirmation_needed") setWantsPassword(true);
      else setError(problem as Error);
    }
  };

  return (
    <Dialog title={title} close={close} testid="action">
      <form className="form" onSubmit={(event) => void submit(event)}>
        <div className="explain">{explain}</div>
        {children}
        {asksReason && (
          <Field label="Reason" hint="Kept with the event.">
            {(control) => <input {...control} name="reason" required maxLength={500} autoComplete="off" />}
          </Field>
        )}
        {phrase !== undefined && (
          <Field label={`Type “${phrase}” to go on`}>
            {(control) => (
              <input {...control} value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" autoCapitalize="off" spellCheck={false} />
            )}
          </Field>
        )}
        {wantsPassword && (
          <Field label="Your password" hint="This needs your password once more.">
            {(control) => <input {...control} name="password-again" type="password" autoComplete="current-password" required autoFocus />}
          </Field>
        )}
        {error && (
          <p role="alert" className="form-error">
            <strong>{error.message}</strong> {error instanceof ApiError && error.remedy}
          </p>
        )}
        <div className="form-buttons">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className={danger ? "button-danger" : "button-primary"} disabled={!isArmed || busy}>
            {busy ? "One moment…" : confirm}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
