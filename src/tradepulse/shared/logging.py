"""Structured logs on the standard library: text for people, JSON for machines, secrets for nobody.

Write ``log.info("candles stored", extra={"series": ..., "rows": ...})``: a fixed message, with the facts beside it.
"""

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from tradepulse.shared.secrets import Redactor
from tradepulse.shared.settings import LoggingSettings

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CHATTY = (
    "asyncio", "numba", "ccxt", "urllib3", "websockets", "aiohttp.access", "alembic", "psycopg.pool", "procrastinate",
)  # fmt: skip


def configure_logging(settings: LoggingSettings, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every log of the process to one handler, redacted. Calling it again replaces the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(RedactingFormatter(Redactor(secrets), as_json=settings.format == "json"))
    root = logging.getLogger()
    for former in list(root.handlers):
        if isinstance(former.formatter, RedactingFormatter):
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(settings.level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class RedactingFormatter(logging.Formatter):
    """Redacts last, on the finished line, so that arguments, extra facts and exception texts are covered."""

    def __init__(self, redact: Redactor, *, as_json: bool) -> None:
        super().__init__()
        self._redact = redact
        self._line = self._json_line if as_json else self._text_line

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._line(record))

    def _text_line(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in _facts(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{facts}"
        exception = self._exception(record)
        return f"{line}\n{exception}" if exception else line

    def _json_line(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        exception = self._exception(record)
        if exception:
            line["exception"] = exception
        return json.dumps(line, default=str, ensure_ascii=False)

    def _exception(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
