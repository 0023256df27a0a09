"""Wins that stop are noticed: halved, then quarantined by the real engine and runner, journaled, and still so after a
restart. What nobody trades then brings it back, or retires it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.integration.engine.scripted import CASH, MARKET, series, spec

from tradepulse.bootstrap.reliability import ReliabilityAdviser, write_moves
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    EntryPlanned,
    PositionClosed,
    SetupEvaluated,
    SizeChanged,
)
from tradepulse.domain.market import MINUTE, Candle, Candles, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.signals import Verdict
from tradepulse.domain.training import Combination, Configuration, Origin, Stage, StageMove
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.policy.reliability_engine import AUTHOR, Expectation, ReliabilityEngine, Watched
from tradepulse.ports import StepRecord
from tradepulse.shared.clock import ManualClock
from tradepulse.storage.in_memory import InMemoryConfigurationStore, InMemoryJournal, InMemoryVenueStore
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters, Strategy, trade_specs
from tradepulse.strategies.setup_table import ConditionRule

ROUND = 6
START = 1_700_000_000_000 // 86_400_000 * 86_400_000
M1 = series(Timeframe.M1)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=800_000, min_confluence=0.5)
SPEC = spec(MarketKind.SPOT)


class EveryRound(Strategy):
    """Buys once a round: the market decides what becomes of it."""

    strategy_id = "every_round"
    title = "Every round"
    parameter_specs = trade_specs(20)

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 1, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("round", ">=", 0.0),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        times = history.candles.open_time[first:]
        bars = first + np.flatnonzero(times // MINUTE % ROUND == 0)
        close = history.candles.close[bars]
        ones = np.ones(len(bars), dtype=np.int64)
        return Found(bars, ones, close * 0.98, close * 1.026, ones[:, None].astype(np.float64), bars)


def changing_market(*chances: float) -> Candles:
    """Rounds of six flat candles in which the third jumps to the target, with that chance, or falls to the stop."""
    random, rounds = np.random.default_rng(5), len(chances)
    wins = random.random(rounds) < np.array(chances)
    times = START + MINUTE * np.arange(rounds * ROUND, dtype=np.int64)
    level = np.full(len(times), 500.0)
    high, low = level + 0.5, level - 0.5
    high[2::ROUND] = np.where(wins, 520.0, 500.5)
    low[2::ROUND] = np.where(wins, 499.5, 480.0)
    return Candles(times, level, high, low, level.copy(), np.full(len(times), 10.0))


def decaying_market(rounds: int, turning: int, before: float, after: float) -> Candles:
    return changing_market(*[before] * turning, *[after] * (rounds - turning))


STRATEGY = EveryRound()
PARAMETERS = STRATEGY.parameters(min_reward_risk=1.0)
PUBLISHED = Expectation(precision=0.6, mean_r=0.27, spread_r=1.04, break_even=0.48)
COMBINATION = Combination(M1, STRATEGY.strategy_id, None)


class JournalWithCandles(InMemoryJournal):
    """Keeps the candles of committed steps, as the database does."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Candle] = []

    async def commit(self, record: StepRecord) -> None:
        await super().commit(record)
        self.rows += [event.candle for event in record.events if isinstance(event, CandleClosed)]

    async def tail(self, _: SeriesKey, count: int) -> Candles:
        return Candles.from_rows(self.rows[-count:])


