"""Which parameters are tried, and which of them is chosen.

The design is fixed: it does not depend on the data, so that all trials may be resampled together, surfaces of several
symbols can be laid upon each other, and training again adds nothing to the number of trials ever made. What is chosen
is a plateau and not a peak: the best of many trials is mostly luck, a good neighbourhood is less so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2s

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from tradepulse.domain.market import FloatArray, IntArray
from tradepulse.domain.training import AllowedRange
from tradepulse.kernels.neighbours import nearest
from tradepulse.policy.evaluation import SUM_R, SUM_R2, N
from tradepulse.strategies.base_strategy import Strategy
from tradepulse.strategies.parameters import ParameterSpec

NEIGHBOURS_SHARE = 0.005
FEWEST_NEIGHBOURS = 8
LEAST_RELEVANCE = 0.05
"""Of a parameter that explains nothing, beside the one that explains most."""
OWN_SHARE = 0.5
"""Weight of a point's own score beside that of its neighbourhood."""
MOST_ABOVE = 2.0
"""Standard errors by which a point's own score may stand above its neighbourhood's before the rest counts as luck."""
LEAST_VARIANCE = 0.05
"""Of one trade's R: a handful of equal trades must not look certain."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Points of one strategy's parameter space: ``cube`` [P, K] in [0, 1), ``points`` [P, K] in the parameters' units.

    Row ``defaults`` holds the defaults; rows behind it are configurations in force.
    """

    design_id: str
    cube: FloatArray
    points: FloatArray
    defaults: int
    ranges: tuple[AllowedRange, ...] = ()
    """What narrows the space; the cube is that of the narrowed one."""

    def with_point(self, strategy: Strategy, point: FloatArray) -> "Design":
        """One more row at the end."""
        place = in_cube(strategy, point[None, :], self.ranges)
        return replace(self, cube=np.vstack((self.cube, place)), points=np.vstack((self.points, point)))


def design(
    strategy: Strategy,
    points: int = 2048,
    seed: int = 0,
    in_force: Sequence[FloatArray] = (),
    ranges: tuple[AllowedRange, ...] = (),
) -> Design:
    """A scrambled Sobol sequence (Sobol 1967, Owen 1998) over the bounds of the parameters, then the defaults.

    ``in_force``: points of configurations that trade already; they are tried again beside the others. ``ranges``
    narrow the bounds: no point lies outside of them, defaults that do are drawn to the nearest value within.
    """
    specs = strategy.parameter_specs
    sequence = qmc.Sobol(len(specs), scramble=True, rng=np.random.default_rng(seed))
    cube = sequence.random_base2(max(points - 1, 1).bit_length())[:points]
    units = in_units(strategy, cube, ranges)
    rooms = zip(specs, _rooms(strategy, ranges), strict=True)
    defaults = np.array([room.nearest(_as_number(spec, spec.default)) for spec, room in rooms])
    units = np.vstack((units, defaults, *in_force))
    cube = np.vstack((cube, in_cube(strategy, units[points:], ranges)))
    text = f"{strategy.strategy_id}:{points}:{seed}:".encode()
    name = blake2s(text + np.ascontiguousarray(units, dtype="<f8").tobytes(), digest_size=6).hexdigest()
    return Design(name, cube, units, points, ranges)


def relevant_neighbours(
    cube: FloatArray, score: FloatArray, eligible: BoolArray, asked: BoolArray | None = None
) -> IntArray:
    """``[P, k]``: for each row those of its neighbourhood, itself first, in the parameters that matter.

    In a dozen dimensions points that are near in all of them hardly exist, and being near in a parameter without
    effect means nothing: each is stretched by the share of the score's variance that it explains by itself.
    ``asked`` [P]: rows whose neighbourhood anybody will look at (all where absent); the others get none but themselves.
    """
    matter = influence(cube, np.where(eligible, score, 0.0), eligible)
    largest = float(matter.max(initial=0.0))
    weight = matter / largest + LEAST_RELEVANCE if largest > 0 else np.ones(cube.shape[1])
    count = min(len(cube), max(FEWEST_NEIGHBOURS, round(NEIGHBOURS_SHARE * len(cube))))
    rows = np.repeat(np.arange(len(cube))[:, None], count, axis=1)
    wanted = np.arange(len(cube)) if asked is None else np.flatnonzero(asked)
    rows[wanted] = nearest(np.ascontiguousarray((cube * weight).T), wanted, count)
    return rows


def in_units(strategy: Strategy, cube: FloatArray, ranges: Sequence[AllowedRange] = ()) -> FloatArray:
    """Places in the unit cube ``[P, K]`` as parameters; whole numbers and choices by equal shares."""
    return np.column_stack([room.values(cube[:, row]) for row, room in enumerate(_rooms(strategy, ranges))])


def in_cube(strategy: Strategy, units: FloatArray, ranges: Sequence[AllowedRange] = ()) -> FloatArray:
    """The inverse of ``in_units``; whole numbers and choices lie in the middle of their share."""
    rooms = _rooms(strategy, ranges)
    places = [[room.place(value) for room, value in zip(rooms, row, strict=True)] for row in units.tolist()]
    return np.array(places, dtype=np.float64).reshape(len(units), len(rooms))


