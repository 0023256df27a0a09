"""What the engine remembers is all it needs; what it cannot look after any more it refuses to take over."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, MARKET, ScriptedStrategy, rough_candles, series, spec

from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.commands import Command, PlaceProtection
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    EngineInput,
    MarketEvent,
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    PositionClosed,
    PositionOpened,
    SetupEvaluated,
    SizeChanged,
    TradingDayBegan,
)
from tradepulse.domain.market import Candles, MarketKind, Timeframe
from tradepulse.domain.risk import AccountLimits, RiskState
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.ports import StepRecord
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.in_memory import InMemoryJournal, InMemoryVenueStore
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters

LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=800_000, min_confluence=0.5)
STRATEGY = ScriptedStrategy()


def engine(kind: MarketKind, *timeframes: Timeframe) -> Engine:
    subscriptions = [Subscription(STRATEGY, STRATEGY.parameters(), series(timeframe)) for timeframe in timeframes]
    return Engine(
        EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
        {MARKET: spec(kind)},
        {MARKET: Timeframe.M1},
        subscriptions,
    )


def market(kind: MarketKind, candles: Candles, store: InMemoryVenueStore | None = None) -> SimulatedExchange:
    tape = StoredTape(Timeframe.M1, {MARKET: spec(kind)}, {MARKET: candles})
    return SimulatedExchange(tape, {"USD": CASH}, store=store)


class Recorder(Engine):
    """Keeps what it was told, what it answered, and what it remembered after each step."""

    def __init__(self, kind: MarketKind) -> None:
        super().__init__(
            EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
            {MARKET: spec(kind)},
            {MARKET: Timeframe.M1},
            [Subscription(STRATEGY, STRATEGY.parameters(), series(Timeframe.M1))],
        )
        self.told: list[EngineInput] = []
        self.answers: list[Step] = []
        self.memories: list[str] = []

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        step = super().handle(event, more=more)
        self.told.append(event)
        self.answers.append(step)
        self.memories.append(json.dumps(self.snapshot()))
        return step


async def played(
    subject: Engine, exchange: SimulatedExchange, journal: InMemoryJournal | None = None
) -> list[EngineEvent]:
    """Run to the end of the tape; what observers were told."""
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await Runner(subject, exchange, exchange, journal or InMemoryJournal(), exchange.clock, observers=bus).run(CASH)
    return told


def exit_reasons(told: list[EngineEvent]) -> list[str]:
    return [str(event.trade.exit_reason) for event in told if isinstance(event, PositionClosed)]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(MarketKind)), cut=st.floats(0.1, 0.9))
async def test_engine_made_from_memory_and_candles_answers_everything_as_the_one_that_lived_on(
    seed: int, kind: MarketKind, cut: float
) -> None:
    candles = rough_candles(seed, 200, 60_000)
    lived = Recorder(kind)
    await played(lived, market(kind, candles))
    moment = int(cut * len(lived.told))
    again = engine(kind, Timeframe.M1)
    again.restore(json.loads(lived.memories[moment - 1]))
    closed = [event.candle for event in lived.told[:moment] if isinstance(event, CandleClosed)]
    again.warm_up(series(Timeframe.M1), Candles.from_rows(closed))
    assert [again.handle(event) for event in lived.told[moment:]] == lived.answers[moment:]
    assert json.dumps(again.snapshot()) == lived.memories[-1]


class WithoutRoomForPairs(SimulatedExchange):
    """Refuses every protective pair, as an exchange does whose limit of such orders is reached."""

    async def execute(self, command: Command) -> Sequence[OrderEvent]:
        if isinstance(command, PlaceProtection):
            command = replace(command, target_ticks=0)
        return await super().execute(command)


@pytest.mark.parametrize("kind", list(MarketKind))
async def test_run_when_every_protection_is_refused_then_every_position_is_closed_at_market(kind: MarketKind) -> None:
    tape = StoredTape(Timeframe.M1, {MARKET: spec(kind)}, {MARKET: rough_candles(1, 200, 60_000)})
    told = await played(engine(kind, Timeframe.M1), WithoutRoomForPairs(tape, {"USD": CASH}))
    assert len(exit_reasons(told)) > 3
    assert set(exit_reasons(told)) == {"unprotected"}


class WideStops(ScriptedStrategy):
    """Stops half the price away."""

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        found = super()._find(history, parameters, first)
        close = history.candles.close[found.index]
        return replace(found, stop=close - found.direction * 0.5 * close, target=found.target * np.nan)


async def test_short_when_its_target_would_be_below_zero_then_protected_all_the_same() -> None:
    strategy, kind = WideStops(), MarketKind.SWAP
    subject = Engine(
        EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
        {MARKET: spec(kind)},
        {MARKET: Timeframe.M1},
        [Subscription(strategy, strategy.parameters(reward_risk=5.0), series(Timeframe.M1))],
    )
    told = await played(subject, market(kind, rough_candles(1, 200, 60_000)))
    assert {event.position.target_ticks for event in told if isinstance(event, PositionOpened)} >= {1}
    assert "unprotected" not in exit_reasons(told)


async def _book_with_an_open_position(
    store: InMemoryVenueStore, journal: InMemoryJournal
) -> tuple[Engine, SimulatedExchange]:
    for count in range(20, 200):
        subject = engine(MarketKind.SPOT, Timeframe.M1)
        await played(subject, market(MarketKind.SPOT, rough_candles(1, 200, 60_000)[:count]))
        if subject.portfolio.positions:
            break
    subject = engine(MarketKind.SPOT, Timeframe.M1)
    exchange = market(MarketKind.SPOT, rough_candles(1, 200, 60_000)[:count], store)
    await exchange.recover()
    await played(subject, exchange, journal)
    assert subject.portfolio.positions
    return subject, exchange


async def test_book_when_the_settings_no_longer_trade_what_it_holds_then_refused_with_the_remedy() -> None:
    journal = InMemoryJournal()
    await _book_with_an_open_position(InMemoryVenueStore(), journal)
    recovered = await journal.recover("book")
    assert recovered is not None
    with pytest.raises(ConfigurationError, match=r"holds positions or orders on replay:ABC/USD:1m.*Trade these"):
        engine(MarketKind.SPOT, Timeframe.M5).restore(recovered[1])
    engine(MarketKind.SPOT, Timeframe.M1, Timeframe.M5).restore(recovered[1])


async def _forget_acceptance(journal: InMemoryJournal) -> None:
    """As if the kill had come between the exchange's answer and the step that took it in."""
    recovered = await journal.recover("book")
    assert recovered is not None
    sequence, snapshot = recovered
    for trade in snapshot["execution"]["trades"].values():
        trade["stage"] = "protecting"
    await journal.commit(StepRecord("book", sequence + 1, 0, (), (), snapshot))


