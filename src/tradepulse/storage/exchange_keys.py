"""Exchange keys at rest: ciphertexts, the last four characters of each key's id, and what the key was found to be.

Nothing here answers a key but ``credentials``, which is for the connection that trades with it.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.wallets import KeyPermissions, KeySource, KeyState, KeyVerdict
from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError
from tradepulse.shared.secrets import Credentials, register_secrets, scrub
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.envelope import (
    SALT_BYTES,
    Cost,
    KeyFolder,
    RowName,
    Sealed,
    WrappingKey,
    WrappingRecord,
    chance,
    checked_passphrase,
    from_passphrase,
)

OWNER = "local"
"""There is one owner while there are no users."""
AskPassphrase = Callable[[], str]

_STATE = "wallet, exchange, last_four, verdict, reason, permissions, verified_at, checked_at, asked_at, consent_by"
_ADD = """
    insert into exchange_keys (row_id, owner, exchange, wallet, wrapping_key_id, ciphertext, wrapped_key, last_four,
        created_at, verdict, reason, permissions, verified_at, checked_at, asked_at, consent_by)
    values (%(row_id)s, %(owner)s, %(exchange)s, %(wallet)s, %(wrapping_key_id)s, %(ciphertext)s, %(wrapped_key)s,
        %(last_four)s, %(created_at)s, %(verdict)s, %(reason)s, %(permissions)s, %(verified_at)s, %(checked_at)s,
        %(asked_at)s, %(consent_by)s)
"""
_UPDATE = """
    update exchange_keys set verdict = %(verdict)s, reason = %(reason)s, permissions = %(permissions)s,
        verified_at = %(verified_at)s, checked_at = %(checked_at)s, asked_at = %(asked_at)s,
        consent_by = %(consent_by)s
    where owner = %(owner)s and wallet = %(wallet)s and last_four = %(last_four)s and asked_at <= %(asked_at)s
