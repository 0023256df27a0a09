"""Start-up is recovery: a kill at any instant, before or after any write, changes nothing but time."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, MARKET, OTHER, ScriptedStrategy, rough_candles, series, spec

from tradepulse.bootstrap.reliability import ReliabilityAdviser
from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Adviser, Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineEvent, EngineInput, LedgerPosted, PositionClosed, SizeChanged
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.training import Origin, Stage
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.exchanges.venue_book import client_ids
from tradepulse.policy.reliability_engine import Expectation, ReliabilityEngine, ReliabilityRules, Watched
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.storage.in_memory import InMemoryJournal, InMemoryVenueStore

TIMEFRAMES = (Timeframe.M1, Timeframe.M5)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.5)


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


class Fuse:
    """Kills at the given counts of writes; an even count kills before the write happens, an odd one after."""

    def __init__(self, kills: Sequence[int]) -> None:
        self._kills = set(kills)
        self.ticks = 0

    async def around(self, write: Callable[[], Awaitable[None]]) -> None:
        self._burn()
        await write()
        self._burn()

    def _burn(self) -> None:
        self.ticks += 1
        if self.ticks in self._kills:
            raise Killed


class FusedJournal(InMemoryJournal):
    """Keeps the candles of a step in the same transaction as its facts, as the database does."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse
        self.intended: set[str] = set()
        self.rows: dict[SeriesKey, list[Candle]] = {}
        self.told: list[EngineEvent] = []

    async def commit(self, record: StepRecord) -> None:
        async def write() -> None:
            await super(FusedJournal, self).commit(record)
            self.told += record.events
            self.intended |= {client_id for command in record.commands for client_id in client_ids(command)}
            for event in record.events:
                if isinstance(event, CandleClosed):
                    self.rows.setdefault(event.series, []).append(event.candle)

        await self._fuse.around(write)

    async def tail(self, key: SeriesKey, count: int) -> Candles:
        return Candles.from_rows(self.rows.get(key, [])[-count:])


class FusedVenueStore(InMemoryVenueStore):
    """Looks over the shoulder of the trader: an order that was not written down first must never arrive."""

    def __init__(self, fuse: Fuse, journal: FusedJournal) -> None:
        super().__init__()
        self._fuse = fuse
        self._journal = journal

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        assert orders.keys() <= self._journal.intended, "sent before it was written down"

        async def write() -> None:
            await super(FusedVenueStore, self).save(venue, state, orders)

        await self._fuse.around(write)


async def _live_through(
    tape: StoredTape,
    kills: Sequence[int],
    kind_of_runner: type[Runner] = Runner,
    advisers: Callable[[Mapping[MarketKey, MarketSpec]], Sequence[Adviser]] = lambda _: (),
) -> tuple[list[EngineEvent], Engine, SimulatedExchange, int]:
    """Run the tape to its end, starting again after every kill on what was written down."""
    fuse = Fuse(kills)
    journal = FusedJournal(fuse)
    store = FusedVenueStore(fuse, journal)
    strategy = ScriptedStrategy()
    subscriptions = [
        Subscription(strategy, strategy.parameters(max_bars_in_trade=10), series(timeframe, market))
        for market in tape.specs
        for timeframe in TIMEFRAMES
    ]
    while True:
        exchange = SimulatedExchange(tape, {"USD": CASH}, store=store, venue="book")
        engine = Engine(
            EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
            tape.specs,
            dict.fromkeys(tape.specs, Timeframe.M1),
            subscriptions,
        )
        await exchange.recover()
        runner = kind_of_runner(
            engine, exchange, exchange, journal, exchange.clock, journal, None, advisers(tape.specs)  # type: ignore[arg-type]
        )  # fmt: skip
        try:
            await runner.run(CASH)
        except Killed:
            continue
        return journal.told, engine, exchange, fuse.ticks


def _tape(seed: int, kind: MarketKind, bars: int) -> StoredTape:
    specs = {market: spec(kind, market) for market in (MARKET, OTHER)}
    candles = {market: rough_candles(seed + n, bars, 60_000) for n, market in enumerate(specs)}
    return StoredTape(Timeframe.M1, specs, candles)


def _trades(told: list[EngineEvent]) -> list[Trade]:
    return [event.trade for event in told if isinstance(event, PositionClosed)]


def _cash(told: list[EngineEvent]) -> Decimal:
    entries = [entry for event in told if isinstance(event, LedgerPosted) for entry in event.entries]
    assert len({entry.entry_id for entry in entries}) == len(entries)
    return sum((entry.cash for entry in entries), Decimal(0))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(list(MarketKind)),
    kill_seed=st.integers(0, 10**6),
    kills=st.integers(1, 25),
)
async def test_killed_and_restarted_run_ends_with_the_same_trades_and_book(
    seed: int, kind: MarketKind, kill_seed: int, kills: int
) -> None:
    tape = _tape(seed, kind, 200)
    told, engine, exchange, writes = await _live_through(tape, [])
    moments = np.random.default_rng(kill_seed).choice(np.arange(1, writes), kills, replace=False)
    again, engine_again, exchange_again, _ = await _live_through(tape, [int(moment) for moment in moments])
    assert _trades(again) == _trades(told)
    assert _cash(again) == _cash(told) == engine_again.portfolio.cash
    assert engine_again.portfolio.positions == engine.portfolio.positions
    assert exchange_again.balances() == exchange.balances()
    assert exchange_again.balances()["USD"][0] == _cash(again)


