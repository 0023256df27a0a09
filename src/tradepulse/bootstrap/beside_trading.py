"""Background jobs beside trading: a worker process of its own, one core at low priority, that ends with its owner.

Another process, because a backtest in this one would hold the interpreter that the engine needs, and because what takes
too much memory must not take the trader with it.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tradepulse.bootstrap.paper import MAIN_JOB
from tradepulse.policy.leased_work import pause
from tradepulse.policy.reliability_engine import AUTHOR

logger = logging.getLogger(__name__)

LEFT_TO_THE_TRADER = (MAIN_JOB, AUTHOR)
"""Training that the trader of the same process asks for, and does itself."""
NICE = 10
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
SECONDS_TO_END = 10.0
LOOK_SECONDS = 1.0


async def keep_working_beside() -> None:
    """A worker beside this process until cancelled; started again, with growing pauses, should it end by itself."""
    wait = FIRST_WAIT
    while True:
        began, code = asyncio.get_running_loop().time(), -1
        with suppress(OSError):
            code = await _one_worker()
        if asyncio.get_running_loop().time() - began > LONGEST_WAIT:
            wait = FIRST_WAIT
        logger.warning("The worker of background jobs ended with code %s; started again in %.0f s", code, wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT)


async def _one_worker() -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tradepulse", "worker", "--threads", "1", "--beside", str(os.getpid())),
        stdin=asyncio.subprocess.DEVNULL,
        # Ctrl-C in the terminal is for us; we tell it.
        start_new_session=True,
    )
    try:
        return await process.wait()
    finally:
        await _ended(process)


@asynccontextmanager
async def stop_with(owner: int | None, stop: asyncio.Event) -> AsyncIterator[None]:
    """For the worker itself: low priority, and ``stop`` is set as soon as its owner is gone, be it killed."""
    if owner is None:
        yield
        return
    os.nice(NICE)
    watching = asyncio.create_task(_watch(owner, stop))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(owner: int, stop: asyncio.Event) -> None:
    while not stop.is_set():
        if os.getppid() != owner:
            stop.set()
        await pause(stop, LOOK_SECONDS)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Told to end; what it had taken goes back. Killed where it does not hear."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), SECONDS_TO_END)
            except TimeoutError:
                process.kill()
                await process.wait()
