"""Trials: what every parameter set would have earned on one history, by regime and by time, from one pass each.

The three strategies have kernels of their own (``kernels.trials_*``) that visit only the bars on which a setup is
possible at all. Any other strategy is evaluated by its ``scan``, parameter set by parameter set, with the same result.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import DAY, Candles, FloatArray, IntArray, MarketKind, MarketSpec
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import JsonObject
from tradepulse.kernels import trials, trials_breakout, trials_divergence, trials_sweep
from tradepulse.kernels.backtest import Bars, bars_in_ticks
from tradepulse.kernels.trials import (
    FIGURES,
    SLOT_COUNT,
    SUM_R,
    SUM_R2,
    WINS,
    Book,
    Flags,
    N,
    Setups,
    TradeRules,
    TrialMarket,
)
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, Parameters, ParameterSpec, Strategy
from tradepulse.strategies.confluence import context_rules, context_values
from tradepulse.strategies.regimes import higher_bars
from tradepulse.strategies.setup_table import conditions_met

__all__ = [
    "BLOCKS",
    "COLUMNS",
    "SLOTS",
    "SUM_R",
    "SUM_R2",
    "WINS",
    "N",
    "TimeColumns",
    "TradesOfPoints",
    "TrialTrades",
    "TrialsCancelled",
    "parameters_of",
    "point_of",
    "trial_stats",
    "trial_trades",
]

SLOTS = ("bear", "sideways", "bull", "any")
COLUMNS, BLOCKS = 64, 16
LONGEST_GAP = 7 * DAY
"""A trade that lasts across a longer hole in the candles is not counted: nobody knows what happened in it."""
BATCH = 32

Statistics = npt.NDArray[np.float32]
Bounds = tuple[FloatArray, FloatArray]


class TrialsCancelled(RefusedError):
    """Somebody asked to stop before all trials were done; what was done is thrown away."""


@dataclass(frozen=True, slots=True)
class TimeColumns:
    """Time cut into ``COLUMNS`` stretches of equally many candles, ``COLUMNS / BLOCKS`` of them a block.

    ``edges``: open times (UTC ms), ``COLUMNS + 1`` of them, strictly ascending; the last is after the last candle.
    Not counted are entries within ``embargo_ms`` after a long gap, and those that could last (by ``max_bars_in_trade``,
    however they went) into a long gap or beyond the last candle.
    """

    edges: IntArray
    embargo_ms: int

    @classmethod
    def over(cls, open_times: Sequence[IntArray], duration_ms: int, embargo_bars: int) -> "TimeColumns":
        """Shared by several series of one timeframe: quantiles of all their open times, so that holes collapse."""
        pooled = np.concatenate([np.asarray(times, dtype=np.int64) for times in open_times] or [np.empty(0, np.int64)])
        edges = _quantiles(np.sort(pooled))
        if not np.all(np.diff(edges) > 0):
            # Few candles of many series: several edges fell on one open time.
            edges = _quantiles(np.unique(pooled))
        if len(edges) != COLUMNS or not np.all(np.diff(edges) > 0):
            raise ConfigurationError(
                f"{len(np.unique(pooled))} different open times cannot be cut into {COLUMNS} columns of time.",
                "Train on a longer stretch of candles.",
            )
        return cls(np.append(edges, pooled.max() + duration_ms), embargo_bars * duration_ms)

    def to_json(self) -> JsonObject:
        return {"edges": self.edges.tolist(), "embargo_ms": self.embargo_ms}

    @classmethod
    def from_json(cls, value: JsonObject) -> "TimeColumns":
        return cls(np.array(value["edges"], dtype=np.int64), int(value["embargo_ms"]))


def _quantiles(ascending: IntArray) -> IntArray:
    if len(ascending) < COLUMNS:
        return ascending
    quantiles: IntArray = ascending[np.arange(COLUMNS) * len(ascending) // COLUMNS]
    return quantiles


class TrialTrades(NamedTuple):
    """The trades of one trial in one slot, a row each, in order of their entries.

    Prices in ticks, times UTC ms; ``reason`` as in ``kernels.fills``; ``column`` -1: not counted in the statistics.
    """

    setup_bar: IntArray
    entry_time: IntArray
    exit_time: IntArray
    direction: IntArray
    entry_ticks: IntArray
    exit_ticks: IntArray
    stop_ticks: IntArray
    target_ticks: IntArray
    reason: IntArray
    r: FloatArray
    column: IntArray


def point_of(strategy: Strategy, parameters: Parameters) -> FloatArray:
    """The parameters as numbers, in the order of ``parameter_specs``; a choice is the index of what was chosen."""
    return np.array([_number(spec, parameters) for spec in strategy.parameter_specs], dtype=np.float64)


def _number(spec: ParameterSpec, parameters: Parameters) -> float:
    if spec.kind == "choice":
        return float(spec.choices.index(str(parameters[spec.name])))
    return parameters.number(spec.name)


def parameters_of(strategy: Strategy, point: FloatArray, regime: Regime | None = None) -> Parameters:
    """The parameters at a point; whole numbers and choices are rounded. ``ConfigurationError`` out of bounds."""
    if len(point) != len(strategy.parameter_specs):
        raise _misshapen(strategy, np.shape(point))
    values = {spec.name: _value(spec, float(x)) for spec, x in zip(strategy.parameter_specs, point, strict=True)}
    return strategy.parameters(regime, **values)


def _value(spec: ParameterSpec, x: float) -> object:
    if spec.kind == "float" or not np.isfinite(x):
        return x
    whole = int(np.rint(x))
    if spec.kind == "int":
        return whole
    return spec.choices[whole] if 0 <= whole < len(spec.choices) else x


def trial_stats(
    strategy: Strategy,
    history: MarketHistory,
    spec: MarketSpec,
    points: FloatArray,
    columns: TimeColumns,
    *,
    threads: int = 1,
    cost_factor: float = 1.0,
    entry_delay: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Statistics:
    """What every point earned: float32 ``[point, slot, column, (n, wins, sum of R, sum of R squared)]``.

    ``points`` ``[P, K]`` as ``point_of`` writes them. Every slot is a position of its own: that of a regime takes the
    setups found while it was in force, the last one takes all. A trade counts in the column of its entry, unless it
    could last into a long gap or begins within the embargo after one. ``cost_factor`` multiplies fees,
    slippage and funding; with ``entry_delay`` an entry comes so many bars late. The same bits for any ``threads``.
    ``progress(done, all)`` and ``cancelled`` are called between batches; the latter ends in ``TrialsCancelled``.
    """
    chosen = checked_points(strategy, points)
    market = shared_market(history, spec, columns, cost_factor, entry_delay)
    stats: Statistics = np.zeros((len(chosen), SLOT_COUNT, COLUMNS, FIGURES), dtype=np.float32)
    trial = trials_on(strategy, history, market, threads=threads)
    batches = [(first, min(first + BATCH, len(chosen))) for first in range(0, len(chosen), BATCH)]
    done = 0
    for size in _worked_off(lambda batch: trial.run(chosen, *batch, stats), batches, threads, cancelled):
        done += size
        if progress is not None:
            progress(done, len(chosen))
    return stats


def trial_trades(
    strategy: Strategy,
    history: MarketHistory,
    spec: MarketSpec,
    point: FloatArray,
    slot: int,
    columns: TimeColumns,
    *,
    cost_factor: float = 1.0,
    entry_delay: int = 0,
) -> TrialTrades:
    """The trades behind one point's statistics in one slot (an index of ``SLOTS``), those not counted included."""
    return TradesOfPoints(strategy, history, spec, columns, cost_factor, entry_delay)(point, slot)


