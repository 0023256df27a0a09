"""Words of the market: timeframes, candles, series, and what an exchange allows on a market."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tradepulse.shared.errors import ConfigurationError

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
# 1970-01-01 was a Thursday; calendar weeks start on Monday, four days later.
MONDAY_OFFSET = 4 * DAY

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Timeframe(StrEnum):
    M1 = "1m"
    M5 = "5m"
    M15 = "15m"
    H1 = "1h"
    H4 = "4h"
    D1 = "1d"
    W1 = "1w"

    @property
    def milliseconds(self) -> int:
        return _MILLISECONDS[self]

    @property
    def context(self) -> "Timeframe":
        """The higher timeframe H(τ) in which a setup on this timeframe is read."""
        return _CONTEXT[self]

    def open_time_of(self, time: int) -> int:
        """Open time of the bar, aligned to the UTC calendar, that contains ``time``."""
        offset = MONDAY_OFFSET if self is Timeframe.W1 else 0
        return (time - offset) // self.milliseconds * self.milliseconds + offset

    @classmethod
    def parse(cls, text: str) -> "Timeframe":
        try:
            return cls(text)
        except ValueError:
            allowed = ", ".join(cls)
            raise ConfigurationError(
                f"'{text}' is not a timeframe.", f"Use one of: {allowed} (written in lower case)."
            ) from None


_MILLISECONDS = {
    Timeframe.M1: MINUTE,
    Timeframe.M5: 5 * MINUTE,
    Timeframe.M15: 15 * MINUTE,
    Timeframe.H1: HOUR,
    Timeframe.H4: 4 * HOUR,
    Timeframe.D1: DAY,
    Timeframe.W1: WEEK,
}
_CONTEXT = {
    Timeframe.M1: Timeframe.M15,
    Timeframe.M5: Timeframe.H1,
    Timeframe.M15: Timeframe.H4,
    Timeframe.H1: Timeframe.D1,
    Timeframe.H4: Timeframe.W1,
    Timeframe.D1: Timeframe.W1,
    Timeframe.W1: Timeframe.W1,
}
TRADED_TIMEFRAMES = (Timeframe.M1, Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1)


@dataclass(frozen=True, slots=True, order=True)
class MarketKey:
    """One symbol (ccxt unified, e.g. ``BTC/USDT``) on one exchange (ccxt id)."""

    exchange: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """The candles of one market on one timeframe."""

    exchange: str
    symbol: str
    timeframe: Timeframe

    @property
    def market(self) -> MarketKey:
        return MarketKey(self.exchange, self.symbol)

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}:{self.timeframe}"


@dataclass(frozen=True, slots=True)
class Candle:
    """One OHLCV bar; ``open_time`` is UTC milliseconds, ``volume`` is in the base asset."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """A series as columns of equal length, ascending and unique in ``open_time`` (int64 ms); prices float64."""

    open_time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray

    def __len__(self) -> int:
        return len(self.open_time)

    def __getitem__(self, rows: slice) -> "Candles":
        return Candles(
            self.open_time[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )

    def row(self, index: int) -> Candle:
        return Candle(
            int(self.open_time[index]),
            float(self.open[index]),
            float(self.high[index]),
            float(self.low[index]),
            float(self.close[index]),
            float(self.volume[index]),
        )

    def between(self, since: int | None, until: int | None) -> "Candles":
        """Candles with ``since <= open_time < until``."""
        start = 0 if since is None else int(np.searchsorted(self.open_time, since, side="left"))
        stop = len(self) if until is None else int(np.searchsorted(self.open_time, until, side="left"))
        return self[start:stop]

    @classmethod
    def empty(cls) -> "Candles":
        nothing = np.empty(0, dtype=np.float64)
        return cls(np.empty(0, dtype=np.int64), nothing, nothing, nothing, nothing, nothing)

    @classmethod
    def from_rows(cls, rows: "list[Candle]") -> "Candles":
        return cls(
            np.array([row.open_time for row in rows], dtype=np.int64),
            np.array([row.open for row in rows], dtype=np.float64),
            np.array([row.high for row in rows], dtype=np.float64),
            np.array([row.low for row in rows], dtype=np.float64),
            np.array([row.close for row in rows], dtype=np.float64),
            np.array([row.volume for row in rows], dtype=np.float64),
        )


def data_hash(candles: Candles) -> str:
    """SHA-256 over the columns as little-endian bytes: the same candles, the same hash, on every machine."""
    digest = hashlib.sha256()
    digest.update(candles.open_time.astype("<i8").tobytes())
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        digest.update(column.astype("<f8").tobytes())
    return digest.hexdigest()


class MarketKind(StrEnum):
    SPOT = "spot"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """What an exchange allows and charges on one market.

    Prices are whole multiples of ``tick_size``, quantities of ``lot_size``; rates are parts per million so that
    kernels and ledger work on the same integers. ``source`` says where the filters come from (exchange, table,
    inferred) and is shown beside every result made with them.
    """

    key: MarketKey
    base: str
    quote: str
    kind: MarketKind
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal
    maker_ppm: int
    taker_ppm: int
    slippage_ppm: int
    funding_ppm: int = 0
    """Funding per 8 hours that a long pays and a short receives (swap markets)."""
    simulated: bool = False
    source: str = "exchange"

    @property
    def money_unit(self) -> Decimal:
        """The smallest amount of quote money on this market: one lot times one tick, so notionals are exact."""
        return self.tick_size * self.lot_size

    def price(self, ticks: int) -> Decimal:
        return self.tick_size * ticks

    def quantity(self, lots: int) -> Decimal:
        return self.lot_size * lots

    def money(self, units: int) -> Decimal:
        return self.money_unit * units

    def units(self, money: Decimal) -> int:
        """Whole money units in ``money``, rounded down (towards minus infinity)."""
        return (
            int(money // self.money_unit)
            if money >= 0
            else -int(-money // self.money_unit) - int(-money % self.money_unit != 0)
        )
