"""Genuine candles of several exchanges through the import, the store and back."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.storage.candle_files import import_files
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database

FOLDER = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", Path(__file__).parents[4] / "shared" / "data" / "candles"))
END_OF_2024 = 1_735_689_600_000


def end_of_2024() -> int:
    return END_OF_2024


def some_files() -> list[Path]:
    return [*sorted(FOLDER.glob("kraken__*__1h.parquet")), *sorted(FOLDER.glob("binance__SOL-USDT__5m*.parquet"))]


@pytest.mark.real_candles
@pytest.mark.skipif(not FOLDER.is_dir(), reason="no folder of real candles (set TRADEPULSE_TEST_CANDLES)")
async def test_real_files_when_imported_then_every_row_comes_back_and_holes_stay_holes(database: Database) -> None:
    files = some_files()
    store = PostgresCandleStore(database)
    report = await import_files(files, store, end_of_2024)
    assert (report.errors, report.refused, report.unchanged) == ([], 0, 0)
    assert report.inserted == report.rows == sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)
    series = SeriesKey("binance", "SOL/USDT", Timeframe.M5)
    coverage = next(line for line in await store.coverage() if line.series == series)
    stored, gaps = await store.read(series), await store.gaps(series)
    holes = np.diff(stored.open_time) // series.timeframe.milliseconds - 1
    assert coverage.missing == holes.sum() == sum((until - since) // 300_000 for since, until in gaps) > 0
    assert (await import_files(files, store, end_of_2024)).inserted == 0