async def test_restart_when_the_answer_to_an_order_was_lost_then_the_exchange_is_asked_and_it_counts_as_accepted() -> (
    None
):
    store, journal = InMemoryVenueStore(), InMemoryJournal()
    subject, _ = await _book_with_an_open_position(store, journal)
    await _forget_acceptance(journal)
    again = engine(MarketKind.SPOT, Timeframe.M1)
    exchange = market(MarketKind.SPOT, rough_candles(1, 200, 60_000), store)
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await exchange.recover()
    await Runner(again, exchange, exchange, journal, exchange.clock, observers=bus).recover(CASH)
    trades = again.execution.state.trades.values()
    assert {event.client_id for event in told if isinstance(event, OrderAccepted)} >= {
        trade.stop_client_id for trade in trades
    }
    assert {str(trade.stage) for trade in trades} == {"protected"}
    assert list(again.portfolio.positions) == list(subject.portfolio.positions)


async def test_venue_when_remembered_before_a_later_start_then_its_clock_goes_on_from_where_it_stood() -> None:
    store, journal = InMemoryVenueStore(), InMemoryJournal()
    _, exchange = await _book_with_an_open_position(store, journal)
    stood = exchange.clock.now()
    tape = StoredTape(Timeframe.M1, {MARKET: spec(MarketKind.SPOT)}, {MARKET: rough_candles(1, 200, 60_000)})
    again = SimulatedExchange(tape, {"USD": CASH}, start=stood + 86_400_000, store=store)
    await again.recover()
    assert again.clock.now() == stood
    fresh = SimulatedExchange(tape, {"USD": CASH}, start=stood, store=InMemoryVenueStore())
    await fresh.recover()
    assert fresh.clock.now() == stood


