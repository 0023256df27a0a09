"""From a closed candle to commands, and from a step to a committed journal."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.market_data import Market
from benchmarks.measuring import Table, quantiles
from benchmarks.strategies import CASH, LIMITS
from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineInput, SetupEvaluated
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.strategies import STRATEGIES

BOOK = "benchmark"
# Every 300 s of market time equity is told, as in paper trading.
EQUITY_INTERVAL = 300_000
QUIET, SETUP, ENTRY = "no setup", "setup, no order", "setup and order"
CANDLE_ONLY, FACTS = "candle", "facts with snapshot"
BARE = "insert into bare values (1)"


class TimedEngine(Engine):
    """Remembers how long each candle took by the clock and by the processor, and what came of it, in ns."""

    def watch(self) -> None:
        self.laps: dict[str, list[tuple[int, int]]] = {QUIET: [], SETUP: [], ENTRY: []}

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        started, begun = time.perf_counter_ns(), time.process_time_ns()
        step = super().handle(event, more=more)
        computed, waited = time.process_time_ns() - begun, time.perf_counter_ns() - started
        if isinstance(event, CandleClosed):
            found = any(isinstance(fact, SetupEvaluated) for fact in step.events)
            kind = ENTRY if step.commands and found else SETUP if found else QUIET
            self.laps[kind].append((waited, computed))
        return step


class RecordingJournal:
    """A ``Journal`` that only keeps what it is given, to be committed elsewhere later."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    async def commit(self, record: StepRecord) -> None:
        self.records.append(record)

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        del book
        return None


@dataclass(frozen=True, slots=True)
class Run:
    laps: dict[str, list[tuple[int, int]]]
    records: list[StepRecord]


async def trade(market: Market) -> Run:
    """All three strategies with default parameters on one series, over the simulated exchange."""
    series, key = market.series, market.series.market
    exchange = SimulatedExchange(
        StoredTape(series.timeframe, {key: market.spec}, {key: market.candles}), {market.spec.quote: CASH}
    )
    engine = TimedEngine(
        EngineConfig(BOOK, LIMITS, EQUITY_INTERVAL),
        {key: market.spec},
        {key: series.timeframe},
        [Subscription(strategy, strategy.parameters(), series) for strategy in STRATEGIES.values()],
    )
    engine.watch()
    journal = RecordingJournal()
    await Runner(engine, exchange, exchange, journal, exchange.clock).run(Decimal(CASH))
    return Run(engine.laps, journal.records)


def latency_table(market: Market) -> Table:
    asyncio.run(trade(market))
    taken = asyncio.run(trade(market)).laps
    usual = statistics.median(computed for _, computed in taken[QUIET])
    rows = []
    for name, pairs in taken.items():
        if pairs:
            waited, computed = zip(*pairs, strict=True)
            times = f"{statistics.median(computed) / usual:.1f}"
            rows.append((name, f"{len(pairs):,}", *quantiles(waited), *quantiles(computed), times))
    return Table(
        f"Candle to commands, Engine.handle with three strategies: {market.label}, microseconds",
        ("candle brought", "candles", "clock: median", "p99", "processor: median", "p99", "times a quiet candle"),
        rows,
        ["Without journal and network. Between clock and processor lies what else this machine is doing."],
    )


async def journal_table(database: Database, market: Market, steps: int) -> Table:
    """Commit the steps of a real run in their order, each followed by the smallest transaction there is."""
    records = (await trade(market)).records[:steps]
    await PostgresCandleStore(database).write_market(market.spec)
    journal = PostgresJournal(database)
    async with database.transaction() as connection:
        await connection.execute("create table bare (number integer)")
    taken: dict[str, list[tuple[float, float]]] = {CANDLE_ONLY: [], FACTS: []}
    for record in records:
        started = time.perf_counter()
        await journal.commit(record)
        between = time.perf_counter()
        async with database.transaction() as connection:
            await connection.execute(BARE)
        ended = time.perf_counter()
        taken[FACTS if record.snapshot is not None else CANDLE_ONLY].append((between - started, ended - between))
    rows = []
    for name, pairs in taken.items():
        if not pairs:
            continue
        mine, bare = (sorted(column) for column in zip(*pairs, strict=True))
        milliseconds = [spread_of(times) for times in (mine, bare)]
        middle = len(pairs) // 2
        rows.append(
            (name, f"{len(pairs):,}", *milliseconds, f"{1 / mine[middle]:,.0f}", f"{mine[middle] / bare[middle]:.2f}")
        )
    return Table(
        f"Journal: {len(records):,} steps committed to PostgreSQL, milliseconds",
        ("step", "steps", "commit", "bare insert", "commits/s", "times bare"),
        rows,
        [
            "Median, and in brackets 5th and 95th percentile, by the clock.",
            "Bare insert: one row, one transaction, the same pool, the same disk: the ratio is what the journal adds.",
        ],
    )


def spread_of(ascending: list[float]) -> str:
    """Median with the 5th and 95th percentile, in milliseconds."""
    last = len(ascending) - 1
    low, middle, high = (ascending[round(share * last)] * 1000 for share in (0.05, 0.5, 0.95))
    return f"{middle:.2f} ({low:.2f} – {high:.2f})"
