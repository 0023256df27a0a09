"""Where settings come from: names and values of the environment, ``config/.env`` and ``tradepulse.toml``."""

import difflib
import io
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from tradepulse.shared.errors import ConfigurationError

PREFIX = "TRADEPULSE__"
SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One place with settings: nested values, and for each setting's path the name it was written under."""

    place: str
    values: dict[str, Any] = field(default_factory=dict)
    names: dict[SettingPath, str] = field(default_factory=dict)

    def put(self, path: SettingPath, name: str, value: str) -> None:
        section = self.values
        for key in path[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                break
        if not isinstance(section, dict) or isinstance(section.get(path[-1]), dict):
            raise ConfigurationError(
                f"'{name}' in {self.place} sets a value and a section of the same name.", "Remove one of the two."
            )
        self.names[path] = name
        section[path[-1]] = value


def environment_source(environment: Mapping[str, str], plain_names: Mapping[str, SettingPath]) -> SettingSource:
    """Names of other programs are left alone; an empty value counts as not set."""
    source = SettingSource("the environment")
    for name, path in plain_names.items():
        if environment.get(name):
            source.put(path, name, environment[name])
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and environment[name]:
            source.put(_path_of(name), name, environment[name])
    return source


def dotenv_source(file: Path, plain_names: Mapping[str, SettingPath]) -> SettingSource:
    """``NAME=value`` lines. The file is ours alone, so a name nobody knows is kept, to be refused later.

    Keys of exchanges and services (``KRAKEN_API_KEY`` and their like) may stand here; nothing reads them yet.
    """
    source = SettingSource(str(file))
    for binding in parse_stream(io.StringIO(_read(file))):
        if binding.error:
            raise ConfigurationError(
                f"Line {binding.original.line} of {file} is not NAME=value.",
                "Write one NAME=value per line; put values with spaces in quotes.",
            )
        name, value = binding.key, binding.value
        if name is None or not value or is_service_key(name):
            continue
        path = _path_of(name) if name.upper().startswith(PREFIX) else plain_names.get(name, (name,))
        source.put(path, name, value)
    return source


def toml_source(file: Path) -> SettingSource:
    try:
        values = tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}.", "Correct that line.") from None
    return SettingSource(str(file), values, {path: ".".join(path) for path in _leaves(values)})


def is_service_key(name: str) -> bool:
    return name.upper().endswith(("_API_KEY", "_API_SECRET", "_API_PASSPHRASE"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a mistyped one, if any is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def _path_of(name: str) -> SettingPath:
    return tuple(name[len(PREFIX) :].lower().split("__"))


def _leaves(values: Mapping[str, Any], above: SettingPath = ()) -> Iterable[SettingPath]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.", "Correct its permissions or encoding.") from None
