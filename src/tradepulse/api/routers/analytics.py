"""Candles with the regime they closed in."""

import asyncio
from typing import Annotated, Literal

import numpy as np
from fastapi import Query
from pydantic import Field

from tradepulse.api.candle_source import newest_candles, regimes_of_candles
from tradepulse.api.deps import BookDep, Services, ServicesDep, SymbolDep, TimeframeDep, parse_symbol
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, statistics
from tradepulse.api.models import CandleBar, CandleSeries, Time, TradeRow, TradeStatistics, View
from tradepulse.api.routing import noun_router
from tradepulse.api.similar_windows import Asked, SimilarAnswer, SimilarWindows
from tradepulse.domain.market import DAY, Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Regime
from tradepulse.ports import CandleStore, JsonObject
from tradepulse.strategies.base_strategy import regimes_of
from tradepulse.strategies.regimes import regime_warmup_bars
from tradepulse.strategies.setup_table import REGIMES

router = noun_router("analytics")
FEWEST_RETURNS = 30


@router.get("/candles")
async def candles(
    services: ServicesDep,
    exchange: str,
    symbol: SymbolDep,
    timeframe: TimeframeDep,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1500,
    until: Annotated[int | None, Query(ge=0, description="only candles that opened before; UTC ms")] = None,
) -> CandleSeries:
    """The newest closed candles, ascending, each with the regime in force at its close.

    A timeframe that is not stored is joined from the coarsest finer one that is.
    """
    series = SeriesKey(exchange, symbol, timeframe)
    shown = await newest_candles(services.candles, series, limit + 1, until)
    if not len(shown):
        if until is not None:
            return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=[], more=False)
        raise NotFoundError(f"No candles of {series} are stored.", "GET /api/data/coverage lists the series there are.")
    more = len(shown) > limit
    shown = shown[1:] if more else shown
    regimes = await regimes_of_candles(services.candles, series, shown)
    bars = [_bar(shown, row, REGIMES[int(regimes[row])]) for row in range(len(shown))]
    return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=bars, more=more)


def _bar(stored: Candles, row: int, regime: Regime) -> CandleBar:
    candle = stored.row(row)
    return CandleBar(
        time=candle.open_time,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        regime=regime,
    )


@router.get("/similar-windows")
async def similar_windows(
    services: ServicesDep,
    exchange: str,
    symbol: SymbolDep,
    timeframe: TimeframeDep,
    direction: Annotated[Literal["long", "short"], Query(description="the side the window is looked at for")] = "long",
) -> SimilarAnswer:
    """What followed on setups whose windows looked like the newest one of this series."""
    series = SeriesKey(exchange, symbol, timeframe)
    asked = Asked(series, Direction[direction.upper()], None, services.clock.now())
    return await SimilarWindows(services.candles, services.embeddings).answer(asked)


class AssetLine(View):
    """A market as its stored candles show it. Prices are for looking at, nothing is booked from them."""

    exchange: str
    symbol: str
    timeframes: list[Timeframe] = Field(description="stored")
    last_close: float
    last_time: Time
    change_day: float | None = Field(description="of the last close against that of a day before; null: not stored")
    change_week: float | None
    range_day: float | None = Field(description="high to low of the last day as a share of the last close")
    volume_day: float | None = Field(description="of the last day, in quote money at the last close")
    regime: Regime | None = Field(description="in force on hourly bars; null where too few are stored")


class AssetRank(AssetLine):
    rank: int
    statistics: TradeStatistics = Field(description="of the closed trades of the book on this market")


@router.get("/market-overview")
async def market_overview(services: ServicesDep) -> list[AssetLine]:
    """Every market of which candles are stored, by exchange and symbol."""
    return [await _asset(services, market) for market in await _markets(services)]


@router.get("/asset-ranking")
async def asset_ranking(services: ServicesDep, book: BookDep) -> list[AssetRank]:
    """Markets by what the book earned on them in units of risk, best first; then those without a trade, by volume."""
    trades = [] if book is None else await all_trades(services.books, book)
    found = []
    for market in await _markets(services):
        own = [trade for trade in trades if (trade.exchange, trade.symbol) == (market.exchange, market.symbol)]
        found.append((await _asset(services, market), own))
    return [
        AssetRank(**line.model_dump(), rank=rank, statistics=statistics(own))
        for rank, (line, own) in enumerate(sorted(found, key=_place), 1)
    ]


def _place(one: tuple[AssetLine, list[TradeRow]]) -> tuple[bool, float, float, str]:
    line, own = one
    return not own, -sum(trade.r_multiple for trade in own), -(line.volume_day or 0.0), line.symbol


