"""The reliability engine at work: closed trades in, size changes to the core, moves and retraining to the stores."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from tradepulse.core.signal_library import size_key
from tradepulse.domain.events import EngineEvent, PositionClosed, SizeChanged
from tradepulse.domain.training import Combination, Configuration, Stage, StageMove
from tradepulse.policy.reliability_engine import AUTHOR, Decay, Move, Outcome, ReliabilityEngine, fallback
from tradepulse.ports import ChangedMeanwhileError, Clock, ConfigurationStore, JsonObject
from tradepulse.shared.errors import ConfigurationError, RefusedError

logger = logging.getLogger(__name__)
STATE = "state"
LEADS_FROM = {
    ("promoted", Stage.CONFIRMATION): (Stage.VALIDATION,),
    ("promoted", Stage.MATURE): (Stage.CONFIRMATION,),
    ("halved", Stage.MATURE): (Stage.MATURE,),
    ("restored", Stage.MATURE): (Stage.MATURE,),
    ("quarantined", Stage.QUARANTINED): (Stage.VALIDATION, Stage.CONFIRMATION, Stage.MATURE),
}
"""Stages from which a move of reliability leads: a person may have moved the configuration before it is written."""
Retrain = Callable[[Combination, str], Awaitable[None]]


class ReliabilityAdviser:
    """The core's ``Adviser`` over a ``ReliabilityEngine``; its moves wait in ``moves`` to be written down.

    On paper the fills are the simulated ones, so what a trade made is what its setup was worth.
    """

    name = AUTHOR

    def __init__(self, engine: ReliabilityEngine) -> None:
        self.engine = engine
        self.moves: asyncio.Queue[Move] = asyncio.Queue()
        self._told: dict[str, int] = {}
        self._memory: JsonObject | None = None

    def advise(self, events: Sequence[EngineEvent]) -> Sequence[SizeChanged]:
        trades = [event.trade for event in events if isinstance(event, PositionClosed)]
        if not trades:
            return []
        self._memory = None
        for trade in trades:
            key = size_key(trade.strategy, trade.series, trade.parameters_id)
            move = self.engine.learn(Outcome(key, trade.r_multiple, trade.r_multiple))
            if move is not None:
                self.moves.put_nowait(move)
        return self._changes(trades[-1].exit_time)

    def standing(self) -> Sequence[SizeChanged]:
        for move in self.engine.unwritten():
            self.moves.put_nowait(move)
        self._told = {}
        return self._changes(0)

    def memory(self) -> JsonObject:
        if self._memory is None:
            self._memory = {STATE: self.engine.to_json()}
        return self._memory

    def remember(self, memory: JsonObject) -> None:
        self._memory = None
        self.engine.restore(memory.get(STATE, {}))

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
        await write_move(store, move, clock.now(), retrain)
        adviser.moves.task_done()


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
    fits = now.stage in LEADS_FROM[move.action, move.stage]
    action = move.action if fits else "refused"
    reason = move.reason if fits else f"{move.action} came too late, it was {now.stage} by then: {move.reason}"
    seen = (now.stage, now.active)
    row = StageMove(
        now.configuration_id, time, action, move.stage, now.active, AUTHOR, reason, move.figures, expected=seen
    )
    moved = await store.move(row)
    logger.warning("%s, version %s: %s (%s)", moved.combination, moved.version, action, reason)
    return moved if fits else None


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
