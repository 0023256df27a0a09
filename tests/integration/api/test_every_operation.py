"""Every operation of the description: done by who may do it, refused to who may not, and refused where it is wrong.

An operation that the table in ``operations.py`` does not know fails here, so that none is left out.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.operations import OWN, ROWS, Operation, Refused, Row, World
from tests.integration.api.people import caller, token_for
from tests.integration.api.scenario import Scenario

from tradepulse.api.app import create_app
from tradepulse.api.errors import STATUS_OF_CODE, Code
from tradepulse.domain.users import Role
from tradepulse.shared.settings import Settings

IN_ORDER = [Role.VIEWER, Role.TRADER, Role.ADMIN]
SHARED = create_app(Scenario().services, settings=Settings(), static=Path("nowhere"))
DESCRIBED = SHARED.openapi()
OPERATIONS = [(method.upper(), path) for path, told in DESCRIBED["paths"].items() for method in told]
NO_IDS = {
    *("limit", "cursor", "since", "until", "wait", "kind", "ended", "taken", "active", "number", "hash", "bars"),
    *("regime", "timeframe", "symbol", "exchange", "strategy", "direction"),
}
"""Parameters that choose among what the asker may see anyway."""
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)


def test_table_names_every_operation_of_the_description_and_no_other() -> None:
    assert set(ROWS) == set(OPERATIONS)
    can_be_wrong = [
        one for one in OPERATIONS if _told(one).get("requestBody") or _names(one) - {"Idempotency-Key", "wait"}
    ]
    assert [one for one in can_be_wrong if ROWS[one].refused is None] == []


def test_table_says_of_every_operation_that_names_an_id_whose_it_is() -> None:
    naming = {one for one in OPERATIONS if "{" in one[1] or _names(one) - NO_IDS - {"Idempotency-Key"}}
    assert {one for one in naming if not ROWS[one].belongs} == set()
    assert any(ROWS[one].belongs == OWN for one in naming)


def _told(operation: Operation) -> dict[str, object]:
    told: dict[str, object] = DESCRIBED["paths"][operation[1]][operation[0].lower()]
    return told


def _names(operation: Operation) -> set[str]:
    given = _told(operation).get("parameters", [])
    assert isinstance(given, list)
    return {one["name"] for one in given}


@pytest.fixture
def app(scenario: Scenario, tmp_path: Path) -> FastAPI:
    scenario.begin_without_work()
    scenario.hall.keys.clear()
    fresh = create_app(scenario.services, settings=Settings(data_directory=tmp_path / "data"), static=tmp_path)
    # Routes are built when they are first asked for, which takes longer than all the rest: they are built once.
    SHARED.state = fresh.state
    return SHARED


@asynccontextmanager
async def asking(app: FastAPI, role: Role | None, name: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    token = None if role is None else await token_for(app, role, name)
    async with caller(app, token) as client:
        yield client


async def sent(
    client: httpx.AsyncClient, operation: Operation, row: Row, made: Mapping[str, str], wrong: Refused | None = None
) -> httpx.Response:
    method, path = operation
    ids = made if wrong is None or wrong.ids is None else dict.fromkeys(made, wrong.ids)
    body = row.body if wrong is None or wrong.body is None else wrong.body
    asked = row.query if wrong is None else wrong.query or row.query
    extra = {name: value for name, value in made.items() if f"{{{name}}}" not in path}
    return await client.request(
        method if wrong is None else wrong.method or method,
        f"{path.format_map(ids)}?{asked}",
        json=body if body is None else extra | body,
        headers={} if wrong is None else dict(wrong.headers),
    )


def refused_with(answer: httpx.Response, code: Code) -> bool:
    told = answer.json()
    assert (answer.headers["content-type"], told["code"]) == ("application/problem+json", code), answer.text
    assert (answer.status_code, told["status"]) == (STATUS_OF_CODE[code], STATUS_OF_CODE[code])
    return bool(told["detail"])


@every_operation
async def test_operation_when_asked_rightly_then_done(app: FastAPI, scenario: Scenario, operation: Operation) -> None:
    row = ROWS[operation]
    async with asking(app, row.least) as client:
        made = {} if row.given is None else await row.given(World(app, scenario, client))
        answer = await sent(client, operation, row, made)
    assert answer.status_code == row.status, answer.text
    responses = _told(operation)["responses"]
    assert isinstance(responses, dict)
    assert str(row.status) in responses


@every_operation
async def test_operation_when_asked_wrongly_or_by_somebody_who_may_not_then_refused_with_its_code(
    app: FastAPI, scenario: Scenario, operation: Operation
) -> None:
    row = ROWS[operation]
    async with asking(app, row.least) as client:
        made = {} if row.given is None else await row.given(World(app, scenario, client))
        if row.refused is not None:
            assert refused_with(await sent(client, operation, row, made, row.refused), row.refused.code)
    if row.least is not None:
        async with asking(app, None) as nobody:
            assert refused_with(await sent(nobody, operation, row, made), Code.NOT_AUTHENTICATED)
        for below in IN_ORDER[: IN_ORDER.index(row.least)]:
            async with asking(app, below) as client:
                assert refused_with(await sent(client, operation, row, made), Code.FORBIDDEN)
    if row.confirmed:
        async with caller(app, await token_for(app, Role.ADMIN, "Arne", confirmed=False)) as client:
            assert refused_with(await sent(client, operation, row, made), Code.CONFIRMATION_NEEDED)


@pytest.mark.parametrize("operation", [one for one, row in ROWS.items() if row.belongs], ids=" ".join)
async def test_id_of_somebody_else_when_it_is_named_then_not_there_unless_it_is_the_installations(
    app: FastAPI, scenario: Scenario, operation: Operation
) -> None:
    row = ROWS[operation]
    assert row.least is not None
    async with asking(app, row.least, "Bert") as owner, asking(app, row.least, "Carl") as other:
        made = {} if row.given is None else await row.given(World(app, scenario, owner))
        answer = await sent(other, operation, row, made)
        if row.belongs == OWN:
            assert refused_with(answer, Code.NOT_FOUND)
            answer = await sent(owner, operation, row, made)
    assert answer.status_code == row.status, answer.text
