"""The reliability engine at work: trades and shadow trades in, size changes to the core, moves and retraining to the
stores."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tradepulse.core.signal_library import size_key
from tradepulse.domain.events import CandleClosed, EngineEvent, GapFound, PositionClosed, SetupEvaluated, SizeChanged
from tradepulse.domain.market import MarketKey, MarketSpec
from tradepulse.domain.signals import Verdict
from tradepulse.domain.training import Combination, Configuration, Stage, StageMove
from tradepulse.policy.reliability_engine import (
    AUTHOR,
    Decay,
    Move,
    Outcome,
    ReliabilityEngine,
    fallback,
    held_by_a_person,
)
from tradepulse.policy.shadow_trades import ShadowTrades
from tradepulse.ports import ChangedMeanwhileError, Clock, ConfigurationStore, JsonObject
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError

logger = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
STATE, SHADOWS = "state", "shadows"
LEADS_FROM = {
    ("promoted", Stage.CONFIRMATION): (Stage.VALIDATION,),
    ("promoted", Stage.MATURE): (Stage.CONFIRMATION,),
    ("halved", Stage.MATURE): (Stage.MATURE,),
    ("restored", Stage.MATURE): (Stage.MATURE,),
    ("quarantined", Stage.QUARANTINED): (Stage.VALIDATION, Stage.CONFIRMATION, Stage.MATURE),
    ("restored", Stage.VALIDATION): (Stage.QUARANTINED,),
    ("retired", Stage.RETIRED): (Stage.QUARANTINED,),
}
"""Stages from which a move of reliability leads: a person may have moved the configuration before it is written."""
Retrain = Callable[[Combination, str], Awaitable[None]]


class ReliabilityAdviser:
    """The core's ``Adviser`` over a ``ReliabilityEngine``; its moves wait in ``moves`` to be written down.

    On paper the fills are the simulated ones, so what a trade made is what its setup was worth. Setups that only the
    quarantine kept from being entered are followed as shadow trades.
    """

    name = AUTHOR

    def __init__(self, engine: ReliabilityEngine, markets: Mapping[MarketKey, MarketSpec]) -> None:
        self.engine = engine
        self.shadows = ShadowTrades(markets)
        self.learned = False
        self.moves: asyncio.Queue[Move] = asyncio.Queue()
        self._told: dict[str, int] = {}
        self._memory: JsonObject | None = None

    def advise(self, events: Sequence[EngineEvent]) -> Sequence[SizeChanged]:
        followed = dict(self.shadows.trades)
        closed = [one for event in events for one in self._take_in(event, events)]
        self.learned = bool(closed) or followed != self.shadows.trades
        if self.learned:
            self._memory = None
        return self._changes(max(closed)) if closed else []

    def _take_in(self, event: EngineEvent, events: Sequence[EngineEvent]) -> list[int]:
        """When the trades were closed that one fact of a step has closed, with or without money."""
        match event:
            case CandleClosed():
                gaps = [gap.since for gap in events if isinstance(gap, GapFound)]
                closed = self.shadows.meet(event, min(gaps, default=event.candle.open_time))
                for one in closed:
                    self._learn(Outcome(one.key, one.r, one.r, shadow=True))
                return [one.time for one in closed]
            case PositionClosed():
                trade = event.trade
                key = size_key(trade.strategy, trade.series, trade.parameters_id)
                self._learn(Outcome(key, trade.r_multiple, trade.r_multiple))
                return [trade.exit_time]
            case SetupEvaluated(setup, Verdict.QUARANTINED):
                key = size_key(setup.strategy, setup.series, setup.parameters_id)
                if self.engine.follows(key):
                    self.shadows.enter(key, setup)
        return []

    def _learn(self, outcome: Outcome) -> None:
        move = self.engine.learn(outcome)
        if move is not None:
            self.moves.put_nowait(move)

    def standing(self) -> Sequence[SizeChanged]:
        for move in self.engine.unwritten():
            self.moves.put_nowait(move)
        self._told = {}
        return self._changes(0)

    def memory(self) -> JsonObject:
        if self._memory is None:
            self._memory = {STATE: self.engine.to_json(), SHADOWS: self.shadows.to_json()}
        return self._memory

    def remember(self, memory: JsonObject) -> None:
        self._memory = None
        self.engine.restore(memory.get(STATE, {}))
        self.shadows.restore(memory.get(SHADOWS, {}))
        # What a person has decided meanwhile, or another configuration in force, ends what is no longer asked for.
        self.shadows.keep(self.engine.follows)

    def _changes(self, time: int) -> list[SizeChanged]:
        changes = []
        for key, watched in self.engine.watched.items():
            size, reason = self.engine.size_ppm(key), self.engine.reason(key)
            if self._told.get(key) != size:
                self._told[key] = size
                changes.append(SizeChanged(watched.strategy, watched.series, watched.parameters_id, size, reason, time))
        return changes


async def write_moves(store: ConfigurationStore, clock: Clock, adviser: ReliabilityAdviser, retrain: Retrain) -> None:
    """Write moves into the configurations' lives as they come, until cancelled."""
    for watched in adviser.engine.watched.values():
        if watched.stage is Stage.QUARANTINED:
            # The process may have ended between a quarantine and what follows from it.
            await put_fallback_into_force(store, watched.configuration_id, clock.now())
    while True:
        move = await adviser.moves.get()
        await _write_patiently(store, move, clock, retrain)
        adviser.moves.task_done()


