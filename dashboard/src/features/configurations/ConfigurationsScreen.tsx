import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { Moment } from "../../app/times";
import { mayTrade, useUser } from "../../app/who";
import { Answered, Empty } from "../../components/Answered";
import { type Column, DataTable } from "../../components/DataTable";
import { Mark, type Tone } from "../../components/Mark";
import { Page } from "../../components/Page";
import { Panel } from "../../components/Panel";
import { RegimeMatrix } from "../../components/RegimeMatrix";
import { Switch } from "../../components/Switch";
import type { ConfigurationLine, CoverageLine, MatrixLine, MatrixView } from "../../generated/api";
import { ANY_REGIME, type Asset, combinationTitle, REGIMES, STRATEGIES } from "../../lib/combination";
import { inR, percent, strategyTitle } from "../../lib/format";
import { queries } from "../../lib/queries";
import { ExportDialog, ImportDialog } from "./DocumentDialogs";
import { MoveButtons } from "./MoveButtons";
import { configurationQueries } from "./queries";
import { STAGE_WORDS } from "./stages";

const NONE: CoverageLine[] = [];
const nameOf = ({ exchange, symbol }: Asset): string => `${symbol} on ${exchange}`;

export function ConfigurationsScreen() {
  const coverage = useQuery(queries.coverage());
  const assets = assetsOf(coverage.data?.series ?? NONE);
  const search = useSearch({ from: "/configurations" });
  const chosen = assets.find((asset) => asset.exchange === search.exchange && asset.symbol === search.symbol) ?? assets[0];
  return (
    <Page title="Configurations" about="What is traded for each strategy, regime and timeframe, by which figures, or why it is not." actions={<DocumentButtons />}>
      <Answered query={coverage} isEmpty={() => chosen === undefined} empty={<Empty title="There are no markets yet.">Load candles first: First steps says how.</Empty>}>
        {() =>
          chosen && (
            <>
              <MatrixPanel asset={chosen} assets={assets} />
              <VersionsPanel asset={chosen} />
            </>
          )
        }
      </Answered>
    </Page>
  );
}

const assetsOf = (series: CoverageLine[]): Asset[] =>
  [...new Map(series.map(({ exchange, symbol }) => [nameOf({ exchange, symbol }), { exchange, symbol }])).values()].sort((one, other) => nameOf(one).localeCompare(nameOf(other)));

function DocumentButtons() {
  const mayImport = mayTrade(useUser());
  const [asked, ask] = useState<"export" | "import" | null>(null);
  const close = (): void => ask(null);
  return (
    <>
      <button type="button" onClick={() => ask("export")}>
        Export…
      </button>
      {mayImport && (
        <button type="button" onClick={() => ask("import")}>
          Import…
        </button>
      )}
      {asked === "export" && <ExportDialog close={close} />}
      {asked === "import" && <ImportDialog close={close} />}
    </>
  );
}

function MatrixPanel({ asset, assets }: { asset: Asset; assets: Asset[] }) {
  const navigate = useNavigate();
  const [strategy, setStrategy] = useState(STRATEGIES[0] ?? "");
  const matrix = useQuery(configurationQueries.matrix(asset));
  const options = STRATEGIES.map((id) => ({ value: id, label: strategyTitle(id) }));
  const choose = (name: string): void => {
    const next = assets.find((one) => nameOf(one) === name);
    if (next) void navigate({ to: "/configurations", search: next, replace: true });
  };
  return (
    <Panel title={nameOf(asset)} id="matrix" aside={matrix.data && <span className="count">{inWords(matrix.data)}</span>}>
      <div className="panel-body picker-row">
        <label className="inline-field">
          Market
          <select value={nameOf(asset)} onChange={(event) => choose(event.target.value)}>
            {assets.map((one) => (
              <option key={nameOf(one)}>{nameOf(one)}</option>
            ))}
          </select>
        </label>
        <Switch label="Strategy" name="matrix-strategy" options={options} value={strategy} choose={setStrategy} />
      </div>
      <Answered query={matrix}>{(data) => <Matrix matrix={data} strategy={strategy} />}</Answered>
    </Panel>
  );
}

function inWords({ cells }: MatrixView): string {
  const traded = cells.filter((cell) => cell.size_share > 0).length;
  return `${traded} of ${cells.length} combinations are traded`;
}

