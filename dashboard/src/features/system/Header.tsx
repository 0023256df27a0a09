import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useBooks, useMode } from "../../app/book";
import { useLive, useNow } from "../../app/LiveProvider";
import { useTheme } from "../../app/theme";
import { useTimes } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Switch } from "../../components/Switch";
import type { SystemStatus } from "../../generated/api";
import { span } from "../../lib/format";
import { timeframeSpan } from "../../lib/intake";
import type { Connection } from "../../lib/live";
import { queries } from "../../lib/queries";
import { KillDialog } from "../risk/StopDialogs";
import { session } from "../../lib/session";

interface HeaderProps {
  isMenuOpen: boolean;
  toggleMenu: () => void;
}

export function Header({ isMenuOpen, toggleMenu }: HeaderProps) {
  const status = useQuery(queries.status()).data;
  const mode = useMode();
  const { theme, toggle } = useTheme();
  return (
    <header className="top">
      <div className="brand">
        <button type="button" className="icon-button menu-button" onClick={toggleMenu} aria-expanded={isMenuOpen} aria-controls="menu" aria-label="Menu">
          ☰
        </button>
        <img src="/mark.svg" alt="" width="26" height="26" />
        <strong className="brand-name">
          TradePulse <span>IQ</span>
        </strong>
        {mode && (
          <span className={`badge badge-${mode.toLowerCase()}`} data-testid="mode" title={MODE_WORDS[mode]}>
            {mode}
          </span>
        )}
        {status?.simulated && (
          <span className="badge badge-simulated" data-testid="simulated" title="The candles are made up by the embedded exchange: nothing here is a real market.">
            SIMULATED
          </span>
        )}
        <LiveElsewhere />
      </div>
      <div className="pulse">
        <BookPicker />
        <MarketClock status={status} />
        <Heartbeat status={status} />
        <ConnectionState />
        <ZoneSwitch />
        <StopButton />
        <Who />
        <button type="button" className="icon-button" onClick={toggle} aria-label={`Switch to the ${theme === "dark" ? "light" : "dark"} theme`}>
          {theme === "dark" ? <Sun /> : <Moon />}
        </button>
      </div>
    </header>
  );
}

function Who() {
  const user = useUser();
  return (
    <div className="vital" data-testid="user">
      <span className="vital-label">
        {user.name} ({user.role})
      </span>
      <button type="button" className="link" onClick={() => void session.logOut()}>
        Log out
      </button>
    </div>
  );
}

/** Looking at one book must not hide that another one moves real money. */
function LiveElsewhere() {
  const { book } = useBooks();
  const wallets = useQuery(queries.wallets()).data ?? [];
  const others = wallets.filter((wallet) => wallet.mode === "live" && wallet.traded && wallet.book !== book);
  if (others.length === 0) return null;
  return (
    <span className="badge badge-live" data-testid="live-elsewhere">
      LIVE IN {others.map((wallet) => wallet.book).join(", ")}
    </span>
  );
}

/** Only where there are several to choose from. */
function BookPicker() {
  const { book, books, choose } = useBooks();
  if (books.length < 2 || book === null) return null;
  return (
    <label className="vital">
      <span className="vital-label">Book</span>
      <select value={book} onChange={(event) => choose(event.target.value)}>
        {[...books]
          .sort((left, right) => left.book.localeCompare(right.book, "en"))
          .map((line) => (
            <option key={line.book}>{line.book}</option>
          ))}
      </select>
    </label>
  );
}

/** In reach on every screen. */
function StopButton() {
  const user = useUser();
  const [isAsked, setAsked] = useState(false);
  if (!mayTrade(user)) return null;
  return (
    <>
      <button type="button" className="button-danger" onClick={() => setAsked(true)}>
        Stop…
      </button>
      {isAsked && <KillDialog close={() => setAsked(false)} />}
    </>
  );
}

const ZONES = [
  { value: "UTC", label: "UTC" },
  { value: "local", label: "Local" },
] as const;

function ZoneSwitch() {
  const { zone, choose } = useTimes();
  return <Switch label="Times are shown in" name="zone" options={ZONES} value={zone} choose={choose} />;
}

const MODE_WORDS = {
  PAPER: "Paper trading: orders go to a simulated account, no money moves.",
  LIVE: "Live trading: orders move real money.",
};

/** A simulated exchange keeps its own time: it is told by its candles and events, never by the server's clock. */
function MarketClock({ status }: { status: SystemStatus | undefined }) {
  const { live } = useLive();
  const { at, name } = useTimes();
  const coverage = useQuery(queries.coverage()).data?.series ?? [];
  const simulated = status?.simulated ?? false;
  const stored = coverage.map((line) => line.last + timeframeSpan(line.timeframe));
  const told = simulated ? stored : [status?.server_time ?? 0, live.serverTime ?? 0];
  const time = Math.max(live.marketTime ?? 0, status?.heartbeat ?? 0, ...told);
  return (
    <div className="vital">
      <span className="vital-label">{simulated ? "Simulated market clock" : "Market clock"}</span>
      <span className="vital-value" data-testid="clock">
        {time ? `${at(time, { seconds: true })} ${name}` : "–"}
      </span>
    </div>
  );
}

/** Longer silence than this of a running engine deserves a look. */
const SILENT_ENGINE = 90_000;

function Heartbeat({ status }: { status: SystemStatus | undefined }) {
  const { live } = useLive();
  const now = useNow();
  const [openedAt] = useState(() => Date.now());
  const known = live.committedAt ?? (status?.heartbeat && !status.simulated ? openedAt - (status.server_time - status.heartbeat) : null);
  const age = now - (known ?? openedAt);
  const words = known === null ? (status?.heartbeat ? `silent for ${span(age)}` : "no event yet") : `${span(age)} ago`;
  return (
    <div className="vital" title="How long ago the engine last committed a candle or an event">
      <span className="vital-label">Engine heartbeat</span>
      <span className={`vital-value ${age > SILENT_ENGINE ? "loss" : ""}`} data-testid="heartbeat">
        {age > SILENT_ENGINE && <span aria-hidden="true">▲ </span>}
        {words}
      </span>
    </div>
  );
}

function ConnectionState() {
  const { live, retryNow } = useLive();
  const now = useNow();
  const { connection, heardAt } = live;
  return (
    <div className={`connection connection-${connection.state}`} role="status" data-testid="connection">
      <span className="connection-mark" aria-hidden="true">
        {MARKS[connection.state]}
      </span>
      <span>{connectionWords(connection, now)}</span>
      {connection.state === "live" && heardAt !== null && (
        <span className="connection-age" aria-hidden="true">
          {span(now - heardAt)}
        </span>
      )}
      {connection.state === "lost" && (
        <button type="button" onClick={retryNow}>
          Retry
        </button>
      )}
    </div>
  );
}

const MARKS = { live: "●", connecting: "◌", lost: "▲" };

function connectionWords(connection: Connection, now: number): string {
  if (connection.state === "live") return "Connected";
  if (connection.state === "connecting") return "Connecting…";
  return `Connection lost ${span(now - connection.since)} ago`;
}

const Sun = () => (
  <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" aria-hidden="true">
    <circle cx="12" cy="12" r="4" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4" />
  </svg>
);
const Moon = () => (
  <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="2" strokeLinejoin="round" aria-hidden="true">
    <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z" />
  </svg>
);
