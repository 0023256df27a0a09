"""Our statistics against libraries that others wrote: purgedcv, arch and skfolio, on the same numbers and draws."""

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from tradepulse.policy import validation

with warnings.catch_warnings():
    # What they import warns about things that are not ours.
    warnings.simplefilter("ignore")
    import purgedcv
    from arch.bootstrap import SPA, StationaryBootstrap, StepM
    from scipy import stats
    from skfolio.model_selection import CombinatorialPurgedCV, WalkForward

FloatArray = npt.NDArray[np.float64]
DRAWS, BLOCK, TIME = 300, 4, 64


@pytest.fixture(params=range(4))
def returns(request: pytest.FixtureRequest) -> FloatArray:
    generator = np.random.default_rng(request.param)
    return generator.standard_t(5, 400) * 0.01 + 0.0006 * request.param


def moments(returns: FloatArray) -> tuple[float, float, float]:
    """As purgedcv takes them: skew and kurtosis corrected for the size of the sample."""
    return (
        float(returns.mean() / returns.std()),
        float(stats.skew(returns, bias=False)),
        float(stats.kurtosis(returns, bias=False, fisher=False)),
    )


def test_sharpe_family_when_the_same_returns_then_equal_to_purgedcv(returns: FloatArray) -> None:
    sharpe, skew, kurtosis = moments(returns)
    for benchmark in (-0.05, 0.0, 0.1):
        assert validation.probabilistic_sharpe_ratio(sharpe, benchmark, returns.size, skew, kurtosis) == pytest.approx(
            purgedcv.probabilistic_sharpe_ratio(returns, benchmark), abs=1e-12
        )
        assert validation.minimum_track_record_length(sharpe, benchmark, skew, kurtosis) == (
            purgedcv.min_track_record_length(sharpe, benchmark, 0.05, skew, kurtosis)
        )
    for trials in (1, 2, 46, 100, 2049):
        ours = validation.deflated_sharpe_ratio(sharpe, returns.size, skew, kurtosis, 0.002, trials)
        assert ours == pytest.approx(purgedcv.deflated_sharpe_ratio(returns, trials, 0.002), abs=1e-12)


