import base64
import json
from typing import Any

import jwt
import pytest

from tradepulse.api.tokens import AccessTokens, InvalidTokenError, joined_key, split_key
from tradepulse.domain.users import Role, Session, User
from tradepulse.shared.clock import ManualClock

KEY = bytes(range(32))
NOW = 1_700_000_000_000
USER = User("u1", "Ada", Role.ADMIN, "hash", NOW)
SESSION = Session("s1", "u1", "127.0.0.1", "test", NOW, NOW, NOW + 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def tokens(clock: ManualClock) -> AccessTokens:
    return AccessTokens(KEY, clock, minutes=10)


def claims(tokens: AccessTokens, **changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = jwt.decode(tokens.issue(USER, SESSION).text, options={"verify_signature": False})
    return {name: value for name, value in {**told, **changes}.items() if value is not None}


def test_token_when_issued_then_it_names_its_session_until_it_expires(tokens: AccessTokens, clock: ManualClock) -> None:
    issued = tokens.issue(USER, SESSION)
    assert issued.expires_at == NOW + 600_000
    assert tokens.session_of(issued.text) == "s1"
    clock.advance_to(NOW + 599_999)
    assert tokens.session_of(issued.text) == "s1"
    clock.advance_to(NOW + 600_000)
    with pytest.raises(InvalidTokenError):
        tokens.session_of(issued.text)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"typ": "refresh"},
        {"nbf": NOW // 1000 + 1},
        {"exp": "soon"},
        *({name: None} for name in ("exp", "iat", "nbf", "iss", "aud", "jti", "sub", "sid", "typ")),
    ],
    ids=str,
)
def test_token_when_a_claim_is_wrong_or_missing_then_refused(tokens: AccessTokens, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidTokenError):
        tokens.session_of(jwt.encode(claims(tokens, **changes), KEY, "HS256"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_token_when_signed_by_another_algorithm_then_refused(tokens: AccessTokens, algorithm: str) -> None:
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        signed = jwt.encode(claims(tokens), KEY, algorithm)
    with pytest.raises(InvalidTokenError):
        tokens.session_of(signed)


def test_token_when_not_signed_at_all_then_refused(tokens: AccessTokens) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    for name in ("none", "None", "HS256"):
        with pytest.raises(InvalidTokenError):
            tokens.session_of(f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims(tokens))}.")


def test_token_when_signed_by_another_key_or_altered_then_refused(tokens: AccessTokens) -> None:
    head, body, signature = tokens.issue(USER, SESSION).text.split(".")
    other = jwt.encode(claims(tokens), bytes(32), "HS256")
    for text in (other, f"{head}.{body[:-2]}AA.{signature}", f"{head}.{body}.{signature[:-4]}AAAA", "", "a.b.c"):
        with pytest.raises(InvalidTokenError):
            tokens.session_of(text)


def test_signing_key_when_short_then_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        AccessTokens(bytes(31), clock, minutes=10)


def test_key_for_scripts_comes_apart_as_it_was_joined() -> None:
    assert split_key(joined_key("id", "se_cr-et")) == ("id", "se_cr-et")
    assert [split_key(text) for text in ("tpk_id", "tpk__x", "other_id_secret", "")] == [None] * 4
