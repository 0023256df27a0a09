"""How much of each limit is used, with figures worked out by hand."""

from decimal import Decimal

from tests.unit.core.trading import MARKET, START, spec

from tradepulse.core.correlation import Correlations
from tradepulse.core.exposure import Exposure
from tradepulse.core.limit_usage import LimitUse, limit_usage
from tradepulse.core.risk_guard import RiskMemory
from tradepulse.domain.market import MINUTE, MarketKey, Timeframe
from tradepulse.domain.risk import UNLIMITED, AccountLimits, CorrelationRule
from tradepulse.domain.signals import Direction

OTHER = MarketKey("desk", "XYZ/USD")
EQUITY = Decimal(10_000)
BASES = {MARKET: Timeframe.M1, OTHER: Timeframe.M1}


def held(market: MarketKey, value: int, risk: int) -> Exposure:
    return Exposure(spec(market=market), Decimal(value), Direction.LONG, Decimal(risk))


def used(
    limits: AccountLimits, memory: RiskMemory | None = None, *exposures: Exposure
) -> dict[tuple[str, str], LimitUse]:
    correlations = Correlations(limits.correlation, BASES)
    found = limit_usage(limits, exposures, EQUITY, memory or RiskMemory(), correlations, START)
    return {(one.limit, one.about): one for one in found}


def test_limits_that_are_off_are_not_told_of() -> None:
    assert used(UNLIMITED, RiskMemory(baseline=EQUITY, peak=EQUITY), held(MARKET, 1_000, 100)) == {}


def test_exposures_are_told_by_what_they_are_of() -> None:
    limits = AccountLimits(
        symbol_ppm=500_000, base_asset_ppm=400_000, exchange_ppm=800_000, total_ppm=10**6, positions=4
    )
    # Both have the base asset ABC.
    found = used(limits, None, held(MARKET, 1_000, 0), held(OTHER, 3_000, 0))
    assert {key: (int(one.used), int(one.allowed), one.share) for key, one in found.items()} == {
        ("max_symbol", "ABC/USD"): (1_000, 5_000, 0.2),
        ("max_symbol", "XYZ/USD"): (3_000, 5_000, 0.6),
        ("max_base_asset", "ABC"): (4_000, 4_000, 1.0),
        ("max_exchange", "desk"): (4_000, 8_000, 0.5),
        ("max_total", ""): (4_000, 10_000, 0.4),
        ("max_positions", ""): (2, 4, 0.5),
    }


def test_losses_are_measured_from_the_day_and_from_the_peak_and_gains_use_nothing() -> None:
    limits = AccountLimits(daily_loss_ppm=50_000, drawdown_warn_ppm=100_000, drawdown_halt_ppm=200_000)
    found = used(limits, RiskMemory(baseline=Decimal(10_400), peak=Decimal(12_500)))
    assert {key: (one.used, one.allowed) for key, one in found.items()} == {
        ("daily_loss", ""): (400, 520),
        ("drawdown_warn", ""): (2_500, 1_250),
        ("drawdown_halt", ""): (2_500, 2_500),
    }
    assert used(limits, RiskMemory(baseline=Decimal(9_000), peak=EQUITY))["daily_loss", ""].share == 0


def test_markets_of_which_nothing_is_known_are_one_cluster_and_their_risks_are_lost_together() -> None:
    limits = AccountLimits(correlation=CorrelationRule(cluster_ppm=500_000, heat_ppm=60_000))
    found = used(limits, None, held(MARKET, 1_000, 100), held(OTHER, 3_000, 200))
    assert found["max_cluster", "desk:ABC/USD, desk:XYZ/USD"].used == 4_000
    # Lost together 1 % and 2 % are 3 %.
    assert (found["max_heat", ""].used, found["max_heat", ""].share) == (Decimal("0.03"), 0.5)


def test_rates_count_the_last_minute() -> None:
    limits = AccountLimits(entries_per_minute=10, orders_per_minute=20)
    memory = RiskMemory(entries=[START - MINUTE, START - 1], orders={"a": START - MINUTE + 1, "b": START, "c": 0})
    found = used(limits, memory)
    assert (found["entries_per_minute", ""].used, found["orders_per_minute", ""].used) == (1, 2)
