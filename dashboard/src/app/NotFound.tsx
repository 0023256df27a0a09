import { Link } from "@tanstack/react-router";
import { Empty } from "../components/Answered";
import { Page } from "../components/Page";

export function NotFound() {
  return (
    <Page title="Nothing here">
      <Empty title="There is no page at this address.">
        It may have been mistyped, or belong to another version. <Link to="/">Go to the overview.</Link>
      </Empty>
    </Page>
  );
}
