"""Waits that double with every wrong attempt, by account and by address.

Nobody is locked out: the wait ends, and it is counted for the pair of account and address before it is counted for
either alone, so that guessing at one account holds up neither others nor, for long, its owner elsewhere. Attempts made
during a wait are not even looked at, and not counted.
"""

from dataclasses import dataclass, field

from tradepulse.ports import Clock

FORGOTTEN_MS = 3_600_000
MOST_KEYS = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: int = 0
    until: int = 0


@dataclass(slots=True)
class Throttle:
    """``free`` wrong attempts cost nothing; then 1, 2, 4 ... seconds, ``longest`` at most."""

    clock: Clock
    free: int
    longest: int
    _failures: dict[str, _Failures] = field(default_factory=dict)

    def seconds_left(self, key: str) -> int:
        found = self._failures.get(key)
        return 0 if found is None else max(0, -(-(found.until - self.clock.now()) // 1000))

    def failed(self, key: str) -> None:
        now = self.clock.now()
        found = self._failures.pop(key, None) or _Failures()
        if now - found.last > FORGOTTEN_MS:
            found = _Failures()
        found.count, found.last = found.count + 1, now
        if found.count > self.free:
            found.until = now + 1000 * min(self.longest, 2 ** min(found.count - self.free - 1, 30))
        # Kept in the order of the last failure, so that the oldest goes first.
        self._failures[key] = found
        if len(self._failures) > MOST_KEYS:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)


class LoginThrottle:
    """What every way to give a password or a token goes through."""

    def __init__(self, clock: Clock) -> None:
        self._pairs = Throttle(clock, free=5, longest=300)
        self._addresses = Throttle(clock, free=30, longest=60)
        self._accounts = Throttle(clock, free=50, longest=60)

    def seconds_left(self, account: str, address: str) -> int:
        return max(
            self._pairs.seconds_left(_pair(account, address)),
            self._addresses.seconds_left(address),
            self._accounts.seconds_left(account),
        )

    def failed(self, account: str, address: str) -> None:
        self._pairs.failed(_pair(account, address))
        self._addresses.failed(address)
        if account:
            self._accounts.failed(account)

    def succeeded(self, account: str, address: str) -> None:
        self._pairs.succeeded(_pair(account, address))


def _pair(account: str, address: str) -> str:
    return f"{account}\n{address}"
