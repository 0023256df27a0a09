import type { ConditionLine } from "../../generated/api";
import { conditionTitle, measured } from "../../lib/format";
import { comparisonSign } from "./latest";

export function ConditionTable({ conditions }: { conditions: ConditionLine[] }) {
  return (
    <table className="conditions" data-testid="conditions">
      <thead>
        <tr>
          <th scope="col">Condition</th>
          <th scope="col" className="figure-cell">Measured</th>
          <th scope="col" className="figure-cell">Asked for</th>
          <th scope="col">Held</th>
          <th scope="col">Kind</th>
        </tr>
      </thead>
      <tbody>
        {conditions.map((condition) => (
          <tr key={condition.name} className={condition.passed ? "" : "condition-failed"}>
            <th scope="row">{conditionTitle(condition.name)}</th>
            <td className="figure-cell">{measured(condition.value)}</td>
            <td className="figure-cell">
              {comparisonSign(condition.comparison)} {measured(condition.threshold)}
            </td>
            <td className={condition.passed ? "gain" : "loss"}>
              <span aria-hidden="true">{condition.passed ? "✓" : "✕"}</span> {condition.passed ? "held" : "not"}
            </td>
            <td className="muted">{condition.required ? "required" : "context"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
