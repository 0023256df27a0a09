"""Statistics that keep a search honest: how good is the best of many, and does it hold where it was not chosen?

Pure functions on arrays. Bad input (not finite, lengths that differ, too few observations) raises ``ValueError``.
What has no answer (no trades, one cluster, no spread) gets the answer that passes no gate, never a NaN.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import special

from tradepulse.kernels.overfitting import rank_halves

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EULER_MASCHERONI = 0.5772156649015329
MOST_BLOCKS = 20
MEAN_BLOCK = 2.0
"""Times per block of the bootstrap. Longer blocks of a few dozen times pass more noise (``benchmarks.calibration``)."""


@dataclass(frozen=True, slots=True)
class SharpeMoments:
    """What the Sharpe formulas need of a sample; ``kurtosis`` is raw (3 for a normal distribution)."""

    sharpe: float
    skew: float
    kurtosis: float
    observations: int


def sharpe_moments(results: npt.ArrayLike) -> SharpeMoments:
    """Moments per observation, of the sample itself (not corrected for its size). All zero where nothing varies."""
    values = _finite(results, "results", dimensions=1)
    if values.size < 2:
        raise ValueError(f"results: at least 2 observations are needed, got {values.size}")
    centred = values - values.mean()
    sd = math.sqrt(float(np.mean(centred**2)))
    if sd <= 1e-12 * max(1e-300, float(np.abs(values).max())):
        return SharpeMoments(0.0, 0.0, 3.0, values.size)
    standard = centred / sd
    return SharpeMoments(
        float(values.mean()) / sd, float(np.mean(standard**3)), float(np.mean(standard**4)), values.size
    )


def probabilistic_sharpe_ratio(
    sharpe: float, benchmark: float, observations: float, skew: float, kurtosis: float
) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark`` (Bailey & López de Prado 2012).

    Both ratios per observation, ``kurtosis`` raw (3 for a normal distribution)::

        Φ[(SR − SR*)·√(T − 1) / √(1 − g3·SR + (g4 − 1)/4·SR²)]
    """
    _all_finite(sharpe=sharpe, benchmark=benchmark, observations=observations, skew=skew, kurtosis=kurtosis)
    if observations < 2:
        raise ValueError(f"observations: at least 2 are needed, got {observations}")
    spread = math.sqrt(_sharpe_variance(sharpe, skew, kurtosis))
    return float(special.ndtr((sharpe - benchmark) * math.sqrt(observations - 1) / spread))


def _sharpe_variance(sharpe: float, skew: float, kurtosis: float) -> float:
    """Variance of an estimated Sharpe ratio, times T − 1 (Mertens 2002)."""
    variance = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if variance <= 0:
        raise ValueError(f"no distribution has skew {skew} with kurtosis {kurtosis}, or it is too extreme for {sharpe}")
    return variance


def expected_maximum_sharpe(variance: float, trials: float) -> float:
    """Sharpe ratio the best of ``trials`` independent trials without skill is expected to show.

    ``variance`` is that of the trials' Sharpe ratios, in the same unit (per observation for the deflated ratio)::

        SR0 = √V·((1 − c)·Φ⁻¹[1 − 1/N] + c·Φ⁻¹[1 − 1/(N·e)])          Bailey & López de Prado 2014

    Zero for a single trial. ``trials`` may be a fraction (see ``effective_trials``).
    """
    _all_finite(variance=variance, trials=trials)
    if variance < 0:
        raise ValueError(f"variance: must not be negative, got {variance}")
    return math.sqrt(variance) * _expected_maximum(trials)


def _expected_maximum(trials: float) -> float:
    """Approximate mean of the largest of ``trials`` standard normal numbers, never below that of one (zero)."""
    if trials < 1:
        raise ValueError(f"trials: at least 1 is needed, got {trials}")
    if trials == 1:
        return 0.0
    # Φ⁻¹(1 − q) = −Φ⁻¹(q), which keeps its digits for millions of trials.
    largest = -special.ndtri(1 / trials) * (1 - EULER_MASCHERONI)
    return max(0.0, float(largest - special.ndtri(1 / (trials * math.e)) * EULER_MASCHERONI))


