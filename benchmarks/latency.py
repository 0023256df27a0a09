"""From a closed candle on the wire to the order on the wire, on the local Binance over TLS with ccxt as it is.

The exchange is a process of its own and notes when it told the candle and when the order came; probes around feed,
engine and journal note the rest. All clocks are the machine's monotonic one. The exchange's time runs as in life
around every close and jumps over the rest of the minute; the next minute's first trade comes 20 ms after its begin.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from tests.live_trader.steady import SteadyStrategy
from tests.local_exchanges.clock import SharedClock
from tests.local_exchanges.running import RunningExchange, local_exchange, private_session

from benchmarks.measuring import Table
from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.commands import PlaceEntry
from tradepulse.domain.events import CandleClosed, EngineInput, MarketEvent
from tradepulse.domain.market import MINUTE, Candles, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.storage.db import Database, open_database
from tradepulse.storage.journal import PostgresJournal

BEGIN = 1_893_456_000_000
SYMBOL = "BTC/USDT"
FULL, QUICK = 300, 12
BEFORE_MS, NEXT_TRADE_MS, AFTER_MS = 150, 20, 800
STAGES = (
    "wire → feed has it, confirmed by REST",
    "feed → engine decided",
    "journal committed",
    "gateway → order on the wire",
    "in all",
)


@dataclass
class Marks:
    """Seconds of the monotonic clock, by the candle's open time."""

    fed: dict[int, float] = field(default_factory=dict)
    decided: dict[int, float] = field(default_factory=dict)
    committed: dict[int, float] = field(default_factory=dict)
    orders: dict[int, str] = field(default_factory=dict)
    current: int = 0


class ProbedFeed:
    def __init__(self, feed: CcxtFeed, marks: Marks) -> None:
        self._feed = feed
        self._marks = marks

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        return await self._feed.history(series, since, until)

    async def events(self) -> AsyncIterator[MarketEvent]:
        async for event in self._feed.events():
            if isinstance(event, CandleClosed):
                self._marks.current = event.candle.open_time
                self._marks.fed[event.candle.open_time] = time.monotonic()
            yield event


class ProbedEngine(Engine):
    marks: Marks

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        step = super().handle(event, more=more)
        for command in step.commands:
            if isinstance(command, PlaceEntry):
                self.marks.decided[self.marks.current] = time.monotonic()
                self.marks.orders[self.marks.current] = command.client_id
        return step


class ProbedJournal:
    def __init__(self, journal: PostgresJournal, marks: Marks) -> None:
        self._journal = journal
        self._marks = marks

    async def commit(self, record: StepRecord) -> None:
        await self._journal.commit(record)
        if any(isinstance(command, PlaceEntry) for command in record.commands):
            self._marks.committed[self._marks.current] = time.monotonic()

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        return await self._journal.recover(book)


async def measured(candles: int, folder: Path) -> list[list[float]]:
    """Seconds of every stage, candle by candle."""
    clock = SharedClock(folder / "exchange.clock", BEGIN)
    with local_exchange("binance", clock_file=folder / "exchange.clock", own_process=True) as exchange:
        exchange.price("50000", ask="52000")
        async with open_database(None, folder) as database:
            marks = Marks()
            trading = asyncio.create_task(_trade(exchange, database, clock, folder, marks))
            try:
                for number in range(1, candles + 3):
                    await _close_of(number, exchange, clock)
                    if trading.done():
                        trading.result()
            finally:
                trading.cancel()
                with suppress(asyncio.CancelledError):
                    await trading
        return _spans(exchange, marks)


async def _close_of(minute: int, exchange: RunningExchange, clock: SharedClock) -> None:
    """The end of a minute and what follows, at the speed of life."""
    end = BEGIN + minute * MINUTE
    clock.set(end - BEFORE_MS)
    began, traded = time.monotonic(), False
    await asyncio.to_thread(exchange.price, f"{50_000 + minute % 7}", ask="52000")
    while (now := end - BEFORE_MS + int(1000 * (time.monotonic() - began))) < end + AFTER_MS:
        clock.set(now)
        if now >= end + NEXT_TRADE_MS and not traded:
            traded = True
            await asyncio.to_thread(exchange.price, f"{50_000 + minute % 5}", ask="52000")
        await asyncio.sleep(0.002)


