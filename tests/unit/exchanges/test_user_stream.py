"""The account's stream outlives whatever its connection dies of."""

import asyncio
from types import SimpleNamespace
from typing import Any

import ccxt.pro as ccxtpro
import pytest
from aiohttp import ClientConnectionResetError

from tradepulse.exchanges.user_stream import UserStream


@pytest.mark.parametrize(
    "error",
    [
        # What aiohttp raises when ccxt subscribes on a connection that is just closing; ccxt hands it on as it is.
        ClientConnectionResetError("Cannot write to closing transport"),
        ccxtpro.NetworkError("gone"),
        KeyError("a message that nobody expected"),
    ],
)
async def test_stream_when_its_connection_breaks_then_it_tells_and_is_opened_again(error: Exception) -> None:
    asked: list[int] = []
    listening = asyncio.Event()

    async def watch_orders(params: dict[str, Any]) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise error
        listening.set()
        await asyncio.Event().wait()

    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    client = SimpleNamespace(has={}, clients={}, handle_message=lambda *_: None, watch_orders=watch_orders)
    connection = SimpleNamespace(client=client, exchange="binance", drop_streams=lambda *_: None)
    stream = UserStream(connection, at_once)  # type: ignore[arg-type]
    running = asyncio.create_task(stream.run())
    await asyncio.wait_for(listening.wait(), 5)
    assert (stream.breaks, stream.news.is_set(), running.done()) == (1, True, False)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
