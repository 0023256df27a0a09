"""Requests traced to their commands, readiness, figures for Prometheus, and bounds on what is sent."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.people import bearer, caller, token_for
from tests.integration.api.scenario import Scenario

from tradepulse.api.app import create_app
from tradepulse.api.security import check_exposure
from tradepulse.domain.users import Role
from tradepulse.ports import DatabaseFacts
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.settings import ApiSettings, LoggingSettings, Settings


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture
def log() -> AsyncIterator[StringIO]:
    stream = StringIO()
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    configure_logging(LoggingSettings(format="json"), stream=stream)
    yield stream  # type: ignore[misc]
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


async def test_request_id_is_in_the_answer_in_the_log_and_with_the_command(
    trader: httpx.AsyncClient, scenario: Scenario, log: StringIO
) -> None:
    answer = await trader.post("/api/trades/pause", json={"reason": "x"}, headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    command_id = answer.json()["command_id"]
    told = {line["message"]: line for line in lines(log) if line.get("request_id") == "mine-1"}
    assert told["command posted"]["command_id"] == command_id
    assert (told["request answered"]["user"], told["request answered"]["status"]) == ("Tom", 202)
    taken = await scenario.inbox.take("paper")
    assert taken is not None
    assert (taken.request_id, taken.payload["trace"]) == (command_id, "mine-1")
    [entry] = await scenario.accounts.notes(limit=1)
    assert (entry.note.actor, entry.note.action, entry.note.facts["command_id"]) == ("Tom", "asked to halt", command_id)


async def test_request_id_when_unfit_for_a_log_then_replaced(client: httpx.AsyncClient) -> None:
    for unfit in ("a b", "x" * 65, 'a"b'):
        given = (await client.get("/api/auth/me", headers={"X-Request-Id": unfit})).headers["x-request-id"]
        assert given != unfit
        assert len(given) == 32


async def test_command_when_obeyed_while_waited_for_then_its_outcome_is_answered(
    scenario: Scenario, tmp_path: Path
) -> None:
    async def traded(_book: str) -> bool:
        request = await scenario.inbox.take("paper")
        if request is not None:
            await scenario.inbox.finish(request.request_id, done=True, outcome="trading is halted", time=1)
        return True

    app = create_app(replace(scenario.services, is_traded=traded), settings=Settings(), static=tmp_path)
    async with caller(app, await token_for(app, Role.TRADER)) as tom:
        answer = await tom.post("/api/trades/pause?wait=5", json={"reason": "news"})
        assert (answer.status_code, answer.json()["status"], answer.json()["outcome"]) == (
            200,
            "done",
            "trading is halted",
        )
        again = await tom.get(f"/api/trades/commands/{answer.json()['command_id']}")
        assert again.json() == answer.json()
        assert (await tom.get("/api/trades/commands/none")).status_code == 404


async def test_kill_switch_halts_every_book_and_closes_what_is_open_where_asked(
    trader: httpx.AsyncClient, scenario: Scenario
) -> None:
    answer = await trader.post("/api/trades/kill-switch", json={"reason": "news", "close_positions": True})
    asked = [(one["kind"], one["subject"], one["status"]) for one in answer.json()]
    assert asked == [("halt", "", "waiting"), ("close position", scenario.position["position_id"], "waiting")]
    assert answer.status_code == 202
    unsaid = await trader.post("/api/trades/kill-switch", json={"reason": " "})
    assert unsaid.status_code == 422


async def test_readiness_tells_each_check_and_fails_when_one_does(scenario: Scenario, tmp_path: Path) -> None:
    facts = DatabaseFacts("", 0)
    doubt: list[dict[str, str]] = []

    async def told_facts() -> DatabaseFacts:
        return facts

    async def report(_book: str | None) -> dict[str, Any]:
        return {"not_ready": doubt}

    services = replace(scenario.services, database_facts=told_facts, risk_report=report)
    app = create_app(services, settings=Settings(), static=tmp_path)
    async with caller(app) as nobody:
        good = await nobody.get("/health/ready")
        assert (good.status_code, good.json()["ready"]) == (200, True)
        assert good.json()["checks"] == {
            "database": "ok", "schema": "ok", "clock": "ok", "feed": "unknown", "reconciliation": "ok",
        }  # fmt: skip
        facts = DatabaseFacts("revision 1", 5_000)
        doubt.append({"reason": "order 7 is in doubt"})
        bad = await nobody.get("/health/ready")
        assert bad.status_code == 503
        failed = {name for name, state in bad.json()["checks"].items() if state == "failed"}
        assert failed == {"schema", "clock", "reconciliation"}
        assert "doubt" not in bad.text, "who is not logged in is not told why"
        vera = bearer(await token_for(app, Role.VIEWER))
        assert "order 7 is in doubt" in (await nobody.get("/api/system/readiness", headers=vera)).text
        scenario.book.fault = TransientError("The database does not answer.", "")
        down = await nobody.get("/health/ready")
        assert (down.status_code, down.json()["checks"]["database"]) == (503, "failed")
        assert (await nobody.get("/health")).status_code == 200


async def test_metrics_are_for_who_may_read_them_and_count_by_route(
    app: FastAPI, client: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    await client.get("/api/trades/none-such")
    text = (await client.get("/metrics")).text
    assert 'tradepulse_http_requests_total{method="GET",route="/api/trades/{trade_id}",status="404"} 1.0' in text
    assert 'tradepulse_book_open_positions{book="paper"} 1.0' in text
    assert 'tradepulse_ready{check="database"} 1.0' in text
    assert (await nobody.get("/metrics")).status_code == 401
    ada = bearer(await token_for(app, Role.ADMIN))
    made = await nobody.post("/api/auth/keys", json={"name": "prometheus", "scopes": ["metrics"]}, headers=ada)
    key = bearer(made.json()["key"])
    assert (await nobody.get("/metrics", headers=key)).status_code == 200
    assert (await nobody.get("/api/trades/active", headers=key)).status_code == 403


async def test_body_when_too_large_then_refused_whatever_its_header_says(trader: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    for content in (b"x" * 2_000_000, chunks()):
        answer = await trader.post("/api/trades/pause", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_description_when_switched_off_then_not_served(scenario: Scenario, tmp_path: Path) -> None:
    app = create_app(scenario.services, settings=Settings(api=ApiSettings(docs=False)), static=tmp_path)
    async with caller(app) as nobody:
        assert [(await nobody.get(path)).status_code for path in ("/docs", "/openapi.json")] == [404, 404]


async def test_answers_over_tls_ask_for_tls_from_then_on(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://127.0.0.1") as client:
        assert "max-age" in (await client.get("/health")).headers["strict-transport-security"]
    async with caller(app) as client:
        assert "strict-transport-security" not in (await client.get("/health")).headers


@pytest.mark.parametrize(
    "given", [{}, {"allow_remote": True}, {"tls_certificate": Path("c"), "tls_key": Path("k")}], ids=str
)
def test_listening_for_other_machines_needs_a_certificate_and_a_word(given: dict[str, Any]) -> None:
    everywhere = ".".join("0000")
    for host in (everywhere, "192.168.1.4"):
        with pytest.raises(ConfigurationError, match="without encryption"):
            check_exposure(ApiSettings(host=host, **given))
    allowed = {"allow_remote": True, "tls_certificate": Path("c"), "tls_key": Path("k")}
    check_exposure(ApiSettings(host=everywhere, **allowed))
    check_exposure(ApiSettings())
    with pytest.raises(ConfigurationError, match="needs its key"):
        check_exposure(ApiSettings(tls_certificate=Path("c")))
