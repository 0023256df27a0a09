import { session } from "../../lib/session";
import { CredentialsForm } from "./CredentialsForm";

/** The link's token stands behind the #, which no browser sends to a server. */
export function SetUpPage() {
  const setUp = async (name: string, password: string): Promise<void> => {
    const token = window.location.hash.slice(1);
    // The token is used up from here on, and has no business in the history.
    await session.setUp(token, name, password);
    window.history.replaceState(null, "", "/first-steps");
  };
  return (
    <CredentialsForm title="Make the first user" submit="Make this user and log in" newPassword send={setUp}>
      <p>This user is an admin: it may do everything, and make other users.</p>
    </CredentialsForm>
  );
}
