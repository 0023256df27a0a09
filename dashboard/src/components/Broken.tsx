import { Failed } from "./Answered";
import { Page } from "./Page";

/** A screen that failed to be drawn, or whose code could not be loaded; the rest of the page stays. */
export function Broken({ error }: { error: unknown }) {
  return (
    <Page title="This screen failed">
      <Failed error={error instanceof Error ? error : new Error(String(error))} retry={() => window.location.reload()} />
    </Page>
  );
}
