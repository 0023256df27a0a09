import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Answered, Empty } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Panel } from "../../components/Panel";
import type { ExitReason, TradeRow, TradeStatistics } from "../../generated/api";
import { decimal, inR, number, percent, span, strategyTitle, utc } from "../../lib/format";
import type { Precision } from "../../lib/precision";
import { queries } from "../../lib/queries";
import { Side } from "./Side";
import { TradeStoryDialog } from "./TradeStory";

const REASONS: Record<ExitReason, string> = {
  stop: "■ stop",
  target: "◆ target",
  time: "◷ time",
  manual: "☛ manual",
  unprotected: "▲ unprotected",
};

export function TradesPanel({ precision }: { precision: Precision }) {
  const trades = useQuery(queries.trades());
  const statistics = useQuery(queries.statistics()).data;
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Panel title="Closed trades" id="trades" aside={statistics && <span className="count" data-testid="trade-count">{statistics.trades}</span>}>
      <Answered
        query={trades}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="No closed trade yet.">Trades appear here when a stop, a target or the time limit closes a position.</Empty>}
      >
        {(data) => (
          <div className="scroll scroll-tall" tabIndex={0} role="region" aria-label="Closed trades, scrollable">
            <table data-testid="trades">
              <thead>
                <tr>
                  <th scope="col">Closed (UTC)</th>
                  <th scope="col">Market</th>
                  <th scope="col">Side</th>
                  <th scope="col">Strategy</th>
                  <th scope="col" className="figure-cell">Entry</th>
                  <th scope="col" className="figure-cell">Exit</th>
                  <th scope="col">Reason</th>
                  <th scope="col" className="figure-cell">Held</th>
                  <th scope="col" className="figure-cell">R</th>
                  <th scope="col" className="figure-cell">Profit</th>
                  <th scope="col" className="figure-cell">Fees</th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((trade) => (
                  <TradeLine key={trade.trade_id} trade={trade} precision={precision} open={() => setOpen(trade.trade_id)} />
                ))}
              </tbody>
              {statistics && <Total statistics={statistics} />}
            </table>
          </div>
        )}
      </Answered>
      {open && <TradeStoryDialog tradeId={open} precision={precision} close={() => setOpen(null)} />}
    </Panel>
  );
}

function TradeLine({ trade, precision, open }: { trade: TradeRow; precision: Precision; open: () => void }) {
  const { priceDigits } = precision(trade.exchange, trade.symbol);
  const tone = trade.r_multiple > 0 ? "gain" : "loss";
  return (
    <tr>
      <th scope="row">
        <button type="button" className="link" onClick={open} aria-label={`Story of the trade closed ${utc(trade.exit_time)}`}>
          {utc(trade.exit_time)}
        </button>
      </th>
      <td>
        {trade.symbol} <span className="muted">{trade.timeframe}</span>
      </td>
      <td>
        <Side side={trade.direction} />
      </td>
      <td>{strategyTitle(trade.strategy)} <DefaultsBadge shown={trade.default_parameters} /></td>
      <td className="figure-cell">{decimal(trade.entry_price, priceDigits)}</td>
      <td className="figure-cell">{decimal(trade.exit_price, priceDigits)}</td>
      <td>{REASONS[trade.exit_reason]}</td>
      <td className="figure-cell muted">{span(trade.exit_time - trade.entry_time)}</td>
      <td className={`figure-cell strong ${tone}`}>{inR(trade.r_multiple)}</td>
      <td className={`figure-cell ${tone}`}>{decimal(trade.profit, 2, { sign: true })}</td>
      <td className="figure-cell muted">{decimal(trade.fees, 2)}</td>
    </tr>
  );
}

function Total({ statistics }: { statistics: TradeStatistics }) {
  const confidence = number(statistics.confidence * 100, 0);
  return (
    <tfoot>
      <tr>
        <td colSpan={8} data-testid="precision">
          Precision <strong>{percent(statistics.precision)}</strong>, at least <strong>{percent(statistics.precision_lower_bound)}</strong> with {confidence} %
          confidence, n = {statistics.trades}
        </td>
        <td className="figure-cell strong">⌀ {inR(statistics.expectancy_r)}</td>
        <td className={`figure-cell strong ${Number(statistics.profit) >= 0 ? "gain" : "loss"}`}>{decimal(statistics.profit, 2, { sign: true })}</td>
        <td className="figure-cell">{decimal(statistics.fees, 2)}</td>
      </tr>
    </tfoot>
  );
}
