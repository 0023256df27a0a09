import type { AllowedParameterLine, RangeGiven } from "../../generated/api";
import { measured } from "../../lib/format";

/** The names of a parameter's fields in the form. */
export const lowOf = (name: string): string => `low ${name}`;
export const highOf = (name: string): string => `high ${name}`;
export const choiceOf = (name: string): string => `choice ${name}`;

const numberIn = (form: FormData, field: string): number | null => {
  const text = String(form.get(field) ?? "").trim();
  return text === "" ? null : Number(text);
};

/** What was given, by parameter; one that is left as wide as its bounds is not named. */
export function rangesIn(form: FormData, parameters: AllowedParameterLine[]): Record<string, RangeGiven> {
  const given: Record<string, RangeGiven> = {};
  for (const { name, kind, choices } of parameters) {
    if (kind === "choice") {
      const chosen = form.getAll(choiceOf(name)).map(String);
      if (chosen.length !== choices.length) given[name] = { choices: chosen };
      continue;
    }
    const [low, high] = [numberIn(form, lowOf(name)), numberIn(form, highOf(name))];
    if (low !== null || high !== null) given[name] = { low, high, choices: [] };
  }
  return given;
}

export const boundsInWords = ({ kind, low, high, choices }: Pick<AllowedParameterLine, "kind" | "low" | "high" | "choices">): string =>
  kind === "choice" ? choices.join(", ") : `${measured(low)} to ${measured(high)}`;

/** What the next training may use. */
export function allowedInWords(parameter: AllowedParameterLine): string {
  const { allowed, low, high } = parameter;
  if (!allowed) return "all of it";
  return allowed.choices.length > 0 ? allowed.choices.join(", ") : `${measured(allowed.low ?? low)} to ${measured(allowed.high ?? high)}`;
}
