"""What positions and entries on their way are worth, and what each limit leaves; the figures are worked out by hand.

A tick is 0.01 and a lot 0.001, so a money unit is 0.00001 and an equity of 10,000 is 1,000,000,000 units. A long at 100
is planned at 10,002 ticks (slippage) and with its stop at 98 fills at 10,052 at most: a quarter of its 202 ticks of
risk more.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.core.trading import CASH, MARKET, START, entry_fill, setup, spec

from tradepulse.core.execution_core import ExecutionCore, PendingEntry
from tradepulse.core.exposure import dearest_ticks, exposures, within_limits
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.domain.commands import PlaceEntry
from tradepulse.domain.events import OrderFilled, OrderRejected
from tradepulse.domain.market import MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Setup, Verdict

PLAN = EntryPlan(10_002, 9_800, 0, 2.5, 1.2, START)
SAME_BASE = MarketKey("desk", "ABC/EUR")
ELSEWHERE = MarketKey("other", "XYZ/USD")
SAME_SYMBOL = MarketKey("other", "ABC/USD")


def specs() -> dict[MarketKey, MarketSpec]:
    markets = {key: spec(market=key) for key in (MARKET, SAME_BASE, SAME_SYMBOL)}
    return markets | {ELSEWHERE: replace(spec(market=ELSEWHERE), base="XYZ")}


def book() -> Portfolio:
    portfolio = Portfolio(specs())
    portfolio.deposit(CASH, START, "start")
    return portfolio


def pending(lots: int, market: MarketKey = MARKET, plan: EntryPlan = PLAN) -> PendingEntry:
    return PendingEntry.intended(f"{market}", found(market), SizedEntry(lots, plan))


def found(market: MarketKey, name: str = "other") -> Setup:
    return setup(name, series=SeriesKey(market.exchange, market.symbol, Timeframe.M5))


def admitted(lots: int, limits: AccountLimits, *held: PendingEntry, portfolio: Portfolio | None = None) -> object:
    answer = within_limits(SizedEntry(lots, PLAN), specs()[MARKET], portfolio or book(), held, limits)
    return answer.lots if isinstance(answer, SizedEntry) else answer


def test_dearest_price_of_a_long_is_a_quarter_of_its_risk_further_and_of_a_short_its_stop() -> None:
    assert dearest_ticks(PLAN) == 10_052
    assert dearest_ticks(replace(PLAN, planned_ticks=9_998, stop_ticks=10_200)) == 10_200


@pytest.mark.parametrize(
    ("limit", "counting", "verdict"),
    [
        ("symbol_ppm", (MARKET, SAME_SYMBOL), Verdict.SYMBOL_LIMIT),
        ("base_asset_ppm", (MARKET, SAME_SYMBOL, SAME_BASE), Verdict.BASE_ASSET_LIMIT),
        ("exchange_ppm", (MARKET, SAME_BASE), Verdict.EXCHANGE_LIMIT),
        ("total_ppm", (MARKET, SAME_SYMBOL, SAME_BASE, ELSEWHERE), Verdict.TOTAL_LIMIT),
    ],
)
def test_limit_when_others_count_towards_it_then_the_size_is_cut_to_what_they_leave(
    limit: str, counting: tuple[MarketKey, ...], verdict: Verdict
) -> None:
    # 30 % of 1,000,000,000 units. The other takes 20,000 x 10,052 = 201,040,000 of them.
    # What is left, 98,960,000 / 10,052, are 9,844.8 lots.
    limits = replace(AccountLimits(), **{limit: 300_000})
    for market in specs():
        counts = market in counting
        assert admitted(25_000, limits, pending(20_000, market)) == (9_844 if counts else 25_000), market
        # 29,844 x 10,052 = 299,991,888 leave 8,112: less than one lot.
        assert admitted(25_000, limits, pending(29_844, market)) == (verdict if counts else 25_000), market
    assert admitted(9_844, limits, pending(20_000)) == 9_844


def test_open_position_counts_at_its_last_price() -> None:
    portfolio = book()
    core = ExecutionCore("book", portfolio)
    _, (command,) = core.enter(found(MARKET), SizedEntry(20_000, PLAN))
    assert isinstance(command, PlaceEntry)
    core.on_order(OrderFilled(entry_fill(specs()[MARKET], command, 10_002)))
    portfolio.mark(MARKET, 110.0)
    assert [one.value for one in exposures(portfolio, [])] == [Decimal(2_200)]
    # Paid were 20 x 100.02 and a fee of 0.1 %: 10,000 - 2,000.4 - 2.0004 + 2,200.
    assert portfolio.equity == Decimal("10197.5996")
    # 30 % of it are 305,927,988 units; 220,000,000 are held: 85,927,988 / 10,052 = 8,548.3 lots are left.
    assert admitted(25_000, AccountLimits(total_ppm=300_000), portfolio=portfolio) == 8_548


def test_reservation_ends_with_the_entry() -> None:
    portfolio = book()
    core = ExecutionCore("book", portfolio)
    _, (command,) = core.enter(found(MARKET), SizedEntry(20_000, PLAN))
    assert isinstance(command, PlaceEntry)
    assert [one.value for one in exposures(portfolio, core.state.entries.values())] == [Decimal("2010.4")]
    core.on_order(OrderRejected(command.client_id, "no", START))
    assert exposures(portfolio, core.state.entries.values()) == []


def test_what_is_left_when_below_the_exchanges_minimum_then_denied_by_the_limit_that_left_it() -> None:
    # The stop leg is the cheaper one: 98 x (1 - 0.0002) = 97.98 a unit, 10 are asked for: 103 lots suffice, 102 do not.
    for lots, expected in ((103, 103), (102, Verdict.TOTAL_LIMIT)):
        share = lots * 10_052 * 1_000_000 // 1_000_000_000 + 1
        assert admitted(25_000, AccountLimits(total_ppm=share)) == expected


def test_tightest_limit_binds_and_the_nearest_is_named_where_two_leave_the_same() -> None:
    limits = AccountLimits(symbol_ppm=200_000, total_ppm=100_000)
    assert admitted(25_000, limits) == 9_948
    assert admitted(25_000, limits, pending(9_948)) is Verdict.TOTAL_LIMIT
    assert admitted(25_000, AccountLimits(symbol_ppm=1, total_ppm=1)) is Verdict.SYMBOL_LIMIT


def test_number_of_positions_counts_entries_on_their_way() -> None:
    limits = AccountLimits(positions=2)
    assert admitted(25_000, limits, pending(1)) == 25_000
    assert admitted(25_000, limits, pending(1), pending(1, ELSEWHERE)) is Verdict.TOO_MANY_POSITIONS


def test_equity_when_nothing_is_left_of_it_then_any_limit_denies() -> None:
    portfolio = book()
    portfolio.deposit(-CASH - 1, START, "lost")
    assert admitted(25_000, AccountLimits(total_ppm=1_000_000), portfolio=portfolio) is Verdict.TOTAL_LIMIT
