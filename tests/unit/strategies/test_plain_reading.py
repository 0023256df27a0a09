"""The rules read plainly, one sentence at a time and without thought of speed, find the same valid setups."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.kernels.indicators import atr, ema, rsi
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters

Finding = tuple[int, int]
Reading = Callable[[Candles, Parameters, Timeframe], Iterator[tuple[Finding, float]]]


def market(seed: int, bars: int) -> Candles:
    random = np.random.default_rng(seed)
    step = 0.004 * np.repeat(random.lognormal(0.0, 0.5, bars // 40 + 1), 40)[:bars]
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 1.0, bars) * step))
    open_ = np.concatenate((close[:1], close[:-1]))
    wick = np.abs(random.normal(0.0, 0.2, (2, bars)))
    times = np.arange(bars, dtype=np.int64) * Timeframe.M15.milliseconds
    keep = random.random(bars) > 0.01
    columns = (open_, np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1], close)
    volume = random.lognormal(2.0, 0.9, bars)
    return Candles(times[keep], *(column[keep] for column in columns), volume[keep])


def mirror(candles: Candles) -> Candles:
    return Candles(candles.open_time, -candles.open, -candles.low, -candles.high, -candles.close, candles.volume)


def swing_low(low: np.ndarray, bar: int, before: int, after: int) -> bool:
    if bar < before or bar + after >= len(low):
        return False
    around = [*low[bar - before : bar], *low[bar + 1 : bar + after + 1]]
    return bool(low[bar] < min(around))


def breakouts(candles: Candles, parameters: Parameters, timeframe: Timeframe) -> Iterator[tuple[Finding, float]]:
    least = parameters.integer("consolidation_bars")
    period = parameters.integer("volume_period")
    spread = atr(candles.high, candles.low, candles.close, parameters.integer("atr_period"))
    tight = candles.high - candles.low < parameters.number("atr_threshold") * spread
    for bar in range(1, len(candles)):
        run = []
        while len(run) < 5 * least and bar - 1 - len(run) >= 0 and tight[bar - 1 - len(run)]:
            run.append(bar - 1 - len(run))
        if len(run) < least or bar < period:
            continue
        top, bottom = max(candles.high[run]), min(candles.low[run])
        if top - bottom > parameters.number("max_range_atr") * spread[bar - 1]:
            continue
        if candles.volume[bar] < parameters.number("volume_multiple") * candles.volume[bar - period : bar].mean():
            continue
        inside = parameters.number("stop_fraction") * (top - bottom)
        if candles.close[bar] > top:
            yield (bar, 1), top - inside
        if candles.close[bar] < bottom:
            yield (bar, -1), bottom + inside


def sweeps(candles: Candles, parameters: Parameters, timeframe: Timeframe) -> Iterator[tuple[Finding, float]]:
    for direction, side in ((1, candles), (-1, mirror(candles))):
        for bar, stop in long_sweeps(side, parameters, timeframe):
            yield (bar, direction), direction * stop


def long_sweeps(candles: Candles, parameters: Parameters, timeframe: Timeframe) -> Iterator[tuple[int, float]]:
    confirm, reclaim = parameters.integer("swing_confirm"), parameters.integer("reclaim_bars")
    period = parameters.integer("volume_period")
    higher, source = timeframe.context.milliseconds, timeframe.milliseconds
    starts = [
        start for start in np.unique(candles.open_time // higher * higher).tolist() if start >= candles.open_time[0]
    ]
    starts = [start for start in starts if candles.open_time[-1] + source >= start + higher]
    rows = [np.flatnonzero((candles.open_time >= start) & (candles.open_time < start + higher)) for start in starts]
    high = np.array([candles.high[bar].max() for bar in rows])
    low = np.array([candles.low[bar].min() for bar in rows])
    close = np.array([candles.close[bar[-1]] for bar in rows])
    volume = np.array([candles.volume[bar].sum() for bar in rows])
    spread = atr(high, low, close, parameters.integer("atr_period"))
    deep = parameters.number("sweep_depth_atr") * spread
    for level in range(len(rows)):
        if not swing_low(low, level, parameters.integer("swing_lookback"), confirm):
            continue
        lives = range(level + confirm + 1, min(level + parameters.integer("level_max_age"), len(rows) - 1) + 1)
        swept = next((bar for bar in lives if low[bar] < low[level] and low[bar] <= low[level] - deep[bar]), None)
        if swept is None or swept + 1 < period:
            continue
        back = [bar for bar in range(swept, min(swept + reclaim, len(rows) - 1) + 1) if close[bar] > low[level]]
        usual = volume[swept + 1 - period : swept + 1].mean()
        if not back or volume[swept] < parameters.number("volume_threshold") * usual:
            continue
        shift = structure_shift(candles, parameters, rows[swept][0], rows[back[0]][-1])
        if shift is not None:
            bar, extreme = shift
            yield bar, extreme - parameters.number("stop_buffer_atr") * spread[back[0]]


def structure_shift(candles: Candles, parameters: Parameters, begin: int, failed: int) -> tuple[int, float] | None:
    strength, asked = parameters.integer("swing_confirm"), parameters.integer("sweep_confirmation")
    extreme = begin + int(np.argmin(candles.low[begin : failed + 1]))
    stood = [
        bar
        for bar in range(max(extreme - 100, 0), extreme - strength + 1)
        if swing_low(-candles.high[: extreme + 1], bar, strength, strength)
    ]
    if not stood:
        return None
    last = min(failed + parameters.integer("confirmation_window"), len(candles) - 1)
    for bar in range(failed + asked, last + 1):
        if candles.low[failed + 1 : bar + 1].min() < candles.low[extreme]:
            return None
        if candles.close[bar - asked + 1 : bar + 1].min() > candles.high[stood[-1]]:
            return bar, float(candles.low[extreme])
    return None


def divergences(candles: Candles, parameters: Parameters, timeframe: Timeframe) -> Iterator[tuple[Finding, float]]:
    for direction, side in ((1, candles), (-1, mirror(candles))):
        for bar, stop in long_divergences(side, parameters):
            yield (bar, direction), direction * stop


def long_divergences(candles: Candles, parameters: Parameters) -> Iterator[tuple[int, float]]:
    confirm, period = parameters.integer("swing_confirm"), parameters.integer("volume_period")
    fast, slow = (ema(candles.close, parameters.integer(name)) for name in ("ema_fast", "ema_slow"))
    strength = rsi(candles.close, parameters.integer("rsi_period"))
    spread = atr(candles.high, candles.low, candles.close, 14)
    lows = [bar for bar in range(len(candles)) if swing_low(candles.low, bar, confirm, confirm)]
    heavy = [
        bar + 1 >= period
        and candles.volume[bar]
        >= parameters.number("capitulation_threshold") * candles.volume[bar + 1 - period : bar + 1].mean()
        for bar in range(len(candles))
    ]
    for later in lows:
        diverges = any(
            0 < later - earlier <= parameters.integer("divergence_lookback")
            and candles.low[later] < candles.low[earlier]
            and strength[later] - strength[earlier] >= parameters.number("min_rsi_gain")
            and strength[earlier] <= parameters.number("rsi_oversold")
            for earlier in lows
        )
        if not diverges or not any(heavy[later - 1 : later + 2]):
            continue
        confirmed = later + confirm
        window = range(confirmed + 1, min(confirmed + parameters.integer("entry_window"), len(candles) - 1) + 1)
        bar = next((bar for bar in window if candles.close[bar] > candles.open[bar]), None)
        if bar is None or candles.low[confirmed : bar + 1].min() < candles.low[later] or not fast[bar] < slow[bar]:
            continue
        yield bar, candles.low[later] - parameters.number("stop_buffer_atr") * spread[bar]


READINGS: dict[str, tuple[Reading, dict[str, object]]] = {
    "volume_breakout": (breakouts, {"consolidation_bars": 5, "atr_period": 10, "volume_multiple": 1.5}),
    "htf_sweep": (
        sweeps,
        {
            "swing_lookback": 10,
            "swing_confirm": 1,
            "atr_period": 7,
            "level_max_age": 40,
            "reclaim_bars": 2,
            "volume_threshold": 0.9,
            "sweep_confirmation": 2,
            "confirmation_window": 40,
        },
    ),
    "divergence_capitulation": (
        divergences,
        {"ema_slow": 120, "rsi_oversold": 45.0, "capitulation_threshold": 1.5, "min_rsi_gain": 0.5},
    ),
}


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_scan_when_rule_is_read_plainly_then_same_valid_setups(name: str, seed: int) -> None:
    reading, overrides = READINGS[name]
    parameters = STRATEGIES[name].parameters(**overrides)
    candles = market(seed, 2500)
    table = STRATEGIES[name].scan(MarketHistory.of(SeriesKey("t", "T/T", Timeframe.M15), candles), parameters)
    expected: dict[Finding, list[float]] = {}
    for finding, stop in reading(candles, parameters, Timeframe.M15):
        expected.setdefault(finding, []).append(stop)
    found = {
        (int(table.index[row]), int(table.direction[row])): float(table.stop[row])
        for row in np.flatnonzero(table.valid)
    }
    assert sorted(found) == sorted(expected)
    for finding, stop in found.items():
        assert any(stop == pytest.approx(other, rel=1e-9) for other in expected[finding])


@pytest.mark.parametrize("name", READINGS)
def test_plain_reading_when_market_is_random_then_it_has_something_to_find(name: str) -> None:
    reading, overrides = READINGS[name]
    parameters = STRATEGIES[name].parameters(**overrides)
    findings = [finding for seed in range(8) for finding, _ in reading(market(seed, 2500), parameters, Timeframe.M15)]
    assert {direction for _, direction in findings} == {1, -1}
    assert len(findings) > 8
