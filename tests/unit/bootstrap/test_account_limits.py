"""Settings of the account's limits as the engine takes them."""

from decimal import Decimal

from tradepulse.bootstrap.application import account_limits
from tradepulse.domain.market import HOUR, MINUTE
from tradepulse.domain.risk import UNLIMITED, AccountLimits, Protection
from tradepulse.shared.settings import RiskSettings


def test_limits_when_nothing_is_set_then_those_that_lift_themselves_and_no_protection() -> None:
    off = Protection(0, 4 * HOUR, 24 * HOUR)
    assert account_limits(RiskSettings()) == AccountLimits(
        symbol_ppm=500_000,
        base_asset_ppm=500_000,
        exchange_ppm=1_000_000,
        total_ppm=1_000_000,
        positions=10,
        daily_loss_ppm=50_000,
        drawdown_warn_ppm=100_000,
        entries_per_minute=10,
        stop_guard=off,
        loss_streak=Protection(0, 4 * HOUR),
    )


def test_limits_when_everything_is_set_then_each_arrives() -> None:
    shares = {
        name: Decimal(number) / 100
        for number, name in enumerate(
            ("max_symbol", "max_base_asset", "max_exchange", "max_total", "daily_loss", "drawdown_warn"), start=1
        )
    }
    settings = RiskSettings.model_validate(
        shares
        | {"drawdown_reduce": "0.07", "drawdown_halt": "0.08", "max_positions": 9, "entries_per_minute": 10}
        | {"cool_down_minutes": 11, "stop_guard": 12, "stop_guard_lock_minutes": 13, "stop_guard_window_minutes": 14}
        | {"stop_guard_scope": "all", "loss_streak": 15, "loss_streak_lock_minutes": 16, "loss_streak_scope": "all"}
    )
    assert account_limits(settings) == AccountLimits(
        10_000, 20_000, 30_000, 40_000, 9, 50_000, 60_000, 70_000, 80_000, 10, 11 * MINUTE,
        Protection(12, 13 * MINUTE, 14 * MINUTE, everywhere=True), Protection(15, 16 * MINUTE, everywhere=True),
    )  # fmt: skip


def test_limits_when_all_are_zero_then_none() -> None:
    nothing = dict.fromkeys(
        (
            "max_symbol", "max_base_asset", "max_exchange", "max_total", "max_positions", "daily_loss",
            "drawdown_warn", "drawdown_reduce", "drawdown_halt", "entries_per_minute",
        ), 0,
    )  # fmt: skip
    limits = account_limits(RiskSettings.model_validate(nothing))
    unset = UNLIMITED.stop_guard
    assert (limits.stop_guard.count, limits.loss_streak.count) == (unset.count, unset.count)
    assert account_limits(RiskSettings.model_validate(nothing)) == AccountLimits(
        stop_guard=limits.stop_guard, loss_streak=limits.loss_streak
    )
