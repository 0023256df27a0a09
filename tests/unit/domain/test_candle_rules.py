import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.candle_rules import CandleRule, check_candles, find_bad_rows
from tradepulse.domain.market import DAY, MINUTE, MONDAY_OFFSET, WEEK, Candle, Candles, Timeframe

NOW = 100 * MINUTE
GOOD = (10.0, 12.0, 9.0, 11.0, 1.0)


def bar(minute: float, *values: float) -> Candle:
    return Candle(int(minute * MINUTE), *(values or GOOD))


@pytest.mark.parametrize(
    ("unfit", "rule"),
    [
        (bar(2, np.nan, 12, 9, 11, 1), CandleRule.NOT_A_NUMBER),
        (bar(2, 10, np.inf, 9, 11, 1), CandleRule.NOT_A_NUMBER),
        (bar(2, 10, 12, 9, 11, np.nan), CandleRule.NOT_A_NUMBER),
        (bar(2, 10, 12, 0, 11, 1), CandleRule.PRICE_NOT_POSITIVE),
        (bar(2, -10, 12, 9, 11, 1), CandleRule.PRICE_NOT_POSITIVE),
        (bar(2, 10, 12, 9, 11, -0.1), CandleRule.VOLUME_NEGATIVE),
        (bar(2, 10, 9, 12, 11, 1), CandleRule.HIGH_BELOW_LOW),
        (bar(2, 10, 10.5, 9, 11, 1), CandleRule.HIGH_TOO_LOW),
        (bar(2, 10, 12, 10.5, 11, 1), CandleRule.LOW_TOO_HIGH),
        (bar(2.5), CandleRule.MISALIGNED),
        (bar(100), CandleRule.NOT_CLOSED),
        (bar(5000), CandleRule.NOT_CLOSED),
        (bar(1, 10, 12, 9, 11, 2), CandleRule.DUPLICATE),
        (bar(0), CandleRule.NOT_ASCENDING),
    ],
)
def test_find_bad_rows_when_one_row_breaks_a_rule_then_it_alone_is_named(unfit: Candle, rule: CandleRule) -> None:
    found = find_bad_rows(Candles.from_rows([bar(1), unfit, bar(3)]), Timeframe.M1, NOW)
    assert [(bad.row, bad.open_time, bad.rule) for bad in found] == [(1, unfit.open_time, rule)]
    assert found[0].detail


def test_candle_when_it_closes_just_now_then_it_is_good() -> None:
    assert find_bad_rows(Candles.from_rows([bar(99)]), Timeframe.M1, NOW) == []


def test_week_when_it_opens_on_monday_then_aligned_and_on_thursday_then_not() -> None:
    weeks = Candles.from_rows([Candle(MONDAY_OFFSET, *GOOD), Candle(WEEK, *GOOD)])
    found = find_bad_rows(weeks, Timeframe.W1, 400 * DAY)
    assert [(bad.row, bad.rule) for bad in found] == [(1, CandleRule.MISALIGNED)]


def test_exact_repetition_when_found_anywhere_then_merged_silently() -> None:
    checked = check_candles(Candles.from_rows([bar(1), bar(1), bar(2), bar(3), bar(2)]), Timeframe.M1, NOW)
    assert (checked.bad, checked.merged) == ((), 2)
    assert checked.good.open_time.tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]


def test_row_when_its_time_is_refused_anyway_then_later_rows_are_not_blamed_for_it() -> None:
    found = find_bad_rows(Candles.from_rows([bar(1), bar(5000), bar(2), bar(3)]), Timeframe.M1, NOW)
    assert [bad.row for bad in found] == [1]


values = st.floats(allow_nan=True, allow_infinity=True, width=16)
rows = st.lists(st.builds(Candle, st.integers(-3, 110).map(lambda m: m * MINUTE // 2), *[values] * 5), max_size=40)


@given(rows)
def test_check_candles_then_what_is_good_breaks_no_rule_and_no_row_is_lost(found: list[Candle]) -> None:
    candles = Candles.from_rows(found)
    checked = check_candles(candles, Timeframe.M1, NOW)
    assert len(checked.good) + len(checked.bad) + checked.merged == len(candles)
    assert find_bad_rows(checked.good, Timeframe.M1, NOW) == []
    assert np.all(np.diff(checked.good.open_time) > 0)