class TradesOfPoints:
    """``trial_trades`` for many points of one history, which is prepared once for all that are ``expected``.

    Preparing for a few points costs less time and memory than for all that there could be; for a point outside of them
    it is done again.
    """

    def __init__(
        self,
        strategy: Strategy,
        history: MarketHistory,
        spec: MarketSpec,
        columns: TimeColumns,
        cost_factor: float = 1.0,
        entry_delay: int = 0,
        expected: FloatArray | None = None,
    ) -> None:
        self._strategy = strategy
        self._prepared: Trials | None = None
        self._within = [] if expected is None else list(checked_points(strategy, expected))
        self._prepare: Callable[[Sequence[FloatArray]], Trials] = lambda within: trials_on(
            strategy, history, shared_market(history, spec, columns, cost_factor, entry_delay), within=within
        )

    def __call__(self, point: FloatArray, slot: int) -> TrialTrades:
        (chosen,) = checked_points(self._strategy, np.asarray(point, dtype=np.float64)[np.newaxis])
        if self._within and not self._expected(chosen):
            self._prepared = None
            self._within.append(chosen)
        if self._prepared is None:
            self._prepared = self._prepare(self._within)
        return _trades_in(self._prepared.trades(chosen, slot))

    def _expected(self, point: FloatArray) -> bool:
        return bool(np.all((point >= np.min(self._within, axis=0)) & (point <= np.max(self._within, axis=0))))