@router.get("/walk-forward-results")
async def walk_forward_results(
    services: ServicesDep, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> list[JsonObject]:
    """What choosing parameters on the past only would have made, run by run, newest first."""
    return await services.results.walk_forwards(limit=limit)


@router.get("/walk-forward-results/{walk_forward_id}")
async def walk_forward_result(walk_forward_id: str, services: ServicesDep) -> JsonObject:
    """One such run with its folds."""
    found = await services.results.walk_forward(walk_forward_id)
    if found is None:
        raise NotFoundError(
            f"There is no walk-forward result '{walk_forward_id}'.",
            "GET /api/analytics/walk-forward-results lists them.",
        )
    return found


class CorrelationMatrix(View):
    timeframe: Timeframe
    bars: int = Field(description="returns looked at; only those that both markets have are paired")
    markets: list[str] = Field(description="exchange and symbol, in the order of rows and columns")
    matrix: list[list[float | None]] = Field(description="of log returns; null where fewer than 30 are common")


@router.get("/correlation-matrix")
async def correlation_matrix(
    services: ServicesDep, timeframe: TimeframeDep, bars: Annotated[int, Query(ge=30, le=5_000)] = 720
) -> CorrelationMatrix:
    """How the stored markets move together, from the newest bars of each."""
    markets = await _markets(services)
    closes = [await newest_candles(services.candles, _series(market, timeframe), bars + 1) for market in markets]
    matrix = await asyncio.to_thread(_correlations, closes, timeframe.milliseconds)
    names = [f"{market.exchange} {market.symbol}" for market in markets]
    return CorrelationMatrix(timeframe=timeframe, bars=bars, markets=names, matrix=matrix)


@router.get("/assets/{symbol:path}")
async def asset(services: ServicesDep, symbol: str) -> list[AssetLine]:
    """One symbol on every exchange of which candles are stored."""
    wanted = parse_symbol(symbol)
    found = [await _asset(services, market) for market in await _markets(services) if market.symbol == wanted]
    if not found:
        raise NotFoundError(f"No candles of {wanted} are stored.", "GET /api/data/coverage lists the series there are.")
    return found


async def _markets(services: Services) -> list[MarketKey]:
    return sorted({line.series.market for line in await services.candles.coverage()})


def _series(market: MarketKey, timeframe: Timeframe) -> SeriesKey:
    return SeriesKey(market.exchange, market.symbol, timeframe)


async def _asset(services: Services, market: MarketKey) -> AssetLine:
    stored = sorted(
        (line.series.timeframe for line in await services.candles.coverage() if line.series.market == market),
        key=lambda one: one.milliseconds,
    )
    series = _series(market, stored[0])
    last = (await services.candles.tail(series, 1)).row(0)
    ends = last.open_time + series.timeframe.milliseconds
    day = await services.candles.read(series, ends - DAY, None)
    return AssetLine(
        exchange=market.exchange,
        symbol=market.symbol,
        timeframes=stored,
        last_close=last.close,
        last_time=ends,
        change_day=await _change(services.candles, series, last.close, ends - DAY),
        change_week=await _change(services.candles, series, last.close, ends - 7 * DAY),
        range_day=float((day.high.max() - day.low.min()) / last.close) if len(day) else None,
        volume_day=float(day.volume.sum() * last.close) if len(day) else None,
        regime=await _regime_now(services.candles, market),
    )


async def _change(store: CandleStore, series: SeriesKey, close: float, then: int) -> float | None:
    before = await store.read(series, then - series.timeframe.milliseconds, then)
    return close / float(before.close[-1]) - 1 if len(before) else None


async def _regime_now(store: CandleStore, market: MarketKey) -> Regime | None:
    wanted = regime_warmup_bars(Timeframe.H1)
    hours = await newest_candles(store, _series(market, Timeframe.H1), wanted)
    if len(hours) < wanted:
        return None
    labels = await asyncio.to_thread(regimes_of, hours, Timeframe.H1)
    return REGIMES[int(labels[-1])]


def _correlations(closes: list[Candles], step: int) -> list[list[float | None]]:
    returns = []
    for candles in closes:
        next_to = np.diff(candles.open_time) == step
        moved = np.diff(np.log(candles.close))
        returns.append(dict(zip(candles.open_time[1:][next_to].tolist(), moved[next_to].tolist(), strict=True)))
    return [[_correlation(one, other) for other in returns] for one in returns]


def _correlation(one: dict[int, float], other: dict[int, float]) -> float | None:
    common = sorted(one.keys() & other.keys())
    if len(common) < FEWEST_RETURNS:
        return None
    pair = np.array([[one[time], other[time]] for time in common])
    if (pair.std(axis=0) == 0).any():
        return None
    return float(np.clip(np.corrcoef(pair.T)[0, 1], -1.0, 1.0))
