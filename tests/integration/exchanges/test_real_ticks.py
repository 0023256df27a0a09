"""Every price of every real series is a whole multiple of the tick that its market is given."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from tradepulse.domain.market import Candles, MarketKey
from tradepulse.exchanges.capabilities import fits, spec_for

REPOSITORY = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", REPOSITORY.parent / "shared" / "data" / "candles"))
LARGEST_NOTIONAL = 1_000_000


def candles_in(file: Path) -> Candles:
    table = parquet.read_table(file)
    open_time = table["timestamp"].to_numpy().astype(np.int64)
    return Candles(open_time, *(table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))


@pytest.mark.real_candles
@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the folder of real candles is absent: {FOLDER}")
def test_tick_when_history_is_real_then_every_price_is_a_whole_number_of_ticks() -> None:
    files = sorted(FOLDER.glob("*.parquet"))
    assert files
    for file in files:
        exchange, pair, *_ = file.stem.split("__")
        candles = candles_in(file)
        spec = spec_for(MarketKey(exchange, pair.replace("-", "/")), candles)
        assert fits(spec.tick_size, candles), file.name
        assert spec.units(spec.min_notional * LARGEST_NOTIONAL) < 2**63, file.name
