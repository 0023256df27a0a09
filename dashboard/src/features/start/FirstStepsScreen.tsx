import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { mayTrade, useUser } from "../../app/who";
import { Failed, Loading } from "../../components/Answered";
import { Mark } from "../../components/Mark";
import { Page } from "../../components/Page";
import { queries } from "../../lib/queries";
import { BackfillDialog } from "./BackfillDialog";
import { type Step, stepsOf } from "./steps";
import { TrainDialog } from "./TrainDialog";

/** What a worker loads or imports is no event. */
const LOADING_MILLISECONDS = 10_000;

export function FirstStepsScreen() {
  const user = useUser();
  const asked = [useQuery({ ...queries.coverage(), refetchInterval: LOADING_MILLISECONDS }), useQuery(queries.trainingStatus()), useQuery(queries.wallets()), useQuery(queries.status())] as const;
  const [coverage, training, wallets, status] = asked;
  const failed = asked.find((query) => query.error && !query.data);
  const isKnown = coverage.data && training.data && wallets.data && status.data;
  return (
    <Page title="First steps" about="From an empty machine to trading on paper. Each step is judged by what is there.">
      {failed?.error ? (
        <Failed error={failed.error} retry={() => asked.forEach((query) => void query.refetch())} />
      ) : isKnown ? (
        <Steps steps={stepsOf({ user, series: coverage.data.series, training: training.data, wallets: wallets.data, status: status.data })} />
      ) : (
        <Loading rows={5} />
      )}
    </Page>
  );
}

function Steps({ steps }: { steps: Step[] }) {
  const next = steps.find((step) => !step.done)?.id;
  return (
    <ol className="steps" data-testid="steps">
      {steps.map((step, index) => (
        <li key={step.id} className={`panel step ${step.id === next ? "step-next" : ""}`} aria-current={step.id === next ? "step" : undefined}>
          <span className="step-number" aria-hidden="true">
            {index + 1}
          </span>
          <div>
            <h2>
              {step.title} <Mark tone={step.done ? "good" : "neutral"}>{step.done ? "done" : step.id === next ? "next" : "open"}</Mark>
            </h2>
            <p>{step.found}</p>
            <HowTo id={step.id} />
          </div>
        </li>
      ))}
    </ol>
  );
}

const HOW: Record<Step["id"], ReactNode> = {
  user: (
    <>
      More people get users of their own: <code>tradepulse users add Tom --role trader</code>. A viewer only reads.
    </>
  ),
  data: (
    <>
      <code>tradepulse up</code> makes simulated candles by itself. Real ones come from an exchange, without a key, or from files: <code>tradepulse import-data</code>.
    </>
  ),
  training: (
    <>
      Tries every strategy on the stored candles and judges by candles that took no part in the choice. <strong>Usually nothing passes</strong>, and it says why:
      then nothing is traded.
    </>
  ),
  wallet: (
    <>
      A wallet on a real exchange's prices, on paper and without a key: <code>cp config/wallets.example.json config/wallets.json</code>, then{" "}
      <code>tradepulse wallets check</code>.
    </>
  ),
  trading: (
    <>
      <code>tradepulse up</code> trades on the embedded exchange, <code>tradepulse trade --mode paper</code> the paper wallets of the wallets file.
    </>
  ),
};

function HowTo({ id }: { id: Step["id"] }) {
  const user = useUser();
  const [isAsked, setAsked] = useState(false);
  const close = (): void => setAsked(false);
  return (
    <>
      <p className="muted">{HOW[id]}</p>
      {id === "trading" && (
        <p>
          <Link to="/">Go to the overview</Link>
        </p>
      )}
      {mayTrade(user) && (id === "data" || id === "training") && (
        <button type="button" onClick={() => setAsked(true)}>
          {id === "data" ? "Load candles of an exchange…" : "Train on what is stored…"}
        </button>
      )}
      {isAsked && (id === "data" ? <BackfillDialog close={close} /> : <TrainDialog close={close} />)}
    </>
  );
}
