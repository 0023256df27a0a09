"""Public candles and market filters of any exchange through ccxt, with its failures turned into three kinds of error.

What ccxt raises is worth a second attempt, needs a person, or is neither; see ``_definite``. Nothing an exchange sends
is trusted: rows are checked before anyone else sees them.
"""

import asyncio
import difflib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any, TypeVar

import aiohttp
import ccxt.async_support as ccxt
import numpy as np

from tradepulse.domain.candle_rules import CandleRule, check_candles
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketKind, MarketSpec, Timeframe
from tradepulse.exchanges.capabilities import fitted, spec_for
from tradepulse.exchanges.rate_budget import retry_after_ms
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.shared.secrets import told

ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0
"""Seconds. An exchange that asks for a longer pause than the longest is left alone."""
DEFAULT_PAGE = 500
REQUEST_TIMEOUT_MS = 20_000
_STEPS = ("price", "amount")
# An answer that is not what the documentation says makes ccxt's parsers fail with one of these.
_UNPARSABLE = (TypeError, KeyError, ValueError, IndexError, AttributeError)

Sleep = Callable[[float], Awaitable[None]]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Page:
    """Fit and closed candles of one answer, and how many of its rows were refused as unfit."""

    candles: Candles
    refused: int


class CcxtCandles:
    """One exchange's public market data. Made by ``opened_exchange``."""

    def __init__(self, exchange: ccxt.Exchange, clock: Clock, sleep: Sleep) -> None:
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep
        self._server_lead = 0
        self.exchange_id: str = exchange.id
        features = (exchange.features or {}).get("spot") or {}
        self.page_size = int((features.get("fetchOHLCV") or {}).get("limit") or DEFAULT_PAGE)

    def now(self) -> int:
        """The exchange's own time as far as it tells it, so that a fast clock here cannot take an open candle."""
        return self._clock.now() + min(0, self._server_lead)

    async def connect(self) -> None:
        """Load the markets and compare the clocks."""
        if not self._exchange.has.get("fetchOHLCV"):
            raise ConfigurationError(
                f"'{self.exchange_id}' offers no candles through its public interface.",
                "Choose another exchange, or import a file.",
            )
        await self._asked("its markets", self._load_markets)
        if self._exchange.has.get("fetchTime"):
            self._server_lead = int(await self._asked("its time", self._exchange.fetch_time)) - self._clock.now()

    async def _load_markets(self) -> None:
        if not await self._exchange.load_markets(True):
            raise ValueError("no markets")

    def require(self, symbols: Iterable[str], timeframes: Iterable[Timeframe]) -> None:
        """Refuse what this exchange does not have, naming what it has."""
        markets: dict[str, Any] = self._exchange.markets
        for symbol in symbols:
            if symbol not in markets:
                raise ConfigurationError(
                    f"{self.exchange_id} has no market '{symbol}'.", _suggestion(symbol, list(markets), "markets")
                )
        offered = [frame for frame in Timeframe if frame in (self._exchange.timeframes or {})]
        for timeframe in timeframes:
            if timeframe not in offered:
                raise ConfigurationError(
                    f"{self.exchange_id} offers no {timeframe} candles.",
                    f"It offers: {', '.join(offered)}; higher ones are resampled from lower ones.",
                )

    async def page(self, symbol: str, timeframe: Timeframe, since: int) -> Page:
        """Candles from ``since`` on, as many closed ones as the exchange gives at once."""
        rows = await self._asked(
            f"{timeframe} candles of {symbol}",
            lambda: self._exchange.fetch_ohlcv(symbol, timeframe.value, since, self.page_size),
        )
        return checked_page(rows, timeframe, self.now())

    def spec(self, symbol: str, candles: Candles) -> MarketSpec:
        """Filters and fees as the exchange publishes them; what it leaves out comes from the table or the candles."""
        return market_spec(self._exchange, self._exchange.market(symbol), candles)

    async def _asked(self, what: str, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a harmless question, asked again while the failure may pass."""
        problem = ""
        for attempt in range(ATTEMPTS):
            self._exchange.last_response_headers = None
            self._exchange.last_json_response = None
            try:
                answer = await question()
                if self._exchange.last_json_response is not None:
                    return answer
                problem = "the answer was not JSON"
            except ccxt.BaseError as error:
                refusal = _definite(self.exchange_id, error)
                if refusal is not None:
                    raise refusal from error
                problem = f"{type(error).__name__}: {told(error)}"
            except _UNPARSABLE as error:
                problem = f"the answer could not be read ({type(error).__name__})"
            if attempt < ATTEMPTS - 1:
                await self._sleep(self._pause(attempt, problem))
        raise TransientError(
            f"{self.exchange_id} did not give {what} in {ATTEMPTS} attempts ({problem}).",
            "What was stored is kept: start the same download again later and it goes on from there.",
        )

    def _pause(self, attempt: int, problem: str) -> float:
        asked_ms = retry_after_ms(self._exchange.last_response_headers or {}, self._clock.now())
        asked = None if asked_ms is None else asked_ms / 1000
        if asked is not None and asked > LONGEST_WAIT:
            raise TransientError(
                f"{self.exchange_id} asks to be left alone for {asked:.0f} seconds ({problem}).",
                "Start the same download again after that and it goes on from where it stopped.",
            )
        return max(asked or 0.0, min(FIRST_WAIT * 2.0**attempt, LONGEST_WAIT))


@asynccontextmanager
async def opened_exchange(
    exchange_id: str,
    clock: Clock,
    *,
    derivatives: bool = False,
    session: aiohttp.ClientSession | None = None,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[CcxtCandles]:
    """The exchange with this ccxt id, connected. A given ``session`` is used as it is and left open."""
    if exchange_id not in ccxt.exchanges:
        raise ConfigurationError(
            f"There is no exchange '{exchange_id}'.", _suggestion(exchange_id, ccxt.exchanges, "exchanges")
        )
    settings: dict[str, Any] = {
        "enableRateLimit": True,
        "enableLastJsonResponse": True,
        "timeout": REQUEST_TIMEOUT_MS,
        "options": {"maxRetriesOnFailure": 0},
    }
    if session is not None:
        # ccxt waits on exit for its own connections to close; those of a given session are not its to close.
        settings |= {"session": session, "timeout_on_exit": 0}
    exchange = getattr(ccxt, exchange_id)(settings)
    # Currencies tell of deposits and chains; candles do not need them, and some exchanges want a key for them.
    exchange.has["fetchCurrencies"] = False
    kinds = exchange.options.get("fetchMarkets")
    if not derivatives and isinstance(kinds, dict) and "types" in kinds:
        kinds["types"] = ["spot"]
    try:
        source = CcxtCandles(exchange, clock, sleep)
        await source.connect()
        yield source
    finally:
        await exchange.close()


def checked_page(rows: Sequence[Sequence[float | None]], timeframe: Timeframe, now: int) -> Page:
    """Rows of ``[open_time, open, high, low, close, volume]`` as closed candles, each fit to be stored."""
    complete = [row[:6] for row in rows if len(row) >= 6]
    table = np.array(complete, dtype=np.float64).reshape(-1, 6)
    times = np.where(np.isfinite(table[:, 0]), table[:, 0], -1.0).astype(np.int64)
    opened, high, low, closed, volume = (np.ascontiguousarray(table[:, column]) for column in range(1, 6))
    checked = check_candles(Candles(times, opened, high, low, closed, volume), timeframe, now)
    unfit = sum(bad.rule is not CandleRule.NOT_CLOSED for bad in checked.bad)
    return Page(checked.good, unfit + len(rows) - len(complete))


def market_spec(exchange: ccxt.Exchange, market: dict[str, Any], candles: Candles) -> MarketSpec:
    """A ``MarketSpec`` from ccxt's market structure; ``candles`` complete what it leaves out. Needs at least one."""
    key = MarketKey(exchange.id, market["symbol"])
    if market.get("inverse"):
        raise ConfigurationError(
            f"{key} is an inverse contract, which is settled in its base.", "Choose a spot or a linear market."
        )
    return fitted(_as_told(exchange, market, spec_for(key, candles), float(candles.close[-1])), candles)


def traded_spec(exchange: ccxt.Exchange, market: dict[str, Any], price: float) -> MarketSpec:
    """The filters that orders must keep now. What is not told about steps cannot be traded with."""
    key = MarketKey(exchange.id, market["symbol"])
    steps = [_step((market.get("precision") or {}).get(name), exchange.precisionMode, price) for name in _STEPS]
    if market.get("inverse") or None in steps:
        raise ConfigurationError(
            f"{key} cannot be traded: the exchange does not tell its steps, or settles it in its base.",
            "Choose a spot market whose price and quantity steps are published.",
        )
    cash = Candles.from_rows([Candle(0, price, price, price, price, 0.0)])
    told = _as_told(exchange, market, spec_for(key, cash), price)
    return replace(told, tick_size=steps[0] or told.tick_size)


def _as_told(exchange: ccxt.Exchange, market: dict[str, Any], known: MarketSpec, price: float) -> MarketSpec:
    precision, limits = market.get("precision") or {}, market.get("limits") or {}
    tick = _step(precision.get("price"), exchange.precisionMode, price)
    lot = _step(precision.get("amount"), exchange.precisionMode, 1.0)
    contract = Decimal(str(market.get("contractSize") or 1))
    smallest = [
        _decimal((limits.get("cost") or {}).get("min")),
        (_decimal((limits.get("amount") or {}).get("min")) or Decimal(0)) * contract * Decimal(str(price)),
    ]
    return replace(
        known,
        base=market["base"],
        quote=market["quote"],
        kind=MarketKind.SWAP if market.get("swap") else MarketKind.SPOT,
        tick_size=tick or known.tick_size,
        lot_size=lot * contract if lot else known.lot_size,
        min_notional=max((value for value in smallest if value), default=known.min_notional),
        maker_ppm=_ppm(market.get("maker"), known.maker_ppm),
        taker_ppm=_ppm(market.get("taker"), known.taker_ppm),
        source="exchange",
    )


def _decimal(value: float | str | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _ppm(rate: float | None, otherwise: int) -> int:
    if rate is None:
        return otherwise
    return max(0, int((Decimal(str(rate)) * 1_000_000).to_integral_value(ROUND_CEILING)))


def _step(precision: float | None, mode: int, level: float) -> Decimal | None:
    """A price or amount step from ccxt's precision, which is a step, or counts decimals or significant digits."""
    if precision is None:
        return None
    if mode == ccxt.TICK_SIZE:
        return Decimal(str(precision))
    decimals = int(precision)
    if mode == ccxt.SIGNIFICANT_DIGITS:
        decimals -= int(np.floor(np.log10(level))) + 1
    return Decimal(1).scaleb(-decimals)


def _definite(exchange_id: str, error: ccxt.BaseError) -> ConfigurationError | None:
    """The refusal that no repetition changes, or ``None`` where trying again may help.

    A bare ``ExchangeError`` is what ccxt makes of a cut answer, so it may pass too; its kinds are refusals.
    """
    if isinstance(error, ccxt.RestrictedLocation) or " 451 " in str(error):
        return ConfigurationError(
            f"{exchange_id} does not serve this location ({told(error)}).",
            "Use an exchange that does, for example binanceus, kraken or coinbase.",
        )
    if isinstance(error, ccxt.ExchangeError) and type(error) is not ccxt.ExchangeError:
        return ConfigurationError(
            f"{exchange_id} refused the request ({type(error).__name__}: {told(error)}).",
            "Check the symbol, the timeframe and the dates.",
        )
    return None


def _suggestion(wanted: str, offered: list[str], noun: str) -> str:
    by_case = {name.casefold(): name for name in offered}
    near = difflib.get_close_matches(wanted.casefold(), list(by_case), n=3, cutoff=0.6)
    hint = f"Did you mean {', '.join(by_case[name] for name in near)}? " if near else ""
    shown = ", ".join(sorted(offered)[:150])
    more = f" and {len(offered) - 150} more" if len(offered) > 150 else ""
    return f"{hint}The {len(offered)} {noun} there are: {shown}{more}."
