"""Prices and amounts as the decimal strings that go out, rounded by us before ccxt can.

ccxt rounds prices half up: a stop may end below, a limit above what was asked.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from tradepulse.shared.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Rounding:
    """Rounding of one market in the direction that never loosens protection.

    A price is a multiple of the tick size and has at most ``digits`` significant digits where those are limited.
    """

    tick_size: Decimal
    lot_size: Decimal
    digits: int | None = None

    def amount(self, quantity: Decimal) -> str:
        """Never more than asked: what is not there cannot be sold."""
        return _text(_whole(quantity, self.lot_size, ROUND_DOWN), quantity, f"the lot size {self.lot_size}")

    def money(self, cost: Decimal) -> str:
        """Quote money to spend, truncated like ccxt does it: to the tick size."""
        return _text(_whole(cost, self.tick_size, ROUND_DOWN), cost, f"the tick size {self.tick_size}")

    def sell_stop(self, price: Decimal) -> str:
        """Up: the stop of a long position triggers not later than asked."""
        return self._price(price, ROUND_CEILING)

    def sell_limit(self, price: Decimal) -> str:
        """Up: not sold for less than asked."""
        return self._price(price, ROUND_CEILING)

    def buy_limit(self, price: Decimal) -> str:
        """Down: not bought for more than asked."""
        return self._price(price, ROUND_FLOOR)

    def sell_stop_limit(self, price: Decimal) -> str:
        """Down: behind a triggered stop, being filled is the protection."""
        return self._price(price, ROUND_FLOOR)

    def _price(self, price: Decimal, direction: str) -> str:
        step = self.tick_size
        if self.digits is not None and price.is_finite() and price > 0:
            step = max(step, Decimal(1).scaleb(price.adjusted() - self.digits + 1))
        return _text(_whole(price, step, direction), price, f"a price step of {step}")


def _whole(value: Decimal, step: Decimal, direction: str) -> Decimal:
    return (value / step).to_integral_value(direction) * step


def _text(rounded: Decimal, asked: Decimal, rule: str) -> str:
    if not rounded.is_finite() or rounded <= 0:
        raise RefusedError(
            f"{asked} becomes {rounded} under {rule}, and an order needs more than nothing.",
            "Trade a larger quantity, or a market with finer steps.",
        )
    return f"{rounded.normalize():f}"
