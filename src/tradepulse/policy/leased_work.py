"""Work under a lease: its worker says again and again that it is still there, and hears when it should give up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from tradepulse.shared.errors import TradePulseError, TransientError

__all__ = ["PULSE_SECONDS", "in_words", "patiently", "pause", "vouched_for"]

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PULSE_SECONDS = 1.0
"""How often a worker says that it is still there, and looks whether it should stop."""
WRITE_ATTEMPTS = 10


async def vouched_for(
    work: "asyncio.Future[Any]",
    keep: Callable[[], Awaitable[bool]],
    stop: asyncio.Event | None = None,
    *,
    pulse_seconds: float = PULSE_SECONDS,
) -> bool:
    """Wait for ``work``, calling ``keep`` all the time. ``False`` when it should be given up.

    That is when ``keep`` says so, or ``stop`` is set while it is not done. A database that is away for a moment stops
    nobody.
    """
    stopping = asyncio.ensure_future((stop or asyncio.Event()).wait())
    try:
        while not work.done():
            await asyncio.wait({work, stopping}, timeout=pulse_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and (stopping.done() or not await _still_wanted(keep)):
                return False
    finally:
        stopping.cancel()
    return True


async def _still_wanted(keep: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await keep()
    except TransientError:
        logger.warning("The database does not answer; the work goes on")
        return True


async def patiently(write: Callable[[], Awaitable[Answer]], *, pulse_seconds: float = PULSE_SECONDS) -> Answer:
    """Work of minutes must not be lost because the database restarts."""
    for _ in range(WRITE_ATTEMPTS - 1):
        with suppress(TransientError):
            return await write()
        await asyncio.sleep(pulse_seconds)
    return await write()


async def pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, TradePulseError) else f"Unexpected {type(error).__name__}: {error}"
