"""What the prior was worth on time it had not seen, beside what chance is worth on the same setups.

Time is walked through in stretches. Before each, everything (components, base rates, ridge, head) is fitted on what was
closed or *resolved* before the stretch began. Two controls are scored in the same way on the same setups: a head that
learned permuted outcomes, and random numbers. They are part of every result, so that no figure stands alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tradepulse.encoder.encoder_model import FEWEST_WINDOWS, fit_encoder
from tradepulse.encoder.features import Windows
from tradepulse.encoder.prior import BaseRates, Resolved, fit_prior, nearest_share
from tradepulse.shared.errors import ConfigurationError

FOLDS = 5
NEIGHBOURS = 100
DRAWS = 2_000
WEEK = 7 * 24 * 3_600_000
"""The block of the bootstrap: what falls together in a week is drawn together."""
FEWEST_WEEKS = 20
HEAD, ALIKE, BASE = "logistic head", "100 most alike", "base rate alone"
PERMUTED, RANDOM = "permuted outcomes", "random"
CONTROLS = (PERMUTED, RANDOM)
FIFTH, TENTH = 0.2, 0.1
LOW, HIGH = 0.025, 0.975

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
JsonObject = dict[str, Any]
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Windows at places that no setup chose, to fit components on; ``closed_at``: of each, UTC ms."""

    windows: Windows
    closed_at: IntArray

    def before(self, time: int) -> Windows:
        return at_rows(self.windows, np.flatnonzero(self.closed_at <= time))


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Held-out setups with what each way of scoring said of them: the excess over the base rate, or a stand-in."""

    won: BoolArray
    r: FloatArray
    base: FloatArray
    week: IntArray
    scores: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.won)


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % by the bootstrap."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Lift:
    """Of a part of the held-out setups against all of them: share of wins beyond the base rates of the combinations,
    and mean R."""

    setups: int
    precision: Interval
    r: Interval


@dataclass(frozen=True, slots=True)
class Judgement:
    """``earned``: the prior may make entries smaller. ``reasons``: every question with its answer, in words.

    An excess below ``half_below`` halves an entry, one below ``skip_below`` is no entry; ``None``: not earned.
    """

    earned: bool
    reasons: tuple[str, ...]
    half_below: float | None
    skip_below: float | None
    setups: int
    wins: float
    weeks: int
    top: dict[str, Lift]
    bottom: Lift
    beyond: dict[str, Interval]
    """Precision of the head's best fifth beyond that of each control's, drawn together."""

    def to_json(self) -> JsonObject:
        return asdict(self) | {"reasons": list(self.reasons)}


def score(samples: Samples, windows: Windows, outcomes: Resolved, seed: int, tell: Tell = lambda *_: None) -> Scored:
    """``outcomes`` oldest first, their embeddings not filled in; ``windows`` in the same order."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, (begin, end) in enumerate(_stretches(outcomes)):
        tell(number, FOLDS, "held-out time")
        known = samples.before(begin)
        if len(known) >= FEWEST_WINDOWS:
            parts.append(_stretch(known, windows, outcomes, begin, end, rng))
    if not parts or not sum(len(part) for part in parts):
        raise ConfigurationError(
            f"{len(outcomes)} setups with an outcome over {len(samples.closed_at)} windows are too few to hold time "
            "out: the prior cannot be judged.",
            "Download a longer history, or more symbols: tradepulse download-data",
        )
    return Scored(
        np.concatenate([part.won for part in parts]),
        np.concatenate([part.r for part in parts]),
        np.concatenate([part.base for part in parts]),
        np.concatenate([part.week for part in parts]),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
    )


def _stretches(outcomes: Resolved) -> Iterator[tuple[int, int]]:
    if not len(outcomes):
        return
    cuts = np.quantile(outcomes.found_at, np.linspace(0, 1, FOLDS + 2)[1:])
    cuts[-1] += 1
    yield from ((int(begin), int(end)) for begin, end in pairwise(cuts))


