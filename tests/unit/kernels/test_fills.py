"""The one fill rule: never in our favour, exact in integers, and the same for longs and shorts."""

import math
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tradepulse.kernels import fills

prices = st.integers(min_value=1_000, max_value=50_000_000)
rates = st.integers(min_value=0, max_value=10_000)
sides = st.sampled_from([fills.LONG, fills.SHORT])


@given(ticks=prices, side=sides, slippage=rates)
def test_slippage_is_never_in_our_favour_and_rounds_by_less_than_a_tick(ticks: int, side: int, slippage: int) -> None:
    worse = fills.worsened(ticks, side, slippage)
    exact = Fraction(ticks) * (1 + side * Fraction(slippage, fills.PPM))
    assert 0 <= side * (worse - exact) < 1


@given(notional=st.integers(min_value=0, max_value=10**15), rate=rates)
def test_fee_is_the_exact_rate_rounded_up(notional: int, rate: int) -> None:
    exact = (Decimal(notional) * rate / fills.PPM).to_integral_value(ROUND_CEILING)
    assert fills.fee_units(notional, rate) == int(exact)


def test_funding_is_paid_once_per_eight_hour_boundary_in_the_holding_time() -> None:
    hour = 3_600_000
    assert fills.funding_units(10**9, 100, fills.LONG, 7 * hour, 8 * hour) == 10**5
    assert fills.funding_units(10**9, 100, fills.SHORT, 7 * hour, 25 * hour) == -3 * 10**5
    assert fills.funding_units(10**9, 100, fills.LONG, 8 * hour, 15 * hour) == 0


@given(
    equity=st.integers(min_value=10**9, max_value=10**15),
    entry=prices,
    distance=st.floats(min_value=0.0005, max_value=0.3),
    direction=sides,
    risk=st.integers(min_value=100, max_value=100_000),
    taker=rates,
    slippage=rates,
)
def test_position_never_risks_more_than_allowed_nor_costs_more_than_the_cash(
    equity: int, entry: int, distance: float, direction: int, risk: int, taker: int, slippage: int
) -> None:
    stop = entry - direction * max(1, int(entry * distance))
    lots, refusal = fills.position_lots(equity, equity, entry, stop, direction, risk, fills.PPM, 1, taker, slippage)
    if refusal != fills.ACCEPTED:
        assert lots == 0
        return
    loss = Fraction(fills.loss_per_lot_ppm(entry, stop, direction, taker, slippage), fills.PPM)
    allowed = Fraction(equity) * risk / fills.PPM
    assert loss * lots <= allowed * (1 + Fraction(1, 10**12))
    dearest = max(entry, fills.worst_entry(entry, stop))
    assert dearest * lots + fills.fee_units(dearest * lots, taker) <= equity + 1
    assert lots * entry <= equity


def test_position_sizes_equal_the_published_vectors() -> None:
    """Equity 10,000, risk 1 %, fee 0.1 %, slippage 0.05 %, lot 1e-5, tick 0.01: quantities worked out by hand."""

    def lots(entry: float, stop: float, direction: int, max_position_ppm: int = fills.PPM, equity: int = 10_000) -> int:
        planned = fills.worsened(fills.to_ticks(entry, 0.01), direction, 500)
        size, _ = fills.position_lots(
            equity * 10**7,
            equity * 10**7,
            planned,
            fills.to_ticks(stop, 0.01),
            direction,
            10_000,
            max_position_ppm,
            5 * 10**7,
            1_000,
            500,
        )
        return size

    assert lots(50_000, 49_000, fills.LONG) == 8_707
    assert lots(50_000, 51_000, fills.SHORT) == 8_684
    assert lots(50_000, 49_000, fills.LONG, max_position_ppm=250_000) == 4_997
    # A stop 0.1 % away is bound by cash at the worst price that is still accepted, not by risk.
    assert 0.1985 < lots(50_000, 49_950, fills.LONG) / 1e5 < 0.1998
    assert lots(50_000, 45_000, fills.LONG, equity=20) == 0


