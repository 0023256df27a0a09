"""What is done with users and their sessions, for the routers and for the command line alike."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import uuid4

from tradepulse.domain.users import (
    ApiKey,
    Note,
    Role,
    Scope,
    Session,
    User,
    checked_name,
    checked_password,
)
from tradepulse.ports import AccountStore, Clock
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.passwords import (
    hash_is_outdated,
    hashed_password,
    new_token,
    password_fits,
    token_hash,
)

MOST_HASHES_AT_ONCE = 2
"""Each takes 64 MiB: a crowd at the door must not take all memory."""
SET_UP_MS = 3_600_000
TICKET_MS = 30_000
DAY_MS = 86_400_000
LONGEST_AGENT = 200
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and from where; both go into the audit log."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A session and the refresh token that goes on with it."""

    user: User
    session: Session
    refresh_token: str


class Accounts:
    def __init__(self, store: AccountStore, clock: Clock, *, session_days: int = 30, idle_days: int = 7) -> None:
        self.store = store
        self._clock = clock
        self._session_ms = session_days * DAY_MS
        self._idle_ms = idle_days * DAY_MS
        self._hashing = asyncio.Semaphore(MOST_HASHES_AT_ONCE)

    # --- users

    async def add_user(self, name: str, password: str, role: Role, by: Actor) -> User:
        user = await self._made(name, password, role)
        await self.store.add_user(user, self.noted(by, "user added", user.name, role=role.value))
        return user

    async def change_user(
        self,
        user: User,
        by: Actor,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> User:
        """What somebody else changes of a user; it ends the user's sessions."""
        changed = replace(
            user,
            role=user.role if role is None else role,
            disabled=user.disabled if disabled is None else disabled,
            password_hash=user.password_hash if password is None else await self._hashed(password, user.name),
        )
        facts = {"role": changed.role.value, "disabled": changed.disabled, "new_password": password is not None}
        await self.store.save_user(changed, self.noted(by, "user changed", user.name, **facts), end_sessions=True)
        return changed

    async def change_own_password(self, user: User, session_id: str | None, password: str, by: Actor) -> None:
        """Ends all other sessions of the user."""
        changed = replace(user, password_hash=await self._hashed(password, user.name))
        note = self.noted(by, "password changed", user.name)
        await self.store.save_user(changed, note, end_sessions=True, but=session_id)

    async def password_fits(self, password: str, user: User | None) -> bool:
        """Takes as long for nobody as for somebody. A disabled user has none that fits."""
        given = None if user is None or user.disabled else user.password_hash
        return await self._slowly(lambda: password_fits(password, given))

    async def _made(self, name: str, password: str, role: Role) -> User:
        name = checked_name(name)
        hashed = await self._hashed(password, name)
        return User(str(uuid4()), name, role, hashed, self._clock.now())

    async def _hashed(self, password: str, name: str) -> str:
        checked = checked_password(password, name)
        return await self._slowly(lambda: hashed_password(checked))

    async def _slowly(self, work: Callable[[], Answer]) -> Answer:
        async with self._hashing:
            return await asyncio.to_thread(work)

    # --- the first user

    async def offer_set_up(self) -> str | None:
        """A token for making the first user, good for an hour; ``None`` where there are users."""
        token = new_token()
        offered = await self.store.offer_set_up(token_hash(token), self._clock.now() + SET_UP_MS)
        return token if offered else None

    async def set_up(self, token: str, name: str, password: str, address: str) -> User | None:
        admin = await self._made(name, password, Role.ADMIN)
        note = self.noted(Actor(admin.name, address), "set up", admin.name, role=Role.ADMIN.value)
        return admin if await self.store.set_up(token_hash(token), admin, note) else None

    # --- sessions

    async def begin_session(self, user: User, password: str, address: str, agent: str) -> Begun:
        """After the password was found to fit."""
        now, token = self._clock.now(), new_token()
        if hash_is_outdated(user.password_hash):
            user = replace(user, password_hash=await self._slowly(lambda: hashed_password(password)))
            note = self.noted(Actor(user.name, address), "password hashed anew", user.name)
            await self.store.save_user(user, note, end_sessions=False)
        session = Session(str(uuid4()), user.user_id, address, agent[:LONGEST_AGENT], now, now, now + self._session_ms)
        note = self.noted(Actor(user.name, address), "logged in", session.session_id)
        await self.store.begin_session(session, token_hash(token), note)
        return Begun(user, session, token)

    async def refresh(self, token: str, address: str) -> Begun | None:
        """The next refresh token for this one; ``None`` where it is not good, or was used before: then all is over."""
        fresh = new_token()
        note = self.noted(Actor("unknown", address), "session ended: a refresh token was used twice")
        rotation = await self.store.rotate(token_hash(token), token_hash(fresh), note, idle_ms=self._idle_ms)
        if rotation.session is None or rotation.reused:
            return None
        found = await self.store.active(rotation.session.session_id, self._clock.now())
        return None if found is None else Begun(*found, fresh)

    # --- keys for scripts and tickets

    async def add_key(
        self, user: User, name: str, scopes: frozenset[Scope], days: int | None, by: Actor
    ) -> tuple[ApiKey, str]:
        """The key and its secret, which is not kept and never shown again."""
        now, secret = self._clock.now(), new_token()
        expires = None if days is None else now + days * DAY_MS
        key = ApiKey(uuid4().hex, user.user_id, name, scopes, token_hash(secret), now, expires)
        facts = {"key": key.key_id, "scopes": sorted(scopes)}
        await self.store.add_key(key, self.noted(by, "key added", user.name, **facts))
        return key, secret

    async def ticket(self, grant: dict[str, Any]) -> tuple[str, int]:
        token, expires = new_token(), self._clock.now() + TICKET_MS
        await self.store.add_ticket(token_hash(token), grant, expires)
        return token, expires

    def noted(self, by: Actor, action: str, subject: str = "", **facts: Any) -> Note:
        return Note(self._clock.now(), by.name, action, subject, by.address, facts)


async def named_user(store: AccountStore, name: str) -> User:
    user = await store.user_named(name)
    if user is None:
        known = ", ".join(one.name for one in await store.users()) or "none yet"
        raise ConfigurationError(f"There is no user '{name}'.", f"Users that exist: {known}.")
    return user
