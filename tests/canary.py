"""Keys that open nothing and must never be seen: whatever a test wrote, answered or stored is searched for them.

    canaries = Canaries.released()
    with canaries.watched() as seen:
        ...            # everything that goes wrong
        seen.add("the error", error)
    # leaving the block fails where a canary, or a piece of one, can be read

What is logged meanwhile is seen by itself: through the handlers of the application and through one of a library that
knows nothing of redaction.

``no_canary_is_seen`` does it for every test of a module or folder that has it: the keys of the local exchanges are the
canaries, and what is searched is every log, every error of ours with its causes, standard output and error output, and
what tests hand to ``show``.
"""

import base64
import io
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest
import trustme
from psycopg import sql
from tests.local_exchanges.running import ISSUED

from tradepulse.shared.errors import TradePulseError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import LoggingSettings

PIECE = 16
"""As few characters of a secret, in any of its forms, count as seen."""


@dataclass(frozen=True)
class Canaries:
    credentials: Credentials

    @classmethod
    def released(cls, exchange: str = "") -> "Canaries":
        """Known to the redaction from now on, as keys are that were opened for a connection."""
        if exchange == "coinbase":
            return cls(
                Credentials(
                    api_key="organizations/canary-9f31c5/apiKeys/c0ffee-canary-id",
                    secret=trustme.CA().private_key_pem.bytes().decode(),
                )
            )
        return cls(
            Credentials(
                api_key="CanaryKey/7Qx+Vd2mZp4Ls9Tn8Wb3",
                # Base64, because some exchanges want it so.
                secret=base64.b64encode(b"canary secret: +/?& \xff\xfe sings in the mine").decode(),
                password='canary passphrase & =%/ "quoted"',
            )
        )

    def found_in(self, text: str) -> list[str]:
        return [name for name, form in self._forms() if _shares_a_piece(form, text)]

    def _forms(self) -> Iterator[tuple[str, str]]:
        for number, secret in enumerate(self.credentials.texts()):
            for line in [one for one in secret.splitlines() if not one.startswith("-----")]:
                raw = line.encode()
                yield f"canary {number}", line
                yield f"canary {number} in a URL", quote(line, safe="")
                yield f"canary {number} in a form", quote_plus(line)
                yield f"canary {number} in hexadecimal", raw.hex()
                for offset in range(3):
                    # The last letters depend on what follows the secret.
                    encoded = base64.b64encode(b"-" * offset + raw).decode().rstrip("=")
                    yield f"canary {number} in base64", encoded[(offset * 8 + 5) // 6 : -1]

    @contextmanager
    def watched(self) -> Iterator["Seen"]:
        with watched_by(lambda: [self]) as seen:
            yield seen


@dataclass
class Seen:
    """Everything that a person, a file or a table could have got to see."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, *things: object) -> None:
        for thing in things:
            self.texts += [(f"{where} ({type(thing).__name__})", text) for text in (str(thing), repr(thing))]
            if isinstance(thing, BaseException):
                chain = "".join(traceback.format_exception(thing))
                logging.getLogger("tradepulse.canary").error("it failed: %s", thing, exc_info=thing)
                logging.getLogger("somebody.else").error(chain)

    def logged(self, where: str) -> str:
        return next(text for name, text in self.texts if name.startswith(f"the log of {where}"))


@contextmanager
def _every_log() -> Iterator[dict[str, io.StringIO]]:
    """All that is logged, at the most talkative level, libraries that log keys included."""
    streams = {name: io.StringIO() for name in ("the application", "another library")}
    root = logging.getLogger()
    before, level, factory = list(root.handlers), root.level, logging.getLogRecordFactory()
    talkative = [logging.getLogger(name) for name in ("ccxt", "ccxt.base.exchange", "aiohttp.client")]
    levels = [one.level for one in talkative]
    try:
        configure_logging(LoggingSettings(level="DEBUG"), (), streams["the application"])
        root.addHandler(logging.StreamHandler(streams["another library"]))
        for one in talkative:
            one.setLevel(logging.DEBUG)
        yield streams
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.setLogRecordFactory(factory)
        for one, former in zip(talkative, levels, strict=True):
            one.setLevel(former)


def _shares_a_piece(form: str, text: str) -> bool:
    size = min(PIECE, len(form))
    # Whoever shares a piece shares one of these halves, and they are fewer.
    half = max(1, size // 2)
    if size == PIECE and not any(form[start : start + half] in text for start in range(0, len(form) - half + 1, half)):
        return False
    return any(form[start : start + size] in text for start in range(len(form) - size + 1))


@contextmanager
def watched_by(canaries: Callable[[], Iterable[Canaries]]) -> Iterator[Seen]:
    """``canaries`` is asked at the end, when it is known which there were."""
    seen = Seen()
    with _every_log() as streams:
        yield seen
        for name, stream in streams.items():
            seen.add(f"the log of {name}", stream.getvalue())
    everything = "\n".join(text for _, text in seen.texts)
    found = [each for each in canaries() if each.found_in(everything)]
    leaks = [f"{name} in {where}" for where, text in seen.texts for each in found for name in each.found_in(text)]
    assert not leaks, sorted(set(leaks))


_shown: list[Seen] = []


def show(where: str, *things: object) -> None:
    """What a person, a file or a table could get to see of it is searched too, if anybody searches now."""
    for seen in _shown:
        seen.add(where, *things)


@pytest.fixture(autouse=True)
def no_canary_is_seen(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    before, errors, make = len(ISSUED), list[TradePulseError](), TradePulseError.__init__

    def noted(self: TradePulseError, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        errors.append(self)

    with watched_by(lambda: [Canaries(keys.credentials()) for keys in ISSUED[before:]]) as seen:
        monkeypatch.setattr(TradePulseError, "__init__", noted)
        _shown.append(seen)
        try:
            yield
        finally:
            _shown.remove(seen)
        monkeypatch.undo()
        seen.add("an error", *errors)
        written = capfd.readouterr()
        seen.add("standard output", written.out)
        seen.add("error output", written.err)


def everything_stored(url: str) -> dict[str, str]:
    """Every column of every table of a database, as text, by table."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        return {
            f"{schema}.{table}": str(
                connection.execute(sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))).fetchall()
            )
            for schema, table in tables
        }
