"""Many thin cells are one model: what each owes to its factors, and what is left to itself.

Every cell is the sum of a common level, one normal effect per factor (strategy, regime, timeframe, symbol, exchange)
and a normal effect of its own. The variances of the effects come from the data by expectation-maximisation, so that
cells are drawn together exactly as far as they are alike (Gelman & Hill 2007, chapters 12 to 14). Wins are binomial on
the log-odds scale with Laplace's approximation of the posterior; means of R are normal, where that is exact.

A cell without trades gets what its factors say of it. Bad input raises ``ValueError``; no answer is ever NaN.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CELL = "cell"
LEVEL_SD = 0.3
"""Prior of the common level around the offset, log-odds: most rules earn nothing, and what passed a test was lucky too.

Seven points of precision. It and the three below were set where claims met what was made on planted markets.
"""
MEAN_R_SD = 0.12
"""Prior of the common mean R around zero."""
EFFECT_SD = 0.07
"""Spread a factor is held to have before the data speak, log-odds, with the weight of ``EFFECT_LEVELS`` levels."""
EFFECT_SD_R = 0.03
"""The same in R."""
EFFECT_LEVELS = 1.0
SPREAD_TRADES = 100.0
LEAST_SPREAD = 1e-6
MOST_STEPS = 200
LONGEST_STRIDE = 16.0
LOG_VARIANCES = (-30.0, 10.0)
TOLERANCE = 1e-6
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


@dataclass(frozen=True, slots=True, eq=False)
class PooledPrecision:
    """Posterior of every cell's share of wins: normal on the log-odds scale. Arrays: [cells]."""

    logit_mean: FloatArray
    logit_sd: FloatArray
    effect_sd: dict[str, float]
    """Estimated spread of each factor's effects, and of the cells' own (``cell``), log-odds."""

    @property
    def mean(self) -> FloatArray:
        """Expected share of wins (not that of the expected log-odds)."""
        shares = special.expit(self.logit_mean[:, None] + self.logit_sd[:, None] * _NODES)
        return np.asarray(shares @ (_WEIGHTS / _WEIGHTS.sum()), dtype=np.float64)

    def lower(self, level: float = 0.95) -> FloatArray:
        """One-sided bound: the share of wins lies above it with probability ``level``."""
        if not 0 < level < 1:
            raise ValueError(f"level: must be between 0 and 1, got {level}")
        return np.asarray(special.expit(self.logit_mean - special.ndtri(level) * self.logit_sd), dtype=np.float64)

    def probability_above(self, thresholds: npt.ArrayLike) -> FloatArray:
        """Probability that the share of wins exceeds each cell's threshold (a share; one for all, or one per cell)."""
        shares = np.asarray(thresholds, dtype=np.float64)
        if not np.all((shares >= 0) & (shares <= 1)):
            raise ValueError("thresholds: must be shares between 0 and 1")
        distance = (self.logit_mean - special.logit(shares)) / self.logit_sd
        return np.asarray(special.ndtr(distance), dtype=np.float64)

    @property
    def effective_trades(self) -> FloatArray:
        """Trades of its own that would make a cell as certain as it is together with the others."""
        share = special.expit(self.logit_mean)
        return np.asarray(1 / (self.logit_sd**2 * share * (1 - share)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PooledMeans:
    """Posterior of every cell's mean, normal. Arrays: [cells], in the unit of the means."""

    mean: FloatArray
    sd: FloatArray
    effect_sd: dict[str, float]

    @property
    def probability_positive(self) -> FloatArray:
        return self.probability_above(0.0)

    def lower(self, level: float = 0.95) -> FloatArray:
        """One-sided bound: the mean lies above it with probability ``level``."""
        if not 0 < level < 1:
            raise ValueError(f"level: must be between 0 and 1, got {level}")
        return np.asarray(self.mean - special.ndtri(level) * self.sd, dtype=np.float64)

    def probability_above(self, other: "npt.ArrayLike | PooledMeans") -> FloatArray:
        """Probability that each mean exceeds ``other``: known numbers, or posteriors taken as independent of these.

        Two ways of trading the same candles are not independent: pool the means of their differences instead.
        """
        if isinstance(other, PooledMeans):
            distance = (self.mean - other.mean) / np.hypot(self.sd, other.sd)
        else:
            distance = (self.mean - np.asarray(other, dtype=np.float64)) / self.sd
        if not np.isfinite(distance).all():
            raise ValueError("other: must be finite")
        return np.asarray(special.ndtr(distance), dtype=np.float64)


def pool_precision(
    wins: npt.ArrayLike,
    trades: npt.ArrayLike,
    factors: Mapping[str, npt.ArrayLike],
    *,
    offset: npt.ArrayLike | None = None,
) -> PooledPrecision:
    """Share of wins per cell: ``logit P(win) = offset + μ + Σ effects of the factors + own effect``.

    ``wins``, ``trades``: [cells]; ``factors``: name to [cells] of whole numbers, the level that each cell belongs to.
    ``offset``: [cells], log-odds, what the cells are expected to differ by (such as their break-even precision).
    """
    won, made = _column(wins, "wins"), _column(trades, "trades")
    base = np.zeros(made.size) if offset is None else _column(offset, "offset")
    if not won.size == made.size == base.size:
        raise ValueError(f"wins, trades and offset: must be as long, got {won.size}, {made.size} and {base.size}")
    if np.any(won < 0) or np.any(won > made):
        raise ValueError("wins: must be between 0 and the number of trades")

    def work(linear: FloatArray) -> tuple[FloatArray, FloatArray]:
        share = special.expit(base + linear)
        return made * share * (1 - share), won - made * share

    prior = _Prior(LEVEL_SD, EFFECT_SD)
    fit = _fit(work, _Design.of(made.size, factors), prior)
    return PooledPrecision(base + fit.linear, fit.sd, fit.effect_sd)


def pool_means(
    means: npt.ArrayLike, variances_of_mean: npt.ArrayLike, factors: Mapping[str, npt.ArrayLike]
) -> PooledMeans:
    """Mean R per cell: ``mean = μ + Σ effects of the factors + own effect``, measured with a known variance.

    ``means``, ``variances_of_mean`` (the square of the standard error; ``inf``: nothing was measured): [cells];
    ``factors`` as in ``pool_precision``.
    """
    measured = _column(means, "means")
    variances = np.asarray(variances_of_mean, dtype=np.float64)
    if variances.shape != measured.shape:
        raise ValueError(f"variances_of_mean: must be as long as the means ({measured.size}), got {variances.shape}")
    if not np.all(variances > 0):
        raise ValueError("variances_of_mean: must be positive")
    weights = 1 / variances

    def work(linear: FloatArray) -> tuple[FloatArray, FloatArray]:
        return weights, weights * (measured - linear)

    fit = _fit(work, _Design.of(measured.size, factors), _Prior(MEAN_R_SD, EFFECT_SD_R))
    return PooledMeans(fit.linear, fit.sd, fit.effect_sd)


def variances_of_mean(trades: npt.ArrayLike, sums: npt.ArrayLike, squares: npt.ArrayLike) -> FloatArray:
    """[cells] variance of each mean R, for ``pool_means``, from the sums of R and of R² over the trades of each cell.

    The spread of a trade is drawn from a cell's own towards that of all cells with the weight of ``SPREAD_TRADES``: by
    itself it is smallest where luck was even, and such a cell would be believed too much. ``inf`` without trades.
    """
    made, total, squared = (_column(*pair) for pair in ((trades, "trades"), (sums, "sums"), (squares, "squares")))
    if not made.size == total.size == squared.size or np.any(made < 0) or np.any(squared < 0):
        raise ValueError("trades, sums and squares: must be as long, trades and squares not negative")
    filled = np.maximum(made, 1.0)
    within = np.maximum(squared - total**2 / filled, 0.0)
    freedom = np.maximum(made - 1, 0.0)
    # With no cell of two trades there is no spread to see; a trade is then taken to vary by its whole risk.
    typical = max(float(within.sum() / freedom.sum()), LEAST_SPREAD) if freedom.any() else 1.0
    spread = (within + SPREAD_TRADES * typical) / (freedom + SPREAD_TRADES)
    return np.asarray(np.where(made > 0, spread / filled, np.inf), dtype=np.float64)


Work = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Linear predictor to (minus the second, the first) derivative of each cell's log-likelihood."""


@dataclass(frozen=True, slots=True)
class _Prior:
    level_sd: float
    effect_sd: float

    def variance(self, squares: float, levels: int) -> float:
        """Most likely variance of ``levels`` effects with this sum of expected squares, weighed with the prior's.

        Without it the estimate falls to zero as soon as a factor has few levels, and the bounds are too bold.
        """
        return (squares + EFFECT_LEVELS * self.effect_sd**2) / (levels + EFFECT_LEVELS)


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """``columns``: [cells, 1 + levels] of 0 and 1, the first for the level; ``groups``: where each factor's are.

    A factor with one level says nothing that the level does not; nor does a cell of its own where it is alone.
    """

    columns: FloatArray
    groups: dict[str, slice]
    own_effects: bool

    @classmethod
    def of(cls, cells: int, factors: Mapping[str, npt.ArrayLike]) -> "_Design":
        if cells < 1:
            raise ValueError("cells: at least 1 is needed")
        columns = [np.ones((cells, 1))]
        groups, width = {}, 1
        for name, codes in factors.items():
            levels, of_cell = np.unique(_codes(codes, name, cells), return_inverse=True)
            if levels.size > 1:
                columns.append(np.eye(levels.size)[of_cell])
                groups[name] = slice(width, width + levels.size)
                width += levels.size
        return cls(np.hstack(columns), groups, cells > 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    linear: FloatArray
    sd: FloatArray
    effect_sd: dict[str, float]


def _fit(work: Work, design: _Design, prior: _Prior) -> _Fit:
    """Expectation-maximisation: effects given their variances, then variances given the effects, until they agree.

    Where there is little to find the variances fall slowly, hence the extrapolation of every two steps (SQUAREM,
    Varadhan & Roland 2008, on the logarithms).
    """
    variances = np.full(len(design.groups) + design.own_effects, 2 * math.log(prior.effect_sd))
    linear = np.zeros(design.columns.shape[0])
    for _ in range(MOST_STEPS):
        posterior = _posterior(work, design, prior, variances, linear)
        once = _maximised(posterior, design, prior)
        first = once - variances
        if np.abs(first).max(initial=0.0) < TOLERANCE:
            break
        posterior = _posterior(work, design, prior, once, posterior.linear)
        second = _maximised(posterior, design, prior) - once
        length = -math.sqrt(float(first @ first) / max(float((second - first) @ (second - first)), 1e-30))
        length = min(-1.0, max(-LONGEST_STRIDE, length))
        variances = np.clip(variances - 2 * length * first + length**2 * (second - first), *LOG_VARIANCES)
        linear = posterior.linear
    names = [*design.groups, *([CELL] if design.own_effects else [])]
    return _Fit(posterior.linear, posterior.sd, dict(zip(names, np.exp(variances / 2).tolist(), strict=True)))


def _maximised(posterior: "_Posterior", design: _Design, prior: _Prior) -> FloatArray:
    """Logarithms of the most likely variances of the factors' effects, then of the cells' own."""
    found = [prior.variance(posterior.squares(group), group.stop - group.start) for group in design.groups.values()]
    if design.own_effects:
        found.append(prior.variance(float(posterior.own_squares.sum()), posterior.linear.size))
    return np.log(np.array(found, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """``effects`` and their ``covariance``: of the level and the factors; the rest: [cells]."""

    effects: FloatArray
    covariance: FloatArray
    linear: FloatArray
    sd: FloatArray
    own_squares: FloatArray
    """Expected square of each cell's own effect."""

    def squares(self, group: slice) -> float:
        """Sum of the expected squares of a factor's effects."""
        return float(np.sum(self.effects[group] ** 2) + np.sum(np.diag(self.covariance)[group]))


def _posterior(work: Work, design: _Design, prior: _Prior, log_variances: FloatArray, start: FloatArray) -> _Posterior:
    """Newton's method for the mode, and the curvature there (Laplace).

    With ``w`` and ``g`` the work of a cell and ``f`` what its factors say, its own effect is ``s·(linear + g/w − f)``
    with ``s = own·w / (1 + own·w)``: solved for cell by cell, which leaves a system as small as the number of levels.
    """
    penalty = np.full(design.columns.shape[1], prior.level_sd**-2)
    for group, log_variance in zip(design.groups.values(), log_variances, strict=False):
        penalty[group] = math.exp(-log_variance)
    own = math.exp(log_variances[-1]) if design.own_effects else 0.0
    columns, linear = design.columns, start
    for _ in range(MOST_STEPS):
        weights, slopes = work(linear)
        share = own * weights / (1 + own * weights)
        kept = 1 - share
        precision = (columns.T * (weights * kept)) @ columns + np.diag(penalty)
        covariance: FloatArray = np.linalg.inv(precision).astype(np.float64)
        effects = covariance @ (columns.T @ (kept * (weights * linear + slopes)))
        from_factors = columns @ effects
        following = from_factors + share * (linear - from_factors) + own * kept * slopes
        # A step of more than three on the log-odds scale overshoots where all is won or all is lost.
        step = np.clip(following - linear, -3.0, 3.0)
        linear = linear + step
        if np.abs(step).max() < 1e-7:
            break
    spread = np.einsum("kq,qr,kr->k", columns, covariance, columns, optimize=True)
    own_variance = own * kept
    own_effects = linear - from_factors
    return _Posterior(
        effects,
        covariance,
        linear,
        np.sqrt(kept**2 * spread + own_variance),
        own_effects**2 + share**2 * spread + own_variance,
    )


def _column(values: npt.ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"{name}: must be one column of finite numbers")
    return array


def _codes(values: npt.ArrayLike, name: str, cells: int) -> IntArray:
    codes = np.asarray(values)
    if codes.shape != (cells,) or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"factor {name}: must be one whole number per cell ({cells}), got {codes.shape} {codes.dtype}")
    return codes.astype(np.int64)
