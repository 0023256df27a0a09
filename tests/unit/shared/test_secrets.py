"""Secrets that are known are hidden in every form in which a program writes them."""

import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError, TransientError
from tradepulse.shared.secrets import HIDDEN, Credentials, Redactor, register_secrets, scrub, told

SECRET = "s1ngular/Secret+with=Every&thing 4242"


@pytest.fixture(autouse=True)
def known() -> None:
    register_secrets([SECRET])


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        urlencode({"x": SECRET}),
        quote(SECRET, safe="").lower(),
        json.dumps({"x": SECRET}),
        repr([SECRET]),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_known_secret_when_written_in_any_form_then_hidden(written: str) -> None:
    shown = scrub(f"before {written} after")
    assert written not in shown
    assert HIDDEN in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@given(st.binary(max_size=9), st.binary(max_size=9), st.text(min_size=16, max_size=40))
def test_known_secret_when_in_the_middle_of_something_in_base64_then_none_of_its_own_letters_stay(
    before: bytes, after: bytes, secret: str
) -> None:
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    whole = len(encoded.rstrip("=")) - len(Redactor([secret])(encoded).replace(HIDDEN, "").rstrip("="))
    assert whole >= len(secret.encode()) * 8 // 6 - 2


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.binance.com/api/v3/account?timestamp=1&signature=abcdef0123456789abcdef",
        "{'X-MBX-APIKEY': 'abcdef0123456789abcdef', 'Content-Type': 'x'}",
        '{"KC-API-KEY": "abcdef0123456789abcdef"}',
        "OK-ACCESS-SIGN: abcdef0123456789abcdef",
        "apiKey=abcdef0123456789abcdef",
        "{'API-Sign': 'abcdef0123456789abcdef'}",
        "{'KEY': 'abcdef0123456789abcdef', 'SIGN': 'abcdef0123456789abcdef'}",
        "Authorization: Bearer abcdef0123456789abcdef",
        "-----BEGIN EC PRIVATE KEY-----\nabcdef0123456789abcdef\n-----END EC PRIVATE KEY-----",
    ],
)
def test_signed_request_when_its_secrets_are_not_known_then_what_signs_it_is_hidden(text: str) -> None:
    assert "abcdef0123456789abcdef" not in scrub(text)


@pytest.mark.parametrize("text", ["a signal=buy was assigned", "the key 'limit' of BTC/USDT", "design: 12345678 lots"])
def test_text_when_nothing_is_secret_then_it_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("kind", [ConfigurationError, TransientError, RefusedError, InvariantError])
def test_error_of_ours_when_made_from_words_with_a_secret_then_it_has_none(kind: type[ConfigurationError]) -> None:
    error = kind(f"binance GET https://x?signature={'ab' * 32} {SECRET}", f"Do not use {SECRET}.")
    for text in (str(error), repr(error), error.problem, error.remedy, *map(str, error.args)):
        assert SECRET not in text
        assert "ab" * 32 not in text


@given(st.text(min_size=8, max_size=30), st.lists(st.sampled_from([json.dumps, repr]), max_size=3))
def test_known_secret_when_quoted_and_quoted_again_then_hidden(
    secret: str, quoting: list[Callable[[str], str]]
) -> None:
    written = secret
    for quote_again in quoting:
        written = quote_again(written)
    shown = Redactor([secret])(f"<{written}>")
    assert HIDDEN in shown
    assert len(shown) <= len(HIDDEN) + 2 + 2 * 2**4


def test_error_of_others_when_told_then_scrubbed_before_it_is_cut() -> None:
    assert SECRET[:8] not in told(ValueError("x" * 195 + SECRET))


def test_credentials_when_made_then_known_and_never_shown() -> None:
    given = Credentials(api_key="an-api-key-nobody-knows-1", secret="the-secret-of-it-1", password="its-passphrase-1")
    for text in (repr(given), str(given), given.model_dump_json(), f"{given.secret}", repr(given.model_dump())):
        assert not [one for one in given.texts() if one in text]
    assert scrub(" ".join(given.texts())) == " ".join([HIDDEN] * 3)
    assert given.last_four == "ws-1"


def test_log_of_a_library_when_it_holds_a_known_secret_then_hidden_by_any_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from tests.canary import Canaries

    canaries = Canaries.released()
    with canaries.watched() as seen:
        logging.getLogger("somebody.else").warning("sent %s with %s", *canaries.credentials.texts()[:2])
        try:
            raise ValueError(canaries.credentials.texts()[1])
        except ValueError:
            logging.getLogger("somebody.else").exception("and it failed", stack_info=True)
    assert HIDDEN in seen.logged("another library")


def test_canaries_when_one_is_seen_then_the_test_fails() -> None:
    from tests.canary import Canaries

    canaries = Canaries.released()
    for form in (canaries.credentials.texts()[1], base64.b64encode(canaries.credentials.texts()[0].encode()).decode()):
        with pytest.raises(AssertionError, match="canary"), canaries.watched() as seen:
            seen.texts.append(("a table", f"{form[:30]}..."))


def test_redaction_when_a_secret_contains_another_then_it_vanishes_whole() -> None:
    assert Redactor(["inner-secret", "outer-inner-secret-outer"])("x outer-inner-secret-outer y") == f"x {HIDDEN} y"
