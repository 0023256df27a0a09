"""How likely is the target before the stop, given how the market looks? What is asked is only how much more than usual.

A logistic head whose offset is the log-odds of the combination's own base rate: without evidence it answers the base
rate and nothing else. Ridge keeps it there; how strong it must be is asked of time the head has not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from tradepulse.encoder.features import Float32Array
from tradepulse.kernels.fills import PPM

RIDGES = (30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)
FEWEST_SETUPS = 200
SPLITS = 4
BASE_STRENGTH = 20.0
"""Setups that the rate of all counts for, beside those of a combination."""
NEWTON_STEPS = 30

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """Setups whose outcome is known, oldest first. ``won``: target before stop. Times in UTC ms."""

    embedding: Float32Array
    won: npt.NDArray[np.bool_]
    r: FloatArray
    group: IntArray
    """Number of the combination."""
    found_at: IntArray
    resolved_at: IntArray

    def __len__(self) -> int:
        return len(self.won)

    def __getitem__(self, rows: npt.NDArray[np.bool_] | IntArray) -> "Resolved":
        return Resolved(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class BaseRates:
    """Share of wins of each combination, drawn towards that of all as far as it has few setups."""

    overall: float
    groups: dict[int, float]

    @classmethod
    def of(cls, seen: Resolved) -> "BaseRates":
        overall = (float(seen.won.sum()) + 1.0) / (len(seen) + 2.0)
        groups = {}
        for group in np.unique(seen.group):
            won = seen.won[seen.group == group]
            groups[int(group)] = (float(won.sum()) + BASE_STRENGTH * overall) / (len(won) + BASE_STRENGTH)
        return cls(overall, groups)

    def at(self, group: IntArray) -> FloatArray:
        return np.array([self.groups.get(int(one), self.overall) for one in group])


@dataclass(frozen=True, slots=True, eq=False)
class PriorHead:
    weights: FloatArray
    rates: BaseRates
    ridge: float

    def probability(self, embedding: Float32Array, group: IntArray) -> FloatArray:
        answer: FloatArray = expit(logit(self.rates.at(group)) + embedding @ self.weights)
        return answer


def fit_prior(seen: Resolved) -> PriorHead | None:
    """``None`` where fewer than ``FEWEST_SETUPS`` outcomes are known: then nobody knows more than the base rate."""
    if len(seen) < FEWEST_SETUPS:
        return None
    ridge = _chosen_ridge(seen)
    rates = BaseRates.of(seen)
    return PriorHead(_weights(seen, rates, ridge), rates, ridge)


def _chosen_ridge(seen: Resolved) -> float:
    """The one with the least loss on later time, trained on what was resolved before it began."""
    cuts = np.quantile(seen.found_at, np.linspace(0, 1, SPLITS + 1)[1:])
    losses = np.zeros(len(RIDGES))
    for begin, end in pairwise(cuts):
        train = seen[seen.resolved_at < begin]
        test = seen[(seen.found_at >= begin) & (seen.found_at <= end)]
        if len(train) < FEWEST_SETUPS // 2 or not len(test):
            continue
        rates = BaseRates.of(train)
        offset = logit(rates.at(test.group))
        for row, ridge in enumerate(RIDGES):
            odds = offset + test.embedding @ _weights(train, rates, ridge)
            losses[row] += float(np.logaddexp(0.0, np.where(test.won, -odds, odds)).sum())
    # Of equals the strongest: nothing learned is the answer where nothing was.
    return RIDGES[len(RIDGES) - 1 - int(np.argmin(losses[::-1]))]


def _weights(seen: Resolved, rates: BaseRates, ridge: float) -> FloatArray:
    """Newton's method on the penalised log-likelihood; convex, so there is one answer."""
    x, won = seen.embedding.astype(np.float64), seen.won.astype(np.float64)
    offset = logit(rates.at(seen.group))
    weights = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        probability = expit(offset + x @ weights)
        gradient = x.T @ (probability - won) + ridge * weights
        curvature = (x * (probability * (1 - probability))[:, None]).T @ x + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    return weights


def size_by_prior(excess: float, half_below: float | None, skip_below: float | None) -> int:
    """Share of the usual size, in parts per million: all, half or nothing. ``None``: that was not earned.

    ``excess``: of the prior over the base rate. What is not a number says nothing.
    """
    if skip_below is not None and excess <= skip_below:
        return 0
    if half_below is not None and excess <= half_below:
        return PPM // 2
    return PPM


def nearest_share(
    seen: Resolved, embedding: Float32Array, found_at: IntArray, count: int, batch: int = 512
) -> tuple[FloatArray, FloatArray]:
    """Of the ``count`` most alike (cosine) that were resolved before ``found_at``: share of wins, mean likeness.

    NaN where fewer are known. Exact, by brute force; what the database answers is measured against it.
    """
    unit = _unit(seen.embedding)
    share, likeness = np.full(len(embedding), np.nan), np.full(len(embedding), np.nan)
    for first in range(0, len(embedding), batch):
        rows = slice(first, first + batch)
        alike = _unit(embedding[rows]) @ unit.T
        alike[seen.resolved_at[None, :] >= found_at[rows, None]] = -np.inf
        for offset, row in enumerate(alike):
            known = int(np.count_nonzero(np.isfinite(row)))
            if known >= count:
                best = np.argpartition(-row, count - 1)[:count]
                share[first + offset] = seen.won[best].mean()
                likeness[first + offset] = row[best].mean()
    return share, likeness


def _unit(embedding: Float32Array) -> Float32Array:
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    return np.asarray(embedding / np.maximum(length, 1e-9), dtype=np.float32)


def concatenated(parts: Sequence[Resolved]) -> Resolved:
    """In the order of ``found_at``."""
    whole = Resolved(*(np.concatenate([getattr(one, name) for one in parts]) for name in Resolved.__slots__))
    return whole[np.argsort(whole.found_at, kind="stable")]
