import { Page } from "../../components/Page";
import { TradesPanel } from "./TradesPanel";

export function JournalScreen() {
  return (
    <Page title="Journal" about="Every closed trade, with what it made after all costs.">
      <TradesPanel />
    </Page>
  );
}
