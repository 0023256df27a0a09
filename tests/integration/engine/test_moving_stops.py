"""Stops that follow their price: through the engine and the exchange, killed at any write, and in a backtest.

A tick is 0.05. A long at 100 fills at 100.05 and, with its stop at 90, has an R of 10.05; its target is
2.5 R away, at 125.20.
"""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.planned import BOOK, Life, PlannedStrategy, Scene, Wish, lived
from tests.integration.engine.scripted import CASH, MARKET, OTHER, START, ScriptedStrategy, rough_candles, series, spec

from tradepulse.bootstrap.backtests import replay
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import (
    EngineEvent,
    ExecutionAlarm,
    LedgerPosted,
    PositionClosed,
    PositionResized,
    ProtectionPlaced,
    RequestAnswered,
)
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import MINUTE, MarketKind, Timeframe
from tradepulse.domain.orders import ProtectionMode
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.risk import FIXED, AccountLimits, StopRules
from tradepulse.domain.signals import ExitReason
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.storage.in_memory import InMemoryJournal

R = 1_000_000
BREAKS_EVEN = StopRules(break_even_at_ppm=R, step_ppm=R // 10)
TRAILS = StopRules(trail_from_ppm=R, trail_by_ppm=R // 2, step_ppm=R // 4)


def scene(rules: StopRules, prices: list[float], timeframe: Timeframe = Timeframe.M5) -> Scene:
    return Scene(
        AccountLimits(stops=rules), {MARKET: prices, OTHER: [100.0] * len(prices)}, [Wish(MARKET, 1)], timeframe
    )


def trades(life: Life) -> list[Trade]:
    return [event.trade for event in life.told if isinstance(event, PositionClosed)]


def levels(told: list[EngineEvent]) -> list[int]:
    return [event.stop_ticks for event in told if isinstance(event, ProtectionPlaced)]


async def test_break_even_when_the_price_comes_back_then_next_to_nothing_is_lost_whenever_it_is_killed() -> None:
    prices = [100.0, 100, 100, 105, 110, 111, 108, 99, 88, 88]
    life = await lived(scene(BREAKS_EVEN, prices))
    (trade,) = trades(life)
    # 110 is less than R above 100.05; at 111 the stop goes to 100.25: 2,001 x 1.0007 / 0.9993 = 2,003.8, up to 2,004;
    # / 0.99985 = 2,004.3, up to 2,005 ticks.
    assert levels(life.journal.told) == [1_800, 2_005]
    assert (trade.exit_reason, trade.stop_price) == (ExitReason.STOP, Decimal("100.25"))
    assert trade.profit >= 0
    # Without the rule it loses its R.
    (fixed,) = trades(await Life(scene(FIXED, prices)).live())
    assert fixed.r_multiple < -0.9


async def test_trailing_stop_follows_the_best_close_by_steps_and_takes_the_profit_whenever_it_is_killed() -> None:
    prices = [100.0, 100, 100, 112, 113, 116, 114, 120, 115, 112, 100]
    life = await lived(scene(TRAILS, prices), every=5)
    # Half an R are 5.05 behind 112; 113 is less than a quarter of R better; then behind 116 and 120.
    assert levels(life.journal.told) == [1_800, 2_139, 2_219, 2_299]
    moves = [event.reason for event in life.journal.told if isinstance(event, PositionResized)]
    assert moves == ["stop moved behind the price"] * 3
    (trade,) = trades(life)
    assert (trade.exit_reason, trade.stop_price) == (ExitReason.STOP, Decimal("114.95"))
    assert 1.3 < trade.r_multiple < 1.5


async def test_stop_moves_with_the_bars_of_its_own_timeframe_only() -> None:
    """Traded at 15m on candles of 5m: 112 in between moves nothing, and 108 at the end of the bar does."""
    prices = [100.0] * 6 + [111, 112, 104, 104, 112, 108] + [108.0] * 4
    tape = scene(TRAILS, prices).tape()
    exchange = SimulatedExchange(tape, {"USD": CASH})
    strategy = PlannedStrategy({(MARKET, START): 90.0})
    tight = replace(TRAILS, trail_from_ppm=R // 2)
    config = EngineConfig(BOOK, LIMITS, account=AccountLimits(stops=tight), patience=WORD_IS_FINAL)
    subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=400), series(Timeframe.M15))
    engine = Engine(
        config, tape.specs, dict.fromkeys(tape.specs, Timeframe.M5), [subscription], [series(Timeframe.M5, OTHER)]
    )
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus).run(CASH)
    placed = [(one.time, one.stop_ticks) for one in told if isinstance(one, ProtectionPlaced)]
    assert placed == [(START + 15 * MINUTE, 1_800), (START + 60 * MINUTE, 2_059)]


