"""Our indicators against TA-Lib, on candles of real markets."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import talib

from tradepulse.kernels import indicators

REAL = Path(
    os.environ.get(
        "TRADEPULSE_TEST_CANDLES", Path(__file__).resolve().parents[2].parent / "shared" / "data" / "candles"
    )
)
FILES = ("binance__BTC-USDT__1h", "binance__ADA-USDT__1d", "binance__BTC-USDT__1m__20240402_20240407")
Column = npt.NDArray[np.float64]
Bars = dict[str, Column]

pytestmark = [
    pytest.mark.real_candles,
    pytest.mark.skipif(not REAL.is_dir(), reason="no folder of real candles (TRADEPULSE_TEST_CANDLES)"),
]


@pytest.fixture(scope="module", params=FILES)
def bars(request: pytest.FixtureRequest) -> Bars:
    table = pq.read_table(REAL / f"{request.param}.parquet")
    return {name: table[name].to_numpy().astype(np.float64) for name in ("high", "low", "close", "volume")}


Pair = Callable[[Bars, int], tuple[Column, Column]]
PAIRS: dict[str, Pair] = {
    "sma": lambda b, n: (indicators.sma(b["volume"], n), talib.SMA(b["volume"], n)),
    "ema": lambda b, n: (indicators.ema(b["close"], n), talib.EMA(b["close"], n)),
    "true range": lambda b, n: (
        indicators.true_range(b["high"], b["low"], b["close"]),
        talib.TRANGE(b["high"], b["low"], b["close"]),
    ),
    "atr": lambda b, n: (
        indicators.atr(b["high"], b["low"], b["close"], n),
        talib.ATR(b["high"], b["low"], b["close"], n),
    ),
    "rsi": lambda b, n: (indicators.rsi(b["close"], n), talib.RSI(b["close"], n)),
    "adx": lambda b, n: (
        indicators.adx(b["high"], b["low"], b["close"], n)[0],
        talib.ADX(b["high"], b["low"], b["close"], n),
    ),
    "+di": lambda b, n: (
        indicators.adx(b["high"], b["low"], b["close"], n)[1],
        talib.PLUS_DI(b["high"], b["low"], b["close"], n),
    ),
    "-di": lambda b, n: (
        indicators.adx(b["high"], b["low"], b["close"], n)[2],
        talib.MINUS_DI(b["high"], b["low"], b["close"], n),
    ),
    "rolling max": lambda b, n: (indicators.rolling_max(b["high"], n), talib.MAX(b["high"], n)),
    "rolling min": lambda b, n: (indicators.rolling_min(b["low"], n), talib.MIN(b["low"], n)),
}


@pytest.mark.parametrize("period", [2, 7, 14, 50])
@pytest.mark.parametrize("name", PAIRS)
def test_indicator_when_candles_are_real_then_equal_to_talib(name: str, period: int, bars: Bars) -> None:
    ours, theirs = PAIRS[name](bars, period)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    # A running sum, as TA-Lib keeps for its simple average, loses digits to the largest volume it ever held.
    dust = 1e-9 * np.nanmax(np.abs(theirs)) if name == "sma" else 1e-9
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=dust)
