"""A program ends when another version migrates the database under it, and for no other reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tradepulse.bootstrap import Application, on_this_schema, open_application
from tradepulse.cli import worker
from tradepulse.shared.errors import ConfigurationError, TradePulseError, TransientError
from tradepulse.shared.settings import DatabaseSettings, Settings
from tradepulse.storage.schema import HEAD


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(data_directory=tmp_path, database=DatabaseSettings(url=database_url))


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Application]:
    async with open_application(settings) as opened:
        yield opened


async def migrated(app: Application, revision: str) -> None:
    async with app.database.transaction() as connection:
        await connection.execute("update alembic_version set version_num = %s", (revision,))


async def test_worker_when_another_version_migrates_then_it_ends_and_says_which_revision_it_met(
    app: Application, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_this_schema.__wrapped__, "__defaults__", (0.05,))
    working = asyncio.create_task(worker._work(settings, 1, [], None, once=False, quiet=True))
    await asyncio.sleep(0.5)
    assert not working.done()
    await migrated(app, "9999")
    with pytest.raises(ConfigurationError, match=f"revision 9999, this program works on {HEAD}"):
        await asyncio.wait_for(working, 30)


async def test_inside_when_nothing_is_migrated_then_it_ends_by_itself_or_by_whoever_cancels_it(
    app: Application,
) -> None:
    async with on_this_schema(app, 0.01):
        await asyncio.sleep(0.1)

    async def forever() -> None:
        async with on_this_schema(app, 0.01):
            await asyncio.Event().wait()

    running = asyncio.create_task(forever())
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("error", [TransientError("it does not answer"), ConfigurationError("it lets nobody in")])
async def test_inside_when_the_database_cannot_be_asked_then_it_goes_on_and_asks_again(
    error: TradePulseError, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    often = asyncio.Event()

    async def no_answer(_: Application) -> None:
        asked.append(1)
        if len(asked) == 3:
            often.set()
        raise error

    monkeypatch.setattr("tradepulse.bootstrap.schema_watch.database_facts", no_answer)
    async with on_this_schema(app, 0.01):
        await asyncio.wait_for(often.wait(), 10)
