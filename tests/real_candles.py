"""Real candles for tests that want them. They are never part of the repository; without them such a test skips."""

import os
from pathlib import Path

import pytest

from tradepulse.domain.market import Candles
from tradepulse.storage.candle_files import read_candle_file

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data" / "candles"
FOLDER = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", BESIDE_THE_REPOSITORY))
LONG_AFTER = 4_000_000_000_000


def load_real_candles(name: str) -> Candles:
    if not FOLDER.is_dir():
        pytest.skip("no folder of real candles (set TRADEPULSE_TEST_CANDLES)")
    return read_candle_file(FOLDER / f"{name}.parquet", LONG_AFTER).good
