import { Page } from "../../components/Page";
import { PositionsPanel } from "../trades/PositionsPanel";
import { PortfolioPanel } from "./PortfolioPanel";

export function OverviewScreen() {
  return (
    <Page title="Overview">
      <div className="stack">
        <PortfolioPanel />
        <PositionsPanel />
      </div>
    </Page>
  );
}
