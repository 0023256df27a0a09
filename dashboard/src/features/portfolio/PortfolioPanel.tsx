import { useQuery } from "@tanstack/react-query";
import { useBook } from "../../app/book";
import { Answered, Empty, Loading } from "../../components/Answered";
import { Figure, Figures } from "../../components/Figures";
import { Panel } from "../../components/Panel";
import type { PortfolioSummary, TradeStatistics } from "../../generated/api";
import { decimal, inR, number, percent } from "../../lib/format";
import { queries } from "../../lib/queries";
import { EquityChart } from "./EquityChart";

export function PortfolioPanel() {
  const book = useBook();
  const summary = useQuery(queries.summary(book));
  const statistics = useQuery(queries.statistics(book)).data;
  const history = useQuery(queries.equity(book));
  return (
    <Panel title="Account" id="account" aside={summary.data && <span className="muted">book “{summary.data.book}”</span>}>
      <Answered query={summary} loading={<Loading rows={2} />}>
        {(data) => <AccountFigures summary={data} statistics={statistics} />}
      </Answered>
      {summary.data && (
        <Answered
          query={history}
          isEmpty={(data) => data.points.length < 2}
          empty={<Empty title="No equity curve yet.">It begins with the second closed candle of a running engine.</Empty>}
        >
          {(data) => <EquityChart points={data.points} />}
        </Answered>
      )}
    </Panel>
  );
}

function AccountFigures({ summary, statistics }: { summary: PortfolioSummary; statistics: TradeStatistics | undefined }) {
  const change = Number(summary.equity) / Number(summary.start) - 1;
  return (
    <Figures>
      <Figure label={`Equity (${summary.quote})`} main={<span data-testid="equity">{decimal(summary.equity, 2)}</span>}>
        <span className={change >= 0 ? "gain" : "loss"}>{number(change * 100, 2, { sign: true })} %</span> since the start
      </Figure>
      <Figure label="Realised, after costs" main={decimal(summary.realised_profit, 2, { sign: true })}>
        fees {decimal(summary.fees, 2)}
      </Figure>
      {statistics && (
        <>
          <Figure label="Precision" main={percent(statistics.precision)}>
            {statistics.trades ? (
              <>
                at least {percent(statistics.precision_lower_bound)}, n = {statistics.trades}
              </>
            ) : (
              "no closed trade yet"
            )}
          </Figure>
          <Figure label="Expectancy" main={inR(statistics.expectancy_r)}>
            per trade
          </Figure>
        </>
      )}
    </Figures>
  );
}
