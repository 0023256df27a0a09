"""The policy of the hour: how much risk is allowed for a while. It can only take away."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tradepulse.shared.errors import ConfigurationError

PPM = 1_000_000
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """From ``time`` to ``valid_until`` (exclusive) these bounds hold; afterwards the policy says nothing any more.

    Taken in by the engine, and told by it once it is in force. A book takes each ``version`` once, in rising order.
    """

    version: int
    risk_ppm: int
    """Share of the usual size that is left at most, in parts per million."""
    paused: tuple[str, ...]
    """Strategies of which nothing is entered."""
    confluence_bump_ppm: int
    """By how much more of the weighted conditions must hold than the settings ask for; never more than all of them."""
    valid_until: int
    reason: str
    time: int

    def __post_init__(self) -> None:
        for name, value in (("risk_ppm", self.risk_ppm), ("confluence_bump_ppm", self.confluence_bump_ppm)):
            if not 0 <= value <= PPM:
                raise ConfigurationError(
                    f"A policy's {name} is {value}, not between 0 and {PPM}.", "A policy can only take away."
                )

    def holds_at(self, time: int) -> bool:
        return time < self.valid_until


class MarketState(StrEnum):
    CALM = "calm"
    TRENDING = "trending"
    NERVOUS = "nervous"
    STRESSED = "stressed"
    UNKNOWN = "unknown"
    """Too little is stored to say."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one voice leaves: the rules, a language model, or both of them together."""

    risk_ppm: int = PPM
    paused: frozenset[str] = frozenset()
    confluence_bump_ppm: int = 0

    def together(self, other: "Bounds") -> "Bounds":
        """What both leave. Neither can give back what the other takes."""
        return Bounds(
            min(self.risk_ppm, other.risk_ppm),
            self.paused | other.paused,
            max(self.confluence_bump_ppm, other.confluence_bump_ppm),
        )

    def is_within(self, other: "Bounds") -> bool:
        """Nowhere looser than ``other``."""
        return self.together(other) == self


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules make of the facts of one hour. ``conviction``: share of the facts that were known, 0 to 1."""

    state: MarketState
    conviction: float
    bounds: Bounds
    reward_weights: dict[str, float]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of a book's policy, with all that led to it. ``bounds`` are in force; the others are evidence.

    ``consulted``: what a language model was asked and answered, what came of it, or why it was not asked.
    ``outcome``: what followed within a day; empty until then.
    """

    book: str
    version: int
    issued_at: int
    valid_until: int
    bounds: Bounds
    rules: Judgement
    author: str
    state_hash: str
    facts: dict[str, Any]
    reasons: tuple[str, ...] = ()
    consulted: dict[str, Any] = field(default_factory=dict)
    outcome: dict[str, Any] = field(default_factory=dict)
    resolved_at: int | None = None

    def changed(self) -> PolicyChanged:
        """As the engine takes it in."""
        bounds = self.bounds
        return PolicyChanged(
            self.version,
            bounds.risk_ppm,
            tuple(sorted(bounds.paused)),
            bounds.confluence_bump_ppm,
            self.valid_until,
            "; ".join(self.reasons)[:LONGEST_REASON],
            self.issued_at,
        )

    def holds_at(self, time: int) -> bool:
        return time < self.valid_until
