"""Users of every role, ready to ask: the password is hashed once, since hashing is slow on purpose."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import httpx
from fastapi import FastAPI

from tradepulse.api.deps import Doorkeeper
from tradepulse.domain.users import Note, Role, Session, User
from tradepulse.ports import AccountStore
from tradepulse.shared.passwords import hashed_password

PASSWORD = "four random words here"
LONG_AGO, FAR_AWAY = 0, 4_000_000_000_000


@cache
def password_hash() -> str:
    return hashed_password(PASSWORD)


def user_of(role: Role, name: str | None = None) -> User:
    """Ada is an admin, Tom a trader, Vera a viewer."""
    named = name or {Role.ADMIN: "Ada", Role.TRADER: "Tom", Role.VIEWER: "Vera"}[role]
    return User(f"id-of-{named.lower()}", named, role, password_hash(), LONG_AGO)


async def ensure_user(store: AccountStore, user: User) -> User:
    found = await store.user(user.user_id)
    if found is None:
        await store.add_user(user, Note(LONG_AGO, "the test", "user added", user.name))
    return found or user


async def token_for(app: FastAPI, role: Role, name: str | None = None, *, confirmed: bool = True) -> str:
    """A fresh session of that user; made without its password, so at once."""
    doorkeeper: Doorkeeper = app.state.doorkeeper
    now = app.state.services.clock.now()
    store = doorkeeper.accounts.store
    user = await ensure_user(store, user_of(role, name))
    serial = len(await store.sessions(user.user_id, LONG_AGO))
    session = Session(
        f"session-{serial}-of-{user.user_id}",
        user.user_id,
        "127.0.0.1",
        "test",
        now,
        now if confirmed else LONG_AGO,
        FAR_AWAY,
    )
    await store.begin_session(session, f"no refresh token {session.session_id}", Note(now, user.name, "logged in"))
    return doorkeeper.tokens.issue(user, session).text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def caller(app: FastAPI, token: str | None = None) -> httpx.AsyncClient:
    """A client of the app itself, without a network; as nobody where there is no token."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {} if token is None else bearer(token)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)


@contextmanager
def log_in(address: str, role: Role) -> Iterator[httpx.Client]:
    """A client of a running server with the session of such a user."""
    with httpx.Client(base_url=address, timeout=30) as client:
        answer = client.post("/api/auth/login", json={"name": user_of(role).name, "password": PASSWORD})
        client.headers.update(bearer(answer.raise_for_status().json()["access_token"]))
        yield client


def ticket_for(client: httpx.Client) -> str:
    return str(client.post("/api/auth/live-ticket").raise_for_status().json()["ticket"])


def log_out(client: httpx.Client) -> None:
    client.post("/api/auth/logout").raise_for_status()


def add_everybody(store: AccountStore) -> None:
    async def add() -> None:
        for role in Role:
            await ensure_user(store, user_of(role))

    # In a loop of its own: a test that builds a server may run in one already.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, add()).result()
