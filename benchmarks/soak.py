"""Years of paper trading at full speed: does memory, the database or the time per candle grow?

The product's engine, runner, journal and simulated exchange on a real PostgreSQL, without a pause between candles; what
is old is removed every simulated night. Candles are hourly bars of the simulated market, made as they are needed.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console

from benchmarks.__main__ import WIDTH_OF_PIPES, circumstances, scratch, show
from benchmarks.measuring import Table
from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineInput
from tradepulse.domain.market import DAY, HOUR, Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.exchanges.market_tape import resampled
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.exchanges.simulated_market import EXCHANGE, SimulatedMarket
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database, open_database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.retention import Kept, PostgresRetention
from tradepulse.storage.venues import PostgresVenueStore
from tradepulse.strategies import STRATEGIES

BOOK = "soak"
GENESIS = 1_704_067_200_000
SEED = 11
CASH = Decimal(1_000_000)
# Small enough that years without an edge do not use up the account.
LIMITS = RiskLimits(risk_ppm=200, max_position_ppm=100_000, min_confluence=0.75)
TIMEFRAMES = (Timeframe.H1, Timeframe.H4)
KEPT = Kept(events=90, setups=90, marks=30, jobs=0)
WARM_UP = 0.2
"""Share of the run that does not count: windows fill, caches and pools find their size."""
MARKED = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "LTC", "DOGE")
SCALES = (1, 10, 50, 200)


class HourlyTape:
    """A ``MarketTape`` of whole hours over the simulated market's minutes, which are not kept."""

    timeframe = Timeframe.H1

    def __init__(self, symbols: list[str]) -> None:
        self._market = SimulatedMarket(SEED, symbols, GENESIS)
        self.begin, self.end = GENESIS, None
        self.specs: dict[MarketKey, MarketSpec] = self._market.specs

    def begin_of(self, market: MarketKey) -> int:
        return self._market.begin_of(market)

    def between(self, market: MarketKey, since: int, until: int) -> Candles:
        return resampled(self._market.between(market, since, until), Timeframe.H1)


def symbols_of(count: int) -> list[str]:
    names = [*MARKED, *(f"S{number:03d}" for number in range(count))]
    return [f"{name}/USDT" for name in names[:count]]


@dataclass(slots=True)
class Laps:
    """Nanoseconds since they were read last."""

    handled: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)

    def read(self) -> tuple[float, float]:
        medians = tuple(statistics.median(laps) / 1000 if laps else 0.0 for laps in (self.handled, self.committed))
        self.handled, self.committed = [], []
        return medians[0], medians[1]


class TimedEngine(Engine):
    laps: Laps

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        begun = time.process_time_ns()
        step = super().handle(event, more=more)
        if isinstance(event, CandleClosed):
            self.laps.handled.append(time.process_time_ns() - begun)
        return step


class TimedJournal:
    """A ``Journal`` that remembers how long each commit took; without ``inner`` it keeps nothing."""

    def __init__(self, inner: PostgresJournal | None, laps: Laps) -> None:
        self._inner = inner
        self._laps = laps

    async def commit(self, record: StepRecord) -> None:
        if self._inner is not None:
            begun = time.perf_counter_ns()
            await self._inner.commit(record)
            self._laps.committed.append(time.perf_counter_ns() - begun)

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        return None if self._inner is None else await self._inner.recover(book)


@dataclass(frozen=True, slots=True)
class Sample:
    hours: int
    resident: float
    """MB"""
    handles: int
    database: float
    """MB, and of it candles:"""
    candles: float
    engine: float
    """Median microseconds of a candle."""
    commit: float
    trades: int


def trader(tape: HourlyTape, laps: Laps) -> TimedEngine:
    series = [SeriesKey(EXCHANGE, key.symbol, timeframe) for key in tape.specs for timeframe in TIMEFRAMES]
    engine = TimedEngine(
        EngineConfig(BOOK, LIMITS, HOUR),
        tape.specs,
        dict.fromkeys(tape.specs, tape.timeframe),
        [Subscription(one, one.parameters(), place) for place in series for one in STRATEGIES.values()],
    )
    engine.laps = laps
    return engine


async def soak(database: Database, hours: int, symbols: int, every: int) -> list[Sample]:
    tape, laps, samples = HourlyTape(symbols_of(symbols)), Laps(), list[Sample]()
    for spec in tape.specs.values():
        await PostgresCandleStore(database).write_market(spec)
    retention = PostgresRetention(database, KEPT)
    journal = TimedJournal(PostgresJournal(database), laps)
    looks = _Looks(database, laps, retention, samples, every)
    exchange = SimulatedExchange(tape, {"USDT": CASH}, store=PostgresVenueStore(database), venue=BOOK, pace=looks.at)
    engine = trader(tape, laps)
    runner = Runner(engine, exchange, exchange, journal, exchange.clock)
    await runner.run(CASH, lambda: exchange.clock.now() >= GENESIS + hours * HOUR)
    return samples