async def _trade(exchange: RunningExchange, database: Database, clock: SharedClock, folder: Path, marks: Marks) -> None:
    market, series = MarketKey("binance", SYMBOL), SeriesKey("binance", SYMBOL, Timeframe.M1)
    async with (
        private_session(exchange.reach) as session,
        connected_exchange(
            "binance", MarketKind.SPOT, session, clock, folder, exchange.keys().credentials(),
            options=dict(exchange.reach.options),
        ) as connection,
    ):  # fmt: skip
        gateway = CcxtGateway(connection, [market])
        await gateway.open()
        strategy = SteadyStrategy()
        limits = RiskLimits(risk_ppm=10_000, max_position_ppm=250_000, min_confluence=0.1)
        engine = ProbedEngine(
            EngineConfig("latency", limits, modes=gateway.modes()),
            await gateway.markets(),
            {market: Timeframe.M1},
            [Subscription(strategy, strategy.parameters(), series)],
        )
        engine.marks = marks
        feed = ProbedFeed(CcxtFeed(connection, [series]), marks)
        runner = Runner(engine, feed, gateway, ProbedJournal(PostgresJournal(database), marks), clock)
        await runner.run(Decimal(10_000))


def _spans(exchange: RunningExchange, marks: Marks) -> list[list[float]]:
    """Of candles that led to an order; the first ones, in which everything is new, do not count."""
    told = {each["open_time"]: each["seconds"] for each in exchange.closings()}
    arrived = {_client_id(each): each["seconds"] for each in exchange.requests("/api/v3/order", "POST")}
    spans = []
    for open_time, client_id in sorted(marks.orders.items())[2:]:
        if client_id not in arrived or open_time not in told:
            continue
        moments = [told[open_time], *(kept[open_time] for kept in (marks.fed, marks.decided, marks.committed))]
        moments.append(arrived[client_id])
        stages = [after - before for before, after in pairwise(moments)]
        spans.append([*stages, moments[-1] - moments[0]])
    return spans


def _client_id(asked: dict[str, Any]) -> str:
    sent = dict(pair.split("=", 1) for pair in str(asked["body"]).split("&") if "=" in pair)
    return str(sent.get("newClientOrderId") or asked["query"].get("newClientOrderId") or "")


def order_latency_table(candles: int, folder: Path) -> Table:
    spans = asyncio.run(measured(candles, folder))
    return Table(
        f"Closed candle on the wire → order on the wire, {len(spans)} candles, milliseconds",
        ("stage", "median", "p99", "longest"),
        [(stage, *_figures([one[place] for one in spans])) for place, stage in enumerate(STAGES)],
        ["Local Binance over TLS, ccxt as it is, PostgreSQL durable; the network itself takes no time here."],
    )


def _figures(seconds: list[float]) -> tuple[str, str, str]:
    ascending = sorted(1000 * each for each in seconds)
    if not ascending:
        return ("-", "-", "-")
    at = (len(ascending) // 2, min(len(ascending) - 1, int(0.99 * len(ascending))), len(ascending) - 1)
    middle, top, longest = (f"{ascending[place]:.1f}" for place in at)
    return middle, top, longest


def main() -> None:
    from benchmarks.__main__ import WIDTH_OF_PIPES, circumstances, show

    options = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a dozen candles")
    chosen = options.parse_args()
    console = Console(highlight=False, width=WIDTH_OF_PIPES)
    console.print(circumstances())
    with tempfile.TemporaryDirectory(prefix="tradepulse-latency-") as folder:
        show(console, order_latency_table(QUICK if chosen.quick else FULL, Path(folder)))
    console.print(circumstances())


if __name__ == "__main__":
    main()
