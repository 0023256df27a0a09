"""What a book no longer needs, found and removed in small transactions so that trading never waits.

Trades, fills, orders, the ledger, positions, candles and the audit log are kept for ever. What goes is what can be done
without once it is old: facts of the live log, setups that never came to an order, marks of equity between the hours,
and background jobs that have ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tradepulse.domain.market import DAY
from tradepulse.storage.db import Database

BATCH = 5_000
"""Rows of one transaction: some tens of milliseconds, of which the engine's own commits wait for none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Days that each of them is kept; 0: for ever."""

    events: int
    setups: int
    marks: int
    jobs: int


@dataclass(frozen=True, slots=True)
class _Rule:
    table: str
    outdated: str


_EVENTS = _Rule("event_log", "book = %(book)s and time < %(before)s")
_SETUPS = _Rule(
    "setups",
    "book = %(book)s and found_at < %(before)s and opened_at is null and not exists ("
    "select 1 from orders where orders.book = setups.book and orders.setup_id = setups.setup_id)",
)
# The last of an hour stays, and the highest of all: what a drawdown is measured from.
_MARKS = _Rule(
    "equity",
    "book = %(book)s and time < %(before)s and exists (select 1 from equity as later where later.book = equity.book "
    "and later.time > equity.time and later.time < (equity.time / 3600000 + 1) * 3600000) "
    "and equity.equity < (select max(highest.equity) from equity as highest where highest.book = %(book)s)",
)
_JOBS = _Rule("jobs", "state not in ('queued', 'running') and finished_at < %(before)s")


class PostgresRetention:
    """Removes what is older than ``kept`` says. The age of a book's rows is counted from the book's own last event."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self._database = database
        self._kept = kept

    async def outdated(self, now: int) -> dict[str, int]:
        """Rows that ``remove`` would take, by table."""
        found: dict[str, int] = {}
        for rule, values in await self._due(now):
            query = f"select count(*) from {rule.table} where {rule.outdated}"  # noqa: S608 - constants of this module
            async with self._database.transaction() as connection:
                row = await (await connection.execute(query, values)).fetchone()
            found[rule.table] = found.get(rule.table, 0) + (0 if row is None else row[0])
        return found

    async def remove(self, now: int) -> dict[str, int]:
        """Rows removed, by table. Killed in between, what is left goes the next time."""
        gone: dict[str, int] = {}
        for rule, values in await self._due(now):
            gone[rule.table] = gone.get(rule.table, 0) + await self._emptied(rule, values)
        return gone

    async def _emptied(self, rule: _Rule, values: dict[str, object]) -> int:
        removed = 0
        while True:
            async with self._database.transaction() as connection:
                batch = await connection.execute(
                    f"delete from {rule.table} where ctid = any(array("  # noqa: S608 - constants of this module
                    f"select ctid from {rule.table} where {rule.outdated} limit {BATCH}))",
                    values,
                )
            removed += batch.rowcount
            if batch.rowcount < BATCH:
                return removed

    async def _due(self, now: int) -> Sequence[tuple[_Rule, dict[str, object]]]:
        async with self._database.transaction() as connection:
            found = await connection.execute("select book, time from snapshots order by book")
            books: list[tuple[str, int]] = await found.fetchall()
        kept = self._kept
        due: list[tuple[_Rule, dict[str, object]]] = [
            (rule, {"book": book, "before": last - days * DAY})
            for book, last in books
            for rule, days in ((_EVENTS, kept.events), (_SETUPS, kept.setups), (_MARKS, kept.marks))
            if days
        ]
        return [*due, (_JOBS, {"before": now - kept.jobs * DAY})] if kept.jobs else due