def _trades_in(book: Book) -> TrialTrades:
    made = int(book.made[0])
    table, r = book.trades[:made], book.results[:made]
    return TrialTrades(
        setup_bar=table[:, trials.SETUP_BAR],
        entry_time=table[:, trials.ENTRY_TIME],
        exit_time=table[:, trials.EXIT_TIME],
        direction=table[:, trials.DIRECTION],
        entry_ticks=table[:, trials.ENTRY_TICKS],
        exit_ticks=table[:, trials.EXIT_TICKS],
        stop_ticks=table[:, trials.STOP_TICKS],
        target_ticks=table[:, trials.TARGET_TICKS],
        reason=table[:, trials.REASON],
        r=r,
        column=table[:, trials.COLUMN],
    )


def checked_points(strategy: Strategy, points: FloatArray) -> FloatArray:
    """The points with whole numbers rounded; ``ConfigurationError`` naming the first value out of its bounds."""
    specs = strategy.parameter_specs
    if points.ndim != 2 or points.shape[1] != len(specs):
        raise _misshapen(strategy, points.shape)
    whole = np.array([spec.kind != "float" for spec in specs])
    rounded: FloatArray = np.ascontiguousarray(np.where(whole, np.rint(points), points), dtype=np.float64)
    low, high = _bounds(strategy)
    inside = ((rounded >= low) & (rounded <= high)).all(axis=1)
    if not inside.all():
        parameters_of(strategy, rounded[int(np.argmin(inside))])
    return rounded


def _bounds(strategy: Strategy) -> tuple[FloatArray, FloatArray]:
    specs = strategy.parameter_specs
    low = np.array([0.0 if spec.kind == "choice" else spec.low for spec in specs])
    high = np.array([len(spec.choices) - 1.0 if spec.kind == "choice" else spec.high for spec in specs])
    return low, high


def _misshapen(strategy: Strategy, shape: tuple[int, ...]) -> ConfigurationError:
    names = ", ".join(spec.name for spec in strategy.parameter_specs)
    return ConfigurationError(
        f"Points of shape {list(shape)} do not fit {strategy.strategy_id}.",
        f"Give one number for each of: {names}.",
    )


def shared_market(
    history: MarketHistory, spec: MarketSpec, columns: TimeColumns, cost_factor: float = 1.0, delay: int = 0
) -> TrialMarket:
    """What all trials on one history share, whatever their strategy."""
    candles, duration = history.candles, history.series.timeframe.milliseconds
    tick = float(spec.tick_size)
    open_, high, low, close = (
        bars_in_ticks(np.ascontiguousarray(prices), tick)
        for prices in (candles.open, candles.high, candles.low, candles.close)
    )
    opened = np.ascontiguousarray(candles.open_time, dtype=np.int64)
    column, segment = _columns_and_segments(opened, duration, columns)
    # What is paid grows; a rebate and the funding, which one side receives, stay.
    maker, taker, slippage = (
        ceil(rate * cost_factor - 1e-9) if rate > 0 else rate
        for rate in (spec.maker_ppm, spec.taker_ppm, spec.slippage_ppm)
    )
    nothing = np.empty(0, dtype=np.int64)
    return TrialMarket(
        bars=Bars(opened, open_, high, low, close, duration),
        nothing=Bars(nothing, nothing, nothing, nothing, nothing, 1),
        slot=(history.regime + 1).astype(np.int8),
        column=column,
        segment=segment,
        tick_size=tick,
        maker_ppm=maker,
        taker_ppm=taker,
        slippage_ppm=slippage,
        funding_ppm=spec.funding_ppm,
        shorts=spec.kind is MarketKind.SWAP,
        delay=delay,
    )


