"""From a setup to a sized plan, or to the reason why not."""

from dataclasses import dataclass

from tradepulse.core.effective_size import FULL_SIZE, EffectiveSize
from tradepulse.core.portfolio import Portfolio
from tradepulse.domain.market import MarketKind, MarketSpec
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.signals import VERDICTS, Direction, Setup, Verdict
from tradepulse.kernels import fills


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """Rates in parts per million of equity; ``min_confluence`` is a share of the weighted conditions."""

    risk_ppm: int
    max_position_ppm: int
    min_confluence: float


@dataclass(frozen=True, slots=True)
class SizedEntry:
    lots: int
    plan: EntryPlan


def is_tradable(setup: Setup, min_confluence: float) -> bool:
    return setup.valid and setup.confluence >= min_confluence - 1e-9


def size_entry(
    setup: Setup,
    spec: MarketSpec,
    portfolio: Portfolio,
    limits: RiskLimits,
    *,
    busy: bool,
    size: EffectiveSize = FULL_SIZE,
) -> SizedEntry | Verdict:
    """Size by the loss at the stop, costs included (see ``kernels.fills.position_lots``), or say why not.

    ``busy``: this strategy holds a position, or waits for an entry, on this symbol and timeframe.
    ``size``: share of the size that risk, cash and the largest position allow; never more than all of it.
    """
    share = min(max(size.share_ppm, 0), fills.PPM)
    if not is_tradable(setup, limits.min_confluence):
        return Verdict.CONFLUENCE_TOO_LOW
    if setup.direction is Direction.SHORT and spec.kind is MarketKind.SPOT:
        return Verdict.SHORT_NOT_POSSIBLE
    if busy:
        return Verdict.POSITION_OPEN
    # Last of what does not depend on the money there is: another size would have been entered.
    if share == 0:
        return size.refusal
    tick = float(spec.tick_size)
    stop = fills.stop_to_ticks(setup.stop, setup.direction, tick)
    fixed = fills.target_to_ticks(setup.target, setup.direction, tick) if setup.target is not None else 0
    planned = fills.worsened(fills.to_ticks(setup.close, tick), setup.direction, spec.slippage_ppm)
    lots, refusal = fills.position_lots(
        spec.units(portfolio.equity),
        spec.units(portfolio.free_cash) * share // fills.PPM,
        planned,
        stop,
        int(setup.direction),
        limits.risk_ppm * share // fills.PPM,
        limits.max_position_ppm * share // fills.PPM,
        spec.units(spec.min_notional),
        spec.taker_ppm,
        spec.slippage_ppm,
    )
    if refusal != fills.ACCEPTED:
        return VERDICTS[refusal]
    plan = EntryPlan(planned, stop, fixed, setup.reward_risk, setup.min_reward_risk, setup.found_at)
    return SizedEntry(lots, plan)
