import { Mark } from "../../components/Mark";
import { conditionTitle, measured } from "../../lib/format";
import type { GateStep } from "./report";

/** Each check of the gate with what it found. */
export function StepsTable({ label, steps }: { label: string; steps: GateStep[] }) {
  if (steps.length === 0) return <p className="panel-note muted">The gate judged nothing here.</p>;
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={`${label}, scrollable`}>
      <table aria-label={label} className="gate">
        <thead>
          <tr>
            <th scope="col">Check</th>
            <th scope="col">Verdict</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {steps.map((step) => (
            <tr key={step.step}>
              <th scope="row">
                <strong>{step.step}</strong> <span className="wrap">{step.title}</span>
              </th>
              <td>
                <Passed step={step} />
              </td>
              <td>
                <span className="told">{step.reason}</span>
                <StepFigures figures={step.figures} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Passed({ step }: { step: GateStep }) {
  if (step.passed === null) return <Mark tone="neutral">not judged</Mark>;
  if (step.passed) return <Mark tone="good">passed</Mark>;
  // Where what was chosen is no better than the defaults, these are judged instead.
  return step.step === "E" ? <Mark tone="special">defaults instead</Mark> : <Mark tone="bad">failed</Mark>;
}

function StepFigures({ figures }: { figures: Record<string, unknown> }) {
  const told = Object.entries(figures).filter(([, value]) => typeof value !== "object" || value === null);
  if (told.length === 0) return null;
  return <span className="told muted">{told.map(([name, value]) => `${conditionTitle(name)} ${typeof value === "number" ? measured(value) : String(value ?? "unknown")}`).join(" · ")}</span>;
}
