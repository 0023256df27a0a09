"""Several API processes on one database: each tells its own watchers what any process has committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tradepulse.api.live import Client, LiveHub
from tradepulse.api.metrics import Metrics
from tradepulse.api.models import LiveMessage, Topic
from tradepulse.domain.events import EntriesLocked
from tradepulse.domain.risk import Lock, LockCause
from tradepulse.domain.users import Note, Role, Session, User
from tradepulse.ports import StepRecord
from tradepulse.shared.clock import ManualClock
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.db import Database, open_database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.users import PostgresAccounts

NOW = 1_700_000_000_000


@asynccontextmanager
async def watching(url: str, folder: Path, client: Client) -> AsyncIterator[LiveHub]:
    """As one API process does, with one watcher."""
    async with open_database(url, folder, sync=False, pool_size=2) as database:
        hub = LiveHub(PostgresBookReader(database), PostgresAccounts(database), ManualClock(NOW), Metrics())
        following = asyncio.create_task(hub.run())
        await asyncio.wait_for(hub.is_following(), 10)
        hub.admit(client)
        yield hub
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def heard(client: Client) -> LiveMessage | None:
    return await asyncio.wait_for(client.queue.get(), 10)


def watcher(session_id: str) -> Client:
    return Client(topics=frozenset({Topic.RISK}), seen=0, session_id=session_id)


async def test_watchers_of_every_process_hear_what_one_commits_and_go_when_they_log_out_at_another(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradepulse.api.live.LOOK_SECONDS", 0.1)
    accounts = PostgresAccounts(database)
    note = Note(NOW, "Ada", "did")
    await accounts.add_user(User("u", "Ada", Role.ADMIN, "hash", NOW), note)
    for name in ("s1", "s2"):
        await accounts.begin_session(Session(name, "u", "", "", NOW, NOW, NOW + 1_000_000), f"token {name}", note)
    one, other = watcher("s1"), watcher("s2")
    async with watching(database_url, tmp_path, one), watching(database_url, tmp_path, other):
        lock = Lock(LockCause.COOL_DOWN, None, "a trade closed", 1, 2)
        await PostgresJournal(database).commit(StepRecord("paper", 1, NOW, (EntriesLocked(lock, 1),), (), {}))
        told = [await heard(client) for client in (one, other)]
        assert [message.topic for message in told if message is not None] == [Topic.RISK, Topic.RISK]
        assert told[0] == told[1]
        await accounts.end_sessions("u", Note(NOW, "Ada", "logged out"), "s1")
        assert await heard(one) is None
        assert one.close_code == 1008
        assert other.close_code is None
