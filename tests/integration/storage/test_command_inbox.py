"""What the command inbox does with rows that something else than this program has written."""

import pytest
from psycopg.types.json import Json

from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.storage.db import Database
from tradepulse.storage.inbox import PostgresCommandInbox

INSERT = """
    insert into commands (request_id, book, kind, payload, reason, requested_by, requested_at, key, status)
    values ('strange', 'paper', %s, %s, 'because', 'somebody', 5, 'strange', 'waiting')
"""


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        ("halt", ["a", "list"], "its payload is ['a', 'list'], not an object"),
        ("close position", "p1", "its payload is 'p1', not an object"),
        ("close position", {}, "needs the position_id"),
        ("dance", {}, "'dance' is not a valid RequestKind"),
    ],
)
async def test_take_when_a_row_cannot_be_read_then_it_is_refused_in_words_and_the_next_is_taken(
    database: Database, kind: str, payload: object, told: str
) -> None:
    inbox = PostgresCommandInbox(database)
    async with database.transaction() as connection:
        await connection.execute(INSERT, (kind, Json(payload)))
    behind = await inbox.post(Request("paper", RequestKind.HALT, "Ada", "because", "k", 6))
    taken = await inbox.take("paper")
    assert taken is not None
    assert taken.request_id == behind.request_id
    async with database.transaction() as connection:
        found = await connection.execute("select status, outcome from commands where request_id = 'strange'")
        status, outcome = await found.fetchone() or ("", "")
    assert status == RequestStatus.REFUSED
    assert told in outcome
