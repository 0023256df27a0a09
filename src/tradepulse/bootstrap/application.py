"""What every command needs: settings, time, the stores on an open database, and the engine's limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from tradepulse.core.risk_manager import RiskLimits
from tradepulse.kernels.fills import PPM
from tradepulse.ports import (
    BookReader,
    CandleStore,
    Clock,
    ConfigurationStore,
    Journal,
    ResultStore,
    TrainingStore,
    VenueStore,
)
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.settings import Settings, TradingSettings
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.configurations import PostgresConfigurationStore
from tradepulse.storage.db import Database, open_database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.results import PostgresResultStore
from tradepulse.storage.schema import sync_schema
from tradepulse.storage.training import PostgresTrainingStore
from tradepulse.storage.venues import PostgresVenueStore


@dataclass(frozen=True, slots=True)
class Application:
    """``database_label`` says in words where the data live, without a password."""

    settings: Settings
    clock: Clock
    database: Database
    database_label: str
    candles: CandleStore
    journal: Journal
    reader: BookReader
    results: ResultStore
    venues: VenueStore
    training: TrainingStore
    configurations: ConfigurationStore


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[Application]:
    """Open the database (embedded unless a URL is set, schema brought up to date) and build the stores on it."""
    url = settings.database.url.get_secret_value() if settings.database.url else None
    async with open_database(url, settings.data_directory) as database:
        yield Application(
            settings=settings,
            clock=SystemClock(),
            database=database,
            database_label=(
                f"embedded PostgreSQL in {settings.data_directory / 'postgres'}"
                if database.embedded
                else "PostgreSQL server"
            ),
            candles=PostgresCandleStore(database),
            journal=PostgresJournal(database),
            reader=PostgresBookReader(database),
            results=PostgresResultStore(database),
            venues=PostgresVenueStore(database),
            training=PostgresTrainingStore(database),
            configurations=PostgresConfigurationStore(database),
        )


async def sync_database_schema(settings: Settings, *, dry_run: bool) -> list[str]:
    """The SQL statements that bring the database up to date; run, unless ``dry_run``."""
    url = settings.database.url.get_secret_value() if settings.database.url else None
    async with open_database(url, settings.data_directory, sync=False) as database:
        return await asyncio.to_thread(sync_schema, database.url, dry_run=dry_run)


def risk_limits(settings: TradingSettings) -> RiskLimits:
    return RiskLimits(
        risk_ppm=_ppm(settings.risk_per_trade),
        max_position_ppm=_ppm(settings.max_position),
        min_confluence=settings.min_confluence,
    )


def _ppm(share: Decimal) -> int:
    return int(share * PPM)
