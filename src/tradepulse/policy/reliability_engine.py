"""Do configurations still deliver what was published about them? Each closed trade may move one, and only by rule.

Three levels are watched: the configuration itself, its family (strategy and timeframe) and its strategy. A warning
halves a mature configuration, an alarm quarantines one of any stage; an anytime-valid e-process (Ramdas, Grünwald, Vovk
& Shafer 2023) confirms an edge. In quarantine a configuration is followed without money: these shadow trades bring it
back or retire it. Pure: the same trades, the same moves.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import takewhile

from pydantic import TypeAdapter
from scipy.stats import beta

from tradepulse.domain.market import SeriesKey
from tradepulse.domain.training import Configuration, JsonObject, Origin, Stage, StageMove
from tradepulse.policy.cusum import fell_short, summed, won_or_lost

FULL_PPM, HALF_PPM = 1_000_000, 500_000
AUTHOR = "reliability"
"""By whom its moves are, in the rows of a configuration's life."""
MACHINES = frozenset({AUTHOR, "training"})
"""Every other author of a move is a person."""


@dataclass(frozen=True, slots=True)
class ReliabilityRules:
    """Levels of the cusums are log-likelihood ratios; see ``docs/research/reliability.md`` for what they cost."""

    warning: float = 2.5
    alarm: float = 3.5
    calm: float = 0.5
    """A warning, or a parent's alarm, is over once its sums have fallen to this."""
    confirmed: float = 20.0
    """E-value at which an edge counts as confirmed: at most one in twenty without an edge ever reaches it."""
    between_changes: int = 20
    """At most one change of a configuration within so many of its trades; no way out of quarantine on fewer."""
    given_up: int = 100
    """Shadow trades that a configuration has in quarantine before it may be retired."""
    decline: float = 0.10
    """The loss of precision that must not go unnoticed (a third of it where the precision is below 0.3)."""
    shortfall: float = 0.2
    """The same for the mean R, in standard deviations of R: as hard to see as ten points of precision."""
    slippage: float = 0.10
    """The loss per trade by execution that must not go unnoticed, in R."""
    slippage_spread: float = 0.20
    ceiling: float = 5.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was published: precision, mean R after costs with the spread of single trades, precision at break-even."""

    precision: float
    mean_r: float
    spread_r: float
    break_even: float


@dataclass(frozen=True, slots=True)
class Watched:
    """A configuration in force. Without an ``expectation`` there is nothing to hold it to, and it is never moved.

    ``written``: of its moves by reliability that the store holds already, the numbers of trades they came after.
    ``held``: in quarantine because a person put it there; only a person leads it out.
    """

    configuration_id: str
    strategy: str
    series: SeriesKey
    parameters_id: str
    stage: Stage
    origin: Origin
    expectation: Expectation | None
    halved: bool = False
    written: frozenset[int] = frozenset()
    held: bool = False

    @property
    def key(self) -> str:
        """The record belongs to the parameters: a new version with the same ones goes on with it."""
        return f"{self.series}:{self.strategy}:{self.parameters_id}"

    @property
    def parents(self) -> tuple[str, str]:
        return f"{self.strategy}:{self.series.timeframe}", self.strategy


@dataclass(frozen=True, slots=True)
class Outcome:
    """A closed trade. ``simulated_r`` is what the fill rule gives for the same setup; on paper both are the same.

    ``shadow``: nobody traded it, both are what the fill rule gives.
    """

    key: str
    r: float
    simulated_r: float
    shadow: bool = False


class Decay(StrEnum):
    MODEL = "model"
    """The setups stopped working: they would have failed under simulated fills too."""
    EXECUTION = "execution"
    """The setups work, but what they make is lost between the simulated and the real fill."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a configuration's life; becomes a row with ``reason`` and ``figures``."""

    configuration_id: str
    action: str
    stage: Stage
    after_trades: int
    reason: str
    figures: JsonObject
    decay: Decay | None = None


@dataclass(slots=True)
class _Sums:
    """Cusums: of wins (by simulated fills), of R, of what execution costs."""

    wins: float = 0.0
    r: float = 0.0
    execution: float = 0.0

    @property
    def worst(self) -> float:
        return max(self.wins, self.r)


@dataclass(slots=True)
class _Parent:
    sums: _Sums = field(default_factory=_Sums)
    alarmed: bool = False


@dataclass(slots=True)
class _Shadow:
    """Trades without money since the quarantine began, and what they say for and against an end of the decay.

    ``log_e`` (of an edge) and ``gained`` (R) begin anew whenever the sums stand at the alarm: what was lost before a
    recovery would hide it. ``log_declined`` (of the lower precision) begins anew whenever the sums are at rest.
    """

    trades: int = 0
    wins: int = 0
    sum_r: float = 0.0
    log_e: float = 0.0
    gained: float = 0.0
    log_declined: float = 0.0


