"""A journal that outlasts its database: steps go into a file while the database is away, and from there into it.

Whatever is sent was written down before, in the database or in the file. Both are one sequence of steps without a
hole: as long as the file holds any, the next one goes behind it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import orjson

from tradepulse.ports import Journal, JsonObject, StepRecord
from tradepulse.shared.errors import InvariantError, TransientError
from tradepulse.storage.step_file import StepFile

logger = logging.getLogger(__name__)
COMMIT_SECONDS = 2.0
"""What protects a position waits no longer for the database than this."""
WATCH_SECONDS = 5.0
"""Between looks at a database that took every step."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
LEAST_PATIENCE = 6.0
"""Seconds that bringing in may take, more when there is much."""


class LastingJournal:
    """``Journal`` of one book over another one. ``keep`` runs beside and brings the file into the database.

    ``renew`` makes sure that nobody else trades the book, before anything is brought in: the database forgets who holds
    a book when it stops. ``told`` hears why the database cannot be used, and '' when all is in it.
    """

    def __init__(
        self, journal: Journal, file: StepFile, renew: Callable[[], Awaitable[None]], told: Callable[[str], None]
    ) -> None:
        self._journal = journal
        self._file = file
        self._renew = renew
        self._told = told
        self._waiting = deque(file.records())
        self._news = asyncio.Event()

    async def commit(self, record: StepRecord) -> None:
        if not self._waiting:
            try:
                async with asyncio.timeout(COMMIT_SECONDS):
                    await self._journal.commit(record)
                return
            except (TransientError, TimeoutError) as error:
                self._told(str(error) or f"no answer within {COMMIT_SECONDS:.0f} s")
        # What the database has of this step, if anything, shows when the file is brought in.
        await asyncio.to_thread(self._file.append, record)
        kept = None if record.snapshot is None else _plain(record.snapshot)
        self._waiting.append(replace(record, snapshot=kept))
        self._news.set()

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        """After everything that an earlier life left in the file is in the database."""
        await self._bring_in()
        return await self._journal.recover(book)

    async def keep(self) -> None:
        """Until cancelled: looks after the hold on the book, and gives a database that is back what it missed."""
        pause = FIRST_PAUSE
        while True:
            await self._until_needed(pause)
            try:
                async with asyncio.timeout(max(LEAST_PATIENCE, COMMIT_SECONDS * len(self._waiting))):
                    await (self._bring_in() if self._waiting else self._renew())
                pause = FIRST_PAUSE
                if not self._waiting:
                    self._told("")
            except (TransientError, TimeoutError) as error:
                logger.warning("%s steps wait for the database: %s", len(self._waiting), error)
                self._told(str(error) or "no answer")
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _until_needed(self, pause: float) -> None:
        if self._waiting:
            await asyncio.sleep(pause)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), WATCH_SECONDS)

    async def _bring_in(self) -> None:
        if not self._waiting:
            return
        await self._renew()
        found = await self._journal.recover(self._waiting[0].book)
        if found is not None and found[0] >= self._waiting[0].sequence:
            self._skip(found)
        count = len(self._waiting)
        while self._waiting:
            await self._journal.commit(self._waiting[0])
            self._waiting.popleft()
        # Nothing can have come between: there was no await since the last look.
        self._file.clear()
        self._news.clear()
        logger.warning("The database is back, and has the %s steps that it missed", count)
        self._told("")

    def _skip(self, found: tuple[int, JsonObject]) -> None:
        """The steps that are in the database although it did not say so; another's steps are a contradiction."""
        sequence, snapshot = found
        inside = [record for record in self._waiting if record.sequence <= sequence]
        remembered = next((one.snapshot for one in reversed(inside) if one.snapshot is not None), None)
        if inside[-1].sequence != sequence or (remembered is not None and remembered != snapshot):
            raise InvariantError(
                f"Book '{inside[0].book}' was traded by another program while the database was away: it has step "
                f"{sequence}, which is not the one in {self._file.path}.",
                "Compare the exchange's account with the book, then move the file away.",
            )
        for _ in inside:
            self._waiting.popleft()


def _plain(snapshot: JsonObject) -> JsonObject:
    """As it comes back from the database."""
    plain: JsonObject = orjson.loads(orjson.dumps(snapshot))
    return plain