"""


@dataclass(frozen=True, slots=True)
class _Row:
    name: RowName
    sealed: Sealed


class ExchangeKeys:
    """The keys of one owner. ``passphrase`` is called only where a passphrase is what is needed."""

    def __init__(
        self,
        database: Database,
        folder: KeyFolder,
        passphrase: AskPassphrase,
        *,
        owner: str = OWNER,
        cost: Cost = Cost(),  # noqa: B008 - frozen
    ) -> None:
        self._database = database
        self._folder = folder
        self._passphrase = passphrase
        self._owner = owner
        self._cost = cost

    async def states(self) -> list[KeyState]:
        async with self._database.transaction() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(f"select {_STATE} from exchange_keys where owner = %s order by wallet", (self._owner,))  # noqa: S608 - constants
            return [_state(row) async for row in cursor]

    async def state(self, wallet: str) -> KeyState | None:
        return next((state for state in await self.states() if state.wallet == wallet), None)

    async def source(self) -> KeySource | None:
        """Where the wrapping key comes from; ``None`` while there is none."""
        async with self._database.transaction() as connection:
            record = await _record(connection)
        return None if record is None else record.source

    async def add(self, credentials: Credentials, state: KeyState, now: int, source: KeySource) -> None:
        """Store a key that was judged. ``source`` counts where this is the first key of all."""
        async with self._database.transaction() as connection:
            await _alone(connection)
            record = await _record(connection)
            if record is not None:
                await self._put(connection, await self._wrapping(record), credentials, state, now)
                return
            record, wrapping = await self._made(source, self._passphrase)
            with self._dropped_unless_all_is_written(record):
                await _remember(connection, record, now)
                await self._put(connection, wrapping, credentials, state, now)

    @contextmanager
    def _dropped_unless_all_is_written(self, record: WrappingRecord) -> Iterator[None]:
        """Around what is written before the commit. After it nobody knows, and the file may be what is needed."""
        try:
            yield
        except BaseException:
            # A cancellation too must not leave a key file behind that no row names.
            if record.source is KeySource.FILE:
                self._folder.drop(record.key_id)
            raise

    async def _put(
        self, connection: Connection, wrapping: WrappingKey, credentials: Credentials, state: KeyState, now: int
    ) -> None:
        self._refuse_twice(await self._rows(connection), wrapping, credentials, state)
        name = RowName(self._owner, state.exchange, state.wallet, str(uuid4()))
        sealed = wrapping.seal(name, _content(credentials))
        written = {
            "row_id": name.row_id,
            "wrapping_key_id": wrapping.key_id,
            "ciphertext": sealed.ciphertext,
            "wrapped_key": sealed.wrapped_key,
            "created_at": now,
        }
        await connection.execute(_ADD, {**_columns(state, self._owner), **written})

    def _refuse_twice(self, rows: list[_Row], wrapping: WrappingKey, credentials: Credentials, state: KeyState) -> None:
        """A wallet has one key, and two wallets with one key would each believe that the account's money is theirs."""
        for row in rows:
            if row.name.wallet == state.wallet:
                raise RefusedError(
                    f"The wallet '{state.wallet}' has a key already.",
                    f"Remove it first: tradepulse keys remove --wallet {state.wallet}",
                )
            if row.name.exchange == state.exchange and _opened(wrapping, row).api_key == credentials.api_key:
                raise RefusedError(
                    f"The wallet '{row.name.wallet}' has this key already.",
                    "Make another key for this wallet, on an account or sub-account of its own.",
                )

    async def credentials(self, wallet: str) -> Credentials:
        """The key itself, for the connection that trades with it; known to the redaction from here on."""
        async with self._database.transaction() as connection:
            await _alone(connection)
            record = await _record(connection)
            row = next((row for row in await self._rows(connection) if row.name.wallet == wallet), None)
        if row is None or record is None:
            raise ConfigurationError(
                f"The wallet '{wallet}' has no exchange key.", f"Add it: tradepulse keys add --wallet {wallet}"
            )
        return _opened(await self._wrapping(record), row)

    async def save(self, state: KeyState) -> None:
        """What a later check found. Older news does not overwrite newer, nor that of a key since replaced."""
        async with self._database.transaction() as connection:
            await connection.execute(_UPDATE, _columns(state, self._owner))

    async def remove(self, wallet: str) -> bool:
        async with self._database.transaction() as connection:
            await _alone(connection)
            found = await connection.execute(
                "delete from exchange_keys where owner = %s and wallet = %s", (self._owner, wallet)
            )
        return found.rowcount > 0

    async def rotate(self, source: KeySource, now: int, new_passphrase: AskPassphrase) -> int:
        """A new wrapping key wraps the rows' keys anew, all or none; how many rows that were.

        A file is written before the database names it, and the former deleted after: a kill in between leaves one file
        too many, never one too few.
        """
        async with self._database.transaction() as connection:
            await _alone(connection)
            old = await _record(connection)
            if old is None:
                raise RefusedError("There is no exchange key to rotate.", "Add one: tradepulse keys add --help")
            former = await self._wrapping(old)
            record, wrapping = await self._made(source, new_passphrase)
            with self._dropped_unless_all_is_written(record):
                await _remember(connection, record, now)
                rewrapped = await _rewrap(connection, former, wrapping)
                await connection.execute("delete from key_encryption where wrapping_key_id = %s", (old.key_id,))
        if old.source is KeySource.FILE:
            self._folder.drop(old.key_id)
        return rewrapped

    async def _rows(self, connection: Connection) -> list[_Row]:
        found = await connection.execute(
            "select owner, exchange, wallet, row_id, ciphertext, wrapped_key from exchange_keys where owner = %s",
            (self._owner,),
        )
        return [_Row(RowName(*row[:4]), Sealed(row[4], row[5])) for row in await found.fetchall()]

    async def _made(self, source: KeySource, ask: AskPassphrase) -> tuple[WrappingRecord, WrappingKey]:
        key_id = str(uuid4())
        if source is KeySource.FILE:
            wrapping = self._folder.made(key_id)
            return WrappingRecord(key_id, source, wrapping.proof()), wrapping
        passphrase, salt = checked_passphrase(ask()), chance(SALT_BYTES)
        register_secrets([passphrase])
        wrapping = await asyncio.to_thread(from_passphrase, key_id, passphrase, salt, self._cost)
        return WrappingRecord(key_id, source, wrapping.proof(), salt, self._cost), wrapping

    async def _wrapping(self, record: WrappingRecord) -> WrappingKey:
        if record.source is KeySource.FILE:
            wrapping = self._folder.read(record.key_id)
            wrong = ("The key file is not the one that the stored exchange keys need.", "Restore it from your backup.")
        else:
            passphrase = self._passphrase()
            register_secrets([passphrase])
            wrapping = await asyncio.to_thread(from_passphrase, record.key_id, passphrase, record.salt, record.cost)
            wrong = ("This is not the passphrase of the stored exchange keys.", "Give the one they were stored with.")
        if not wrapping.proves(record.proof):
            raise ConfigurationError(*wrong)
        return wrapping


