import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { Answered } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import type { TradeStory } from "../../generated/api";
import { decimal, inR, strategyTitle, utc } from "../../lib/format";
import type { Precision } from "../../lib/precision";
import { queries } from "../../lib/queries";
import { ConditionTable } from "../patterns/ConditionTable";

interface DialogProps {
  tradeId: string;
  precision: Precision;
  close: () => void;
}

/** A trade from the setup that caused it to the last entry in the ledger. */
export function TradeStoryDialog({ tradeId, precision, close }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const story = useQuery(queries.story(tradeId));
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="story-title" data-testid="story">
      <header className="panel-head">
        <h2 id="story-title">Story of the trade</h2>
        <button type="button" className="icon-button" onClick={() => dialog.current?.close()} aria-label="Close">
          ✕
        </button>
      </header>
      <div className="dialog-body">
        <Answered query={story}>{(data) => <Story story={data} digits={precision(data.exchange, data.symbol).priceDigits} />}</Answered>
      </div>
    </dialog>
  );
}

function Story({ story, digits }: { story: TradeStory; digits: number }) {
  const price = (text: string | null | undefined) => (text == null ? "–" : decimal(text, digits));
  return (
    <ol className="story">
      <li>
        <h3>
          Setup · {strategyTitle(story.strategy)} <DefaultsBadge shown={story.default_parameters} /> · {story.direction} {story.symbol} {story.timeframe}
        </h3>
        {story.setup ? (
          <>
            <p>
              {utc(story.setup.found_at)} UTC, {story.setup.regime} regime. {story.setup.explanation}
            </p>
            <ConditionTable conditions={story.setup.conditions} />
          </>
        ) : (
          <p className="muted">The setup of this trade is not stored.</p>
        )}
      </li>
      <li>
        <h3>Orders</h3>
        <table>
          <thead>
            <tr>
              <th scope="col">Role</th>
              <th scope="col">Status</th>
              <th scope="col" className="figure-cell">Price</th>
              <th scope="col">Intended (UTC)</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {story.orders.map((order) => (
              <tr key={order.client_id}>
                <th scope="row">{order.role}</th>
                <td>{order.status}</td>
                <td className="figure-cell">{order.price == null ? "market" : price(order.price)}</td>
                <td>{utc(order.intended_at, { seconds: true })}</td>
                <td className="muted">{order.reason || "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </li>
      <li>
        <h3>Fills</h3>
        <table>
          <thead>
            <tr>
              <th scope="col">Role</th>
              <th scope="col" className="figure-cell">Price</th>
              <th scope="col" className="figure-cell">Quantity</th>
              <th scope="col" className="figure-cell">Fee</th>
              <th scope="col">Time (UTC)</th>
            </tr>
          </thead>
          <tbody>
            {story.fills.map((fill) => (
              <tr key={fill.fill_id}>
                <th scope="row">{fill.role}</th>
                <td className="figure-cell">{price(fill.price)}</td>
                <td className="figure-cell">{fill.quantity ?? "–"}</td>
                <td className="figure-cell">{decimal(fill.fee, 4)}</td>
                <td>{utc(fill.time, { seconds: true })}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </li>
      <li>
        <h3>
          Result · {story.exit_reason} at {price(story.exit_price)} ·{" "}
          <span className={story.r_multiple > 0 ? "gain" : "loss"}>
            {inR(story.r_multiple)}, {decimal(story.profit, 2, { sign: true })} after {decimal(story.fees, 2)} fees
          </span>
        </h3>
        <p className="muted">{story.ledger.length} ledger entries account for it.</p>
      </li>
    </ol>
  );
}
