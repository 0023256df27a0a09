"""Contenders timed side by side: round after round, each once per round, so that what disturbs one disturbs all.

Work that only computes is timed by the processor time of this process: it does not see who else wants the core.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

Work = Callable[[], object]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Table:
    """``notes`` say how to read it. Cells are finished text."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str] = field(default_factory=tuple)


def seconds(work: Work, times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times


def side_by_side(contenders: dict[str, Work], rounds: int, times: int = 1) -> dict[str, list[float]]:
    """Seconds of each contender in each round (mean of so many times), after one round that does not count."""
    for work in contenders.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            taken[name].append(seconds(work, times))
    return taken


def ratios(taken: Sequence[float], yardstick: Sequence[float]) -> list[float]:
    """Round by round, never median by median."""
    return [mine / other for mine, other in zip(taken, yardstick, strict=True)]


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """Median, and in brackets the lowest and the highest."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} ({low:{form}} – {high:{form}})"


def rate(count: int, taken: Sequence[float]) -> str:
    """So many per second, as median."""
    return f"{count / statistics.median(taken):,.0f}"


def quantiles(nanoseconds: Sequence[int]) -> tuple[str, str]:
    """Median and 99th percentile, in microseconds."""
    ascending = sorted(nanoseconds)
    top = ascending[min(len(ascending) - 1, int(0.99 * len(ascending)))]
    return f"{statistics.median(ascending) / 1000:,.1f}", f"{top / 1000:,.1f}"


def laps(work: Callable[[Item], object], items: Iterable[Item]) -> list[int]:
    """Nanoseconds of the work on each item, done once in order."""
    marks = [time.process_time_ns()]
    for item in items:
        work(item)
        marks.append(time.process_time_ns())
    return [after - before for before, after in pairwise(marks)]
