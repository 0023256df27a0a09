import { ActionDialog, type Given } from "../../components/ActionDialog";
import type { ConfigurationLine } from "../../generated/api";
import { send } from "../../lib/api";
import { combinationTitle } from "../../lib/combination";
import { useOutdate } from "./useOutdate";

interface MoveDialogProps {
  configuration: ConfigurationLine;
  close: () => void;
}

const REAL = "Wallets on paper and, where a wallet is live, real money trade by it from the next candle on.";
const about = ({ symbol, version, ...rest }: ConfigurationLine): string => `${symbol}, ${combinationTitle(rest)}, version ${version}`;

export function ActivateDialog({ configuration, close }: MoveDialogProps) {
  const outdate = useOutdate();
  const run = async ({ reason, key }: Given): Promise<string> => {
    const moved = await send("post", "/api/training/configurations/{configuration_id}/activate", { path: { configuration_id: configuration.configuration_id }, body: { reason }, key });
    outdate();
    return `In force: ${about(moved)}.`;
  };
  return (
    <ActionDialog
      title="Activate a configuration"
      explain={
        <>
          <p>
            <strong>{about(configuration)}</strong> is put into force; a version of the same combination that is in force now is taken out of it.
          </p>
          <p>{REAL}</p>
        </>
      }
      confirm="Activate"
      asksReason
      close={close}
      run={run}
    />
  );
}

export function DeactivateDialog({ configuration, close }: MoveDialogProps) {
  const outdate = useOutdate();
  const run = async ({ reason, key }: Given): Promise<string> => {
    const moved = await send("post", "/api/training/configurations/{configuration_id}/deactivate", { path: { configuration_id: configuration.configuration_id }, body: { reason }, key });
    outdate();
    return `Not in force any more: ${about(moved)}.`;
  };
  return (
    <ActionDialog
      title="Deactivate a configuration"
      explain={
        <p>
          <strong>{about(configuration)}</strong> is taken out of force. Open positions keep their stops and targets; new setups follow what is in force for all regimes, if anything is. It
          can be activated again.
        </p>
      }
      confirm="Deactivate"
      asksReason
      danger
      close={close}
      run={run}
    />
  );
}

export function RollbackDialog({ configuration, close }: MoveDialogProps) {
  const outdate = useOutdate();
  const run = async ({ reason, key }: Given): Promise<string> => {
    const moved = await send("post", "/api/training/configurations/{configuration_id}/rollback", { path: { configuration_id: configuration.configuration_id }, body: { reason }, key });
    outdate();
    return `In force again: ${about(moved)}.`;
  };
  return (
    <ActionDialog
      title="Roll back a configuration"
      explain={
        <>
          <p>
            The version that was in force before <strong>{about(configuration)}</strong> is put into force again, and this one is taken out of it.
          </p>
          <p>{REAL}</p>
        </>
      }
      confirm="Roll back"
      asksReason
      close={close}
      run={run}
    />
  );
}
