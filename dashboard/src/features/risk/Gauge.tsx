import { percent } from "../../lib/format";
import { strainOf } from "./limits";

const WORDS = { calm: "", near: "near", reached: "reached" };

/** A bar with a word beside it where it matters. */
export function Gauge({ share, label }: { share: number; label: string }) {
  const strain = strainOf(share);
  return (
    <span className={`gauge gauge-${strain}`}>
      <progress max={1} value={Math.min(1, share)} aria-label={`${label}: ${percent(share, 0)} used`} />
      {WORDS[strain] && <strong>▲ {WORDS[strain]}</strong>}
    </span>
  );
}
