"""What every command needs: settings, time, the stores on an open database, and the engine's limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import tradepulse
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import DAY, MINUTE, Timeframe
from tradepulse.domain.risk import FIXED, AccountLimits, CorrelationRule, Protection, StopRules
from tradepulse.kernels.fills import PPM
from tradepulse.ports import (
    AccountStore,
    AnswerStore,
    BookReader,
    CandleStore,
    Clock,
    CommandInbox,
    ConfigurationStore,
    DatabaseFacts,
    EmbeddingStore,
    JobStore,
    Journal,
    ResultStore,
    ScheduleStore,
    TrainingStore,
    VenueStore,
)
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.settings import RiskSettings, Settings, TradingSettings
from tradepulse.storage.answers import PostgresAnswers
from tradepulse.storage.backup import Backup, prune_backups, restored, write_backup
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.configurations import PostgresConfigurationStore
from tradepulse.storage.db import Database, open_database, server_beside
from tradepulse.storage.drift import Repair, mend_drift, schema_drift
from tradepulse.storage.embeddings import PostgresEmbeddingStore
from tradepulse.storage.inbox import PostgresCommandInbox
from tradepulse.storage.jobs import PostgresJobStore
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.results import PostgresResultStore
from tradepulse.storage.schedules import PostgresScheduleStore
from tradepulse.storage.schema import revision_of, schema_problem, sync_schema
from tradepulse.storage.training import PostgresTrainingStore
from tradepulse.storage.users import PostgresAccounts
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
    inbox: CommandInbox
    training: TrainingStore
    configurations: ConfigurationStore
    jobs: JobStore
    schedules: ScheduleStore
    accounts: AccountStore
    answers: AnswerStore
    embeddings: EmbeddingStore


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
            inbox=PostgresCommandInbox(database),
            training=PostgresTrainingStore(database),
            configurations=PostgresConfigurationStore(database),
            jobs=PostgresJobStore(database),
            schedules=PostgresScheduleStore(database),
            accounts=PostgresAccounts(database),
            answers=PostgresAnswers(database),
            embeddings=PostgresEmbeddingStore(database),
        )


async def database_facts(app: Application) -> DatabaseFacts:
    """Asks the database; ``TransientError`` where it does not answer."""
    async with app.database.transaction() as connection:
        problem = await schema_problem(connection)
        asked_at = app.clock.now()
        row = await (await connection.execute("select extract(epoch from clock_timestamp()) * 1000")).fetchone()
        answered_at = app.clock.now()
    theirs = answered_at if row is None else int(row[0])
    return DatabaseFacts(problem, theirs - (asked_at + answered_at) // 2)


async def sync_database_schema(settings: Settings, *, dry_run: bool) -> list[str]:
    """The SQL statements that bring the database up to date; run, unless ``dry_run``."""
    async with _database_as_it_is(settings) as database:
        return await asyncio.to_thread(sync_schema, database.url, dry_run=dry_run)


async def revision_of_database(settings: Settings) -> str | None:
    """``None`` where the database is empty."""
    async with _database_as_it_is(settings) as database:
        return await asyncio.to_thread(revision_of, database.url)


async def drift_of_schema(settings: Settings) -> list[Repair]:
    """How the migrated database differs from the one that the migrations make."""
    async with _database_as_it_is(settings) as database:
        return await asyncio.to_thread(schema_drift, database.url)


async def mend_database_schema(settings: Settings, *, drop: bool) -> list[Repair]:
    """Run what ``drift_of_schema`` tells; what drops only where ``drop`` says so. Answers all of it."""
    async with _database_as_it_is(settings) as database:
        return await asyncio.to_thread(mend_drift, database.url, drop=drop)


async def back_up(settings: Settings, into: Path, *, keep: int) -> tuple[Backup, list[Path]]:
    """A new backup in a folder of ``into``, and the older ones that were removed; ``keep`` 0 removes none."""
    async with _database_as_it_is(settings) as database:
        now = SystemClock().now()
        backup = await asyncio.to_thread(write_backup, database.url, into, now, tradepulse.__version__)
    return backup, prune_backups(into, keep) if keep else []


def restore_backup(settings: Settings, folder: Path, *, only_check: bool) -> tuple[Backup, str]:
    """Blocks. See ``storage.backup.restored``."""
    url = settings.database.url.get_secret_value() if settings.database.url else None
    with server_beside(url, settings.data_directory) as (server_url, name):
        return restored(server_url, name, folder, SystemClock().now(), only_check=only_check)


def _database_as_it_is(settings: Settings) -> AbstractAsyncContextManager[Database]:
    url = settings.database.url.get_secret_value() if settings.database.url else None
    return open_database(url, settings.data_directory, sync=False)


def risk_limits(settings: TradingSettings) -> RiskLimits:
    return RiskLimits(
        risk_ppm=_ppm(settings.risk_per_trade),
        max_position_ppm=_ppm(settings.max_position),
        min_confluence=settings.min_confluence,
    )


def account_limits(settings: RiskSettings) -> AccountLimits:
    return AccountLimits(
        symbol_ppm=_ppm(settings.max_symbol),
        base_asset_ppm=_ppm(settings.max_base_asset),
        exchange_ppm=_ppm(settings.max_exchange),
        total_ppm=_ppm(settings.max_total),
        positions=settings.max_positions,
        daily_loss_ppm=_ppm(settings.daily_loss),
        drawdown_warn_ppm=_ppm(settings.drawdown_warn),
        drawdown_reduce_ppm=_ppm(settings.drawdown_reduce),
        drawdown_halt_ppm=_ppm(settings.drawdown_halt),
        entries_per_minute=settings.entries_per_minute,
        orders_per_minute=settings.orders_per_minute,
        cool_down_ms=settings.cool_down_minutes * MINUTE,
        stop_guard=Protection(
            settings.stop_guard,
            settings.stop_guard_lock_minutes * MINUTE,
            settings.stop_guard_window_minutes * MINUTE,
            everywhere=settings.stop_guard_scope == "all",
        ),
        loss_streak=Protection(
            settings.loss_streak,
            settings.loss_streak_lock_minutes * MINUTE,
            everywhere=settings.loss_streak_scope == "all",
        ),
        candle_age=settings.max_candle_age,
        price_band_ppm=_ppm(settings.price_band),
        slippage_ppm=_ppm(settings.max_slippage),
        spread_ppm=_ppm(settings.max_spread),
        order_value=settings.max_order_value,
        correlation=_correlation_rule(settings),
        stops=stop_rules(settings),
    )


def stop_rules(settings: RiskSettings) -> StopRules:
    """``FIXED`` where neither break-even nor trailing is asked for."""
    rules = StopRules(
        break_even_at_ppm=_ppm(settings.break_even_at),
        break_even_offset_ppm=_ppm(settings.break_even_offset),
        trail_from_ppm=_ppm(settings.trail_from),
        trail_by_ppm=_ppm(settings.trail_by),
        step_ppm=_ppm(settings.stop_step),
    )
    return rules if rules.moves else FIXED


def _correlation_rule(settings: RiskSettings) -> CorrelationRule:
    timeframe = Timeframe.parse(settings.correlation_timeframe)
    return CorrelationRule(
        limit_ppm=_ppm(settings.max_correlation),
        cluster_ppm=_ppm(settings.max_cluster),
        cluster_at_ppm=_ppm(settings.cluster_correlation),
        heat_ppm=_ppm(settings.max_heat),
        timeframe=timeframe,
        bars=settings.correlation_days * DAY // timeframe.milliseconds,
        least=settings.correlation_observations,
        decay=settings.correlation_decay,
    )


def _ppm(share: Decimal) -> int:
    return int(share * PPM)
