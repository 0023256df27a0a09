"""Answers to writes, kept for a day, so that a write that is sent twice is done once."""

from tradepulse.ports import StoredAnswer
from tradepulse.shared.errors import TransientError
from tradepulse.storage.db import Database

KEPT_MS = 24 * 3_600_000
ABANDONED_MS = 120_000
"""A request that was begun this long ago and never answered was lost with its process."""

_BEGIN = """
    insert into stored_answers (owner, key, request_hash, begun_at, status, body) values (%s, %s, %s, %s, null, '')
    on conflict (owner, key) do update set request_hash = excluded.request_hash, begun_at = excluded.begun_at
        where stored_answers.status is null and stored_answers.begun_at < %s
    returning 1
"""


class PostgresAnswers:
    """The ``AnswerStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, owner: str, key: str, request_hash: str, now: int) -> StoredAnswer | None:
        async with self._database.transaction() as connection:
            await connection.execute("delete from stored_answers where begun_at < %s", (now - KEPT_MS,))
            begun = await connection.execute(_BEGIN, (owner, key, request_hash, now, now - ABANDONED_MS))
            if await begun.fetchone():
                return None
            found = await connection.execute(
                "select request_hash, status, body from stored_answers where owner = %s and key = %s", (owner, key)
            )
            row = await found.fetchone()
        if row is None:
            raise TransientError("The first request under this key has just failed.", "Send it again.")
        return StoredAnswer(row[0], row[1], bytes(row[2]))

    async def finish(self, owner: str, key: str, status: int, body: bytes) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "update stored_answers set status = %s, body = %s where owner = %s and key = %s",
                (status, body, owner, key),
            )

    async def forget(self, owner: str, key: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "delete from stored_answers where owner = %s and key = %s and status is null", (owner, key)
            )
