"""Pooled precision and pooled mean R: on simulated truth, against plain integration, and where cells say little."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from benchmarks import pooling as simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from tradepulse.policy import pooling
from tradepulse.policy.pooling import MEAN_R_SD, pool_means, pool_precision, variances_of_mean

FloatArray = npt.NDArray[np.float64]
LITTLE, NONE, LARGE, OWN = simulated.WORLDS[:4]
WORLDS = 60
cells = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12)


def test_pooled_precision_when_cells_differ_little_then_the_error_falls_and_the_best_deliver_what_they_claim() -> None:
    row = simulated.averages(LITTLE, simulated.precision_row, WORLDS, seed=7)
    assert row["pooled error"] < 0.4 * row["raw error"]
    assert row["raw claim"] - row["raw delivers"] > 0.15
    assert abs(row["pooled claim"] - row["pooled delivers"]) < 0.02
    assert row["pooled delivers"] > row["raw delivers"]
    assert 0.92 <= row["bound holds"] <= 0.98


@pytest.mark.parametrize("world", [LARGE, OWN], ids=lambda world: world.label)
def test_pooled_precision_when_cells_differ_much_then_still_no_worse_than_each_alone(world: simulated.World) -> None:
    row = simulated.averages(world, simulated.precision_row, WORLDS, seed=7)
    assert row["pooled error"] < 0.75 * row["raw error"]
    assert abs(row["pooled claim"] - row["pooled delivers"]) < 0.02
    assert 0.92 <= row["bound holds"] <= 0.98


@pytest.mark.parametrize("world", [LITTLE, LARGE, OWN], ids=lambda world: world.label)
def test_pooled_means_when_cells_differ_then_the_error_falls_and_bounds_hold(world: simulated.World) -> None:
    row = simulated.averages(world, simulated.mean_row, WORLDS, seed=7)
    assert row["pooled error"] < 0.75 * row["raw error"]
    assert abs(row["pooled claim"] - row["pooled delivers"]) < 0.05
    assert 0.92 <= row["bound holds"] <= 0.98


def test_pooled_precision_when_there_is_no_difference_then_bounds_are_cautious() -> None:
    row = simulated.averages(NONE, simulated.precision_row, WORLDS, seed=7)
    assert row["pooled error"] < 0.2 * row["raw error"]
    assert row["bound holds"] >= 0.98


def test_pooled_precision_when_one_symbol_only_then_bounds_hold() -> None:
    row = simulated.averages(replace(LITTLE, cells=54), simulated.precision_row, 3 * WORLDS, seed=7)
    assert row["pooled error"] < 0.6 * row["raw error"]
    assert 0.92 <= row["bound holds"] <= 0.985


@pytest.mark.parametrize(("wins", "trades"), [(0, 5), (5, 5), (18, 30), (0, 0), (700, 1000)])
def test_pooled_precision_when_there_is_one_cell_then_near_the_exact_posterior(wins: int, trades: int) -> None:
    found = pool_precision([wins], [trades], {"regime": np.array([3])})
    grid = np.linspace(-25, 25, 200_001)
    density = np.exp(
        wins * special.log_expit(grid)
        + (trades - wins) * special.log_expit(-grid)
        + stats.norm.logpdf(grid, 0, pooling.LEVEL_SD)
    )
    share = density / density.sum()
    # Laplace: a posterior with one long tail is taken for a symmetric one, nearer to a half.
    assert found.mean[0] == pytest.approx(float(special.expit(grid) @ share), abs=0.045)
    above = float(share[grid > 0].sum())
    assert found.probability_above(0.5)[0] == pytest.approx(above, abs=0.035)
    assert found.effect_sd == {}


def test_pooled_precision_when_a_cell_has_plenty_of_trades_then_it_is_its_own() -> None:
    found = pool_precision([70_000, 10, 5], [100_000, 30, 10], {"symbol": np.array([0, 1, 1])})
    assert found.mean[0] == pytest.approx(0.7, abs=0.002)
    assert found.effective_trades[0] == pytest.approx(100_000, rel=0.05)
    assert np.all(found.effective_trades[1:] > [30, 10])


def test_pooled_precision_when_a_cell_has_no_trades_then_what_its_factors_say() -> None:
    symbol = np.repeat([0, 1], 6)
    wins, trades = np.where(symbol == 0, 70, 35), np.full(12, 100)
    wins[[5, 11]] = trades[[5, 11]] = 0
    found = pool_precision(wins, trades, {"symbol": symbol})
    assert found.mean[5] == pytest.approx(0.7, abs=0.03)
    assert found.mean[11] == pytest.approx(0.35, abs=0.03)
    assert found.lower()[5] < found.lower()[0]


def test_pooled_precision_when_all_is_won_or_all_is_lost_then_neither_certainty() -> None:
    for wins in (0, 20):
        found = pool_precision(np.full(30, wins), np.full(30, 20), {"symbol": np.arange(30) % 3})
        assert np.all((found.mean > 0) & (found.mean < 1))
        assert np.all((found.lower() >= 0) & (found.lower() < found.mean))
        assert np.isfinite(found.logit_sd).all()


def test_pooled_precision_when_a_factor_has_one_level_then_it_changes_nothing() -> None:
    wins, trades, symbol = np.array([20, 30, 12, 9]), np.array([40, 50, 20, 20]), np.array([0, 0, 1, 1])
    one = pool_precision(wins, trades, {"symbol": symbol})
    other = pool_precision(wins, trades, {"symbol": symbol, "exchange": np.zeros(4, dtype=np.int64)})
    np.testing.assert_array_equal(one.logit_mean, other.logit_mean)
    assert set(other.effect_sd) == {"symbol", "cell"}


def test_pooled_precision_when_a_thousand_cells_then_finite() -> None:
    generator = np.random.default_rng(0)
    trades = generator.poisson(25, 1000)
    wins = generator.binomial(trades, 0.6)
    factors = {"symbol": generator.integers(0, 40, 1000), "strategy": generator.integers(0, 3, 1000)}
    found = pool_precision(wins, trades, factors)
    assert found.mean == pytest.approx(np.full(1000, 0.6), abs=0.06)
    means = pool_means(generator.normal(0.1, 0.2, 1000), np.full(1000, 0.04), factors)
    assert means.mean == pytest.approx(np.full(1000, 0.1), abs=0.15)


def test_pooled_precision_when_an_offset_is_given_then_cells_are_drawn_towards_it_and_not_to_each_other() -> None:
    break_even = np.array([0.2, 0.8] * 10)
    trades = np.full(20, 30)
    found = pool_precision(np.round(break_even * trades), trades, {}, offset=special.logit(break_even))
    assert found.mean == pytest.approx(break_even, abs=0.02)
    assert found.probability_above(break_even) == pytest.approx(np.full(20, 0.5), abs=0.15)
    assert found.effective_trades.min() > 100


@given(cells, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_pooling_when_anything_goes_in_then_nothing_is_nan_and_order_does_not_matter(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    generator = np.random.default_rng(seed)
    wins = np.array([min(pair) for pair in pairs])
    trades = np.array([max(pair) for pair in pairs])
    factors = {name: generator.integers(0, 4, len(pairs)) for name in ("symbol", "regime")}
    found = pool_precision(wins, trades, factors)
    assert np.isfinite(found.logit_mean).all()
    assert np.all(found.logit_sd > 0)
    assert np.all((found.probability_above(0.4) >= 0) & (found.probability_above(0.4) <= 1))
    assert np.all(found.probability_above(0.3) >= found.probability_above(0.6))
    order = generator.permutation(len(pairs))
    other = pool_precision(wins[order], trades[order], {name: codes[order] for name, codes in factors.items()})
    np.testing.assert_allclose(other.logit_mean, found.logit_mean[order], atol=1e-4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_pooled_precision_when_a_cell_wins_once_more_then_its_share_rises(seed: int) -> None:
    generator = np.random.default_rng(seed)
    trades = generator.integers(5, 60, 8)
    wins = generator.binomial(trades, 0.5)
    wins[0] = min(wins[0], trades[0] - 1)
    factors = {"symbol": np.arange(8) % 3}
    better = wins + (np.arange(8) == 0)
    assert pool_precision(better, trades, factors).mean[0] > pool_precision(wins, trades, factors).mean[0]


def test_pooled_means_when_variances_are_known_then_the_posterior_of_the_normal_model() -> None:
    generator = np.random.default_rng(5)
    symbol = np.arange(40) % 4
    means, variances = generator.normal(0.1, 0.3, 40), generator.uniform(0.01, 0.1, 40)
    found = pool_means(means, variances, {"symbol": symbol})
    prior = (
        pooling.MEAN_R_SD**2
        + found.effect_sd["symbol"] ** 2 * (symbol[:, None] == symbol)
        + found.effect_sd["cell"] ** 2 * np.eye(40)
    )
    gain = prior @ np.linalg.inv(prior + np.diag(variances))
    np.testing.assert_allclose(found.mean, gain @ means, atol=1e-3)
    np.testing.assert_allclose(found.sd, np.sqrt(np.diag(prior - gain @ prior)), rtol=1e-2)


def test_pooled_means_when_nothing_was_measured_in_a_cell_then_its_factors_speak() -> None:
    symbol = np.repeat([0, 1], 5)
    means, variances = np.where(symbol == 0, 0.4, -0.4), np.full(10, 0.01)
    means[4], variances[4] = 0.0, np.inf
    found = pool_means(means, variances, {"symbol": symbol})
    assert found.mean[4] == pytest.approx(0.35, abs=0.1)
    assert found.sd[4] > found.sd[0]
    assert found.probability_positive[0] > 0.99 > 0.01 > found.probability_positive[9]


def test_pooled_means_when_one_cell_then_its_own_mean_with_a_little_doubt() -> None:
    found = pool_means([0.3], [0.01], {})
    assert found.mean[0] == pytest.approx(0.3 * MEAN_R_SD**2 / (MEAN_R_SD**2 + 0.01))
    assert found.sd[0] == pytest.approx(math.sqrt(1 / (1 / MEAN_R_SD**2 + 1 / 0.01)))


def test_pooled_means_when_compared_with_others_then_both_doubts_count() -> None:
    one, other = pool_means([0.3], [0.02], {}), pool_means([0.1], [0.03], {})
    assert one.probability_above(one)[0] == pytest.approx(0.5)
    assert 0.5 < one.probability_above(other)[0] < one.probability_above(other.mean)[0]
    assert one.lower(0.95)[0] < one.lower(0.6)[0] < one.mean[0]


def test_variances_of_mean_when_a_cell_was_lucky_then_its_spread_is_that_of_the_others() -> None:
    results = np.random.default_rng(1).normal(0.1, 1.2, (20, 30))
    results[0] = 1.5
    results[1, 3:] = results[2, 2:] = 0.0
    trades = np.array([30.0, 3.0, 0.0, *[30.0] * 17])
    results[2] = 0.0
    found = variances_of_mean(trades, results.sum(axis=1), (results**2).sum(axis=1))
    assert found[3:] * 30 == pytest.approx(np.full(17, 1.44), rel=0.35)
    assert 0.5 * 1.44 < found[0] * 30 < 1.44
    assert found[1] * 3 == pytest.approx(1.44, rel=0.35)
    assert found[2] == np.inf
    assert variances_of_mean([1, 1], [0.3, 1.0], [0.09, 1.0]).tolist() == [1.0, 1.0]


def test_pooled_means_when_spreads_are_drawn_together_then_the_best_cells_are_believed_less() -> None:
    thin = simulated.WORLDS[4]
    together = simulated.averages(thin, simulated.mean_row, WORLDS, seed=7)
    alone = simulated.averages(thin, partial(simulated.mean_row, own_variance=True), WORLDS, seed=7)
    assert together["bound of the best holds"] > 0.88 > 0.75 > alone["bound of the best holds"]


def test_pooling_when_the_same_input_then_the_same_bits() -> None:
    generator = np.random.default_rng(2)
    trades = generator.poisson(20, 50)
    arguments = (generator.binomial(trades, 0.5), trades, {"symbol": generator.integers(0, 5, 50)})
    np.testing.assert_array_equal(pool_precision(*arguments).logit_mean, pool_precision(*arguments).logit_mean)


REFUSED: list[Callable[[], object]] = [
    lambda: pool_precision([], [], {}),
    lambda: pool_precision([3], [2], {}),
    lambda: pool_precision([-1], [2], {}),
    lambda: pool_precision([1, 2], [2], {}),
    lambda: pool_precision([1], [math.nan], {}),
    lambda: pool_precision([1], [2], {"symbol": np.array([0, 1])}),
    lambda: pool_precision([1], [2], {"symbol": np.array([0.5])}),
    lambda: pool_precision([1], [2], {}, offset=[math.inf]),
    lambda: pool_precision([1], [2], {}).lower(1.0),
    lambda: pool_precision([1], [2], {}).probability_above(1.5),
    lambda: pool_precision([1], [2], {}).probability_above(math.nan),
    lambda: variances_of_mean([1.0], [0.1, 0.2], [0.1]),
    lambda: variances_of_mean([-1.0], [0.1], [0.1]),
    lambda: pool_means([math.nan], [1.0], {}),
    lambda: pool_means([0.1], [0.0], {}),
    lambda: pool_means([0.1], [math.nan], {}),
    lambda: pool_means([0.1], [1.0, 2.0], {}),
    lambda: pool_means([0.1], [1.0], {}).probability_above(math.nan),
    lambda: pool_means([0.1], [1.0], {}).lower(0.0),
]


@pytest.mark.parametrize("call", REFUSED)
def test_pooling_when_input_is_wrong_then_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        call()