@given(open_ticks=prices, planned=prices, stop=prices, direction=sides, reward=st.floats(0.5, 10), slippage=rates)
def test_entry_is_accepted_only_between_its_stop_and_its_worst_price(
    open_ticks: int, planned: int, stop: int, direction: int, reward: float, slippage: int
) -> None:
    if direction * (planned - stop) <= 0:
        return
    fill, refusal = fills.entry_refusal(open_ticks, planned, stop, direction, 0, reward, 0.1, 1_000, 1_000, slippage)
    if refusal == fills.ACCEPTED:
        assert direction * (fill - stop) > 0
        assert direction * (open_ticks - stop) > 0
        assert abs(fill - stop) <= abs(planned - stop) * 1.25 + 1
        asked = math.floor(reward * abs(fill - stop))
        # A short's target ends at one tick: the price can fall no further.
        possible = asked if direction == fills.LONG else min(asked, fill - 1)
        assert direction * (fills.target_for(fill, stop, direction, 0, reward) - fill) >= possible


def test_entry_is_dropped_with_the_reason_when_the_open_makes_it_not_worth_it() -> None:
    def refusal(open_ticks: int, fixed_target: int = 0, min_reward_risk: float = 1.2) -> int:
        return fills.entry_refusal(
            open_ticks, 10_000, 9_000, fills.LONG, fixed_target, 2.5, min_reward_risk, 1_000, 1_000, 0
        )[1]

    assert refusal(10_000) == fills.ACCEPTED
    assert refusal(9_000) == fills.PRICE_BEYOND_STOP
    assert refusal(8_500) == fills.PRICE_BEYOND_STOP
    assert refusal(10_251) == fills.PRICE_RAN_AWAY
    assert refusal(10_000, fixed_target=10_000) == fills.PRICE_BEYOND_TARGET
    assert refusal(10_000, fixed_target=11_000) == fills.REWARD_RISK_TOO_LOW
    assert refusal(9_001) == fills.REWARD_RISK_TOO_LOW


@given(
    open_ticks=prices,
    up=st.integers(0, 10**6),
    down=st.integers(0, 900),
    stop_distance=st.integers(1, 10**6),
    target_distance=st.integers(1, 10**6),
)
def test_shorts_mirror_longs_when_there_is_no_slippage(
    open_ticks: int, up: int, down: int, stop_distance: int, target_distance: int
) -> None:
    high, low = open_ticks + up, open_ticks - down
    reason, price = fills.exit_in_range(
        high, low, open_ticks - stop_distance, open_ticks + target_distance, fills.LONG, 0
    )
    mirrored, mirrored_price = fills.exit_in_range(
        2 * open_ticks - low,
        2 * open_ticks - high,
        open_ticks + stop_distance,
        open_ticks - target_distance,
        fills.SHORT,
        0,
    )
    assert reason == mirrored
    if reason != fills.NO_EXIT:
        assert price - open_ticks == open_ticks - mirrored_price


def test_stop_comes_first_when_one_bar_touches_both_levels() -> None:
    assert fills.exit_in_range(120, 80, 90, 110, fills.LONG, 0) == (fills.STOP, 90)


def test_gap_through_a_level_fills_at_the_open() -> None:
    assert fills.exit_at_open(85, 90, 110, fills.LONG, 0) == (fills.STOP, 85)
    assert fills.exit_at_open(115, 90, 110, fills.LONG, 0) == (fills.TARGET, 115)
    assert fills.exit_at_open(100, 90, 110, fills.LONG, 0) == (fills.NO_EXIT, 0)


@given(price=st.floats(min_value=0.01, max_value=1e5), direction=sides)
def test_rounding_a_stop_never_tightens_it(price: float, direction: int) -> None:
    ticks = fills.stop_to_ticks(price, direction, 0.01)
    assert direction * (ticks * 0.01 - price) <= 1e-7


@given(ticks=st.integers(10**9, 9 * 10**12), lots=st.integers(1, 10**12), side=sides, distance=st.floats(0.0005, 0.3))
def test_prices_and_risk_stay_exact_where_their_products_exceed_64_bits(
    ticks: int, lots: int, side: int, distance: float
) -> None:
    assert fills.worsened(ticks, side, 500) == math.ceil(side * Fraction(ticks) * (1 + side * Fraction(1, 2000))) * side
    loss = fills.loss_per_lot_ppm(ticks, ticks - side * int(ticks * distance), side, 1000, 500)
    lots = min(lots, 2**62 // ticks)
    assert fills.risk_units(loss, lots) == loss * lots // fills.PPM


def test_target_of_a_wide_short_ends_at_the_lowest_price_there_is() -> None:
    assert fills.target_for(1_000, 1_400, fills.SHORT, 0, 2.5) == 1
    assert fills.target_for(1_000, 1_200, fills.SHORT, 0, 2.5) == 500
    assert fills.target_for(1_000, 900, fills.LONG, 0, 2.5) == 1_250