def test_begin_tells_the_deposit_and_the_equity() -> None:
    subject = engine(MarketKind.SPOT, Timeframe.M1)
    step = subject.begin(CASH, 60_000)
    assert [type(event).__name__ for event in step.events] == ["LedgerPosted", "EquityMarked"]
    assert step.memorable
    assert subject.began_at == 60_000


async def test_setup_found_on_a_bar_that_closed_late_is_told_and_not_traded() -> None:
    candles = rough_candles(4, 2_000, 60_000, missing=0.3)
    subject = engine(MarketKind.SWAP, Timeframe.M5)
    subject.begin(CASH, int(candles.open_time[0]))
    verdicts = set()
    for row in range(len(candles)):
        step = subject.handle(CandleClosed(series(Timeframe.M1), candles.row(row)))
        verdicts |= {event.verdict.name for event in step.events if isinstance(event, SetupEvaluated)}
        for command in step.commands:
            subject.handle(_expired(command))
    assert "LATE_CANDLE" in verdicts
    assert "ACCEPTED" in verdicts


def _expired(command: Command) -> MarketEvent:
    return OrderEnded(getattr(command, "client_id", ""), None, "expired", 0)


def _size(size_ppm: int) -> SizeChanged:
    parameters_id = STRATEGY.parameters().parameters_id
    return SizeChanged("scripted", series(Timeframe.M1), parameters_id, size_ppm, "decay", 90_000)


def test_size_change_is_told_once_remembered_and_nothing_where_nobody_trades_with_the_parameters() -> None:
    subject = engine(MarketKind.SPOT, Timeframe.M1)
    subject.begin(CASH, 60_000)
    step = subject.handle(_size(500_000))
    assert (step.events, step.memorable) == ((_size(500_000),), True)
    assert subject.handle(_size(500_000)).events == ()
    assert subject.handle(replace(_size(0), parameters_id="unknown")).events == ()
    again = engine(MarketKind.SPOT, Timeframe.M1)
    again.restore(json.loads(json.dumps(subject.snapshot())))
    assert again.handle(_size(500_000)).events == ()
    assert again.handle(replace(_size(0), time=0)).events == (replace(_size(0), time=90_000),)


def test_restart_when_the_memory_holds_a_larger_size_than_parameters_begin_with_then_they_begin_with_theirs() -> None:
    def at(size_ppm: int, *, advised: bool = False) -> Engine:
        like = engine(MarketKind.SPOT, Timeframe.M1)
        smaller = [replace(one, size_ppm=size_ppm, advised=advised) for one in like.signals.subscriptions]
        return Engine(like.config, {MARKET: spec(MarketKind.SPOT)}, {MARKET: Timeframe.M1}, smaller)

    full, half = at(1_000_000), at(500_000)
    half.restore(json.loads(json.dumps(full.snapshot())))
    assert set(half.sizes.values()) == {500_000}
    watched = at(500_000, advised=True)
    watched.restore(json.loads(json.dumps(full.snapshot())))
    assert set(watched.sizes.values()) == {1_000_000}
    full.restore(json.loads(json.dumps(half.snapshot())))
    assert set(full.sizes.values()) == {500_000}


def test_book_written_before_sizes_were_known_is_taken_over_at_the_sizes_of_the_subscriptions() -> None:
    subject = engine(MarketKind.SPOT, Timeframe.M1)
    subject.begin(CASH, 60_000)
    snapshot = subject.snapshot()
    del snapshot["sizes"]
    subject.restore(snapshot)
    assert list(subject.sizes.values()) == [1_000_000]


