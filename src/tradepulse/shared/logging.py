"""Structured logs on the standard library: text for people, JSON for machines, secrets for nobody.

ccxt writes keys and signed requests at DEBUG, so it is never asked for more than warnings.

Write ``log.info("candles stored", extra={"series": ..., "rows": ...})``: a fixed message, with the facts beside it.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from tradepulse.shared.secrets import Redactor
from tradepulse.shared.settings import LoggingSettings

_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_CHATTY = (
    "asyncio", "numba", "ccxt", "urllib3", "websockets", "aiohttp.access", "alembic", "psycopg.pool", "procrastinate",
)  # fmt: skip


_CONTEXT = "logged_with"
_context: ContextVar[Mapping[str, str]] = ContextVar("logged_with", default={})  # noqa: B039 - never changed in place


@contextmanager
def logged_with(**facts: str) -> Iterator[None]:
    """Every line that is logged meanwhile, here and in tasks begun here, carries these facts too."""
    token = _context.set({**_context.get(), **facts})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging(settings: LoggingSettings, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every log of the process to one handler, redacted. Calling it again replaces the handler."""
    redact = Redactor(secrets)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(RedactingFormatter(redact, as_json=settings.format == "json"))
    _guard_records(redact)
    root = logging.getLogger()
    for former in list(root.handlers):
        if isinstance(former.formatter, RedactingFormatter):
            root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(settings.level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class RecordGuard:
    """Makes every record of the process without secrets, so that handlers of others (a library's, a later one) are
    covered too. Facts given as ``extra`` are set on the record afterwards: only our formatter shows them.
    """

    def __init__(self, make: Callable[..., logging.LogRecord], redact: Redactor) -> None:
        self.make = make
        self._redact = redact

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self.make(*arguments, **named)
        # Taken now: a handler may format the record elsewhere.
        setattr(record, _CONTEXT, _context.get())
        self._clean(record)
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = self._redact(logging.Formatter().formatException(record.exc_info))
        if record.stack_info:
            record.stack_info = self._redact(record.stack_info)
        return record

    def _clean(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit their text: the handler says so, and shows both.
            message = f"{record.msg} {record.args}"
        clean = self._redact(message)
        if clean != message:
            record.msg, record.args = clean, ()


def _guard_records(redact: Redactor) -> None:
    make = logging.getLogRecordFactory()
    logging.setLogRecordFactory(RecordGuard(make.make if isinstance(make, RecordGuard) else make, redact))


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
    own = {name: value for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES}
    return {**getattr(record, _CONTEXT, {}), **{name: value for name, value in own.items() if name != _CONTEXT}}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
