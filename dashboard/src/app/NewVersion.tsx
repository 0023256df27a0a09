import { useEffect, useState } from "react";
import { entryOf, isAnotherBuild } from "../lib/build";
import { useLive } from "./LiveProvider";

const LOOK_MILLISECONDS = 5 * 60_000;

/** An upgrade leaves open tabs with the code of before, which asks the new server in the old one's words. */
export function NewVersion() {
  const connected = useLive().live.connection.state === "live";
  const [isOld, setOld] = useState(false);
  useEffect(() => {
    const entry = entryOf(document);
    if (entry === "" || isOld) return;
    const stop = new AbortController();
    const look = () => void servedPage(stop.signal).then((page) => isAnotherBuild(page, entry) && setOld(true));
    look();
    const timer = window.setInterval(look, LOOK_MILLISECONDS);
    return () => {
      stop.abort();
      window.clearInterval(timer);
    };
  }, [connected, isOld]);
  if (!isOld) return null;
  return (
    <div className="banner banner-trading" role="alert" data-testid="new-version">
      TradePulse was changed to another version, and this page is of the one before.{" "}
      <button type="button" onClick={() => window.location.reload()}>
        Load it again
      </button>
    </div>
  );
}

/** Empty where it cannot be had: the loss of a connection is told elsewhere. */
async function servedPage(signal: AbortSignal): Promise<string> {
  try {
    const answer = await fetch("/", { signal, cache: "no-cache" });
    return answer.ok ? await answer.text() : "";
  } catch {
    return "";
  }
}
