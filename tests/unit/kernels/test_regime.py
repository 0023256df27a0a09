"""Labels are known at once, never revised, forget in finite time, and turn over with the market."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.kernels.regime import (
    EMA_ADX_WARMUP_BARS,
    MAX_AGE,
    label_regimes_ema_adx,
    label_regimes_tstat,
    latch,
    tstat_warmup_bars,
)

Column = npt.NDArray[np.float64]
Rule = Callable[[Column, Column, Column], npt.NDArray[np.int8]]
RULES: dict[str, Rule] = {
    "ema_adx": lambda high, low, close: label_regimes_ema_adx(high, low, close),
    "tstat": lambda high, low, close: label_regimes_tstat(close),
}
WARMUP_BARS = {"ema_adx": EMA_ADX_WARMUP_BARS, "tstat": tstat_warmup_bars(120, 120)}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def market(seed: int, bars: int, flat: bool) -> tuple[Column, Column, Column]:
    random = np.random.default_rng(seed)
    drift = np.repeat(random.normal(0.0, 0.004, bars // 60 + 1), 60)[:bars]
    moves = drift + random.normal(0.0, 0.01, bars)
    wick = np.abs(random.normal(0.0, 0.004, (2, bars)))
    if flat:
        begin = int(random.integers(0, bars // 2))
        moves[begin : begin + bars // 3] = 0.0
        wick[:, begin : begin + bars // 3] = 0.0
    close = 100.0 * np.exp(np.cumsum(moves))
    return close * np.exp(wick[0]), close * np.exp(-wick[1]), close


markets = st.builds(market, st.integers(0, 10_000), st.just(EMA_ADX_WARMUP_BARS + 400), st.booleans())


@every_rule
@settings(max_examples=10, deadline=None)
@given(columns=markets)
def test_regime_when_later_bars_are_cut_off_then_same_labels(rule: Rule, columns: tuple[Column, ...]) -> None:
    whole = rule(*columns)
    for end in range(1, len(whole), 7):
        np.testing.assert_array_equal(rule(*(column[:end] for column in columns)), whole[:end])


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=10, deadline=None)
@given(columns=markets)
def test_regime_when_bars_before_the_warm_up_are_cut_off_then_same_label(
    name: str, columns: tuple[Column, ...]
) -> None:
    whole, warmup = RULES[name](*columns), WARMUP_BARS[name]
    for end in range(warmup, len(whole) + 1):
        assert RULES[name](*(column[end - warmup : end] for column in columns))[-1] == whole[end - 1]


@settings(max_examples=20, deadline=None)
@given(columns=markets)
def test_regime_when_market_is_mirrored_then_bull_and_bear_swap(columns: tuple[Column, ...]) -> None:
    high, low, close = columns
    np.testing.assert_array_equal(label_regimes_tstat(1.0 / close), -label_regimes_tstat(close))
    np.testing.assert_array_equal(label_regimes_ema_adx(-low, -high, -close), -label_regimes_ema_adx(high, low, close))


@every_rule
def test_regime_when_trend_is_steady_then_it_is_named(rule: Rule) -> None:
    random = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.004, 0.004, 400)))
    assert (rule(close * 1.002, close * 0.998, close)[200:] == 1).all()


@every_rule
def test_regime_when_price_stands_still_then_sideways(rule: Rule) -> None:
    close = np.full(500, 100.0)
    assert not rule(close, close, close).any()


def test_latch_when_signals_come_and_go_then_hysteresis() -> None:
    strong = np.zeros(20, dtype=np.int8)
    leave = np.zeros(20, dtype=np.bool_)
    strong[[2, 10]] = 1, -1
    leave[[3, 6]] = True
    labels = latch(strong, leave, 4, 5)
    assert labels.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0]


def test_latch_when_not_confirmed_then_expires() -> None:
    strong = np.zeros(MAX_AGE + 10, dtype=np.int8)
    strong[0] = 1
    labels = latch(strong, np.zeros(len(strong), dtype=np.bool_), 6, MAX_AGE)
    assert labels[MAX_AGE] == 1
    assert not labels[MAX_AGE + 1 :].any()
