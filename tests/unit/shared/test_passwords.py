import re
import time

from argon2 import PasswordHasher

from tradepulse.shared.passwords import hash_is_outdated, hashed_password, new_token, password_fits, token_hash

PASSWORD = "four random words"


def test_password_is_hashed_by_argon2id_with_memory_and_passes_enough() -> None:
    hashed = hashed_password(PASSWORD)
    found = re.match(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$", hashed)
    assert found is not None
    assert int(found[1]) >= 19 * 1024
    assert int(found[2]) >= 2
    assert password_fits(PASSWORD, hashed)
    assert not password_fits("another", hashed)
    assert not password_fits(PASSWORD, "no hash at all")
    assert hashed != hashed_password(PASSWORD)
    assert not hash_is_outdated(hashed)
    assert hash_is_outdated(PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD))


def test_password_of_nobody_takes_as_long_as_that_of_somebody() -> None:
    hashed = hashed_password(PASSWORD)
    password_fits("warm up", None)

    def fastest(password_hash: str | None) -> float:
        spent = []
        for _ in range(3):
            began = time.perf_counter()
            assert not password_fits("wrong", password_hash)
            spent.append(time.perf_counter() - began)
        return min(spent)

    somebody, nobody = fastest(hashed), fastest(None)
    # Machines are busy; a look-up alone would take a thousandth.
    assert nobody > somebody / 4


def test_tokens_differ_and_are_long() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 43
    assert len(token_hash("x")) == 64
