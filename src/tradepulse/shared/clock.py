"""The only readers of the time. Time is UTC milliseconds since the epoch, as an integer."""

import time


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that is set by its owner: a simulated exchange, a replay, a test."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance_to(self, now: int) -> None:
        self._now = max(self._now, now)
