"""Writes that a trader obeys: each becomes a request in the command inbox, and no web thread touches an engine."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from tradepulse.api.deps import Principal, Services, ServicesDep, find_book
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import Given, Time, View
from tradepulse.api.routing import idempotency_key
from tradepulse.domain.inbox import SUBJECTS, RequestKind, RequestStatus
from tradepulse.domain.inbox import Request as Asked
from tradepulse.domain.users import Note

logger = logging.getLogger(__name__)
LONGEST_WAIT = 60.0
SECONDS_BETWEEN_LOOKS = 0.1
ACCEPTED = 202
ON_ITS_WAY: dict[int | str, dict[str, Any]] = {
    ACCEPTED: {"description": "it waits for its trader; ask again by its id"}
}
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the outcome; 0: not at all")]


class Because(Given):
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S", description="kept with the event")


class CommandState(View):
    """A command and what became of it: `done`, or `refused` and why; `waiting` and `taken` are on their way."""

    command_id: str
    book: str
    kind: RequestKind
    subject: str = Field(description="the position or setup that it is about, if any")
    reason: str
    requested_by: str
    requested_at: Time
    status: RequestStatus
    outcome: str
    traded: bool = Field(description="somebody trades the book now; if not, the command waits for the next start")


class CommandDesk:
    """Posts what this request asks of books. Under the same ``Idempotency-Key`` it is the same command again, even
    where the first answer never came.
    """

    def __init__(self, request: Request, response: Response, services: ServicesDep) -> None:
        self._given = idempotency_key(request)
        self._trace = str(getattr(request.state, "trace", ""))
        self._response = response
        self._services = services

    async def post(
        self, who: Principal, kind: RequestKind, reason: str, *, book: str | None, subject: str = "", wait: float = 0
    ) -> CommandState:
        """Its state after ``wait`` seconds at most; the status is 202 until there is an outcome."""
        posted = await self.left(who, kind, reason, book=book, subject=subject)
        return (await self.outcomes([posted], wait))[0]

    async def left(
        self, who: Principal, kind: RequestKind, reason: str, *, book: str | None, subject: str = ""
    ) -> Asked:
        """Posted, and nothing waited for."""
        found = await find_book(self._services, book)
        if found is None:
            raise NotFoundError("No book has begun yet.", "Start paper trading with: tradepulse up")
        name = str(found["book"])
        payload = {"trace": self._trace} | ({SUBJECTS[kind]: subject} if kind in SUBJECTS else {})
        key = str(uuid4()) if self._given is None else f"{self._given}:{kind}:{name}:{subject}"
        now = self._services.clock.now()
        posted = await self._services.inbox.post(Asked(name, kind, who.actor.name, reason, key, now, payload))
        facts = {"command_id": posted.request_id, "book": name, "reason": reason}
        await self._services.accounts.note(Note(now, who.actor.name, f"asked to {kind}", subject, who.address, facts))
        logger.info("command posted", extra={"command_id": posted.request_id, "kind": kind.value, "book": name})
        return posted

    async def outcomes(self, posted: Sequence[Asked], wait: float) -> list[CommandState]:
        told = await asyncio.gather(*(_outcome(self._services, one, wait) for one in posted))
        if not all(one.status.answered for one in told):
            self._response.status_code = ACCEPTED
        return [await state_of(self._services, one) for one in told]


CommandDeskDep = Annotated[CommandDesk, Depends()]


async def find_command(services: Services, command_id: str, wait: float = 0) -> CommandState:
    found = await services.inbox.get(command_id)
    if found is None:
        raise NotFoundError(f"There is no command '{command_id}'.", "Its id is in the answer to the write.")
    return await state_of(services, await _outcome(services, found, wait))


async def state_of(services: Services, asked: Asked) -> CommandState:
    return CommandState(
        command_id=asked.request_id,
        book=asked.book,
        kind=asked.kind,
        subject=asked.subject,
        reason=asked.reason,
        requested_by=asked.by,
        requested_at=asked.requested_at,
        status=asked.status,
        outcome=asked.outcome,
        traded=await services.is_traded(asked.book),
    )


async def _outcome(services: Services, asked: Asked, wait: float) -> Asked:
    """As it stands once it is answered, nobody trades the book, or the time is over."""
    for _ in range(round(wait / SECONDS_BETWEEN_LOOKS)):
        if asked.status.answered or not await services.is_traded(asked.book):
            break
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        asked = await services.inbox.get(asked.request_id) or asked
    return asked