def deflated_sharpe_ratio(
    sharpe: float, observations: float, skew: float, kurtosis: float, variance: float, trials: float
) -> float:
    """Probability that the true Sharpe ratio exceeds what the best of ``trials`` shows without skill.

    All per observation; ``variance`` is that of the trials' ratios (Bailey & López de Prado 2014).
    """
    benchmark = expected_maximum_sharpe(variance, trials)
    return probabilistic_sharpe_ratio(sharpe, benchmark, observations, skew, kurtosis)


def effective_trials(average_correlation: float, trials: float) -> float:
    """Independent trials that ``trials`` correlated ones amount to: ``N_eff = ρ + (1 − ρ)·M``.

    A negative average correlation counts as none (Bailey & López de Prado 2014, appendix 3).
    """
    _all_finite(average_correlation=average_correlation, trials=trials)
    if trials < 1 or not -1 <= average_correlation <= 1:
        raise ValueError(f"trials at least 1 and correlation in [-1, 1], got {trials} and {average_correlation}")
    shared = max(0.0, average_correlation)
    return shared + (1 - shared) * trials


def minimum_track_record_length(
    sharpe: float, benchmark: float, skew: float, kurtosis: float, level: float = 0.95
) -> float:
    """Whole number of observations from which ``probabilistic_sharpe_ratio`` reaches ``level`` (2012).

    ``inf`` where the ratio does not exceed the benchmark: no record is long enough.
    """
    _all_finite(sharpe=sharpe, benchmark=benchmark, skew=skew, kurtosis=kurtosis, level=level)
    if not 0.5 < level < 1:
        raise ValueError(f"level: must be above 0.5 and below 1, got {level}")
    if sharpe <= benchmark:
        return math.inf
    needed = (float(special.ndtri(level)) / (sharpe - benchmark)) ** 2 * _sharpe_variance(sharpe, skew, kurtosis)
    return float(math.ceil(needed)) + 1 if math.isfinite(needed) else math.inf


def minimum_backtest_length(trials: float, sharpe: float = 1.0) -> float:
    """Years of data below which the best of ``trials`` without skill shows the annual ``sharpe`` on average.

    ``(expected maximum of N standard normal numbers / SR)²`` (Bailey, Borwein, López de Prado & Zhu 2014).
    """
    _all_finite(trials=trials, sharpe=sharpe)
    if sharpe <= 0:
        raise ValueError(f"sharpe: must be positive, got {sharpe}")
    return (_expected_maximum(trials) / sharpe) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class Cscv:
    """Combinatorially symmetric cross-validation; arrays have one element per split that could be judged.

    Nothing to judge (``splits`` 0): ``pbo`` and ``loss_probability`` are 1, ``slope`` is 0.
    """

    pbo: float
    """Share of splits in which the best in sample is at or below the median out of sample (λ ≤ 0)."""
    logits: FloatArray
    loss_probability: float
    """Share of splits in which the best in sample loses out of sample."""
    slope: float
    """Least-squares slope of out-of-sample on in-sample performance of the best; 0 where the latter is constant."""
    in_sample: FloatArray
    out_of_sample: FloatArray

    @property
    def splits(self) -> int:
        return self.logits.size


