from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from tests.integration.api.scenario import Scenario
from tests.integration.api.serving import Server

from tradepulse.api.app import create_app
from tradepulse.shared.settings import Settings


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture
async def client(scenario: Scenario, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(scenario.services, settings=Settings(), static=tmp_path)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(Scenario(), static=tmp_path, heartbeat_seconds=0.2)
    server.start()
    yield server
    server.stop()
