"""Passwords by argon2id, and tokens that are kept as their hash only."""

import hashlib
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

TOKEN_BYTES = 32
_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""argon2id, 3 passes, 64 MiB, 4 lanes."""


def hashed_password(password: str) -> str:
    """Takes a noticeable moment, on purpose."""
    return _hasher.hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """``None``: there is no such user, which must not be told by answering sooner."""
    try:
        return _hasher.verify(password_hash or _nobodys(), password) and password_hash is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


def hash_is_outdated(password_hash: str) -> bool:
    return _hasher.check_needs_rehash(password_hash)


@cache
def _nobodys() -> str:
    return hashed_password(new_token())


def new_token() -> str:
    """256 bits, fit for a URL."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """A token is random, so one pass is enough to keep it from being read out of the database."""
    return hashlib.sha256(token.encode()).hexdigest()
