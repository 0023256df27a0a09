const TOO_LONG = 160;

// Enough digits to know a price again, without those that a float only seems to have.
const written = (value: unknown): string => (typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(9))) : String(value));

/** The plain facts of an event in one line: "reason news, subject trade-3". Nested ones are left to the full log. */
export function told(data: Record<string, unknown>): string {
  const words = Object.entries(data)
    .filter(([name, value]) => name !== "time" && value !== null && value !== "" && typeof value !== "object")
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${written(value)}`)
    .join(", ");
  return words.length > TOO_LONG ? `${words.slice(0, TOO_LONG - 1)}…` : words || "–";
}
