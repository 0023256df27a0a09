"""This installation: its version, its configuration, and the doctor, who says how to mend what is not right."""

import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import typer
from rich.text import Text

import tradepulse
from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.errors import ConfigurationError, TradePulseError
from tradepulse.shared.settings import Settings, settings_table, unused_service_keys

OLDEST_PYTHON = (3, 11)
LEAST_FREE_GIBIBYTES = 2.0
NOT_BEFORE = 1_767_225_600_000
"""2026-01-01 UTC: a clock before this version was made is wrong."""


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    state: State
    check: str
    finding: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)
    app.command("show-config")(show_config)
    app.command("version")(version)


def doctor(as_json: AsJson = False) -> None:
    """Check everything and say how to mend it. Ends with exit code 2 when something fails."""
    findings = run(examine())
    if as_json:
        show_json([finding.as_json() for finding in findings])
    else:
        show_table(["state", "check", "finding", "how to mend it"], (_row(finding) for finding in findings))
    failed = [finding.check for finding in findings if finding.state is State.FAIL]
    if failed:
        raise ConfigurationError(f"These checks failed: {', '.join(failed)}.", "Do what stands beside them.")
    if not as_json:
        show_line("")
        show_line("Everything that must work works.")


def _row(finding: Finding) -> tuple[object, ...]:
    return Text(finding.state, style=COLOURS[finding.state]), finding.check, finding.finding, finding.remedy


async def examine() -> list[Finding]:
    findings = list(_machine())
    try:
        settings = settings_for_command()
    except ConfigurationError as error:
        return [*findings, Finding(State.FAIL, "settings", error.problem, error.remedy)]
    findings.append(Finding(State.OK, "settings", f"{settings.trading.mode} trading on '{settings.exchange}'"))
    findings += _surroundings(settings)
    if not any(finding.state is State.FAIL and finding.check == "data directory" for finding in findings):
        findings += [finding async for finding in _database(settings)]
    return findings


def _machine() -> Iterator[Finding]:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding(State.FAIL, "Python", f"{version} is too old", "Install Python 3.11 or newer.")
    else:
        yield Finding(State.OK, "Python", version)
    now = SystemClock().now()
    shown = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if now < NOT_BEFORE:
        yield Finding(State.FAIL, "clock", f"shows {shown}", "Set this machine's clock (NTP).")
    else:
        yield Finding(State.OK, "clock", shown)
    yield _numba_cache()


def _numba_cache() -> Finding:
    kernels = Path(tradepulse.__file__).parent / "kernels"
    if _writable(kernels):
        return Finding(State.OK, "compiled kernels", f"are kept beside {kernels}")
    return Finding(
        State.WARN,
        "compiled kernels",
        f"{kernels} is read-only: they may be compiled anew at every start",
        "Set NUMBA_CACHE_DIR to a folder that this account may write.",
    )


def _surroundings(settings: Settings) -> Iterator[Finding]:
    yield from _data_directory(settings.data_directory)
    yield _port(settings)
    yield _dashboard()
    unused = unused_service_keys()
    if unused:
        yield Finding(State.OK, "keys", f"{', '.join(unused)}: set, and not needed in this version")


def _data_directory(directory: Path) -> Iterator[Finding]:
    above = next((folder for folder in (directory, *directory.parents) if folder.exists()), Path("/"))
    if not above.is_dir():
        yield Finding(State.FAIL, "data directory", f"{above} is a file", "Move it, or set TRADEPULSE__DATA_DIRECTORY.")
        return
    if not _writable(above):
        yield Finding(
            State.FAIL,
            "data directory",
            f"{above} may not be written by this account",
            "Correct its permissions, or set TRADEPULSE__DATA_DIRECTORY.",
        )
        return
    yield Finding(State.OK, "data directory", str(directory))
    free = shutil.disk_usage(above).free / 2**30
    if free < LEAST_FREE_GIBIBYTES:
        yield Finding(State.WARN, "free disk", f"{free:.1f} GiB", f"Free at least {LEAST_FREE_GIBIBYTES:.0f} GiB.")
    else:
        yield Finding(State.OK, "free disk", f"{free:.0f} GiB")


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _port(settings: Settings) -> Finding:
    host, port = settings.api.host, settings.api.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError as error:
            if _is_ours(host, port):
                return Finding(State.OK, "port", f"TradePulse IQ runs on {host}:{port}")
            reason = error.strerror or str(error)
            return Finding(State.FAIL, "port", f"{host}:{port}: {reason}", "Set TRADEPULSE__API__PORT to a free one.")
    return Finding(State.OK, "port", f"{host}:{port} is free")


def _is_ours(host: str, port: int) -> bool:
    try:
        with urlopen(f"http://{host}:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False


def _dashboard() -> Finding:
    page = Path(tradepulse.__file__).parent / "api" / "static" / "index.html"
    if page.exists():
        return Finding(State.OK, "dashboard", "is built")
    return Finding(State.WARN, "dashboard", "is not built", "make dashboard")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    from tradepulse import bootstrap

    embedded = settings.data_directory / "postgres"
    if settings.database.url is None and not embedded.exists():
        yield Finding(State.OK, "database", f"embedded PostgreSQL, made in {embedded} at the first start")
        return
    try:
        pending = await bootstrap.sync_database_schema(settings, dry_run=True)
    except TradePulseError as error:
        yield Finding(State.FAIL, "database", error.problem, error.remedy)
        return
    if pending:
        yield Finding(State.OK, "database", "is reachable")
        yield Finding(State.WARN, "schema", f"is {len(pending)} statements behind", "tradepulse db sync")
        return
    async with bootstrap.open_application(settings) as app:
        yield Finding(State.OK, "database", app.database_label)
        yield await _schema(settings)
        coverage = await app.candles.coverage()
        missing = [f"{entry.series} misses {entry.missing:,}" for entry in coverage if entry.missing]
        if missing:
            yield Finding(State.WARN, "candles", "; ".join(missing[:5]), "tradepulse download-data for those series")
        else:
            yield Finding(State.OK, "candles", f"{len(coverage)} series without gaps")


async def _schema(settings: Settings) -> Finding:
    from tradepulse import bootstrap

    try:
        drift = await bootstrap.drift_of_schema(settings)
    except ConfigurationError as error:
        return Finding(State.WARN, "schema", f"is current; drift was not looked for: {error.problem}", error.remedy)
    if drift:
        found = f"was changed by hand; {len(drift)} statements mend it"
        return Finding(State.WARN, "schema", found, "tradepulse db sync --dry-run")
    return Finding(State.OK, "schema", "is current, pgvector included")


def show_config(as_json: AsJson = False) -> None:
    """Show every setting, its value (secrets hidden) and where it comes from."""
    rows = list(settings_table(settings_for_command()))
    if as_json:
        show_json({name: {"value": value, "from": place} for name, value, place in rows})
        return
    readable = [(name, _readable(value), place) for name, value, place in rows]
    show_table(["setting", "value", "from"], readable)


def _readable(value: object) -> str:
    if value is None:
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def version(as_json: AsJson = False) -> None:
    """Show the versions of TradePulse IQ and of Python."""
    if as_json:
        show_json({"tradepulse": tradepulse.__version__, "python": platform.python_version()})
        return
    show_line(f"TradePulse IQ {tradepulse.__version__} (Python {platform.python_version()})")
