"""Options that several commands share, and how their texts are read."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.logging import configure_logging
from tradepulse.shared.settings import Settings, load_settings

Answer = TypeVar("Answer")

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
Symbol = Annotated[str, typer.Option("--symbol", "-s", help="As on the exchange: BTC/USDT, or BTC-USDT.")]
TimeframeName = Annotated[str, typer.Option("--timeframe", "-t", help="1m, 5m, 15m, 1h, 4h or 1d.")]
ExchangeName = Annotated[str | None, typer.Option("--exchange", "-e", help="ccxt id; default: the EXCHANGE setting.")]
Since = Annotated[str | None, typer.Option("--since", help="First moment, UTC: 2025-01-31, 2025-01-31T12:00 or ms.")]
Until = Annotated[str | None, typer.Option("--until", help="Moment after the last, UTC.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="A strategy parameter, name=value; repeatable.")]
BookName = Annotated[str | None, typer.Option("--book", help="Default: the first book.")]


def settings_for_command() -> Settings:
    """The settings in force. Logs of a short command stay silent unless something is wrong or a person asked."""
    settings = load_settings()
    level = "WARNING" if settings.logging.level == "INFO" else settings.logging.level
    configure_logging(settings.logging.model_copy(update={"level": level}), known_secrets(settings))
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    return settings


def known_secrets(settings: Settings) -> list[str]:
    told = settings.notifications
    given = (
        settings.database.url,
        settings.database.password,
        settings.keys.passphrase,
        settings.meta.api_key,
        *told.urls,
        *told.urgent_urls,
    )
    return [secret.get_secret_value() for secret in given if secret is not None]


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(work)


def series_of(settings: Settings, exchange: str | None, symbol: str, timeframe: str) -> SeriesKey:
    return SeriesKey(exchange or settings.exchange, symbol_of(symbol), Timeframe.parse(timeframe))


def symbol_of(text: str) -> str:
    symbol = text.strip().upper()
    if "/" not in symbol:
        symbol = symbol.replace("-", "/", 1)
    base, slash, quote = symbol.partition("/")
    if not (slash and base and quote):
        raise ConfigurationError(f"'{text}' is not a symbol.", "Write it as BTC/USDT or BTC-USDT.")
    return symbol


def moment(text: str | None, option: str) -> int | None:
    """UTC milliseconds of a date, a date with time, or of milliseconds themselves."""
    if text is None:
        return None
    if text.isdigit() and len(text) > len("20250131"):
        return int(text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option} {text} is not a moment.", "Write 2025-01-31, 2025-01-31T12:00 or UTC milliseconds."
        ) from None
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)


def span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    first, end = moment(since, "--since"), moment(until, "--until")
    if first is not None and end is not None and first >= end:
        raise ConfigurationError(f"--since {since} is not before --until {until}.", "Swap or widen them.")
    return first, end


def overrides_of(texts: list[str] | None) -> dict[str, object]:
    chosen: dict[str, object] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise ConfigurationError(f"--set {text} is not name=value.", "For example: --set reward_risk=2.5")
        chosen[name.strip()] = _number(value.strip())
    return chosen


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