# --- what a person asks for


def moved(position: str, price: str) -> Request:
    payload = {"position_id": position, "price": price}
    return Request(BOOK, RequestKind.MOVE_STOP, "Ada", "because", f"{position} {price}", 0, payload)


async def test_stop_moved_by_hand_is_replaced_once_and_every_wrong_wish_is_refused_with_its_reason() -> None:
    prices = [100.0, 100, 100, 104, 104, 104, 104, 104, 94, 94]
    plain = scene(FIXED, prices)
    (position,) = (await Life(plain).live()).engine.portfolio.positions
    wishes = [("95.02", "nobody's"), ("95.02", position), ("94", position), ("104", position), ("130", position)]
    asked = [moved(name, price) for price, name in wishes]
    life = await lived(replace(plain, requests={plain.time(4): asked}), every=3)
    answers = [(one.done, one.outcome) for one in life.told if isinstance(one, RequestAnswered)]
    stands = f"The stop of {position}"
    assert answers == [
        (False, "There is no open position nobody's"),
        (True, "the stop is moved to 95.00"),
        (False, f"{stands} stands at 95.00 and cannot be moved to 94.00: that is not towards the target"),
        (False, f"{stands} cannot be moved to 104.00: the price is at 104.00, it would sell at once"),
        (False, f"{stands} cannot be moved to 130.00: that is not short of its target at 125.20"),
    ]
    assert levels(life.journal.told) == [1_800, 1_900]
    assert [event.reason for event in life.journal.told if isinstance(event, PositionResized)] == ["stop moved by Ada"]
    assert [one.exit_reason for one in trades(life)] == [ExitReason.STOP]


# --- whatever happens

LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.5)
RULES = st.builds(
    StopRules,
    break_even_at_ppm=st.sampled_from([0, R // 2, R]),
    trail_from_ppm=st.sampled_from([R // 3, R]),
    trail_by_ppm=st.sampled_from([R // 4, R]),
    step_ppm=st.sampled_from([0, R // 10]),
)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(list(MarketKind)),
    mode=st.sampled_from([ProtectionMode.NATIVE, ProtectionMode.EMULATED]),
    rules=RULES,
)
async def test_stops_that_move_never_move_back_and_the_book_agrees_with_the_exchange(
    seed: int, kind: MarketKind, mode: ProtectionMode, rules: StopRules
) -> None:
    strategy = ScriptedStrategy()
    tape = StoredTape(Timeframe.M1, {MARKET: spec(kind)}, {MARKET: rough_candles(seed, 200, 60_000)})
    exchange = SimulatedExchange(tape, {"USD": CASH}, pairs=mode is ProtectionMode.NATIVE)
    subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=30), series(Timeframe.M1))
    config = EngineConfig(
        "book", LIMITS, account=AccountLimits(stops=rules), modes={MARKET: mode}, patience=WORD_IS_FINAL
    )
    engine = Engine(config, tape.specs, {MARKET: Timeframe.M1}, [subscription])
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus).run(CASH)
    assert not [event for event in told if isinstance(event, ExecutionAlarm)]
    stood: dict[str, int] = {}
    direction = {e.position.position_id: int(e.position.direction) for e in told if hasattr(e, "position")}
    for event in told:
        if isinstance(event, ProtectionPlaced):
            sign = direction[event.position_id]
            assert sign * event.stop_ticks >= sign * stood.get(event.position_id, event.stop_ticks)
            stood[event.position_id] = event.stop_ticks
    entries = [entry for event in told if isinstance(event, LedgerPosted) for entry in event.entries]
    assert exchange.balances()["USD"][0] == engine.portfolio.cash == sum((one.cash for one in entries), Decimal(0))


async def test_backtest_when_stops_move_then_the_same_every_time_and_some_are_hit_beyond_their_entry() -> None:
    strategy, candles = ScriptedStrategy(), rough_candles(3, 1_200, 60_000)
    parameters = strategy.parameters(max_bars_in_trade=60)

    async def trades_with(rules: StopRules) -> tuple[Trade, ...]:
        market = spec(MarketKind.SWAP)
        outcome = await replay(strategy, parameters, series(Timeframe.M1), candles, market, LIMITS, CASH, stops=rules)
        return outcome.trades

    def beyond_entry(found: tuple[Trade, ...]) -> int:
        return sum(one.direction * (one.stop_price - one.entry_price) > 0 for one in found)

    breaking = await trades_with(BREAKS_EVEN)
    assert breaking == await trades_with(BREAKS_EVEN)
    assert beyond_entry(breaking) > 10
    assert beyond_entry(await trades_with(FIXED)) == 0