class _Looks:
    """Once per bar: the nightly removal, and a sample where one is due."""

    def __init__(
        self, database: Database, laps: Laps, retention: PostgresRetention, samples: list[Sample], every: int
    ) -> None:
        self._database = database
        self._laps = laps
        self._retention = retention
        self._samples = samples
        self._every = every
        self._process = psutil.Process()

    async def at(self, now: int) -> None:
        if now % DAY == HOUR:
            await self._retention.remove(now)
        hours = (now - GENESIS) // HOUR
        if hours % self._every == 0:
            self._samples.append(await self._sample(hours))

    async def _sample(self, hours: int) -> Sample:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select pg_database_size(current_database()), pg_total_relation_size('candles'), "
                "(select count(*) from trades)"
            )
            row = await found.fetchone()
        size, candles, trades = row or (0, 0, 0)
        engine, commit = self._laps.read()
        resident, handles = self._process.memory_info().rss / 1e6, self._process.num_fds()
        return Sample(hours, resident, handles, size / 1e6, candles / 1e6, engine, commit, trades)


def slope(samples: list[Sample], of: str) -> float:
    """Per 1,000 simulated hours, by least squares over what comes after the warm-up."""
    after = [one for one in samples if one.hours >= WARM_UP * samples[-1].hours]
    hours = np.array([one.hours for one in after], dtype=np.float64)
    values = np.array([getattr(one, of) for one in after], dtype=np.float64)
    return float(np.polyfit(hours, values, 1)[0]) * 1000


def soak_tables(samples: list[Sample], symbols: int) -> Iterator[Table]:
    shown = samples[:: max(1, len(samples) // 10)]
    yield Table(
        f"Soak: {samples[-1].hours:,} simulated hours of {symbols} symbols, three strategies, 1h and 4h",
        ("hours", "resident MB", "handles", "database MB", "of it candles", "engine us", "commit us", "trades"),
        [
            (
                f"{one.hours:,}", f"{one.resident:.1f}", str(one.handles), f"{one.database:.1f}", f"{one.candles:.1f}",
                f"{one.engine:.0f}", f"{one.commit:.0f}", f"{one.trades:,}",
            )
            for one in shown
        ],
        [f"Days kept: facts {KEPT.events}, setups without an order {KEPT.setups}, marks of equity {KEPT.marks}."],
    )  # fmt: skip
    names = {
        "resident": "resident memory, MB", "handles": "file handles", "database": "database, MB",
        "candles": "of it candles, MB", "engine": "engine per candle, us", "commit": "commit, us",
    }  # fmt: skip
    yield Table(
        f"Slope per 1,000 simulated hours, after the first {WARM_UP:.0%}",
        ("what", "slope", "first", "last"),
        [
            (label, f"{slope(samples, name):+.3f}", f"{getattr(samples[0], name):.1f}",
             f"{getattr(samples[-1], name):.1f}")
            for name, label in names.items()
        ],
    )  # fmt: skip


async def _scaled(symbols: int, hours: int) -> tuple[Laps, int]:
    laps = Laps()
    tape = HourlyTape(symbols_of(symbols))
    exchange = SimulatedExchange(tape, {"USDT": CASH})
    engine = trader(tape, laps)
    end = GENESIS + hours * HOUR
    await Runner(engine, exchange, exchange, TimedJournal(None, laps), exchange.clock).run(
        CASH, lambda: exchange.clock.now() >= end
    )
    return laps, psutil.Process().memory_info().rss


def scale_table(hours: int) -> Table:
    """The second half of each run counts: by then every window is full."""
    asyncio.run(_scaled(1, 48))
    rows, alone = [], 0.0
    for symbols in SCALES:
        taken = asyncio.run(_scaled(symbols, hours))[0].handled
        late = sorted(taken[len(taken) // 2 :])
        middle, mean = statistics.median(late) / 1000, statistics.fmean(late) / 1000
        alone = alone or mean
        times = (middle, mean, late[int(0.99 * len(late))] / 1000)
        rows.append((str(symbols), f"{len(taken):,}", *(f"{one:.0f}" for one in times), f"{mean / alone:.2f}"))
    return Table(
        f"Symbols in one engine: {hours:,} hours, three strategies, 1h and 4h; processor microseconds a candle",
        ("symbols", "candles", "median", "mean", "p99", "mean: times one symbol"),
        rows,
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    options.add_argument("--hours", type=int, default=20_000, help="simulated; 20,000 are two years and a quarter")
    options.add_argument("--symbols", type=int, default=20)
    options.add_argument("--every", type=int, default=500, help="simulated hours between samples")
    options.add_argument("--scale-hours", type=int, default=1_000, help="of each number of symbols; 0: not measured")
    options.add_argument("--output", type=Path, help="also write what is printed into this file")
    chosen = options.parse_args()
    width = {} if Console().is_terminal else {"width": WIDTH_OF_PIPES}
    console = Console(highlight=False, record=chosen.output is not None, **width)
    started = time.perf_counter()
    console.print(circumstances())
    with scratch() as folder:
        samples = asyncio.run(_on_its_own(folder, chosen.hours, chosen.symbols, chosen.every))
    for table in soak_tables(samples, chosen.symbols):
        show(console, table)
    if chosen.scale_hours:
        show(console, scale_table(chosen.scale_hours))
    console.print(f"{time.perf_counter() - started:.0f} s. {circumstances()}")
    if chosen.output is not None:
        chosen.output.write_text(console.export_text(), encoding="utf-8")


async def _on_its_own(folder: Path, hours: int, symbols: int, every: int) -> list[Sample]:
    async with open_database(None, folder) as database:
        return await soak(database, hours, symbols, every)


if __name__ == "__main__":
    main()
