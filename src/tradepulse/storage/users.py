"""Users, sessions, keys for scripts and the audit log in PostgreSQL. Tokens and secrets are here as hashes only."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from psycopg import errors as pg
from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.users import NO_HASH, ApiKey, AuditEntry, Note, Role, Scope, Session, User, chained
from tradepulse.ports import JsonObject, LastAdminError, NameTakenError, Rotation
from tradepulse.storage.db import Connection, Database

# Who changes accounts waits here for who does so already: the chain has one end, and one admin must stay.
AUDIT_LOCK = 7_318_002
CHAIN_PAGE = 1000
SET_UP, LIVE = "set-up", "live"
Record = TypeVar("Record")

_USER = "user_id, name, role, password_hash, created_at, disabled"
_SESSION = "session_id, user_id, address, agent, created_at, confirmed_at, expires_at, ended_at, ended_because"
_KEY = "key_id, user_id, name, scopes, secret_hash, created_at, expires_at, last_used_at"
_ADD_USER = f"""
    insert into users ({_USER})
    values (%(user_id)s, %(name)s, %(role)s, %(password_hash)s, %(created_at)s, %(disabled)s)
"""  # noqa: S608 - constants, as below
_SAVE_USER = """
    update users set name = %(name)s, role = %(role)s, password_hash = %(password_hash)s, disabled = %(disabled)s
    where user_id = %(user_id)s
"""
_ADD_SESSION = f"""
    insert into sessions ({_SESSION}) values (%(session_id)s, %(user_id)s, %(address)s, %(agent)s, %(created_at)s,
        %(confirmed_at)s, %(expires_at)s, %(ended_at)s, %(ended_because)s)
"""  # noqa: S608
_ADD_TOKEN = "insert into refresh_tokens (token_hash, session_id, issued_at) values (%s, %s, %s)"  # noqa: S105
_ADD_KEY = f"""
    insert into api_keys ({_KEY}) values (%(key_id)s, %(user_id)s, %(name)s, %(scopes)s, %(secret_hash)s,
        %(created_at)s, %(expires_at)s, %(last_used_at)s)
"""  # noqa: S608
_LIVING = "ended_at is null and expires_at > %(now)s"
_ACTIVE = f"""
    select to_jsonb(users) as owner, to_jsonb(sessions) as session from sessions join users using (user_id)
    where session_id = %(session_id)s and {_LIVING} and not disabled
"""  # noqa: S608
_ALIVE = f"""
    select session_id from sessions join users using (user_id)
    where session_id = any(%(ids)s) and {_LIVING} and not disabled
"""  # noqa: S608
_END = """
    update sessions set ended_at = %(now)s, ended_because = %(because)s
    where user_id = %(user_id)s and ended_at is null and (%(only)s::text is null or session_id = %(only)s)
        and session_id is distinct from %(but)s
"""
_KEY_OWNER = """
    select to_jsonb(users) as owner, to_jsonb(api_keys) as key from api_keys join users using (user_id)
    where key_id = %(key_id)s and (expires_at is null or expires_at > %(now)s) and not disabled
"""
_NOTE = """
    insert into audit_log (number, time, actor, action, subject, address, facts, previous_hash, hash)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_ENTRY = "number, time, actor, action, subject, address, facts, previous_hash, hash"


@dataclass(slots=True)
class _Change:
    connection: Connection
    happened: bool = True


