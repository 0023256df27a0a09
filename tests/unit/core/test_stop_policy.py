"""Where a stop belongs after a close, with figures worked out by hand.

A tick is 0.01 and a lot 0.001; a taker pays 0.1 % and slips by 0.02 %. In at 100.00 with a stop at 98.00, so R is 200
ticks; the target is far away.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.trading import MARKET, SERIES, START, spec

from tradepulse.core.portfolio import Portfolio
from tradepulse.core.stop_policy import BREAK_EVEN, TRAILED, StopMove, break_even_ticks, moved_stop
from tradepulse.domain.market import MarketKind, MarketSpec
from tradepulse.domain.orders import Fill, OrderRole
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import FIXED, StopRules
from tradepulse.domain.signals import Direction, ExitReason, Regime
from tradepulse.kernels import fills

R = 1_000_000
SPOT, SWAP = spec(), spec(MarketKind.SWAP)
BREAKS_EVEN = StopRules(break_even_at_ppm=R, step_ppm=R // 10)
TRAILS = StopRules(trail_from_ppm=2 * R, trail_by_ppm=R, step_ppm=R // 4)


def held(entry: int = 10_000, stop: int = 9_800, target: int = 12_000, lots: int = 1_000) -> Position:
    direction = Direction.LONG if stop < entry else Direction.SHORT
    return Position(
        "p", "p", "desk", "parameters", SERIES, direction, lots, entry, START, Decimal(0), stop, target, START,
        Regime.BULL, Decimal(1),
    )  # fmt: skip


def test_stop_when_nothing_is_asked_for_then_stays_at_any_price() -> None:
    assert not FIXED.moves
    assert [moved_stop(FIXED, held(), SPOT, close) for close in (9_900, 10_000, 11_990)] == [None] * 3


def test_break_even_when_the_close_reaches_it_then_to_where_slippage_and_both_fees_are_paid() -> None:
    assert moved_stop(BREAKS_EVEN, held(), SPOT, 10_199) is None
    # 10,000 x 1.001 / 0.999 = 10,020.02, up to 10,021; / 0.9998 = 10,023.0, up to 10,024.
    assert moved_stop(BREAKS_EVEN, held(), SPOT, 10_200) == StopMove(10_024, BREAK_EVEN)
    offset = replace(BREAKS_EVEN, break_even_offset_ppm=R // 4)
    assert moved_stop(offset, held(), SPOT, 10_200) == StopMove(10_074, BREAK_EVEN)


def test_break_even_of_a_short_lies_below_its_entry() -> None:
    # 10,000 x 0.999 / 1.001 = 9,980.0, down to 9,980; / 1.0002 = 9,978.0, down to 9,978.
    assert moved_stop(BREAKS_EVEN, held(10_000, 10_200, 8_000), SWAP, 9_800) == StopMove(9_978, BREAK_EVEN)
    assert moved_stop(BREAKS_EVEN, held(10_000, 10_200, 8_000), SWAP, 9_801) is None


def test_trailing_begins_at_its_profit_and_stays_behind_the_best_close_by_whole_steps() -> None:
    assert moved_stop(TRAILS, held(), SPOT, 10_399) is None
    assert moved_stop(TRAILS, held(), SPOT, 10_400) == StopMove(10_200, TRAILED)
    moved = replace(held(), stop_ticks=10_200)
    # A quarter of R are 50 ticks: less is not worth replacing a pair for. A lower close moves nothing.
    closes = [10_449, 10_450, 10_430]
    assert [moved_stop(TRAILS, moved, SPOT, close) for close in closes] == [None, StopMove(10_250, TRAILED), None]


def test_r_is_measured_from_the_first_stop_although_it_was_moved() -> None:
    moved = replace(held(), stop_ticks=10_024)
    assert moved.first_stop_ticks == 9_800
    assert moved_stop(TRAILS, moved, SPOT, 10_400) == StopMove(10_200, TRAILED)


def test_both_asked_for_then_the_better_one_is_taken() -> None:
    both = replace(TRAILS, break_even_at_ppm=R, trail_by_ppm=2 * R)
    assert moved_stop(both, held(), SPOT, 10_400) == StopMove(10_024, BREAK_EVEN)
    assert moved_stop(both, held(), SPOT, 10_600) == StopMove(10_200, TRAILED)


def test_stop_at_or_beyond_the_close_or_the_target_then_not_moved() -> None:
    tight = StopRules(break_even_at_ppm=R // 20)
    # 0.05 R are 10 ticks; costs alone need 24.
    assert moved_stop(tight, held(), SPOT, 10_024) is None
    assert moved_stop(tight, held(), SPOT, 10_025) == StopMove(10_024, BREAK_EVEN)
    assert moved_stop(TRAILS, held(target=10_200), SPOT, 10_400) is None


def test_trailing_is_rounded_away_from_the_price() -> None:
    odd = StopRules(trail_from_ppm=R, trail_by_ppm=R // 3)
    # A third of 200 ticks are 66.67.
    assert moved_stop(odd, held(), SPOT, 10_300) == StopMove(10_233, TRAILED)
    assert moved_stop(odd, held(10_000, 10_200, 8_000), SWAP, 9_700) == StopMove(9_767, TRAILED)


SHARES = st.integers(0, 4 * R)
RULES = st.builds(
    StopRules,
    break_even_at_ppm=SHARES,
    break_even_offset_ppm=SHARES,
    trail_from_ppm=SHARES,
    trail_by_ppm=st.integers(1, 4 * R),
    step_ppm=SHARES,
)


def locked_in(position: Position, market: MarketSpec) -> Decimal:
    """What the book says of a trade that is stopped out now, slippage and both fees paid."""
    book, direction = Portfolio({MARKET: market}), int(position.direction)

    def told(name: str, role: OrderRole, side: int, ticks: int) -> Fill:
        fee = market.money(fills.fee_units(ticks * position.lots, market.taker_ppm))
        nothing = Decimal(0)
        return Fill(name, name, MARKET, role, Direction(side), ticks, position.lots, fee, nothing, START)

    bought = told("in", OrderRole.ENTRY, direction, position.entry_ticks)
    opened = replace(position, entry_fee=bought.fee)
    book.open(opened, bought)
    at = fills.worsened(position.stop_ticks, -direction, market.slippage_ppm)
    book.reduce(opened, told("out", OrderRole.STOP, -direction, at))
    return book.close(book.positions["p"], ExitReason.STOP, START).profit


@given(
    rules=RULES,
    short=st.booleans(),
    entry=st.integers(1_000, 200_000),
    risk=st.integers(1, 500),
    closes=st.lists(st.integers(-2_000, 6_000), max_size=15),
    lots=st.integers(1, 5_000),
)
def test_stop_that_is_moved_is_only_ever_moved_towards_the_target_and_never_locks_in_less(
    rules: StopRules, short: bool, entry: int, risk: int, closes: list[int], lots: int
) -> None:
    sign, market = (-1, SWAP) if short else (1, SPOT)
    position = held(entry, entry - sign * risk, entry + sign * 6 * risk, lots)
    step = max(1, -(-risk * rules.step_ppm // R))
    for close in (entry + sign * risk * one // 1_000 for one in closes):
        move = moved_stop(rules, position, market, close)
        if move is None:
            continue
        moved = replace(position, stop_ticks=move.ticks)
        assert sign * (move.ticks - position.stop_ticks) >= step
        assert sign * move.ticks < min(sign * close, sign * position.target_ticks)
        # Slippage is whole ticks, so that one tick may be worth nothing.
        assert locked_in(moved, market) >= locked_in(position, market)
        # Both fees are rounded up, each to a unit of money.
        if move.reason == BREAK_EVEN:
            assert locked_in(moved, market) >= -2 * market.money_unit
        # A second look at the same close finds nothing more to do.
        assert moved_stop(rules, moved, market, close) is None
        position = moved


@given(short=st.booleans(), entry=st.integers(1_000, 10**9), risk=st.integers(1, 500))
def test_break_even_is_the_first_tick_at_which_nothing_is_lost(short: bool, entry: int, risk: int) -> None:
    sign, market = (-1, SWAP) if short else (1, SPOT)
    position = held(entry, entry - sign * risk, entry + sign * 10**9, 10_000)
    level = break_even_ticks(position, market)
    assert locked_in(replace(position, stop_ticks=level), market) >= -2 * market.money_unit
    # Two ticks: one for each of the two roundings.
    assert locked_in(replace(position, stop_ticks=level - 3 * sign), market) < 0


@pytest.mark.parametrize("parts", [2, 3])
def test_break_even_after_an_entry_in_parts_covers_the_exact_average(parts: int) -> None:
    position = replace(held(), entry_lots=1_000 * parts, entry_units=10_000 * 1_000 * parts + 1)
    assert break_even_ticks(position, SPOT) == break_even_ticks(held(10_001), SPOT)
