"""Statistics of the gate: published digits, the known wrong formulas, invariants, and inputs that say nothing."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tradepulse.policy import validation
from tradepulse.policy.validation import (
    benjamini_hochberg,
    clustered_mean,
    combinatorial_splits,
    cscv,
    deflated_sharpe_ratio,
    effective_trials,
    expected_maximum_sharpe,
    minimum_backtest_length,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    reality_check,
    sharpe_moments,
    stationary_bootstrap,
    step_m,
    superior_predictive_ability,
    walk_forward_splits,
)

YEAR = 250
PUBLISHED = (2.5, 0.5, 1250, -3.0, 10.0)
"""Annual Sharpe ratio, annual variance of the trials, observations, skew, kurtosis: the example of the 2014 paper."""
sharpes = st.floats(-1, 1)
seeds = st.integers(0, 2**32 - 1)


def ours(trials: float) -> float:
    sharpe, variance, observations, skew, kurtosis = PUBLISHED
    return deflated_sharpe_ratio(sharpe / math.sqrt(YEAR), observations, skew, kurtosis, variance / YEAR, trials)


def test_deflated_sharpe_when_the_published_example_then_its_digits() -> None:
    assert expected_maximum_sharpe(0.5 / YEAR, 100) == pytest.approx(0.1132, abs=5e-5)
    assert ours(100) == pytest.approx(0.9004, abs=5e-5)
    assert ours(46) == pytest.approx(0.9505, abs=5e-5)
    assert minimum_backtest_length(45, 1.0) == pytest.approx(4.998, abs=5e-4)


def variant(
    *, fourth: Callable[[float], float] = lambda g4: (g4 - 1) / 4, annual: bool = False, root: bool = True
) -> float:
    """The same example by a formula with one mistake."""
    sharpe, variance, observations, skew, kurtosis = PUBLISHED
    if not annual:
        sharpe, variance = sharpe / math.sqrt(YEAR), variance / YEAR
    largest = expected_maximum_sharpe(1.0, 100)
    benchmark = (math.sqrt(variance) if root else 1.0) * largest
    spread = math.sqrt(abs(1 - skew * sharpe + fourth(kurtosis) * sharpe**2))
    return float(stats.norm.cdf((sharpe - benchmark) * math.sqrt(observations - 1) / spread))


def test_the_formula_with_mistakes_when_without_any_then_ours() -> None:
    assert variant() == pytest.approx(ours(100), abs=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"fourth": lambda g4: (g4 - 3) / 4}, id="kurtosis minus three"),
        pytest.param({"fourth": lambda g4: (g4 - 3 - 1) / 4}, id="excess kurtosis where it is raw"),
        pytest.param({"annual": True}, id="annual ratio with daily observations"),
        pytest.param({"root": False}, id="spread of the trials missing"),
    ],
)
def test_published_digits_when_the_formula_is_wrong_then_missed(wrong: dict[str, bool]) -> None:
    assert abs(variant(**wrong) - 0.9004) > 2e-4


@given(sharpes, sharpes, st.integers(2, 5000), st.integers(1, 5000))
def test_probabilistic_sharpe_when_more_observations_then_further_from_a_half(
    sharpe: float, benchmark: float, observations: int, more: int
) -> None:
    few = probabilistic_sharpe_ratio(sharpe, benchmark, observations, -0.5, 4.0)
    many = probabilistic_sharpe_ratio(sharpe, benchmark, observations + more, -0.5, 4.0)
    assert abs(many - 0.5) >= abs(few - 0.5) - 1e-12
    assert 0 <= few <= 1


@given(st.floats(1, 1e7), st.floats(1, 1e7))
def test_expected_maximum_when_more_trials_then_no_lower(one: float, other: float) -> None:
    fewer, more = sorted((one, other))
    assert 0 <= expected_maximum_sharpe(1.0, fewer) <= expected_maximum_sharpe(1.0, more) + 1e-12
    assert minimum_backtest_length(fewer) <= minimum_backtest_length(more) + 1e-12


def test_expected_maximum_when_one_trial_then_nothing_to_deflate() -> None:
    assert expected_maximum_sharpe(1.0, 1) == 0.0
    assert deflated_sharpe_ratio(0.1, 250, 0.0, 3.0, 0.01, 1) == probabilistic_sharpe_ratio(0.1, 0.0, 250, 0.0, 3.0)


def test_expected_maximum_when_compared_with_draws_then_within_two_percent() -> None:
    drawn = np.random.default_rng(0).standard_normal((4000, 500)).max(axis=1).mean()
    assert expected_maximum_sharpe(1.0, 500) == pytest.approx(drawn, rel=0.02)


@given(st.floats(0.05, 1), st.floats(-1, 0.04), st.floats(0.6, 0.999))
def test_minimum_track_record_when_reached_then_the_level_is_and_not_one_earlier(
    sharpe: float, benchmark: float, level: float
) -> None:
    length = minimum_track_record_length(sharpe, benchmark, -0.5, 4.0, level)
    assert probabilistic_sharpe_ratio(sharpe, benchmark, max(2, length), -0.5, 4.0) >= level - 1e-9
    if length > 3:
        assert probabilistic_sharpe_ratio(sharpe, benchmark, length - 1, -0.5, 4.0) < level


def test_minimum_track_record_when_benchmark_is_not_beaten_then_endless() -> None:
    assert minimum_track_record_length(0.1, 0.1, 0.0, 3.0) == math.inf


def test_effective_trials_when_all_are_one_then_one_and_when_unrelated_then_all() -> None:
    assert effective_trials(1.0, 500) == 1
    assert effective_trials(0.0, 500) == 500
    assert effective_trials(-0.2, 500) == 500
    assert effective_trials(0.9, 2049) == pytest.approx(205.8)


def test_sharpe_moments_when_results_vary_then_those_of_scipy_and_when_not_then_nothing() -> None:
    results = np.random.default_rng(3).exponential(size=200) - 0.7
    found = sharpe_moments(results)
    assert found.sharpe == pytest.approx(results.mean() / results.std())
    assert (found.skew, found.kurtosis) == pytest.approx((stats.skew(results), stats.kurtosis(results, fisher=False)))
    assert sharpe_moments([0.1] * 30).sharpe == 0.0


@given(st.lists(st.sampled_from([-1.0, 1.5]), min_size=3, max_size=60).filter(lambda r: len(set(r)) == 2))
def test_sharpe_moments_when_trades_have_two_outcomes_then_the_ratio_can_be_judged(results: list[float]) -> None:
    found = sharpe_moments(results)
    assert found.kurtosis >= found.skew**2 + 1 - 1e-9
    if abs(found.sharpe * found.skew - 2) > 1e-3:
        probability = probabilistic_sharpe_ratio(
            found.sharpe, 0.0, found.observations, found.skew, found.kurtosis + 1e-9
        )
        assert 0 <= probability <= 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_sharpe_formulas_when_a_number_is_not_finite_then_refused(bad: float) -> None:
    calls: list[Callable[[], object]] = [
        lambda: probabilistic_sharpe_ratio(bad, 0.0, 100, 0.0, 3.0),
        lambda: expected_maximum_sharpe(bad, 10),
        lambda: effective_trials(bad, 10),
        lambda: minimum_track_record_length(0.1, bad, 0.0, 3.0),
        lambda: minimum_backtest_length(10, bad),
        lambda: sharpe_moments([0.1, bad]),
        lambda: cscv([[1.0, bad], [0.0, 1.0]], np.ones((2, 2))),
        lambda: superior_predictive_ability([[1.0, bad], [0.0, 1.0]]),
        lambda: clustered_mean([1.0, bad], [1, 1]),
        lambda: benjamini_hochberg([0.1, bad], 0.1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"finite"):
            call()


def test_statistics_when_lengths_or_ranges_are_wrong_then_refused() -> None:
    calls: list[Callable[[], object]] = [
        lambda: probabilistic_sharpe_ratio(0.1, 0.0, 1, 0.0, 3.0),
        lambda: probabilistic_sharpe_ratio(1.0, 0.0, 100, 3.0, 1.0),
        lambda: expected_maximum_sharpe(-1.0, 10),
        lambda: expected_maximum_sharpe(1.0, 0),
        lambda: effective_trials(2.0, 10),
        lambda: minimum_track_record_length(0.1, 0.0, 0.0, 3.0, 1.0),
        lambda: minimum_backtest_length(10, 0.0),
        lambda: sharpe_moments([0.1]),
        lambda: cscv(np.ones((3, 4)), np.ones((3, 4))),
        lambda: cscv(np.ones((4, 4)), np.ones((4, 5))),
        lambda: cscv(np.ones((4, 4)), np.zeros((4, 4))),
        lambda: cscv(np.ones((4, 4)), np.ones((4, 4)), minimum_trades=0),
        lambda: superior_predictive_ability(np.ones((1, 4))),
        lambda: superior_predictive_ability(np.ones((8, 4)), np.ones(7)),
        lambda: superior_predictive_ability(np.ones((8, 4)), mean_block=0.5),
        lambda: step_m(np.ones((8, 4)), level=0.0),
        lambda: clustered_mean([1.0, 2.0], [1]),
        lambda: clustered_mean([1.0, 2.0], [1, -1]),
        lambda: clustered_mean([1.0, 2.0], [1, 0]),
        lambda: benjamini_hochberg([0.1, 1.1], 0.1),
        lambda: benjamini_hochberg([0.1], 1.0),
        lambda: list(combinatorial_splits(10, 11, 2)),
        lambda: list(combinatorial_splits(10, 5, 2, purge=-1)),
        lambda: list(walk_forward_splits(10, 0, 2)),
        lambda: list(walk_forward_splits(10, 4, 2, embargo=2)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"."):
            call()


def blocks_of(seed: int, blocks: int = 6, points: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    counts = generator.poisson(1.5, (blocks, points)).astype(np.float64)
    return generator.normal(0.0, 1.0, (blocks, points)) * counts, counts


def plainly(sums: np.ndarray, counts: np.ndarray) -> list[tuple[float, float, float]]:
    """The same, split by split, as it is written down."""
    blocks = range(len(sums))
    rows = []
    for chosen in itertools.combinations(blocks, len(sums) // 2):
        inside, outside = list(chosen), [block for block in blocks if block not in chosen]
        traded = (counts[inside].sum(axis=0) > 0) & (counts[outside].sum(axis=0) > 0)
        if traded.sum() < 2:
            continue
        first = (sums[inside].sum(axis=0) / np.maximum(counts[inside].sum(axis=0), 1))[traded]
        second = (sums[outside].sum(axis=0) / np.maximum(counts[outside].sum(axis=0), 1))[traded]
        best = int(np.argmax(first))
        share = stats.rankdata(np.round(second, 9))[best] / (traded.sum() + 1)
        rows.append((math.log(share / (1 - share)), float(first[best]), float(second[best])))
    return rows


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_cscv_when_points_lack_trades_then_equal_to_the_plain_loop(seed: int) -> None:
    sums, counts = blocks_of(seed)
    found, rows = cscv(sums, counts), np.array(plainly(sums, counts))
    np.testing.assert_allclose(
        np.column_stack((found.logits, found.in_sample, found.out_of_sample)), rows, rtol=1e-9, atol=1e-9
    )
    assert found.pbo == pytest.approx(np.mean(rows[:, 0] <= 1e-12))
    assert found.loss_probability == np.mean(rows[:, 2] < 0)
    assert found.slope == pytest.approx(np.polyfit(rows[:, 1], rows[:, 2], 1)[0], abs=1e-8)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_cscv_when_points_change_places_then_the_same_answer(seed: int) -> None:
    sums, counts = blocks_of(seed)
    order = np.random.default_rng(seed).permutation(sums.shape[1])
    one, other = cscv(sums, counts), cscv(sums[:, order], counts[:, order])
    assert (one.pbo, one.loss_probability) == (other.pbo, other.loss_probability)
    np.testing.assert_allclose(one.logits, other.logits, atol=1e-9)


def test_cscv_when_all_points_are_twins_then_the_rank_is_shared_and_counts_against() -> None:
    sums, counts = blocks_of(1, points=1)
    counts += 1
    found = cscv(np.repeat(sums, 7, axis=1), np.repeat(counts, 7, axis=1))
    assert found.logits == pytest.approx(np.zeros(20))
    assert found.pbo == 1.0


def test_cscv_when_one_point_is_better_everywhere_then_no_overfitting() -> None:
    generator = np.random.default_rng(0)
    sums = generator.normal(0, 1, (16, 50))
    sums[:, 17] += 20
    found = cscv(sums, np.ones_like(sums))
    assert (found.pbo, found.loss_probability, found.splits) == (0.0, 0.0, 12_870)


def test_cscv_when_nothing_was_traded_then_the_answer_that_passes_no_gate() -> None:
    found = cscv(np.zeros((16, 5)), np.zeros((16, 5)))
    assert (found.pbo, found.loss_probability, found.slope, found.splits) == (1.0, 1.0, 0.0, 0)
    alone = cscv(np.ones((16, 1)), np.ones((16, 1)))
    assert (alone.pbo, alone.splits) == (1.0, 0)


def test_cscv_when_a_point_has_too_few_trades_then_it_is_never_chosen() -> None:
    sums, counts = blocks_of(2, blocks=16, points=30)
    lucky = np.zeros((16, 1))
    lucky[0] = lucky[9] = 50.0
    sums, counts = np.hstack((sums, lucky)), np.hstack((counts, lucky > 0))
    assert cscv(sums, counts).in_sample.max() == 50.0
    assert cscv(sums, counts, minimum_trades=3).in_sample.max() < 50.0


def test_stationary_bootstrap_when_drawn_then_runs_have_the_mean_length_and_every_time_its_share() -> None:
    indices = stationary_bootstrap(64, 4.0, 4000, seed=5)
    follows = (indices[:, 1:] == (indices[:, :-1] + 1) % 64).mean()
    assert follows == pytest.approx(0.75 + 0.25 / 64, abs=0.005)
    assert np.bincount(indices.ravel()) / indices.size == pytest.approx(np.full(64, 1 / 64), rel=0.06)
    np.testing.assert_array_equal(indices, stationary_bootstrap(64, 4.0, 4000, seed=5))
    assert np.any(indices != stationary_bootstrap(64, 4.0, 4000, seed=6))


def test_stationary_bootstrap_when_blocks_are_single_then_independent_draws() -> None:
    indices = stationary_bootstrap(50, 1.0, 2000, seed=1)
    assert (indices[:, 1:] == (indices[:, :-1] + 1) % 50).mean() == pytest.approx(0.02, abs=0.003)


@given(seeds, st.integers(2, 30), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_superior_predictive_ability_when_anything_then_ordered_probabilities_without_nan(
    seed: int, time: int, points: int
) -> None:
    generator = np.random.default_rng(seed)
    performance = generator.normal(0, 1, (time, points)) * (generator.random((time, points)) < 0.3)
    found = superior_predictive_ability(performance, draws=50, seed=seed)
    assert 0 <= found.p_lower <= found.p_consistent <= found.p_upper <= 1
    assert 0 <= reality_check(performance, draws=50, seed=seed) <= 1
    assert step_m(performance, draws=50, seed=seed).shape == (points,)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_superior_predictive_ability_when_points_change_places_or_scale_then_the_same(seed: int) -> None:
    generator = np.random.default_rng(seed)
    performance = generator.normal(0.1, 1, (40, 9))
    order, scale = generator.permutation(9), 2.0 ** generator.integers(-8, 8, 9)
    one = superior_predictive_ability(performance, draws=100, seed=3)
    other = superior_predictive_ability((performance * scale)[:, order], draws=100, seed=3)
    assert (one.p_lower, one.p_consistent, one.p_upper) == (other.p_lower, other.p_consistent, other.p_upper)
    assert one.best is not None
    assert one.best == order[other.best]


def test_superior_predictive_ability_when_points_never_vary_then_they_do_not_count() -> None:
    performance = np.random.default_rng(0).normal(0, 1, (64, 5))
    still = np.hstack((performance, np.zeros((64, 3)), np.full((64, 1), 9.0)))
    assert superior_predictive_ability(still, seed=1) == superior_predictive_ability(performance, seed=1)
    nothing = superior_predictive_ability(np.zeros((64, 3)))
    assert (nothing.p_lower, nothing.p_consistent, nothing.p_upper, nothing.best) == (1.0, 1.0, 1.0, None)
    assert reality_check(np.zeros((64, 3))) == 1.0
    assert not step_m(np.zeros((64, 3))).any()


def test_superior_predictive_ability_when_one_point_has_an_edge_then_found_and_only_that() -> None:
    performance = np.random.default_rng(4).normal(0, 1, (64, 300))
    performance[:, 123] += 1.2
    found = superior_predictive_ability(performance, seed=0)
    assert found.best == 123
    assert found.p_upper < 0.01
    assert np.flatnonzero(step_m(performance, seed=0)).tolist() == [123]


def test_superior_predictive_ability_when_the_benchmark_is_as_good_then_nothing_is_superior() -> None:
    generator = np.random.default_rng(4)
    benchmark = generator.normal(1, 1, 64)
    performance = benchmark[:, None] + generator.normal(0, 0.3, (64, 100))
    assert superior_predictive_ability(performance, seed=0).p_consistent < 0.05
    assert superior_predictive_ability(performance, benchmark, seed=0).p_consistent > 0.05


@pytest.mark.parametrize("block", [1.0, 2.0, 4.0, 8.0])
def test_small_sample_when_observations_are_independent_then_the_resamples_spread_as_far_as_the_means_do(
    block: float,
) -> None:
    values = np.random.default_rng(9).normal(0, 1, (64, 20_000))
    kept = validation._variance_kept(64, block)
    assert validation._long_run_variance(values, block).mean() == pytest.approx(kept, rel=0.01)


def test_small_sample_when_taken_into_account_then_less_is_found() -> None:
    performance = np.random.default_rng(4).normal(0.1, 1, (64, 50))
    cautious = superior_predictive_ability(performance, mean_block=4, seed=0)
    plain = superior_predictive_ability(performance, mean_block=4, seed=0, small_sample=False)
    assert cautious.p_consistent > plain.p_consistent > 0


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 20)), min_size=2, max_size=20), st.randoms())
def test_clustered_mean_when_clusters_change_places_or_empty_ones_join_then_the_same(
    clusters: list[tuple[int, int]], shuffle: object
) -> None:
    found = clustered_mean(*np.array(clusters).T)
    joined = [*clusters, (0, 0)]
    shuffle.shuffle(joined)  # type: ignore[attr-defined]
    other = clustered_mean(*np.array(joined).T)
    assert (other.mean, other.t, other.p_value) == pytest.approx((found.mean, found.t, found.p_value), abs=1e-9)
    assert other.clusters == found.clusters
    assert 0 <= found.p_value <= 1


def test_clustered_mean_when_clusters_are_equal_in_size_then_the_t_test_of_their_means() -> None:
    means = np.random.default_rng(2).normal(0.3, 1, 19)
    found = clustered_mean(means * 7, np.full(19, 7))
    expected = stats.ttest_1samp(means, 0.0, alternative="greater")
    assert (found.t, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize(
    ("sums", "counts", "mean"),
    [([], [], 0.0), ([0.0, 0.0], [0, 0], 0.0), ([6.0, 0.0], [3, 0], 2.0), ([1.0, 2.0], [1, 2], 1.0)],
)
def test_clustered_mean_when_there_is_nothing_to_judge_by_then_it_does_not_pass(
    sums: list[float], counts: list[int], mean: float
) -> None:
    found = clustered_mean(sums, counts)
    assert (found.mean, found.t, found.p_value) == (mean, 0.0, 1.0)
    assert not math.isnan(found.standard_error)


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.01, 0.5))
def test_benjamini_hochberg_when_applied_then_a_subset_that_is_the_smallest_p_values(
    p_values: list[float], level: float
) -> None:
    rejected = benjamini_hochberg(p_values, level)
    values = np.array(p_values)
    assert np.all(values[rejected] <= level)
    assert not rejected.any() or values[rejected].max() <= values[~rejected].min(initial=1.0)
    if values.size:
        np.testing.assert_array_equal(rejected, stats.false_discovery_control(values) <= level * (1 + 1e-12))


splits = st.tuples(st.integers(20, 80), st.integers(3, 6), st.integers(1, 2), st.integers(0, 4), st.integers(0, 4))


@given(splits)
def test_combinatorial_splits_when_made_then_purge_and_embargo_keep_the_two_apart(
    case: tuple[int, int, int, int, int],
) -> None:
    observations, folds, test_folds, purge, embargo = case
    made = list(combinatorial_splits(observations, folds, test_folds, purge=purge, embargo=embargo))
    assert len(made) == math.comb(folds, test_folds)
    for train, test in made:
        distance = train[:, None] - test[None, :]
        assert not np.any((distance >= -purge) & (distance <= 0))
        assert not np.any((distance > 0) & (distance <= purge + embargo))
    tested = np.concatenate([test for _, test in made])
    assert set(np.bincount(tested, minlength=observations)) == {math.comb(folds - 1, test_folds - 1)}


@given(st.integers(10, 80), st.integers(1, 20), st.integers(3, 10), st.integers(0, 3), st.integers(0, 2), st.booleans())
def test_walk_forward_splits_when_made_then_training_ends_before_the_test_and_no_test_is_seen_twice(
    observations: int, train: int, test: int, purge: int, embargo: int, expanding: bool
) -> None:
    made = list(walk_forward_splits(observations, train, test, purge=purge, embargo=embargo, expanding=expanding))
    for learnt, tested in made:
        assert learnt[-1] + purge + embargo < tested[0]
        assert len(learnt) >= train if expanding else len(learnt) == train
        assert len(tested) == test - embargo
    seen = [index for _, tested in made for index in tested]
    assert seen == sorted(set(seen))
