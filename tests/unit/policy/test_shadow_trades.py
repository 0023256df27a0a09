"""Shadow trades by hand: how they enter, how they leave, what they make."""

from dataclasses import replace

import pytest
from tests.integration.engine.scripted import MARKET, START, series, spec

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import MINUTE, Candle, MarketKind, MarketSpec, Timeframe
from tradepulse.domain.signals import Direction, Regime, Setup
from tradepulse.kernels import fills
from tradepulse.policy.shadow_trades import ClosedShadow, ShadowTrades

M1 = series(Timeframe.M1)
FREE = replace(spec(MarketKind.SWAP), maker_ppm=0, taker_ppm=0, slippage_ppm=0, funding_ppm=0)
KEY = "the key"


def setup(direction: Direction = Direction.LONG, stop: float = 98.0, target: float | None = 104.0) -> Setup:
    """Found at START on a close of 100."""
    return Setup(
        setup_id="one",
        strategy="s",
        parameters_id="p",
        series=M1,
        bar_time=START - MINUTE,
        found_at=START,
        direction=direction,
        close=100.0,
        stop=stop,
        target=target,
        reward_risk=2.0,
        min_reward_risk=1.0,
        max_bars_in_trade=3,
        regime=Regime.BULL,
        conditions=(),
        valid=True,
        confluence=1.0,
    )


def followed(
    one: Setup, rows: list[tuple[float, float, float]], market: MarketSpec = FREE, first: int = START
) -> tuple[list[ClosedShadow], ShadowTrades]:
    """Rows of open, high and low, a minute apart."""
    shadows = ShadowTrades({MARKET: market})
    shadows.enter(KEY, one)
    closed = []
    for minute, (opened, high, low) in enumerate(rows):
        time = first + minute * MINUTE
        closed += shadows.meet(CandleClosed(M1, Candle(time, opened, high, low, opened, 1.0)), time)
    return closed, shadows


# --- by hand


def test_long_that_falls_to_its_stop_loses_one_r_at_the_close_of_that_candle() -> None:
    closed, shadows = followed(setup(), [(100.0, 101.0, 99.0), (100.0, 100.0, 97.5)])
    assert closed == [ClosedShadow(KEY, -1.0, START, 2000, 1960, fills.STOP, START + 2 * MINUTE)]
    assert shadows.trades == {}


def test_gap_through_the_stop_is_paid_at_the_open() -> None:
    ((one,), _) = followed(setup(), [(100.0, 101.0, 99.0), (97.0, 97.0, 97.0)])
    assert (one.r, one.reason, one.time) == (pytest.approx(-1.5), fills.STOP, START + MINUTE)


def test_candle_of_the_entry_that_reaches_both_levels_takes_the_stop() -> None:
    ((one,), _) = followed(setup(), [(100.0, 105.0, 97.0)])
    assert (one.r, one.reason) == (-1.0, fills.STOP)


def test_short_that_reaches_its_target_gains_what_reward_risk_says_less_its_costs() -> None:
    costly = replace(FREE, maker_ppm=400, taker_ppm=700, slippage_ppm=1000, funding_ppm=100)
    short = setup(Direction.SHORT, stop=102.0, target=None)
    ((one,), _) = followed(short, [(100.0, 100.5, 99.5), (100.0, 100.0, 90.0)], costly)
    # In ticks of 0.05: 2000 less 0.1 % slippage is 1998, the stop stands at 2040, the target twice the risk below.
    assert (one.entry_ticks, one.exit_ticks, one.reason) == (1998, 1998 - 2 * 42, fills.TARGET)
    gained = 84 - 1998 * 700e-6 - 1914 * 400e-6
    # Stopped out at 2040 and slippage of three ticks, 2.04 rounded against us.
    lost = 2043 - 1998 + (1998 + 2043) * 700e-6
    assert one.r == pytest.approx(gained / lost)


def test_trade_whose_time_is_over_leaves_at_the_next_open() -> None:
    rows = [(100.0, 101.0, 99.0)] * 3
    nothing, shadows = followed(setup(), rows)
    assert nothing == []
    assert [one.overdue for one in shadows.trades.values()] == [True]
    ((one,), _) = followed(setup(), [*rows, (101.0, 110.0, 90.0)])
    assert one == ClosedShadow(KEY, 0.5, START, 2000, 2020, fills.TIME, START + 3 * MINUTE)


@pytest.mark.parametrize(
    ("opened", "first"), [(97.0, START), (105.0, START), (100.9, START), (100.0, START + MINUTE)],
    ids=["beyond the stop", "beyond the target", "ran away", "the next candle is missing"],
)  # fmt: skip
def test_entry_that_a_real_order_would_not_get_is_dropped(opened: float, first: int) -> None:
    closed, shadows = followed(setup(), [(opened, 120.0, 80.0)], first=first)
    assert (closed, shadows.trades) == ([], {})


def test_setup_with_its_stop_on_the_wrong_side_is_not_followed_and_a_second_one_waits_its_turn() -> None:
    shadows = ShadowTrades({MARKET: FREE})
    shadows.enter(KEY, setup(stop=100.0))
    assert shadows.trades == {}
    shadows.enter("first", setup())
    shadows.enter("second", setup())
    assert [one.key for one in shadows.trades.values()] == ["first"]
    shadows.enter("another strategy", replace(setup(), strategy="t"))
    shadows.enter("another timeframe", replace(setup(), series=series(Timeframe.M5)))
    assert len(shadows.trades) == 3
    shadows.keep(lambda key: key.startswith("another"))
    assert {one.key for one in shadows.trades.values()} == {"another strategy", "another timeframe"}