@pytest.mark.parametrize("trials", [1, 2, 7, 45, 2049, 100_000])
@pytest.mark.parametrize("sharpe", [0.5, 1.0, 3.0])
def test_minimum_backtest_length_when_any_trials_then_equal_to_purgedcv(trials: int, sharpe: float) -> None:
    assert validation.minimum_backtest_length(trials, sharpe) == pytest.approx(
        purgedcv.minimum_backtest_length(trials, sharpe), rel=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
def test_cscv_when_performance_is_the_plain_mean_then_equal_to_purgedcv(seed: int) -> None:
    generator = np.random.default_rng(seed)
    blocks, length, points = 8, 5, 15
    results = generator.normal(0.02 * seed, 1, (points, blocks * length))
    theirs = purgedcv.probability_of_backtest_overfitting(results, blocks, metric=lambda part: float(np.mean(part)))
    sums = results.reshape(points, blocks, length).sum(axis=2).T
    ours = validation.cscv(sums, np.full_like(sums, length))
    # They go through the blocks out of sample, we through those in sample: the other way round.
    np.testing.assert_allclose(ours.logits[::-1], theirs.logits, atol=1e-9)
    np.testing.assert_allclose(
        np.column_stack((ours.in_sample, ours.out_of_sample))[::-1], theirs.is_oos_performance, atol=1e-12
    )
    assert ours.slope == pytest.approx(theirs.slope)
    # They count a rank right in the middle as passed (λ < 0), we do not (λ ≤ 0).
    middle = np.mean(np.abs(theirs.logits) < 1e-12)
    assert ours.pbo == pytest.approx(theirs.pbo + middle)


@pytest.fixture
def same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our bootstrap draws what arch draws."""

    def theirs(time: int, mean_block: float, draws: int, seed: int) -> npt.NDArray[np.int64]:
        bootstrap = StationaryBootstrap(int(mean_block), np.arange(time), seed=seed)
        return np.array([drawn[0][0] for drawn in bootstrap.bootstrap(draws)], dtype=np.int64)

    monkeypatch.setattr(validation, "stationary_bootstrap", theirs)


@pytest.fixture(params=range(6))
def performance(request: pytest.FixtureRequest) -> FloatArray:
    """Correlated points, some of them far below zero, from no edge to a clear one."""
    generator = np.random.default_rng(request.param)
    common = generator.normal(0, 1, (TIME, 1))
    values = 0.6 * common + generator.normal(0, 1, (TIME, 30)) * generator.uniform(0.5, 3.0, 30)
    values[:, :3] += 0.25 * request.param
    values[:, -8:] -= 2.0
    return np.asarray(values)


def in_their_unit(performance: FloatArray) -> FloatArray:
    """Losses. arch divides by no deviation, whatever it is told: Hansen's statistic is theirs of the divided data."""
    deviation = np.sqrt(validation._long_run_variance(performance, BLOCK))
    return -performance / deviation


@pytest.mark.usefixtures("same_draws")
def test_superior_predictive_ability_when_the_same_draws_then_equal_to_arch(performance: FloatArray) -> None:
    theirs = SPA(np.zeros(TIME), in_their_unit(performance), block_size=BLOCK, reps=DRAWS, seed=11)
    theirs.compute()
    ours = validation.superior_predictive_ability(
        performance, draws=DRAWS, mean_block=BLOCK, seed=11, small_sample=False
    )
    assert (ours.p_lower, ours.p_consistent, ours.p_upper) == pytest.approx(tuple(theirs.pvalues))
    assert np.sqrt(theirs._loss_diff_var) == pytest.approx(np.ones(30))


@pytest.mark.usefixtures("same_draws")
def test_reality_check_when_the_same_draws_then_equal_to_arch(performance: FloatArray) -> None:
    theirs = SPA(np.zeros(TIME), -performance, block_size=BLOCK, reps=DRAWS, seed=11, studentize=False)
    theirs.compute()
    ours = validation.reality_check(performance, draws=DRAWS, mean_block=BLOCK, seed=11, small_sample=False)
    assert ours == pytest.approx(theirs.pvalues["upper"])


@pytest.mark.usefixtures("same_draws")
def test_step_m_when_the_same_draws_then_the_points_of_arch(performance: FloatArray) -> None:
    theirs = StepM(np.zeros(TIME), in_their_unit(performance), size=0.1, block_size=BLOCK, reps=DRAWS, seed=11)
    theirs.compute()
    ours = validation.step_m(performance, level=0.1, draws=DRAWS, mean_block=BLOCK, seed=11, small_sample=False)
    assert np.flatnonzero(ours).tolist() == list(theirs.superior_models)


def test_stationary_bootstrap_when_own_draws_then_p_values_near_those_of_arch(performance: FloatArray) -> None:
    theirs = SPA(np.zeros(TIME), in_their_unit(performance), block_size=BLOCK, reps=4000, seed=5)
    theirs.compute()
    ours = validation.superior_predictive_ability(performance, draws=4000, mean_block=BLOCK, seed=6, small_sample=False)
    share = float(theirs.pvalues["consistent"])
    assert abs(ours.p_consistent - share) < 4 * math.sqrt(2 * max(share * (1 - share), 1e-3) / 4000)


SPLITS = [(100, 5, 2, 0, 0), (100, 5, 2, 3, 0), (103, 5, 2, 0, 4), (103, 6, 3, 2, 3), (240, 10, 2, 5, 6)]


@pytest.mark.parametrize(("observations", "folds", "test_folds", "purge", "embargo"), SPLITS)
def test_combinatorial_splits_when_purged_then_the_indices_of_skfolio(
    observations: int, folds: int, test_folds: int, purge: int, embargo: int
) -> None:
    theirs = CombinatorialPurgedCV(folds, test_folds, purged_size=purge, embargo_size=embargo)
    ours = list(validation.combinatorial_splits(observations, folds, test_folds, purge=purge, embargo=embargo))
    assert len(ours) == theirs.n_splits
    for (train, test), (their_train, their_tests) in zip(ours, theirs.split(np.zeros((observations, 1))), strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, np.concatenate(their_tests))


@pytest.mark.parametrize("expanding", [False, True])
@pytest.mark.parametrize(("train", "test", "purge"), [(20, 5, 0), (20, 7, 3), (31, 10, 5)])
def test_walk_forward_splits_when_purged_then_the_indices_of_skfolio(
    train: int, test: int, purge: int, expanding: bool
) -> None:
    # They train on the observations before the purge, we too: the first test begins at train + purge.
    theirs = WalkForward(test, train, purged_size=purge, expand_train=expanding)
    ours = list(validation.walk_forward_splits(100, train, test, purge=purge, expanding=expanding))
    found = list(theirs.split(np.zeros((100, 1))))
    assert len(ours) == len(found)
    for (learnt, tested), (their_train, their_test) in zip(ours, found, strict=True):
        np.testing.assert_array_equal(learnt, their_train)
        np.testing.assert_array_equal(tested, their_test)
