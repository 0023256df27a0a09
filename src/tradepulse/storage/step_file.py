"""Steps of one book in a file, for as long as the database is away: appended, on the disk before anything is sent."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from tradepulse.domain.commands import Command
from tradepulse.domain.events import EngineEvent
from tradepulse.ports import StepRecord
from tradepulse.shared.errors import ConfigurationError

_EVENTS = {kind.__name__: TypeAdapter[Any](kind) for kind in get_args(EngineEvent)}
_COMMANDS = {kind.__name__: TypeAdapter[Any](kind) for kind in get_args(Command)}


class StepFile:
    """One line of JSON per step. A last line that a kill cut off is no step: nothing of it was sent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: StepRecord) -> None:
        """On the disk when it returns, the file's name too."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with os.fdopen(descriptor, "ab", closefd=False) as file:
                file.write(_line(record))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            self._sync_folder()

    def records(self) -> list[StepRecord]:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        return [self._record(number, line) for number, line in enumerate(whole.splitlines(), 1)]

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        if self.path.parent.exists():
            self._sync_folder()

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _record(self, number: int, line: bytes) -> StepRecord:
        try:
            read = json.loads(line)
            return StepRecord(
                read["book"],
                read["sequence"],
                read["time"],
                tuple(_restored(read["events"], _EVENTS)),
                tuple(_restored(read["commands"], _COMMANDS)),
                read["snapshot"],
            )
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise ConfigurationError(
                f"Line {number} of {self.path} is not a step as this version writes it ({type(error).__name__}).",
                "Start the version that wrote it once, so that it goes into the database; or restore the file.",
            ) from None


def _line(record: StepRecord) -> bytes:
    written = {
        "book": record.book,
        "sequence": record.sequence,
        "time": record.time,
        "events": _plain(record.events, _EVENTS),
        "commands": _plain(record.commands, _COMMANDS),
        "snapshot": record.snapshot,
    }
    return json.dumps(written, separators=(",", ":")).encode() + b"\n"


def _plain(things: Sequence[Any], adapters: dict[str, TypeAdapter[Any]]) -> list[list[Any]]:
    named = [(type(thing).__name__, thing) for thing in things]
    return [[name, adapters[name].dump_python(thing, mode="json")] for name, thing in named]


def _restored(written: list[list[Any]], adapters: dict[str, TypeAdapter[Any]]) -> Iterator[Any]:
    for name, plain in written:
        yield adapters[name].validate_python(plain)
