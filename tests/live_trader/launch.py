"""What a live trader is launched with, as plain JSON, and the local exchanges as its world outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.local_exchanges.clock import SharedClock
from tests.local_exchanges.running import Reach, RunningExchange, private_session

from tradepulse.bootstrap import Outside
from tradepulse.ports import Clock
from tradepulse.shared.clock import SystemClock


@dataclass(frozen=True)
class Launch:
    """``settings``: as ``Settings`` takes them, data directory and wallets file among them.

    ``clock``: the exchange whose time is ours too, for exchanges whose time is frozen; ``clock_file``: of a
    ``SharedClock`` instead; both empty: the machine's clock.
    ``bursts``: requests that may be saved up, by exchange; where time stands still none are earned.
    ``speed``: the traders' own pauses are shorter by so much (never those of an exchange).
    """

    settings: dict[str, Any]
    reaches: list[dict[str, Any]]
    names: list[str] = field(default_factory=list)
    clock: str = ""
    clock_file: str = ""
    bursts: dict[str, float] = field(default_factory=dict)
    speed: float = 1.0
    timeout_ms: int = 2_000
    mode: str = "live"

    def as_json(self) -> str:
        return json.dumps(asdict(self))


class TheirClock:
    """Asks the exchange for its time; while it does not answer, as when it is over, the last answer holds."""

    def __init__(self, exchange: RunningExchange) -> None:
        self._exchange = exchange
        self._last = 0

    def now(self) -> int:
        try:
            self._last = max(self._last, self._exchange.clock())
        except OSError:
            return self._last
        return self._last


def _clock(launch: Launch, timed: Reach | None) -> Clock:
    if launch.clock_file:
        return SharedClock(Path(launch.clock_file))
    return SystemClock() if timed is None else TheirClock(RunningExchange(timed))


def outside_of(launch: Launch) -> Outside:
    reaches = [Reach.of(one) for one in launch.reaches]
    timed = next((reach for reach in reaches if reach.exchange_id == launch.clock), None)

    @asynccontextmanager
    async def session() -> AsyncIterator[aiohttp.ClientSession]:
        async with private_session(*reaches) as opened:
            yield opened

    async def quickly(seconds: float) -> None:
        await asyncio.sleep(seconds / launch.speed)

    return Outside(
        session=session,
        clock=_clock(launch, timed),
        sleep=quickly,
        options={reach.exchange_id: reach.options for reach in reaches},
        timeout_ms=launch.timeout_ms,
    )
