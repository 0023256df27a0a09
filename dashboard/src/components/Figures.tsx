import type { ReactNode } from "react";

/** A grid of figures, each with its name and a note: `<Figures><Figure label="Equity" main="1,000">…</Figure></Figures>`. */
export function Figures({ children }: { children: ReactNode }) {
  return <dl className="figures">{children}</dl>;
}

export function Figure({ label, main, children }: { label: string; main: ReactNode; children?: ReactNode }) {
  return (
    <div className="figure">
      <dt>{label}</dt>
      <dd className="figure-main">{main}</dd>
      {children && <dd className="figure-note">{children}</dd>}
    </div>
  );
}
