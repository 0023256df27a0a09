"""How long what was held had no stop on the exchange, by the exchange's own timeline, and why."""

import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tests.local_exchanges.protection_timeline import Cover

TIMEOUT = 1.0
"""Seconds for which a fault goes on to be felt: a request that hangs, or what is found by asking later."""


class Cause(StrEnum):
    ROUND_TRIP = "within one round trip"
    REPLACED = "withdrawn and replaced or sold"
    FAULT = "during a fault of the exchange"
    DEAD = "while the trader was dead"
    ELSE = "anything else"


@dataclass(frozen=True)
class Stretch:
    """Seconds of the monotonic clock; ``requests``: orders and cancellations that the exchange got meanwhile."""

    symbol: str
    begin: float
    end: float
    most: Decimal
    cause: Cause
    requests: int

    @property
    def milliseconds(self) -> float:
        return (self.end - self.begin) * 1000


@dataclass(frozen=True)
class Dust:
    """What no order can sell was so much at this moment, and less before."""

    at: float
    amount: Decimal


@dataclass(frozen=True)
class Course:
    """What happened meanwhile: when the trader was dead, when faults hit, when orders were sent; ascending."""

    dead: Sequence[tuple[float, float]]
    faults: Sequence[tuple[float, float]]
    orders: Sequence[float]
    bound: float

    def stretch(self, symbol: str, begin: float, end: float, most: Decimal) -> Stretch:
        first, last = bisect_left(self.orders, begin + 1e-4), bisect_left(self.orders, end - 1e-4)
        return Stretch(symbol, begin, end, most, self._cause(begin, end, last - first), last - first)

    def _cause(self, begin: float, end: float, requests: int) -> Cause:
        if any(begin <= until and since <= end for since, until in self.dead):
            return Cause.DEAD
        if any(begin <= until + TIMEOUT and since <= end for since, until in self.faults):
            return Cause.FAULT
        if end - begin > self.bound:
            return Cause.ELSE
        return Cause.REPLACED if requests > 1 else Cause.ROUND_TRIP


def stretches(covers: Sequence[Cover], dust: Sequence[Dust], lot: Decimal, course: Course, now: float) -> list[Stretch]:
    """Of one market. ``dust``: ascending; what lies between two looks counts as the later one says."""
    found: list[Stretch] = []
    begin, most, moments = None, Decimal(0), [each.at for each in dust]
    for cover in covers:
        place = bisect_left(moments, cover.seconds)
        allowed = (dust[min(place, len(dust) - 1)].amount if dust else Decimal(0)) + lot
        bare = cover.held - cover.stopped - allowed
        if bare > 0:
            begin = cover.seconds if begin is None else begin
            most = max(most, bare)
        elif begin is not None:
            found.append(course.stretch(covers[0].symbol, begin, cover.seconds, most))
            begin, most = None, Decimal(0)
    return found if begin is None else [*found, course.stretch(covers[0].symbol, begin, now, most)]


def median_and_longest(found: Sequence[Stretch]) -> tuple[float, float]:
    spans = [each.milliseconds for each in found]
    return (statistics.median(spans), max(spans)) if spans else (0.0, 0.0)