def cscv(sums: npt.ArrayLike, counts: npt.ArrayLike, *, minimum_trades: float = 1, by_certainty: bool = False) -> Cscv:
    """Probability of backtest overfitting (Bailey, Borwein, López de Prado & Zhu 2017) over all halvings of the blocks.

    ``sums`` and ``counts``: [blocks, points], total result and number of trades. A point's performance in half of the
    blocks is its mean result per trade; ``by_certainty``: that times the root of the number of trades, a t-statistic
    but for the spread of a trade, which keeps points with few trades from being the best of every half.
    A point with fewer than ``minimum_trades`` in either half is left out of that
    split on both sides; a split with fewer than two points left is not judged. Ties out of sample share their rank.
    The blocks are an even number, at most 20; splits are ordered by their in-sample blocks.
    """
    totals, trades = _sums_and_counts(sums, counts, dimensions=2)
    blocks = totals.shape[0]
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise ValueError(f"blocks: must be an even number from 2 to {MOST_BLOCKS}, got {blocks}")
    if minimum_trades <= 0:
        raise ValueError(f"minimum_trades: must be positive, got {minimum_trades}")
    halves = _halves_with_the_first_block(blocks)
    forward, backward = rank_halves(halves, totals, trades, float(minimum_trades), 0.5 if by_certainty else 1.0)
    # In lexicographic order the complement of the first half is the last, of the second the last but one, and so on.
    return _cscv_of(np.concatenate((forward, backward[::-1])))


