"""When nothing new may be entered: daily loss, drawdown, locks and a person's word, with figures worked out by hand."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.core.trading import CASH, MARKET, SERIES, START, setup, spec

from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_guard import RiskEvent, RiskGuard
from tradepulse.domain.events import DrawdownWarned, EntriesLocked, RiskStateChanged, TradingDayBegan
from tradepulse.domain.market import DAY, HOUR, MINUTE, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.risk import AccountLimits, HaltTrading, HoldCause, Protection, ResumeTrading, RiskState
from tradepulse.domain.signals import Direction, ExitReason, Regime, Setup, Verdict
from tradepulse.shared.errors import ConfigurationError

OTHER = MarketKey("desk", "XYZ/USD")
MIDNIGHT = START // DAY * DAY
NOON = MIDNIGHT + 12 * HOUR


class Account:
    """A guard over an account that only holds cash: its equity is what is said."""

    def __init__(self, limits: AccountLimits) -> None:
        self._portfolio = Portfolio({MARKET: spec(), OTHER: spec(market=OTHER)})
        self._portfolio.cash = CASH
        self.guard = RiskGuard(limits, self._portfolio)
        self.worth(CASH, NOON)

    def worth(self, equity: object, time: int, *, at_close: bool = True) -> list[RiskEvent]:
        turned = self.guard.turn_day(time)
        self._portfolio.cash = Decimal(str(equity))
        return [*turned, *self.guard.watch(time, at_close=at_close)]

    def refusal(self, time: int, found: Setup | None = None) -> Verdict | None:
        return self.guard.refusal(found or at(MARKET, time), time)


def at(market: MarketKey, time: int, timeframe: Timeframe = Timeframe.M5) -> Setup:
    series = SeriesKey(market.exchange, market.symbol, timeframe)
    return setup(series=series, bar_time=time - timeframe.milliseconds)


def trade(
    exit_time: int,
    profit: int,
    reason: ExitReason = ExitReason.STOP,
    market: MarketKey = MARKET,
    timeframe: Timeframe = Timeframe.M5,
) -> Trade:
    series = SeriesKey(market.exchange, market.symbol, timeframe)
    one, nothing = Decimal(1), Decimal(0)
    return Trade(
        "t", "t", "desk", "parameters", series, Direction.LONG, one, one, START, one, exit_time, reason, nothing,
        nothing, Decimal(profit), one, float(profit), Regime.BULL, one, one,
    )  # fmt: skip


def states(events: list[RiskEvent]) -> list[RiskState]:
    return [event.state for event in events if isinstance(event, RiskStateChanged)]


# --- daily loss

FIVE_PERCENT = AccountLimits(daily_loss_ppm=50_000)


def test_daily_loss_when_the_limit_is_reached_to_the_unit_then_reducing_until_the_next_midnight() -> None:
    account = Account(FIVE_PERCENT)
    assert account.worth("9500.01", NOON + HOUR) == []
    assert account.refusal(NOON + HOUR) is None
    (changed,) = account.worth(9_500, NOON + 2 * HOUR)
    assert isinstance(changed, RiskStateChanged)
    assert changed.state is RiskState.REDUCING
    assert [(hold.cause, hold.until) for hold in changed.holds] == [(HoldCause.DAILY_LOSS, MIDNIGHT + DAY)]
    assert changed.reason == "500 of the day's 10000 were lost, the limit is 5 %"
    assert account.worth(20_000, NOON + 3 * HOUR) == [], "what was lost and won back does not lift it"
    assert account.refusal(MIDNIGHT + DAY - 1) is Verdict.DAILY_LOSS_LIMIT


def test_daily_loss_when_midnight_comes_then_active_and_measured_from_the_close_of_midnight() -> None:
    account = Account(FIVE_PERCENT)
    account.worth(9_000, NOON)
    events = account.worth(8_900, MIDNIGHT + DAY)
    assert states(events) == [RiskState.ACTIVE]
    days = [event for event in events if isinstance(event, TradingDayBegan)]
    assert [(day.day, day.equity) for day in days] == [(MIDNIGHT + DAY, 9_000), (MIDNIGHT + DAY, 8_900)]
    # 5 % of 8,900 are 445.
    assert account.worth("8455.01", MIDNIGHT + DAY + MINUTE) == []
    assert states(account.worth(8_455, MIDNIGHT + DAY + 2 * MINUTE)) == [RiskState.REDUCING]


def test_day_when_nothing_closed_at_midnight_then_measured_from_what_was_known_before() -> None:
    account = Account(FIVE_PERCENT)
    account.worth(9_800, MIDNIGHT + DAY - MINUTE)
    events = account.worth(9_300, MIDNIGHT + DAY + HOUR)
    assert [event.equity for event in events if isinstance(event, TradingDayBegan)] == [9_800]
    # 500 of 9,800 are more than 5 %.
    assert states(events) == [RiskState.REDUCING]


def test_loss_at_midnight_when_it_is_a_fill_and_not_a_candle_then_it_is_of_the_new_day() -> None:
    account = Account(FIVE_PERCENT)
    account.worth(10_000, MIDNIGHT + DAY)
    assert states(account.worth(9_400, MIDNIGHT + DAY, at_close=False)) == [RiskState.REDUCING]


def test_daily_loss_when_days_were_missed_then_lifted_once() -> None:
    account = Account(FIVE_PERCENT)
    account.worth(9_000, NOON)
    assert states(account.worth(9_000, NOON + 5 * DAY)) == [RiskState.ACTIVE]
    assert account.guard.memory.day == MIDNIGHT + 5 * DAY


# --- drawdown

TIERS = AccountLimits(drawdown_warn_ppm=100_000, drawdown_reduce_ppm=200_000, drawdown_halt_ppm=300_000)


def test_drawdown_warns_once_then_reduces_then_halts_measured_from_the_peak() -> None:
    account = Account(TIERS)
    assert account.worth(12_000, NOON) == []
    assert account.worth("10800.01", NOON) == []
    assert account.worth(10_800, NOON) == [DrawdownWarned(Decimal(12_000), Decimal(10_800), NOON)]
    assert account.refusal(NOON) is None
    assert account.worth("9600.01", NOON) == []
    assert states(account.worth(9_600, NOON)) == [RiskState.REDUCING]
    assert states(account.worth(8_400, NOON)) == [RiskState.HALTED]
    assert account.refusal(NOON) is Verdict.DRAWDOWN_LIMIT
    assert account.worth(50_000, NOON + 9 * DAY) == []
    assert account.guard.state is RiskState.HALTED, "only a person lifts it"


def test_drawdown_warns_again_only_after_a_new_peak() -> None:
    account = Account(TIERS)
    account.worth(9_000, NOON)
    account.worth(9_999, NOON)
    assert account.worth(9_000, NOON) == []
    account.worth("10000.01", NOON)
    assert [type(event) for event in account.worth(9_000, NOON)] == [DrawdownWarned]


def test_resume_when_a_drawdown_held_then_lifted_and_measured_from_here_on() -> None:
    account = Account(TIERS)
    account.worth(8_000, NOON)
    (changed,) = account.guard.resume(ResumeTrading("looked into it", "Ada", NOON), NOON)
    assert isinstance(changed, RiskStateChanged)
    assert (changed.state, changed.holds) == (RiskState.ACTIVE, ())
    assert changed.reason == "resumed by Ada: looked into it"
    assert account.worth("6400.01", NOON) == [DrawdownWarned(Decimal(8_000), Decimal("6400.01"), NOON)]
    assert states(account.worth(6_400, NOON)) == [RiskState.REDUCING]


# --- a person's word


def test_halt_holds_until_resumed_and_saying_it_twice_changes_nothing() -> None:
    account = Account(AccountLimits())
    order = HaltTrading("news", "Ada", NOON)
    (changed,) = account.guard.halt(order, NOON)
    assert states([changed]) == [RiskState.HALTED]
    assert account.guard.halt(order, NOON) == []
    assert account.worth(1, NOON + 3 * DAY) == []
    assert account.refusal(NOON + 3 * DAY) is Verdict.HALTED_BY_HAND
    assert states(account.guard.resume(ResumeTrading("over", "Ada", NOON), NOON)) == [RiskState.ACTIVE]
    assert account.guard.resume(ResumeTrading("over", "Ada", NOON), NOON) == []
    assert account.refusal(NOON + 3 * DAY) is None


def test_resume_when_the_days_loss_holds_too_then_that_stays_and_a_small_drawdown_is_not_forgotten() -> None:
    account = Account(replace(TIERS, daily_loss_ppm=50_000))
    account.worth(9_400, NOON)
    account.guard.halt(HaltTrading("news", "Ada", NOON), NOON)
    assert account.refusal(NOON) is Verdict.HALTED_BY_HAND, "the severest is named"
    assert states(account.guard.resume(ResumeTrading("over", "Ada", NOON), NOON)) == [RiskState.REDUCING]
    assert account.refusal(NOON) is Verdict.DAILY_LOSS_LIMIT
    assert account.guard.memory.peak == CASH


@pytest.mark.parametrize("kind", [HaltTrading, ResumeTrading])
@pytest.mark.parametrize(("reason", "by"), [("", "Ada"), (" ", "Ada"), ("news", "")])
def test_person_who_gives_no_reason_or_name_is_refused(
    kind: type[HaltTrading | ResumeTrading], reason: str, by: str
) -> None:
    with pytest.raises(ConfigurationError, match="need a reason and a name"):
        kind(reason, by, NOON)


# --- locks


def test_cool_down_locks_the_market_until_the_next_candle_after_the_wait() -> None:
    account = Account(AccountLimits(cool_down_ms=12 * MINUTE))
    (event,) = account.guard.note_closed(trade(NOON + MINUTE, 5, ExitReason.TARGET))
    assert isinstance(event, EntriesLocked)
    # 12:01 + 12 minutes = 12:13, rounded up to a candle of 5 minutes: 12:15.
    assert event.lock.until == NOON + 15 * MINUTE
    assert account.refusal(NOON + 10 * MINUTE) is Verdict.COOL_DOWN
    assert account.refusal(NOON + 10 * MINUTE, at(OTHER, NOON + 10 * MINUTE)) is None
    assert account.refusal(NOON + 15 * MINUTE) is None


def test_wait_that_ends_with_a_candle_is_not_made_longer() -> None:
    account = Account(AccountLimits(cool_down_ms=10 * MINUTE))
    (event,) = account.guard.note_closed(trade(NOON, 5))
    assert isinstance(event, EntriesLocked)
    assert event.lock.until == NOON + 10 * MINUTE


def stop_guard(*, everywhere: bool) -> Account:
    rule = Protection(count=3, lock_ms=2 * HOUR, window_ms=HOUR, everywhere=everywhere)
    return Account(AccountLimits(stop_guard=rule))


def test_stop_guard_counts_stops_within_the_window_on_one_market() -> None:
    account = stop_guard(everywhere=False)
    close = account.guard.note_closed
    assert close(trade(NOON, -1)) == []
    assert close(trade(NOON + 30 * MINUTE, -1, ExitReason.TIME)) == []
    assert close(trade(NOON + 40 * MINUTE, -1, market=OTHER)) == []
    assert close(trade(NOON + 50 * MINUTE, -1)) == []
    # The first is an hour old: two are left within the window.
    assert close(trade(NOON + 60 * MINUTE, -1)) == []
    (event,) = close(trade(NOON + 61 * MINUTE, -1))
    assert isinstance(event, EntriesLocked)
    assert (event.lock.market, event.lock.reason) == (MARKET, "3 stops were hit within 60 minutes")
    # 13:01 + 2 hours, rounded up: 15:05.
    assert event.lock.until == NOON + 185 * MINUTE
    assert account.refusal(NOON + 180 * MINUTE) is Verdict.STOP_GUARD
    assert account.refusal(NOON + 180 * MINUTE, at(OTHER, NOON + 180 * MINUTE)) is None
    assert account.refusal(NOON + 185 * MINUTE) is None


def test_stop_guard_does_not_count_stops_that_were_moved_into_profit() -> None:
    account = stop_guard(everywhere=False)
    for minute in range(5):
        assert account.guard.note_closed(trade(NOON + minute * MINUTE, 1)) == []


def test_stop_guard_of_all_markets_counts_and_locks_them_together() -> None:
    account = stop_guard(everywhere=True)
    for minute, market in ((0, MARKET), (1, OTHER), (2, MARKET)):
        account.guard.note_closed(trade(NOON + minute * MINUTE, -1, market=market))
    assert account.refusal(NOON + HOUR) is Verdict.STOP_GUARD
    assert account.refusal(NOON + HOUR, at(OTHER, NOON + HOUR)) is Verdict.STOP_GUARD


@pytest.mark.parametrize("everywhere", [False, True])
def test_loss_streak_is_broken_by_a_win_and_counted_anew_after_a_lock(everywhere: bool) -> None:
    account = Account(AccountLimits(loss_streak=Protection(3, HOUR, everywhere=everywhere)))
    locks = [
        len(account.guard.note_closed(trade(NOON + minute * MINUTE, profit, ExitReason.TIME)))
        for minute, profit in enumerate((-1, -1, 2, -1, -1, -1, -1, -1))
    ]
    assert locks == [0, 0, 0, 0, 0, 1, 0, 0]
    assert account.refusal(NOON + 10 * MINUTE) is Verdict.LOSS_STREAK
    assert account.refusal(NOON + 10 * MINUTE, at(OTHER, NOON + 10 * MINUTE)) is (
        Verdict.LOSS_STREAK if everywhere else None
    )


# --- rate and duplicates


def test_orders_of_a_minute_are_counted_once_each_however_often_they_are_sent() -> None:
    account = Account(AccountLimits(orders_per_minute=2))
    for _ in range(3):
        account.guard.note_orders(["a"], NOON)
    assert account.refusal(NOON) is None
    account.guard.note_orders(["b"], NOON + 1)
    assert account.refusal(NOON + 59_999) is Verdict.TOO_MANY_ORDERS
    assert account.refusal(NOON + MINUTE) is None


def test_entries_of_a_minute_are_counted_over_all_markets() -> None:
    account = Account(AccountLimits(entries_per_minute=2))
    account.guard.note_entry(at(MARKET, NOON))
    account.guard.note_entry(at(OTHER, NOON + 30_000))
    assert account.refusal(NOON + 59_999) is Verdict.TOO_MANY_ENTRIES
    assert account.refusal(NOON + MINUTE) is None


def test_setup_on_a_candle_that_was_acted_on_is_refused_but_only_of_the_same_strategy_and_series() -> None:
    account = Account(AccountLimits())
    account.guard.note_entry(at(MARKET, NOON))
    assert account.refusal(NOON) is Verdict.DUPLICATE_SIGNAL
    assert account.refusal(NOON, at(MARKET, NOON - 5 * MINUTE)) is Verdict.DUPLICATE_SIGNAL
    assert account.refusal(NOON + 5 * MINUTE) is None
    assert account.refusal(NOON, at(OTHER, NOON)) is None
    assert account.refusal(NOON, at(MARKET, NOON, Timeframe.M1)) is None
    assert account.refusal(NOON, replace(at(MARKET, NOON), strategy="another")) is None
    assert account.refusal(NOON, replace(at(MARKET, NOON), setup_id="renamed", direction=Direction.SHORT)) is (
        Verdict.DUPLICATE_SIGNAL
    )


def test_guard_without_limits_tells_and_refuses_nothing() -> None:
    account = Account(AccountLimits())
    assert account.worth(1, NOON + 7 * DAY) == []
    assert account.guard.note_closed(trade(NOON, -1)) == []
    assert account.guard.memory.peak == 0
    assert account.refusal(NOON, setup(series=SERIES)) is None
