"""What is configured, and which version runs."""

import platform

import typer

import tradepulse
from tradepulse.cli.options import AsJson, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table
from tradepulse.shared.settings import settings_table


def register(app: typer.Typer) -> None:
    app.command("show-config")(show_config)
    app.command("version")(version)


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