def _stretch(
    known: Windows, windows: Windows, outcomes: Resolved, begin: int, end: int, rng: np.random.Generator
) -> Scored:
    model = fit_encoder(known)
    training = outcomes.resolved_at < begin
    testing = (outcomes.found_at >= begin) & (outcomes.found_at < end)
    embedded = replace(outcomes, embedding=model.encode(windows))
    seen, unseen = embedded[training], embedded[testing]
    rates = BaseRates.of(seen)
    base = rates.at(unseen.group)
    alike, _ = nearest_share(seen, unseen.embedding, unseen.found_at, NEIGHBOURS)
    scores = {
        HEAD: _excess(seen, unseen, base),
        ALIKE: np.nan_to_num(alike - rates.overall),
        BASE: base,
        PERMUTED: _excess(replace(seen, won=rng.permutation(seen.won)), unseen, base),
        RANDOM: rng.random(len(unseen)),
    }
    return Scored(unseen.won, unseen.r, base, unseen.found_at // WEEK, scores)


def _excess(seen: Resolved, unseen: Resolved, base: FloatArray) -> FloatArray:
    head = fit_prior(seen)
    return np.zeros(len(unseen)) if head is None else head.probability(unseen.embedding, unseen.group) - base


def judge(scored: Scored, seed: int) -> Judgement:
    """Every draw of weeks is the same for every score, so differences between them are paired."""
    weeks = _Weeks.of(scored, seed)
    top = {name: weeks.lift(highest(values, FIFTH)) for name, values in scored.scores.items()}
    excess = scored.scores[HEAD]
    low = -excess
    bottom, worst = weeks.lift(highest(low, FIFTH)), weeks.mean_r(highest(low, TENTH))
    best = highest(excess, FIFTH)
    beyond = {name: weeks.precision_beyond(best, highest(scored.scores[name], FIFTH)) for name in CONTROLS}
    questions = _questions(len(weeks), top[HEAD], bottom, beyond)
    earned = all(held for _, held in questions)
    return Judgement(
        earned=earned,
        reasons=tuple(f"{'yes' if held else 'NO'}: {text}" for text, held in questions),
        half_below=float(np.quantile(excess, FIFTH)) if earned else None,
        skip_below=float(np.quantile(excess, TENTH)) if earned and worst.high < 0 else None,
        setups=len(scored),
        wins=float(scored.won.mean()),
        weeks=len(weeks),
        top=top,
        bottom=bottom,
        beyond=beyond,
    )


def _questions(weeks: int, top: Lift, bottom: Lift, beyond: dict[str, Interval]) -> list[tuple[str, bool]]:
    """All must hold."""
    return [
        (f"{weeks} weeks were held out, {FEWEST_WEEKS} are needed", weeks >= FEWEST_WEEKS),
        (f"the best fifth won more often: {_points(top.precision)}", top.precision.low > 0),
        *((f"more than the best fifth of '{name}': {_points(one)}", one.low > 0) for name, one in beyond.items()),
        (f"the best fifth earned more: {_in_r(top.r)}", top.r.low > 0),
        (
            f"the worst fifth, which would be halved, won less often: {_points(bottom.precision)}",
            bottom.precision.high < 0,
        ),
        (f"and did not earn more than the others: {_in_r(bottom.r)}", bottom.r.value < 0),
    ]


def _points(one: Interval) -> str:
    return f"{one.value * 100:+.1f} points ({one.low * 100:+.1f} to {one.high * 100:+.1f})"


def _in_r(one: Interval) -> str:
    return f"{one.value:+.3f} R ({one.low:+.3f} to {one.high:+.3f})"


def highest(score: FloatArray, share: float) -> BoolArray:
    chosen: BoolArray = score >= np.quantile(score, 1 - share)
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class _Weeks:
    """``draws`` [DRAWS + 1, weeks]: how often each week is counted; the first row counts every week once."""

    scored: Scored
    place: IntArray
    draws: FloatArray

    @classmethod
    def of(cls, scored: Scored, seed: int) -> "_Weeks":
        weeks, place = np.unique(scored.week, return_inverse=True)
        count = len(weeks)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
        return cls(scored, place, np.vstack((np.ones(count), drawn)).astype(np.float64))

    def __len__(self) -> int:
        return int(self.draws.shape[1])

    def lift(self, chosen: BoolArray) -> Lift:
        everything = np.ones(len(self.scored), dtype=np.bool_)
        excess = self.scored.won - self.scored.base
        return Lift(
            int(chosen.sum()),
            _interval(self._mean(excess, chosen) - self._mean(excess, everything)),
            _interval(self._mean(self.scored.r, chosen) - self._mean(self.scored.r, everything)),
        )

    def precision_beyond(self, chosen: BoolArray, other: BoolArray) -> Interval:
        excess = self.scored.won - self.scored.base
        return _interval(self._mean(excess, chosen) - self._mean(excess, other))

    def mean_r(self, chosen: BoolArray) -> Interval:
        return _interval(self._mean(self.scored.r, chosen))

    def _mean(self, values: FloatArray, chosen: BoolArray) -> FloatArray:
        """Per draw; a draw without any of them says nothing."""
        total = self.draws @ np.bincount(self.place, weights=values * chosen, minlength=len(self))
        count = self.draws @ np.bincount(self.place, weights=chosen.astype(np.float64), minlength=len(self))
        mean: FloatArray = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        return mean


def _interval(by_draw: FloatArray) -> Interval:
    low, high = np.quantile(by_draw[1:], (LOW, HIGH))
    return Interval(float(by_draw[0]), float(low), float(high))


def at_rows(windows: Windows, rows: IntArray) -> Windows:
    return Windows(np.arange(len(rows)), windows.shapes[rows], windows.hand[rows])


def joined(parts: Sequence[Windows]) -> Windows:
    """One after the other; rows are numbered anew."""
    shapes = np.concatenate([one.shapes for one in parts])
    return Windows(np.arange(len(shapes)), shapes, np.concatenate([one.hand for one in parts]))
