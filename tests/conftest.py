"""Shared fixtures: one embedded PostgreSQL per test session, a fresh database per test.

``database_url`` is the URL of an empty database with the schema in it, ``database`` the same one opened.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from tradepulse.shared import secrets
from tradepulse.storage.db import Database, create_database, open_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

# The same examples on every run and machine; the first call of a kernel compiles it, so there is no deadline.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("project")

# Where every run puts its files, unless somebody has chosen a place: all runs of a user share pytest's own folder, and
# each of them closes it to the database server's user when it starts.
TEMPORARY_ROOT = "PYTEST_DEBUG_TEMPROOT"
_own_root = None if TEMPORARY_ROOT in os.environ else tempfile.mkdtemp(prefix="tradepulse-tests-")
if _own_root is not None:
    os.environ[TEMPORARY_ROOT] = _own_root


def pytest_sessionfinish(exitstatus: int) -> None:
    """What failed can be looked at afterwards; nothing else is left behind."""
    if _own_root is not None and exitstatus == 0:
        shutil.rmtree(_own_root, ignore_errors=True)


TEMPLATE = "template_with_schema"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("data") / "postgres", durable=False)
    server.start()
    try:
        create_database(server.url("postgres"), TEMPLATE)
        sync_schema(server.url(TEMPLATE))
        yield server
    finally:
        server.stop()


@pytest.fixture
def database_url(postgres_server: EmbeddedServer) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    create_database(postgres_server.url("postgres"), name, template=TEMPLATE)
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(database_url, tmp_path, sync=False) as opened:
        yield opened


@pytest.fixture(autouse=True)
def secrets_of_this_test_only() -> Iterator[None]:
    """What one test registers as a secret would be hidden from the words of all that follow."""
    known = secrets._known
    before = known._forms, known.pattern
    yield
    known._forms, known.pattern = before
