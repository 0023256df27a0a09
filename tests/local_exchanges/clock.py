"""The time of a local exchange: the machine's own with a skew, standing still until it is moved, or shared."""

import mmap
import os
import struct
from pathlib import Path

from tradepulse.shared.clock import SystemClock

_MILLISECONDS = struct.Struct("q")


class SharedClock:
    """A time that one process moves and any number of others read, in eight bytes of a file."""

    def __init__(self, file: Path, now: int | None = None) -> None:
        """``now``: sets it; without it the file is there already."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, _MILLISECONDS.size)
            self._memory = mmap.mmap(descriptor, _MILLISECONDS.size)
        finally:
            os.close(descriptor)
        if now is not None:
            self.set(now)

    def now(self) -> int:
        # One read of eight aligned bytes: never half of one time and half of another.
        return int(_MILLISECONDS.unpack_from(self._memory)[0])

    def set(self, now: int) -> None:
        _MILLISECONDS.pack_into(self._memory, 0, now)

    def advance(self, milliseconds: int) -> None:
        self.set(self.now() + milliseconds)


class SteeredClock:
    """``frozen_at``: UTC milliseconds at which the time stands still; ``file``: of a ``SharedClock``, which is it.
    Without both it runs.
    """

    def __init__(self, frozen_at: int | None = None, file: str | None = None) -> None:
        self._frozen = frozen_at
        self._system = SystemClock()
        self._shared = None if file is None else SharedClock(Path(file))
        self.skew = 0
        """Added to what the exchange calls its time, as if its clock went ahead of everybody else's."""

    @property
    def runs(self) -> bool:
        return self._frozen is None

    def now(self) -> int:
        if self._shared is not None:
            return self._shared.now() + self.skew
        return (self._system.now() if self._frozen is None else self._frozen) + self.skew

    def set(self, now: int) -> None:
        self._frozen = now

    def advance(self, milliseconds: int) -> None:
        if self._frozen is None:
            raise ValueError("A clock that runs cannot be advanced. Freeze it first.")
        self._frozen += milliseconds

    def run(self) -> None:
        self._frozen = None