async def test_kill_at_every_single_write_of_a_short_run_changes_nothing() -> None:
    await _kill_at_every_write(Runner)


async def _kill_at_every_write(kind_of_runner: type[Runner]) -> None:
    tape = _tape(3, MarketKind.SPOT, 60)
    told, engine, _, writes = await _live_through(tape, [], kind_of_runner)
    assert _trades(told)
    for moment in range(1, writes + 1):
        again, engine_again, exchange_again, _ = await _live_through(tape, [moment], kind_of_runner)
        assert _trades(again) == _trades(told), f"killed at write {moment}"
        assert engine_again.portfolio.positions == engine.portfolio.positions, f"killed at write {moment}"
        assert exchange_again.balances()["USD"][0] == _cash(again) == _cash(told), f"killed at write {moment}"


class ActsBeforeItCommits(Runner):
    async def _perform(self, step: Step) -> list[EngineInput]:
        answers: list[EngineInput] = [
            answer for command in step.commands for answer in await self._gateway.execute(command)
        ]
        await super()._perform(replace(step, commands=()))
        return answers


class ForgetsItsOrders(Runner):
    async def _settle_orders(self) -> None:
        """Neither asks what became of them nor sends again what never arrived."""


class ForgetsWhatItMissed(Runner):
    async def _catch_up(self) -> None:
        """Goes on with the next candle as if none had closed meanwhile."""


@pytest.mark.parametrize("wrong", [ActsBeforeItCommits, ForgetsItsOrders, ForgetsWhatItMissed])
async def test_runner_that_breaks_a_rule_of_recovery_is_caught_by_these_tests(wrong: type[Runner]) -> None:
    with pytest.raises(AssertionError, match=r"sent before it was written down|killed at write"):
        await _kill_at_every_write(wrong)


class QuickToDoubt:
    """Far too much was published: halved and quarantined, and soon brought back by shadow trades, in a short run."""

    def __init__(self, kind: type[ReliabilityAdviser] = ReliabilityAdviser) -> None:
        self._kind = kind
        self.last: ReliabilityAdviser | None = None
        """The adviser of the last process."""

    def __call__(self, specs: Mapping[MarketKey, MarketSpec]) -> Sequence[Adviser]:
        self.last = self._kind(ReliabilityEngine(*_doubts()), specs)
        return [self.last]

    def memory(self) -> JsonObject:
        assert self.last is not None
        return self.last.memory()


def _doubts() -> tuple[list[Watched], ReliabilityRules]:
    parameters_id = ScriptedStrategy().parameters(max_bars_in_trade=10).parameters_id
    published = Expectation(precision=0.4, mean_r=0.0, spread_r=1.0, break_even=0.2)
    watched = [
        Watched(str(key), "scripted", key, parameters_id, Stage.MATURE, Origin.TUNED, published)
        for key in (series(timeframe, market) for market in (MARKET, OTHER) for timeframe in TIMEFRAMES)
    ]
    return watched, ReliabilityRules(warning=0.3, alarm=0.6, calm=0.55, between_changes=2, confirmed=1.1, given_up=6)


async def _kill_at_every_ninth_write(advisers: QuickToDoubt) -> list[int]:
    tape = _tape(6, MarketKind.SWAP, 90)
    told, engine, _, writes = await _live_through(tape, [], advisers=advisers)
    sizes, memory = [event for event in told if isinstance(event, SizeChanged)], advisers.memory()
    moves = [move["action"] for record in memory["state"]["records"].values() for move in record["moves"]]
    assert (moves.count("quarantined"), moves.count("restored"), len(memory["shadows"])) == (2, 1, 1)
    for moment in range(1, writes + 1, 9):
        again, engine_again, _, _ = await _live_through(tape, [moment], advisers=advisers)
        assert [event for event in again if isinstance(event, SizeChanged)] == sizes, f"killed at write {moment}"
        assert _trades(again) == _trades(told), f"killed at write {moment}"
        assert engine_again.sizes == engine.sizes, f"killed at write {moment}"
        assert advisers.memory() == memory, f"killed at write {moment}"
    return [event.size_ppm for event in sizes]


async def test_kill_at_every_ninth_write_changes_no_size_no_shadow_trade_and_nothing_that_follows_from_them() -> None:
    assert set(await _kill_at_every_ninth_write(QuickToDoubt())) == {1_000_000, 500_000, 0}


class SaysNothingOfCandles(ReliabilityAdviser):
    """Learns from candles and does not say so."""

    def advise(self, events: Sequence[EngineEvent]) -> Sequence[SizeChanged]:
        advice = super().advise(events)
        self.learned = False
        return advice


async def test_adviser_that_does_not_say_what_it_learned_is_caught_by_this_test() -> None:
    with pytest.raises(AssertionError, match="killed at write"):
        await _kill_at_every_ninth_write(QuickToDoubt(SaysNothingOfCandles))
