"""Finer bars decide the order of events inside a bar, and only where they are all there."""

import numpy as np
import pytest

from tradepulse.kernels import backtest, fills
from tradepulse.kernels.backtest import Bars, Entries, Rules

HOUR, QUARTER = 3_600_000, 900_000
Row = tuple[int, int, int, int]


def bars(rows: list[Row], duration: int, missing: tuple[int, ...] = ()) -> Bars:
    kept = [row for row in range(len(rows)) if row not in missing]
    columns = np.array([rows[row] for row in kept], np.int64).reshape(-1, 4).T.copy()
    return Bars(np.array(kept, np.int64) * duration, *(column.copy() for column in columns), duration)


# A long from 10000 with its stop at 9900 and its target at 10250: the bar after the entry touches both.
COARSE = [(10_000, 10_000, 10_000, 10_000), (10_000, 10_050, 9_950, 10_000), (10_000, 10_300, 9_850, 10_200)]
FINE = [
    *[(10_000, 10_000, 10_000, 10_000)] * 4,
    *[(10_000, 10_050, 9_950, 10_000)] * 4,
    (10_000, 10_100, 9_990, 10_100),
    (10_100, 10_300, 10_100, 10_200),
    (10_200, 10_200, 9_850, 9_900),
    (9_900, 10_200, 9_900, 10_200),
]
ENTRIES = Entries(
    np.array([0]), np.array([1]), np.array([9_900.0]), np.array([np.nan]), np.array([True])
)  # fmt: skip
RULES = Rules(1.0, 1, 0, 0, 0, 0, False, 10_000, 1_000_000, 2.5, 1.0, 50)


def walked(fine: Bars) -> tuple[int, int, int]:
    rows, codes, _, left_open = backtest.walk_setups(bars(COARSE, HOUR), fine, ENTRIES, RULES, 10**9)
    assert codes.tolist() == [fills.ACCEPTED]
    assert not left_open
    ((row),) = rows
    return int(row[backtest.EXIT_REASON]), int(row[backtest.EXIT_TICKS]), int(row[backtest.EXIT_TIME])


def test_bar_that_touches_both_levels_without_finer_bars_then_the_stop_is_taken_first() -> None:
    assert walked(bars([], QUARTER)) == (fills.STOP, 9_900, 3 * HOUR)


def test_bar_that_touches_both_levels_with_finer_bars_then_they_show_the_real_order() -> None:
    assert walked(bars(FINE, QUARTER)) == (fills.TARGET, 10_250, 2 * HOUR + 2 * QUARTER)


@pytest.mark.parametrize("missing", [(8, 9, 10, 11), (10,), (8,)])
def test_bar_when_finer_bars_are_missing_in_it_then_it_counts_itself(missing: tuple[int, ...]) -> None:
    assert walked(bars(FINE, QUARTER, missing)) == (fills.STOP, 9_900, 3 * HOUR)


def test_risk_of_a_trade_beyond_64_bit_products_is_exact() -> None:
    scale = 10**6
    wide = bars([tuple(price * scale for price in row) for row in COARSE], HOUR)  # type: ignore[misc]
    entries = ENTRIES._replace(stop=np.array([9_900.0 * scale]))
    (row,), _, _, _ = backtest.walk_setups(wide, bars([], HOUR), entries, RULES, 10**16)
    assert row[backtest.RISK] == 100 * scale * row[backtest.LOTS]
    assert row[backtest.PROFIT] == -row[backtest.RISK]
