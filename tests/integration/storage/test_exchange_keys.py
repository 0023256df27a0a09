"""Exchange keys in a real PostgreSQL: ciphertexts only, bound to their rows, rewrapped all or none."""

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.canary import Canaries

from tradepulse.domain.wallets import KeyPermissions, KeySource, KeyState, KeyVerdict
from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.storage import embedded
from tradepulse.storage.db import Database
from tradepulse.storage.envelope import Cost, KeyFolder
from tradepulse.storage.exchange_keys import ExchangeKeys

NOW = 1_767_225_600_000
CHEAP = Cost(passes=1, memory_kib=64, lanes=1)
GOOD = KeyPermissions(trade=True, read=True, withdraw=False, ip_restricted=True)
PASSPHRASE, OTHER = "correct horse battery", "staple horse battery"


def state(wallet: str, exchange: str = "binance") -> KeyState:
    return KeyState(wallet, exchange, "wxyz", KeyVerdict.VERIFIED, "", GOOD, NOW, NOW, NOW)


def credentials(name: str) -> Credentials:
    return Credentials(api_key=f"api-key-of-{name}-wxyz", secret=f"secret-of-{name}-0123456789", password=None)


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


@pytest.fixture
def keys(database: Database, folder: KeyFolder) -> ExchangeKeys:
    return opened_with(PASSPHRASE, database, folder)


def opened_with(passphrase: str, database: Database, folder: KeyFolder) -> ExchangeKeys:
    return ExchangeKeys(database, folder, lambda: passphrase, cost=CHEAP)


def files(folder: KeyFolder) -> list[str]:
    return sorted(file.name for file in folder.folder.glob("*")) if folder.folder.exists() else []


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(query)  # type: ignore[call-overload]
        return list(found.fetchall()) if found.description else []


@pytest.mark.parametrize("source", KeySource)
async def test_key_when_added_then_it_opens_for_its_wallet_and_the_database_holds_none_of_it(
    source: KeySource, keys: ExchangeKeys, database_url: str
) -> None:
    canaries = Canaries.released()
    await keys.add(canaries.credentials, state("main"), NOW, source)
    assert await keys.credentials("main") == canaries.credentials
    assert await keys.states() == [state("main")]
    assert await keys.source() is source
    with canaries.watched() as seen:
        seen.add("states", await keys.states(), await keys.state("main"))
        for table in ("exchange_keys", "key_encryption"):
            stored = rows(database_url, f"select row_to_json(one)::text, one.* from {table} as one")  # noqa: S608
            assert stored
            seen.add(table, stored)


@pytest.mark.parametrize("column", ["ciphertext", "wrapped_key", "both"])
async def test_ciphertexts_when_swapped_between_rows_then_neither_opens(
    column: str, keys: ExchangeKeys, database_url: str
) -> None:
    for name in ("one", "two"):
        await keys.add(credentials(name), state(name), NOW, KeySource.FILE)
    columns = ("ciphertext", "wrapped_key") if column == "both" else (column,)
    taken = ", ".join(f"{name} = other.{name}" for name in columns)
    rows(
        database_url,
        f"update exchange_keys as this set {taken} from exchange_keys as other where other.wallet <> this.wallet",  # noqa: S608
    )
    for name in ("one", "two"):
        with pytest.raises(InvariantError, match=f"wallet '{name}' on binance is not what was stored there"):
            await keys.credentials(name)


async def test_row_when_given_to_another_exchange_then_it_does_not_open(keys: ExchangeKeys, database_url: str) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    rows(database_url, "update exchange_keys set exchange = 'kraken'")
    with pytest.raises(InvariantError):
        await keys.credentials("one")


async def test_passphrase_when_wrong_then_one_clear_line_and_nothing_is_written(
    keys: ExchangeKeys, database: Database, folder: KeyFolder, database_url: str
) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.PASSPHRASE)
    before = rows(database_url, "select * from exchange_keys")
    wrong = opened_with(OTHER, database, folder)
    with pytest.raises(ConfigurationError, match="not the passphrase of the stored"):
        await wrong.credentials("one")
    with pytest.raises(ConfigurationError, match="not the passphrase of the stored"):
        await wrong.add(credentials("two"), state("two"), NOW, KeySource.FILE)
    with pytest.raises(ConfigurationError, match="not the passphrase of the stored"):
        await wrong.rotate(KeySource.FILE, NOW, lambda: OTHER)
    assert rows(database_url, "select * from exchange_keys") == before
    assert files(folder) == []
    assert await keys.credentials("one") == credentials("one")


async def test_key_file_when_another_lies_there_then_one_clear_line(keys: ExchangeKeys, folder: KeyFolder) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    (name,) = files(folder)
    (folder.folder / name).write_bytes(b"x" * 32)
    with pytest.raises(ConfigurationError, match="not the one that the stored exchange keys need"):
        await keys.credentials("one")


