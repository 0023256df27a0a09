"""Paper trading on the public streams of local exchanges, without a key: candles, bids, filters and fees are theirs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integration.engine.scripted import ScriptedStrategy
from tests.integration.engine.test_recovery import Fuse, FusedJournal
from tests.local_exchanges.running import RunningExchange, local_exchange, private_session

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineEvent, OrderFilled, TimePassed
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.orders import Fill, OrderRole, ProtectionMode
from tradepulse.exchanges import price_watch
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.paper_exchange import PaperExchange
from tradepulse.exchanges.paper_markets import FEE_IN_COINS, paper_exchange
from tradepulse.exchanges.rate_budget import BURSTS
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.in_memory import InMemoryVenueStore
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters

BEGIN = 1_767_225_600_000
MINUTES = 16
CASH = Decimal(10_000)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=300_000, min_confluence=0.1)
# By minute; at the close of every fifth one from the second on something is bought.
MOVES = {3: 0.02, 4: 0.05, 8: -0.005, 9: -0.02, 13: 0.005}
MODES = {"binance": ProtectionMode.NATIVE, "kraken": ProtectionMode.EMULATED}


class BuysNowAndThen(ScriptedStrategy):
    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        opens, closes = history.candles.open_time, history.candles.close
        bars = np.array(
            [n for n in range(first, len(history)) if (opens[n] - BEGIN) // MINUTE % 5 == 1], dtype=np.int64
        )
        price = closes[bars]
        conditions = np.full((len(bars), 1), 3.0)
        return Found(bars, np.ones(len(bars), dtype=np.int64), price * 0.985, price * 1.045, conditions, bars)


async def nap(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.02))


class TheirClock:
    def __init__(self, exchange: RunningExchange) -> None:
        self._exchange = exchange

    def now(self) -> int:
        return self._exchange.clock()


class PaperTrader:
    """One book on paper; a life ends by being cancelled, and the next one finds what was stored."""

    def __init__(self, exchange: RunningExchange, folder: Path) -> None:
        self.exchange = exchange
        self.folder = folder
        self.market = MarketKey(exchange.reach.exchange_id, "BTC/USDT")
        self.series = SeriesKey(self.market.exchange, self.market.symbol, Timeframe.M1)
        self.journal = FusedJournal(Fuse([]))
        self.store = InMemoryVenueStore()
        self.told: list[EngineEvent] = []
        self.paper: PaperExchange | None = None
        self.engine: Engine | None = None

    @asynccontextmanager
    async def venue(self) -> AsyncIterator[PaperExchange]:
        async with (
            private_session(self.exchange.reach) as session,
            connected_exchange(
                self.market.exchange,
                MarketKind.SPOT,
                session,
                TheirClock(self.exchange),
                self.folder,
                options=dict(self.exchange.reach.options),
                timeout_ms=1_000,
                sleep=nap,
            ) as connection,
        ):
            yield await paper_exchange(connection, [self.series], {"USDT": CASH}, store=self.store, sleep=nap)
        await asyncio.sleep(0.05)

    async def trade(self) -> None:
        strategy, clock = BuysNowAndThen(), TheirClock(self.exchange)
        async with self.venue() as self.paper:
            subscription = Subscription(strategy, strategy.parameters(max_bars_in_trade=10), self.series)
            config = EngineConfig("book", LIMITS, modes=self.paper.modes(), patience=WORD_IS_FINAL)
            self.engine = Engine(config, await self.paper.markets(), {self.market: Timeframe.M1}, [subscription])
            bus = EventBus()
            bus.subscribe(self.told.append)
            runner = Runner(
                self.engine,
                self.paper,
                self.paper,
                self.journal,
                clock,
                self.journal,  # type: ignore[arg-type]
                bus,
                ticks=_ticks(clock),
            )
            await runner.run(CASH)

    def fills(self) -> list[Fill]:
        return [event.fill for event in self.told if isinstance(event, OrderFilled)]


async def _ticks(clock: TheirClock) -> AsyncIterator[TimePassed]:
    while True:
        await asyncio.sleep(0.1)
        yield TimePassed(clock.now())


async def _lived(exchange_id: str, folder: Path, deaths: set[int]) -> PaperTrader:
    """Through all minutes; in those of ``deaths`` it is killed, and it is down until the next one is over."""
    price, options = 50_000.0, {"counter_limit": 1e6} if exchange_id == "kraken" else {}
    with local_exchange(exchange_id, seed=4, frozen_at=BEGIN, markets={"BTC/USDT": {}}, **options) as exchange:
        trader = PaperTrader(exchange, folder)
        life = asyncio.create_task(trader.trade())
        await _until(life, lambda: trader.paper is not None)
        for minute in range(MINUTES):
            if minute in deaths:
                await _end(life)
            for step in range(4):
                exchange.price(f"{price * (1 + MOVES.get(minute, 0) * step / 3):.1f}")
                exchange.clock(advance=MINUTE // 5)
                # Bids are asked for in real time.
                await asyncio.sleep(0.2 if minute in MOVES and step == 2 else 0.03)
            price *= 1 + MOVES.get(minute, 0)
            exchange.clock(now=BEGIN + (minute + 1) * MINUTE)
            exchange.clock(advance=3_500)
            exchange.price(f"{price:.1f}")
            if minute in deaths:
                continue
            if life.done():
                life = asyncio.create_task(trader.trade())
            await _until(life, partial(_heard, trader, BEGIN + minute * MINUTE))
        await _end(life)
        return trader


def _heard(trader: PaperTrader, open_time: int) -> bool:
    return any(isinstance(event, CandleClosed) and event.candle.open_time >= open_time for event in trader.told)


async def _end(life: "asyncio.Task[None]") -> None:
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)


async def _until(life: "asyncio.Task[None]", true: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            if life.done():
                life.result()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("exchange_id", MODES)
async def test_paper_when_killed_and_down_on_a_real_stream_then_every_candle_counts_and_the_books_agree(
    exchange_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BURSTS, "kraken", 1e6)
    monkeypatch.setattr(price_watch, "SILENT_SECONDS", 0.05)
    trader = await _lived(exchange_id, tmp_path, {9})
    paper, engine = trader.paper, trader.engine
    assert paper is not None
    assert engine is not None
    assert paper.modes() == {trader.market: MODES[exchange_id]}
    opened = [event.candle.open_time for event in trader.told if isinstance(event, CandleClosed)]
    assert opened == [BEGIN + n * MINUTE for n in range(MINUTES)]
    _books_agree(trader, paper, engine, in_coins=exchange_id in FEE_IN_COINS)
    entry, target, again, stop, _ = trader.fills()
    assert [entry.role, again.role, stop.role] == [OrderRole.ENTRY, OrderRole.ENTRY, OrderRole.STOP]
    assert stop.time == BEGIN + 10 * MINUTE, "hit while it was down, and found in the history"
    # A pair is filled when its candle has closed; a target that is watched when a bid reaches it.
    assert target.role is (OrderRole.TARGET if exchange_id == "binance" else OrderRole.EXIT)
    assert (target.time == BEGIN + 5 * MINUTE) is (exchange_id == "binance")
    assert target.ticks * engine.portfolio.spec(trader.market).tick_size >= Decimal(52000)
    if exchange_id == "binance":
        assert (await _lived(exchange_id, tmp_path / "again", {9})).fills() == trader.fills()


def _books_agree(trader: PaperTrader, paper: PaperExchange, engine: Engine, *, in_coins: bool) -> None:
    spec = engine.portfolio.spec(trader.market)
    cash, coins = CASH, Decimal(0)
    for fill in trader.fills():
        cash -= fill.side * spec.money(fill.ticks * fill.lots) + fill.fee
        coins += fill.side * spec.quantity(fill.lots) - fill.fee_lots_base
    held = paper.balances()
    assert held["USDT"][0] == cash
    assert held.get("BTC", (Decimal(0),))[0] == coins >= 0
    bought = [fill for fill in trader.fills() if fill.role is OrderRole.ENTRY]
    assert all((fill.fee_lots_base > 0) is in_coins and (fill.fee == 0) is in_coins for fill in bought)


@pytest.mark.parametrize("exchange_id", ["binance", "kraken"])
async def test_filters_and_fees_when_paper_is_opened_then_those_of_the_exchange(
    exchange_id: str, tmp_path: Path
) -> None:
    with local_exchange(exchange_id, seed=4, frozen_at=BEGIN, markets={"BTC/USDT": {}}) as exchange:
        trader = PaperTrader(exchange, tmp_path)
        async with trader.venue() as paper:
            spec = (await paper.markets())[trader.market]
            told: dict[str, Any] = {"binance": (1_000, "0.01"), "kraken": (4_000, "0.01")}
            assert spec.source == "exchange"
            assert (spec.taker_ppm, str(spec.tick_size)) == told[exchange_id]


async def test_swap_when_paper_is_asked_for_then_refused(tmp_path: Path) -> None:
    with local_exchange("binance", seed=4, frozen_at=BEGIN, markets={"BTC/USDT": {}}) as exchange:
        trader = PaperTrader(exchange, tmp_path)
        async with (
            private_session(exchange.reach) as session,
            connected_exchange(
                "binance",
                MarketKind.SPOT,
                session,
                TheirClock(exchange),
                tmp_path,
                options=dict(exchange.reach.options),
            ) as connection,
        ):
            connection.kind = MarketKind.SWAP
            with pytest.raises(ConfigurationError, match="Paper trading on swap markets of binance"):
                await paper_exchange(connection, [trader.series], {"USDT": CASH})
