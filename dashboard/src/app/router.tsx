import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { Broken } from "../components/Broken";
import { assetIn, combinationIn } from "../lib/combination";
import { marketIn } from "../lib/queries";
import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });
const screen = { getParentRoute: () => root };

/** One line for each screen; its code is loaded when somebody goes there. What the menu shows stands in `navigation.ts`. */
const screens = [
  createRoute({ ...screen, path: "/", component: lazyRouteComponent(() => import("../features/portfolio/OverviewScreen"), "OverviewScreen") }),
  createRoute({ ...screen, path: "/trading", validateSearch: marketIn, component: lazyRouteComponent(() => import("../features/market/TradingScreen"), "TradingScreen") }),
  createRoute({ ...screen, path: "/setups", component: lazyRouteComponent(() => import("../features/patterns/SetupsScreen"), "SetupsScreen") }),
  createRoute({ ...screen, path: "/journal", component: lazyRouteComponent(() => import("../features/trades/JournalScreen"), "JournalScreen") }),
  createRoute({ ...screen, path: "/journal/$tradeId", component: lazyRouteComponent(() => import("../features/trades/StoryScreen"), "StoryScreen") }),
  createRoute({ ...screen, path: "/risk", component: lazyRouteComponent(() => import("../features/risk/RiskScreen"), "RiskScreen") }),
  createRoute({ ...screen, path: "/strategies", component: lazyRouteComponent(() => import("../features/strategies/StrategiesScreen"), "StrategiesScreen") }),
  createRoute({ ...screen, path: "/training", component: lazyRouteComponent(() => import("../features/training/TrainingScreen"), "TrainingScreen") }),
  createRoute({ ...screen, path: "/training/$jobId", component: lazyRouteComponent(() => import("../features/training/TrainingJobScreen"), "TrainingJobScreen") }),
  createRoute({ ...screen, path: "/training/$jobId/evidence", validateSearch: combinationIn, component: lazyRouteComponent(() => import("../features/evidence/EvidenceScreen"), "EvidenceScreen") }),
  createRoute({ ...screen, path: "/configurations", validateSearch: assetIn, component: lazyRouteComponent(() => import("../features/configurations/ConfigurationsScreen"), "ConfigurationsScreen") }),
  createRoute({ ...screen, path: "/configurations/$configurationId", component: lazyRouteComponent(() => import("../features/configurations/ConfigurationScreen"), "ConfigurationScreen") }),
  createRoute({ ...screen, path: "/backtests", component: lazyRouteComponent(() => import("../features/backtests/BacktestsScreen"), "BacktestsScreen") }),
  createRoute({ ...screen, path: "/backtests/$backtestId", component: lazyRouteComponent(() => import("../features/backtests/BacktestScreen"), "BacktestScreen") }),
  createRoute({ ...screen, path: "/first-steps", component: lazyRouteComponent(() => import("../features/start/FirstStepsScreen"), "FirstStepsScreen") }),
  createRoute({ ...screen, path: "/system", component: lazyRouteComponent(() => import("../features/system/SystemScreen"), "SystemScreen") }),
] as const;

/** Made when somebody is logged in: the address may be another one before. */
export const makeRouter = () =>
  createRouter({ routeTree: root.addChildren(screens), defaultPreload: "intent", defaultErrorComponent: Broken, scrollRestoration: false });

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
