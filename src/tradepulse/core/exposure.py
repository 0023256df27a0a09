"""What positions and entries on their way are worth together, and what the limits leave for one more."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from tradepulse.core.execution_core import PendingEntry
from tradepulse.core.portfolio import ZERO, Portfolio
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.domain.market import MarketKey, MarketSpec
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.kernels import fills


@dataclass(frozen=True, slots=True)
class Exposure:
    """An open position at the last price, or an entry on its way at the dearest price it may fill at."""

    market: MarketSpec
    value: Decimal
    direction: Direction
    risk: Decimal
    """What is lost from there to the stop, costs apart."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """One limit, and which exposures count towards it."""

    share_ppm: int
    verdict: Verdict
    counts: Callable[[MarketSpec], bool]


def exposures(portfolio: Portfolio, entries: Iterable[PendingEntry]) -> list[Exposure]:
    held = [_of_position(portfolio, position) for position in portfolio.positions.values()]
    for entry in entries:
        spec, plan, lots = portfolio.spec(entry.setup.series.market), entry.sized.plan, entry.open_lots
        value, risk = spec.money(dearest_ticks(plan) * lots), spec.money(risk_ticks(plan) * lots)
        held.append(Exposure(spec, value, entry.setup.direction, risk))
    return held


def _of_position(portfolio: Portfolio, position: Position) -> Exposure:
    market = position.series.market
    spec, last = portfolio.spec(market), portfolio.marks.get(market, position.entry_ticks)
    # A price beyond the stop is about to close it: nothing more can be lost on the way there.
    left = max(0, position.direction * (last - position.stop_ticks))
    return Exposure(spec, portfolio.worth(position), position.direction, spec.money(left * position.lots))


def within_limits(
    sized: SizedEntry,
    spec: MarketSpec,
    portfolio: Portfolio,
    held: Sequence[Exposure],
    limits: AccountLimits,
    cluster: Collection[MarketKey] = (),
) -> SizedEntry | Verdict:
    """The entry, cut down (floored) to what every limit leaves, or the limit that leaves nothing tradable.

    ``cluster``: the markets that move with this one.
    """
    if limits.positions and len(held) >= limits.positions:
        return Verdict.TOO_MANY_POSITIONS
    lots, binding = sized.lots, Verdict.ACCEPTED
    equity = spec.units(portfolio.equity)
    for scope in _scopes(spec, limits, cluster):
        used = sum((one.value for one in held if scope.counts(one.market)), ZERO)
        room = equity * scope.share_ppm // fills.PPM + spec.units(-used)
        allowed = room // dearest_ticks(sized.plan)
        if allowed < lots:
            lots, binding = allowed, scope.verdict
    if binding is Verdict.ACCEPTED:
        return sized
    return replace(sized, lots=lots) if is_tradable(lots, sized.plan, spec) else binding


def dearest_ticks(plan: EntryPlan) -> int:
    """A long fills at the last acceptable price at most; a short below its stop, or it is dropped at the open."""
    return max(fills.worst_entry(plan.planned_ticks, plan.stop_ticks), plan.stop_ticks)


def risk_ticks(plan: EntryPlan) -> int:
    """From the worst price the entry may fill at to its stop."""
    return abs(fills.worst_entry(plan.planned_ticks, plan.stop_ticks) - plan.stop_ticks)


def _scopes(spec: MarketSpec, limits: AccountLimits, cluster: Collection[MarketKey]) -> Iterator[_Scope]:
    """Narrowest first, so that of limits that leave the same the one nearest to the setup is named."""
    scopes = (
        _Scope(limits.symbol_ppm, Verdict.SYMBOL_LIMIT, lambda other: other.key.symbol == spec.key.symbol),
        _Scope(limits.base_asset_ppm, Verdict.BASE_ASSET_LIMIT, lambda other: other.base == spec.base),
        _Scope(limits.correlation.cluster_ppm, Verdict.CLUSTER_LIMIT, lambda other: other.key in cluster),
        _Scope(limits.exchange_ppm, Verdict.EXCHANGE_LIMIT, lambda other: other.key.exchange == spec.key.exchange),
        _Scope(limits.total_ppm, Verdict.TOTAL_LIMIT, lambda _: True),
    )
    return (scope for scope in scopes if scope.share_ppm)


def is_tradable(lots: int, plan: EntryPlan, spec: MarketSpec) -> bool:
    """Entry and stop leg reach the exchange's minimum, as ``kernels.fills.position_lots`` asks of the whole size."""
    side = fills.LONG if plan.planned_ticks < plan.stop_ticks else fills.SHORT
    stopped = fills.worsened(plan.stop_ticks, side, spec.slippage_ppm)
    return lots >= 1 and lots * min(plan.planned_ticks, stopped) >= spec.units(spec.min_notional)
