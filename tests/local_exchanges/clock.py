"""The time of a local exchange: the machine's own with a skew, or standing still until it is moved."""

from tradepulse.shared.clock import SystemClock


class SteeredClock:
    """``frozen_at``: UTC milliseconds at which the time stands still. Without it the time runs."""

    def __init__(self, frozen_at: int | None = None) -> None:
        self._frozen = frozen_at
        self._system = SystemClock()
        self.skew = 0
        """Added to what the exchange calls its time, as if its clock went ahead of everybody else's."""

    @property
    def runs(self) -> bool:
        return self._frozen is None

    def now(self) -> int:
        return (self._system.now() if self._frozen is None else self._frozen) + self.skew

    def set(self, now: int) -> None:
        self._frozen = now

    def advance(self, milliseconds: int) -> None:
        if self._frozen is None:
            raise ValueError("A clock that runs cannot be advanced. Freeze it first.")
        self._frozen += milliseconds

    def run(self) -> None:
        self._frozen = None
