"""Which part of its coded bounds a search may use of each parameter: set by a person, obeyed by the next training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tradepulse.domain.training import AllowedRange, ParameterValue, RangesVersion
from tradepulse.policy.training_requests import known_strategy
from tradepulse.ports import ChangedMeanwhileError, Clock, ParameterRangeStore
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import nearest
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import ParameterSpec

__all__ = ["AskedRange", "ParameterRanges", "is_within"]


@dataclass(frozen=True, slots=True)
class AskedRange:
    """Of a number ``low`` and ``high``, where one that is left out stays at the bound; of a choice its ``choices``."""

    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


class ParameterRanges:
    """Shows and sets the allowed ranges; every setting is a version of its own, with who set it and why."""

    def __init__(self, store: ParameterRangeStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def in_force(self, strategy: str) -> RangesVersion:
        """Version 0, without ranges, where nobody set any."""
        found = await self._store.newest(known_strategy(strategy))
        return RangesVersion(strategy, 0, (), "", 0, "") if found is None else found

    async def of_all(self, strategies: Sequence[str]) -> tuple[AllowedRange, ...]:
        """What a training of these strategies obeys."""
        found = [await self.in_force(strategy) for strategy in sorted(set(strategies))]
        return tuple(one for version in found for one in version.ranges)

    async def history(self, strategy: str, *, limit: int = 50, before: int | None = None) -> list[RangesVersion]:
        """Newest first."""
        return await self._store.history(known_strategy(strategy), limit=limit, before=before)

    async def set(
        self, strategy: str, asked: Mapping[str, AskedRange], *, by: str, reason: str, follows: int | None = None
    ) -> RangesVersion:
        """These ranges and no others from now on; the same as those in force are no new version.

        ``follows``: the version that was looked at; ``ChangedMeanwhileError`` where it is not in force any more.
        """
        ranges = checked_ranges(strategy, asked)
        if not reason.strip():
            raise ConfigurationError("To set ranges needs a reason.", "Say why the search may not use the rest.")
        current = await self.in_force(strategy)
        if follows not in (None, current.version):
            raise ChangedMeanwhileError(
                f"The ranges of {strategy} are at version {current.version}, not {follows}.",
                "Look at them, and set yours again.",
            )
        if ranges == current.ranges:
            return current
        following = replace(
            current, version=current.version + 1, ranges=ranges, set_by=by, set_at=self._clock.now(), reason=reason
        )
        return await self._store.add(following)


def checked_ranges(strategy: str, asked: Mapping[str, AskedRange]) -> tuple[AllowedRange, ...]:
    """By the strategy's parameters, or ``ConfigurationError`` naming value, rule and remedy.

    What is as wide as the bounds narrows nothing and is left out.
    """
    specs = {spec.name: spec for spec in STRATEGIES[known_strategy(strategy)].parameter_specs}
    for name in asked:
        if name not in specs:
            near = nearest(name, sorted(specs))
            remedy = f"Did you mean '{near}'?" if near else f"Use one of: {', '.join(specs)}."
            raise ConfigurationError(f"Strategy {strategy} has no parameter '{name}'.", remedy)
    found = [_checked(strategy, spec, asked[name]) for name, spec in specs.items() if name in asked]
    if len(found) == len(specs) and all(_is_one_value(one) for one in found):
        raise ConfigurationError(
            f"Every parameter of {strategy} is held at one value: there is nothing to search.",
            "Leave room in at least one parameter.",
        )
    return tuple(sorted(one for one in found if not _is_whole(one, specs[one.parameter])))


def is_within(allowed: AllowedRange, value: ParameterValue) -> bool:
    if allowed.choices:
        return value in allowed.choices
    return allowed.low <= float(value) <= allowed.high


def _checked(strategy: str, spec: ParameterSpec, asked: AskedRange) -> AllowedRange:
    return _some_choices(strategy, spec, asked) if spec.kind == "choice" else _between(strategy, spec, asked)


def _some_choices(strategy: str, spec: ParameterSpec, asked: AskedRange) -> AllowedRange:
    words = ", ".join(spec.choices)
    if asked.low is not None or asked.high is not None or not asked.choices:
        raise ConfigurationError(f"{spec.name} is a choice: it has no numbers.", f"Name some of: {words}.")
    for choice in asked.choices:
        if choice not in spec.choices:
            raise ConfigurationError(
                f"{spec.name} cannot be '{choice}': it must be one of {words}.", "Name only these, at least one."
            )
    return AllowedRange(strategy, spec.name, choices=tuple(one for one in spec.choices if one in asked.choices))


def _between(strategy: str, spec: ParameterSpec, asked: AskedRange) -> AllowedRange:
    whole = "whole numbers" if spec.kind == "int" else "numbers"
    rule = f"the bounds are {whole} from {spec.low:g} to {spec.high:g}"
    if asked.choices:
        raise ConfigurationError(f"{spec.name} is a number: it has no choices.", f"Name two ends; {rule}.")
    low, high = (bound if end is None else end for end, bound in ((asked.low, spec.low), (asked.high, spec.high)))
    for end in (low, high):
        if not (math.isfinite(end) and spec.low <= end <= spec.high and (spec.kind == "float" or end == int(end))):
            raise ConfigurationError(f"{spec.name} may not reach to {end:g}: {rule}.", "Choose both ends within them.")
    if low > high:
        raise ConfigurationError(
            f"{spec.name} from {low:g} to {high:g} holds no value: the lower end must not be above the upper one.",
            "Swap the two ends.",
        )
    return AllowedRange(strategy, spec.name, float(low), float(high))


def _is_one_value(one: AllowedRange) -> bool:
    return len(one.choices) == 1 if one.choices else one.low == one.high


def _is_whole(one: AllowedRange, spec: ParameterSpec) -> bool:
    return one.choices == spec.choices if one.choices else (one.low, one.high) == (spec.low, spec.high)
