"""Figures of trades against numbers computed by hand or by another formula."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.kernels.metrics import Z_95_ONE_SIDED, trade_statistics, wilson_lower_bound


@pytest.mark.parametrize(
    ("wins", "trades", "expected"),
    # n p^2 / (n + z^2) at p = 1; the others from the closed form with z = 1.6449.
    [(10, 10, 10 / (10 + 2.705543)), (0, 10, 0.0), (0, 0, 0.0), (5, 10, 0.2692718), (60, 100, 0.5178095)],
)
def test_wilson_bound_equals_hand_computed_values(wins: int, trades: int, expected: float) -> None:
    assert wilson_lower_bound(wins, trades) == pytest.approx(expected, abs=1e-6)


@given(trades=st.integers(1, 2_000), share=st.floats(0, 1))
def test_wilson_bound_solves_the_score_equation_and_is_never_above_the_share(trades: int, share: float) -> None:
    wins = round(trades * share)
    bound = wilson_lower_bound(wins, trades)
    observed = wins / trades
    assert 0 <= bound <= observed + 1e-12
    if wins:
        # The bound is the share whose own standard error reaches the observed one in z steps.
        distance = Z_95_ONE_SIDED * math.sqrt(bound * (1 - bound) / trades)
        assert observed - bound == pytest.approx(distance, abs=1e-9)


def test_statistics_of_four_trades_by_hand() -> None:
    figures = trade_statistics(np.array([100.0, -50.0, -100.0, 75.0]), np.array([2.0, -1.0, -2.0, 1.5]), 1_000.0)
    assert (figures.trades, figures.wins, figures.precision) == (4, 2, 0.5)
    assert figures.expectancy_r == pytest.approx(0.125)
    assert figures.total_r == pytest.approx(0.5)
    assert figures.profit_factor == pytest.approx(175 / 150)
    assert figures.worst_tail_r == -2.0
    # From the peak of 1100 down to 950.
    assert figures.max_drawdown == pytest.approx(150 / 1_100)


def test_drawdown_when_the_first_trade_loses_then_from_the_start() -> None:
    assert trade_statistics(np.array([-200.0]), np.array([-1.0]), 1_000.0).max_drawdown == pytest.approx(0.2)


def test_worst_tail_is_the_mean_of_the_worst_twentieth() -> None:
    multiples = np.concatenate((np.full(38, 1.0), [-1.0, -3.0]))
    assert trade_statistics(multiples * 10, multiples, 1_000.0).worst_tail_r == pytest.approx(-2.0)


def test_statistics_without_trades_or_losses_claim_nothing() -> None:
    nothing = trade_statistics(np.empty(0), np.empty(0), 1_000.0)
    assert nothing.trades == 0
    assert nothing.precision_lower == 0.0
    assert math.isnan(nothing.precision)
    assert math.isnan(nothing.expectancy_r)
    spotless = trade_statistics(np.array([10.0, 0.0]), np.array([1.0, 0.0]), 1_000.0)
    assert spotless.profit_factor == math.inf
    # A trade that ends at nothing is no win.
    assert spotless.wins == 1
