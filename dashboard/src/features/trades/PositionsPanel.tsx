import { useQuery } from "@tanstack/react-query";
import { useLive } from "../../app/LiveProvider";
import { Answered, Empty } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Panel } from "../../components/Panel";
import type { ActivePosition } from "../../generated/api";
import { decimal, inR, number, strategyTitle, utc } from "../../lib/format";
import { type Marks, marketOf } from "../../lib/intake";
import { queries } from "../../lib/queries";
import type { Precision } from "../../lib/precision";
import { Side } from "./Side";
import { progressOf, valuationOf } from "./valuation";

export function PositionsPanel({ precision }: { precision: Precision }) {
  const positions = useQuery(queries.positions());
  const { marks } = useLive().live;
  return (
    <Panel title="Open positions" id="positions" aside={positions.data && <span className="count">{positions.data.length}</span>}>
      <Answered
        query={positions}
        isEmpty={(data) => data.length === 0}
        empty={<Empty title="No open position.">A position opens when every required condition of a setup holds. The setups list says what was missing.</Empty>}
      >
        {(data) => <PositionsTable positions={data} marks={marks} precision={precision} />}
      </Answered>
    </Panel>
  );
}

function PositionsTable({ positions, marks, precision }: { positions: ActivePosition[]; marks: Marks; precision: Precision }) {
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="Open positions, scrollable">
      <table data-testid="positions">
        <thead>
          <tr>
            <th scope="col">Market</th>
            <th scope="col">Side</th>
            <th scope="col">Strategy</th>
            <th scope="col" className="figure-cell">Quantity</th>
            <th scope="col" className="figure-cell">Entry</th>
            <th scope="col" className="figure-cell">Stop</th>
            <th scope="col" className="figure-cell">Target</th>
            <th scope="col" className="figure-cell">Now</th>
            <th scope="col" className="figure-cell">Unrealised</th>
            <th scope="col" className="figure-cell">R</th>
            <th scope="col">Stop → target</th>
            <th scope="col">Since (UTC)</th>
          </tr>
        </thead>
        <tbody>
          {positions.map((position) => (
            <PositionRow key={position.position_id} position={position} marks={marks} precision={precision} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PositionRow({ position, marks, precision }: { position: ActivePosition; marks: Marks; precision: Precision }) {
  const { price, profit, r } = valuationOf(position, marks[marketOf(position.exchange, position.symbol)]);
  const { priceDigits, quantityDigits } = precision(position.exchange, position.symbol);
  const progress = progressOf(position, price);
  const tone = r === null ? "" : r >= 0 ? "gain" : "loss";
  return (
    <tr>
      <th scope="row">
        {position.symbol} <span className="muted">{position.timeframe}</span>
      </th>
      <td>
        <Side side={position.direction} />
      </td>
      <td>{strategyTitle(position.strategy)} <DefaultsBadge shown={position.default_parameters} /></td>
      <td className="figure-cell">{decimal(position.quantity, quantityDigits)}</td>
      <td className="figure-cell" data-testid="position-entry">{decimal(position.entry_price, priceDigits)}</td>
      <td className="figure-cell" data-testid="position-stop">{decimal(position.stop_price, priceDigits)}</td>
      <td className="figure-cell" data-testid="position-target">{decimal(position.target_price, priceDigits)}</td>
      <td className="figure-cell" data-testid="position-now">{price === null ? "–" : number(price, priceDigits)}</td>
      <td className={`figure-cell ${tone}`}>{profit === null ? "–" : number(profit, 2, { sign: true })}</td>
      <td className={`figure-cell strong ${tone}`} data-testid="position-r">{inR(r)}</td>
      <td>{progress === null ? "–" : <progress max={1} value={progress} aria-label={`${Math.round(progress * 100)} percent of the way from stop to target`} />}</td>
      <td className="muted">{utc(position.entry_time)}</td>
    </tr>
  );
}
