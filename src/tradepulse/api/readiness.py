"""May it be relied on? What this process knows, and what is stored."""

from dataclasses import dataclass
from enum import StrEnum

from tradepulse.api.deps import Services
from tradepulse.api.live import LiveHub
from tradepulse.shared.errors import TradePulseError

LONGEST_SILENCE_SECONDS = 180.0
"""Of a book that is traded: a candle closes every minute."""
LARGEST_OFFSET_MS = 2_000
"""Between the clock of this machine and the database's."""


class State(StrEnum):
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Nothing to judge by, as where nobody trades; it fails nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    detail: str


async def readiness(services: Services, hub: LiveHub) -> list[Check]:
    try:
        facts = await services.database_facts()
        books = await services.books.books()
    except TradePulseError as error:
        failed = Check("database", State.FAILED, str(error))
        rest = ("schema", "clock", "feed", "reconciliation")
        return [failed, *(Check(name, State.UNKNOWN, "the database does not answer") for name in rest)]
    book = str(books[0]["book"]) if books else None
    return [
        Check("database", State.OK, services.database),
        _judged("schema", not facts.schema_problem, facts.schema_problem or "up to date"),
        _judged(
            "clock", abs(facts.clock_offset_ms) <= LARGEST_OFFSET_MS, f"{facts.clock_offset_ms} ms off the database"
        ),
        await _feed(services, hub, book),
        await _reconciliation(services, book),
    ]


def _judged(name: str, holds: bool, detail: str) -> Check:
    return Check(name, State.OK if holds else State.FAILED, detail)


async def _feed(services: Services, hub: LiveHub, book: str | None) -> Check:
    silence = hub.silence_seconds()
    if book is None or not await services.is_traded(book):
        return Check("feed", State.UNKNOWN, "nobody trades now")
    if silence is None:
        return Check("feed", State.UNKNOWN, "nothing was heard of since this process began")
    return _judged("feed", silence <= LONGEST_SILENCE_SECONDS, f"last heard of {silence:.0f} s ago")


async def _reconciliation(services: Services, book: str | None) -> Check:
    if book is None:
        return Check("reconciliation", State.UNKNOWN, "no book has begun")
    open_causes = [str(one["reason"]) for one in (await services.risk_report(book)).get("not_ready", ())]
    return _judged("reconciliation", not open_causes, "; ".join(open_causes) or "nothing is in doubt")
