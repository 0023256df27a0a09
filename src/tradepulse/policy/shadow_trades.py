"""Trades that nobody made: what the setups of configurations in quarantine would have become.

They follow the one fill rule candle by candle, in the way of the engine: in at the next open, out at stop or target, or
at the first open after their time. Pure: the same setups and candles, the same trades.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from pydantic import TypeAdapter

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.signals import Direction, Setup
from tradepulse.domain.training import JsonObject
from tradepulse.kernels import fills
from tradepulse.kernels.backtest import Bars
from tradepulse.kernels.trials import TrialMarket, r_multiple


@dataclass(frozen=True, slots=True)
class ShadowTrade:
    """``entry_ticks`` 0: it waits for its open. ``overdue``: its time is over, it leaves at the next open."""

    key: str
    strategy: str
    series: SeriesKey
    direction: Direction
    plan: EntryPlan
    max_bars_in_trade: int
    entry_ticks: int = 0
    entry_time: int = 0
    target_ticks: int = 0
    overdue: bool = False

    @property
    def close_after(self) -> int:
        return self.entry_time + self.max_bars_in_trade * self.series.timeframe.milliseconds


@dataclass(frozen=True, slots=True)
class ClosedShadow:
    """``r`` is per lot, as in the published figures; ``reason`` a code of ``kernels.fills``."""

    key: str
    r: float
    entry_time: int
    entry_ticks: int
    exit_ticks: int
    reason: int
    time: int


@dataclass(frozen=True, slots=True)
class _Bar:
    """A base candle in ticks. ``after``: when the candle before it closed; its own open where none is missing."""

    after: int
    open_time: int
    close_time: int
    open: int
    high: int
    low: int


class ShadowTrades:
    """One at a time per strategy, symbol and timeframe, as with real positions."""

    def __init__(self, markets: Mapping[MarketKey, MarketSpec]) -> None:
        self._markets = markets
        self.trades: dict[str, ShadowTrade] = {}

    def enter(self, key: str, setup: Setup) -> None:
        """Wait for the next open, unless a shadow trade of the strategy is under way there."""
        name = f"{setup.series}:{setup.strategy}"
        spec, direction = self._markets[setup.series.market], int(setup.direction)
        tick = float(spec.tick_size)
        stop = fills.stop_to_ticks(setup.stop, direction, tick)
        planned = fills.worsened(fills.to_ticks(setup.close, tick), direction, spec.slippage_ppm)
        if name in self.trades or direction * (planned - stop) <= 0 or stop <= 0:
            return
        fixed = fills.target_to_ticks(setup.target, direction, tick) if setup.target is not None else 0
        plan = EntryPlan(planned, stop, fixed, setup.reward_risk, setup.min_reward_risk, setup.found_at)
        trade = ShadowTrade(key, setup.strategy, setup.series, setup.direction, plan, setup.max_bars_in_trade)
        self.trades[name] = trade

    def meet(self, event: CandleClosed, after: int) -> list[ClosedShadow]:
        """What a candle does to the trades of its market; ``after``: the close time of the candle before it."""
        here = [(name, trade) for name, trade in self.trades.items() if trade.series.market == event.series.market]
        if not here:
            return []
        spec = self._markets[event.series.market]
        bar, closed = _in_ticks(event, after, float(spec.tick_size)), []
        for name, trade in here:
            met = _met(trade, bar, spec)
            if isinstance(met, ShadowTrade):
                self.trades[name] = met
                continue
            del self.trades[name]
            if met is not None:
                closed.append(met)
        return closed

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Forget the trades of configurations that are not wanted."""
        self.trades = {name: trade for name, trade in self.trades.items() if wanted(trade.key)}

    def to_json(self) -> JsonObject:
        plain: JsonObject = _trades_type().dump_python(self.trades, mode="json")
        return plain

    def restore(self, state: JsonObject) -> None:
        self.trades = _trades_type().validate_python(state)


