"""Long series as files that all processes of a machine map into memory: shared, not copied, and not read twice.

A stored candle never changes, so a series is known by its database, its number of rows, its first and last open time.
Files are written beside and moved into place, carry the hash of their candles in their name, and are made anew when
they do not keep it.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from psycopg import errors as pg

from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey, data_hash
from tradepulse.ports import SeriesCoverage, WriteResult
from tradepulse.shared.clock import SystemClock
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.copy_format import COLUMNS
from tradepulse.storage.db import Database

LEAST_ROWS = 20_000
"""A shorter series comes out of the database as fast as out of a file."""
HASH_DIGITS = 32
ABANDONED_SECONDS = 3600
_IDENTITY = """
    select (select system_identifier from pg_control_system()) || '/' ||
        (select oid from pg_database where datname = current_database())
"""


class CachedCandleStore:
    """The ``CandleStore`` on PostgreSQL with files in ``directory`` for what is long."""

    def __init__(self, database: Database, directory: Path, *, least_rows: int = LEAST_ROWS) -> None:
        self._database = database
        self._store = PostgresCandleStore(database)
        self._directory = directory
        self._least_rows = least_rows
        self._identity = ""

    async def read(self, series: SeriesKey, since: int | None = None, until: int | None = None) -> Candles:
        entry = next((entry for entry in await self._store.coverage() if entry.series == series), None)
        if entry is None or entry.rows < self._least_rows:
            return await self._store.read(series, since, until)
        self._identity = self._identity or await self._identity_of_database()
        cached = await asyncio.to_thread(self._mapped, series, entry.rows, entry.first, entry.last)
        if cached is None:
            cached = await self._store.read(series)
            # Without a file it is only slower: the disk may be full, or not ours.
            await asyncio.to_thread(self._write, series, cached)
        return cached.between(since, until)

    async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False) -> WriteResult:
        return await self._store.write(series, candles, simulated=simulated)

    async def tail(self, series: SeriesKey, count: int) -> Candles:
        return await self._store.tail(series, count)

    async def coverage(self) -> list[SeriesCoverage]:
        return await self._store.coverage()

    async def gaps(self, series: SeriesKey) -> list[tuple[int, int]]:
        return await self._store.gaps(series)

    async def write_market(self, spec: MarketSpec) -> None:
        await self._store.write_market(spec)

    async def read_market(self, key: MarketKey) -> MarketSpec | None:
        return await self._store.read_market(key)

    async def _identity_of_database(self) -> str:
        """Another database in the same data directory has other candles under the same names."""
        async with self._database.transaction() as connection:
            try:
                row = await (await connection.execute(_IDENTITY)).fetchone()
            except pg.InsufficientPrivilege:
                await connection.rollback()
                row = None
        known = self._database.url if row is None else str(row[0])
        return hashlib.sha256(known.encode()).hexdigest()[:12]

    def _prefix(self, series: SeriesKey) -> str:
        name = hashlib.sha256(str(series).encode()).hexdigest()[:16]
        return f"{series.timeframe}-{name}-{self._identity}"

    def _mapped(self, series: SeriesKey, rows: int, first: int, last: int) -> Candles | None:
        for file in self._directory.glob(f"{self._prefix(series)}-{rows}-{first}-{last}-*.npy"):
            candles = _opened(file)
            if candles is not None and data_hash(candles)[:HASH_DIGITS] == file.stem.rsplit("-", 1)[1]:
                return candles
            file.unlink(missing_ok=True)
        return None

    def _write(self, series: SeriesKey, candles: Candles) -> None:
        if not len(candles):
            return
        first, last = int(candles.open_time[0]), int(candles.open_time[-1])
        key = f"{len(candles)}-{first}-{last}-{data_hash(candles)[:HASH_DIGITS]}"
        file = self._directory / f"{self._prefix(series)}-{key}.npy"
        beside = self._directory / f".{uuid4().hex}.npy"
        columns = np.stack([candles.open_time.view(np.float64), *(getattr(candles, name) for name in COLUMNS[1:])])
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            np.save(beside, columns, allow_pickle=False)
            beside.replace(file)
            for stale in self._stale(series, file):
                stale.unlink(missing_ok=True)
        except OSError:
            with suppress(OSError):
                beside.unlink()

    def _stale(self, series: SeriesKey, newest: Path) -> Iterator[Path]:
        """Older files of the series, and what writers that were killed have left."""
        yield from (file for file in self._directory.glob(f"{self._prefix(series)}-*.npy") if file != newest)
        long_ago = SystemClock().now() / 1000 - ABANDONED_SECONDS
        yield from (file for file in self._directory.glob(".*.npy") if file.stat().st_mtime < long_ago)


def _opened(file: Path) -> Candles | None:
    """Copy-on-write, so that kernels see the writable arrays they are compiled for."""
    try:
        columns = np.load(file, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if columns.ndim != 2 or columns.shape[0] != len(COLUMNS) or columns.dtype != np.float64:
        return None
    plain = np.asarray(columns)
    return Candles(plain[0].view(np.int64), *plain[1:])
