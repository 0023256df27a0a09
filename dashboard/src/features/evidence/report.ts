import type { Answer } from "../../lib/api";
import type { Combination } from "../../lib/combination";

/** The parts of a stored report that are shown. The API passes a report on as it was written, so older ones may lack some. */
export interface Figures {
  trades: number;
  wins: number;
  precision: number | null;
  precision_lower: number | null;
  break_even: number | null;
  payoff: number | null;
  expectancy_r: number | null;
  standard_error: number | null;
}

export interface Published {
  precision: number | null;
  precision_lower: number | null;
  break_even: number | null;
  expectancy_r: number | null;
  expectancy_lower: number | null;
  effective_trades: number | null;
  probability_above_break_even: number | null;
  probability_positive: number | null;
}

export interface GateStep {
  step: string;
  title: string;
  /** null: not reached. */
  passed: boolean | null;
  reason: string;
  figures: Record<string, unknown>;
}

export type Values = Record<string, number | string>;

export interface CombinationReport extends Combination {
  verdict: string;
  falls_back_to: string | null;
  reason: string;
  steps: GateStep[];
  origin: string;
  values: Values;
  parameters_id: string;
  training: Figures;
  held_out: Figures;
  published: Published | null;
  data?: { hash: string; first: number; last: number; candles: number };
}

export interface Chosen {
  values: Values;
  training: Figures;
  held_out: Figures;
}

export interface Surface {
  parameters: [string, string];
  points: [number, number, number][];
}

export interface Cscv {
  pbo: number | null;
  splits: number;
  histogram: { edges: number[]; counts: number[] };
  loss_probability: number | null;
  slope: number | null;
}

export interface FamilyReport {
  strategy: string;
  timeframe: string;
  series: string[];
  candles: number;
  first: number;
  last: number;
  recent_from: number;
  points: number;
  verdict: string;
  reason: string;
  steps: GateStep[];
  plateau: Chosen | null;
  defaults: Chosen;
  surface?: Surface;
  in_out?: [number | null, number | null, number][];
  cscv?: Cscv | null;
  equity?: [number, number, string][];
}

export interface LeftOut {
  series: string;
  strategy: string;
  reason: string;
}

export interface Report {
  families: FamilyReport[];
  combinations: CombinationReport[];
  left_out: LeftOut[];
  honesty: { trials?: number };
  summary: { deployed: number; judged: number; families_passed: number; families: number };
}

export const reportIn = (answer: Answer<"/api/training/jobs/{job_id}/results">): Report => answer as unknown as Report;

export const familyOf = (report: Report, { strategy, timeframe }: Pick<Combination, "strategy" | "timeframe">): FamilyReport | undefined =>
  report.families.find((family) => family.strategy === strategy && family.timeframe === timeframe);

/** What is worth a first look: what passed, else where most trades tell something. */
export function mostTelling(combinations: CombinationReport[]): CombinationReport | undefined {
  const weight = (one: CombinationReport): number => (one.verdict === "deployed" ? 1e9 : 0) + one.held_out.trades;
  return combinations.reduce<CombinationReport | undefined>((best, one) => (best === undefined || weight(one) > weight(best) ? one : best), undefined);
}

/** The judgement in a configuration's evidence; one that was imported or made by hand may have none. */
export function combinationReportIn(evidence: Record<string, unknown>): CombinationReport | null {
  const found = evidence["combination"] as CombinationReport | undefined;
  return found?.training && found.held_out && Array.isArray(found.steps) ? found : null;
}
