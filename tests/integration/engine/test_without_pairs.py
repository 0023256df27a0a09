"""The same engine on exchanges that know pairs of orders and on those that do not, to the end of the tape."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, MARKET, ScriptedStrategy, rough_candles, series, spec

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import EngineEvent, ExecutionAlarm, LedgerPosted, PositionClosed, ProtectionPlaced
from tradepulse.domain.market import MarketKind, Timeframe
from tradepulse.domain.orders import ProtectionMode
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.storage.in_memory import InMemoryJournal

LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.5)


async def _played(
    seed: int, kind: MarketKind, mode: ProtectionMode, *, pairs: bool
) -> tuple[list[EngineEvent], Engine, SimulatedExchange]:
    strategy = ScriptedStrategy()
    tape = StoredTape(Timeframe.M1, {MARKET: spec(kind)}, {MARKET: rough_candles(seed, 200, 60_000)})
    exchange = SimulatedExchange(tape, {"USD": CASH}, pairs=pairs)
    subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=10), series(Timeframe.M1))
    config = EngineConfig("book", LIMITS, modes={MARKET: mode}, patience=WORD_IS_FINAL)
    engine = Engine(config, tape.specs, {MARKET: Timeframe.M1}, [subscription])
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus).run(CASH)
    return told, engine, exchange


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(MarketKind)))
async def test_exchange_without_pairs_when_traded_to_the_end_then_every_position_had_its_stop_and_the_books_agree(
    seed: int, kind: MarketKind
) -> None:
    told, engine, exchange = await _played(seed, kind, ProtectionMode.EMULATED, pairs=False)
    assert not [event for event in told if isinstance(event, ExecutionAlarm)]
    placed = {event.position_id for event in told if isinstance(event, ProtectionPlaced)}
    assert {event.trade.trade_id for event in told if isinstance(event, PositionClosed)} <= placed
    entries = [entry for event in told if isinstance(event, LedgerPosted) for entry in event.entries]
    assert exchange.balances()["USD"][0] == engine.portfolio.cash == sum((one.cash for one in entries), Decimal(0))


async def test_exchange_without_pairs_when_targets_are_reached_then_they_are_sold_at() -> None:
    reasons = set()
    for seed in range(6):
        told, _, _ = await _played(seed, MarketKind.SPOT, ProtectionMode.EMULATED, pairs=False)
        reasons |= {str(event.trade.exit_reason) for event in told if isinstance(event, PositionClosed)}
    assert reasons == {"stop", "target", "time"}


@pytest.mark.parametrize("pairs", [True, False])
async def test_pair_where_there_are_none_is_refused_and_the_position_left_with_an_alarm(pairs: bool) -> None:
    told, _, _ = await _played(1, MarketKind.SPOT, ProtectionMode.NATIVE, pairs=pairs)
    reasons = {str(event.trade.exit_reason) for event in told if isinstance(event, PositionClosed)}
    alarms = {event.alarm for event in told if isinstance(event, ExecutionAlarm)}
    assert (reasons == {"unprotected"}, alarms) == ((False, set()) if pairs else (True, {"refused"}))
