"""Candles in from exchanges and files, and questions about stored candles."""

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import find_strategy, stored_candles
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.exchanges import backfill_ohlcv
from tradepulse.exchanges.backfill_ohlcv import DownloadReport
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage import candle_files
from tradepulse.storage.candle_files import ImportReport
from tradepulse.strategies.base_strategy import MarketHistory, Strategy
from tradepulse.strategies.causality import LookaheadReport, analyse_lookahead


async def analyse_stored_series(
    app: Application,
    strategy: str,
    series: SeriesKey,
    *,
    since: int | None = None,
    until: int | None = None,
    overrides: Mapping[str, object] | None = None,
    samples: int = 50,
    seed: int = 0,
) -> LookaheadReport:
    """Does the strategy, on these stored candles, use anything that was not known at the time?

    ``strategy`` is a name of ours, or ``package.module:Class`` of one that the user is writing.
    """
    chosen = _own_strategy(strategy) if ":" in strategy else find_strategy(strategy)
    parameters = chosen.parameters(**(overrides or {}))
    candles = await stored_candles(app, series, since, until)
    history = MarketHistory.of(series, candles)
    return analyse_lookahead(chosen, parameters, history, samples=samples, seed=seed)


def _own_strategy(place: str) -> Strategy:
    """Code named on the command line by the person who runs it; looked up from the current folder first."""
    module_name, _, class_name = place.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"There is no strategy at '{place}': {error}.", "Write it as package.module:Class, seen from this folder."
        ) from error
    finally:
        sys.path.pop(0)
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise ConfigurationError(f"'{place}' is not a Strategy.", "Derive it from tradepulse.strategies' Strategy.")
    return found()


async def download_data(
    app: Application,
    exchange: str,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe],
    since: int,
    until: int | None = None,
    progress: backfill_ohlcv.Progress | None = None,
) -> DownloadReport:
    """Candles of a real exchange into the store; no key needed. ``until`` (UTC ms, exclusive) defaults to now."""
    end = app.clock.now() if until is None else until
    return await backfill_ohlcv.download(exchange, symbols, timeframes, since, end, app.candles, app.clock, progress)


async def import_data(
    app: Application,
    paths: Iterable[Path],
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    timeframe: Timeframe | None = None,
    progress: candle_files.Progress | None = None,
) -> ImportReport:
    """Candle files and folders into the store; names say the series unless it is given."""
    return await candle_files.import_files(
        paths, app.candles, app.clock.now, exchange=exchange, symbol=symbol, timeframe=timeframe, progress=progress
    )
