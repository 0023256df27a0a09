"""How many requests one machine may still send to an exchange, shared by all wallets and all processes on it.

Exchanges count by address, not by key, and ban addresses that go on. So the state is a small file beside the data,
changed under a kernel lock: what a process took stays taken when it dies, and a ban that one of them was told holds for
all. The units are ccxt's: what one call costs, as its tables weigh it.
"""

import asyncio
import email.utils
import fcntl
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tradepulse.ports import Clock
from tradepulse.shared.errors import TransientError

logger = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[None]]
LONGEST_BAN_MS = 3 * 86_400_000
USUAL_PAUSE_MS = 5_000
"""After a refusal for the rate that names no time."""
SHARE = 0.8
"""Of an exchange's rate: what is saved up for a burst comes on top of it."""
BURST_SECONDS = 0.25
BURSTS = {"binance": 200.0, "binanceus": 20.0, "kraken": 30.0, "okx": 15.0}
"""Where an exchange counts over a minute or keeps a counter, more may be saved up than where it counts each second."""
STATE_BYTES = 120
_BANNED_UNTIL = re.compile(r"banned until (\d{12,14})")


class Urgency(IntEnum):
    """Who may take the last of a budget. What protects or closes a position never waits for a download."""

    ORDERS = 0
    QUESTIONS = 1
    HISTORY = 2


_LEFT_FOR_OTHERS = {Urgency.ORDERS: 0.0, Urgency.QUESTIONS: 0.2, Urgency.HISTORY: 0.5}


class BannedError(TransientError):
    """The exchange does not want to hear from this address until ``until`` (UTC ms); nothing was sent."""

    def __init__(self, exchange: str, until: int, now: int) -> None:
        super().__init__(
            f"{exchange} asks to be left alone for {(until - now) / 1000:.0f} seconds more; nothing was sent.",
            "Wait; going on would lengthen the ban.",
        )
        self.until = until


@dataclass(slots=True)
class _State:
    level: float
    at: int
    banned_until: int


class RateBudget:
    """A bucket of ``capacity`` units; ``per_second`` is the exchange's own limit, ``file`` what all processes share."""

    def __init__(
        self,
        exchange: str,
        file: Path,
        per_second: float,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        capacity: float | None = None,
    ) -> None:
        self.exchange = exchange
        usual = BURSTS.get(exchange, max(1.0, per_second * BURST_SECONDS))
        self.capacity = usual if capacity is None else capacity
        self.per_second = per_second * SHARE
        self._file = file
        self._clock = clock
        self._sleep = sleep

    async def take(self, cost: float, urgency: Urgency = Urgency.QUESTIONS, patience_ms: int = 0) -> None:
        """Wait until this call may be sent. A ban is waited for as long as ``patience_ms`` allows, else it is raised.

        A call dearer than the whole bucket waits for a full one.
        """
        deadline = self._clock.now() + patience_ms
        while True:
            wait, banned_until = self._try(min(cost, self.capacity), urgency)
            if banned_until is not None and banned_until > deadline:
                raise BannedError(self.exchange, banned_until, self._clock.now())
            if wait <= 0:
                return
            await self._sleep(wait)

    def note_refusal(self, headers: Mapping[str, str], text: str) -> int:
        """The exchange refused for the rate: nobody asks before the time that it named. Returns that time."""
        now = self._clock.now()
        named = _BANNED_UNTIL.search(text)
        asked = retry_after_ms(headers, now)
        until = int(named[1]) if named else now + (USUAL_PAUSE_MS if asked is None else asked)
        until = min(until, now + LONGEST_BAN_MS)
        with self._changing() as state:
            state.banned_until = max(state.banned_until, until)
            state.level = 0.0
        logger.warning("%s refuses requests for their rate until %s", self.exchange, until)
        return until

    @property
    def banned_until(self) -> int:
        """UTC ms; 0 when nothing is known of a ban."""
        with self._changing() as state:
            return state.banned_until if state.banned_until > self._clock.now() else 0

    def _try(self, cost: float, urgency: Urgency) -> tuple[float, int | None]:
        """Seconds to wait (0: taken), and until when we are banned if that is why."""
        with self._changing() as state:
            now = self._clock.now()
            if state.banned_until > now:
                return (state.banned_until - now) / 1000, state.banned_until
            needed = cost + (self.capacity - cost) * _LEFT_FOR_OTHERS[urgency]
            # The dust of summed fractions must not make anybody wait again for nothing.
            if state.level + 1e-9 >= needed:
                state.level -= cost
                return 0.0, None
            return (needed - state.level) / self.per_second, None

    @contextmanager
    def _changing(self) -> Iterator[_State]:
        """The state, filled up to now, and written back. A clock that was set back must not stop the filling."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            state = self._read(descriptor)
            now = self._clock.now()
            passed = max(0, now - state.at) / 1000
            state.level = min(self.capacity, state.level + passed * self.per_second)
            state.at = now
            yield state
            # One write of always the same length: a kill leaves the old state or this one, and a ban is not forgotten.
            text = json.dumps([round(state.level, 6), state.at, state.banned_until])
            os.pwrite(descriptor, text.ljust(STATE_BYTES).encode(), 0)
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> _State:
        """A new or damaged file is one that nothing is known of."""
        try:
            level, at, banned_until = json.loads(os.pread(descriptor, STATE_BYTES, 0))
            return _State(float(level), int(at), int(banned_until))
        except (ValueError, TypeError):
            return _State(self.capacity, self._clock.now(), 0)


def retry_after_ms(headers: Mapping[str, str], now: int) -> int | None:
    """Milliseconds that a ``Retry-After`` header asks for (RFC 9110: a number of seconds, or a date)."""
    value = next((text for name, text in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    try:
        return max(0, int(float(value) * 1000))
    except ValueError:
        pass
    try:
        return max(0, int(email.utils.parsedate_to_datetime(value).timestamp() * 1000) - now)
    except ValueError:
        return None
