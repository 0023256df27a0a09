"""What the rules look at: one hour's facts of a book and of its markets, made of stored candles and books alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import HOUR, Candles, Timeframe
from tradepulse.strategies.regimes import label_regimes, regime_warmup_bars

FloatArray = npt.NDArray[np.float64]
HOURS = 24
"""Of the day whose volatility is looked at."""
DAYS = 90
"""Of the volatility that it is compared with."""
FEWEST_DAYS = 30
CORRELATION_HOURS = 7 * 24
FEWEST_RETURNS = 60
HOURS_NEEDED = max(DAYS * HOURS + HOURS + 1, regime_warmup_bars(Timeframe.H1))


@dataclass(frozen=True, slots=True)
class StrategyFacts:
    """``warning_level``: the worst of its cusums; ``alarmed``: they have reached the alarm and not come to rest."""

    strategy: str
    warning_level: float
    alarmed: bool


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """``None``: too little is stored to say. ``age_ms``: since its newest candle closed."""

    market: str
    regime: int | None
    volatility_rank: float | None
    age_ms: int


@dataclass(frozen=True, slots=True)
class Facts:
    """``drawdown``: share lost since the highest equity. ``correlation``: mean over all pairs of markets."""

    time: int
    drawdown: float
    strategies: tuple[StrategyFacts, ...]
    markets: tuple[MarketFacts, ...]
    correlation: float | None

    @property
    def volatility_rank(self) -> float | None:
        """Of the market in the middle."""
        known = [one.volatility_rank for one in self.markets if one.volatility_rank is not None]
        return float(np.median(known)) if known else None

    @property
    def breadth(self) -> float | None:
        """Share of markets that rise, less the share of those that fall: -1 to 1."""
        known = [one.regime for one in self.markets if one.regime is not None]
        return sum(known) / len(known) if known else None

    @property
    def age_ms(self) -> int | None:
        """Of the market that has been silent longest."""
        return max((one.age_ms for one in self.markets), default=None)

    @property
    def weekend(self) -> bool:
        return _utc(self.time).weekday() >= 5

    @property
    def expiry(self) -> bool:
        """The two hours around the monthly expiry of options: the last Friday of a month, 8:00 UTC (Deribit)."""
        now = _utc(self.time)
        last_friday = now.weekday() == 4 and (now + timedelta(days=7)).month != now.month
        return last_friday and 7 <= now.hour < 9


def facts_of(
    hours: Mapping[str, Candles],
    ages: Mapping[str, int],
    drawdown: float,
    strategies: Sequence[StrategyFacts],
    now: int,
) -> Facts:
    """``hours``: candles of one hour of each market, closed by ``now``; what came later is not looked at."""
    closed = {market: candles.between(0, now - HOUR + 1) for market, candles in sorted(hours.items())}
    markets = tuple(
        MarketFacts(market, _regime(candles), _volatility_rank(candles), ages[market])
        for market, candles in closed.items()
    )
    return Facts(now, drawdown, tuple(strategies), markets, _mean_correlation(list(closed.values()), now))


def _regime(candles: Candles) -> int | None:
    if len(candles) < regime_warmup_bars(Timeframe.H1):
        return None
    return int(label_regimes(candles[len(candles) - regime_warmup_bars(Timeframe.H1) :], Timeframe.H1)[-1])


def _volatility_rank(candles: Candles) -> float | None:
    """Share of the days before that moved less than the last 24 hours."""
    moves = np.square(np.diff(np.log(candles.close[-(DAYS * HOURS + HOURS + 1) :])))
    days = len(moves) // HOURS
    if days <= FEWEST_DAYS:
        return None
    spread = np.sqrt(moves[len(moves) - days * HOURS :].reshape(days, HOURS).sum(axis=1))
    return float((spread[:-1] < spread[-1]).mean())


def _mean_correlation(markets: Sequence[Candles], now: int) -> float | None:
    last = now // HOUR
    closes = np.full((len(markets), CORRELATION_HOURS + 1), np.nan)
    for row, candles in enumerate(markets):
        place = candles.open_time // HOUR - (last - CORRELATION_HOURS - 1)
        inside = (place >= 0) & (place <= CORRELATION_HOURS)
        closes[row, place[inside]] = candles.close[inside]
    returns = np.diff(np.log(closes), axis=1)
    pairs = [
        _correlation(returns[one], returns[other])
        for one in range(len(markets))
        for other in range(one + 1, len(markets))
    ]
    known = [pair for pair in pairs if pair is not None]
    return float(np.mean(known)) if known else None


def _correlation(one: FloatArray, other: FloatArray) -> float | None:
    common = np.isfinite(one) & np.isfinite(other)
    if common.sum() < FEWEST_RETURNS or one[common].std() == 0 or other[common].std() == 0:
        return None
    return float(np.corrcoef(one[common], other[common])[0, 1])


def _utc(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1000, UTC)
