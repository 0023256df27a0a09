"""The limits of a book and how much of each is used, read from what its last step wrote down."""

from collections.abc import Iterable
from decimal import Decimal

from pydantic import TypeAdapter

from tradepulse.core.correlation import Correlations
from tradepulse.core.execution_core import ExecutionState
from tradepulse.core.exposure import exposures
from tradepulse.core.limit_usage import LimitUse, limit_usage
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_guard import RiskMemory
from tradepulse.domain.market import MarketKey, MarketSpec, SeriesKey
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import AccountLimits
from tradepulse.ports import CandleStore, JsonObject

_POSITIONS = TypeAdapter(dict[str, Position])
_EXECUTION = TypeAdapter(ExecutionState)


async def limits_in_use(
    candles: CandleStore, snapshot: JsonObject, memory: RiskMemory, limits: AccountLimits, now: int
) -> list[LimitUse] | None:
    """``None`` where the exchange's rules or the price of a market that is held are not stored."""
    positions = _POSITIONS.validate_python(snapshot["positions"])
    entries = _EXECUTION.validate_python(snapshot["execution"]).entries.values()
    markets = {one.series.market for one in positions.values()} | {one.setup.series.market for one in entries}
    specs = await _specs(candles, markets)
    bases = await _finest(candles, markets)
    if not markets <= specs.keys() & bases.keys():
        return None
    portfolio = Portfolio(specs)
    portfolio.cash, portfolio.positions = Decimal(snapshot["cash"]), positions
    correlations = Correlations(limits.correlation, {market: one.timeframe for market, one in bases.items()})
    for market, series in bases.items():
        # One market alone moves with nothing.
        needed = correlations.history_needed(series.timeframe) if len(bases) > 1 else 0
        history = await candles.tail(series, max(1, needed))
        portfolio.mark(market, float(history.close[-1]))
        correlations.fill(series, history)
    return limit_usage(limits, exposures(portfolio, entries), portfolio.equity, memory, correlations, now)


async def _specs(candles: CandleStore, markets: Iterable[MarketKey]) -> dict[MarketKey, MarketSpec]:
    found = {market: await candles.read_market(market) for market in sorted(markets)}
    return {market: spec for market, spec in found.items() if spec is not None}


async def _finest(candles: CandleStore, markets: set[MarketKey]) -> dict[MarketKey, SeriesKey]:
    """The finest candles stored of each market: those that its engine is fed with."""
    finest: dict[MarketKey, SeriesKey] = {}
    for series in [one.series for one in await candles.coverage()] if markets else []:
        known = finest.get(series.market)
        finer = known is None or series.timeframe.milliseconds < known.timeframe.milliseconds
        if series.market in markets and finer:
            finest[series.market] = series
    return finest
