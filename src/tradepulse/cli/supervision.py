"""What the service manager is told (sd_notify): that we are ready, that we live, that we end. Silent without one."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tradepulse.shared.settings import service_manager

logger = logging.getLogger(__name__)


def nothing_is_wrong() -> str:
    """For what lives as long as its event loop turns: that it comes to tell is the proof."""
    return ""


class Supervisor:
    """``address`` as in ``NOTIFY_SOCKET``; a leading @ is a name without a file."""

    def __init__(self, address: str | None, watchdog_seconds: float | None) -> None:
        self._address = None if address is None else address.replace("@", "\0", 1)
        self._watchdog_seconds = watchdog_seconds

    def ready(self) -> None:
        self._tell("READY=1")

    def _tell(self, *words: str) -> None:
        if self._address is None:
            return
        # Who supervises may have gone; that is no reason to stop trading.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(self._address)
            channel.sendall("\n".join(words).encode())

    @asynccontextmanager
    async def watching(self, problem: Callable[[], str] = nothing_is_wrong) -> AsyncIterator[None]:
        """The watchdog hears of us while there is no ``problem``; when it hears nothing for too long it restarts us."""
        pinging = None if self._watchdog_seconds is None else asyncio.create_task(self._ping(problem))
        try:
            yield
        finally:
            self._tell("STOPPING=1")
            if pinging is not None:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)

    async def _ping(self, problem: Callable[[], str]) -> None:
        told = ""
        while True:
            found = problem()
            self._tell(f"STATUS={found}") if found else self._tell("WATCHDOG=1", "STATUS=")
            if found and found != told:
                logger.error("The watchdog is not told that all is well: %s", found)
            told = found
            await asyncio.sleep((self._watchdog_seconds or 0) / 3)


def supervisor() -> Supervisor:
    """The one that started this process, if there is one."""
    return Supervisor(*service_manager())
