"""A program of one version must not go on writing into a database that another version has migrated meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tradepulse.bootstrap.application import Application, database_facts
from tradepulse.shared.errors import ConfigurationError, TradePulseError

logger = logging.getLogger(__name__)
LOOK_SECONDS = 15.0


@asynccontextmanager
async def on_this_schema(app: Application, look_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Cancels what runs inside, and raises ``ConfigurationError``, once the database has another schema than ours.

    A database that does not answer is no other schema. What rests on an exchange stays there.
    """
    inside = asyncio.current_task()
    if inside is None:
        raise RuntimeError("on_this_schema is used inside a task")
    found: list[str] = []

    async def watch() -> None:
        found.append(await _another_schema(app, look_seconds))
        inside.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        # Somebody else may have cancelled us in the same moment: then we are cancelled.
        if not found or inside.uncancel():
            raise
        raise ConfigurationError(
            f"The database was migrated by another version while this program ran: {found[0]}.",
            "Start the version that migrated it. Stops and targets stay on the exchange meanwhile.",
        ) from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _another_schema(app: Application, look_seconds: float) -> str:
    while True:
        await asyncio.sleep(look_seconds)
        try:
            problem = (await database_facts(app)).schema_problem
        except TradePulseError as error:
            logger.warning("The schema is looked at later: %s", error)
            continue
        if problem:
            return problem
