"""Paper trading on the embedded simulated exchange: history first, then the engine, paced by the simulated clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from tradepulse.bootstrap.application import Application, risk_limits
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus, Observer
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.market import DAY, MINUTE, TRADED_TIMEFRAMES, MarketKey, SeriesKey, Timeframe
from tradepulse.exchanges.simulated_exchange import SimulatedExchange, paced
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.db import held_alone
from tradepulse.strategies import STRATEGIES

logger = logging.getLogger(__name__)

# Monday 2024-01-01 00:00 UTC. Fixed, so that the same seed gives the same market on every machine.
GENESIS = 1_704_067_200_000
SIMULATED = "simulated"
Sleep = Callable[[float], Awaitable[None]]


def paper_book(app: Application) -> str:
    return f"paper-{SIMULATED}-{app.settings.simulated.seed}"


async def run_paper(app: Application, *observers: Observer, sleep: Sleep = asyncio.sleep) -> None:
    """Trade on paper until cancelled, going on from the stored state.

    The simulated exchange keeps its own book beside ours, as a real one would; at start-up ours is reconciled with it.
    """
    _refuse_other_exchanges(app)
    async with held_alone(app.database, paper_book(app)):
        await _trade(app, observers, sleep)


async def _trade(app: Application, observers: Iterable[Observer], sleep: Sleep) -> None:
    simulated = app.settings.simulated
    market = SimulatedMarket(simulated.seed, simulated.symbols, GENESIS)
    start = GENESIS + simulated.history_days * DAY
    await _store_history(app, market, start)
    quotes = {spec.quote for spec in market.specs.values()}
    if len(quotes) != 1:
        raise ConfigurationError(
            f"The simulated symbols are quoted in {', '.join(sorted(quotes))}.", "Use one quote currency for all."
        )
    cash = app.settings.trading.initial_cash
    exchange = SimulatedExchange(
        market,
        {quotes.pop(): cash},
        start=start,
        store=app.venues,
        venue=paper_book(app),
        pace=paced(simulated.minutes_per_second, sleep, MINUTE),
    )
    await exchange.recover()
    bus = EventBus()
    for observer in observers:
        bus.subscribe(observer)
    engine = _engine(app, market)
    runner = Runner(engine, exchange, exchange, app.journal, exchange.clock, app.candles, bus)
    await runner.run(cash)


def _engine(app: Application, market: SimulatedMarket) -> Engine:
    timeframes = [Timeframe.parse(text) for text in app.settings.simulated.timeframes]
    for timeframe in timeframes:
        if timeframe not in TRADED_TIMEFRAMES:
            raise ConfigurationError(
                f"{timeframe} is a context timeframe.", f"Trade one of: {', '.join(TRADED_TIMEFRAMES)}."
            )
    subscriptions = [
        Subscription(strategy, strategy.parameters(), SeriesKey(key.exchange, key.symbol, timeframe))
        for key in sorted(market.specs)
        for timeframe in timeframes
        for strategy in STRATEGIES.values()
    ]
    bases: dict[MarketKey, Timeframe] = dict.fromkeys(sorted(market.specs), Timeframe.M1)
    config = EngineConfig(paper_book(app), risk_limits(app.settings.trading))
    return Engine(config, market.specs, bases, subscriptions)


async def _store_history(app: Application, market: SimulatedMarket, until: int) -> None:
    """Past candles of the simulated market, written once; what is stored already must be the same market."""
    for key, spec in market.specs.items():
        await app.candles.write_market(spec)
        series = SeriesKey(key.exchange, key.symbol, Timeframe.M1)
        stored = await app.candles.read(series, GENESIS, GENESIS + DAY)
        expected = market.between(key, GENESIS, GENESIS + DAY)
        if len(stored) and not (len(stored) == len(expected) and (stored.close == expected.close).all()):
            raise ConfigurationError(
                f"The stored SIMULATED candles of {key.symbol} come from another market than seed "
                f"{app.settings.simulated.seed} makes.",
                "Set the seed they were made with, or use another data directory.",
            )
        if not len(stored):
            logger.info("Writing %s days of simulated history of %s", app.settings.simulated.history_days, key.symbol)
            await app.candles.write(series, market.between(key, GENESIS, until), simulated=True)


def _refuse_other_exchanges(app: Application) -> None:
    if app.settings.exchange != SIMULATED:
        raise ConfigurationError(
            f"Paper trading on '{app.settings.exchange}' is not available in this version.",
            "Set EXCHANGE=simulated; candles of real exchanges can be downloaded and backtested.",
        )
