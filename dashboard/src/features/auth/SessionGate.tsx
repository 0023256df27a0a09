import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useSyncExternalStore } from "react";
import { Loading } from "../../components/Answered";
import { session } from "../../lib/session";
import { LoginPage } from "./LoginPage";
import { SetUpPage } from "./SetUpPage";

/** Nothing of the dashboard is drawn, and nothing asked for, before somebody has logged in. */
export function SessionGate({ children }: { children: ReactNode }) {
  const current = useSyncExternalStore(session.subscribe, session.state);
  const client = useQueryClient();
  useEffect(() => {
    if (window.location.pathname !== "/set-up") void session.begin();
  }, []);
  // What one user has read is not left to the next.
  useEffect(() => session.subscribe(() => session.state().state === "out" && client.clear()), [client]);
  if (current.state === "in") return children;
  if (window.location.pathname === "/set-up") return <SetUpPage />;
  if (current.state === "unknown") return <Loading rows={8} />;
  if (current.state === "unreachable") return <Unreachable />;
  return <LoginPage why={current.why} />;
}

function Unreachable() {
  useEffect(() => {
    const timer = window.setInterval(() => void session.begin(), 3000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <main className="door">
      <div className="panel door-card" role="alert">
        <strong>The TradePulse server does not answer.</strong>
        <p>
          Start it with <code>tradepulse up</code>. This page goes on by itself.
        </p>
      </div>
    </main>
  );
}
