"""Logging in, roles, keys, confirmation, idempotency, and what belongs to whom: over HTTP, as a caller sees it."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from tests.integration.api.people import PASSWORD, bearer, caller, ensure_user, token_for, user_of
from tests.integration.api.scenario import Scenario

from tradepulse.api.routers import auth
from tradepulse.api.routing import OnceRoute
from tradepulse.domain.users import Role

OPEN_PATHS = {"/health", "/health/ready", "/api/auth/login", "/api/auth/refresh", "/api/auth/set-up"}
ORIGIN = {"Origin": "http://127.0.0.1"}


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture
async def ada(scenario: Scenario, nobody: httpx.AsyncClient) -> dict[str, str]:
    """The body of a login."""
    await ensure_user(scenario.accounts, user_of(Role.ADMIN))
    return {"name": "Ada", "password": PASSWORD}


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def routes(app: FastAPI) -> list[tuple[str, str]]:
    document = app.openapi()
    return [(method.upper(), path) for path, told in document["paths"].items() for method in told]


async def test_every_route_but_the_open_ones_asks_who_is_there(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    asked = [(method, path) for method, path in routes(app) if path not in OPEN_PATHS]
    assert len(asked) > 30
    for method, path in asked:
        for headers in ({}, bearer("made.up.token"), bearer("tpk_made_up"), {"Authorization": "Basic YTpi"}):
            answer = await nobody.request(method, path.replace("{", "").replace("}", ""), headers=headers, json={})
            assert code(answer) == (401, "not_authenticated"), (method, path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_login_answers_a_short_token_and_a_cookie_that_no_script_reads(
    nobody: httpx.AsyncClient, ada: dict[str, str]
) -> None:
    answer = await nobody.post("/api/auth/login", json={**ada, "name": " aDA "})
    assert answer.json()["refresh_token"] is None
    assert 0 < answer.json()["expires_in"] <= 15 * 60
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/api/auth"):
        assert word in cookie
    me = await nobody.get("/api/auth/me", headers=bearer(answer.json()["access_token"]))
    assert (me.json()["user"]["name"], me.json()["user"]["role"]) == ("Ada", "admin")
    assert "password" not in me.text


async def test_login_cookie_when_served_over_tls_then_for_tls_only(app: FastAPI, ada: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://127.0.0.1") as client:
        assert "Secure" in (await client.post("/api/auth/login", json=ada)).headers["set-cookie"]


async def test_login_when_name_or_password_is_wrong_then_answered_alike(
    nobody: httpx.AsyncClient, ada: dict[str, str], scenario: Scenario
) -> None:
    wrong = await nobody.post("/api/auth/login", json={**ada, "password": "wrong"})
    unknown = await nobody.post("/api/auth/login", json={"name": "pass word typed here", "password": "wrong"})
    assert code(wrong) == (401, "not_authenticated")
    assert wrong.json() == unknown.json()
    log = [(entry.note.action, entry.note.subject) for entry in await scenario.accounts.notes(limit=9)]
    assert log[:2] == [("password refused", ""), ("password refused", "Ada")]
    assert "typed here" not in str(log)


async def test_login_when_guessed_at_then_it_takes_longer_and_longer_and_others_are_not_held_up(
    nobody: httpx.AsyncClient, ada: dict[str, str], scenario: Scenario
) -> None:
    await ensure_user(scenario.accounts, user_of(Role.VIEWER))
    answers = [await nobody.post("/api/auth/login", json={**ada, "password": f"guess {n}"}) for n in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 14
    assert code(answers[-1]) == (429, "too_many_attempts")
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (await nobody.post("/api/auth/login", json=ada)).status_code == 429
    assert (await nobody.post("/api/auth/login", json={"name": "Vera", "password": PASSWORD})).status_code == 200
    scenario.clock.advance_to(scenario.clock.now() + 1_000)
    assert (await nobody.post("/api/auth/login", json=ada)).status_code == 200


async def test_refresh_rotates_and_a_token_used_twice_ends_the_whole_session(
    nobody: httpx.AsyncClient, ada: dict[str, str]
) -> None:
    first = (await nobody.post("/api/auth/login", json={**ada, "cookie": False})).json()
    stolen = {"refresh_token": first["refresh_token"]}
    second = (await nobody.post("/api/auth/refresh", json=stolen)).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert (await nobody.get("/api/auth/me", headers=bearer(second["access_token"]))).status_code == 200
    assert code(await nobody.post("/api/auth/refresh", json=stolen)) == (401, "session_ended")
    later = await nobody.post("/api/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert code(later) == (401, "session_ended")
    assert code(await nobody.get("/api/auth/me", headers=bearer(second["access_token"]))) == (401, "session_ended")


async def test_refresh_token_is_no_access_token_and_the_other_way_round(
    nobody: httpx.AsyncClient, ada: dict[str, str]
) -> None:
    told = (await nobody.post("/api/auth/login", json={**ada, "cookie": False})).json()
    assert (await nobody.get("/api/auth/me", headers=bearer(told["refresh_token"]))).status_code == 401
    swapped = await nobody.post("/api/auth/refresh", json={"refresh_token": told["access_token"]})
    assert swapped.status_code == 401


@pytest.mark.parametrize(
    "foreign", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_cookie_when_sent_by_another_page_then_refused(
    nobody: httpx.AsyncClient, ada: dict[str, str], foreign: dict[str, str]
) -> None:
    await nobody.post("/api/auth/login", json=ada)
    assert code(await nobody.post("/api/auth/refresh", headers=foreign)) == (403, "foreign_origin")
    assert code(await nobody.post("/api/auth/login", json=ada, headers=foreign)) == (403, "foreign_origin")
    assert (await nobody.post("/api/auth/refresh", headers=ORIGIN)).status_code == 200


async def test_cookie_alone_opens_nothing_but_the_refresh(nobody: httpx.AsyncClient, ada: dict[str, str]) -> None:
    await nobody.post("/api/auth/login", json=ada)
    for method, path in (("GET", "/api/auth/me"), ("POST", "/api/trades/pause"), ("POST", "/api/auth/logout")):
        assert (await nobody.request(method, path, json={})).status_code == 401


async def test_answers_carry_no_permission_for_other_origins(nobody: httpx.AsyncClient, ada: dict[str, str]) -> None:
    preflight = await nobody.options(
        "/api/trades/active", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
    )
    plain = await nobody.post("/api/auth/login", json=ada, headers=ORIGIN)
    for answer in (preflight, plain):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_logout_ends_the_session_and_leaves_others(app: FastAPI, ada: dict[str, str]) -> None:
    async with caller(app) as one, caller(app) as other:
        for client in (one, other):
            told = (await client.post("/api/auth/login", json=ada)).json()
            client.headers.update(bearer(told["access_token"]))
        assert len((await one.get("/api/auth/sessions")).json()) == 2
        assert (await one.post("/api/auth/logout")).json() == {"done": True}
        assert (await one.get("/api/auth/me")).status_code == 401
        assert (await one.post("/api/auth/refresh", headers=ORIGIN)).status_code == 401
        assert (await other.get("/api/auth/me")).status_code == 200
        assert (await other.post("/api/auth/logout-everywhere")).status_code == 200
        assert (await other.get("/api/auth/me")).status_code == 401


async def test_password_when_changed_then_other_sessions_end_and_the_old_one_is_wrong(
    app: FastAPI, nobody: httpx.AsyncClient, ada: dict[str, str]
) -> None:
    token, other = await token_for(app, Role.ADMIN), await token_for(app, Role.ADMIN)
    change = {"current": PASSWORD, "new": "another four random words"}
    refused = await nobody.put("/api/auth/password", headers=bearer(token), json={**change, "current": "wrong"})
    assert refused.status_code == 401
    weak = await nobody.put("/api/auth/password", headers=bearer(token), json={**change, "new": "ada ada ada ada"})
    assert code(weak) == (400, "invalid_value")
    assert (await nobody.put("/api/auth/password", headers=bearer(token), json=change)).status_code == 200
    assert (await nobody.get("/api/auth/me", headers=bearer(token))).status_code == 200
    assert (await nobody.get("/api/auth/me", headers=bearer(other))).status_code == 401
    assert (await nobody.post("/api/auth/login", json=ada)).status_code == 401
    assert (await nobody.post("/api/auth/login", json={**ada, "password": change["new"]})).status_code == 200


# --- roles


async def test_roles_each_may_what_those_below_may_and_no_more(
    client: httpx.AsyncClient, trader: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    asks: list[tuple[str, str, dict[str, Any], list[int]]] = [
        ("GET", "/api/trades/active", {}, [200, 200, 200]),
        ("POST", "/api/trades/pause", {"reason": "news"}, [403, 202, 202]),
        ("GET", "/api/auth/users", {}, [403, 403, 200]),
        ("GET", "/api/auth/audit", {}, [403, 403, 200]),
        ("POST", "/api/auth/users", {"name": "x", "password": "y", "role": "admin"}, [403, 403, 400]),
    ]
    for method, path, body, statuses in asks:
        answers = [await one.request(method, path, json=body or None) for one in (client, trader, admin)]
        assert [answer.status_code for answer in answers] == statuses, path
        if 403 in statuses:
            assert code(answers[0]) == (403, "forbidden")


CONFIRMED = [
    ("POST", "/api/trades/resume", {"reason": "read them"}),
    ("POST", "/api/auth/keys", {"name": "k", "scopes": ["read"]}),
    ("POST", "/api/auth/users", {"name": "Eve", "password": "four random words", "role": "viewer"}),
    ("PATCH", "/api/auth/users/x", {"disabled": True}),
    ("DELETE", "/api/auth/users/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CONFIRMED)
async def test_what_is_dangerous_asks_for_the_password_again(
    app: FastAPI, nobody: httpx.AsyncClient, scenario: Scenario, method: str, path: str, body: dict[str, Any] | None
) -> None:
    headers = bearer(await token_for(app, Role.ADMIN, confirmed=False))
    assert code(await nobody.request(method, path, json=body, headers=headers)) == (403, "confirmation_needed")
    wrong = await nobody.post("/api/auth/confirm", json={"password": "wrong"}, headers=headers)
    assert wrong.status_code == 401
    confirmed = await nobody.post("/api/auth/confirm", json={"password": PASSWORD}, headers=headers)
    assert confirmed.json()["confirmed_until"] > scenario.clock.now()
    assert (await nobody.request(method, path, json=body, headers=headers)).status_code in (200, 202, 404)
    scenario.clock.advance_to(confirmed.json()["confirmed_until"] + 1)
    late = bearer(await token_for(app, Role.ADMIN, confirmed=False))
    assert code(await nobody.request(method, path, json=body, headers=late)) == (403, "confirmation_needed")


async def test_user_when_disabled_demoted_or_removed_then_it_holds_at_once(
    app: FastAPI, admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    body = {"name": "Eve", "password": "four random words", "role": "trader"}
    made = (await admin.post("/api/auth/users", json=body)).json()
    assert code(await admin.post("/api/auth/users", json={**body, "name": "EVE"})) == (409, "name_taken")
    login = {"name": "Eve", "password": body["password"]}
    token = (await nobody.post("/api/auth/login", json=login)).json()["access_token"]
    path = f"/api/auth/users/{made['user_id']}"
    assert (await admin.patch(path, json={"role": "viewer"})).json()["role"] == "viewer"
    assert (await nobody.get("/api/auth/me", headers=bearer(token))).status_code == 401
    assert (await admin.patch(path, json={"disabled": True})).json()["disabled"] is True
    assert (await nobody.post("/api/auth/login", json=login)).status_code == 401
    assert (await admin.delete(path)).status_code == 200
    assert code(await admin.delete(path)) == (404, "not_found")
    own = user_of(Role.ADMIN).user_id
    for method, change in (("PATCH", {"role": "viewer"}), ("PATCH", {"disabled": True}), ("DELETE", None)):
        assert code(await admin.request(method, f"/api/auth/users/{own}", json=change)) == (409, "last_admin")


# --- keys for scripts


async def test_key_is_shown_once_and_may_what_its_scopes_and_its_user_may(
    app: FastAPI, nobody: httpx.AsyncClient, scenario: Scenario
) -> None:
    tom = bearer(await token_for(app, Role.TRADER))
    made = await nobody.post("/api/auth/keys", json={"name": "bot", "scopes": ["read"], "days": 1}, headers=tom)
    key, key_id = made.json()["key"], made.json()["key_id"]
    script = bearer(key)
    assert (await nobody.get("/api/trades/active", headers=script)).status_code == 200
    assert code(await nobody.post("/api/trades/pause", json={"reason": "x"}, headers=script)) == (403, "forbidden")
    listed = await nobody.get("/api/auth/keys", headers=tom)
    assert key.startswith(f"tpk_{key_id}_")
    assert key.removeprefix(f"tpk_{key_id}_") not in listed.text
    assert "secret" not in listed.text
    assert listed.json()[0]["last_used_at"] == scenario.clock.now()
    wide = {"name": "wide", "scopes": ["trade", "admin"], "days": None}
    wider = bearer((await nobody.post("/api/auth/keys", json=wide, headers=tom)).json()["key"])
    assert (await nobody.post("/api/trades/pause", json={"reason": "x"}, headers=wider)).status_code == 202
    assert (await nobody.get("/api/auth/users", headers=wider)).status_code == 403
    forged = f"tpk_{key_id}_{'A' * 43}"
    assert (await nobody.get("/api/trades/active", headers=bearer(forged))).status_code == 401
    assert (await nobody.delete(f"/api/auth/keys/{key_id}", headers=tom)).status_code == 200
    assert (await nobody.get("/api/trades/active", headers=script)).status_code == 401


async def test_key_can_neither_confirm_nor_make_keys_nor_log_out(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    ada = bearer(await token_for(app, Role.ADMIN))
    made = await nobody.post("/api/auth/keys", json={"name": "all", "scopes": ["admin"]}, headers=ada)
    script = bearer(made.json()["key"])
    for method, path, body in CONFIRMED:
        answer = await nobody.request(method, path, json=body, headers=script)
        assert code(answer) == (403, "confirmation_needed")
    own = [("POST", "confirm"), ("POST", "logout"), ("POST", "logout-everywhere")]
    for method, path in [*own, ("DELETE", "keys/x"), ("DELETE", "sessions/x")]:
        body = {"password": PASSWORD} if path == "confirm" else None
        answer = await nobody.request(method, f"/api/auth/{path}", json=body, headers=script)
        assert code(answer) == (403, "forbidden"), path


async def test_ids_of_other_users_are_not_there(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    ada, tom = bearer(await token_for(app, Role.ADMIN)), bearer(await token_for(app, Role.TRADER))
    key = (await nobody.post("/api/auth/keys", json={"name": "k", "scopes": ["read"]}, headers=ada)).json()["key_id"]
    session = (await nobody.get("/api/auth/me", headers=ada)).json()["session_id"]
    for path in (f"/api/auth/keys/{key}", f"/api/auth/sessions/{session}"):
        assert code(await nobody.delete(path, headers=tom)) == (404, "not_found")
    assert (await nobody.get("/api/auth/keys", headers=tom)).json() == []
    assert (await nobody.get("/api/auth/me", headers=ada)).status_code == 200


# --- the first user


async def test_set_up_link_makes_the_first_admin_once(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    assert (await nobody.get("/api/auth/set-up")).json() == {"needed": True}
    token = await app.state.doorkeeper.accounts.offer_set_up()
    body = {"token": token, "name": "Ada", "password": "four random words"}
    assert (await nobody.post("/api/auth/set-up", json={**body, "token": "wrong"})).status_code == 401
    assert (await nobody.post("/api/auth/set-up", json={**body, "password": "short"})).status_code == 400
    made = await nobody.post("/api/auth/set-up", json=body)
    assert made.json()["user"]["role"] == "admin"
    assert code(await nobody.post("/api/auth/set-up", json={**body, "name": "Eve"})) == (401, "not_authenticated")
    assert (await nobody.get("/api/auth/set-up")).json() == {"needed": False}
    assert await app.state.doorkeeper.accounts.offer_set_up() is None


# --- writes that are sent twice


async def test_write_when_sent_twice_under_one_key_then_done_once(
    admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    body = {"name": "Eve", "password": "four random words", "role": "viewer"}
    key = {"Idempotency-Key": "k1"}
    first = await admin.post("/api/auth/users", json=body, headers=key)
    second = await admin.post("/api/auth/users", json=body, headers=key)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.content == second.content
    assert second.headers["idempotent-replay"] == "true"
    other = await admin.post("/api/auth/users", json={**body, "name": "Eva"}, headers=key)
    assert code(other) == (422, "idempotency_key_of_another_request")
    elsewhere = await client.post("/api/auth/users", json=body, headers=key)
    assert code(elsewhere) == (403, "forbidden")


async def test_write_of_a_person_when_sent_again_with_a_key_then_not_answered_to_it(
    app: FastAPI, trader: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    body, key = {"reason": "news"}, {"Idempotency-Key": "k1"}
    assert (await trader.post("/api/trades/pause", json=body, headers=key)).status_code == 202
    made = await trader.post("/api/auth/keys", json={"name": "reader", "scopes": ["read"]})
    script = {**key, **bearer(made.json()["key"])}
    assert code(await nobody.post("/api/trades/pause", json=body, headers=script)) == (403, "forbidden")


async def test_write_when_it_failed_then_its_key_is_free_again(admin: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k1"}
    body = {"name": "Eve", "password": "short", "role": "viewer"}
    assert (await admin.post("/api/auth/users", json=body, headers=key)).status_code == 400
    mended = await admin.post("/api/auth/users", json={**body, "password": "four random words"}, headers=key)
    assert mended.status_code == 200


async def test_command_when_two_are_sent_at_once_under_one_key_then_one_is_posted(
    trader: httpx.AsyncClient, scenario: Scenario
) -> None:
    posts = [
        trader.post("/api/trades/pause", json={"reason": "news"}, headers={"Idempotency-Key": "k"}) for _ in range(5)
    ]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["command_id"] for answer in answers if answer.status_code == 202}) == 1
    taken = await scenario.inbox.take("paper")
    assert taken is not None
    await scenario.inbox.finish(taken.request_id, done=True, outcome="done", time=1)
    assert await scenario.inbox.take("paper") is None


def test_routes_that_answer_a_secret_are_not_kept_for_a_second_request() -> None:
    secret = {"Tokens", "KeyMade", "Ticket"}
    found = [
        route
        for route in (*auth.open_router.routes, *auth.router.routes)
        if isinstance(route, APIRoute) and getattr(route.response_model, "__name__", "") in secret
    ]
    assert len(found) >= 4
    assert not [route.path for route in found if isinstance(route, OnceRoute)]


def test_no_route_takes_a_url(app: FastAPI) -> None:
    """Nor code, nor a file: nothing that a caller names is fetched, run or imported."""
    document = app.openapi()
    named = {name for told in document["components"]["schemas"].values() for name in told.get("properties", {})}
    named |= {
        given["name"]
        for operations in document["paths"].values()
        for told in operations.values()
        for given in told.get("parameters", ())
    }
    suspicious = ("url", "uri", "webhook", "callback", "code", "script", "module", "path", "file")
    assert len(named) > 100
    assert {name for name in named if name.lower().endswith(suspicious)} == {"code"}, "code: of a problem"
    assert not [
        body for body in str(document).split("'") if body in ("multipart/form-data", "application/octet-stream")
    ]
