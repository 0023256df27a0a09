"""What every command needs: settings, time, and the stores on an open database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tradepulse.ports import BookReader, CandleStore, Clock, Journal, ResultStore, VenueStore
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.settings import Settings
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database, open_database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.results import PostgresResultStore
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
        )