async def _write_patiently(store: ConfigurationStore, move: Move, clock: Clock, retrain: Retrain) -> None:
    """Again and again while the database is away."""
    while True:
        try:
            return await write_move(store, move, clock.now(), retrain)
        except TransientError as error:
            logger.warning("The move '%s' is written down later: %s", move.action, error)
            await asyncio.sleep(RETRY_SECONDS)


async def write_move(store: ConfigurationStore, move: Move, time: int, retrain: Retrain) -> None:
    """One row; after a decay the next fallback is put into force, and a training is asked for."""
    try:
        moved = await _written(store, move, time)
    except ChangedMeanwhileError:
        moved = await _written(store, move, time)
    if moved is None or move.decay is None:
        return
    await put_fallback_into_force(store, move.configuration_id, time)
    if move.decay is Decay.MODEL:
        try:
            await retrain(moved.combination, move.reason)
        except (RefusedError, ConfigurationError) as error:
            logger.warning("No training was asked for after the decay of %s: %s", moved.combination, error)


async def _written(store: ConfigurationStore, move: Move, time: int) -> Configuration | None:
    """The configuration after the move; ``None`` where the move came too late, which is noted in its place."""
    now = await store.get(move.configuration_id)
    if now is None or now.stage is Stage.RETIRED:
        return None
    obstacle = await _obstacle(store, move, now)
    action = "refused" if obstacle else move.action
    reason = f"{move.action} came too late, {obstacle}: {move.reason}" if obstacle else move.reason
    seen, active = (now.stage, now.active), now.active and action != "retired"
    row = StageMove(now.configuration_id, time, action, move.stage, active, AUTHOR, reason, move.figures, expected=seen)
    moved = await store.move(row)
    logger.warning("%s, version %s: %s (%s)", moved.combination, moved.version, action, reason)
    return None if obstacle else moved


async def _obstacle(store: ConfigurationStore, move: Move, now: Configuration) -> str:
    """What others have done meanwhile that the move would undo; empty where nothing."""
    if now.stage not in LEADS_FROM[move.action, move.stage]:
        return f"it was {now.stage} by then"
    if now.stage is not Stage.QUARANTINED:
        return ""
    if not now.active:
        return "it was out of force by then"
    held = held_by_a_person(await store.moves(now.configuration_id))
    return "a person had put it into quarantine by then" if held else ""


async def put_fallback_into_force(store: ConfigurationStore, configuration_id: str, time: int) -> None:
    """In the place of a quarantined configuration, if that is in force and there is a fallback."""
    decayed = await store.get(configuration_id)
    if decayed is None or not decayed.active:
        return
    series = decayed.combination.series
    versions = await store.find(
        exchange=series.exchange,
        symbol=series.symbol,
        timeframe=str(series.timeframe),
        strategy=decayed.combination.strategy,
    )
    lives = {one.configuration_id: await store.moves(one.configuration_id) for one in versions}
    instead = fallback(decayed, versions, lives)
    if instead is not None:
        reason = f"takes the place of version {decayed.version}, which is in quarantine after its decay"
        seen = (instead.stage, instead.active)
        row = StageMove(instead.configuration_id, time, "activated", instead.stage, True, AUTHOR, reason, expected=seen)
        try:
            await store.move(row)
        except ChangedMeanwhileError as error:
            logger.warning("Nothing was put in the place of %s: %s", decayed.combination, error)