@dataclass(frozen=True, slots=True)
class _Room:
    """What a search may choose of one parameter: all from ``low`` to ``high``, or only the ``steps`` (ascending)."""

    low: float
    high: float
    steps: tuple[float, ...] = ()

    def values(self, share: FloatArray) -> FloatArray:
        if not self.steps:
            return self.low + share * (self.high - self.low)
        rows = np.minimum(np.floor(share * len(self.steps)), len(self.steps) - 1)
        result: FloatArray = np.asarray(self.steps)[rows.astype(np.int64)]
        return result

    def place(self, value: float) -> float:
        if self.steps:
            return (self.steps.index(value) + 0.5) / len(self.steps)
        return (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5

    def nearest(self, value: float) -> float:
        if self.steps:
            return min(self.steps, key=lambda step: (abs(step - value), step))
        return min(max(value, self.low), self.high)


def _rooms(strategy: Strategy, ranges: Sequence[AllowedRange]) -> list[_Room]:
    narrowed = {one.parameter: one for one in ranges if one.strategy == strategy.strategy_id}
    return [_room(spec, narrowed.get(spec.name)) for spec in strategy.parameter_specs]


def _room(spec: ParameterSpec, allowed: AllowedRange | None) -> _Room:
    if spec.kind == "choice":
        chosen = spec.choices if allowed is None else allowed.choices
        return _Room(0.0, 0.0, tuple(float(row) for row, one in enumerate(spec.choices) if one in chosen))
    low, high = (spec.low, spec.high) if allowed is None else (allowed.low, allowed.high)
    whole = spec.kind == "int"
    return _Room(low, high, tuple(float(step) for step in range(int(low), int(high) + 1)) if whole else ())


def _as_number(spec: ParameterSpec, value: float | str) -> float:
    return float(spec.choices.index(str(value))) if spec.kind == "choice" else float(value)


def totals(stats: npt.NDArray[np.floating]) -> FloatArray:
    """Sums over the time columns, in float64: ``[..., column, 4]`` to ``[..., 4]``."""
    result: FloatArray = np.asarray(stats, dtype=np.float64).sum(axis=-2)
    return result


def mean_and_variance(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean R, and the variance of that mean, of ``[..., 4]``; NaN where there are fewer than two trades."""
    count = total[..., N]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total[..., SUM_R] / count
        spread = (total[..., SUM_R2] - count * mean**2) / (count - 1)
        variance = np.maximum(spread, LEAST_VARIANCE) / count
    few = count < 2
    return np.where(few, np.nan, mean), np.where(few, np.nan, variance)


def t_statistic(total: FloatArray) -> FloatArray:
    """Mean R over its standard error; 0 where there are fewer than two trades."""
    mean, variance = mean_and_variance(total)
    return np.nan_to_num(mean / np.sqrt(variance))


def smoothed(score: FloatArray, eligible: BoolArray, neighbours: IntArray) -> FloatArray:
    """Mean score of each point's neighbourhood; a neighbour that says too little counts as no evidence, zero."""
    known = np.where(eligible, score, 0.0)
    result: FloatArray = known[neighbours].mean(axis=1)
    return result


def standing(score: FloatArray, known: BoolArray, neighbours: IntArray) -> FloatArray:
    """How well a point stands: its neighbourhood's mean score, and its own as far as that is not far above."""
    around = smoothed(score, known, neighbours)
    return around + OWN_SHARE * np.minimum(score, around + MOST_ABOVE)


def plateau(score: FloatArray, eligible: BoolArray, neighbours: IntArray, known: BoolArray | None = None) -> int | None:
    """The eligible point that stands best; ``None`` where no point is eligible. Ties: the lower row.

    ``known``: points whose score says something, where these are more than those that may be chosen.
    """
    if not eligible.any():
        return None
    return int(
        np.argmax(np.where(eligible, standing(score, eligible if known is None else known, neighbours), -np.inf))
    )


def shrunk(
    mean: FloatArray, variance: FloatArray, towards: FloatArray, towards_variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Cells ``[C, P]`` drawn towards their parent ``[P]``: posterior mean and variance of a normal-normal model.

    How much cells truly differ is estimated by moments over all cells and points (one figure, never below zero): where
    they differ no more than chance, each cell is its parent. Cells without trades are their parent.
    """
    known = np.isfinite(mean) & np.isfinite(variance) & np.isfinite(towards)
    difference = np.where(known, mean - towards, 0.0) ** 2 - np.where(known, variance, 0.0)
    weight = np.where(known, 1.0 / np.where(known, variance, 1.0), 0.0)
    apart = max(float((difference * weight).sum() / weight.sum()), 0.0) if weight.any() else 0.0
    prior = apart + towards_variance
    share = np.where(known, prior / (prior + np.where(known, variance, 1.0)), 0.0) if apart > 0 else np.zeros_like(mean)
    centre = np.where(np.isfinite(towards), towards, 0.0)
    posterior = centre + share * np.where(known, mean - centre, 0.0)
    spread = np.where(known & (share > 0), share * np.where(known, variance, 1.0), towards_variance + apart)
    return posterior, spread


def influence(cube: FloatArray, score: FloatArray, eligible: BoolArray, bins: int = 8) -> FloatArray:
    """Share of the score's variance that each parameter explains by itself, from means in ``bins`` slices ``[K]``."""
    if np.count_nonzero(eligible) < 2 * bins:
        return np.zeros(cube.shape[1])
    values, places = score[eligible], np.minimum((cube[eligible] * bins).astype(np.int64), bins - 1)
    whole = float(((values - values.mean()) ** 2).sum())
    explained = np.zeros(cube.shape[1])
    for column in range(cube.shape[1]):
        counts = np.bincount(places[:, column], minlength=bins)
        sums = np.bincount(places[:, column], weights=values, minlength=bins)
        means = sums / np.maximum(counts, 1)
        explained[column] = float((counts * (means - values.mean()) ** 2).sum())
    return explained / whole if whole > 0 else explained
