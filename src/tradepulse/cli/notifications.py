"""Who is told of trading: trying whether they hear it."""

import typer

from tradepulse.cli.options import AsJson, settings_for_command
from tradepulse.cli.screen import show_json, show_line
from tradepulse.core.notices import Level, Notice
from tradepulse.shared.errors import ConfigurationError, TransientError


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_notifications)
    group.command("test")(send_test)
    app.add_typer(group, name="notifications", help="Who is told of trading.")


def _notifications() -> None:
    """Who is told of trading."""


def send_test(as_json: AsJson = False) -> None:
    """Send a critical test notice to every URL of the settings, at any hour."""
    from tradepulse import bootstrap

    settings = settings_for_command().notifications
    if not (settings.urls or settings.urgent_urls):
        raise ConfigurationError("Nobody is told of anything.", "Set notifications.urls in tradepulse.toml.")
    channel = bootstrap.channel_of(settings)
    failed = channel.send(Notice(Level.CRITICAL, "TradePulse IQ: a test", "Whoever reads this is told of trading."))
    if as_json:
        show_json({"services": channel.services, "failed": failed})
    if failed:
        raise TransientError(
            f"{len(failed)} of {channel.services} did not take it: {', '.join(failed)}.",
            "Correct their URLs, or try again.",
        )
    if not as_json:
        show_line(f"Taken by all {channel.services}.")