def _columns_and_segments(
    opened: IntArray, duration: int, columns: TimeColumns
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int32]]:
    """Per bar the column of an entry there (-1: not counted), and the number of its segment."""
    column = np.searchsorted(columns.edges, opened, side="right") - 1
    begins = np.ones(len(opened), dtype=np.bool_)
    begins[1:] = np.diff(opened) - duration > LONGEST_GAP
    stretch = np.cumsum(begins)
    since_gap = opened[np.flatnonzero(begins)[stretch - 1]]
    counted = (column >= 0) & (column < COLUMNS)
    counted &= opened >= np.maximum(since_gap, columns.edges[0]) + columns.embargo_ms
    return np.where(counted, column, -1).astype(np.int16), stretch.astype(np.int32)


class Trials(Protocol):
    """Trials of one strategy on one history."""

    def run(self, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
        """Fill rows ``first`` to ``last`` (exclusive) of ``stats`` from these rows of ``points``."""
        ...

    def trades(self, point: FloatArray, slot: int) -> Book:
        """What a point leaves behind, the trades of one slot recorded."""
        ...


@dataclass(frozen=True, slots=True)
class PlainTrials:
    """By the strategy's own scan: slow, for any strategy, and what the kernels are tested against."""

    strategy: Strategy
    history: MarketHistory
    market: TrialMarket

    def run(self, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
        book = trials.opened_book(COLUMNS, -1, 0)
        for row in range(first, last):
            self._trade(points[row], self._setups(points[row]), book)
            trials.close_book(book, stats[row])

    def trades(self, point: FloatArray, slot: int) -> Book:
        setups = self._setups(point)
        book = trials.opened_book(COLUMNS, slot, len(setups.bar))
        self._trade(point, setups, book)
        return book

    def _trade(self, point: FloatArray, setups: Setups, book: Book) -> None:
        trials.take_all(self.market, book, _rules(self.strategy, point), setups, len(setups.bar))

    def _setups(self, point: FloatArray) -> Setups:
        table = self.strategy.scan(self.history, parameters_of(self.strategy, point))
        traded = table.valid & table.passed.all(axis=1)
        return Setups(
            table.index[traded].astype(np.int64),
            table.direction[traded].astype(np.int64),
            table.stop[traded],
            table.target[traded],
        )


def _rules(strategy: Strategy, point: FloatArray) -> TradeRules:
    values = {spec.name: value for spec, value in zip(strategy.parameter_specs, point.tolist(), strict=True)}
    return TradeRules(values["reward_risk"], values["min_reward_risk"], int(values["max_bars_in_trade"]))


@dataclass(frozen=True, slots=True)
class CompiledTrials:
    """By a strategy's own trial kernel; ``memo`` is what that kernel has prepared for the history."""

    kernel: Any
    memo: Any
    market: TrialMarket

    def run(self, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
        self.kernel.run(self.memo, self.market, points, first, last, stats)

    def trades(self, point: FloatArray, slot: int) -> Book:
        book: Book = self.kernel.trades_of(self.memo, self.market, point, slot, COLUMNS)
        return book


def trials_on(
    strategy: Strategy,
    history: MarketHistory,
    market: TrialMarket,
    *,
    within: Sequence[FloatArray] = (),
    threads: int = 1,
) -> Trials:
    """Prepared by so many threads for all points, or for those ``within``: compiled for the three strategies."""
    kernel, prepare = _KERNELS.get(strategy.strategy_id, (None, None))
    names = tuple(spec.name for spec in strategy.parameter_specs)
    if kernel is None or prepare is None or names != kernel.PARAMETERS or not _is_built_in(strategy):
        return PlainTrials(strategy, history, market)
    if len(history) == 0:
        return PlainTrials(strategy, history, market)
    bounds = (np.min(within, axis=0), np.max(within, axis=0)) if len(within) else _bounds(strategy)
    memo = prepare(strategy, _contiguous(history), _allowed(history, market.shorts), bounds, threads)
    return CompiledTrials(kernel, memo, market)


def _contiguous(history: MarketHistory) -> MarketHistory:
    """The same with columns that lie in memory as kernels are compiled for."""
    names = ("open_time", "open", "high", "low", "close", "volume")
    columns = {name: np.ascontiguousarray(getattr(history.candles, name)) for name in names}
    return replace(history, candles=Candles(**columns))


def _is_built_in(strategy: Strategy) -> bool:
    """Does it decide with the very code of the strategy of that name, whatever its bounds and defaults are?"""
    own, known = type(strategy), type(STRATEGIES[strategy.strategy_id])
    return all(getattr(own, name) is getattr(known, name) for name in ("scan", "rules", "_rules", "_find", "_table"))


def _allowed(history: MarketHistory, shorts: bool) -> Flags:
    """``[side, bar]`` (long, short): does the context that holds for all regimes allow a setup there?"""
    count = len(history)
    rows = np.arange(count)
    allowed = np.zeros((2, count), dtype=np.bool_)
    for side, direction in enumerate((1, -1) if shorts else (1,)):
        values = context_values(
            history.candles, history.series.timeframe, history.regime, None, rows, np.full(count, direction)
        )
        allowed[side] = conditions_met(values, context_rules(None)).all(axis=1)
    return allowed


def _breakouts(_: Strategy, history: MarketHistory, allowed: Flags, bounds: Bounds, threads: int) -> Any:
    candles = history.candles
    return trials_breakout.prepared(candles.high, candles.low, candles.close, candles.volume, allowed, *bounds, threads)


def _sweeps(_: Strategy, history: MarketHistory, allowed: Flags, bounds: Bounds, threads: int) -> Any:
    candles, timeframe = history.candles, history.series.timeframe
    bars = higher_bars(candles, timeframe, timeframe.context)
    return trials_sweep.prepared(candles.high, candles.low, candles.close, bars, allowed, *bounds, threads)


def _divergences(strategy: Strategy, history: MarketHistory, allowed: Flags, bounds: Bounds, threads: int) -> Any:
    candles = history.candles
    trend = next(rule.threshold for rule in strategy.rules(strategy.parameters()) if rule.name == "trend_atr")
    modes = next(spec.choices for spec in strategy.parameter_specs if spec.name == "target_mode")
    return trials_divergence.prepared(
        candles.open, candles.high, candles.low, candles.close, candles.volume, allowed, *bounds, trend,
        modes.index("ema") if "ema" in modes else -1, threads,
    )  # fmt: skip


_KERNELS: Mapping[str, tuple[Any, Any]] = {
    "volume_breakout": (trials_breakout, _breakouts),
    "htf_sweep": (trials_sweep, _sweeps),
    "divergence_capitulation": (trials_divergence, _divergences),
}


def _worked_off(
    work: Callable[[tuple[int, int]], None],
    batches: list[tuple[int, int]],
    threads: int,
    cancelled: Callable[[], bool] | None,
) -> Iterator[int]:
    """Sizes of the batches as they are done, one after the other or by so many threads."""
    if threads <= 1:
        for first, last in batches:
            _stop_if(cancelled)
            work((first, last))
            yield last - first
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="trials") as pool:
        running: dict[Future[None], int] = {pool.submit(work, batch): batch[1] - batch[0] for batch in batches}
        try:
            while running:
                _stop_if(cancelled)
                done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    yield running.pop(future)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _stop_if(cancelled: Callable[[], bool] | None) -> None:
    if cancelled is not None and cancelled():
        raise TrialsCancelled("The trials were cancelled.", "Start the training again when it is wanted.")
