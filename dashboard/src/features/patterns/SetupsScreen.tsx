import { Page } from "../../components/Page";
import { SetupsPanel } from "./SetupsPanel";

export function SetupsScreen() {
  return (
    <Page title="Setups" about="Every setup that was evaluated, taken or not, with each condition's value and threshold.">
      <SetupsPanel />
    </Page>
  );
}
