import type { ReactNode } from "react";

interface PanelProps {
  title: string;
  id: string;
  aside?: ReactNode;
  className?: string;
  children: ReactNode;
}

export function Panel({ title, id, aside, className = "", children }: PanelProps) {
  return (
    <section className={`panel ${className}`} aria-labelledby={`${id}-title`} id={id}>
      <header className="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {aside && <div className="panel-aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}
