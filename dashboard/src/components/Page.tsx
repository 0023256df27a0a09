import { type ReactNode, useEffect } from "react";

interface PageProps {
  title: string;
  /** One line below the title: what this screen is for. */
  about?: ReactNode;
  /** Buttons and switches of the whole screen. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every screen. */
export function Page({ title, about, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · TradePulse IQ`;
  }, [title]);
  return (
    <div className="page">
      <header className="page-head">
        <div>
          <h1>{title}</h1>
          {about && <p className="muted">{about}</p>}
        </div>
        {actions && <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
