import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useBook } from "../../app/book";
import { Moment } from "../../app/times";
import { Answered, Empty } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Mark } from "../../components/Mark";
import { Panel } from "../../components/Panel";
import type { SetupLine } from "../../generated/api";
import { strategyTitle } from "../../lib/format";
import { queries } from "../../lib/queries";
import { Side } from "../trades/Side";
import { held, latestOf, missingWords } from "./latest";

/** How near each market came to a setup when one was last evaluated there. */
export function LatestPanel({ symbol }: { symbol: string | null }) {
  const setups = useQuery(queries.setups(useBook(), "all", symbol));
  return (
    <Panel title="How near each market came" id="latest" aside={<span className="muted">from the newest setups below</span>}>
      <Answered
        query={setups}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title="Nothing was evaluated yet.">Strategies look at every closed candle; a card appears for each market on which one found something to weigh.</Empty>}
      >
        {(data) => <Cards setups={data.items} />}
      </Answered>
    </Panel>
  );
}

function Cards({ setups }: { setups: SetupLine[] }) {
  const latest = useMemo(() => latestOf(setups), [setups]);
  return (
    <ul className="cards" data-testid="latest">
      {latest.map((setup) => (
        <li key={setup.setup_id} className="card">
          <Card setup={setup} />
        </li>
      ))}
    </ul>
  );
}

const SHOWN = 3;

function Card({ setup }: { setup: SetupLine }) {
  const missing = missingWords(setup.conditions);
  return (
    <>
      <strong>
        {setup.symbol} <span className="muted">{setup.timeframe}</span>
      </strong>
      <span>
        {strategyTitle(setup.strategy)} <DefaultsBadge shown={setup.default_parameters} /> · <Side side={setup.direction} />
      </span>
      <span className="card-tally">
        <progress max={setup.conditions.length} value={held(setup.conditions)} aria-label="conditions that held" />
        {held(setup.conditions)} of {setup.conditions.length} held
      </span>
      {missing.length === 0 ? (
        <Mark tone={setup.taken ? "good" : "neutral"}>{setup.taken ? "taken" : setup.explanation}</Mark>
      ) : (
        <ul className="missing">
          {missing.slice(0, SHOWN).map((words) => (
            <li key={words}>
              <span aria-hidden="true">✕ </span>
              {words}
            </li>
          ))}
          {missing.length > SHOWN && <li className="muted">and {missing.length - SHOWN} more</li>}
        </ul>
      )}
      <span className="muted">
        <Moment time={setup.found_at} />
      </span>
    </>
  );
}