def test_book_written_before_there_were_limits_is_taken_over_and_watched_from_then_on() -> None:
    subject = engine(MarketKind.SPOT, Timeframe.M1)
    subject.begin(CASH, 60_000)
    snapshot = subject.snapshot()
    del snapshot["risk"]
    limited = Engine(
        replace(subject.config, account=AccountLimits(daily_loss_ppm=10_000, drawdown_halt_ppm=10_000)),
        {MARKET: spec(MarketKind.SPOT)},
        {MARKET: Timeframe.M1},
        subject.signals.subscriptions,
    )
    limited.restore(snapshot)
    candles = rough_candles(1, 1, 60_000, missing=0)
    step = limited.handle(CandleClosed(series(Timeframe.M1), candles.row(0)))
    (began,) = [event for event in step.events if isinstance(event, TradingDayBegan)]
    assert (began.equity, limited.risk.memory.peak, limited.risk.state) == (CASH, CASH, RiskState.ACTIVE)


class Careful:
    """Asks for quarantine after the third closed trade."""

    name = "careful"

    def __init__(self) -> None:
        self.trades = 0
        self.learned = False

    def advise(self, events: Sequence[EngineEvent]) -> Sequence[SizeChanged]:
        closed = sum(isinstance(event, PositionClosed) for event in events)
        self.trades += closed
        self.learned = closed > 0
        return self.standing() if closed else []

    def standing(self) -> Sequence[SizeChanged]:
        return [_size(0)] if self.trades >= 3 else []

    def memory(self) -> dict[str, object]:
        return {"trades": self.trades}

    def remember(self, memory: dict[str, object]) -> None:
        self.trades = int(str(memory.get("trades", 0)))


async def test_advice_is_the_next_step_and_later_setups_are_refused_but_told() -> None:
    journal, exchange = InMemoryJournal(), market(MarketKind.SWAP, rough_candles(1, 400, 60_000))
    subject = engine(MarketKind.SWAP, Timeframe.M1)
    await Runner(subject, exchange, exchange, journal, exchange.clock, advisers=[Careful()]).run(CASH)
    steps = [record.events for record in journal.records]
    third = [number for number, step in enumerate(steps) for e in step if isinstance(e, PositionClosed)][2]
    (advised,) = [number for number, step in enumerate(steps) for e in step if isinstance(e, SizeChanged)]
    assert advised == third + 1
    later = [e for step in steps[advised:] for e in step]
    verdicts = {e.verdict for e in later if isinstance(e, SetupEvaluated)}
    assert Verdict.QUARANTINED in verdicts
    assert Verdict.ACCEPTED not in verdicts
    assert not any(isinstance(e, PositionOpened) for e in later)


async def test_adviser_is_given_back_its_memory_and_lost_advice_is_asked_for_again() -> None:
    journal, store = InMemoryJournal(), InMemoryVenueStore()
    exchange = market(MarketKind.SWAP, rough_candles(1, 300, 60_000), store)
    subject = engine(MarketKind.SWAP, Timeframe.M1)
    await Runner(subject, exchange, exchange, journal, exchange.clock, advisers=[Careful()]).run(CASH)
    recovered = await journal.recover("book")
    assert recovered is not None
    sequence, snapshot = recovered
    # As if the kill had come after the third trade was written down and before the advice was.
    snapshot["sizes"] = dict.fromkeys(snapshot["sizes"], 1_000_000)
    await journal.commit(StepRecord("book", sequence + 1, snapshot["now"], (), (), snapshot))
    again, adviser = engine(MarketKind.SWAP, Timeframe.M1), Careful()
    exchange = market(MarketKind.SWAP, rough_candles(1, 300, 60_000), store)
    await exchange.recover()
    await Runner(again, exchange, exchange, journal, exchange.clock, advisers=[adviser]).recover(CASH)
    assert adviser.trades >= 3
    assert list(again.sizes.values()) == [0]
