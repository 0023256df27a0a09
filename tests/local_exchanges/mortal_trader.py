"""A trader whose process can die at any moment, and a venue store that outlives it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from tradepulse.domain.commands import CancelProtection, Command, PlaceEntry, PlaceExit, PlaceProtection, QueryOrder
from tradepulse.domain.events import CandleClosed, MarketEvent, OrderEnded, OrderFilled, OrderRejected
from tradepulse.domain.market import MINUTE, Candle, Candles, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan, Fill, OrderRole
from tradepulse.domain.signals import Direction
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.ports import JsonObject, VenueStore

BARS = 90
GENESIS = 1_735_689_600_000
SPOT, SWAP = MarketKey("simulated", "BTC/USDT"), MarketKey("simulated", "ETH/USDT")


class KilledError(Exception):
    pass


@dataclass
class Fate:
    """Counts the moments at which a process can die, and dies at the chosen ones."""

    moments_until_kill: list[int]
    moment: int = 0

    def live(self) -> None:
        self.moment += 1
        if self.moments_until_kill and self.moment >= self.moments_until_kill[0]:
            self.moment = 0
            self.moments_until_kill.pop(0)
            raise KilledError


@dataclass
class Disk:
    """A venue store whose content outlives the process; JSON text, so that nothing but JSON can pass."""

    fate: Fate
    state: str | None = None
    orders: dict[str, str] = field(default_factory=dict)

    async def load(self, venue: str) -> JsonObject | None:
        self.fate.live()
        return None if self.state is None else json.loads(self.state)

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        self.fate.live()
        self.state = json.dumps(state)
        self.orders |= {client_id: json.dumps(order) for client_id, order in orders.items()}
        self.fate.live()

    async def order(self, venue: str, client_id: str) -> JsonObject | None:
        self.fate.live()
        stored = self.orders.get(client_id)
        return None if stored is None else json.loads(stored)


@dataclass
class Trader:
    """Trades by the clock alone. Its fields stand for a journal that outlives the process; intents precede action."""

    fate: Fate
    intents: list[Command] = field(default_factory=list)
    fills: dict[str, Fill] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    seen: dict[MarketKey, int] = field(default_factory=dict)

    async def trade(self, exchange: SimulatedExchange) -> None:
        await self._recover(exchange)
        async for event in exchange.events():
            self.fate.live()
            await self._execute(exchange, self._take(event))

    async def _recover(self, exchange: SimulatedExchange) -> None:
        for command in self.intents:
            self.fate.live()
            await exchange.execute(command)
        waiting = [client_id for command in self.intents for client_id in _ids(command) if self._open(client_id)]
        for client_id in waiting:
            # The simulated exchange finds an order by its id alone.
            (told,) = await exchange.execute(QueryOrder(client_id, SPOT))
            if isinstance(told, OrderFilled):
                await self._execute(exchange, self._take(told))
            elif isinstance(told, OrderEnded | OrderRejected):
                self.ended.add(client_id)
        for market in (SPOT, SWAP):
            series = SeriesKey(market.exchange, market.symbol, Timeframe.M1)
            missed = await exchange.history(series, self.seen.get(market, GENESIS - 1) + 1, GENESIS + BARS * MINUTE)
            for row in range(len(missed)):
                await self._execute(exchange, self._take(CandleClosed(series, missed.row(row))))

    async def _execute(self, exchange: SimulatedExchange, commands: Iterable[Command]) -> None:
        for command in commands:
            self.fate.live()
            await exchange.execute(command)
            self.fate.live()

    def _open(self, client_id: str) -> bool:
        return client_id not in self.ended and f"{client_id}-1" not in self.fills

    def _take(self, event: MarketEvent) -> list[Command]:
        commands: list[Command] = []
        if isinstance(event, OrderFilled) and event.fill.fill_id not in self.fills:
            self.fills[event.fill.fill_id] = event.fill
            commands = self._in_answer_to(event.fill)
        elif isinstance(event, OrderEnded):
            self.ended.add(event.client_id)
        elif isinstance(event, CandleClosed) and event.candle.open_time > self.seen.get(event.series.market, 0):
            self.seen[event.series.market] = event.candle.open_time
            commands = self._by_the_clock(event.series.market, event.candle)
        self.intents += commands
        return commands

    def _by_the_clock(self, market: MarketKey, candle: Candle) -> list[Command]:
        number = (candle.open_time - GENESIS) // MINUTE
        direction = Direction.SHORT if market == SWAP and number % 8 < 4 else Direction.LONG
        if number % 4 == 0:
            ticks = round(candle.close * 100)
            plan = EntryPlan(ticks, ticks - direction * (ticks // 200), 0, 1.5, -1.0, candle.open_time + MINUTE)
            return [PlaceEntry(f"{market.symbol}{number}", market, direction, 20 + number, plan)]
        commands: list[Command] = []
        for held in self._held(market):
            if (candle.open_time - held.time) // MINUTE == 10:
                stop, target = f"{held.client_id}s", f"{held.client_id}t"
                commands += [CancelProtection(stop, target, market)] if _manner(held) == 0 else []
                commands.append(_exit(held))
        return commands

    def _in_answer_to(self, fill: Fill) -> list[Command]:
        """An entry is protected, left alone, or closed at the next open; a pair's fill closes all left alone."""
        if fill.role is OrderRole.ENTRY:
            return [[_protection(fill)], [], [_exit(fill)]][_manner(fill)]
        if fill.role is OrderRole.EXIT:
            return []
        return [_exit(held) for market in (SPOT, SWAP) for held in self._held(market) if _manner(held) == 1]

    def _held(self, market: MarketKey) -> list[Fill]:
        """Entries in this market that nothing closed, and nothing is asked to close at market."""
        asked = {command.client_id for command in self.intents if isinstance(command, PlaceExit)}
        return [
            fill
            for fill in self.fills.values()
            if fill.role is OrderRole.ENTRY
            and fill.market == market
            and not {f"{fill.client_id}s-1", f"{fill.client_id}t-1"} & set(self.fills)
            and f"{fill.client_id}x" not in asked
        ]


