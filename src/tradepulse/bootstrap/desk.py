"""What is traded now: the configurations in force, the defaults where the settings allow them, and why not more."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradepulse.bootstrap.application import Application
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.trading_state import Phase, TradingState
from tradepulse.domain.training import (
    Configuration,
    JobState,
    JsonObject,
    Stage,
    StageMove,
    TrainingJob,
)
from tradepulse.policy.answers import kept_out_of
from tradepulse.policy.reliability_engine import AUTHOR, HALF_PPM, Watched, expectation_of, size_of
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


async def open_desk(app: Application, series: Sequence[SeriesKey]) -> Desk:
    """What the stored configurations and the settings say about these series."""
    loaded = [
        (configuration, await app.configurations.moves(configuration.configuration_id))
        for configuration in await _in_force(app, series)
    ]
    trained = [_subscription(configuration, moves) for configuration, moves in loaded]
    watched = [
        _watched(configuration, moves, subscription)
        for (configuration, moves), subscription in zip(loaded, trained, strict=True)
    ]
    defaults = list(_defaults(series, trained)) if app.settings.trading.paper_trade_defaults else []
    reasons = () if len(trained) == len(STRATEGIES) * len(series) else await _reasons(app, series)
    return Desk(
        subscriptions=(*trained, *defaults),
        watched=tuple(watched),
        state=_state(sum(one.size_ppm > 0 for one in trained), len(trained), len(defaults), reasons),
    )


async def versions_in_force(app: Application, series: Sequence[SeriesKey]) -> Versions:
    """Configurations in force with their stage, and whether a warning halved them."""
    found = set()
    for configuration in await _in_force(app, series):
        moves = await app.configurations.moves(configuration.configuration_id)
        found.add((configuration.configuration_id, configuration.stage, _halved(moves)))
    return frozenset(found)


async def covering_job(app: Application, series: Sequence[SeriesKey], states: Iterable[JobState]) -> TrainingJob | None:
    """The newest training job in one of these states that was asked for all strategies on all of these series."""
    wanted = frozenset(states)
    for job in await app.training.jobs(limit=1000):
        request = job.request
        on_all = all(
            one.symbol in request.symbols and one.exchange in request.exchanges and one.timeframe in request.timeframes
            for one in series
        )
        if job.state in wanted and on_all and set(STRATEGIES) <= set(request.strategies):
            return job
    return None


async def _in_force(app: Application, series: Sequence[SeriesKey]) -> list[Configuration]:
    exchanges = sorted({one.exchange for one in series})
    found = [one for exchange in exchanges for one in await app.configurations.find(exchange=exchange, active=True)]
    return [
        one
        for one in found
        if one.combination.series in series
        and one.combination.strategy in STRATEGIES
        and one.stage is not Stage.RETIRED
    ]


def _subscription(configuration: Configuration, moves: Sequence[StageMove]) -> Subscription:
    combination = configuration.combination
    strategy = STRATEGIES[combination.strategy]
    parameters = strategy.parameters(combination.regime, **configuration.values)
    size = size_of(configuration.stage, halved=_halved(moves))
    return Subscription(strategy, parameters, combination.series, size, kept_out_of(configuration))


def _watched(configuration: Configuration, moves: Sequence[StageMove], subscription: Subscription) -> Watched:
    return Watched(
        configuration_id=configuration.configuration_id,
        strategy=configuration.combination.strategy,
        series=configuration.combination.series,
        parameters_id=subscription.parameters.parameters_id,
        stage=configuration.stage,
        origin=configuration.origin,
        expectation=expectation_of(configuration.evidence),
        halved=_halved(moves),
        written=frozenset(
            int(move.figures["after_trades"]) for move in moves if move.by == AUTHOR and "after_trades" in move.figures
        ),
    )


def _defaults(series: Sequence[SeriesKey], trained: Sequence[Subscription]) -> Iterable[Subscription]:
    taken = {(one.strategy.strategy_id, one.series) for one in trained}
    for one in series:
        for strategy in STRATEGIES.values():
            if (strategy.strategy_id, one) not in taken:
                yield Subscription(strategy, strategy.parameters(), one, HALF_PPM)


def _halved(moves: Sequence[StageMove]) -> bool:
    sized = [move.action for move in moves if move.action in {"halved", "restored", "promoted"}]
    return bool(sized) and sized[-1] == "halved"


async def _reasons(app: Application, series: Sequence[SeriesKey]) -> tuple[str, ...]:
    """Why combinations are not traded, most frequent first, as the last training of these series judged."""
    job = await covering_job(app, series, (JobState.FINISHED,))
    report = await app.training.report(job.job_id) if job else None
    if report is None:
        failed = await covering_job(app, series, (JobState.FAILED,))
        return (failed.problem,) if failed and failed.problem else (NEVER_TRAINED,)
    counted = Counter(
        _obstacle(entry) for entry in report["combinations"] if entry["verdict"] == "not traded"
    ) + Counter(str(entry["reason"]) for entry in report["left_out"])
    return tuple(f"{count} x {reason}" for reason, count in counted.most_common(REASONS_TOLD))


def _obstacle(entry: JsonObject) -> str:
    """The first step of the gate that a combination did not pass, else the reason in its own words."""
    failed = (step for step in entry.get("steps", ()) if step.get("passed") is False)
    step = next(failed, None)
    return str(entry["reason"]) if step is None else f"gate {step['step']}, {step['title']}"


def _state(trading: int, trained: int, defaults: int, reasons: tuple[str, ...]) -> TradingState:
    if trading < trained:
        reasons = (f"{trained - trading} x in quarantine", *reasons)[:REASONS_TOLD]
    because = f" Most frequent reasons: {'; '.join(reasons)}." if reasons else ""
    if not trading and not defaults:
        why = "every configuration is in quarantine" if trained else "no configuration passed the gate"
        return TradingState(Phase.NOTHING_TO_TRADE, f"Nothing is traded: {why}.{because}", reasons)
    parts = [f"{trading} trained configuration{'' if trading == 1 else 's'}"] if trading else []
    if defaults:
        parts.append(f"{defaults} UNTESTED sets of default parameters, on paper, because paper_trade_defaults is set")
    text = f"Trading {' and '.join(parts)}.{because if trading < trained or not trading else ''}"
    return TradingState(Phase.TRADING, text, reasons, trading, untested=bool(defaults))
