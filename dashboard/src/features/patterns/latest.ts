import type { ConditionLine, SetupLine } from "../../generated/api";
import { conditionTitle, measured } from "../../lib/format";

const COMPARISONS: Record<string, string> = { ">=": "≥", "<=": "≤" };
export const comparisonSign = (comparison: string): string => COMPARISONS[comparison] ?? comparison;

/** Of each strategy on each market and timeframe the setup that was evaluated last; nearest to full confluence first. */
export function latestOf(setups: SetupLine[]): SetupLine[] {
  const latest = new Map<string, SetupLine>();
  for (const setup of setups) {
    const key = [setup.exchange, setup.symbol, setup.timeframe, setup.strategy].join(" ");
    const known = latest.get(key);
    if (!known || known.found_at < setup.found_at) latest.set(key, setup);
  }
  return [...latest.values()].sort((left, right) => share(right) - share(left) || right.found_at - left.found_at);
}

export const held = (conditions: ConditionLine[]): number => conditions.filter((condition) => condition.passed).length;
const share = (setup: SetupLine): number => held(setup.conditions) / Math.max(1, setup.conditions.length);

/** "volume ratio 1.1, asks for ≥ 1.8": what was missing, the required ones first. */
export const missingWords = (conditions: ConditionLine[]): string[] =>
  conditions
    .filter((condition) => !condition.passed)
    .sort((left, right) => Number(right.required) - Number(left.required))
    .map(({ name, value, comparison, threshold }) => `${conditionTitle(name)} ${measured(value)}, asks for ${comparisonSign(comparison)} ${measured(threshold)}`);
