"""Which series a file holds, told by its name as the common sources write it."""

import re
from pathlib import Path

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.shared.errors import ConfigurationError, RefusedError

# Longest first, so that BTCFDUSD is BTC/FDUSD and not BTCFD/USD.
QUOTES = (
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD", "EUR", "GBP", "TRY", "BRL", "JPY", "DAI", "BTC", "ETH",
    "BNB",
)  # fmt: skip
# Freqtrade keeps an exchange's files in a folder of its name.
EXCHANGE_FOLDERS = frozenset(
    {
        "binance", "binanceus", "binanceusdm", "bingx", "bitfinex", "bitget", "bitmex", "bitstamp", "bybit", "coinbase",
        "gate", "gateio", "htx", "huobi", "hyperliquid", "kraken", "krakenfutures", "kucoin", "mexc", "okx", "poloniex",
        "simulated",
    }
)  # fmt: skip

_OURS = re.compile(
    r"^(?P<exchange>[a-z0-9]+)__(?P<symbol>[A-Za-z0-9]+-[A-Za-z0-9:]+)__(?P<timeframe>\d+[a-zA-Z])(__.*)?$"
)
_FREQTRADE = re.compile(
    r"^(?P<base>[A-Za-z0-9]+)_(?P<quote>[A-Z0-9]+)(_(?P<settle>[A-Z0-9]+))?-(?P<timeframe>\d+[a-zA-Z])(-futures|-spot)?$"
)
_BINANCE = re.compile(r"^(?P<joined>[A-Z0-9]{5,})-(?P<timeframe>\d+[a-zA-Z])-\d{4}-\d{2}(-\d{2})?$")


def series_of(
    path: Path, exchange: str | None = None, symbol: str | None = None, timeframe: Timeframe | None = None
) -> SeriesKey:
    """What is given wins over what the name says. Errors: ``RefusedError`` naming what is not known."""
    told = _told_by(path)
    found_exchange = exchange or told.get("exchange")
    found_symbol = unified_symbol(symbol) if symbol else told.get("symbol")
    found_timeframe = timeframe or told.get("timeframe")
    missing = [
        name
        for name, value in (("exchange", found_exchange), ("symbol", found_symbol), ("timeframe", found_timeframe))
        if not value
    ]
    if not found_exchange or not found_symbol or not found_timeframe:
        raise RefusedError(
            f"{path.name}: the name does not tell the {' and the '.join(missing)}.",
            f"Give {', '.join('--' + name for name in missing)}, or name it like binance__BTC-USDT__5m.csv.",
        )
    try:
        return SeriesKey(found_exchange, found_symbol, Timeframe.parse(str(found_timeframe)))
    except ConfigurationError as error:
        raise RefusedError(f"{path.name}: {error.problem}", error.remedy) from None


def unified_symbol(text: str) -> str:
    """``BTC-USDT``, ``BTC_USDT`` and ``BTC/USDT`` are all ``BTC/USDT``."""
    return re.sub(r"[-_]", "/", text, count=1) if "/" not in text else text


def _told_by(path: Path) -> dict[str, str]:
    stem = path.name.split(".")[0]
    if found := _OURS.match(stem):
        return {**found.groupdict(), "symbol": unified_symbol(found["symbol"])}
    if found := _FREQTRADE.match(stem):
        settle = f":{found['settle']}" if found["settle"] else ""
        return {
            "symbol": f"{found['base']}/{found['quote']}{settle}",
            "timeframe": found["timeframe"],
            **_folder_exchange(path),
        }
    if found := _BINANCE.match(stem):
        return {"exchange": "binance", "timeframe": found["timeframe"], **_split(found["joined"])}
    return _folder_exchange(path)


def _folder_exchange(path: Path) -> dict[str, str]:
    named = [folder.name for folder in list(path.parents)[:2] if folder.name in EXCHANGE_FOLDERS]
    return {"exchange": named[0]} if named else {}


def _split(joined: str) -> dict[str, str]:
    for quote in QUOTES:
        if joined.endswith(quote) and len(joined) > len(quote):
            return {"symbol": f"{joined[: -len(quote)]}/{quote}"}
    return {}
