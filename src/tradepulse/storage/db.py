"""The database: a pool of connections to the embedded server or to one named by a URL, and one tree of errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import errors as pg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.driver_errors import database_errors
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

EMBEDDED_DATABASE = "tradepulse"
CONNECT_SECONDS = 10
POOL_SECONDS = 30.0
RECONNECT_SECONDS = 5.0
LOCK_ATTEMPTS, LOCK_PAUSE = 30, 0.1
_LOCK = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
# The two halves of an advisory lock's key are kept apart.
_HELD = """
    select exists (
        select 1 from pg_locks where locktype = 'advisory' and granted and objsubid = 1
            and database = (select oid from pg_database where datname = current_database())
            and (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)
    )
"""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. ``url`` may be given to other processes and to ``sync_schema``."""

    url: str
    pool: AsyncConnectionPool[Connection]
    embedded: bool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed at the end, rolled back by any error."""
        with database_errors(self.url):
            async with self.pool.connection() as connection:
                yield connection


@asynccontextmanager
async def open_database(
    url: str | None, data_directory: Path, *, sync: bool = True, pool_size: int = 8
) -> AsyncIterator[Database]:
    """The database at ``url``, or the embedded one in ``data_directory / "postgres"`` when there is no URL.

    ``sync`` brings the schema up to date first (one query when it is). Errors: ``ConfigurationError`` (a person must
    act) or ``TransientError`` (try again), each with one clear line and a remedy.
    """
    if url is not None:
        async with _open_pool(url, embedded=False, sync=sync, pool_size=pool_size) as database:
            yield database
        return
    server = EmbeddedServer(data_directory / "postgres")
    try:
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(create_database, server.url("postgres"), EMBEDDED_DATABASE)
        async with _open_pool(server.url(EMBEDDED_DATABASE), embedded=True, sync=sync, pool_size=pool_size) as database:
            yield database
    finally:
        # Not in a thread: a second Ctrl-C must not leave the server behind.
        server.stop()


@contextmanager
def server_beside(url: str | None, data_directory: Path) -> Iterator[tuple[str, str]]:
    """The server's own database, to work on ours from outside, and our database's name. Blocks."""
    if url is not None:
        parts = conninfo_to_dict(url)
        yield make_conninfo(url, dbname="postgres"), str(parts.get("dbname") or EMBEDDED_DATABASE)
        return
    server = EmbeddedServer(data_directory / "postgres")
    try:
        server.start()
        yield server.url("postgres"), EMBEDDED_DATABASE
    finally:
        server.stop()


@asynccontextmanager
async def _open_pool(url: str, *, embedded: bool, sync: bool, pool_size: int) -> AsyncIterator[Database]:
    await _probe(url)
    if sync:
        await asyncio.to_thread(sync_schema, url)
    # Given up early and begun anew by the next who asks: the pool's own attempts are up to minutes apart.
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=pool_size,
        open=False,
        timeout=POOL_SECONDS,
        reconnect_timeout=RECONNECT_SECONDS,
        configure=_configure,
        name="tradepulse",
    )
    with database_errors(url):
        await pool.open(wait=True, timeout=POOL_SECONDS)
    try:
        yield Database(url, pool, embedded)
    finally:
        await pool.close()


async def connect(url: str) -> Connection:
    """A connection of one's own, outside the pool (listening, long reads), in autocommit mode."""
    with database_errors(url):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    await _configure(connection)
    return connection


class BookHold:
    """That nobody else trades a book, for as long as a connection lasts; freed even by a kill."""

    def __init__(self, database: Database, book: str) -> None:
        self._database = database
        self._book = book
        self._connection: Connection | None = None

    async def take(self) -> None:
        """``ConfigurationError`` if another program stays; one that was killed a moment ago is waited for."""
        self._connection = connection = await connect(self._database.url)
        with database_errors(self._database.url):
            for _ in range(LOCK_ATTEMPTS):
                found = await connection.execute(_LOCK, (self._book,))
                row = await found.fetchone()
                if row is not None and row[0]:
                    return
                await asyncio.sleep(LOCK_PAUSE)
        raise ConfigurationError(
            f"Another program trades the book '{self._book}' already.",
            "Stop it first, or trade another seed or data directory.",
        )

    async def renew(self) -> None:
        """Taken again where the database has forgotten it, because it was stopped or the connection broke."""
        if self._connection is not None:
            try:
                await self._connection.execute("select 1")
            except psycopg.Error:
                await self.release()
        if self._connection is None:
            await self.take()

    async def release(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


@asynccontextmanager
async def held_alone(database: Database, book: str) -> AsyncIterator[BookHold]:
    """Nobody else trades ``book`` meanwhile, on this machine or another."""
    hold = BookHold(database, book)
    try:
        await hold.take()
        yield hold
    finally:
        await hold.release()


async def is_held(database: Database, book: str) -> bool:
    """Whether somebody trades ``book`` now; takes nothing, so that nobody is held up."""
    async with database.transaction() as connection:
        found = await connection.execute(_HELD, (book,))
        row = await found.fetchone()
    return row is not None and bool(row[0])


async def _probe(url: str) -> None:
    connection = await connect(url)
    await connection.close()


async def _configure(connection: Connection) -> None:
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)


def create_database(server_url: str, name: str, *, template: str | None = None) -> None:
    """Create database ``name`` on the server, unless it is there."""
    with database_errors(server_url), psycopg.connect(server_url, autocommit=True) as connection:
        if connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            return
        command = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            command += sql.SQL(" template {}").format(sql.Identifier(template))
        # Another program may make it at the same time.
        with suppress(pg.DuplicateDatabase, pg.UniqueViolation):
            connection.execute(command)
