"""Candles in from exchanges and files, and questions about stored candles."""

from collections.abc import Mapping

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import find_strategy, stored_candles
from tradepulse.domain.market import SeriesKey
from tradepulse.strategies.base_strategy import MarketHistory, Strategy
from tradepulse.strategies.causality import LookaheadReport, analyse_lookahead


async def analyse_stored_series(
    app: Application,
    strategy: Strategy | str,
    series: SeriesKey,
    *,
    since: int | None = None,
    until: int | None = None,
    overrides: Mapping[str, object] | None = None,
    samples: int = 50,
    seed: int = 0,
) -> LookaheadReport:
    """Does the strategy, on these stored candles, use anything that was not known at the time?"""
    chosen = find_strategy(strategy) if isinstance(strategy, str) else strategy
    parameters = chosen.parameters(**(overrides or {}))
    candles = await stored_candles(app, series, since, until)
    history = MarketHistory.of(series, candles)
    return analyse_lookahead(chosen, parameters, history, samples=samples, seed=seed)
