"""Settings of the account's limits as the engine takes them."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from tradepulse.bootstrap.application import account_limits
from tradepulse.domain.market import HOUR, MINUTE, Timeframe
from tradepulse.domain.risk import UNLIMITED, AccountLimits, CorrelationRule, Protection
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
        candle_age=2,
        price_band_ppm=50_000,
        slippage_ppm=50_000,
        correlation=CorrelationRule(cluster_ppm=500_000, heat_ppm=60_000),
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
        | {"max_candle_age": 17, "price_band": "0.18", "max_slippage": "0.19", "max_order_value": 20}
        | {"max_correlation": "0.21", "max_cluster": "0.22", "cluster_correlation": "0.23", "max_heat": "0.24"}
        | {"correlation_timeframe": "4h", "correlation_days": 25, "correlation_observations": 26}
        | {"correlation_decay": 0.9}
    )
    assert account_limits(settings) == AccountLimits(
        10_000, 20_000, 30_000, 40_000, 9, 50_000, 60_000, 70_000, 80_000, 10, 11 * MINUTE,
        Protection(12, 13 * MINUTE, 14 * MINUTE, everywhere=True), Protection(15, 16 * MINUTE, everywhere=True),
        17, 180_000, 190_000, Decimal(20),
        CorrelationRule(210_000, 220_000, 230_000, 240_000, Timeframe.H4, 25 * 6, 26, 0.9),
    )  # fmt: skip


def test_limits_when_all_are_zero_then_none() -> None:
    nothing = dict.fromkeys(
        (
            "max_symbol", "max_base_asset", "max_exchange", "max_total", "max_positions", "daily_loss",
            "drawdown_warn", "drawdown_reduce", "drawdown_halt", "entries_per_minute", "max_candle_age", "price_band",
            "max_slippage", "max_order_value", "max_correlation", "max_cluster", "max_heat",
        ), 0,
    )  # fmt: skip
    limits = account_limits(RiskSettings.model_validate(nothing))
    unset = UNLIMITED.stop_guard
    assert (limits.stop_guard.count, limits.loss_streak.count) == (unset.count, unset.count)
    assert account_limits(RiskSettings.model_validate(nothing)) == AccountLimits(
        stop_guard=limits.stop_guard, loss_streak=limits.loss_streak
    )


def test_settings_when_more_observations_are_asked_for_than_the_window_has_then_refused() -> None:
    with pytest.raises(ValidationError, match="at most the 12 bars of the window"):
        RiskSettings.model_validate(
            {"correlation_timeframe": "4h", "correlation_days": 2, "correlation_observations": 13}
        )
