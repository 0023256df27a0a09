from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.people import caller, token_for
from tests.integration.api.scenario import Scenario
from tests.integration.api.serving import Server
from tests.quick_passwords import quick_passwords as quick_passwords

from tradepulse.api.app import create_app
from tradepulse.domain.users import Role
from tradepulse.shared.settings import Settings


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture
def app(scenario: Scenario, tmp_path: Path) -> FastAPI:
    return create_app(scenario.services, settings=Settings(), static=tmp_path)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Vera, who may look."""
    async with caller(app, await token_for(app, Role.VIEWER)) as client:
        yield client


@pytest.fixture
async def trader(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Tom, who may trade."""
    async with caller(app, await token_for(app, Role.TRADER)) as client:
        yield client


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Ada, who may do everything, and has given her password just now."""
    async with caller(app, await token_for(app, Role.ADMIN)) as client:
        yield client


@pytest.fixture
async def nobody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(app) as client:
        yield client


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(Scenario(), static=tmp_path, heartbeat_seconds=0.2)
    server.start()
    yield server
    server.stop()
