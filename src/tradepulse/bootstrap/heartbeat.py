"""Whether what trades still turns: an engine that takes nothing any more is found by this, and by nothing else."""

import time
from collections.abc import Callable

LONGEST_SILENCE_SECONDS = 90.0
"""An engine takes a tick every second; an order call that waits for its answer has been given up long before."""


class Heartbeats:
    """One heart per book that is traded in this process. A book between two lives has none, and is not missed."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last: dict[str, float] = {}

    def beat(self, book: str) -> None:
        self._last[book] = self._now()

    def ended(self, book: str) -> None:
        self._last.pop(book, None)

    def problem(self) -> str:
        """Which books take nothing any more; empty where all do."""
        silent = {book: self._now() - at for book, at in self._last.items()}
        late = [f"{book} took nothing for {age:.0f} s" for book, age in silent.items() if age > LONGEST_SILENCE_SECONDS]
        return "; ".join(late)
