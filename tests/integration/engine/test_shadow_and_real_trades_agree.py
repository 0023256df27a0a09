"""What nobody traded would have become what was traded: shadow trades against the kernel and against the engine."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, MARKET, ScriptedStrategy, rough_candles, series, spec

from tradepulse.core.backtest import EXIT_BY_CODE, backtest_history
from tradepulse.core.data_handler import DataHandler
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import SignalLibrary, Subscription
from tradepulse.domain.events import CandleClosed, EngineEvent, GapFound, PositionClosed
from tradepulse.domain.market import MINUTE, Candles, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.signals import Direction
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.kernels import fills
from tradepulse.policy.shadow_trades import ClosedShadow, ShadowTrades
from tradepulse.storage.in_memory import InMemoryJournal
from tradepulse.strategies.base_strategy import MarketHistory, Parameters

STRATEGY = ScriptedStrategy()
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=800_000, min_confluence=0.5)
KEY = "the key"


def shadows_on(
    parameters: Parameters, key: SeriesKey, candles: Candles, base: Timeframe, market: MarketSpec, cut: int = -1
) -> list[ClosedShadow]:
    """All setups of a history followed as the adviser does; ``cut``: the candle after which it is restored."""
    signals = SignalLibrary([Subscription(STRATEGY, parameters, key)])
    data = DataHandler({MARKET: base}, signals.capacities)
    shadows, closed = ShadowTrades({MARKET: market}), list[ClosedShadow]()
    for row in range(len(candles)):
        event = CandleClosed(SeriesKey(key.exchange, key.symbol, base), candles.row(row))
        bars, notices = data.add(event)
        gaps = [gap.since for gap in notices if isinstance(gap, GapFound)]
        closed += shadows.meet(event, min(gaps, default=event.candle.open_time))
        for bar in bars:
            for found in signals.find(bar.series, data):
                tradable = found.valid and found.confluence >= LIMITS.min_confluence
                if tradable and (market.kind is MarketKind.SWAP or found.direction is Direction.LONG):
                    shadows.enter(KEY, found)
        if row == cut:
            kept = json.loads(json.dumps(shadows.to_json()))
            shadows = ShadowTrades({MARKET: market})
            shadows.restore(kept)
    return closed


def assert_same(closed: list[ClosedShadow], trades: tuple[Trade, ...], market: MarketSpec) -> None:
    assert [(one.entry_time, one.time, EXIT_BY_CODE[one.reason]) for one in closed] == [
        (trade.entry_time, trade.exit_time, trade.exit_reason) for trade in trades
    ]
    for one, trade in zip(closed, trades, strict=True):
        assert (market.price(one.entry_ticks), market.price(one.exit_ticks)) == (trade.entry_price, trade.exit_price)
        # Fees of the ledger are rounded to whole units.
        assert math.isclose(one.r, trade.r_multiple, rel_tol=1e-4, abs_tol=1e-4)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    timeframe=st.sampled_from([Timeframe.M1, Timeframe.M15, Timeframe.H4]),
    kind=st.sampled_from(list(MarketKind)),
    reward_risk=st.floats(1.5, 5.0),
    max_bars=st.integers(10, 40),
    cut=st.integers(0, 500),
)
def test_shadow_trades_are_the_trades_of_the_kernel(
    seed: int, timeframe: Timeframe, kind: MarketKind, reward_risk: float, max_bars: int, cut: int
) -> None:
    candles, market = rough_candles(seed, 600, timeframe.milliseconds), spec(kind)
    parameters = STRATEGY.parameters(reward_risk=reward_risk, max_bars_in_trade=max_bars, min_reward_risk=1.0)
    history = MarketHistory.of(series(timeframe), candles)
    made = backtest_history(STRATEGY, parameters, history, market, LIMITS, CASH)
    assert_same(shadows_on(parameters, series(timeframe), candles, timeframe, market, cut), made.trades, market)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.01, 0.1]), kind=st.sampled_from(list(MarketKind)))
async def test_shadow_trades_on_finer_candles_with_gaps_are_the_trades_of_the_engine(
    seed: int, missing: float, kind: MarketKind
) -> None:
    candles, market, key = rough_candles(seed, 1500, MINUTE, missing), spec(kind), series(Timeframe.M5)
    parameters = STRATEGY.parameters(max_bars_in_trade=10, min_reward_risk=1.0)
    subscription = Subscription(STRATEGY, parameters, key)
    exchange = SimulatedExchange(StoredTape(Timeframe.M1, {MARKET: market}, {MARKET: candles}), {"USD": CASH})
    engine = Engine(
        EngineConfig("book", LIMITS, patience=WORD_IS_FINAL), {MARKET: market}, {MARKET: Timeframe.M1}, [subscription]
    )
    bus, told = EventBus(), list[EngineEvent]()
    bus.subscribe(told.append)
    await Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus).run(CASH)
    made = tuple(event.trade for event in told if isinstance(event, PositionClosed))
    assert len(made) > 10
    assert_same(shadows_on(parameters, key, candles, Timeframe.M1, market), made, market)


def test_random_candles_leave_in_every_way() -> None:
    reasons = {
        one.reason
        for seed in range(8)
        for one in shadows_on(
            STRATEGY.parameters(max_bars_in_trade=12),
            series(Timeframe.M1),
            rough_candles(seed, 600, MINUTE),
            Timeframe.M1,
            spec(MarketKind.SWAP),
        )
    }
    assert reasons == {fills.STOP, fills.TARGET, fills.TIME}
