"""Envelope encryption (AES-256-GCM): a row has a key of its own, and one key outside the database wraps those.

What is encrypted is bound to its row by name, so that a ciphertext moved to another row does not open. The wrapping
key comes from a passphrase (argon2id, RFC 9106) or from a file that only its owner may read.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradepulse.domain.wallets import KeySource
from tradepulse.shared.errors import ConfigurationError, InvariantError

KEY_BYTES, NONCE_BYTES, SALT_BYTES = 32, 12, 16
SHORTEST_PASSPHRASE = 12
MOST_MEMORY_KIB = 1 << 20
Chance = Callable[[int], bytes]
chance: Chance = os.urandom
"""The operating system's: a key that can be made twice is none, so no test hands in another."""


@dataclass(frozen=True, slots=True)
class RowName:
    """To which row a ciphertext belongs."""

    owner: str
    exchange: str
    wallet: str
    row_id: str

    def bound(self, purpose: str) -> bytes:
        return json.dumps([purpose, self.owner, self.exchange, self.wallet, self.row_id]).encode()


@dataclass(frozen=True, slots=True)
class Sealed:
    """``wrapped_key`` is the row's own key, encrypted; both begin with their nonce."""

    ciphertext: bytes
    wrapped_key: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """Of argon2id, the second choice of RFC 9106."""

    passes: int = 3
    memory_kib: int = 64 * 1024
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class WrappingRecord:
    """What the database knows of the wrapping key: how to come by it, and a proof that it is the right one."""

    key_id: str
    source: KeySource
    proof: bytes
    salt: bytes = b""
    cost: Cost = Cost()


class WrappingKey:
    """The key that wraps the rows' keys. Never stored, never shown."""

    def __init__(self, key_id: str, key: bytes) -> None:
        self.key_id = key_id
        self._cipher = AESGCM(key)

    def seal(self, row: RowName, content: bytes) -> Sealed:
        own_key = chance(KEY_BYTES)
        return Sealed(_encrypt(AESGCM(own_key), content, row.bound("content")), self.wrapped(row, own_key))

    def open(self, row: RowName, sealed: Sealed) -> bytes:
        own_key = self._unwrap(row, sealed.wrapped_key)
        return _decrypt(AESGCM(own_key), sealed.ciphertext, row.bound("content"), row)

    def rewrapped(self, row: RowName, wrapped_key: bytes, by: "WrappingKey") -> bytes:
        return by.wrapped(row, self._unwrap(row, wrapped_key))

    def proof(self) -> bytes:
        return _encrypt(self._cipher, b"", self._proven())

    def proves(self, proof: bytes) -> bool:
        try:
            self._cipher.decrypt(proof[:NONCE_BYTES], proof[NONCE_BYTES:], self._proven())
        except InvalidTag:
            return False
        return True

    def _proven(self) -> bytes:
        return json.dumps(["proof", self.key_id]).encode()

    def wrapped(self, row: RowName, own_key: bytes) -> bytes:
        return _encrypt(self._cipher, own_key, row.bound(f"key wrapped by {self.key_id}"))

    def _unwrap(self, row: RowName, wrapped_key: bytes) -> bytes:
        return _decrypt(self._cipher, wrapped_key, row.bound(f"key wrapped by {self.key_id}"), row)


def _encrypt(cipher: AESGCM, content: bytes, bound: bytes) -> bytes:
    nonce = chance(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, bound)


def _decrypt(cipher: AESGCM, sealed: bytes, bound: bytes, row: RowName) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise InvariantError(
            f"The stored key of wallet '{row.wallet}' on {row.exchange} is not what was stored there: it was altered, "
            "or belongs to another row.",
            f"Find out who wrote to the database; then: tradepulse keys remove --wallet {row.wallet}, and add it anew.",
        ) from None


def from_passphrase(key_id: str, passphrase: str, salt: bytes, cost: Cost) -> WrappingKey:
    """Takes a noticeable moment, on purpose."""
    if cost.memory_kib > MOST_MEMORY_KIB:
        raise InvariantError(
            f"The database asks for {cost.memory_kib} KiB to try a passphrase, more than {MOST_MEMORY_KIB}.",
            "Find out who wrote to the table key_encryption.",
        )
    key = hash_secret_raw(
        passphrase.encode(), salt, cost.passes, cost.memory_kib, cost.lanes, hash_len=KEY_BYTES, type=Type.ID
    )
    return WrappingKey(key_id, key)


def checked_passphrase(passphrase: str) -> str:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise ConfigurationError(
            f"The passphrase has {len(passphrase)} characters, fewer than {SHORTEST_PASSPHRASE}.",
            "Take four or more random words.",
        )
    return passphrase


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Where wrapping keys lie as files, one per key: readable by their owner alone."""

    folder: Path

    def made(self, key_id: str) -> WrappingKey:
        key = chance(KEY_BYTES)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._file(key_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"The key file {self._file(key_id)} cannot be written: {error.strerror}.",
                "Give this account the right to write there, or set keys.folder elsewhere.",
            ) from None
        return WrappingKey(key_id, key)

    def read(self, key_id: str) -> WrappingKey:
        file = self._file(key_id)
        try:
            mode, key = file.stat().st_mode, file.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"The key file {file} cannot be read ({error.strerror}), and without it no stored exchange key opens.",
                "Restore it from your backup, or remove the keys and add them anew.",
            ) from None
        if mode & 0o077:
            raise ConfigurationError(
                f"The key file {file} has the mode {mode & 0o777:04o}: others than its owner may read it.",
                f"Run: chmod 600 {file}",
            )
        if len(key) != KEY_BYTES:
            raise ConfigurationError(
                f"The key file {file} has {len(key)} bytes instead of {KEY_BYTES}.", "Restore it from your backup."
            )
        return WrappingKey(key_id, key)

    def drop(self, key_id: str) -> None:
        self._file(key_id).unlink(missing_ok=True)

    def _file(self, key_id: str) -> Path:
        return self.folder / f"{key_id}.key"
