import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useBooks } from "../../app/book";
import { Empty } from "../../components/Answered";
import { Page } from "../../components/Page";
import { queries } from "../../lib/queries";
import { PositionsPanel } from "../trades/PositionsPanel";
import { PortfolioPanel } from "./PortfolioPanel";
import { TodayPanel } from "./TodayPanel";

export function OverviewScreen() {
  const { book } = useBooks();
  const books = useQuery(queries.books());
  if (books.data?.length === 0)
    return (
      <Page title="Overview">
        <section className="panel">
          <Empty title="No book has begun yet.">
            A book begins when trading does. <Link to="/first-steps">What is missing until then</Link>
          </Empty>
        </section>
      </Page>
    );
  return (
    <Page title="Overview" about={book && `The money of book “${book}”.`}>
      <TodayPanel />
      <PortfolioPanel />
      <PositionsPanel />
    </Page>
  );
}
