import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useBook } from "../../app/book";
import { usePrecision } from "../../app/precision";
import { Moment } from "../../app/times";
import { Answered } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Page } from "../../components/Page";
import type { TradeStory } from "../../generated/api";
import { decimal, inR, strategyTitle } from "../../lib/format";
import { queries } from "../../lib/queries";
import { ConditionTable } from "../patterns/ConditionTable";

/** A trade from the setup that caused it to the last entry in the ledger. */
export function StoryScreen() {
  const { tradeId } = useParams({ from: "/journal/$tradeId" });
  const story = useQuery(queries.story(useBook(), tradeId));
  const precision = usePrecision();
  return (
    <Page title="Story of a trade" about={<Link to="/journal">Back to the journal</Link>}>
      <section className="panel" data-testid="story" aria-label="Story of the trade">
        <Answered query={story}>{(data) => <Story story={data} digits={precision(data.exchange, data.symbol).priceDigits} />}</Answered>
      </section>
    </Page>
  );
}

function Story({ story, digits }: { story: TradeStory; digits: number }) {
  const price = (text: string | null | undefined) => (text == null ? "–" : decimal(text, digits));
  return (
    <ol className="story">
      <li>
        <h2>
          Setup · {strategyTitle(story.strategy)} <DefaultsBadge shown={story.default_parameters} /> · {story.direction} {story.symbol} {story.timeframe}
        </h2>
        {story.setup ? (
          <>
            <p>
              <Moment time={story.setup.found_at} />, {story.setup.regime} regime. {story.setup.explanation}
            </p>
            <ConditionTable conditions={story.setup.conditions} />
          </>
        ) : (
          <p className="muted">The setup of this trade is not stored.</p>
        )}
      </li>
      <li>
        <h2>Orders</h2>
        <table>
          <thead>
            <tr>
              <th scope="col">Role</th>
              <th scope="col">Status</th>
              <th scope="col" className="figure-cell">Price</th>
              <th scope="col">Intended</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {story.orders.map((order) => (
              <tr key={order.client_id}>
                <th scope="row">{order.role}</th>
                <td>{order.status}</td>
                <td className="figure-cell">{order.price == null ? "market" : price(order.price)}</td>
                <td><Moment time={order.intended_at} seconds /></td>
                <td className="muted">{order.reason || "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </li>
      <li>
        <h2>Fills</h2>
        <table>
          <thead>
            <tr>
              <th scope="col">Role</th>
              <th scope="col" className="figure-cell">Price</th>
              <th scope="col" className="figure-cell">Quantity</th>
              <th scope="col" className="figure-cell">Fee</th>
              <th scope="col">Time</th>
            </tr>
          </thead>
          <tbody>
            {story.fills.map((fill) => (
              <tr key={fill.fill_id}>
                <th scope="row">{fill.role}</th>
                <td className="figure-cell">{price(fill.price)}</td>
                <td className="figure-cell">{fill.quantity ?? "–"}</td>
                <td className="figure-cell">{decimal(fill.fee, 4)}</td>
                <td><Moment time={fill.time} seconds /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </li>
      <li>
        <h2>
          Result · {story.exit_reason} at {price(story.exit_price)} ·{" "}
          <span className={story.r_multiple > 0 ? "gain" : "loss"}>
            {inR(story.r_multiple)}, {decimal(story.profit, 2, { sign: true })} after {decimal(story.fees, 2)} fees
          </span>
        </h2>
        <p className="muted">{story.ledger.length} ledger entries account for it.</p>
      </li>
    </ol>
  );
}
