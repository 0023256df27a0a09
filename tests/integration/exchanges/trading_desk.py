"""A gateway on a local exchange with its time made short, and what it has told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from tests.canary import show
from tests.local_exchanges.running import RunningExchange, private_session

from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.commands import (
    CancelOrder,
    CancelProtection,
    PlaceEntry,
    PlaceExit,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderFilled, OrderInDoubt, OrderRejected, PriceSeen
from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.domain.orders import EntryPlan, Fill
from tradepulse.domain.signals import Direction
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection, connected_exchange
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.ports import Clock
from tradepulse.shared.clock import SystemClock

SPEED = 10
"""Times faster than in life: pauses of the gateway, not of the exchange."""
TIMEOUT_MS = 700
Event = TypeVar("Event")
LONG = Direction.LONG


async def quickly(seconds: float) -> None:
    await asyncio.sleep(seconds / SPEED)


def name(number: int, role: IdRole, generation: int = 0) -> str:
    """An order's id: number names the trade."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return str(ClientId("tradetrade" + "".join(letters[number // 32**p % 32] for p in range(4)), role, generation))


class Desk:
    """Commands in prices and lots of one market. Everything the gateway tells by itself is in ``heard``."""

    def __init__(
        self,
        gateway: CcxtGateway,
        connection: ExchangeConnection,
        market: MarketKey,
        spec: MarketSpec,
        specs: dict[MarketKey, MarketSpec],
    ) -> None:
        self.gateway = gateway
        self.connection = connection
        self.market = market
        self.spec = spec
        self.specs = specs
        self.heard: list[Any] = []
        self.reading: asyncio.Task[None] | None = None

    def beside(self, market: MarketKey) -> "Desk":
        """The same gateway's other market; what is heard is heard there."""
        return Desk(self.gateway, self.connection, market, self.specs[market], self.specs)

    def ticks(self, price: str | int) -> int:
        return int(Decimal(price) / self.spec.tick_size)

    def lots(self, quantity: str) -> int:
        return int(Decimal(quantity) / self.spec.lot_size)

    def entry(self, number: int, quantity: str = "0.01", planned: str = "50000", stop: str = "49000") -> PlaceEntry:
        now = self.connection.now()
        plan = EntryPlan(self.ticks(planned), self.ticks(stop), 0, 2.0, 1.0, now)
        return PlaceEntry(name(number, IdRole.ENTRY), self.market, LONG, self.lots(quantity), plan)

    def stop(self, number: int, quantity: str = "0.01", stop: str = "49000", generation: int = 0) -> PlaceStop:
        client_id = name(number, IdRole.STOP, generation)
        return PlaceStop(client_id, self.market, LONG, self.lots(quantity), self.ticks(stop))

    def pair(self, number: int, quantity: str = "0.01", stop: str = "49000", target: str = "52000") -> PlaceProtection:
        stop_id, target_id, pair_id = (name(number, role) for role in (IdRole.STOP, IdRole.TARGET, IdRole.PAIR))
        lots = self.lots(quantity)
        return PlaceProtection(
            stop_id, target_id, self.market, LONG, lots, self.ticks(stop), self.ticks(target), pair_client_id=pair_id
        )

    def exit(self, number: int, quantity: str = "0.01", limit: str | None = None, generation: int = 0) -> PlaceExit:
        ticks = None if limit is None else self.ticks(limit)
        client_id = name(number, IdRole.EXIT, generation)
        return PlaceExit(client_id, self.market, LONG, self.lots(quantity), limit_ticks=ticks)

    def cancel(self, number: int, role: IdRole = IdRole.STOP, generation: int = 0) -> CancelOrder:
        return CancelOrder(name(number, role, generation), self.market)

    def cancel_pair(self, number: int) -> CancelProtection:
        ids = (name(number, role) for role in (IdRole.STOP, IdRole.TARGET))
        return CancelProtection(*ids, self.market, pair_client_id=name(number, IdRole.PAIR))

    def query(self, number: int, role: IdRole = IdRole.ENTRY, generation: int = 0) -> QueryOrder:
        return QueryOrder(name(number, role, generation), self.market)

    async def execute(self, command: Any) -> list[Any]:
        facts = list(await self.gateway.execute(command))
        show("an answer of the gateway", *facts)
        return facts

    async def buy(self, number: int = 1, quantity: str = "0.01") -> list[Any]:
        """A filled entry."""
        facts = await self.execute(self.entry(number, quantity))
        assert [type(fact) for fact in facts][-1] is OrderEnded
        return facts

    async def listen(self) -> None:
        async for event in self.gateway.events():
            self.heard.append(event)
            show("an event", event)

    def fills_heard(self) -> list[Fill]:
        return fills_in(self.heard)

    async def until(self, true: Callable[[], bool], seconds: float = 5.0) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            if self.reading is not None and self.reading.done():
                self.reading.result()
            assert asyncio.get_running_loop().time() < deadline, f"it did not happen; heard: {self.heard}"
            await asyncio.sleep(0.02)

    async def until_heard(self, kind: type[Event], client_id: str, seconds: float = 5.0) -> Event:
        def found() -> Event | None:
            return next((each for each in self.heard if isinstance(each, kind) and id_of(each) == client_id), None)

        await self.until(lambda: found() is not None, seconds)
        event = found()
        assert event is not None
        return event

    async def until_price(self, price: str) -> None:
        await self.until(lambda: any(isinstance(e, PriceSeen) and e.ticks == self.ticks(price) for e in self.heard))


def id_of(event: Any) -> str:
    return (
        ""
        if isinstance(event, PriceSeen)
        else event.fill.client_id
        if isinstance(event, OrderFilled)
        else event.client_id
    )


def fills_in(events: Sequence[Any]) -> list[Fill]:
    return list({event.fill.fill_id: event.fill for event in events if isinstance(event, OrderFilled)}.values())


def kinds(events: Sequence[Any]) -> list[str]:
    short = {OrderAccepted: "accepted", OrderRejected: "rejected", OrderFilled: "filled", OrderEnded: "ended"}
    return ["in doubt" if isinstance(e, OrderInDoubt) else short.get(type(e), "not found") for e in events]


@asynccontextmanager
async def desk_on(
    exchange: RunningExchange,
    folder: Path,
    *,
    account: str = "alice",
    symbol: str = "BTC/USDT",
    also: Sequence[str] = (),
    clock: Clock | None = None,
    listening: bool = True,
    probed: bool | None = True,
) -> AsyncIterator[Desk]:
    """``listening``: the gateway's events are read all the time, as the runner does."""
    keys, market = exchange.keys(account), MarketKey(exchange.reach.exchange_id, symbol)
    async with (
        private_session(exchange.reach) as session,
        connected_exchange(
            exchange.reach.exchange_id,
            MarketKind.SPOT,
            session,
            clock or SystemClock(),
            folder,
            keys.credentials(),
            options=dict(exchange.reach.options),
            timeout_ms=TIMEOUT_MS,
            sleep=quickly,
        ) as connection,
    ):
        others = [MarketKey(market.exchange, other) for other in also]
        gateway = CcxtGateway(connection, [market, *others], quickly, probed=probed)
        await gateway.open()
        specs = await gateway.markets()
        desk = Desk(gateway, connection, market, specs[market], specs)
        desk.reading = reading = asyncio.create_task(desk.listen()) if listening else None
        try:
            if reading:
                await desk.until(lambda: any(each["account"] for each in exchange.streams()["connections"]))
            yield desk
        finally:
            if reading:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    # Sockets of streams that were given up close in the next rounds of the loop.
    await asyncio.sleep(0.05)
