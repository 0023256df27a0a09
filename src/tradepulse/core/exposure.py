"""What positions and entries on their way are worth together, and what the limits leave for one more."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from tradepulse.core.execution_core import PendingEntry
from tradepulse.core.portfolio import ZERO, Portfolio
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.domain.market import MarketSpec
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Verdict
from tradepulse.kernels import fills


@dataclass(frozen=True, slots=True)
class Exposure:
    """An open position at the last price, or an entry on its way at the dearest price it may fill at."""

    market: MarketSpec
    value: Decimal


@dataclass(frozen=True, slots=True)
class _Scope:
    """One limit, and which exposures count towards it."""

    share_ppm: int
    verdict: Verdict
    counts: Callable[[MarketSpec], bool]


def exposures(portfolio: Portfolio, entries: Iterable[PendingEntry]) -> list[Exposure]:
    held = [
        Exposure(portfolio.spec(position.series.market), portfolio.worth(position))
        for position in portfolio.positions.values()
    ]
    for entry in entries:
        spec = portfolio.spec(entry.setup.series.market)
        held.append(Exposure(spec, spec.money(dearest_ticks(entry.sized.plan) * entry.open_lots)))
    return held


def within_limits(
    sized: SizedEntry,
    spec: MarketSpec,
    portfolio: Portfolio,
    entries: Iterable[PendingEntry],
    limits: AccountLimits,
) -> SizedEntry | Verdict:
    """The entry, cut down (floored) to what every limit leaves, or the limit that leaves nothing tradable."""
    held = exposures(portfolio, entries)
    if limits.positions and len(held) >= limits.positions:
        return Verdict.TOO_MANY_POSITIONS
    lots, binding = sized.lots, Verdict.ACCEPTED
    equity = spec.units(portfolio.equity)
    for scope in _scopes(spec, limits):
        used = sum((one.value for one in held if scope.counts(one.market)), ZERO)
        room = equity * scope.share_ppm // fills.PPM + spec.units(-used)
        allowed = room // dearest_ticks(sized.plan)
        if allowed < lots:
            lots, binding = allowed, scope.verdict
    if binding is Verdict.ACCEPTED:
        return sized
    return replace(sized, lots=lots) if _is_tradable(lots, sized.plan, spec) else binding


def dearest_ticks(plan: EntryPlan) -> int:
    """A long fills at the last acceptable price at most; a short below its stop, or it is dropped at the open."""
    return max(fills.worst_entry(plan.planned_ticks, plan.stop_ticks), plan.stop_ticks)


def _scopes(spec: MarketSpec, limits: AccountLimits) -> Iterator[_Scope]:
    """Narrowest first, so that of limits that leave the same the one nearest to the setup is named."""
    scopes = (
        _Scope(limits.symbol_ppm, Verdict.SYMBOL_LIMIT, lambda other: other.key.symbol == spec.key.symbol),
        _Scope(limits.base_asset_ppm, Verdict.BASE_ASSET_LIMIT, lambda other: other.base == spec.base),
        _Scope(limits.exchange_ppm, Verdict.EXCHANGE_LIMIT, lambda other: other.key.exchange == spec.key.exchange),
        _Scope(limits.total_ppm, Verdict.TOTAL_LIMIT, lambda _: True),
    )
    return (scope for scope in scopes if scope.share_ppm)


def _is_tradable(lots: int, plan: EntryPlan, spec: MarketSpec) -> bool:
    """Entry and stop leg reach the exchange's minimum, as ``kernels.fills.position_lots`` asks of the whole size."""
    side = fills.LONG if plan.planned_ticks < plan.stop_ticks else fills.SHORT
    stopped = fills.worsened(plan.stop_ticks, side, spec.slippage_ppm)
    return lots >= 1 and lots * min(plan.planned_ticks, stopped) >= spec.units(spec.min_notional)
