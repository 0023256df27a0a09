import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useBook } from "../../app/book";
import { usePrecision } from "../../app/precision";
import { useTimes } from "../../app/times";
import { Answered, Empty, Loading } from "../../components/Answered";
import { DefaultsBadge } from "../../components/DefaultsBadge";
import { Panel } from "../../components/Panel";
import { Switch } from "../../components/Switch";
import type { SetupLine } from "../../generated/api";
import { decimal, strategyTitle } from "../../lib/format";
import type { Precision } from "../../lib/precision";
import { queries, type SetupFilter } from "../../lib/queries";
import { Side } from "../trades/Side";
import { ConditionTable } from "./ConditionTable";

const FILTERS: { value: SetupFilter; label: string }[] = [
  { value: "all", label: "All" },
  { value: "taken", label: "Taken" },
  { value: "denied", label: "Not taken" },
];

/** Of one symbol, or of all. */
export function SetupsPanel({ symbol }: { symbol: string | null }) {
  const book = useBook();
  const precision = usePrecision();
  const [filter, setFilter] = useState<SetupFilter>("all");
  const [reading, setReading] = useState<Reading | null>(null);
  const setups = useQuery({ ...queries.setups(book, filter, symbol), placeholderData: keepPreviousData });
  const choose = (change: () => void): void => {
    setReading(null);
    change();
  };
  return (
    <Panel title="Evaluated setups" id="setups">
      <Switch label="Which setups" name="setup-filter" options={FILTERS} value={filter} choose={(one) => choose(() => setFilter(one))} wide />
      <Answered
        query={setups}
        loading={<Loading rows={5} />}
        isEmpty={(data) => data.items.length === 0}
        empty={
          <Empty title={filter === "all" ? "No setup was evaluated yet." : "No setup of this kind."}>
            {filter === "all"
              ? "The strategies look at every closed candle; setups appear here with all their conditions, taken or not."
              : "Choose “All” to see every evaluated setup."}
          </Empty>
        }
      >
        {(data) => <SetupList items={data.items} reading={reading} read={setReading} precision={precision} />}
      </Answered>
    </Panel>
  );
}

/** While a person reads one setup the list stands still; what came since waits behind a button. */
interface Reading {
  setupId: string;
  items: SetupLine[];
}

interface SetupListProps {
  items: SetupLine[];
  reading: Reading | null;
  read: (reading: Reading | null) => void;
  precision: Precision;
}

function SetupList({ items, reading, read, precision }: SetupListProps) {
  const shown = reading?.items ?? items;
  const known = new Set(shown.map((setup) => setup.setup_id));
  const newer = reading ? items.filter((setup) => !known.has(setup.setup_id)).length : 0;
  return (
    <>
      {newer > 0 && (
        <button type="button" className="newer" onClick={() => read(null)}>
          {newer} newer {newer === 1 ? "setup" : "setups"}: show
        </button>
      )}
      <ul className="setups" data-testid="setups">
        {shown.map((setup) => (
          <li key={setup.setup_id}>
            <SetupItem
              setup={setup}
              precision={precision}
              open={reading?.setupId === setup.setup_id}
              toggle={() => read(reading?.setupId === setup.setup_id ? null : { setupId: setup.setup_id, items: shown })}
            />
          </li>
        ))}
      </ul>
    </>
  );
}

const OUTCOMES = {
  taken: { mark: "✓", words: "taken" },
  denied: { mark: "–", words: "not taken" },
  pending: { mark: "…", words: "pending" },
};

const outcomeOf = (setup: SetupLine): keyof typeof OUTCOMES => (setup.taken === null ? "pending" : setup.taken ? "taken" : "denied");

interface SetupItemProps {
  setup: SetupLine;
  precision: Precision;
  open: boolean;
  toggle: () => void;
}

function SetupItem({ setup, precision, open, toggle }: SetupItemProps) {
  const { at } = useTimes();
  const outcome = outcomeOf(setup);
  const held = setup.conditions.filter((condition) => condition.passed).length;
  const { priceDigits } = precision(setup.exchange, setup.symbol);
  return (
    <details className={`setup setup-${outcome}`} open={open}>
      <summary
        onClick={(event) => {
          event.preventDefault();
          toggle();
        }}
      >
        <span className={`outcome outcome-${outcome}`}>
          <span aria-hidden="true">{OUTCOMES[outcome].mark}</span> {OUTCOMES[outcome].words}
        </span>
        <span className="setup-what">
          <span>
            <strong>{strategyTitle(setup.strategy)}</strong> <DefaultsBadge shown={setup.default_parameters} />
          </span>
          <span className="setup-where">
            {setup.symbol} {setup.timeframe} · <Side side={setup.direction} /> · {setup.regime}
          </span>
        </span>
        <span className="setup-tally">
          <span title="conditions that held">
            {held}/{setup.conditions.length}
          </span>
          <time dateTime={new Date(setup.found_at).toISOString()}>{at(setup.found_at).slice(5)}</time>
        </span>
      </summary>
      <div className="setup-body">
        <p>{setup.explanation}</p>
        <ConditionTable conditions={setup.conditions} />
        <p className="muted setup-levels">
          close {price(setup.close, priceDigits)} · stop {price(setup.stop, priceDigits)} · target{" "}
          {setup.target === null ? `${setup.reward_risk ?? "–"} × risk` : price(setup.target, priceDigits)} · confluence{" "}
          {setup.confluence?.toFixed(2) ?? "unknown"}
        </p>
      </div>
    </details>
  );
}

const price = (text: string | null, digits: number): string => (text === null ? "–" : decimal(text, digits));
