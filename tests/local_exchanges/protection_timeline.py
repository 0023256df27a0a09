"""When a holding had a stop resting under it, and when it had none: what a test of protection asks the exchange."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Cover:
    """From ``time`` on. ``held``: what was bought beyond what was deposited; ``stopped``: what resting stops sell."""

    time: int
    account: str
    symbol: str
    held: Decimal
    stopped: Decimal
    seconds: float = 0.0
    """Of the machine's monotonic clock, which is the same for all of its processes."""


@dataclass
class ProtectionTimeline:
    covers: list[Cover] = field(default_factory=list)
    _latest: dict[tuple[str, str], Cover] = field(default_factory=dict)

    def note(self, cover: Cover) -> None:
        key = (cover.account, cover.symbol)
        before = self._latest.get(key)
        if before is None or (before.held, before.stopped) != (cover.held, cover.stopped):
            self._latest[key] = cover
            self.covers.append(cover)


@dataclass(frozen=True)
class Uncovered:
    """A stretch of time in which more was held than stops rested for. ``end`` is ``None`` while it lasts."""

    begin: int
    end: int | None
    most: Decimal


def uncovered(covers: Sequence[Cover], tolerance: Decimal) -> list[Uncovered]:
    """Of one account and symbol. ``tolerance``: the dust that no stop can sell."""
    found: list[Uncovered] = []
    begin: int | None = None
    most = Decimal(0)
    for cover in covers:
        bare = cover.held - cover.stopped
        if bare > tolerance:
            begin = cover.time if begin is None else begin
            most = max(most, bare)
        elif begin is not None:
            found.append(Uncovered(begin, cover.time, most))
            begin, most = None, Decimal(0)
    return found if begin is None else [*found, Uncovered(begin, None, most)]


def longest_uncovered(stretches: Iterable[Uncovered], now: int) -> int:
    """Milliseconds; a stretch that lasts counts until ``now``."""
    return max(((now if each.end is None else each.end) - each.begin for each in stretches), default=0)
