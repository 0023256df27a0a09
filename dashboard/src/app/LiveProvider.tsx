import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import { Intake, type Marks, TOPICS } from "../lib/intake";
import { browserEnvironment, type Connection, LiveConnection } from "../lib/live";

export interface LiveState {
  connection: Connection;
  /** Market time of the latest candle or event: on simulated data it runs faster than the wall's. */
  marketTime: number | null;
  /** Wall time at which that was heard. */
  committedAt: number | null;
  serverTime: number | null;
  /** Wall time of the last message. */
  heardAt: number | null;
  marks: Marks;
}

const SILENT: LiveState = {
  connection: { state: "connecting" },
  marketTime: null,
  committedAt: null,
  serverTime: null,
  heardAt: null,
  marks: {},
};
/** Messages may come by the hundred; the page is redrawn at most this often. */
const REDRAW_MILLISECONDS = 200;

const LiveContext = createContext<{ live: LiveState; retryNow: () => void }>({ live: SILENT, retryNow: () => undefined });
export const useLive = () => useContext(LiveContext);

export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [live, setLive] = useState(SILENT);
  const connection = useRef<LiveConnection | null>(null);

  useEffect(() => {
    let heard: LiveState = SILENT;
    let timer: number | null = null;
    const change = (changes: Partial<LiveState>, atOnce = false): void => {
      heard = { ...heard, ...changes };
      if (atOnce) setLive(heard);
      timer ??= window.setTimeout(() => {
        timer = null;
        setLive(heard);
      }, REDRAW_MILLISECONDS);
    };
    const intake = new Intake(
      client,
      (market, mark) => change({ marks: { ...heard.marks, [market]: mark } }),
      (time) => change({ marketTime: Math.max(heard.marketTime ?? 0, time), committedAt: Date.now() }),
      (serverTime) => change({ serverTime }),
    );
    const live = new LiveConnection(
      TOPICS,
      {
        message: (message) => {
          change({ heardAt: Date.now() });
          intake.take(message);
        },
        subscribed: (missedIsReplayed) => {
          change({ heardAt: Date.now() });
          if (missedIsReplayed) intake.candlesAreOutdated();
          else intake.everythingIsOutdated();
        },
        connection: (next) => change({ connection: next }, true),
      },
      browserEnvironment(),
    );
    connection.current = live;
    const retry = (): void => live.retryNow();
    window.addEventListener("online", retry);
    live.start();
    return () => {
      window.removeEventListener("online", retry);
      if (timer !== null) window.clearTimeout(timer);
      live.stop();
      intake.stop();
    };
  }, [client]);

  const value = useMemo(() => ({ live, retryNow: () => connection.current?.retryNow() }), [live]);
  return <LiveContext value={value}>{children}</LiveContext>;
}

/** Wall time, moving on each second. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}
