"""ccxt shares some work between tasks: when it is cancelled for one of them, the others only see a failure."""

import asyncio

import ccxt.pro as ccxtpro
import pytest

from tradepulse.exchanges.ccxt_exchange import own_cancellation


async def test_shared_work_when_cancelled_by_somebody_else_then_a_failure_of_the_network() -> None:
    shared = asyncio.get_running_loop().create_future()
    shared.cancel()
    with pytest.raises(ccxtpro.NetworkError, match="another task"), own_cancellation():
        await shared


async def test_task_when_cancelled_itself_then_it_ends() -> None:
    async def waiting() -> None:
        with own_cancellation():
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
