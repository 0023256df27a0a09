"""How much of each limit is used: the figures that decide, told to who watches. Nothing is decided here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradepulse.core.correlation import Correlations, heat
from tradepulse.core.exposure import Exposure
from tradepulse.core.portfolio import ZERO
from tradepulse.core.risk_guard import RiskMemory
from tradepulse.domain.market import MINUTE, MarketSpec
from tradepulse.domain.risk import AccountLimits
from tradepulse.kernels.fills import PPM


@dataclass(frozen=True, slots=True)
class LimitUse:
    """``limit`` is its setting, ``about`` what it is used by; money, or a count, or a share of the equity."""

    limit: str
    about: str
    used: Decimal
    allowed: Decimal

    @property
    def share(self) -> float:
        return float(self.used / self.allowed) if self.allowed > 0 else float(self.used > 0)


def limit_usage(
    limits: AccountLimits,
    held: Sequence[Exposure],
    equity: Decimal,
    memory: RiskMemory,
    correlations: Correlations,
    now: int,
) -> list[LimitUse]:
    """Of every limit that is on and has something that uses it; the account's own ones also where nothing does."""
    return [
        *_exposures(limits, held, equity),
        *_clusters(limits, held, equity, correlations, now),
        *_heat(limits, held, equity, correlations, now),
        *_losses(limits, equity, memory),
        *_rates(limits, memory, now),
    ]


def _exposures(limits: AccountLimits, held: Sequence[Exposure], equity: Decimal) -> Iterator[LimitUse]:
    scopes: tuple[tuple[str, int, Callable[[MarketSpec], str]], ...] = (
        ("max_symbol", limits.symbol_ppm, lambda market: market.key.symbol),
        ("max_base_asset", limits.base_asset_ppm, lambda market: market.base),
        ("max_exchange", limits.exchange_ppm, lambda market: market.key.exchange),
    )
    for name, share, of in scopes:
        for about in sorted({of(one.market) for one in held}) if share else ():
            yield LimitUse(name, about, _worth(one for one in held if of(one.market) == about), equity * share / PPM)
    if limits.total_ppm:
        yield LimitUse("max_total", "", _worth(held), equity * limits.total_ppm / PPM)
    if limits.positions:
        yield LimitUse("max_positions", "", Decimal(len(held)), Decimal(limits.positions))


def _clusters(
    limits: AccountLimits, held: Sequence[Exposure], equity: Decimal, correlations: Correlations, now: int
) -> Iterator[LimitUse]:
    rule = limits.correlation
    left = {one.market.key: one.market for one in held} if rule.cluster_ppm else {}
    while left:
        first = left[min(left)]
        together = correlations.cluster(first, [one for one in left.values() if one is not first], now)
        about = ", ".join(map(str, sorted(together)))
        worth = _worth(one for one in held if one.market.key in together)
        yield LimitUse("max_cluster", about, worth, equity * rule.cluster_ppm / PPM)
        left = {key: market for key, market in left.items() if key not in together}


def _heat(
    limits: AccountLimits, held: Sequence[Exposure], equity: Decimal, correlations: Correlations, now: int
) -> Iterator[LimitUse]:
    if not limits.correlation.heat_ppm or equity <= 0:
        return
    risks = np.array([float(one.risk / equity) for one in held])
    pairs = np.array(
        [
            [
                1.0
                if one is other
                else correlations.together(one.market, other.market, now, same_way=one.direction is other.direction)
                for other in held
            ]
            for one in held
        ]
    )
    lost = Decimal(f"{heat(risks, pairs.reshape(len(held), len(held))):.6f}")
    yield LimitUse("max_heat", "", lost, Decimal(limits.correlation.heat_ppm) / PPM)


def _losses(limits: AccountLimits, equity: Decimal, memory: RiskMemory) -> Iterator[LimitUse]:
    if limits.daily_loss_ppm and memory.baseline > 0:
        lost = max(ZERO, memory.baseline - equity)
        yield LimitUse("daily_loss", "", lost, memory.baseline * limits.daily_loss_ppm / PPM)
    tiers = {
        "drawdown_warn": limits.drawdown_warn_ppm,
        "drawdown_reduce": limits.drawdown_reduce_ppm,
        "drawdown_halt": limits.drawdown_halt_ppm,
    }
    for name, share in tiers.items():
        if share and memory.peak > 0:
            yield LimitUse(name, "", max(ZERO, memory.peak - equity), memory.peak * share / PPM)


def _rates(limits: AccountLimits, memory: RiskMemory, now: int) -> Iterator[LimitUse]:
    for name, most, times in (
        ("entries_per_minute", limits.entries_per_minute, memory.entries),
        ("orders_per_minute", limits.orders_per_minute, list(memory.orders.values())),
    ):
        if most:
            yield LimitUse(name, "", Decimal(sum(time > now - MINUTE for time in times)), Decimal(most))


def _worth(held: Iterable[Exposure]) -> Decimal:
    return sum((one.value for one in held), ZERO)
