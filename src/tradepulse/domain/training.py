"""Words of learning: what is trained, what was found out, and what may be traded because of it."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from enum import StrEnum
from hashlib import blake2s
from typing import Any

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime

JsonObject = dict[str, Any]
ParameterValue = int | float | str

ANY_REGIME = "any"
"""How the absence of a regime is written in rows, files and on screens."""


def regime_word(regime: Regime | None) -> str:
    return ANY_REGIME if regime is None else str(regime)


def regime_of(word: str) -> Regime | None:
    return None if word == ANY_REGIME else Regime(word)


@dataclass(frozen=True, slots=True, order=True)
class Combination:
    """What one configuration is for. ``regime`` ``None``: all regimes, the parent of the three."""

    series: SeriesKey
    strategy: str
    regime: Regime | None

    def __str__(self) -> str:
        return f"{self.series}:{self.strategy}:{regime_word(self.regime)}"

    @property
    def parent(self) -> "Combination":
        """The same without a regime; its own parent where it has none already."""
        return Combination(self.series, self.strategy, None)


class Stage(StrEnum):
    """Life-cycle of a configuration.

    ``validation`` trades on paper or at half size, ``confirmation`` live at half size, ``mature`` at full size;
    ``quarantined`` is followed without money, ``retired`` is history.
    """

    VALIDATION = "validation"
    CONFIRMATION = "confirmation"
    MATURE = "mature"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


class Origin(StrEnum):
    """Where a configuration's parameters come from."""

    TUNED = "tuned"
    PLATEAU = "plateau"
    """The family's plateau, not tuned for the combination."""
    DEFAULTS = "defaults"
    """Never went through the gate: traded only where the user allows it, and marked."""
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Configuration:
    """One version of a strategy for one combination, with the evidence it was deployed upon.

    ``active``: it is the one in force for its combination; at most one is. ``version`` counts from 1 within the
    combination. Times are UTC milliseconds.
    """

    configuration_id: str
    combination: Combination
    version: int
    values: dict[str, ParameterValue]
    parameters_id: str
    origin: Origin
    stage: Stage
    active: bool
    evidence: JsonObject
    job_id: str | None
    created_at: int
    activated_at: int | None = None
    activated_by: str | None = None


@dataclass(frozen=True, slots=True)
class StageMove:
    """One row of a configuration's life: who or what moved it, when, and why, with the numbers."""

    configuration_id: str
    time: int
    action: str
    """created, activated, deactivated, promoted, halved, quarantined, restored, retired, or refused (only a note)."""
    stage: Stage
    active: bool
    by: str
    reason: str
    figures: JsonObject = field(default_factory=dict)
    expected: tuple[Stage, bool] | None = field(default=None, compare=False)
    """Stage and ``active`` that the mover saw; the move is refused where they are others by now. Not stored."""


@dataclass(frozen=True, slots=True, order=True)
class AllowedRange:
    """Within its coded bounds, what a search may choose of one parameter: both ends, or some of its ``choices``."""

    strategy: str
    parameter: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RangesVersion:
    """The allowed ranges of a strategy as somebody set them; parameters not named may be all that their bounds allow.

    ``version`` counts from 1 within the strategy; 0: nobody ever set any.
    """

    strategy: str
    version: int
    ranges: tuple[AllowedRange, ...]
    set_by: str
    set_at: int
    reason: str


def ranges_id(ranges: Iterable[AllowedRange], strategy: str) -> str:
    """Names the ranges of one strategy: trials within others are other trials. Empty where there are none."""
    own = sorted(astuple(one) for one in ranges if one.strategy == strategy)
    return blake2s(json.dumps(own).encode(), digest_size=6).hexdigest() if own else ""


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What a job is asked to do. Empty ``regimes`` are all three. ``since`` and ``until`` are open times, UTC ms."""

    symbols: tuple[str, ...]
    exchanges: tuple[str, ...]
    strategies: tuple[str, ...]
    regimes: tuple[Regime, ...]
    timeframes: tuple[Timeframe, ...]
    since: int | None = None
    until: int | None = None
    points: int = 2048
    seed: int = 0
    challenger: bool = False
    """Also search inside every family's plateau; what is found must pass the held-out test by itself."""
    ranges: tuple[AllowedRange, ...] = ()
    """Of its strategies, as they were when the job was asked for."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    JUDGING = "judging"
    DEPLOYING = "deploying"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in {JobState.FINISHED, JobState.CANCELLED, JobState.FAILED}


class UnitState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrainingUnit:
    """One series under one strategy: every point of the design is tried on it. ``index`` counts within the job."""

    index: int
    series: SeriesKey
    strategy: str
    state: UnitState = UnitState.QUEUED
    worker: str | None = None
    candles: int = 0
    trials: int = 0
    seconds: float = 0.0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A job as rows: its request, how far it is, and in the end its report."""

    job_id: str
    request: TrainingRequest
    state: JobState
    requested_by: str
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    code_version: str = ""
    problem: str | None = None
    units: tuple[TrainingUnit, ...] = ()


class Answer(StrEnum):
    """Which parameters a combination trades with: its own, those of a parent, or none."""

    OWN = "own"
    PARENT = "parent"
    DEFAULTS = "defaults"
    NOTHING = "do not trade"


@dataclass(frozen=True, slots=True)
class OptimizedParameters:
    """The answer to "what do I trade here?", always with the reason. ``configuration`` is ``None`` for ``NOTHING``."""

    combination: Combination
    answer: Answer
    reason: str
    values: dict[str, ParameterValue] = field(default_factory=dict)
    configuration: Configuration | None = None
    size_share: float = 1.0
    """Share of the usual risk that may be taken: one half in validation and after a warning."""
