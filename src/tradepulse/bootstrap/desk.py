"""What is traded now: the configurations in force, the defaults where the settings allow them, and why not more."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tradepulse.bootstrap.application import Application
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.trading_state import Phase, TradingState
from tradepulse.domain.training import (
    Combination,
    Configuration,
    JobState,
    JsonObject,
    Stage,
    StageMove,
    TrainingJob,
)
from tradepulse.domain.wallets import Assignment
from tradepulse.policy.answers import kept_out_of
from tradepulse.policy.past_judgements import NOT_ENOUGH, PastJudgements
from tradepulse.policy.reliability_engine import AUTHOR, HALF_PPM, Watched, expectation_of, held_by_a_person, size_of
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES

REASONS_TOLD = 3
NEVER_TRAINED = "it was never trained"
Versions = frozenset[tuple[str, Stage, bool]]


@dataclass(frozen=True, slots=True)
class Desk:
    """Subscriptions of the engine, what the reliability engine watches, and both in words."""

    subscriptions: tuple[Subscription, ...]
    watched: tuple[Watched, ...]
    state: TradingState


@dataclass(frozen=True, slots=True)
class _InForce:
    configuration: Configuration
    moves: Sequence[StageMove]
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class _Counts:
    """``trained``: in force, ``trading``: of those not in quarantine; ``refused``: of the defaults."""

    trading: int
    trained: int
    defaults: int
    refused: int
    left_out: int


async def open_desk(
    app: Application, series: Sequence[SeriesKey], assignments: Collection[Assignment] | None = None
) -> Desk:
    """What the stored configurations and the settings say about these series.

    ``assignments``: only these are traded, and only what passed the gate: with real money defaults never are.
    """
    found, left_out = await _in_force(app, series, assignments)
    trained = [one.subscription for one in found]
    untrained = assignments is None and app.settings.trading.paper_trade_defaults
    defaults = list(_defaults(series, trained)) if untrained else []
    refused = await _refused(app, defaults)
    complete = len(trained) == (len(STRATEGIES) * len(series) if assignments is None else len(assignments))
    judged, reasons = (True, ()) if complete else await _reasons(app, series)
    counts = _Counts(sum(one.size_ppm > 0 for one in trained), len(trained), len(defaults), refused, len(left_out))
    return Desk(
        subscriptions=(*trained, *defaults),
        watched=tuple(_watched(one) for one in found),
        state=_state(counts, (*left_out, *reasons), judged=judged),
    )


async def versions_in_force(
    app: Application, series: Sequence[SeriesKey], assignments: Collection[Assignment] | None = None
) -> Versions:
    """Configurations in force with their stage, and whether a warning halved them."""
    found, _ = await _in_force(app, series, assignments)
    return frozenset((one.configuration.configuration_id, one.configuration.stage, _halved(one.moves)) for one in found)


async def covering_job(
    app: Application, series: Sequence[SeriesKey], states: Iterable[JobState], code_version: str | None = None
) -> TrainingJob | None:
    """The newest training job in one of these states that was asked for all strategies on all of these series.

    ``code_version``: only a job begun by that code.
    """
    wanted = frozenset(states)
    for job in await app.training.jobs(limit=1000):
        request = job.request
        on_all = all(
            one.symbol in request.symbols and one.exchange in request.exchanges and one.timeframe in request.timeframes
            for one in series
        )
        of_this = code_version in (None, job.code_version)
        if job.state in wanted and of_this and on_all and set(STRATEGIES) <= set(request.strategies):
            return job
    return None


async def _in_force(
    app: Application, series: Sequence[SeriesKey], assignments: Collection[Assignment] | None
) -> tuple[list[_InForce], tuple[str, ...]]:
    """What can be traded as it is stored, and in words what cannot, because the bounds of today are others."""
    exchanges = sorted({one.exchange for one in series})
    stored = [one for exchange in exchanges for one in await app.configurations.find(exchange=exchange, active=True)]
    found, left_out = [], []
    for one in stored:
        combination = one.combination
        if combination.series not in series or combination.strategy not in STRATEGIES or one.stage is Stage.RETIRED:
            continue
        if assignments is not None and Assignment(combination.strategy, combination.series) not in assignments:
            continue
        moves = await app.configurations.moves(one.configuration_id)
        try:
            found.append(_InForce(one, moves, _subscription(one, moves)))
        except ConfigurationError as error:
            left_out.append(f"configuration {one.configuration_id} of {combination} cannot be used: {error.problem}")
    return found, tuple(left_out)


def _subscription(configuration: Configuration, moves: Sequence[StageMove]) -> Subscription:
    combination = configuration.combination
    strategy = STRATEGIES[combination.strategy]
    parameters = strategy.parameters(combination.regime, **configuration.values)
    size = size_of(configuration.stage, halved=_halved(moves))
    return Subscription(strategy, parameters, combination.series, size, kept_out_of(configuration), advised=True)


def _watched(found: _InForce) -> Watched:
    configuration, moves = found.configuration, found.moves
    return Watched(
        configuration_id=configuration.configuration_id,
        strategy=configuration.combination.strategy,
        series=configuration.combination.series,
        parameters_id=found.subscription.parameters.parameters_id,
        stage=configuration.stage,
        origin=configuration.origin,
        expectation=expectation_of(configuration.evidence),
        halved=_halved(moves),
        written=frozenset(
            int(move.figures["after_trades"]) for move in moves if move.by == AUTHOR and "after_trades" in move.figures
        ),
        held=held_by_a_person(moves),
    )


def _defaults(series: Sequence[SeriesKey], trained: Sequence[Subscription]) -> Iterable[Subscription]:
    taken = {(one.strategy.strategy_id, one.series) for one in trained}
    for one in series:
        for strategy in STRATEGIES.values():
            if (strategy.strategy_id, one) not in taken:
                yield Subscription(strategy, strategy.parameters(), one, HALF_PPM)


async def _refused(app: Application, defaults: Iterable[Subscription]) -> int:
    """How many of these were judged by the gate and not deployed, in whatever regime."""
    judgements = PastJudgements(app.training)
    count = 0
    for one in defaults:
        judgement = await judgements.last(Combination(one.series, one.strategy.strategy_id, None))
        count += judgement is not None and judgement.verdict not in (NOT_ENOUGH, "deployed")
    return count


def _halved(moves: Sequence[StageMove]) -> bool:
    sized = [move.action for move in moves if move.action in {"halved", "restored", "promoted"}]
    return bool(sized) and sized[-1] == "halved"


async def _reasons(app: Application, series: Sequence[SeriesKey]) -> tuple[bool, tuple[str, ...]]:
    """Whether a training judged these series, and why combinations are not traded, most frequent first."""
    job = await covering_job(app, series, (JobState.FINISHED,))
    report = await app.training.report(job.job_id) if job else None
    if report is None:
        failed = await covering_job(app, series, (JobState.FAILED,))
        return False, ((failed.problem,) if failed and failed.problem else (NEVER_TRAINED,))
    counted = Counter(
        _obstacle(entry) for entry in report["combinations"] if entry["verdict"] == "not traded"
    ) + Counter(str(entry["reason"]) for entry in report["left_out"])
    return True, tuple(f"{count} x {reason}" for reason, count in counted.most_common(REASONS_TOLD))


def _obstacle(entry: JsonObject) -> str:
    """The first step of the gate that a combination did not pass, else the reason in its own words."""
    failed = (step for step in entry.get("steps", ()) if step.get("passed") is False)
    step = next(failed, None)
    return str(entry["reason"]) if step is None else f"gate {step['step']}, {step['title']}"


def _state(counts: _Counts, reasons: tuple[str, ...], *, judged: bool) -> TradingState:
    if counts.trading < counts.trained:
        reasons = (f"{counts.trained - counts.trading} x in quarantine", *reasons)
    reasons = reasons[: REASONS_TOLD + counts.left_out]
    because = f" Most frequent reasons: {'; '.join(reasons)}." if reasons else ""
    if not counts.trading and not counts.defaults:
        return TradingState(
            Phase.NOTHING_TO_TRADE, f"Nothing is traded: {_why_nothing(counts, judged=judged)}.{because}", reasons
        )
    told = counts.trading < counts.trained or counts.left_out or not counts.trading
    text = f"Trading {_traded(counts)}.{because if told else ''}"
    return TradingState(Phase.TRADING, text, reasons, counts.trading, untested=bool(counts.defaults))


def _why_nothing(counts: _Counts, *, judged: bool) -> str:
    if counts.trained:
        return "every configuration is in quarantine"
    if counts.left_out:
        return "no configuration in force can be used"
    return "no configuration passed the gate" if judged else "no training has judged these series yet"


def _traded(counts: _Counts) -> str:
    untested = counts.defaults - counts.refused
    parts = [f"{counts.trading} trained configuration{'' if counts.trading == 1 else 's'}"] if counts.trading else []
    if counts.refused:
        parts.append(f"{counts.refused} sets of default parameters that were REFUSED BY THE GATE")
    if untested:
        parts.append(f"{untested} UNTESTED sets of default parameters")
    why = ", on paper, because paper_trade_defaults is set" if counts.defaults else ""
    return f"{' and '.join(parts)}{why}"
