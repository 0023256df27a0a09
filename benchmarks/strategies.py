"""The two faces of each strategy: the kernel over a whole history, and the engine candle by candle."""

import asyncio
from decimal import Decimal

from benchmarks.market_data import Market
from benchmarks.measuring import Table, laps, quantiles, rate, ratios, side_by_side, spread
from tradepulse.bootstrap.backtests import replay
from tradepulse.core.backtest import BacktestOutcome, backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, Strategy

CASH = Decimal(10_000)
# A setup against the higher timeframe counts too: more trades to compare.
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=1_000_000, min_confluence=0.75)


def strategy_table(market: Market, rounds: int) -> Table:
    rows = [_row(strategy, market, rounds) for strategy in STRATEGIES.values()]
    return Table(
        f"Kernel and engine over the same candles: {market.label}, default parameters, {rounds} rounds",
        (
            "strategy", "kernel s", "kernel candles/s", "replay s", "replay candles/s", "replay / kernel", "trades",
            "equal",
        ),
        rows,
        [
            "Kernel: regimes, scan and walk of the whole history. Replay: feed, engine, exchange, journal in memory.",
            "Equal: every trade, every verdict and what is left open.",
        ],
    )  # fmt: skip


def _row(strategy: Strategy, market: Market, rounds: int) -> tuple[str, ...]:
    parameters, series, candles, spec = strategy.parameters(), market.series, market.candles, market.spec

    def kernel() -> BacktestOutcome:
        return backtest_history(strategy, parameters, MarketHistory.of(series, candles), spec, LIMITS, CASH)

    def engine() -> BacktestOutcome:
        return asyncio.run(replay(strategy, parameters, series, candles, spec, LIMITS, CASH))

    fast, slow = kernel(), engine()
    taken = side_by_side({"kernel": kernel, "replay": engine}, rounds)
    return (
        strategy.strategy_id,
        spread(taken["kernel"]),
        rate(len(candles), taken["kernel"]),
        spread(taken["replay"]),
        rate(len(candles), taken["replay"]),
        spread(ratios(taken["replay"], taken["kernel"]), ".0f"),
        str(len(fast.trades)),
        "yes" if fast == slow else "NO",
    )


def detection_table(market: Market, calls: int) -> Table:
    return Table(
        f"detect() on the candle that has just closed: {calls:,} calls on {market.series}, microseconds",
        ("strategy", "window", "no setup: calls", "median", "p99", "setup: calls", "median", "p99"),
        [_detections(strategy, market, calls) for strategy in STRATEGIES.values()],
    )


def _detections(strategy: Strategy, market: Market, calls: int) -> tuple[str, ...]:
    parameters = strategy.parameters()
    window = strategy.warmup_bars(parameters, market.series.timeframe)
    history = MarketHistory.of(market.series, market.candles)
    ends = range(window + 1, min(window + 1 + calls, len(history)))
    views = [history[end - window : end] for end in ends]
    found = [len(strategy.detect(view, parameters)) for view in views]
    taken = laps(lambda view: strategy.detect(view, parameters), views)
    with_setup = [time for time, number in zip(taken, found, strict=True) if number]
    without = [time for time, number in zip(taken, found, strict=True) if not number]
    return strategy.strategy_id, f"{window:,}", *_pair(without), *_pair(with_setup)


def _pair(nanoseconds: list[int]) -> tuple[str, str, str]:
    return (f"{len(nanoseconds):,}", *quantiles(nanoseconds)) if nanoseconds else ("0", "–", "–")
