"""What a person asks of a running book, from any process, and what stands in its way of entering."""

import asyncio
from uuid import uuid4

from pydantic import TypeAdapter

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.paper import paper_book
from tradepulse.core.risk_guard import RiskMemory, state_of
from tradepulse.domain.inbox import SUBJECTS, Request, RequestKind
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.db import is_held

SECONDS_BETWEEN_LOOKS = 0.1
_MEMORY = TypeAdapter(RiskMemory)


async def ask(
    app: Application,
    kind: RequestKind,
    reason: str,
    *,
    by: str,
    subject: str = "",
    price: str = "",
    book: str | None = None,
) -> Request:
    """Post it; ``ConfigurationError`` where there is no such book, or where it does not say all that it has to.

    ``price``: where a stop is to stand.
    """
    payload = {SUBJECTS[kind]: subject} if kind in SUBJECTS else {}
    payload |= {"price": price} if price else {}
    key, now = str(uuid4()), app.clock.now()
    return await app.inbox.post(Request(await known_book(app, book), kind, by, reason, key, now, payload))


async def answer_to(app: Application, request: Request, seconds: float) -> Request:
    """As it stands once it is answered, nobody trades the book, or the time is over."""
    attempts = max(1, round(seconds / SECONDS_BETWEEN_LOOKS))
    for _ in range(attempts):
        found = await app.inbox.get(request.request_id) or request
        if found.status.answered or not await is_traded(app, request.book):
            return found
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
    return await app.inbox.get(request.request_id) or request


async def is_traded(app: Application, book: str) -> bool:
    return await is_held(app.database, book)


async def known_book(app: Application, book: str | None) -> str:
    """The one that the settings trade, or one of those that are there."""
    own = paper_book(app)
    known = {own, *(str(one["book"]) for one in await app.reader.books())}
    if book is not None and book not in known:
        raise ConfigurationError(f"There is no book '{book}'.", f"Name one of: {', '.join(sorted(known))}.")
    return book or own


async def risk_report(app: Application, book: str | None) -> JsonObject:
    """State, holds, locks and causes as the last step left them, and whether anybody trades the book."""
    name = await known_book(app, book)
    remembered = await app.journal.recover(name)
    stored = remembered[1].get("risk", {}) if remembered is not None else {}
    memory = _MEMORY.validate_python(stored)
    plain: JsonObject = _MEMORY.dump_python(memory, mode="json")
    summary = await app.reader.summary(name)
    now = int(summary["last_event_time"]) if summary is not None else 0
    return {
        "book": name,
        "traded": await is_traded(app, name),
        "begun": remembered is not None,
        "time": now,
        "state": state_of(memory).value,
        "holds": list(plain["holds"].values()),
        "not_ready": list(plain["not_ready"].values()),
        "locks": [lock for lock in plain["locks"] if lock["until"] > now],
        "day_began_with": plain["baseline"],
        "peak": plain["peak"],
        "equity": summary["equity"] if summary is not None else None,
    }