class Desk:
    """A program that can be started again on what was written down."""

    def __init__(self, candles: Candles) -> None:
        self.tape = StoredTape(Timeframe.M1, {MARKET: SPEC}, {MARKET: candles})
        self.journal = JournalWithCandles()
        self.venues = InMemoryVenueStore()
        self.configurations = InMemoryConfigurationStore()
        self.clock = ManualClock(START)
        self.wanted: list[Combination] = []
        self.adviser: ReliabilityAdviser | None = None

    async def add(self, origin: Origin, *, active: bool) -> Configuration:
        parameters = PARAMETERS if active else STRATEGY.parameters(reward_risk=3.0)
        made = Configuration(
            configuration_id="",
            combination=COMBINATION,
            version=0,
            values=dict(parameters.values),
            parameters_id=parameters.parameters_id,
            origin=origin,
            stage=Stage.MATURE,
            active=active,
            evidence={
                "combination": {
                    "published": {"precision": 0.6, "expectancy_r": 0.3, "break_even": 0.4},
                    "held_out": {"trades": 100, "standard_error": 0.1},
                }
            },
            job_id="job",
            created_at=START,
        )
        return await self.configurations.add(made, reason="planted")

    async def watched(self, configuration_id: str) -> Watched:
        stored = await self.configurations.get(configuration_id)
        assert stored is not None
        moves = await self.configurations.moves(configuration_id)
        written = frozenset(move.figures["after_trades"] for move in moves if move.by == AUTHOR and move.figures)
        return Watched(
            configuration_id=configuration_id,
            strategy=STRATEGY.strategy_id,
            series=M1,
            parameters_id=PARAMETERS.parameters_id,
            stage=stored.stage,
            origin=stored.origin,
            expectation=PUBLISHED,
            written=written,
        )

    async def trade(self, watched: Watched, bars: int, *, writing: bool = True) -> list[EngineEvent]:
        """A new process up to that bar of the tape."""
        until = START + bars * MINUTE
        tape = StoredTape(Timeframe.M1, {MARKET: SPEC}, {MARKET: self.tape.between(MARKET, START, until)})
        exchange = SimulatedExchange(tape, {"USD": CASH}, store=self.venues)
        await exchange.recover()
        engine = Engine(
            EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
            {MARKET: SPEC},
            {MARKET: Timeframe.M1},
            [Subscription(STRATEGY, PARAMETERS, M1)],
        )
        adviser = self.adviser = ReliabilityAdviser(ReliabilityEngine([watched]), {MARKET: SPEC})
        bus, told = EventBus(), list[EngineEvent]()
        bus.subscribe(told.append)
        candles: Any = self.journal
        advisers = [adviser]
        runner = Runner(engine, exchange, exchange, self.journal, exchange.clock, candles, bus, advisers)
        async with self._writer(adviser, writing=writing):
            await runner.run(CASH)
        return told

    @contextlib.asynccontextmanager
    async def _writer(self, adviser: ReliabilityAdviser, *, writing: bool) -> AsyncIterator[None]:
        async def retrain(combination: Combination, _: str) -> None:
            self.wanted.append(combination)

        task = asyncio.create_task(write_moves(self.configurations, self.clock, adviser, retrain))
        try:
            yield
            if writing:
                await adviser.moves.join()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def trades_in(told: list[EngineEvent]) -> int:
    return sum(isinstance(event, PositionClosed) for event in told)


def sizes_in(told: list[EngineEvent]) -> list[int]:
    return [event.size_ppm for event in told if isinstance(event, SizeChanged)]


@pytest.mark.parametrize("seen", [True, False], ids=["moves written", "killed before the move was written"])
async def test_strategy_whose_wins_stop_is_quarantined_and_stays_so_after_a_restart(seen: bool) -> None:
    turning, rounds = 100, 400
    desk = Desk(decaying_market(rounds, turning, 0.6, 0.3))
    configuration = await desk.add(Origin.TUNED, active=True)
    told = await desk.trade(await desk.watched(configuration.configuration_id), 300 * ROUND, writing=seen)

    # Journaled: full size until the decay, half, then none; each change in a step of its own.
    journaled = [event for record in desk.journal.records for event in record.events]
    assert sizes_in(journaled) == sizes_in(told) == [500_000, 0]
    halved, quarantined = (trades_in(told[: told.index(event)]) for event in told if isinstance(event, SizeChanged))
    assert turning < halved <= quarantined - 20 < quarantined < turning + 60

    last = next(number for number, event in enumerate(told) if isinstance(event, SizeChanged) and event.size_ppm == 0)
    later = told[last:]
    refused = [event.setup for event in later if isinstance(event, SetupEvaluated)]
    assert len(refused) > 50
    assert {event.verdict for event in later if isinstance(event, SetupEvaluated)} == {Verdict.QUARANTINED}
    assert not any(isinstance(event, EntryPlanned) for event in later)

    # The next process knows it: from its own memory where the row of the move was lost with the process.
    again = await desk.trade(await desk.watched(configuration.configuration_id), rounds * ROUND)
    assert {event.verdict for event in again if isinstance(event, SetupEvaluated)} == {Verdict.QUARANTINED}
    assert trades_in(again) == 0
    moves = [move for move in await desk.configurations.moves(configuration.configuration_id) if move.by == AUTHOR]
    assert [(move.action, move.stage) for move in moves] == [
        ("halved", Stage.MATURE),
        ("quarantined", Stage.QUARANTINED),
        ("retired", Stage.RETIRED),
    ]
    assert moves[2].figures["shadow_trades"] == 100
    assert not moves[2].active
    assert moves[1].figures["wins"] < 0.6 * moves[1].figures["after_trades"]
    assert "model decay" in moves[1].reason
    assert desk.wanted == [COMBINATION]


async def test_same_market_without_the_decay_is_left_alone() -> None:
    desk = Desk(decaying_market(300, 300, 0.6, 0.6))
    configuration = await desk.add(Origin.TUNED, active=True)
    told = await desk.trade(await desk.watched(configuration.configuration_id), 300 * ROUND)
    assert trades_in(told) == 300
    assert 0 not in sizes_in(told)


async def test_plateau_takes_the_place_of_a_decayed_configuration() -> None:
    desk = Desk(decaying_market(250, 50, 0.6, 0.2))
    plateau = await desk.add(Origin.PLATEAU, active=False)
    configuration = await desk.add(Origin.TUNED, active=True)
    await desk.trade(await desk.watched(configuration.configuration_id), 250 * ROUND)
    active = await desk.configurations.active(COMBINATION)
    assert active is not None
    assert active.configuration_id == plateau.configuration_id
    moves = await desk.configurations.moves(plateau.configuration_id)
    assert (moves[-1].action, moves[-1].by) == ("activated", AUTHOR)
    assert "decay" in moves[-1].reason