@dataclass(slots=True)
class _Record:
    """``trades``, ``wins``, ``sum_r`` and ``log_e`` are of money; ``followed``: all shadow trades there ever were."""

    stage: Stage
    halved: bool = False
    sums: _Sums = field(default_factory=_Sums)
    trades: int = 0
    wins: int = 0
    sum_r: float = 0.0
    log_e: float = 0.0
    changed_at: int | None = None
    moves: list[Move] = field(default_factory=list)
    followed: int = 0
    shadow: _Shadow = field(default_factory=_Shadow)

    @property
    def seen(self) -> int:
        return self.trades + self.followed


@dataclass(slots=True)
class _State:
    records: dict[str, _Record] = field(default_factory=dict)
    parents: dict[str, _Parent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reliability:
    """A configuration's record for people. ``lower`` and ``upper``: 90 % credible limits of the precision."""

    stage: Stage
    size_ppm: int
    trades: int
    precision: float
    lower: float
    upper: float
    mean_r: float | None
    e_value: float
    warning_level: float
    parents_alarmed: tuple[str, ...]
    shadow_trades: int
    """Since the quarantine that it is in began."""


class ReliabilityEngine:
    """``highest``: the best stage that trades of this book can earn; live confirmation is not earned on paper."""

    def __init__(
        self,
        watched: Iterable[Watched],
        rules: ReliabilityRules | None = None,
        *,
        highest: Stage = Stage.MATURE,
    ) -> None:
        self._rules = rules or ReliabilityRules()
        self._highest = highest
        self._watched = {one.key: one for one in watched}
        self._state = _State({key: _Record(one.stage, one.halved) for key, one in self._watched.items()})

    @property
    def watched(self) -> Mapping[str, Watched]:
        return self._watched

    def learn(self, outcome: Outcome) -> Move | None:
        """Take in one closed trade; the move it causes, if any."""
        watched = self._watched.get(outcome.key)
        if watched is None:
            return None
        record = self._state.records[outcome.key]
        if outcome.shadow:
            move = self._follow(outcome, watched, record) if record.stage is Stage.QUARANTINED else None
        else:
            move = self._count(outcome, watched, record)
        if move is not None:
            record.changed_at, record.stage = record.seen, move.stage
            record.halved = move.action == "halved"
            record.log_e, record.shadow = 0.0, _Shadow()
            record.moves.append(move)
        return move

    def follows(self, key: str) -> bool:
        """Whether the trades that it would have made are asked for."""
        return key in self._watched and self._state.records[key].stage is Stage.QUARANTINED

    def size_ppm(self, key: str) -> int:
        """Share of the usual size; a parent's alarm leaves at most half of it."""
        record = self._state.records[key]
        size = size_of(record.stage, halved=record.halved)
        return min(size, HALF_PPM) if self._alarmed(self._watched[key]) else size

    def reason(self, key: str) -> str:
        """Why its size is what it is; the same before and after a restart."""
        alarmed, moves = self._alarmed(self._watched[key]), self._state.records[key].moves
        if alarmed:
            return f"alarm of {' and '.join(alarmed)}"
        return f"{moves[-1].action}: {moves[-1].reason}" if moves else "in force"

    def reliability(self, key: str) -> Reliability:
        record, watched = self._state.records[key], self._watched[key]
        lost = record.trades - record.wins
        posterior = beta(record.wins + 0.5, lost + 0.5)
        return Reliability(
            stage=record.stage,
            size_ppm=self.size_ppm(key),
            trades=record.trades,
            precision=float(posterior.mean()),
            lower=float(posterior.ppf(0.05)),
            upper=float(posterior.ppf(0.95)),
            mean_r=record.sum_r / record.trades if record.trades else None,
            e_value=_e_value(record.log_e),
            warning_level=record.sums.worst,
            parents_alarmed=self._alarmed(watched),
            shadow_trades=record.shadow.trades,
        )

    def versions(self) -> frozenset[tuple[str, Stage, bool]]:
        """Configurations in force with their stage, and whether a warning halved them."""
        return frozenset(
            (watched.configuration_id, self._state.records[key].stage, self._state.records[key].halved)
            for key, watched in self._watched.items()
        )

    def unwritten(self) -> list[Move]:
        """Moves of configurations in force that the store did not hold when they were loaded, oldest first."""
        return [move for key in self._watched for move in self._unwritten_of(key)]

    def to_json(self) -> JsonObject:
        plain: JsonObject = _state_type().dump_python(self._state, mode="json")
        return plain

    def restore(self, state: JsonObject) -> None:
        """Go on from ``to_json``. What a person or a training has decided meanwhile counts: the stored stage rules,
        except where the store misses our own last move.
        """
        if not state:
            return
        fresh, self._state = self._state, _state_type().validate_python(state)
        # Records of parameters that are not in force now are kept: they may come back.
        self._state.records = fresh.records | self._state.records
        for key, watched in self._watched.items():
            record = self._state.records[key]
            if self._unwritten_of(key):
                continue
            if not size_of(record.stage, halved=False) and size_of(watched.stage, halved=False):
                # Somebody lets it trade again: it is held to what happens from now on.
                record.sums, record.log_e = _Sums(), 0.0
            if record.stage is not watched.stage:
                record.shadow = _Shadow()
            record.stage, record.halved = watched.stage, watched.halved

    def _unwritten_of(self, key: str) -> list[Move]:
        watched = self._watched[key]
        return [
            move
            for move in self._state.records[key].moves
            if move.configuration_id == watched.configuration_id and move.after_trades not in watched.written
        ]

    def _count(self, outcome: Outcome, watched: Watched, record: _Record) -> Move | None:
        expected, won = watched.expectation, outcome.r > 0.0
        record.trades += 1
        record.wins += won
        record.sum_r += outcome.r
        if expected is None:
            return None
        self._weigh(outcome, record, expected, watched.parents)
        record.log_e += _for_an_edge(won, expected)
        return self._move(watched, record)

    def _follow(self, outcome: Outcome, watched: Watched, record: _Record) -> Move | None:
        expected, won, shadow, rules = watched.expectation, outcome.r > 0.0, record.shadow, self._rules
        record.followed += 1
        shadow.trades += 1
        shadow.wins += won
        shadow.sum_r += outcome.r
        if expected is None:
            return None
        self._weigh(outcome, record, expected, self._without_money(watched))
        shadow.log_e += _for_an_edge(won, expected)
        shadow.gained += outcome.r
        shadow.log_declined += won_or_lost(won, expected.precision, self._declined(expected))
        if record.sums.worst >= rules.alarm:
            shadow.log_e = shadow.gained = 0.0
        if record.sums.worst <= rules.calm:
            shadow.log_declined = 0.0
        return self._way_out(watched, record)

    def _declined(self, expected: Expectation) -> float:
        return expected.precision - min(self._rules.decline, expected.precision / 3.0)

    def _without_money(self, watched: Watched) -> tuple[str, ...]:
        """Parents below which nothing is traded: only shadow trades can end their alarm. Others judge by money."""
        trading = {
            name
            for key, one in self._watched.items()
            if one.expectation is not None and size_of(self._state.records[key].stage, halved=False)
            for name in one.parents
        }
        return tuple(name for name in watched.parents if name not in trading)

    def _weigh(self, outcome: Outcome, record: _Record, expected: Expectation, above: Sequence[str]) -> None:
        rules = self._rules
        wins = won_or_lost(outcome.simulated_r > 0.0, expected.precision, self._declined(expected))
        shifted = expected.mean_r - rules.shortfall * expected.spread_r
        # One trade can say only so much: a gap through the stop is not a decay.
        r = max(-1.0, min(1.0, fell_short(outcome.r, expected.mean_r, shifted, expected.spread_r)))
        lost = outcome.simulated_r - outcome.r
        execution = fell_short(-lost, 0.0, -rules.slippage, rules.slippage_spread)
        parents = [self._state.parents.setdefault(name, _Parent()) for name in above]
        for sums in (record.sums, *(parent.sums for parent in parents)):
            sums.wins = summed(sums.wins, wins, rules.ceiling)
            sums.r = summed(sums.r, r, rules.ceiling)
            # A shadow trade says nothing about execution.
            if not outcome.shadow:
                sums.execution = summed(sums.execution, execution, rules.ceiling)
        for parent in parents:
            parent.alarmed = parent.sums.worst >= (rules.calm if parent.alarmed else rules.alarm)

    def _is_recent(self, record: _Record) -> bool:
        return record.changed_at is not None and record.seen - record.changed_at < self._rules.between_changes

    def _move(self, watched: Watched, record: _Record) -> Move | None:
        rules, sums = self._rules, record.sums
        if self._is_recent(record) or record.stage in (Stage.QUARANTINED, Stage.RETIRED):
            return None
        if sums.worst >= rules.alarm:
            decay = diagnosed(sums.wins, sums.execution, rules)
            reason = f"{decay} decay: evidence {sums.worst:.1f} against the published figures, alarm at {rules.alarm:g}"
            return self._told(watched, record, "quarantined", Stage.QUARANTINED, reason, decay)
        if record.stage is Stage.MATURE:
            return self._halved_or_restored(watched, record)
        following = {Stage.VALIDATION: Stage.CONFIRMATION, Stage.CONFIRMATION: Stage.MATURE}[record.stage]
        if record.stage is self._highest or not self._has_proved_itself(watched, record):
            return None
        reason = f"edge confirmed: e-value {_e_value(record.log_e):.0f}, needed {rules.confirmed:g}"
        return self._told(watched, record, "promoted", following, reason)

    def _halved_or_restored(self, watched: Watched, record: _Record) -> Move | None:
        rules, sums = self._rules, record.sums
        worst = max(sums.worst, sums.execution)
        if not record.halved and worst >= rules.warning:
            reason = f"warning: evidence {worst:.1f} against the published figures, warning at {rules.warning:g}"
            return self._told(watched, record, "halved", Stage.MATURE, reason)
        if record.halved and worst <= rules.calm and not self._alarmed(watched):
            reason = f"the warning is over: evidence {worst:.1f}, calm at {rules.calm:g}"
            return self._told(watched, record, "restored", Stage.MATURE, reason)
        return None

    def _has_proved_itself(self, watched: Watched, record: _Record) -> bool:
        rules = self._rules
        return (
            record.trades >= rules.between_changes
            and record.log_e >= math.log(rules.confirmed)
            and record.sum_r > 0.0
            and max(record.sums.worst, record.sums.execution) < rules.warning
            and not self._alarmed(watched)
        )

    def _way_out(self, watched: Watched, record: _Record) -> Move | None:
        """Out of quarantine by shadow trades alone. What execution costs they do not show: its doubt must be over."""
        rules, sums, shadow = self._rules, record.sums, record.shadow
        if watched.held or self._is_recent(record) or shadow.trades < rules.between_changes:
            return None
        needed = math.log(rules.confirmed)
        against = f"evidence against the published figures {sums.worst:.1f}"
        told = f"{shadow.trades} shadow trades, {shadow.wins} won, mean R {shadow.sum_r / shadow.trades:.2f}"
        calm = sums.worst <= rules.calm and sums.execution < rules.warning and not self._alarmed(watched)
        if calm and shadow.log_e >= needed and shadow.gained > 0.0:
            reason = (
                f"came back after {told}: {against}, calm at {rules.calm:g}; "
                f"e-value of an edge {_e_value(shadow.log_e):.0f}, needed {rules.confirmed:g}"
            )
            return self._told(watched, record, "restored", Stage.VALIDATION, reason)
        if shadow.trades >= rules.given_up and sums.worst >= rules.alarm and shadow.log_declined >= needed:
            reason = (
                f"given up after {told}: {against}, alarm at {rules.alarm:g}; "
                f"e-value of the decline {_e_value(shadow.log_declined):.0f}, needed {rules.confirmed:g}"
            )
            return self._told(watched, record, "retired", Stage.RETIRED, reason)
        return None

    def _alarmed(self, watched: Watched) -> tuple[str, ...]:
        known = self._state.parents
        return tuple(name for name in watched.parents if name in known and known[name].alarmed)

    def _told(
        self, watched: Watched, record: _Record, action: str, stage: Stage, reason: str, decay: Decay | None = None
    ) -> Move:
        expected = watched.expectation
        figures: JsonObject = {
            "after_trades": record.seen,
            "wins": record.wins,
            "mean_r": round(record.sum_r / record.trades, 4) if record.trades else None,
            "published_precision": expected.precision if expected else None,
            "published_mean_r": expected.mean_r if expected else None,
            "cusum_wins": round(record.sums.wins, 3),
            "cusum_r": round(record.sums.r, 3),
            "cusum_execution": round(record.sums.execution, 3),
            "e_value": round(_e_value(record.log_e), 3),
            "parents_alarmed": list(self._alarmed(watched)),
            "decay": decay,
        }
        if record.followed:
            figures["money_trades"] = record.trades
        if record.shadow.trades:
            figures |= _figures_of(record.shadow)
        return Move(watched.configuration_id, action, stage, record.seen, reason, figures, decay)


def _figures_of(shadow: _Shadow) -> JsonObject:
    return {
        "shadow_trades": shadow.trades,
        "shadow_wins": shadow.wins,
        "shadow_mean_r": round(shadow.sum_r / shadow.trades, 4),
        "shadow_e_value": round(_e_value(shadow.log_e), 3),
        "shadow_e_value_of_decline": round(_e_value(shadow.log_declined), 3),
    }


def _for_an_edge(won: bool, expected: Expectation) -> float:
    """What one trade adds to the log of the e-value against break-even."""
    if expected.precision <= expected.break_even:
        return 0.0
    return won_or_lost(won, expected.break_even, expected.precision)


def _e_value(log_e: float) -> float:
    """Without the levels of more than ten to the 300, which no number holds."""
    return math.exp(min(log_e, 690.0))


def size_of(stage: Stage, *, halved: bool) -> int:
    """Share of the usual size in parts per million: all of it only for the mature without a warning."""
    if stage in (Stage.QUARANTINED, Stage.RETIRED):
        return 0
    return FULL_PPM if stage is Stage.MATURE and not halved else HALF_PPM


def diagnosed(wins: float, execution: float, rules: ReliabilityRules) -> Decay:
    """Why it earns too little, from two cusums: execution where fills alone explain it, else the model."""
    return Decay.EXECUTION if execution >= rules.alarm and wins < rules.warning else Decay.MODEL


def rebuilt(
    watched: Iterable[Watched],
    outcomes: Iterable[Outcome],
    rules: ReliabilityRules | None = None,
    *,
    highest: Stage = Stage.MATURE,
) -> ReliabilityEngine:
    """From the trades alone, in the order they closed: where no state was written down."""
    engine = ReliabilityEngine(watched, rules, highest=highest)
    for outcome in outcomes:
        engine.learn(outcome)
    return engine


FALLBACKS = (Origin.TUNED, Origin.PLATEAU, Origin.DEFAULTS)


def fallback(
    decayed: Configuration, versions: Sequence[Configuration], lives: Mapping[str, Sequence[StageMove]]
) -> Configuration | None:
    """What takes a decayed configuration's place: tuned, then the family's plateau, then the defaults, then nothing.

    Only versions of the same combination that passed the gate here, can be held to their figures, may still trade and
    were not taken out of force by a person. ``lives``: the moves of every version by its id, oldest first.
    """
    # What was imported was not found by the order of the search: everything found by it comes after.
    later = FALLBACKS if decayed.origin not in FALLBACKS else FALLBACKS[FALLBACKS.index(decayed.origin) + 1 :]
    same = [one for one in versions if one.combination == decayed.combination]
    doubted = {one.parameters_id for one in (decayed, *same) if one.stage is Stage.QUARANTINED}
    candidates = [
        one
        for one in same
        if one.parameters_id not in doubted | {decayed.parameters_id}
        and one.origin in later
        and one.stage in (Stage.VALIDATION, Stage.CONFIRMATION, Stage.MATURE)
        and one.job_id is not None
        and expectation_of(one.evidence) is not None
        and not _taken_out_by_a_person(lives.get(one.configuration_id, ()))
    ]
    return min(candidates, key=lambda one: (later.index(one.origin), -one.version), default=None)


def _taken_out_by_a_person(moves: Sequence[StageMove]) -> bool:
    last = next((move for move in reversed(moves) if move.action != "refused"), None)
    return last is not None and last.action == "deactivated" and last.by not in MACHINES


def held_by_a_person(moves: Sequence[StageMove]) -> bool:
    """Whether a person put it into the quarantine that it is in; ``moves`` oldest first."""
    changes = [move for move in moves if move.action != "refused"]
    since = takewhile(lambda move: move.stage is Stage.QUARANTINED, reversed(changes))
    return any(move.action == "quarantined" and move.by not in MACHINES for move in since)


def expectation_of(evidence: Mapping[str, object]) -> Expectation | None:
    """The published figures in a configuration's evidence; ``None`` where they are missing or make no sense."""
    combination = _part(evidence, "combination")
    published, held_out = _part(combination, "published"), _part(combination, "held_out")
    precision, mean_r = _number(published, "precision"), _number(published, "expectancy_r")
    break_even, error = _number(published, "break_even"), _number(held_out, "standard_error")
    trades = _number(held_out, "trades")
    if precision is None or mean_r is None or break_even is None or error is None or trades is None:
        return None
    spread = error * math.sqrt(trades)
    if not (0.0 < precision < 1.0 and 0.0 < break_even < 1.0 and spread > 0.0 and math.isfinite(mean_r)):
        return None
    return Expectation(precision, mean_r, spread, break_even)


def _part(whole: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def _number(part: Mapping[str, object], name: str) -> float | None:
    value = part.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


@cache
def _state_type() -> TypeAdapter[_State]:
    return TypeAdapter(_State)
