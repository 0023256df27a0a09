"""The ``AccountStore`` and the ``AnswerStore`` in memory, for one process."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from tradepulse.domain.users import NO_HASH, ApiKey, AuditEntry, Note, Role, Session, User, chained
from tradepulse.ports import JsonObject, Rotation, StoredAnswer
from tradepulse.storage.answers import ABANDONED_MS, KEPT_MS
from tradepulse.storage.users import key_name_taken, name_taken, no_admin_left


class InMemoryAccounts:
    """Nothing here waits, so each method is a transaction by itself."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._refresh: dict[str, tuple[str, int, int | None]] = {}
        self._keys: dict[str, ApiKey] = {}
        self._set_up: tuple[str, int] | None = None
        self._tickets: dict[str, tuple[JsonObject, int]] = {}
        self._log: list[AuditEntry] = []

    async def users(self) -> list[User]:
        return sorted(self._users.values(), key=lambda user: user.name.lower())

    async def user(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    async def user_named(self, name: str) -> User | None:
        return next((user for user in self._users.values() if user.name.lower() == name.lower()), None)

    async def add_user(self, user: User, note: Note) -> None:
        await self._check_name(user)
        self._users[user.user_id] = user
        await self.note(note)

    async def save_user(self, user: User, note: Note, *, end_sessions: bool, but: str | None = None) -> None:
        await self._check_name(user)
        self._keep_an_admin({**self._users, user.user_id: user})
        self._users[user.user_id] = user
        if end_sessions:
            self._end(user.user_id, note, but=but)
        await self.note(note)

    async def remove_user(self, user_id: str, note: Note) -> bool:
        if user_id not in self._users:
            return False
        rest = {other: user for other, user in self._users.items() if other != user_id}
        self._keep_an_admin(rest)
        self._users = rest
        self._sessions = {name: one for name, one in self._sessions.items() if one.user_id != user_id}
        self._keys = {name: key for name, key in self._keys.items() if key.user_id != user_id}
        await self.note(note)
        return True

    async def _check_name(self, user: User) -> None:
        other = await self.user_named(user.name)
        if other is not None and other.user_id != user.user_id:
            raise name_taken(user.name)

    def _keep_an_admin(self, users: dict[str, User]) -> None:
        if not any(user.role is Role.ADMIN and not user.disabled for user in users.values()):
            raise no_admin_left()

    async def offer_set_up(self, token_hash: str, expires_at: int) -> bool:
        self._set_up = None if self._users else (token_hash, expires_at)
        return self._set_up is not None

    async def set_up(self, token_hash: str, admin: User, note: Note) -> bool:
        if self._users or self._set_up is None or self._set_up[0] != token_hash or self._set_up[1] <= note.time:
            return False
        self._set_up = None
        await self.add_user(admin, note)
        return True

    async def begin_session(self, session: Session, token_hash: str, note: Note) -> None:
        self._sessions[session.session_id] = session
        self._refresh[token_hash] = (session.session_id, note.time, None)
        await self.note(note)

    async def rotate(self, token_hash: str, new_hash: str, note: Note, *, idle_ms: int) -> Rotation:
        found = self._refresh.get(token_hash)
        living = None if found is None else await self.active(found[0], note.time)
        if found is None or living is None or (found[2] is None and found[1] + idle_ms <= note.time):
            return Rotation(None)
        _, session = living
        if found[2] is not None:
            self._end(session.user_id, note, only=session.session_id)
            await self.note(note)
            return Rotation(session, reused=True)
        self._refresh[token_hash] = (found[0], found[1], note.time)
        self._refresh[new_hash] = (session.session_id, note.time, None)
        return Rotation(session)

    async def active(self, session_id: str, now: int) -> tuple[User, Session] | None:
        session = self._sessions.get(session_id)
        if session is None or session.ended_at is not None or session.expires_at <= now:
            return None
        user = self._users.get(session.user_id)
        return None if user is None or user.disabled else (user, session)

    async def active_sessions(self, session_ids: Sequence[str], now: int) -> set[str]:
        return {one for one in session_ids if await self.active(one, now) is not None}

    async def sessions(self, user_id: str, now: int) -> list[Session]:
        living = [
            one
            for one in self._sessions.values()
            if one.user_id == user_id and one.ended_at is None and one.expires_at > now
        ]
        return sorted(living, key=lambda one: (-one.created_at, one.session_id))

    async def confirm(self, session_id: str, now: int) -> None:
        self._sessions[session_id] = replace(self._sessions[session_id], confirmed_at=now)

    async def end_sessions(self, user_id: str, note: Note, session_id: str | None = None) -> int:
        ended = self._end(user_id, note, only=session_id)
        if ended:
            await self.note(note)
        return ended

    def _end(self, user_id: str, note: Note, *, only: str | None = None, but: str | None = None) -> int:
        ended = [
            one
            for one in self._sessions.values()
            if one.user_id == user_id
            and one.ended_at is None
            and only in (None, one.session_id)
            and one.session_id != but
        ]
        for one in ended:
            self._sessions[one.session_id] = replace(one, ended_at=note.time, ended_because=note.action)
        return len(ended)

    async def add_key(self, key: ApiKey, note: Note) -> None:
        if any((other.user_id, other.name) == (key.user_id, key.name) for other in self._keys.values()):
            raise key_name_taken(key.name)
        self._keys[key.key_id] = key
        await self.note(note)

    async def keys(self, user_id: str) -> list[ApiKey]:
        own = [key for key in self._keys.values() if key.user_id == user_id]
        return sorted(own, key=lambda key: (key.created_at, key.key_id))

    async def key_owner(self, key_id: str, now: int) -> tuple[User, ApiKey] | None:
        key = self._keys.get(key_id)
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            return None
        user = self._users[key.user_id]
        return None if user.disabled else (user, key)

    async def key_used(self, key_id: str, now: int) -> None:
        self._keys[key_id] = replace(self._keys[key_id], last_used_at=now)

    async def remove_key(self, user_id: str, key_id: str, note: Note) -> bool:
        key = self._keys.get(key_id)
        if key is None or key.user_id != user_id:
            return False
        del self._keys[key_id]
        await self.note(note)
        return True

    async def add_ticket(self, ticket_hash: str, grant: JsonObject, expires_at: int) -> None:
        self._tickets[ticket_hash] = (grant, expires_at)

    async def take_ticket(self, ticket_hash: str, now: int) -> JsonObject | None:
        grant, expires_at = self._tickets.pop(ticket_hash, ({}, 0))
        return grant if expires_at > now else None

    async def note(self, note: Note) -> None:
        previous = self._log[-1].hash if self._log else NO_HASH
        self._log.append(chained(len(self._log) + 1, note, previous))

    async def notes(self, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        return [entry for entry in reversed(self._log) if before is None or entry.number < before][:limit]

    async def chain(self) -> AsyncIterator[AuditEntry]:
        for entry in list(self._log):
            yield entry


class InMemoryAnswers:
    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], tuple[int, StoredAnswer]] = {}

    async def begin(self, owner: str, key: str, request_hash: str, now: int) -> StoredAnswer | None:
        self._answers = {name: kept for name, kept in self._answers.items() if kept[0] >= now - KEPT_MS}
        begun_at, answer = self._answers.get((owner, key), (0, None))
        if answer is None or (answer.status is None and begun_at < now - ABANDONED_MS):
            self._answers[owner, key] = (now, StoredAnswer(request_hash))
            return None
        return answer

    async def finish(self, owner: str, key: str, status: int, body: bytes) -> None:
        begun_at, answer = self._answers[owner, key]
        self._answers[owner, key] = (begun_at, replace(answer, status=status, body=body))

    async def forget(self, owner: str, key: str) -> None:
        if (owner, key) in self._answers and self._answers[owner, key][1].status is None:
            del self._answers[owner, key]