function Matrix({ matrix, strategy }: { matrix: MatrixView; strategy: string }) {
  const cells = [...matrix.cells, ...matrix.parents].filter((cell) => cell.strategy === strategy);
  const reasons = [...new Set(cells.filter((cell) => cell.size_share === 0).map((cell) => cell.reason))];
  return (
    <>
      <RegimeMatrix label={`${strategyTitle(strategy)} by regime and timeframe`} regimes={[...REGIMES, ANY_REGIME]} cells={cells} draw={(cell) => <Cell cell={cell} matrix={matrix} />} />
      {reasons.length > 0 && (
        <details className="more">
          <summary>Why what is not traded is not ({reasons.length === 1 ? "one reason" : `${reasons.length} reasons`})</summary>
          <ul className="panel-body">
            {reasons.map((reason) => (
              <li key={reason}>
                {reason}{" "}
                <span className="muted">
                  {cells
                    .filter((cell) => cell.reason === reason)
                    .map((cell) => `${cell.regime} ${cell.timeframe}`)
                    .join(", ")}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const TONES: Record<string, Tone> = { traded: "good", "falls back": "special", "not traded": "neutral", "left out": "neutral", "never trained": "neutral" };

function Cell({ cell, matrix }: { cell: MatrixLine; matrix: MatrixView }) {
  const inside = (
    <>
      <Mark tone={TONES[cell.verdict] ?? "neutral"}>{cell.verdict}</Mark>
      <Figures cell={cell} />
      {cell.size_share > 0 && <span className="muted">{`${cell.stage ?? "–"}, ${percent(cell.size_share, 0)} of the risk`}</span>}
    </>
  );
  if (cell.configuration_id !== null)
    return (
      <Link to="/configurations/$configurationId" params={{ configurationId: cell.configuration_id }} className="cell" title={cell.reason}>
        {inside}
      </Link>
    );
  const { strategy, regime, timeframe } = cell;
  const { exchange, symbol } = matrix;
  if (cell.job_id !== null && cell.verdict !== "left out")
    return (
      <Link to="/training/$jobId/evidence" params={{ jobId: cell.job_id }} search={{ exchange, symbol, strategy, regime, timeframe }} className="cell" title={cell.reason}>
        {inside}
      </Link>
    );
  return (
    <span className="cell" title={cell.reason}>
      {inside}
    </span>
  );
}

function Figures({ cell }: { cell: MatrixLine }) {
  if (cell.trades === null) return null;
  return (
    <>
      <span className="muted">{cell.trades} trades</span>
      {cell.precision !== null && (
        <span className="muted">
          {percent(cell.precision, 0)} (≥ {percent(cell.precision_lower, 0)}), {inR(cell.expectancy_r)}
        </span>
      )}
    </>
  );
}

const COLUMNS: Column<ConfigurationLine>[] = [
  {
    id: "combination",
    header: "Combination",
    rowHeader: true,
    sortBy: combinationTitle,
    cell: (one) => (
      <Link to="/configurations/$configurationId" params={{ configurationId: one.configuration_id }}>
        {combinationTitle(one)}
      </Link>
    ),
  },
  { id: "version", header: "Version", figure: true, sortBy: (one) => one.version, cell: (one) => one.version },
  { id: "force", header: "In force", sortBy: (one) => Number(one.active), cell: (one) => <Mark tone={one.active ? "good" : "neutral"}>{one.active ? "in force" : "not in force"}</Mark> },
  { id: "stage", header: "Stage", cell: (one) => <span title={STAGE_WORDS[one.stage]}>{one.stage}</span> },
  { id: "origin", header: "Origin", cell: (one) => one.origin },
  { id: "created", header: "Made", sortBy: (one) => one.created_at, cell: (one) => <Moment time={one.created_at} /> },
  { id: "by", header: "Activated by", cell: (one) => one.activated_by ?? "–" },
  { id: "moves", header: "Change", pinned: true, cell: (one) => <MoveButtons configuration={one} /> },
];

function VersionsPanel({ asset }: { asset: Asset }) {
  const found = useQuery(configurationQueries.ofAsset(asset));
  return (
    <Panel title="Versions" id="versions" aside={<span className="count">what passed the gate, or was imported</span>}>
      <Answered
        query={found}
        isEmpty={(data) => data.items.length === 0}
        empty={<Empty title={`Nothing has passed the gate for ${nameOf(asset)}.`}>Train on more candles, or import configurations. Until then it is not traded.</Empty>}
      >
        {(data) => <DataTable label="Configurations" testid="configurations" rows={data.items} columns={COLUMNS} rowKey={(one) => one.configuration_id} />}
      </Answered>
    </Panel>
  );
}