class PostgresAccounts:
    """The ``AccountStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def _noted(self, note: Note) -> AsyncIterator[_Change]:
        async with self._database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(%s)", (AUDIT_LOCK,))
            change = _Change(connection)
            yield change
            if change.happened:
                await _append(connection, note)

    # --- users

    async def users(self) -> list[User]:
        rows = await self._rows(f"select {_USER} from users order by lower(name)")  # noqa: S608
        return [_user(row) for row in rows]

    async def user(self, user_id: str) -> User | None:
        rows = await self._rows(f"select {_USER} from users where user_id = %(id)s", id=user_id)  # noqa: S608
        return _user(rows[0]) if rows else None

    async def user_named(self, name: str) -> User | None:
        rows = await self._rows(f"select {_USER} from users where lower(name) = lower(%(name)s)", name=name)  # noqa: S608
        return _user(rows[0]) if rows else None

    async def add_user(self, user: User, note: Note) -> None:
        async with self._noted(note) as change:
            await _insert_user(change.connection, user)

    async def save_user(self, user: User, note: Note, *, end_sessions: bool, but: str | None = None) -> None:
        async with self._noted(note) as change:
            try:
                await change.connection.execute(_SAVE_USER, asdict(user))
            except pg.UniqueViolation:
                raise name_taken(user.name) from None
            if end_sessions:
                await _end(change.connection, user.user_id, note, only=None, but=but)
            await _keep_an_admin(change.connection)

    async def remove_user(self, user_id: str, note: Note) -> bool:
        async with self._noted(note) as change:
            gone = await change.connection.execute("delete from users where user_id = %s", (user_id,))
            change.happened = gone.rowcount > 0
            if change.happened:
                await _keep_an_admin(change.connection)
            return change.happened

    async def offer_set_up(self, token_hash: str, expires_at: int) -> bool:
        async with self._database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(%s)", (AUDIT_LOCK,))
            await connection.execute("delete from one_time_tokens where purpose = %s", (SET_UP,))
            if await _one(connection, "select 1 from users limit 1"):
                return False
            await _add_token(connection, token_hash, SET_UP, {}, expires_at)
        return True

    async def set_up(self, token_hash: str, admin: User, note: Note) -> bool:
        async with self._noted(note) as change:
            taken = await _take_token(change.connection, token_hash, SET_UP, note.time)
            change.happened = taken is not None and not await _one(change.connection, "select 1 from users limit 1")
            if change.happened:
                await _insert_user(change.connection, admin)
            return change.happened

    # --- sessions

    async def begin_session(self, session: Session, token_hash: str, note: Note) -> None:
        async with self._noted(note) as change:
            await change.connection.execute("delete from sessions where expires_at < %s", (note.time,))
            await change.connection.execute(_ADD_SESSION, asdict(session))
            await change.connection.execute(_ADD_TOKEN, (token_hash, session.session_id, note.time))

    async def rotate(self, token_hash: str, new_hash: str, note: Note, *, idle_ms: int) -> Rotation:
        async with self._noted(note) as change:
            change.happened = False
            found = await _one(
                change.connection,
                "select session_id, issued_at, used_at from refresh_tokens where token_hash = %s for update",
                (token_hash,),
            )
            if found is None:
                return Rotation(None)
            session_id, issued_at, used_at = found
            living = await _living(change.connection, session_id, note.time)
            if living is None or (used_at is None and issued_at + idle_ms <= note.time):
                return Rotation(None)
            if used_at is not None:
                change.happened = True
                await _end(change.connection, living.user_id, note, only=session_id)
                return Rotation(living, reused=True)
            await change.connection.execute(
                "update refresh_tokens set used_at = %s where token_hash = %s", (note.time, token_hash)
            )
            await change.connection.execute(_ADD_TOKEN, (new_hash, session_id, note.time))
            return Rotation(living)

    async def active(self, session_id: str, now: int) -> tuple[User, Session] | None:
        rows = await self._rows(_ACTIVE, session_id=session_id, now=now)
        return (_user(rows[0]["owner"]), _read(Session, rows[0]["session"])) if rows else None

    async def active_sessions(self, session_ids: Sequence[str], now: int) -> set[str]:
        return {str(row["session_id"]) for row in await self._rows(_ALIVE, ids=list(session_ids), now=now)}

    async def sessions(self, user_id: str, now: int) -> list[Session]:
        query = f"select * from sessions where user_id = %(user_id)s and {_LIVING} order by created_at desc, session_id"  # noqa: S608
        return [_read(Session, row) for row in await self._rows(query, user_id=user_id, now=now)]

    async def confirm(self, session_id: str, now: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute("update sessions set confirmed_at = %s where session_id = %s", (now, session_id))

    async def end_sessions(self, user_id: str, note: Note, session_id: str | None = None) -> int:
        async with self._noted(note) as change:
            ended = await _end(change.connection, user_id, note, only=session_id)
            change.happened = ended > 0
            return ended

    # --- keys for scripts

    async def add_key(self, key: ApiKey, note: Note) -> None:
        async with self._noted(note) as change:
            try:
                await change.connection.execute(_ADD_KEY, {**asdict(key), "scopes": Json(sorted(key.scopes))})
            except pg.UniqueViolation:
                raise key_name_taken(key.name) from None

    async def keys(self, user_id: str) -> list[ApiKey]:
        query = f"select {_KEY} from api_keys where user_id = %(user_id)s order by created_at, key_id"  # noqa: S608
        return [_key(row) for row in await self._rows(query, user_id=user_id)]

    async def key_owner(self, key_id: str, now: int) -> tuple[User, ApiKey] | None:
        rows = await self._rows(_KEY_OWNER, key_id=key_id, now=now)
        return (_user(rows[0]["owner"]), _key(rows[0]["key"])) if rows else None

    async def key_used(self, key_id: str, now: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute("update api_keys set last_used_at = %s where key_id = %s", (now, key_id))

    async def remove_key(self, user_id: str, key_id: str, note: Note) -> bool:
        async with self._noted(note) as change:
            gone = await change.connection.execute(
                "delete from api_keys where user_id = %s and key_id = %s", (user_id, key_id)
            )
            change.happened = gone.rowcount > 0
            return change.happened

    # --- tickets

    async def add_ticket(self, ticket_hash: str, grant: JsonObject, expires_at: int) -> None:
        async with self._database.transaction() as connection:
            await _add_token(connection, ticket_hash, LIVE, grant, expires_at)

    async def take_ticket(self, ticket_hash: str, now: int) -> JsonObject | None:
        async with self._database.transaction() as connection:
            await connection.execute("delete from one_time_tokens where purpose = %s and expires_at <= %s", (LIVE, now))
            return await _take_token(connection, ticket_hash, LIVE, now)

    # --- the audit log

    async def note(self, note: Note) -> None:
        async with self._noted(note):
            pass

    async def notes(self, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        query = f"""
            select {_ENTRY} from audit_log where %(before)s::bigint is null or number < %(before)s
            order by number desc limit %(limit)s
        """  # noqa: S608
        return [_entry(row) for row in await self._rows(query, limit=limit, before=before)]

    async def chain(self) -> AsyncIterator[AuditEntry]:
        query = f"select {_ENTRY} from audit_log where number > %(last)s order by number limit %(limit)s"  # noqa: S608
        last = -1
        while rows := await self._rows(query, last=last, limit=CHAIN_PAGE):
            for row in rows:
                yield _entry(row)
            last = int(rows[-1]["number"])

    async def _rows(self, query: str, **values: Any) -> list[JsonObject]:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return await cursor.fetchall()


def name_taken(name: str) -> NameTakenError:
    return NameTakenError(f"There is a user '{name}' already.", "Choose another name.")


def key_name_taken(name: str) -> NameTakenError:
    return NameTakenError(f"You have a key '{name}' already.", "Choose another name, or remove that key first.")


def no_admin_left() -> LastAdminError:
    return LastAdminError("Nobody would be left who may administer.", "Make somebody else an admin first.")


async def _one(connection: Connection, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    return await (await connection.execute(query, values)).fetchone()


async def _insert_user(connection: Connection, user: User) -> None:
    try:
        await connection.execute(_ADD_USER, asdict(user))
    except pg.UniqueViolation:
        raise name_taken(user.name) from None


async def _keep_an_admin(connection: Connection) -> None:
    if not await _one(connection, "select 1 from users where role = %s and not disabled limit 1", (Role.ADMIN.value,)):
        raise no_admin_left()


async def _end(connection: Connection, user_id: str, note: Note, *, only: str | None, but: str | None = None) -> int:
    values = {"now": note.time, "because": note.action, "user_id": user_id, "only": only, "but": but}
    return (await connection.execute(_END, values)).rowcount


async def _living(connection: Connection, session_id: str, now: int) -> Session | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ACTIVE, {"session_id": session_id, "now": now})
        row = await cursor.fetchone()
    return None if row is None else _read(Session, row["session"])


async def _add_token(connection: Connection, token_hash: str, purpose: str, granted: JsonObject, expires: int) -> None:
    await connection.execute(
        "insert into one_time_tokens (token_hash, purpose, granted, expires_at) values (%s, %s, %s, %s)",
        (token_hash, purpose, Json(granted), expires),
    )


async def _take_token(connection: Connection, token_hash: str, purpose: str, now: int) -> JsonObject | None:
    row = await _one(
        connection,
        "delete from one_time_tokens where token_hash = %s and purpose = %s and expires_at > %s returning granted",
        (token_hash, purpose, now),
    )
    return None if row is None else dict(row[0])


async def _append(connection: Connection, note: Note) -> None:
    last = await _one(connection, "select number, hash from audit_log order by number desc limit 1")
    number, previous = last or (0, NO_HASH)
    entry = chained(number + 1, note, previous)
    facts = json.dumps(note.facts, sort_keys=True, ensure_ascii=False)
    await connection.execute(
        _NOTE,
        (entry.number, note.time, note.actor, note.action, note.subject, note.address, facts, previous, entry.hash),
    )


def _read(kind: type[Record], row: JsonObject) -> Record:
    return kind(**{one.name: row[one.name] for one in fields(kind)})  # type: ignore[arg-type]


def _user(row: JsonObject) -> User:
    return _read(User, {**row, "role": Role(row["role"])})


def _key(row: JsonObject) -> ApiKey:
    return _read(ApiKey, {**row, "scopes": frozenset(map(Scope, row["scopes"]))})


def _entry(row: JsonObject) -> AuditEntry:
    told = _read(Note, {**row, "facts": json.loads(row["facts"])})
    return AuditEntry(row["number"], told, row["previous_hash"], row["hash"])
