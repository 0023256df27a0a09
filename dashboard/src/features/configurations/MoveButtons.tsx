import { useState } from "react";
import { mayTrade, useUser } from "../../app/who";
import type { ConfigurationLine } from "../../generated/api";
import { ActivateDialog, DeactivateDialog, RollbackDialog } from "./MoveDialogs";
import { mayBeActivated } from "./stages";

const DIALOGS = { activate: ActivateDialog, deactivate: DeactivateDialog, rollback: RollbackDialog };

/** What may be done with a configuration as it stands. */
export function MoveButtons({ configuration }: { configuration: ConfigurationLine }) {
  const [asked, ask] = useState<keyof typeof DIALOGS | null>(null);
  const Dialog = asked && DIALOGS[asked];
  if (!mayTrade(useUser())) return <span className="muted">for traders</span>;
  return (
    <span className="buttons">
      {mayBeActivated(configuration) && (
        <button type="button" onClick={() => ask("activate")}>
          Activate…
        </button>
      )}
      {configuration.active && (
        <button type="button" onClick={() => ask("deactivate")}>
          Deactivate…
        </button>
      )}
      {configuration.active && configuration.version > 1 && (
        <button type="button" onClick={() => ask("rollback")}>
          Roll back…
        </button>
      )}
      {Dialog && <Dialog configuration={configuration} close={() => ask(null)} />}
    </span>
  );
}
