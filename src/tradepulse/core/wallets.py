"""Limits over all books of one process. Nothing is kept here: every figure is read from the books themselves.

So there is no second account of reservations that could differ, and after a restart all is there as soon as every
engine has its memory back; until then nothing is entered.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from tradepulse.core.portfolio import ZERO
from tradepulse.domain.risk import HoldCause, WalletLimits
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class WalletState:
    """A book as it is now. ``loaded``: it has begun, or has its memory back."""

    loaded: bool
    equity: Decimal
    exposure: Decimal
    """Positions, and entries on their way at their dearest."""
    day: int
    baseline: Decimal
    """What the loss of this day is measured from."""
    holds: frozenset[HoldCause]


class Wallets:
    """Given to every engine of the process; each joins by itself."""

    def __init__(self, limits: WalletLimits) -> None:
        self.limits = limits
        self._books: dict[str, Callable[[], WalletState]] = {}
        self._quote = ""

    def expect(self, book: str) -> None:
        """It is going to join: until it has, and has its memory back, nothing is known of all wallets together."""
        self._books.setdefault(book, _unknown)

    def leave(self, book: str) -> None:
        """It never joined and will not: what it holds is not known and does not count."""
        if self._books.get(book) is _unknown:
            del self._books[book]

    def join(self, book: str, quotes: Iterable[str], state: Callable[[], WalletState]) -> None:
        """An engine that takes over a book takes the place of the one before."""
        for quote in quotes:
            self._quote = self._quote or quote
            if quote != self._quote:
                raise ConfigurationError(
                    f"Book '{book}' trades against {quote}, other wallets against {self._quote}.",
                    "Limits over all wallets need one quote currency: set them to 0, or trade one currency.",
                )
        self._books[book] = state

    def missing(self) -> list[str]:
        """Books that have joined and whose state is not known yet."""
        return sorted(book for book, state in self._books.items() if not state().loaded)

    def room(self) -> Decimal | None:
        """How much more may be held in all, ``None`` without a limit."""
        if not self.limits.total_ppm:
            return None
        states = [state() for state in self._books.values()]
        allowed = sum((one.equity for one in states), ZERO) * self.limits.total_ppm / PPM
        return allowed - sum((one.exposure for one in states), ZERO)

    def loss_of(self, day: int) -> str:
        """Why nothing is entered on this day any more; empty while the limit is kept.

        Nothing is said before all books are known: the loss of one, measured against itself, would be a false alarm. A
        book that has not seen the day begin yet has not lost anything of it, but counts as part of what it is lost of.
        """
        if not self.limits.daily_loss_ppm or self.missing():
            return ""
        states = [state() for state in self._books.values()]
        baseline = sum((one.baseline if one.day == day else one.equity for one in states), ZERO)
        loss = baseline - sum((one.equity for one in states), ZERO)
        told = any(HoldCause.WALLETS_DAILY_LOSS in one.holds for one in states if one.day == day)
        if not told and loss * PPM < baseline * self.limits.daily_loss_ppm:
            return ""
        percent = Decimal(self.limits.daily_loss_ppm) / 10_000
        return f"{loss:f} of the day's {baseline:f} in all wallets were lost, the limit is {percent:f} %"


def _unknown() -> WalletState:
    return WalletState(False, ZERO, ZERO, -1, ZERO, frozenset())
