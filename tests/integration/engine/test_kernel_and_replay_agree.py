"""One truth: kernel over the whole history and engine candle by candle make the same trades, to the last unit."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, MARKET, ScriptedStrategy, rough_candles, series, spec

from tradepulse.bootstrap.backtests import replay
from tradepulse.core.backtest import backtest_history
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import EquityMarked, LedgerPosted, PositionClosed
from tradepulse.domain.market import Candles, MarketKind, Timeframe
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.storage.in_memory import InMemoryJournal
from tradepulse.strategies.base_strategy import MarketHistory

STRATEGY = ScriptedStrategy()
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=800_000, min_confluence=0.5)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    timeframe=st.sampled_from([Timeframe.M1, Timeframe.M15, Timeframe.H4]),
    kind=st.sampled_from(list(MarketKind)),
    reward_risk=st.floats(1.5, 5.0),
    max_bars=st.integers(10, 40),
)
async def test_replay_and_kernel_make_the_same_trades_on_any_market(
    seed: int, timeframe: Timeframe, kind: MarketKind, reward_risk: float, max_bars: int
) -> None:
    candles = rough_candles(seed, 600, timeframe.milliseconds)
    parameters = STRATEGY.parameters(reward_risk=reward_risk, max_bars_in_trade=max_bars, min_reward_risk=1.0)
    history = MarketHistory.of(series(timeframe), candles)
    fast = backtest_history(STRATEGY, parameters, history, spec(kind), LIMITS, CASH)
    slow = await replay(STRATEGY, parameters, series(timeframe), candles, spec(kind), LIMITS, CASH)
    assert fast.trades == slow.trades
    assert fast.verdicts == slow.verdicts
    assert fast.left_open == slow.left_open


async def _book_after(
    candles: Candles, kind: MarketKind, timeframe: Timeframe
) -> tuple[EventBus, list[object], Runner, Engine, SimulatedExchange]:
    market = spec(kind)
    exchange = SimulatedExchange(StoredTape(timeframe, {MARKET: market}, {MARKET: candles}), {"USD": CASH})
    engine = Engine(
        EngineConfig("book", LIMITS, patience=WORD_IS_FINAL),
        {MARKET: market},
        {MARKET: timeframe},
        [Subscription(STRATEGY, STRATEGY.parameters(), series(timeframe))],
    )
    told: list[object] = []
    bus = EventBus()
    bus.subscribe(told.append)
    runner = Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus)
    await runner.run(CASH)
    return bus, told, runner, engine, exchange


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(MarketKind)))
async def test_ledger_adds_up_to_the_last_unit_and_equals_the_exchanges_book(seed: int, kind: MarketKind) -> None:
    _, told, _, engine, exchange = await _book_after(rough_candles(seed, 500, 60_000), kind, Timeframe.M1)
    entries = [entry for event in told if isinstance(event, LedgerPosted) for entry in event.entries]
    trades = [event.trade for event in told if isinstance(event, PositionClosed)]
    cash = sum((entry.cash for entry in entries), Decimal(0))
    assert cash == engine.portfolio.cash
    assert len({entry.entry_id for entry in entries}) == len(entries)
    profit = sum((trade.profit for trade in trades), Decimal(0))
    cost = sum(
        (
            engine.portfolio.spec(MARKET).money(position.entry_ticks * position.lots)
            if kind is MarketKind.SPOT
            else Decimal(0)
        )
        + position.entry_fee
        for position in engine.portfolio.positions.values()
    )
    assert cash + cost == CASH + profit
    assert exchange.balances()["USD"][0] == cash
    held = sum((entry.quantity for entry in entries), Decimal(0))
    assert held == sum(
        (position.direction * engine.portfolio.spec(MARKET).quantity(position.lots))
        for position in engine.portfolio.positions.values()
    )
    assert told
    assert isinstance(told[1], EquityMarked)


@pytest.mark.parametrize("kind", list(MarketKind))
async def test_scripted_market_exercises_every_way_in_and_out(kind: MarketKind) -> None:
    """Guards the two properties above against a market on which nothing happens."""
    reasons, verdicts = set(), set()
    for seed in range(12):
        candles = rough_candles(seed, 600, 60_000)
        outcome = await replay(
            STRATEGY,
            STRATEGY.parameters(max_bars_in_trade=12),
            series(Timeframe.M1),
            candles,
            spec(kind),
            LIMITS,
            CASH,
        )
        reasons |= {str(trade.exit_reason) for trade in outcome.trades}
        verdicts |= {verdict.name for verdict in outcome.verdicts}
    assert reasons == {"stop", "target", "time"}
    assert verdicts >= {
        "ACCEPTED",
        "CONFLUENCE_TOO_LOW",
        "POSITION_OPEN",
        "NEXT_BAR_MISSING",
        "PRICE_BEYOND_STOP",
        "PRICE_BEYOND_TARGET",
        "PRICE_RAN_AWAY",
        "REWARD_RISK_TOO_LOW",
    }
    assert ("SHORT_NOT_POSSIBLE" in verdicts) == (kind is MarketKind.SPOT)