def _halves_with_the_first_block(blocks: int) -> FloatArray:
    """[C(blocks, half) / 2, blocks] of 0 and 1: one of each pair of complementary halves, in lexicographic order."""
    chosen = [(0, *rest) for rest in combinations(range(1, blocks), blocks // 2 - 1)]
    halves = np.zeros((len(chosen), blocks))
    np.put_along_axis(halves, np.array(chosen), 1.0, axis=1)
    return halves


def _cscv_of(rows: FloatArray) -> Cscv:
    logits, inside, outside = (np.ascontiguousarray(column) for column in rows[~np.isnan(rows[:, 0])].T)
    if not logits.size:
        return Cscv(1.0, logits, 1.0, 0.0, inside, outside)
    spread = inside - inside.mean()
    square = float(spread @ spread)
    slope = float(spread @ (outside - outside.mean())) / square if square > 1e-18 * inside.size else 0.0
    # The rank in the middle gives an exact zero only up to rounding.
    pbo = float(np.mean(logits <= 1e-12))
    return Cscv(pbo, logits, float(np.mean(outside < 0)), slope, inside, outside)


def stationary_bootstrap(time: int, mean_block: float, draws: int, seed: int) -> IntArray:
    """[draws, time] indices: runs of neighbours round a circle, of geometric length with this mean.

    Politis & Romano 1994. The same seed gives the same indices.
    """
    if time < 1 or draws < 1 or not 1 <= mean_block < math.inf:
        raise ValueError(f"time, draws and mean_block: at least 1, got {time}, {draws} and {mean_block}")
    generator = np.random.default_rng(seed)
    indices = generator.integers(time, size=(draws, time), dtype=np.int64)
    begins = generator.random((draws, time)) < 1 / mean_block
    for step in range(1, time):
        following = (indices[:, step - 1] + 1) % time
        indices[:, step] = np.where(begins[:, step], indices[:, step], following)
    return indices


@dataclass(frozen=True, slots=True)
class Spa:
    """p-values of "no point beats the benchmark"; the consistent one is the test, the others are its bounds.

    Where no point can be judged, all are 1 and ``best`` is ``None``.
    """

    p_lower: float
    p_consistent: float
    p_upper: float
    best: int | None
    """The point with the largest studentised mean."""


def superior_predictive_ability(
    performance: npt.ArrayLike,
    benchmark: npt.ArrayLike | None = None,
    *,
    draws: int = 1000,
    mean_block: float = MEAN_BLOCK,
    seed: int = 0,
    small_sample: bool = True,
) -> Spa:
    """Test of superior predictive ability (Hansen 2005), studentised, over a stationary bootstrap.

    ``performance``: [time, points], more is better; ``benchmark``: [time], zero where absent. A point whose difference
    to the benchmark never varies is left out: it can neither be studentised nor resampled. ``mean_block`` is in
    times. ``small_sample`` widens the resamples by what the bootstrap of independent
    observations loses because their mean is estimated too (10 % of the variance with 64 times in blocks of 4); without
    it the test passes up to twice as much noise as it should with so few.
    """
    resampled = _Resampled.of(performance, benchmark, draws, mean_block, seed, small_sample)
    if not resampled.points.size:
        return Spa(1.0, 1.0, 1.0, None)
    largest = float(resampled.means.max())
    lower, consistent, upper = (
        float(np.mean(resampled.largest_of_null(centre) > largest))
        for centre in (np.maximum(resampled.means, 0.0), resampled.consistent_centre(), resampled.means)
    )
    return Spa(lower, consistent, upper, int(resampled.points[np.argmax(resampled.means)]))


def reality_check(
    performance: npt.ArrayLike,
    benchmark: npt.ArrayLike | None = None,
    *,
    draws: int = 1000,
    mean_block: float = MEAN_BLOCK,
    seed: int = 0,
    small_sample: bool = True,
) -> float:
    """p-value of "no point beats the benchmark" (White 2000): not studentised, centred on every point's own mean.

    Inputs as in ``superior_predictive_ability``. One noisy point is enough to hide the others.
    """
    resampled = _Resampled.of(performance, benchmark, draws, mean_block, seed, small_sample, studentised=False)
    if not resampled.points.size:
        return 1.0
    return float(np.mean(resampled.largest_of_null(resampled.means) > resampled.means.max()))


def step_m(
    performance: npt.ArrayLike,
    benchmark: npt.ArrayLike | None = None,
    *,
    level: float = 0.05,
    draws: int = 1000,
    mean_block: float = MEAN_BLOCK,
    seed: int = 0,
    small_sample: bool = True,
) -> BoolArray:
    """[points] that beat the benchmark, with at most ``level`` probability that any of them does not.

    Stepwise test of Romano & Wolf 2005, studentised, with Hansen's consistent centring. Inputs as in
    ``superior_predictive_ability``.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: must be between 0 and 1, got {level}")
    resampled = _Resampled.of(performance, benchmark, draws, mean_block, seed, small_sample)
    superior = np.zeros(resampled.points.size, dtype=np.bool_)
    null = resampled.null(resampled.consistent_centre())
    while not superior.all():
        critical = np.quantile(null[:, ~superior].max(axis=1), 1 - level)
        found = ~superior & (resampled.means > critical)
        if not found.any():
            break
        superior |= found
    answer = np.zeros(resampled.all_points, dtype=np.bool_)
    answer[resampled.points[superior]] = True
    return answer


@dataclass(frozen=True, slots=True, eq=False)
class _Resampled:
    """Differences to the benchmark of the points that vary: their means and the means of their resamples."""

    points: IntArray
    all_points: int
    time: int
    means: FloatArray
    deviations: FloatArray
    """√ of the long-run variance per observation, in the unit of ``means``."""
    drawn: FloatArray
    """[draws, points] means of the resamples."""

    @classmethod
    def of(
        cls,
        performance: npt.ArrayLike,
        benchmark: npt.ArrayLike | None,
        draws: int,
        mean_block: float,
        seed: int,
        small_sample: bool,
        *,
        studentised: bool = True,
    ) -> "_Resampled":
        values = _differences(performance, benchmark)
        time, all_points = values.shape
        indices = stationary_bootstrap(time, mean_block, draws, seed)
        deviations = np.sqrt(np.maximum(_long_run_variance(values, mean_block), 0.0))
        points = np.flatnonzero(deviations > 1e-9 * (np.abs(values).max(axis=0) + 1e-300))
        values, deviations = values[:, points], deviations[points]
        if studentised:
            values, deviations = values / deviations, np.ones(points.size)
        means = values.mean(axis=0)
        drawn = _shares(indices) @ values
        if small_sample:
            drawn = means + (drawn - means) / math.sqrt(_variance_kept(time, mean_block))
        return cls(points, all_points, time, means, deviations, drawn)

    def consistent_centre(self) -> FloatArray:
        """A point far below the benchmark is not centred: it cannot be the best, nor can its resamples."""
        far = -self.deviations * math.sqrt(2 * max(0.0, math.log(max(1.0, math.log(self.time)))) / self.time)
        return np.where(self.means >= far, self.means, 0.0)

    def null(self, centre: FloatArray) -> FloatArray:
        return self.drawn - centre

    def largest_of_null(self, centre: FloatArray) -> FloatArray:
        largest: FloatArray = self.null(centre).max(axis=1)
        return largest


def _differences(performance: npt.ArrayLike, benchmark: npt.ArrayLike | None) -> FloatArray:
    values = _finite(performance, "performance", dimensions=2)
    if values.shape[0] < 2 or values.shape[1] < 1:
        raise ValueError(f"performance: at least 2 times and 1 point are needed, got {values.shape}")
    if benchmark is None:
        return values
    base = _finite(benchmark, "benchmark", dimensions=1)
    if base.size != values.shape[0]:
        raise ValueError(f"benchmark: must be as long as the performance ({values.shape[0]}), got {base.size}")
    return values - base[:, None]


def _shares(indices: IntArray) -> FloatArray:
    """[draws, time]: how often each time was drawn, as a share, so that a product with the data gives the means."""
    draws, time = indices.shape
    places = indices + np.arange(draws)[:, None] * time
    times_drawn = np.bincount(places.ravel(), minlength=draws * time).reshape(draws, time)
    return np.asarray(times_drawn / time, dtype=np.float64)


def _long_run_variance(values: FloatArray, mean_block: float) -> FloatArray:
    """[points] variance of √T times the mean under the stationary bootstrap (Politis & Romano 1994, lemma 1)."""
    time = values.shape[0]
    centred = values - values.mean(axis=0)
    variance = np.mean(centred**2, axis=0)
    for lag, weight in enumerate(_lag_weights(time, mean_block), start=1):
        if weight > 1e-15:
            variance += 2 * weight * np.einsum("tp,tp->p", centred[:-lag], centred[lag:]) / time
    return np.asarray(variance, dtype=np.float64)


def _lag_weights(time: int, mean_block: float) -> FloatArray:
    """[time − 1] how much the stationary bootstrap keeps of the covariance at each lag, from 1."""
    lags, stays = np.arange(1, time, dtype=np.float64), 1 - 1 / mean_block
    return np.asarray((1 - lags / time) * stays**lags + lags / time * stays ** (time - lags), dtype=np.float64)


def _variance_kept(time: int, mean_block: float) -> float:
    """Expected ``_long_run_variance`` of independent observations of variance 1, whose covariances are −1 / time."""
    shares = np.arange(time - 1, 0, -1) / time**2
    return max(1 / time, 1 - 1 / time - 2 * float(_lag_weights(time, mean_block) @ shares))


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """Mean result per trade, and how sure it is when trades of one cluster share their fate.

    ``clusters`` counts those with trades. With fewer than two, or without any spread, there is nothing to judge by:
    ``standard_error`` is ``inf`` (0 without spread), ``t`` is 0 and ``p_value`` 1.
    """

    mean: float
    standard_error: float
    t: float
    clusters: int
    p_value: float
    """One-sided: of a mean above zero, from Student's t with ``clusters`` − 1 degrees of freedom."""


def clustered_mean(sums: npt.ArrayLike, counts: npt.ArrayLike) -> ClusteredMean:
    """Ratio Σ sums / Σ counts over clusters (blocks of time) with its cluster-robust standard error.

    ``sums`` and ``counts``: [clusters]; clusters without trades are left out. Variance ``G/(G − 1)·Σ(S − m·N)²/(ΣN)²``
    (Liang & Zeger 1986, with the usual correction for few clusters); mean 0 without any trade.
    """
    totals, trades = _sums_and_counts(sums, counts, dimensions=1)
    traded = trades > 0
    totals, trades = totals[traded], trades[traded]
    clusters = totals.size
    mean = float(totals.sum() / trades.sum()) if clusters else 0.0
    if clusters < 2:
        return ClusteredMean(mean, math.inf, 0.0, clusters, 1.0)
    residuals = totals - mean * trades
    error = math.sqrt(clusters / (clusters - 1) * float(residuals @ residuals)) / float(trades.sum())
    if error <= 1e-12 * abs(mean) or error == 0:
        return ClusteredMean(mean, 0.0, 0.0, clusters, 1.0)
    t = mean / error
    return ClusteredMean(mean, error, t, clusters, float(special.stdtr(clusters - 1, -t)))


def benjamini_hochberg(p_values: npt.ArrayLike, level: float) -> BoolArray:
    """Which hypotheses to reject so that at most ``level`` of the rejections are false on average (1995)."""
    values = _finite(p_values, "p_values", dimensions=1)
    if np.any((values < 0) | (values > 1)):
        raise ValueError("p_values: must be between 0 and 1")
    if not 0 < level < 1:
        raise ValueError(f"level: must be between 0 and 1, got {level}")
    ordered = np.sort(values)
    below = np.flatnonzero(ordered <= level * np.arange(1, values.size + 1) / max(1, values.size))
    return values <= (ordered[below[-1]] if below.size else -1.0)


def combinatorial_splits(
    observations: int, folds: int, test_folds: int, *, purge: int = 0, embargo: int = 0
) -> Iterator[tuple[IntArray, IntArray]]:
    """(train, test) indices of every choice of ``test_folds`` among contiguous ``folds`` (López de Prado 2018).

    Left out of training: ``purge`` observations on both sides of every test stretch, and ``embargo`` more after it.
    The last fold takes what does not divide evenly.
    """
    if not 2 <= folds <= observations or not 1 <= test_folds < folds:
        raise ValueError(f"{test_folds} test folds of {folds} over {observations} observations cannot be made")
    if purge < 0 or embargo < 0:
        raise ValueError(f"purge and embargo: must not be negative, got {purge} and {embargo}")
    fold_of = np.minimum(np.arange(observations) // (observations // folds), folds - 1)
    for chosen in combinations(range(folds), test_folds):
        tested = np.isin(fold_of, chosen)
        spoilt = tested.copy()
        for at in np.flatnonzero(np.diff(tested.astype(np.int8)) == 1):
            spoilt[max(0, at + 1 - purge) : at + 1] = True
        for at in np.flatnonzero(np.diff(tested.astype(np.int8)) == -1):
            spoilt[at + 1 : at + 1 + purge + embargo] = True
        yield np.flatnonzero(~spoilt), np.flatnonzero(tested)


def walk_forward_splits(
    observations: int, train: int, test: int, *, purge: int = 0, embargo: int = 0, expanding: bool = False
) -> Iterator[tuple[IntArray, IntArray]]:
    """(train, test) indices in order of time: train on ``train`` observations, test on the ``test`` that follow.

    ``purge`` observations between the two belong to neither (their trades may last into the test); the first
    ``embargo`` of the test are not tested (indicators still remember the training). Test stretches that do not fit
    whole are left out. ``expanding``: training keeps everything since the beginning.
    """
    if train < 1 or test < 1 or purge < 0 or not 0 <= embargo < test:
        raise ValueError(f"train {train}, test {test}, purge {purge}, embargo {embargo} make no split")
    for begin in range(train + purge, observations - test + 1, test):
        last = begin - purge
        yield np.arange(0 if expanding else last - train, last), np.arange(begin + embargo, begin + test)


def _finite(values: npt.ArrayLike, name: str, *, dimensions: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions:
        raise ValueError(f"{name}: {dimensions} dimensions are needed, got {array.ndim}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: must be finite")
    return array


def _sums_and_counts(sums: npt.ArrayLike, counts: npt.ArrayLike, *, dimensions: int) -> tuple[FloatArray, FloatArray]:
    totals, trades = _finite(sums, "sums", dimensions=dimensions), _finite(counts, "counts", dimensions=dimensions)
    if totals.shape != trades.shape:
        raise ValueError(f"sums and counts: must have the same shape, got {totals.shape} and {trades.shape}")
    if np.any(trades < 0) or np.any((trades == 0) & (totals != 0)):
        raise ValueError("counts: must not be negative, and where they are zero the sum is zero")
    return totals, trades


def _all_finite(**values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}: must be finite, got {value}")
