"""Logs: structured, and empty of secrets whatever way they came in."""

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.shared.logging import configure_logging
from tradepulse.shared.secrets import Redactor
from tradepulse.shared.settings import LoggingSettings

Written = Callable[[], str]


@pytest.fixture
def log_to() -> Iterator[Callable[[str], Written]]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level

    def start(style: str) -> Written:
        stream = io.StringIO()
        configure_logging(LoggingSettings.model_validate({"format": style}), ["tops3cret"], stream)
        return stream.getvalue

    yield start
    root.handlers[:] = before
    root.setLevel(level)


def test_log_when_format_is_json_then_one_object_per_line_with_the_facts_beside(
    log_to: Callable[[str], Written],
) -> None:
    written = log_to("json")
    logging.getLogger("tradepulse.storage").info("candles stored", extra={"rows": 3})
    line = json.loads(written())
    assert (line["message"], line["rows"], line["level"], line["logger"]) == (
        "candles stored",
        3,
        "INFO",
        "tradepulse.storage",
    )


@pytest.mark.parametrize("style", ["text", "json"])
def test_log_when_a_secret_comes_by_message_argument_fact_or_exception_then_it_is_hidden(
    style: str, log_to: Callable[[str], Written]
) -> None:
    written = log_to(style)
    log = logging.getLogger("tradepulse.any")
    log.warning(
        "password=tops3cret and %s", "tops3cret", extra={"api_key": "k1234567", "dsn": "postgresql://me:pw9@here/db"}
    )
    try:
        raise ValueError("connection to postgresql://me:pw9@here failed for tops3cret")
    except ValueError:
        log.exception("it failed")
    for secret in ("tops3cret", "k1234567", "pw9"):
        assert secret not in written()
    assert "it failed" in written()
    assert "ValueError" in written()


def test_logging_when_configured_twice_then_each_line_is_written_once(log_to: Callable[[str], Written]) -> None:
    log_to("text")
    written = log_to("text")
    logging.getLogger("tradepulse.any").info("once")
    assert written().count("once") == 1


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef1234567890",
        "token=abcdef1234567890",
        '{"refresh_token": "abcdef1234567890"}',
        "postgresql://me:abcdef1234567890@here:5432/db",
        "OPENAI_API_KEY=abcdef1234567890",
        "got eyJabcdefghij.abcdef1234567890.abcdef1234567890",
    ],
)
def test_redaction_when_text_looks_like_a_secret_then_it_is_hidden(text: str) -> None:
    assert "abcdef1234567890" not in Redactor()(text)


@given(st.text(min_size=4), st.text(), st.text())
def test_redaction_when_a_known_secret_stands_anywhere_then_it_is_gone(secret: str, before: str, after: str) -> None:
    shown = Redactor([secret])(f"{before}{secret}{after}")
    assert secret not in shown or secret in "**********" or secret in before + "**********" + after


@pytest.mark.parametrize("text", ["BTC/USDT 1m stored 3 rows", "http://127.0.0.1:8000/docs", "2026-01-01T00:00:00Z"])
def test_redaction_when_nothing_is_secret_then_the_text_stays(text: str) -> None:
    assert Redactor()(text) == text


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_ccxt_when_the_application_is_at_its_most_talkative_then_it_logs_no_requests(level: str) -> None:
    root = logging.getLogger()
    before, was = list(root.handlers), root.level
    try:
        configure_logging(LoggingSettings.model_validate({"level": level}), (), io.StringIO())
        assert not logging.getLogger("ccxt.base.exchange").isEnabledFor(logging.INFO)
    finally:
        root.handlers[:] = before
        root.setLevel(was)