def _manner(fill: Fill) -> int:
    return (int(fill.client_id[len(fill.market.symbol) :]) // 4) % 3


def _exit(held: Fill) -> PlaceExit:
    return PlaceExit(f"{held.client_id}x", held.market, held.side, held.lots)


def _ids(command: Command) -> tuple[str, ...]:
    if isinstance(command, PlaceEntry | PlaceExit):
        return (command.client_id,)
    return command.stop_client_id, command.target_client_id


def _protection(fill: Fill) -> PlaceProtection:
    stop, target = fill.ticks - fill.side * (fill.ticks // 800), fill.ticks + fill.side * (fill.ticks // 500)
    own = fill.client_id
    return PlaceProtection(f"{own}s", f"{own}t", fill.market, fill.side, fill.lots, stop, target)


def two_market_tape() -> StoredTape:
    market = SimulatedMarket(3, [SPOT.symbol, SWAP.symbol], GENESIS)
    keep = np.array([bar % 13 != 5 for bar in range(BARS)])
    columns = market.candles(SWAP.symbol, 0, BARS - 1)
    holed = Candles(*(getattr(columns, name)[keep] for name in ("open_time", "open", "high", "low", "close", "volume")))
    specs = {
        SPOT: replace(market.specs[SPOT], lot_size=Decimal("0.0001"), min_notional=Decimal(1)),
        SWAP: replace(market.specs[SWAP], kind=MarketKind.SWAP, funding_ppm=100, min_notional=Decimal(1)),
    }
    return StoredTape(Timeframe.M1, specs, {SPOT: market.candles(SPOT.symbol, 0, BARS - 1), SWAP: holed})


async def lifetime(
    tape: StoredTape, kills: list[int], disk_of: Callable[[Fate], VenueStore] | None = None
) -> tuple[Trader, SimulatedExchange]:
    """Trade the whole tape, dying at each of ``kills`` (moments since the last death) and starting again."""
    fate = Fate(kills)
    disk = Disk(fate) if disk_of is None else disk_of(fate)
    trader = Trader(fate)
    while True:
        exchange = SimulatedExchange(tape, {"USDT": Decimal(3_000)}, store=disk)
        try:
            await trader.trade(exchange)
        except KilledError:
            continue
        return trader, exchange
