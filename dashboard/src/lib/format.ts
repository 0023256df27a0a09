/** Words and figures as a person reads them. Decimals arrive as text and are never turned into a float to be shown. */

const MINUS = "\u2212";

/** Rounds a decimal text half away from zero, keeping exactly `digits` places: ("1234.565", 2) gives "1,234.57". */
export function decimal(text: string, digits: number, options: { sign?: boolean } = {}): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) return text;
  const [, minus = "", whole = "0", fraction = ""] = match;
  const kept = fraction.slice(0, digits).padEnd(digits, "0");
  let units = BigInt(whole + kept);
  if ((fraction[digits] ?? "0") >= "5") units += 1n;
  const figures = units.toString().padStart(digits + 1, "0");
  const integer = figures.slice(0, figures.length - digits).replace(/\B(?=(\d{3})+$)/g, ",");
  const body = digits > 0 ? `${integer}.${figures.slice(-digits)}` : integer;
  if (units === 0n) return body;
  return (minus ? MINUS : options.sign ? "+" : "") + body;
}

/** Places after the point of a tick or lot size: "0.10" has 1, "5" has 0, unknown has 2. */
export function places(step: string | null | undefined): number {
  if (step == null) return 2;
  return (step.split(".")[1] ?? "").replace(/0+$/, "").length;
}

export function number(value: number, digits: number, options: { sign?: boolean } = {}): string {
  const body = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (Number(body.replaceAll(",", "")) === 0) return body;
  return (value < 0 ? MINUS : options.sign ? "+" : "") + body;
}

/** A measured value: enough digits to compare it with its threshold, no more. */
export function measured(value: number | null): string {
  if (value === null) return "unknown";
  const digits = Math.abs(value) >= 1000 ? { maximumFractionDigits: 1 } : { maximumSignificantDigits: 4 };
  return value.toLocaleString("en-US", digits).replace("-", MINUS);
}

export const inR = (value: number | null): string => (value === null ? "–" : `${number(value, 2, { sign: true })} R`);

export const percent = (share: number | null, digits = 1): string =>
  share === null ? "–" : `${number(share * 100, digits)} %`;

const two = (value: number): string => String(value).padStart(2, "0");

/** "2026-01-02 14:05" in UTC, with seconds when asked for. */
export function utc(time: number, options: { seconds?: boolean; date?: boolean } = {}): string {
  const at = new Date(time);
  const clock = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}` + (options.seconds ? `:${two(at.getUTCSeconds())}` : "");
  if (options.date === false) return clock;
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${clock}`;
}

/** In which zone times are written: the market's, or the reader's own. */
export type Zone = "UTC" | "local";

/** As `utc`, in the zone asked for. */
export function clockTime(time: number, zone: Zone, options: { seconds?: boolean; date?: boolean } = {}): string {
  // A time moved by its own offset reads in UTC as it reads on the wall.
  return utc(zone === "UTC" ? time : time - new Date(time).getTimezoneOffset() * 60_000, options);
}

/** "UTC", or the offset of the reader's zone at that time: "UTC\u22125", "UTC+5:30". */
export function zoneName(zone: Zone, time: number): string {
  const offset = zone === "UTC" ? 0 : -new Date(time).getTimezoneOffset();
  if (offset === 0) return "UTC";
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60];
  return `UTC${offset < 0 ? MINUS : "+"}${hours}${minutes ? `:${two(minutes)}` : ""}`;
}

/** "42 s", "3 m 10 s", "2 h 5 m", "4 d 1 h". */
export function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} m ${seconds % 60} s` : `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} m` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/** "512 B", "1.5 GiB". */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${number(count / 1024 ** step, step ? 1 : 0)} ${units[step]}`;
}

const TITLES: Record<string, string> = {
  htf_sweep: "HTF sweep",
  volume_breakout: "Volume breakout",
  divergence_capitulation: "Divergence capitulation",
};

export const strategyTitle = (id: string): string => TITLES[id] ?? id.replaceAll("_", " ");

/** "range_height_atr" reads "range height ATR". */
export const conditionTitle = (name: string): string =>
  name.replaceAll("_", " ").replace(/\b(atr|ema|rsi|adx|htf)\b/g, (word) => word.toUpperCase());
