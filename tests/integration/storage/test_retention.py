"""What is old goes, in batches; what a story, a sum or a drawdown is made of stays."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql
from tests.integration.storage.trading_day import SPOT, TradingDay

from tradepulse.domain.events import SetupEvaluated
from tradepulse.domain.market import DAY, HOUR
from tradepulse.domain.orders import OrderRole
from tradepulse.ports import StepRecord
from tradepulse.storage import retention
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.retention import Kept, PostgresRetention

NOW = 1_800_000_000_000
FOREVER = Kept(events=0, setups=0, marks=0, jobs=0)


@pytest.fixture
async def traded(database: Database) -> PostgresBookReader:
    """A won trade, a setup that came to nothing, and ten days later a second trade."""
    await PostgresCandleStore(database).write_market(SPOT)
    day, journal = TradingDay(), PostgresJournal(database)
    steps: list[StepRecord] = [day.begin(), *day.enter(SPOT, "one", 10_000, 700)]
    steps += day.leave("one", 10_100, OrderRole.TARGET)
    found = next(event for step in steps for event in step.events if isinstance(event, SetupEvaluated))
    steps.append(day.step(replace(found, setup=replace(found.setup, setup_id="refused", found_at=day.time))))
    steps += [day.step() for _ in range(120)]
    day.time += 10 * DAY
    steps += [*day.enter(SPOT, "two", 10_000, 700), *day.leave("two", 9_950, OrderRole.STOP)]
    for step in steps:
        await journal.commit(step)
    return PostgresBookReader(database)


async def rows(database: Database, table: str) -> list[dict[str, Any]]:
    async with database.transaction() as connection:
        cursor = await connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def told(reader: PostgresBookReader) -> dict[str, Any]:
    """All that a reader is told of money, trades and their stories."""
    check = await reader.ledger_check("paper")
    assert check.difference == Decimal(0)
    stories = [await reader.trade("paper", name) for name in ("one", "two")]
    return {"summary": await reader.summary("paper"), "check": check, "stories": stories}


async def test_remove_when_rows_are_old_then_money_trades_and_stories_read_as_before(
    database: Database, traded: PostgresBookReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 7)
    before = await told(traded)
    chosen = PostgresRetention(database, Kept(events=5, setups=5, marks=5, jobs=5))
    counted = await chosen.outdated(NOW)

    removed = await chosen.remove(NOW)

    assert removed == counted
    assert removed["event_log"] > retention.BATCH
    assert removed["setups"] == 1
    assert await told(traded) == before
    assert {row["setup_id"] for row in await rows(database, "setups")} == {"one", "two"}
    assert await chosen.remove(NOW) == dict.fromkeys(removed, 0)


async def test_remove_when_marks_are_thinned_then_the_last_of_each_hour_and_the_highest_stay(
    database: Database, traded: PostgresBookReader
) -> None:
    marks = await rows(database, "equity")
    newest = max(mark["time"] for mark in marks)
    last_of_hour = {mark["time"] // HOUR: mark["time"] for mark in sorted(marks, key=lambda mark: int(mark["time"]))}
    highest = max(mark["equity"] for mark in marks)

    await PostgresRetention(database, replace(FOREVER, marks=5)).remove(NOW)

    left = {mark["time"] for mark in await rows(database, "equity")}
    expected = {
        mark["time"]
        for mark in marks
        if mark["time"] >= newest - 5 * DAY or mark["time"] in last_of_hour.values() or mark["equity"] == highest
    }
    assert left == expected
    assert len(left) < len(marks)


async def test_remove_when_nothing_may_go_then_nothing_goes(database: Database, traded: PostgresBookReader) -> None:
    assert await PostgresRetention(database, FOREVER).outdated(NOW) == {}
    assert await PostgresRetention(database, FOREVER).remove(NOW) == {}


async def test_remove_when_jobs_have_ended_long_ago_then_those_that_wait_stay(database: Database) -> None:
    async with database.transaction() as connection:
        ended = (("old", "finished", 1), ("fresh", "failed", NOW - DAY), ("waiting", "queued", None))
        for job, state, finished in ended:
            await connection.execute(
                "insert into jobs (job_id, kind, parameters, parameters_hash, state, priority, requested_by, "
                "created_at, finished_at, progress) values (%s, 'audit', '{}', %s, %s, 0, 'me', 0, %s, '{}')",
                (job, job, state, finished),
            )
    assert await PostgresRetention(database, replace(FOREVER, jobs=30)).remove(NOW) == {"jobs": 1}
    assert {row["job_id"] for row in await rows(database, "jobs")} == {"fresh", "waiting"}
