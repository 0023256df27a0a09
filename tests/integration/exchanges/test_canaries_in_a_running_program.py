"""A trade on exchanges that quote the key back, written to a real database and read through the running API."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from tests.canary import Canaries, everything_stored, show, watched_by
from tests.integration.api.people import bearer, token_for
from tests.integration.exchanges.one_trade import OneTrade, one_trade
from tests.integration.exchanges.places import PLACES, Place, every
from tests.local_exchanges.fault_rules import exchange_error, hangs
from tests.local_exchanges.running import RunningExchange
from websockets.asyncio.client import connect

from tradepulse.api.app import create_app
from tradepulse.api.models import Topic
from tradepulse.bootstrap import Application, open_application
from tradepulse.cli.running import services_of
from tradepulse.domain.orders import ProtectionMode
from tradepulse.domain.users import Role
from tradepulse.shared.settings import Settings
from tradepulse.storage.db import Database
from tradepulse.storage.journal import PostgresJournal

ADDRESSES = 12
"""At least as many of the API's addresses can be read without naming anything."""


@every(PLACES)
def test_canary_when_it_gets_anywhere_then_found(place: Place, exchange: RunningExchange) -> None:
    """Without this the tests that have the fixture could not fail."""
    keys = exchange.keys()
    for key in (keys.api_key, keys.secret.strip().splitlines()[len(keys.secret) // 100 and 1]):
        with (
            pytest.raises(AssertionError, match="canary"),
            watched_by(lambda: [Canaries(keys.credentials())]) as seen,
        ):
            seen.add("somewhere", f"it says {key} there")


@every(PLACES)
async def test_program_when_the_exchange_quotes_its_key_then_it_is_in_no_table_answer_or_message(
    place: Place, exchange: RunningExchange, tmp_path: Path, database: Database
) -> None:
    keys = exchange.keys()
    journal = PostgresJournal(database)
    async with (
        one_trade(place, exchange, tmp_path, ProtectionMode.EMULATED, journal) as trade,
        served(database, tmp_path) as api,
        listened_to(api) as messages,
    ):
        quoted = f"{keys.api_key} {keys.secret.replace(chr(10), ' ')} {keys.password} signature={keys.secret[:20]}"
        exchange.fault(hangs(after=1, **place.placing))
        exchange.fault(exchange_error(place.refusal[0], f"refused {quoted}", after=1, times=2, **place.placing))
        trade.candle()
        await trade.until(lambda: trade.covered() or bool(trade.alarms()))
        await trade.until(lambda: told_of_a_refusal(trade))
        await trade.leave()
        await trade.closed()
        await trade.until(lambda: "refused" in "".join(messages))
        stored = await asyncio.to_thread(everything_stored, database.url)
        answers = await read_everything(api)
    assert "refused" in json.dumps(stored)
    for table, text in stored.items():
        show(f"the table {table}", text)
    for address, text in answers.items():
        show(f"the answer of {address}", text)
    show("a message of the websocket", *messages)


def told_of_a_refusal(trade: OneTrade) -> bool:
    return any("refused" in str(getattr(event, "reason", "")) for event in trade.told)


@dataclass(frozen=True)
class Served:
    """Where the API listens, and a session of somebody who may see all of it."""

    address: str
    token: str

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://{self.address}", timeout=30, headers=bearer(self.token))


@asynccontextmanager
async def served(database: Database, folder: Path) -> AsyncIterator[Served]:
    settings = Settings.model_validate({"database": {"url": database.url}, "data_directory": folder})
    async with open_application(settings) as application, _served(application, settings, folder) as api:
        yield api


@asynccontextmanager
async def _served(application: Application, settings: Settings, folder: Path) -> AsyncIterator[Served]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = create_app(services_of(application), settings=settings, static=folder, heartbeat_seconds=0.2)
        server = uvicorn.Server(uvicorn.Config(app, log_level="debug", log_config=None, ws="websockets-sansio"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            async with asyncio.timeout(10):
                while not server.started:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            yield Served(f"127.0.0.1:{listening.getsockname()[1]}", await token_for(app, Role.ADMIN))
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def listened_to(api: Served) -> AsyncIterator[list[str]]:
    messages: list[str] = []
    async with api.client() as client:
        ticket = (await client.post("/api/auth/live-ticket")).raise_for_status().json()["ticket"]
    async with connect(f"ws://{api.address}/api/live") as live:
        await live.send(json.dumps({"ticket": ticket, "subscribe": list(Topic), "after": 0}))

        async def listen() -> None:
            async for message in live:
                messages.append(str(message))  # noqa: PERF401 - as they come

        listening = asyncio.create_task(listen())
        try:
            yield messages
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def read_everything(api: Served) -> dict[str, str]:
    """Every address that needs no name, those of the book, and some that fail."""
    async with api.client() as browser:
        described: dict[str, Any] = (await browser.get("/openapi.json")).json()
        addresses = [path.replace("{book}", "book") for path, ways in described["paths"].items() if "get" in ways]
        answers = [await browser.get(address) for address in addresses]
    told = {str(answer.url.path): answer.text for answer in answers if answer.status_code != 404}
    assert len(told) >= ADDRESSES, sorted(told)
    return told
