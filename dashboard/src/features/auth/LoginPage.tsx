import { useEffect, useState } from "react";
import { session } from "../../lib/session";
import { CredentialsForm } from "./CredentialsForm";

export function LoginPage({ why }: { why: string | null }) {
  const [needsSetUp, setNeedsSetUp] = useState(false);
  useEffect(() => {
    session.needsSetUp().then(setNeedsSetUp, () => setNeedsSetUp(false));
  }, []);
  return (
    <CredentialsForm title="Log in" submit="Log in" send={(name, password) => session.logIn(name, password)}>
      {why && <p role="status">{why}</p>}
      {needsSetUp && (
        <p role="status">
          There is no user yet. Open the link that <code>tradepulse up</code> printed to make the first one.
        </p>
      )}
    </CredentialsForm>
  );
}
