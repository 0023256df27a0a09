"""Work that runs side by side and ends together."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def until_one_ends(*work: Coroutine[Any, Any, None]) -> None:
    """All at once; when one returns or fails, the others are ended, and its error is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        await end_all(tasks)


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """A cancellation can get lost where a library waits with a time limit: it is repeated until all have ended."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=1.0)