def _in_ticks(event: CandleClosed, after: int, tick: float) -> _Bar:
    candle = event.candle
    opened, high, low = (fills.to_ticks(price, tick) for price in (candle.open, candle.high, candle.low))
    return _Bar(after, candle.open_time, event.close_time, opened, high, low)


def _met(trade: ShadowTrade, bar: _Bar, spec: MarketSpec) -> ShadowTrade | ClosedShadow | None:
    """The trade after the bar: still there, closed, or ``None`` where its entry was dropped."""
    stop, direction, slippage = trade.plan.stop_ticks, int(trade.direction), spec.slippage_ppm
    reason, ticks, time = fills.NO_EXIT, 0, bar.open_time
    if not trade.entry_ticks:
        entered = _entered(trade, bar, spec)
        if entered is None:
            return None
        trade = entered
    elif trade.overdue:
        reason, ticks = fills.TIME, fills.worsened(bar.open, -direction, slippage)
    else:
        reason, ticks = fills.exit_at_open(bar.open, stop, trade.target_ticks, direction, slippage)
    if reason == fills.NO_EXIT:
        time = bar.close_time
        reason, ticks = fills.exit_in_range(bar.high, bar.low, stop, trade.target_ticks, direction, slippage)
    if reason == fills.NO_EXIT:
        return replace(trade, overdue=_last_close(trade.series.timeframe, bar) >= trade.close_after)
    r = r_multiple(_costs(spec), trade.entry_ticks, ticks, stop, direction, reason, trade.entry_time, time)
    return ClosedShadow(trade.key, r, trade.entry_time, trade.entry_ticks, ticks, reason, time)


def _entered(trade: ShadowTrade, bar: _Bar, spec: MarketSpec) -> ShadowTrade | None:
    plan, direction = trade.plan, int(trade.direction)
    if bar.open_time != plan.valid_for_open:
        return None
    entry, refusal = fills.entry_refusal(
        bar.open,
        plan.planned_ticks,
        plan.stop_ticks,
        direction,
        plan.fixed_target_ticks,
        plan.reward_risk,
        plan.min_reward_risk,
        spec.maker_ppm,
        spec.taker_ppm,
        spec.slippage_ppm,
    )
    if refusal != fills.ACCEPTED:
        return None
    target = fills.target_for(entry, plan.stop_ticks, direction, plan.fixed_target_ticks, plan.reward_risk)
    return replace(trade, entry_ticks=entry, entry_time=bar.open_time, target_ticks=target)


def _last_close(timeframe: Timeframe, bar: _Bar) -> int:
    """Close time of the newest bar of a timeframe that is known to be closed once this base candle is; -1: of none.

    A bar whose last candles are missing is known to be closed when the first candle after it is.
    """
    if timeframe.open_time_of(bar.close_time) == bar.close_time:
        return bar.close_time
    before = timeframe.open_time_of(bar.after - 1) + timeframe.milliseconds
    return before if before <= bar.open_time else -1


@cache
def _costs(spec: MarketSpec) -> TrialMarket:
    """Published figures and shadow trades share one R. It takes what a market costs; of a history there is none."""
    nothing = np.empty(0, np.int64)
    bars = Bars(nothing, nothing, nothing, nothing, nothing, 1)
    return TrialMarket(
        bars=bars,
        nothing=bars,
        slot=np.empty(0, np.int8),
        column=np.empty(0, np.int16),
        segment=np.empty(0, np.int32),
        tick_size=float(spec.tick_size),
        maker_ppm=spec.maker_ppm,
        taker_ppm=spec.taker_ppm,
        slippage_ppm=spec.slippage_ppm,
        funding_ppm=spec.funding_ppm,
        shorts=spec.kind is MarketKind.SWAP,
        delay=0,
    )


@cache
def _trades_type() -> TypeAdapter[dict[str, ShadowTrade]]:
    return TypeAdapter(dict[str, ShadowTrade])