@pytest.mark.parametrize("former", KeySource)
@pytest.mark.parametrize("new", KeySource)
async def test_rotation_when_done_then_everything_opens_by_the_new_and_nothing_by_the_old(
    former: KeySource, new: KeySource, keys: ExchangeKeys, database: Database, folder: KeyFolder
) -> None:
    names = ("one", "two", "three")
    for name in names:
        await keys.add(credentials(name), state(name), NOW, former)
    old_files = files(folder)
    assert await keys.rotate(new, NOW + 1, lambda: OTHER) == 3
    assert len(files(folder)) == (new is KeySource.FILE)
    assert not set(files(folder)) & set(old_files)
    renewed = opened_with(OTHER, database, folder)
    for name in names:
        assert await renewed.credentials(name) == credentials(name)
    if new is KeySource.PASSPHRASE:
        with pytest.raises(ConfigurationError, match="not the passphrase"):
            await keys.credentials("one")


async def test_rotation_when_one_row_was_tampered_with_then_none_is_rewrapped(
    keys: ExchangeKeys, folder: KeyFolder, database_url: str
) -> None:
    for name in ("one", "two"):
        await keys.add(credentials(name), state(name), NOW, KeySource.FILE)
    rows(database_url, "update exchange_keys set wrapped_key = ciphertext where wallet = 'two'")
    before, there = rows(database_url, "select * from exchange_keys order by wallet"), files(folder)
    with pytest.raises(InvariantError, match="wallet 'two'"):
        await keys.rotate(KeySource.FILE, NOW, lambda: OTHER)
    assert rows(database_url, "select * from exchange_keys order by wallet") == before
    assert files(folder) == there
    assert await keys.credentials("one") == credentials("one")


async def test_rotation_when_at_the_same_time_as_adding_and_reading_then_all_keys_open(
    database: Database, folder: KeyFolder
) -> None:
    keys = opened_with(PASSPHRASE, database, folder)
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    names = [f"more-{number}" for number in range(4)]
    await asyncio.gather(
        *(keys.add(credentials(name), state(name), NOW, KeySource.FILE) for name in names),
        *(keys.rotate(KeySource.FILE, NOW, lambda: OTHER) for _ in range(3)),
        *(keys.credentials("one") for _ in range(3)),
    )
    assert len(files(folder)) == 1
    for name in ("one", *names):
        assert await keys.credentials(name) == credentials(name)


async def test_key_when_its_wallet_has_one_or_another_wallet_has_the_same_then_refused(
    keys: ExchangeKeys, folder: KeyFolder
) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    with pytest.raises(RefusedError, match="has a key already"):
        await keys.add(credentials("two"), state("one"), NOW, KeySource.FILE)
    with pytest.raises(RefusedError, match="'one' has this key already"):
        await keys.add(credentials("one"), state("two"), NOW, KeySource.FILE)
    await keys.add(credentials("one"), state("elsewhere", "kraken"), NOW, KeySource.FILE)
    assert len(files(folder)) == 1


async def test_first_key_when_it_cannot_be_written_then_no_key_file_is_left(
    keys: ExchangeKeys, folder: KeyFolder, database_url: str
) -> None:
    rows(database_url, "alter table exchange_keys add constraint never check (wallet <> 'one')")
    with pytest.raises(InvariantError):
        await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    assert files(folder) == []
    assert await keys.source() is None


async def test_key_when_removed_then_gone_and_another_can_be_added(keys: ExchangeKeys) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    assert await keys.remove("one") is True
    assert await keys.remove("one") is False
    with pytest.raises(ConfigurationError, match="keys add --wallet one"):
        await keys.credentials("one")
    await keys.add(credentials("two"), state("one"), NOW, KeySource.FILE)


async def test_owner_when_another_then_their_keys_are_not_there(
    keys: ExchangeKeys, database: Database, folder: KeyFolder
) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    stranger = ExchangeKeys(database, folder, lambda: PASSPHRASE, owner="bob", cost=CHEAP)
    assert await stranger.states() == []
    assert await stranger.remove("one") is False
    with pytest.raises(ConfigurationError):
        await stranger.credentials("one")


async def test_state_when_older_news_comes_late_then_the_newer_stays(keys: ExchangeKeys) -> None:
    await keys.add(credentials("one"), state("one"), NOW, KeySource.FILE)
    alarm = replace(state("one"), verdict=KeyVerdict.REFUSED, reason="it may withdraw", asked_at=NOW + 2)
    await keys.save(alarm)
    await keys.save(replace(state("one"), asked_at=NOW + 1))
    assert await keys.state("one") == alarm


async def test_dump_when_taken_then_no_secret_is_in_it(keys: ExchangeKeys, database_url: str) -> None:
    canaries = Canaries.released()
    await keys.add(canaries.credentials, state("main"), NOW, KeySource.PASSPHRASE)
    dump = await asyncio.to_thread(dumped, database_url)
    assert "COPY public.exchange_keys" in dump
    assert canaries.found_in(dump) == []
    assert PASSPHRASE not in dump


def dumped(url: str) -> str:
    program = embedded._binaries() / "pg_dump"
    return subprocess.run([program, url], capture_output=True, text=True, check=True).stdout
