"""Envelope encryption: opens in its own row with its own key, and nowhere else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.shared.errors import ConfigurationError, InvariantError
from tradepulse.storage.envelope import (
    Cost,
    KeyFolder,
    RowName,
    Sealed,
    WrappingKey,
    checked_passphrase,
    from_passphrase,
)

CHEAP = Cost(passes=1, memory_kib=64, lanes=1)
ROW = RowName("local", "binance", "main", "1")
KEY, OTHER = WrappingKey("k", b"k" * 32), WrappingKey("o", b"o" * 32)


@given(st.binary(max_size=4000))
def test_content_when_sealed_then_it_opens_again_and_stands_nowhere_in_what_is_stored(content: bytes) -> None:
    sealed = KEY.seal(ROW, content)
    assert KEY.open(ROW, sealed) == content
    assert len(content) < 8 or content not in sealed.ciphertext + sealed.wrapped_key


def test_content_when_sealed_twice_then_nothing_repeats() -> None:
    one, two = KEY.seal(ROW, b"same"), KEY.seal(ROW, b"same")
    assert one.ciphertext != two.ciphertext
    assert one.wrapped_key != two.wrapped_key


@pytest.mark.parametrize("field", ["owner", "exchange", "wallet", "row_id"])
def test_content_when_moved_to_another_row_then_refused(field: str) -> None:
    sealed = KEY.seal(ROW, b"secret")
    with pytest.raises(InvariantError, match="altered, or belongs to another row"):
        KEY.open(replace(ROW, **{field: "else"}), sealed)


def test_row_names_when_their_parts_run_together_the_same_then_still_different() -> None:
    assert RowName("a", "b", "c", "d").bound("x") != RowName("ab", "", "c", "d").bound("x")


@given(st.integers(0, 200), st.integers(0, 7), st.booleans())
def test_content_when_one_bit_is_changed_then_refused(place: int, bit: int, in_key: bool) -> None:
    sealed = KEY.seal(ROW, b"secret")
    parts = [bytearray(sealed.ciphertext), bytearray(sealed.wrapped_key)]
    target = parts[in_key]
    target[place % len(target)] ^= 1 << bit
    with pytest.raises(InvariantError):
        KEY.open(ROW, Sealed(bytes(parts[0]), bytes(parts[1])))


@pytest.mark.parametrize("cut", [0, 5, 12, 20])
def test_content_when_cut_off_then_refused(cut: int) -> None:
    sealed = KEY.seal(ROW, b"secret")
    for broken in (
        Sealed(sealed.ciphertext[:cut], sealed.wrapped_key),
        Sealed(sealed.ciphertext, sealed.wrapped_key[:cut]),
    ):
        with pytest.raises(InvariantError):
            KEY.open(ROW, broken)


def test_wrapping_when_renewed_then_only_the_new_key_opens() -> None:
    sealed = KEY.seal(ROW, b"secret")
    renewed = Sealed(sealed.ciphertext, KEY.rewrapped(ROW, sealed.wrapped_key, OTHER))
    assert OTHER.open(ROW, renewed) == b"secret"
    with pytest.raises(InvariantError):
        KEY.open(ROW, renewed)


def test_proof_when_of_another_key_then_it_proves_nothing() -> None:
    assert KEY.proves(KEY.proof())
    assert not OTHER.proves(KEY.proof())
    assert not WrappingKey("other name", b"k" * 32).proves(KEY.proof())


def test_passphrase_when_right_then_the_same_key_and_when_wrong_or_salted_otherwise_then_not() -> None:
    key = from_passphrase("k", "correct horse", b"s" * 16, CHEAP)
    assert from_passphrase("k", "correct horse", b"s" * 16, CHEAP).proves(key.proof())
    assert not from_passphrase("k", "correct horsf", b"s" * 16, CHEAP).proves(key.proof())
    assert not from_passphrase("k", "correct horse", b"t" * 16, CHEAP).proves(key.proof())
    assert not from_passphrase("k", "correct horse", b"s" * 16, replace(CHEAP, passes=2)).proves(key.proof())


def test_passphrase_when_short_then_refused_without_being_told() -> None:
    with pytest.raises(ConfigurationError, match="fewer than 12") as refusal:
        checked_passphrase("hunter2")
    assert "hunter2" not in str(refusal.value)


def test_cost_when_the_database_asks_for_all_memory_then_refused() -> None:
    with pytest.raises(InvariantError, match="key_encryption"):
        from_passphrase("k", "correct horse", b"s" * 16, replace(CHEAP, memory_kib=1 << 30))


def test_key_file_when_made_then_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    made = folder.made("k")
    file = tmp_path / "keys" / "k.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert folder.read("k").proves(made.proof())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_key_file_when_others_may_touch_it_then_refused(mode: int, tmp_path: Path) -> None:
    KeyFolder(tmp_path).made("k")
    os.chmod(tmp_path / "k.key", mode)  # noqa: PTH101 - as a shell does
    with pytest.raises(ConfigurationError, match="chmod 600"):
        KeyFolder(tmp_path).read("k")


def test_key_file_when_missing_cut_or_there_already_then_one_clear_line(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        folder.read("k")
    folder.made("k")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        folder.made("k")
    (tmp_path / "k.key").write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="5 bytes instead of 32"):
        folder.read("k")
