"""What goes wrong with an exchange during one life of the trader: drawn by chance, written down with its time."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.local_exchanges import fault_rules as broken
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.running import RunningExchange

ORDERS = {
    "binance": "/api/v3/order",
    "okx": "/api/v5/trade/(order|cancel|batch)",
    "coinbase": "/brokerage/orders",
    "kraken": "(Add|Cancel)Order",
}
"""Requests that place or cancel, by their path. Questions have other paths, or another method."""
QUESTIONS = {
    "binance": "/api/v3/(order|openOrders|allOrders|myTrades|account)",
    "okx": "/api/v5/(trade/(order|fills)|account)",
    "coinbase": "/brokerage/(orders|accounts)",
    "kraken": "(Open|Closed|Query)Orders|QueryTrades|TradesHistory|Balance",
}
Make = Callable[..., FaultRule]
REQUEST_FAULTS: dict[str, Make] = {
    "lost request": broken.lost_request,
    "lost answer": broken.lost_answer,
    "late request": lambda **match: broken.slow(0.15, **match),
    "late answer": lambda **match: broken.slow_answer(0.3, **match),
    "half-open, not executed": broken.hangs,
    "half-open, executed": lambda **match: broken.hangs(executes=True, **match),
    "429": lambda **match: broken.too_many(retry_after=1, **match),
    "418": lambda **match: broken.too_many(status=418, retry_after=2, **match),
    "503, not executed": broken.unavailable,
    "502, executed": lambda **match: broken.unavailable(status=502, executes=True, **match),
    "cut off": broken.truncated,
    "chunks cut off": broken.cut_chunks,
    "half of the JSON": broken.cut_json,
    "a web page": broken.html,
    "a web page, executed": lambda **match: broken.html(executes=True, **match),
    "nothing": broken.empty,
    "nothing, executed": lambda **match: broken.empty(executes=True, **match),
    "an empty object": broken.empty_object,
    "maintenance": broken.maintenance,
}
STREAM_FAULTS: dict[str, dict[str, Any]] = {
    "silent streams": {"silent": True},
    "events twice": {"duplicated": True},
    "events out of order": {"swapped": True},
    "late events": {"delay": 0.3},
    "half-open streams": {"deaf": True},
    "no streams": {"refusing": True},
    "lost events": {"lose_next": 5},
}
JUMPS = (1_500, 5_000, 60_000)
"""Milliseconds by which the trader's clock goes wrong while it lives."""


@dataclass
class Weather:
    """``active``: seconds (monotonic) in which streams or the clock were wrong; requests that were hit are in the
    exchange's own log of requests. ``skew``: of the trader's clock.
    """

    exchange: RunningExchange
    chance: random.Random
    drawn: dict[str, int] = field(default_factory=dict)
    active: list[tuple[float, float, str]] = field(default_factory=list)
    skew: int = 0
    _since: float | None = None
    _what: str = ""

    def spoil(self) -> str:
        """Often nothing, sometimes two things at once."""
        dice = self.chance.random()
        told = [self._requests() for _ in range(0 if dice < 0.4 else 1 if dice < 0.8 else 2)]
        if self.chance.random() < 0.3:
            told.append(self._streams())
        if self.chance.random() < 0.06:
            told.append(self._skew())
        for each in told:
            self.drawn[each] = self.drawn.get(each, 0) + 1
        return ", ".join(told) or "fair"

    def clear(self) -> None:
        """All is well again."""
        self.exchange.clear_faults()
        if self._since is not None:
            self.exchange.stream_faults()
            self.active.append((self._since, time.monotonic(), self._what))
            self._since, self._what = None, ""

    def _requests(self) -> str:
        name = self.chance.choice(list(REQUEST_FAULTS))
        paths = self.chance.choice((ORDERS, ORDERS, QUESTIONS))[self.exchange.reach.exchange_id]
        match: dict[str, Any] = {
            "path": paths,
            "after": self.chance.randrange(4),
            "times": self.chance.choice((1, 1, 2, 3)),
        }
        if paths in ORDERS.values():
            match["method"] = self.chance.choice(("POST", ""))
        self.exchange.fault(REQUEST_FAULTS[name](**match))
        return name

    def _streams(self) -> str:
        if self.chance.random() < 0.3:
            closed = self.chance.random() < 0.5
            self.exchange.close_streams(1001) if closed else self.exchange.cut_streams()
            now = time.monotonic()
            name = "streams closed" if closed else "streams cut"
            self.active.append((now, now, name))
            return name
        name = self.chance.choice(list(STREAM_FAULTS))
        self.exchange.stream_faults(**STREAM_FAULTS[name])
        self._begin(name)
        return name

    def _skew(self) -> str:
        self.skew += self.chance.choice(JUMPS)
        self._begin("a wrong clock")
        return "a wrong clock"

    def _begin(self, name: str) -> None:
        self._since = time.monotonic() if self._since is None else self._since
        self._what = f"{self._what}, {name}".strip(", ")
