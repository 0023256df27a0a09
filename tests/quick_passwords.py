"""Hashing as it is, but cheap: a test of the parameters themselves is in ``tests/unit/shared/test_passwords.py``."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from tradepulse.shared import passwords


@pytest.fixture(autouse=True, scope="module")
def quick_passwords() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()
