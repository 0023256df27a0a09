"""The command inbox in PostgreSQL: rows are the truth, a notification only wakes the trader."""

import asyncio
import logging
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from psycopg import sql
from psycopg.types.json import Json

from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.ports import CommandInbox
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.storage.db import Connection, Database, connect
from tradepulse.storage.driver_errors import database_errors

logger = logging.getLogger(__name__)
CHANNEL = "tradepulse_commands"
# Only if a notification was lost, as with a connection that broke without a word.
LOOK_AGAIN_SECONDS = 5.0
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
"""How long what protects positions may be held up by a database that does not answer."""

_COLUMNS = "book, kind, requested_by, reason, key, requested_at, payload, request_id, status, coalesce(outcome, '')"
_POST = """
    insert into commands (request_id, book, kind, payload, reason, requested_by, requested_at, key, status)
    values (%s, %s, %s, %s, %s, %s, %s, %s, 'waiting') on conflict (key) do nothing
"""
_WAKE = "select pg_notify(%s, %s)"
_BY_KEY = f"select {_COLUMNS} from commands where key = %s"  # noqa: S608 - constants, as the next two
_BY_ID = f"select {_COLUMNS} from commands where request_id = %s"  # noqa: S608
_TAKE = f"""
    update commands set status = 'taken' where request_id = (
        select request_id from commands where book = %s and status in ('waiting', 'taken') order by "row" limit 1
        for update
    ) returning {_COLUMNS}
"""  # noqa: S608
_FINISH = """
    update commands set status = %s, outcome = %s, answered_at = %s
    where request_id = %s and status in ('waiting', 'taken')
"""
_ANY = "select 1 from commands where book = %s and status in ('waiting', 'taken') limit 1"


class PostgresCommandInbox:
    """The ``CommandInbox`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def post(self, request: Request) -> Request:
        values = (
            str(uuid4()), request.book, request.kind.value, Json(request.payload), request.reason, request.by,
            request.requested_at, request.key,
        )  # fmt: skip
        async with self._database.transaction() as connection:
            await connection.execute(_POST, values)
            await connection.execute(_WAKE, (CHANNEL, request.book))
            row = await (await connection.execute(_BY_KEY, (request.key,))).fetchone()
        return _request(_there(row, request.key))

    async def get(self, request_id: str) -> Request | None:
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_BY_ID, (request_id,))).fetchone()
        return None if row is None else _request(row)

    async def take(self, book: str) -> Request | None:
        while True:
            async with self._database.transaction() as connection:
                row = await (await connection.execute(_TAKE, (book,))).fetchone()
            if row is None:
                return None
            try:
                return _request(row)
            except (ConfigurationError, ValueError) as error:
                # Written by something else than this program: refused, so that those behind it are not held up.
                await self.finish(row[7], done=False, outcome=f"it cannot be read: {error}", time=row[5])

    async def finish(self, request_id: str, *, done: bool, outcome: str, time: int) -> None:
        status = RequestStatus.DONE if done else RequestStatus.REFUSED
        async with self._database.transaction() as connection:
            await connection.execute(_FINISH, (status.value, outcome, time, request_id))

    async def news(self, book: str) -> None:
        while True:
            try:
                async with await connect(self._database.url) as connection:
                    with database_errors(self._database.url):
                        await _wait(connection, book)
                return
            except TransientError:
                await asyncio.sleep(RETRY_SECONDS)


class PatientInbox:
    """An inbox whose database may be away: what people ask then waits there, or is given a second time."""

    def __init__(self, inbox: CommandInbox) -> None:
        self._inbox = inbox

    async def post(self, request: Request) -> Request:
        return await self._inbox.post(request)

    async def get(self, request_id: str) -> Request | None:
        return await self._inbox.get(request_id)

    async def take(self, book: str) -> Request | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._inbox.take(book)
        except (TransientError, TimeoutError) as error:
            logger.warning("Requests are looked for later: %s", error)
            return None

    async def finish(self, request_id: str, *, done: bool, outcome: str, time: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._inbox.finish(request_id, done=done, outcome=outcome, time=time)
        except (TransientError, TimeoutError) as error:
            # It comes again, and the engine remembers what it answered.
            logger.warning("The answer to request %s is given later: %s", request_id, error)

    async def news(self, book: str) -> None:
        await self._inbox.news(book)


async def _wait(connection: Connection, book: str) -> None:
    """Listening begins before looking, so that nothing falls between."""
    await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
    while await (await connection.execute(_ANY, (book,))).fetchone() is None:
        async with aclosing(connection.notifies(timeout=LOOK_AGAIN_SECONDS)) as notices:
            async for notice in notices:
                if notice.payload == book:
                    break


def _there(row: tuple[Any, ...] | None, key: str) -> tuple[Any, ...]:
    if row is None:
        raise TransientError(f"The request under key {key} went away while it was posted.", "Ask again.")
    return row


def _request(row: tuple[Any, ...]) -> Request:
    book, kind, by, reason, key, requested_at, payload, request_id, status, outcome = row
    return Request(
        book, RequestKind(kind), by, reason, key, requested_at, payload, request_id, RequestStatus(status), outcome
    )
