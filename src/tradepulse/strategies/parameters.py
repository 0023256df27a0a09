"""The numbers of a strategy: what may be chosen, within which bounds, and a chosen set with its identity."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import blake2s
from typing import Literal

from tradepulse.domain.signals import Regime
from tradepulse.shared.errors import ConfigurationError

ParameterValue = int | float | str


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One number a search may choose: bounds inclusive; a ``choice`` has ``choices`` instead."""

    name: str
    kind: Literal["int", "float", "choice"]
    default: ParameterValue
    description: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    def checked(self, value: object) -> ParameterValue:
        """The value in its own type, or ``ConfigurationError`` naming value, bounds and remedy."""
        if self.kind == "choice":
            if value not in self.choices:
                raise self._refusal(value, f"one of {', '.join(self.choices)}")
            return str(value)
        bounds = f"{'a whole number' if self.kind == 'int' else 'a number'} from {self.low:g} to {self.high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            raise self._refusal(value, bounds)
        if self.kind == "float":
            return float(value)
        if value != int(value):
            raise self._refusal(value, bounds)
        return int(value)

    def _refusal(self, value: object, rule: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.name} = {value!r} is not allowed: it must be {rule}.",
            f"Choose a value within these bounds; the default is {self.default}.",
        )


@dataclass(frozen=True)
class Parameters:
    """A chosen set of numbers of one strategy; ``regime`` is the one it was trained for, ``None`` for all of them."""

    strategy: str
    values: tuple[tuple[str, ParameterValue], ...]
    regime: Regime | None = None
    parameters_id: str = field(init=False)
    """Twelve hex digits that name strategy, values and regime, the same on every machine."""
    _by_name: dict[str, ParameterValue] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = json.dumps([self.strategy, self.values, self.regime])
        object.__setattr__(self, "parameters_id", blake2s(text.encode(), digest_size=6).hexdigest())
        object.__setattr__(self, "_by_name", dict(self.values))

    def __getitem__(self, name: str) -> ParameterValue:
        return self._by_name[name]

    def integer(self, name: str) -> int:
        return int(self._by_name[name])

    def number(self, name: str) -> float:
        return float(self._by_name[name])


def choose_parameters(
    strategy: str, specs: Sequence[ParameterSpec], overrides: Mapping[str, object], regime: object
) -> Parameters:
    """Defaults with ``overrides``, every value checked; unknown names are refused with the nearest match."""
    names = [spec.name for spec in specs]
    for name in overrides:
        if name not in names:
            near = get_close_matches(name, names, n=1, cutoff=0.4)
            remedy = f"Did you mean '{near[0]}'?" if near else f"Use one of: {', '.join(names)}."
            raise ConfigurationError(f"Strategy {strategy} has no parameter '{name}'.", remedy)
    values = tuple((spec.name, spec.checked(overrides.get(spec.name, spec.default))) for spec in specs)
    return Parameters(strategy, values, _checked_regime(regime))


def _checked_regime(regime: object) -> Regime | None:
    if regime is None:
        return None
    if not isinstance(regime, str) or regime not in set(Regime):
        words = ", ".join(Regime)
        raise ConfigurationError(f"{regime!r} is not a regime.", f"Use one of: {words}; or none for all of them.")
    return Regime(regime)
