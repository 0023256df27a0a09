import { type FormEvent, type ReactNode, useState } from "react";
import { ApiError } from "../../lib/session";

interface CredentialsFormProps {
  title: string;
  children?: ReactNode;
  submit: string;
  newPassword?: boolean;
  send: (name: string, password: string) => Promise<void>;
}

const SHORTEST_PASSWORD = 12;

/** Name and password; what is wrong is said next to them, and the password is typed again. */
export function CredentialsForm({ title, children, submit, newPassword = false, send }: CredentialsFormProps) {
  const [error, setError] = useState<Error | null>(null);
  const [busy, setBusy] = useState(false);
  const onSubmit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await send(String(given.get("name")), String(given.get("password")));
    } catch (problem) {
      setBusy(false);
      setError(problem as Error);
      const password = form.elements.namedItem("password") as HTMLInputElement;
      password.value = "";
      password.focus();
    }
  };
  return (
    <main className="door">
      <form className="panel door-card" onSubmit={(event) => void onSubmit(event)}>
        <div className="brand">
          <img src="/mark.svg" alt="" width="26" height="26" />
          <h1>
            TradePulse <span>IQ</span>
          </h1>
        </div>
        <h2>{title}</h2>
        {children}
        <label>
          Name
          <input name="name" autoComplete="username" required maxLength={64} autoFocus />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autoComplete={newPassword ? "new-password" : "current-password"}
            required
            minLength={newPassword ? SHORTEST_PASSWORD : 1}
          />
          {newPassword && <small className="muted">At least {SHORTEST_PASSWORD} characters: four random words do well.</small>}
        </label>
        {error && (
          <p role="alert" className="door-error">
            <strong>{error.message}</strong> {error instanceof ApiError && error.remedy}
          </p>
        )}
        <button type="submit" disabled={busy}>
          {busy ? "One moment…" : submit}
        </button>
      </form>
    </main>
  );
}
