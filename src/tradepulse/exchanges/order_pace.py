"""How many orders an account may place in some seconds, where its exchange publishes that.

Only entries give way to it: they leave room for the orders that protect what they buy. What was sent before a restart
is not known, and the stretches are short.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tradepulse.domain.market import MINUTE

_MS = {"SECOND": 1_000, "MINUTE": MINUTE}


@dataclass(frozen=True, slots=True)
class PaceLimit:
    orders: int
    within_ms: int


class OrderPace:
    def __init__(self, limits: Iterable[PaceLimit], now: Callable[[], int]) -> None:
        self.limits = tuple(limits)
        self._now = now
        self._sent: deque[tuple[int, int]] = deque()

    def note(self, orders: int) -> None:
        """So many go out now."""
        longest = max((limit.within_ms for limit in self.limits), default=0)
        while self._sent and self._sent[0][0] <= self._now() - longest:
            self._sent.popleft()
        if self.limits:
            self._sent.append((self._now(), orders))

    def refusal(self, orders: int) -> str:
        """Why so many more are not sent now; '' when they may be."""
        for limit in self.limits:
            sent = sum(number for time, number in self._sent if time > self._now() - limit.within_ms)
            if sent + orders > limit.orders:
                seconds = limit.within_ms // 1_000
                return f"{sent} orders were sent within {seconds} s, and {orders} more would be above {limit.orders}"
        return ""


def pace_limits(exchange_info: Mapping[str, Any]) -> tuple[PaceLimit, ...]:
    """From Binance's ``exchangeInfo``. Limits of a day are so far away that they are the exchange's to count."""
    return tuple(
        PaceLimit(int(each["limit"]), int(each["intervalNum"]) * _MS[each["interval"]])
        for each in exchange_info.get("rateLimits") or ()
        if each.get("rateLimitType") == "ORDERS" and each.get("interval") in _MS
    )
