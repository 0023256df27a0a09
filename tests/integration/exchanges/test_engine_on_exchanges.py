"""The whole way on local exchanges: candles from the feed, the engine's decisions, orders through the gateway.

The trader is killed again and again and starts anew from its journal. In the end the exchange's own ledger and our book
must say the same, and whatever is held must have a stop.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from tests.integration.engine.scripted import ScriptedStrategy
from tests.integration.exchanges.trading_desk import quickly
from tests.local_exchanges.fault_rules import lost_answer, unavailable
from tests.local_exchanges.running import RunningExchange, local_exchange, private_session

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import Patience
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineEvent, OrderFilled, PositionClosed, PositionOpened, TimePassed
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.exchanges.rate_budget import BURSTS
from tradepulse.storage.in_memory import InMemoryJournal

BEGIN = 1_767_225_600_000
MINUTES = 18
CASH = Decimal(10_000)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.1)
PRINTED = Decimal("0.0001")
"""Kraken prints fees with fewer digits than it books."""


class TheirClock:
    def __init__(self, exchange: RunningExchange) -> None:
        self._exchange = exchange

    def now(self) -> int:
        return self._exchange.clock()


class Trader:
    def __init__(self, exchange: RunningExchange, market: MarketKey, folder: Path) -> None:
        self.exchange = exchange
        self.market = market
        self.folder = folder
        self.journal = InMemoryJournal()
        self.told: list[EngineEvent] = []
        self.engine: Engine | None = None
        self.connected = False

    async def _ticks(self, clock: TheirClock) -> AsyncIterator[TimePassed]:
        while True:
            await asyncio.sleep(0.1)
            yield TimePassed(clock.now())

    async def trade(self) -> None:
        """One life, until it is cancelled."""
        self.connected = False
        clock, keys = TheirClock(self.exchange), self.exchange.keys()
        series = SeriesKey(self.market.exchange, self.market.symbol, Timeframe.M1)
        async with (
            private_session(self.exchange.reach) as session,
            connected_exchange(
                self.market.exchange,
                MarketKind.SPOT,
                session,
                clock,
                self.folder,
                keys.credentials(),
                options=dict(self.exchange.reach.options),
                timeout_ms=1_000,
                sleep=quickly,
            ) as connection,
        ):
            self.connected = True
            gateway = CcxtGateway(connection, [self.market], quickly, probed=True)
            await gateway.open()
            feed = CcxtFeed(connection, [series], quickly)
            strategy = ScriptedStrategy()
            subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=10), series)
            config = EngineConfig(
                "book", LIMITS, modes=gateway.modes(), patience=Patience(not_founds=2, spacing=500, pause=500)
            )
            self.engine = Engine(config, await gateway.markets(), {self.market: Timeframe.M1}, [subscription])
            bus = EventBus()
            bus.subscribe(self.told.append)
            runner = Runner(self.engine, feed, gateway, self.journal, clock, observers=bus, ticks=self._ticks(clock))
            await runner.run(CASH)


@pytest.mark.parametrize(("exchange_id", "kills"), [("binance", 0), ("binance", 4), ("okx", 4), ("kraken", 4)])
async def test_trader_when_killed_at_any_time_then_the_books_agree_and_what_is_held_has_a_stop(
    exchange_id: str, kills: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BURSTS, "kraken", 1e6)
    chance = random.Random(kills)  # noqa: S311
    options = {"counter_limit": 1e6} if exchange_id == "kraken" else {}
    markets: dict[str, dict[str, str | None]] = {"BTC/USDT": {"largest_market_quantity": "1000000"}}
    with local_exchange(exchange_id, seed=4, frozen_at=BEGIN, markets=markets, **options) as exchange:
        trader = Trader(exchange, MarketKey(exchange_id, "BTC/USDT"), tmp_path)
        life = asyncio.create_task(trader.trade())
        # Minutes pass as fast as they are told: the first must not be over before anybody listens.
        await _until(life, lambda: bool(trader.told) and _listened_to(exchange), seconds=60)
        deaths = set(chance.sample(range(3, MINUTES - 3), kills))
        price = 50_000.0
        for minute in range(MINUTES):
            if minute in deaths:
                life.cancel()
                await asyncio.gather(life, return_exceptions=True)
                life = asyncio.create_task(trader.trade())
                # A clock that jumps while it is measured is half a jump wrong until it is measured again.
                await asyncio.sleep(0)
                await _until(life, lambda: trader.connected)
            if kills and minute % 7 == 3:
                exchange.fault(lost_answer(path="order|Order|Add", method="POST"))
                exchange.fault(unavailable(path="order|Order", method="GET"))
            for _ in range(4):
                price *= 1 + chance.gauss(0, 0.0025)
                exchange.price(f"{price:.2f}", depth="2", largest_trade="0.03")
                exchange.clock(advance=MINUTE // 5)
                await asyncio.sleep(0.05)
            exchange.clock(now=BEGIN + (minute + 1) * MINUTE)
            exchange.clock(advance=3_500)
            # The next minute's first trade wakes who sleeps by a clock that stands still.
            exchange.price(f"{price:.2f}", depth="2", largest_trade="0.03")
            await _until(life, partial(_told_until, trader, BEGIN + minute * MINUTE))
        await _settled(life, trader, exchange)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        await asyncio.sleep(0.1)
        _books_agree(trader, exchange)


def _listened_to(exchange: RunningExchange) -> bool:
    """The account's stream and that of the candles."""
    return sum(bool(each["wanted"]) for each in exchange.streams()["connections"]) >= 2


def _told_until(trader: Trader, open_time: int) -> bool:
    return any(isinstance(event, CandleClosed) and event.candle.open_time >= open_time for event in trader.told)


async def _until(life: "asyncio.Task[None]", true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            if life.done():
                life.result()
            await asyncio.sleep(0.02)


async def _settled(life: "asyncio.Task[None]", trader: Trader, exchange: RunningExchange) -> None:
    """Until every position that is left has its stop."""
    engine = trader.engine
    assert engine is not None

    def protected() -> bool:
        held = sum((position.lots for position in engine.portfolio.positions.values()), 0)
        spec = engine.portfolio.spec(trader.market)
        stops = [o for o in exchange.orders(open_only=True) if o["stop"] is not None]
        return sum(Decimal(o["remaining"]) for o in stops) == spec.quantity(held)

    for _ in range(20):
        exchange.clock(advance=1_000)
        await asyncio.sleep(0.1)
    # What is asked again after a pause needs time that goes on, however slow the machine is.
    for _ in range(200):
        if protected():
            break
        exchange.clock(advance=100)
        await asyncio.sleep(0.1)
    await _until(life, protected)


def _books_agree(trader: Trader, exchange: RunningExchange) -> None:
    engine = trader.engine
    assert engine is not None
    spec = engine.portfolio.spec(trader.market)
    fills = {event.fill.fill_id: event.fill for event in trader.told if isinstance(event, OrderFilled)}
    assert len(fills) == len(exchange.fills())
    assert abs(exchange.balance("USDT") - engine.portfolio.cash) <= (PRINTED if "kraken" in str(spec.key) else 0)
    held = sum(spec.quantity(position.lots) for position in engine.portfolio.positions.values())
    kept = exchange.balance("BTC") - held
    # Fees in coins leave dust that is less than a lot per position.
    opened = sum(isinstance(event, PositionOpened) for event in trader.told)
    assert 0 <= kept <= spec.lot_size * opened
    assert opened >= 1
    assert any(isinstance(event, PositionClosed) for event in trader.told)
