"""What a person asks of a running book, from any process, and what stands in its way of entering."""

import asyncio
from uuid import uuid4

from pydantic import TypeAdapter

from tradepulse.bootstrap.application import Application, account_limits
from tradepulse.bootstrap.paper import paper_book
from tradepulse.bootstrap.risk_usage import limits_in_use
from tradepulse.core.limit_usage import LimitUse
from tradepulse.core.risk_guard import RiskMemory, state_of
from tradepulse.domain.inbox import SUBJECTS, Request, RequestKind
from tradepulse.domain.risk import AccountLimits
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


async def risk_report(
    app: Application, book: str | None, *, limits: AccountLimits | None = None, usage: bool = True
) -> JsonObject:
    """State, holds, locks and causes as the last step left them, and whether anybody trades the book.

    ``limits`` in it: how much of each is used; ``None`` while the book has not begun, and where a market that it holds
    is not known. By default they are those of the settings; a wallet may have its own. Without ``usage`` they are
    left out: correlations are measured anew for them, which takes long in comparison.
    """
    name = await known_book(app, book)
    remembered = await app.journal.recover(name)
    stored = remembered[1].get("risk", {}) if remembered is not None else {}
    memory = _MEMORY.validate_python(stored)
    plain: JsonObject = _MEMORY.dump_python(memory, mode="json")
    summary = await app.reader.summary(name)
    now = int(summary["last_event_time"]) if summary is not None else 0
    uses = None
    if usage and remembered is not None:
        allowed = account_limits(app.settings.risk) if limits is None else limits
        uses = await limits_in_use(app.candles, remembered[1], memory, allowed, now)
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
        "limits": None if uses is None else [_use(one) for one in uses],
    }


def _use(one: LimitUse) -> JsonObject:
    told = {"limit": one.limit, "about": one.about, "used": f"{one.used:f}", "allowed": f"{one.allowed:f}"}
    return told | {"share": round(one.share, 6)}