async def _alone(connection: Connection) -> None:
    """Adding, reading, removing and rotating happen one after the other, so that key and rows belong together."""
    await connection.execute("lock table key_encryption in share row exclusive mode")


async def _record(connection: Connection) -> WrappingRecord | None:
    found = await connection.execute(
        "select wrapping_key_id, source, proof, salt, passes, memory_kib, lanes from key_encryption"
    )
    rows = await found.fetchall()
    if len(rows) > 1:
        raise InvariantError(
            f"The database names {len(rows)} wrapping keys instead of one.",
            "Find out who wrote to the table key_encryption.",
        )
    if not rows:
        return None
    key_id, source, proof, salt, *cost = rows[0]
    return WrappingRecord(key_id, KeySource(source), proof, salt, Cost(*cost))


async def _rewrap(connection: Connection, former: WrappingKey, new: WrappingKey) -> int:
    found = await connection.execute("select owner, exchange, wallet, row_id, wrapped_key from exchange_keys")
    rows = await found.fetchall()
    for *name, wrapped_key in rows:
        row = RowName(*name)
        await connection.execute(
            "update exchange_keys set wrapped_key = %s, wrapping_key_id = %s where row_id = %s",
            (former.rewrapped(row, wrapped_key, new), new.key_id, row.row_id),
        )
    return len(rows)


async def _remember(connection: Connection, record: WrappingRecord, now: int) -> None:
    await connection.execute(
        "insert into key_encryption (wrapping_key_id, source, proof, salt, passes, memory_kib, lanes, created_at) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (record.key_id, str(record.source), record.proof, record.salt, *asdict(record.cost).values(), now),
    )


def _content(credentials: Credentials) -> bytes:
    password = credentials.password.get_secret_value() if credentials.password else None
    return json.dumps(
        {
            "api_key": credentials.api_key.get_secret_value(),
            "secret": credentials.secret.get_secret_value(),
            "password": password,
        }
    ).encode()


def _opened(wrapping: WrappingKey, row: _Row) -> Credentials:
    return Credentials.model_validate_json(wrapping.open(row.name, row.sealed))


def _state(row: dict[str, Any]) -> KeyState:
    permissions = KeyPermissions(**row.pop("permissions"))
    return KeyState(**{**row, "verdict": KeyVerdict(row["verdict"])}, permissions=permissions)


def _columns(state: KeyState, owner: str) -> dict[str, Any]:
    return {
        "owner": owner,
        "wallet": state.wallet,
        "exchange": state.exchange,
        "last_four": state.last_four,
        "verdict": str(state.verdict),
        "reason": scrub(state.reason),
        "permissions": Json(asdict(state.permissions)),
        "verified_at": state.verified_at,
        "checked_at": state.checked_at,
        "asked_at": state.asked_at,
        "consent_by": state.consent_by,
    }