async def test_person_who_lets_it_trade_again_is_obeyed_from_the_next_start_on() -> None:
    desk = Desk(decaying_market(400, 50, 0.6, 0.2))
    configuration = await desk.add(Origin.TUNED, active=True)
    await desk.trade(await desk.watched(configuration.configuration_id), 150 * ROUND)
    watched = await desk.watched(configuration.configuration_id)
    assert watched.stage is Stage.QUARANTINED
    told = await desk.trade(replace(watched, stage=Stage.VALIDATION), 160 * ROUND)
    assert sizes_in(told) == [500_000]
    assert trades_in(told) > 0


RECOVERING = (*[0.6] * 100, *[0.3] * 60, *[0.75] * 70)


async def life_of(desk: Desk, configuration: Configuration, *stops: int) -> dict[str, object]:
    """What a configuration went through when the program ended and began again at these bars."""
    told = []
    for bars in stops:
        told += await desk.trade(await desk.watched(configuration.configuration_id), bars)
    moves = [move for move in await desk.configurations.moves(configuration.configuration_id) if move.by == AUTHOR]
    assert desk.adviser is not None
    memory = json.dumps(desk.adviser.memory()).replace(configuration.configuration_id, "the configuration")
    return {
        "moves": [(move.action, move.stage, move.reason, move.figures) for move in moves],
        "sizes": [event for event in told if isinstance(event, SizeChanged)],
        "trades": [event.trade for event in told if isinstance(event, PositionClosed)],
        "memory": memory,
    }


async def recovering() -> tuple[Desk, Configuration]:
    desk = Desk(changing_market(*RECOVERING))
    return desk, await desk.add(Origin.TUNED, active=True)


async def test_strategy_whose_wins_return_comes_back_at_half_size_by_trades_that_nobody_made() -> None:
    desk, configuration = await recovering()
    told = await desk.trade(await desk.watched(configuration.configuration_id), len(RECOVERING) * ROUND)
    assert sizes_in(told) == [500_000, 0, 500_000]
    _, quarantined, back = (place for place, event in enumerate(told) if isinstance(event, SizeChanged))
    without_money = told[quarantined:back]
    assert not any(isinstance(event, EntryPlanned | PositionClosed) for event in without_money)
    followed = [event for event in without_money if isinstance(event, SetupEvaluated)]
    moves = [move for move in await desk.configurations.moves(configuration.configuration_id) if move.by == AUTHOR]
    assert [(move.action, move.stage) for move in moves] == [
        ("halved", Stage.MATURE),
        ("quarantined", Stage.QUARANTINED),
        ("restored", Stage.VALIDATION),
        ("promoted", Stage.CONFIRMATION),
    ]
    figures = moves[2].figures
    assert 20 <= figures["shadow_trades"] == len(followed)
    assert figures["money_trades"] == trades_in(told[:back])
    # Every shadow trade is a round: what the market planted is what was counted.
    rounds = slice(figures["money_trades"], figures["after_trades"])
    won = desk.tape.between(MARKET, START, START + len(RECOVERING) * ROUND * MINUTE).high[2::ROUND] > 510.0
    assert figures["shadow_wins"] == int(won[rounds].sum())
    assert f"came back after {len(followed)} shadow trades" in moves[2].reason
    stored = await desk.configurations.get(configuration.configuration_id)
    assert stored is not None
    assert stored.active
    later = [event.verdict for event in told[back:] if isinstance(event, SetupEvaluated)]
    assert set(later) == {Verdict.ACCEPTED}


async def test_restart_in_quarantine_changes_nothing_of_what_shadow_trades_do() -> None:
    end = len(RECOVERING) * ROUND
    unbroken = await life_of(*await recovering(), end)
    # Wherever a shadow trade stands: before its entry, between entry and exit, after it.
    for first in range(170 * ROUND, 171 * ROUND):
        assert await life_of(*await recovering(), first, first + 31, end) == unbroken


async def test_person_who_takes_it_out_of_force_in_quarantine_is_obeyed() -> None:
    desk, configuration = await recovering()
    watched = await desk.watched(configuration.configuration_id)
    await desk.trade(watched, 170 * ROUND)
    quarantined = await desk.watched(configuration.configuration_id)
    assert quarantined.stage is Stage.QUARANTINED
    out = StageMove(configuration.configuration_id, START, "deactivated", Stage.QUARANTINED, False, "me", "enough")
    await desk.configurations.move(out)
    # The trader has not looked yet: the move comes too late and only says so.
    await desk.trade(quarantined, len(RECOVERING) * ROUND)
    stored = await desk.configurations.get(configuration.configuration_id)
    assert stored is not None
    assert (stored.stage, stored.active) == (Stage.QUARANTINED, False)
    moves = await desk.configurations.moves(configuration.configuration_id)
    assert "refused" in {move.action for move in moves}
