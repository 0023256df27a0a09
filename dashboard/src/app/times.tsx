import { createContext, type ReactNode, useContext, useMemo, useState } from "react";
import { clockTime, type Zone, zoneName } from "../lib/format";
import { kept, keep } from "../lib/kept";

interface Times {
  zone: Zone;
  /** What the zone is called now, for column heads and switches. */
  name: string;
  choose: (zone: Zone) => void;
  at: (time: number, options?: { seconds?: boolean; date?: boolean }) => string;
}

const timesIn = (zone: Zone, choose: (zone: Zone) => void): Times => ({
  zone,
  name: zoneName(zone, Date.now()),
  choose,
  at: (time, options) => clockTime(time, zone, options),
});

const TimesContext = createContext<Times>(timesIn("UTC", () => undefined));
export const useTimes = (): Times => useContext(TimesContext);

export function TimesProvider({ children }: { children: ReactNode }) {
  const [zone, setZone] = useState<Zone>(() => (kept("zone") === "local" ? "local" : "UTC"));
  const times = useMemo(
    () =>
      timesIn(zone, (next) => {
        keep("zone", next);
        setZone(next);
      }),
    [zone],
  );
  return <TimesContext value={times}>{children}</TimesContext>;
}

/** A moment in the zone that was chosen; a machine reads it in UTC. */
export function Moment({ time, seconds = false, date = true }: { time: number | null | undefined; seconds?: boolean; date?: boolean }) {
  const { at } = useTimes();
  if (time == null) return <>–</>;
  return <time dateTime={new Date(time).toISOString()}>{at(time, { seconds, date })}</time>;
}
