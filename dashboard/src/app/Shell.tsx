import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Suspense, useEffect, useRef, useState } from "react";
import { Loading } from "../components/Answered";
import { ToastProvider } from "../components/Toasts";
import { Header } from "../features/system/Header";
import { queries } from "../lib/queries";
import { BookProvider, useMode } from "./book";
import { useLive } from "./LiveProvider";
import { NAVIGATION } from "./navigation";
import { NewVersion } from "./NewVersion";

/** What is around every screen: mode, clock, connection and menu are always in sight. */
export function Shell() {
  return (
    <ToastProvider>
      <BookProvider>
        <Frame />
      </BookProvider>
    </ToastProvider>
  );
}

function Frame() {
  const [isOpen, setOpen] = useState(false);
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const before = useRef(pathname);
  const mode = useMode();
  useEffect(() => {
    if (before.current === pathname) return;
    before.current = pathname;
    setOpen(false);
    // Who hears the page instead of seeing it begins to read at the new screen.
    main.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <div className={`frame ${mode === "LIVE" ? "frame-live" : ""}`}>
      <a className="skip" href="#screen">
        Skip to the screen
      </a>
      <Header isMenuOpen={isOpen} toggleMenu={() => setOpen(!isOpen)} />
      <Menu isOpen={isOpen} />
      <div className="content">
        <LossBanner />
        <NewVersion />
        <TradingBanner />
        <main id="screen" ref={main} tabIndex={-1}>
          <Suspense fallback={<Loading rows={8} />}>
            <Outlet />
          </Suspense>
        </main>
        <Footer />
      </div>
    </div>
  );
}

function Menu({ isOpen }: { isOpen: boolean }) {
  return (
    <nav id="menu" className={`menu ${isOpen ? "menu-open" : ""}`} aria-label="Screens">
      {NAVIGATION.map(({ group, items }) => (
        <div key={group}>
          <h2>{group}</h2>
          <ul>
            {items.map(({ to, label }) => (
              <li key={to}>
                <Link to={to} activeOptions={{ exact: to === "/" }}>
                  {label}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function LossBanner() {
  const { connection } = useLive().live;
  if (connection.state !== "lost") return null;
  return (
    <div className="banner banner-loss" role="alert" data-testid="loss">
      <strong>The live connection is lost.</strong> What you see is as old as the last message. It reconnects by itself and then catches up; if it
      does not, see whether <code>tradepulse up</code> still runs.
    </div>
  );
}

/** What keeps the trader from trading trained configurations, if anything does. */
function TradingBanner() {
  const trading = useQuery(queries.status()).data?.trading;
  if (!trading || trading.phase === "starting" || (trading.phase === "trading" && !trading.untested)) return null;
  return (
    <div className="banner banner-trading" role="status" data-testid="trading">
      {trading.text}
    </div>
  );
}

function Footer() {
  return (
    <footer>
      TradingView Lightweight Charts™ © 2025 TradingView, Inc.{" "}
      <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer">
        https://www.tradingview.com/
      </a>{" "}
      · <a href="/docs">API</a>
    </footer>
  );
}
