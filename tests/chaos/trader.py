"""The process that is killed: a live trader on a local exchange, with its journal in PostgreSQL."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from tests.chaos.eager import EagerStrategy
from tests.local_exchanges.clock import SharedClock
from tests.local_exchanges.running import Reach, private_session

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import TimePassed
from tradepulse.domain.market import MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.ccxt_gateway import CcxtGateway
from tradepulse.exchanges.rate_budget import BURSTS
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.settings import LoggingSettings
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import held_alone, open_database
from tradepulse.storage.journal import PostgresJournal

LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=200_000, min_confluence=0.1)


@dataclass(frozen=True)
class Life:
    """What a trader is born with, as plain JSON. ``speed``: how much faster than in life time passes."""

    reach: dict[str, Any]
    database: str
    clock_file: str
    folder: str
    log: str
    book: str
    cash: str
    speed: float
    timeout_ms: int

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Life":
        return cls(**json.loads(text))


async def trade(life: Life) -> None:
    reach, clock = Reach.of(life.reach), SharedClock(Path(life.clock_file))
    exchange = reach.exchange_id
    # The budgets are tried elsewhere; here they would only make everything slow.
    BURSTS[exchange] = 1e6
    markets = [MarketKey(exchange, symbol) for symbol in reach.symbols]
    series = [SeriesKey(exchange, symbol, Timeframe.M1) for symbol in reach.symbols]
    sleep = partial(_sleep, life.speed)
    async with (
        open_database(life.database, Path(life.folder)) as database,
        held_alone(database, life.book),
        private_session(reach) as session,
        connected_exchange(
            exchange,
            MarketKind.SPOT,
            session,
            clock,
            Path(life.folder),
            _keys(reach),
            options=dict(reach.options),
            timeout_ms=life.timeout_ms,
            sleep=sleep,
        ) as connection,
    ):
        gateway = CcxtGateway(connection, markets, sleep, probed=True)
        await gateway.open()
        feed = CcxtFeed(connection, series, sleep)
        candles = PostgresCandleStore(database)
        specs = await gateway.markets()
        for spec in specs.values():
            await candles.write_market(spec)
        strategy = EagerStrategy()
        subscriptions = [Subscription(strategy, strategy.parameters(max_bars_in_trade=10), one) for one in series]
        config = EngineConfig(life.book, LIMITS, modes=gateway.modes())
        engine = Engine(config, specs, dict.fromkeys(markets, Timeframe.M1), subscriptions)
        ticks = _ticks(clock, sleep)
        runner = Runner(engine, feed, gateway, PostgresJournal(database), clock, candles, ticks=ticks)
        await runner.run(Decimal(life.cash))


def _keys(reach: Reach) -> Any:
    from tests.local_exchanges.venue import Keys

    return Keys(**reach.keys["alice"]).credentials()


async def _sleep(speed: float, seconds: float) -> None:
    await asyncio.sleep(seconds / speed)


async def _ticks(clock: SharedClock, sleep: Any) -> AsyncIterator[TimePassed]:
    while True:
        await sleep(1.0)
        yield TimePassed(clock.now())


def live(life: Life) -> None:
    """Until it is killed, or something goes wrong that a supervisor would restart it for."""
    with Path(life.log).open("a", buffering=1, encoding="utf-8") as log:
        configure_logging(LoggingSettings(level="INFO"), stream=log)
        logging.getLogger("tradepulse").info("A trader is born")
        try:
            asyncio.run(trade(life))
        except BaseException:
            logging.getLogger("tradepulse").exception("The trader ends")
            raise


if __name__ == "__main__":
    live(Life.of(sys.stdin.readline()))
