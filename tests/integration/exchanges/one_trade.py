"""One trade by the real engine, runner and gateway on a local exchange: only its candle is given by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from tests.canary import show
from tests.integration.engine.scripted import ScriptedStrategy
from tests.integration.exchanges.places import Place
from tests.integration.exchanges.trading_desk import TIMEOUT_MS, quickly
from tests.local_exchanges.running import RunningExchange, private_session

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import Patience
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    ExecutionAlarm,
    MarketEvent,
    OrderFilled,
    PositionClosed,
    SetupDropped,
    TimePassed,
)
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import MINUTE, Candle, Candles, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.orders import ProtectionMode
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.signals import ExitReason
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection, connected_exchange
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.ports import Journal
from tradepulse.shared.clock import SystemClock
from tradepulse.storage.in_memory import InMemoryCommandInbox, InMemoryJournal
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters

PLANNED, STOP, TARGET = 50_000.0, 45_000.0, 65_000.0
"""Wide apart, so that a trade is worth its fees on every exchange."""
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.1)
PATIENCE = Patience(not_founds=2, spacing=400, check=2_000, pause=300, unprotected=3_000, unsold=600)
PRINTED = Decimal("0.0001")
"""Kraken prints fees with fewer digits than it books."""


class OneSetup(ScriptedStrategy):
    """Every candle that closes at the planned price is a setup."""

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        closes = history.candles.close
        rows = [(bar, STOP, TARGET) for bar in range(first, len(history)) if closes[bar] == PLANNED]
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        bars = table[:, 0].astype(np.int64)
        conditions = np.full((len(table), 1), 7.0)
        return Found(bars, np.ones(len(table), dtype=np.int64), table[:, 1], table[:, 2], conditions, bars)


class GivenCandles:
    """A feed that tells the candles that a test gives it."""

    def __init__(self, series: SeriesKey) -> None:
        self._series = series
        self._given: asyncio.Queue[Candle] = asyncio.Queue()

    def give(self, candle: Candle) -> None:
        self._given.put_nowait(candle)

    async def events(self) -> AsyncIterator[MarketEvent]:
        while True:
            yield CandleClosed(self._series, await self._given.get())

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        nothing = np.zeros(0)
        return Candles(nothing.astype(np.int64), nothing, nothing, nothing, nothing, nothing)


class TheirTime:
    def __init__(self, connection: ExchangeConnection) -> None:
        self._connection = connection

    def now(self) -> int:
        return self._connection.now()


@dataclass
class OneTrade:
    place: Place
    exchange: RunningExchange
    folder: Path
    mode: ProtectionMode
    journal: Journal = field(default_factory=InMemoryJournal)
    inbox: InMemoryCommandInbox = field(default_factory=InMemoryCommandInbox)
    told: list[EngineEvent] = field(default_factory=list)
    engine: Engine | None = None
    feed: GivenCandles | None = None
    life: "asyncio.Task[None] | None" = None

    @property
    def market(self) -> MarketKey:
        return MarketKey(self.place.exchange, self.place.symbol)

    async def start(self) -> None:
        """Until the account's stream is open."""
        self.life = asyncio.create_task(self._live())
        await self.until(lambda: any(each["wanted"] for each in self._own_streams()))

    def _own_streams(self) -> list[dict[str, Any]]:
        return [each for each in self.exchange.streams()["connections"] if each["account"]]

    async def kill(self) -> None:
        assert self.life is not None
        self.life.cancel()
        await asyncio.gather(self.life, return_exceptions=True)

    async def _live(self) -> None:
        series = SeriesKey(self.place.exchange, self.place.symbol, Timeframe.M1)
        async with (
            private_session(self.exchange.reach) as session,
            connected_exchange(
                self.place.exchange,
                MarketKind.SPOT,
                session,
                SystemClock(),
                self.folder,
                self.exchange.keys().credentials(),
                options=dict(self.exchange.reach.options),
                timeout_ms=TIMEOUT_MS,
                sleep=quickly,
            ) as connection,
        ):
            gateway = CcxtGateway(connection, [self.market], quickly, probed=True)
            await gateway.open()
            clock, strategy = TheirTime(connection), OneSetup()
            subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=400), series)
            config = EngineConfig("book", LIMITS, modes={self.market: self.mode}, patience=PATIENCE)
            engine = Engine(config, await gateway.markets(), {self.market: Timeframe.M1}, [subscription])
            bus, feed = EventBus(), GivenCandles(series)
            bus.subscribe(self.told.append)
            bus.subscribe(lambda event: show("an event", event))
            self.engine, self.feed = engine, feed
            ticks = _ticks(clock)
            runner = Runner(engine, feed, gateway, self.journal, clock, observers=bus, ticks=ticks, inbox=self.inbox)
            await runner.run(self.exchange.balance(self.place.quote))

    async def until(self, true: Callable[[], bool], seconds: float = 8.0) -> None:
        assert self.life is not None
        deadline = asyncio.get_running_loop().time() + seconds
        while not true():
            if self.life.done():
                self.life.result()
            assert asyncio.get_running_loop().time() < deadline, f"it did not happen; told: {self.told[-8:]}"
            await asyncio.sleep(0.02)

    # --- the trade

    def candle(self, close: float = PLANNED) -> None:
        """The minute that has just ended."""
        assert self.feed is not None
        end = self.exchange.clock() // MINUTE * MINUTE
        self.feed.give(Candle(end - MINUTE, close, close, close, close, 1.0))

    async def enter(self) -> None:
        """Until what was bought has its stop."""
        self.candle()
        await self.until(lambda: bool(self.fills()) and self.covered())

    async def leave(self) -> None:
        """By hand, from the website of ours."""
        assert self.engine is not None
        (position,) = self.engine.portfolio.positions.values()
        about = {"position_id": position.position_id}
        await self.inbox.post(
            Request("book", RequestKind.CLOSE_POSITION, "alice", "enough", "close", self.exchange.clock(), about)
        )

    def fills(self) -> list[OrderFilled]:
        return [event for event in self.told if isinstance(event, OrderFilled)]

    def held(self) -> Decimal:
        assert self.engine is not None
        spec = self.engine.portfolio.spec(self.market)
        return sum((spec.quantity(each.lots) for each in self.engine.portfolio.positions.values()), Decimal(0))

    def stops(self) -> list[dict[str, Any]]:
        return [each for each in self.exchange.orders(open_only=True) if each["stop"] is not None]

    def covered(self) -> bool:
        """What is held is what resting stops would sell."""
        return self.held() > 0 and sum(Decimal(each["remaining"]) for each in self.stops()) == self.held()

    async def closed(self) -> Trade:
        """Until the position is over and nothing of it rests any more."""
        await self.until(lambda: bool(self._ends()) or self._dropped() is not None)
        await self.until(lambda: not self.exchange.orders(open_only=True))
        (ended,) = self._ends()
        return ended.trade

    def _ends(self) -> list[PositionClosed]:
        return [event for event in self.told if isinstance(event, PositionClosed)]

    def _dropped(self) -> SetupDropped | None:
        return next((event for event in self.told if isinstance(event, SetupDropped)), None)

    def alarms(self) -> list[str]:
        return [event.alarm for event in self.told if isinstance(event, ExecutionAlarm)]

    async def closed_by(self, reason: ExitReason) -> Trade:
        trade = await self.closed()
        assert trade.exit_reason is reason
        return trade

    async def books_agree(self) -> None:
        """Every execution is in our book once, and money and coins are what the exchange has."""
        engine = self.engine
        assert engine is not None
        spec = engine.portfolio.spec(self.market)
        ledger = self.exchange.fills()
        await self.until(lambda: len({event.fill.fill_id for event in self.fills()}) == len(ledger))
        printed = PRINTED if self.place.exchange == "kraken" else Decimal(0)
        assert abs(self.exchange.balance(self.place.quote) - engine.portfolio.cash) <= printed
        kept = self.exchange.balance(self.place.base) - self.held() - 1
        assert 0 <= kept < spec.lot_size * (1 + len(ledger))


async def _ticks(clock: TheirTime) -> AsyncIterator[TimePassed]:
    while True:
        await asyncio.sleep(0.05)
        yield TimePassed(clock.now())


@asynccontextmanager
async def one_trade(
    place: Place,
    exchange: RunningExchange,
    folder: Path,
    mode: ProtectionMode,
    journal: Journal | None = None,
) -> AsyncIterator[OneTrade]:
    # A minute has just begun there, so that its entry may still be sent.
    exchange.clock(skew=MINUTE - exchange.clock() % MINUTE + 200)
    trade = OneTrade(place, exchange, folder, mode, journal or InMemoryJournal())
    await trade.start()
    try:
        yield trade
    finally:
        await trade.kill()
        await asyncio.sleep(0.05)
