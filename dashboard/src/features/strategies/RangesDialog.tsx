import { useQueryClient } from "@tanstack/react-query";
import { ActionDialog, type Given } from "../../components/ActionDialog";
import { Field } from "../../components/Field";
import type { AllowedParameterLine, StrategyLine } from "../../generated/api";
import { send } from "../../lib/api";
import { conditionTitle } from "../../lib/format";
import { boundsInWords, choiceOf, highOf, lowOf, rangesIn } from "./ranges";

interface RangesDialogProps {
  strategy: StrategyLine;
  parameters: AllowedParameterLine[];
  /** The version that was looked at: another one that came meanwhile is not overwritten. */
  version: number;
  close: () => void;
}

/** What the next training may use of each parameter. */
export function RangesDialog({ strategy, parameters, version, close }: RangesDialogProps) {
  const client = useQueryClient();
  const run = async ({ form, reason, key }: Given): Promise<string> => {
    const body = { ranges: rangesIn(form, parameters), reason, version };
    const set = await send("put", "/api/patterns/{strategy_id}/parameters", { path: { strategy_id: strategy.strategy }, body, key });
    void client.invalidateQueries({ queryKey: ["parameters", strategy.strategy] });
    return `Version ${set.version} of the ranges of ${strategy.title} holds from the next training on.`;
  };
  return (
    <ActionDialog
      title={`Allowed ranges of ${strategy.title}`}
      explain={<p>The next training looks only within these. An empty field leaves that end at its bound. What is in force now goes on unchanged.</p>}
      confirm="Set the ranges"
      asksReason
      close={close}
      run={run}
    >
      <div className="ranges">
        {parameters.map((parameter) => (parameter.kind === "choice" ? <Choices key={parameter.name} parameter={parameter} /> : <Ends key={parameter.name} parameter={parameter} />))}
      </div>
    </ActionDialog>
  );
}

function Ends({ parameter }: { parameter: AllowedParameterLine }) {
  const { name, kind, low, high, allowed } = parameter;
  const shared = { type: "number", step: kind === "int" ? 1 : "any", min: low, max: high };
  const title = conditionTitle(name);
  return (
    <>
      <Field label={`${title}, least`} hint={boundsInWords(parameter)}>
        {(control) => <input {...control} {...shared} name={lowOf(name)} placeholder={String(low)} defaultValue={allowed?.low ?? ""} />}
      </Field>
      <Field label={`${title}, most`}>{(control) => <input {...control} {...shared} name={highOf(name)} placeholder={String(high)} defaultValue={allowed?.high ?? ""} />}</Field>
    </>
  );
}

function Choices({ parameter: { name, choices, allowed } }: { parameter: AllowedParameterLine }) {
  const chosen = allowed?.choices ?? choices;
  return (
    <fieldset className="ranges-choice">
      <legend>{conditionTitle(name)}</legend>
      {choices.map((choice) => (
        <label key={choice} className="check">
          <input type="checkbox" name={choiceOf(name)} value={choice} defaultChecked={chosen.includes(choice)} /> {choice}
        </label>
      ))}
    </fieldset>
  );
}
