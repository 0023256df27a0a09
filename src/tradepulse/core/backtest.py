"""The fast face of a backtest: scan the whole history, then walk the setups. The engine's replay is the slow face."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradepulse.core.portfolio import EXIT_REASONS
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import Candles, MarketKind, MarketSpec
from tradepulse.domain.orders import OrderRole
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.signals import VERDICTS, Direction, ExitReason, Verdict
from tradepulse.kernels import backtest, fills
from tradepulse.strategies.base_strategy import MarketHistory, Parameters, SetupTable, Strategy

EXIT_BY_CODE = {
    fills.STOP: EXIT_REASONS[OrderRole.STOP],
    fills.TARGET: EXIT_REASONS[OrderRole.TARGET],
    fills.TIME: ExitReason.TIME,
}
_NOTHING = np.empty(0, np.int64)
NO_BARS = backtest.Bars(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING, 1)


@dataclass(frozen=True, slots=True)
class BacktestOutcome:
    """Closed trades in order, and how many setups met which verdict. ``left_open``: a trade ran past the end."""

    trades: tuple[Trade, ...]
    verdicts: dict[Verdict, int]
    left_open: bool


def backtest_history(
    strategy: Strategy,
    parameters: Parameters,
    history: MarketHistory,
    spec: MarketSpec,
    limits: RiskLimits,
    initial_cash: Decimal,
    fine: tuple[Candles, int] | None = None,
) -> BacktestOutcome:
    """One strategy over one history. ``fine``: finer candles of the same market and their duration in ms."""
    table = strategy.scan(history, parameters)
    tick = float(spec.tick_size)
    bars = _in_ticks(history.candles, tick, history.series.timeframe.milliseconds)
    finer = _in_ticks(fine[0], tick, fine[1]) if fine else NO_BARS
    entries = backtest.Entries(
        table.index.astype(np.int64),
        table.direction.astype(np.int64),
        table.stop,
        table.target,
        table.valid & (table.confluence >= limits.min_confluence - 1e-9),
    )
    rules = backtest.Rules(
        tick_size=tick,
        min_notional=spec.units(spec.min_notional),
        maker_ppm=spec.maker_ppm,
        taker_ppm=spec.taker_ppm,
        slippage_ppm=spec.slippage_ppm,
        funding_ppm=spec.funding_ppm,
        shorts=spec.kind is MarketKind.SWAP,
        risk_ppm=limits.risk_ppm,
        max_position_ppm=limits.max_position_ppm,
        reward_risk=float(table.reward_risk),
        min_reward_risk=float(table.min_reward_risk),
        max_bars_in_trade=int(table.max_bars_in_trade),
    )
    rows, codes, _, left_open = backtest.walk_setups(bars, finer, entries, rules, spec.units(initial_cash))
    trades = tuple(_trade(row, table, spec) for row in rows)
    return BacktestOutcome(trades, dict(Counter(VERDICTS[code] for code in codes)), left_open)


def _in_ticks(candles: Candles, tick: float, duration: int) -> backtest.Bars:
    return backtest.Bars(
        candles.open_time,
        backtest.bars_in_ticks(candles.open, tick),
        backtest.bars_in_ticks(candles.high, tick),
        backtest.bars_in_ticks(candles.low, tick),
        backtest.bars_in_ticks(candles.close, tick),
        duration,
    )


def _trade(row: backtest.IntArray, table: SetupTable, spec: MarketSpec) -> Trade:
    setup = table.setup(int(row[backtest.SETUP_ROW]))
    profit, risk = spec.money(int(row[backtest.PROFIT])), spec.money(int(row[backtest.RISK]))
    return Trade(
        trade_id=setup.setup_id,
        setup_id=setup.setup_id,
        strategy=setup.strategy,
        parameters_id=setup.parameters_id,
        series=setup.series,
        direction=Direction(int(row[backtest.DIRECTION])),
        quantity=spec.quantity(int(row[backtest.LOTS])),
        entry_price=spec.price(int(row[backtest.ENTRY_TICKS])),
        entry_time=int(row[backtest.ENTRY_TIME]),
        exit_price=spec.price(int(row[backtest.EXIT_TICKS])),
        exit_time=int(row[backtest.EXIT_TIME]),
        exit_reason=EXIT_BY_CODE[int(row[backtest.EXIT_REASON])],
        fees=spec.money(int(row[backtest.FEES])),
        funding=spec.money(int(row[backtest.FUNDING])) if row[backtest.FUNDING] else Decimal(0),
        profit=profit,
        risk=risk,
        r_multiple=float(profit / risk),
        regime=setup.regime,
        stop_price=spec.price(int(row[backtest.STOP_TICKS])),
        target_price=spec.price(int(row[backtest.TARGET_TICKS])),
    )
