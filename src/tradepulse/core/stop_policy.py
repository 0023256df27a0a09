"""Where the stop of an open position belongs after one more closed bar. Pure: position, rules and a price in.

All that is needed stands in the position itself, so a restart changes nothing: a stop that only ever moves towards the
target remembers the best close.
"""

from dataclasses import dataclass

from tradepulse.domain.market import MarketSpec
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import StopRules
from tradepulse.kernels.fills import PPM

BREAK_EVEN = "stop moved to break-even"
TRAILED = "stop moved behind the price"


@dataclass(frozen=True, slots=True)
class StopMove:
    ticks: int
    reason: str


def moved_stop(rules: StopRules, position: Position, spec: MarketSpec, close_ticks: int) -> StopMove | None:
    """The better of break-even and trailing, ``None`` where the stop stays.

    It stays unless the move is at least a tick and the rules' step towards the target, and leaves the stop short of
    both the close and the target.
    """
    direction = int(position.direction)
    least = max(1, -(-_risk_ticks(position) * rules.step_ppm // PPM))
    candidates = [
        move
        for move in (_break_even(rules, position, spec, close_ticks), _trailed(rules, position, close_ticks))
        if move is not None
        and direction * (move.ticks - position.stop_ticks) >= least
        and direction * (close_ticks - move.ticks) > 0
        and direction * (position.target_ticks - move.ticks) > 0
    ]
    return max(candidates, key=lambda move: direction * move.ticks, default=None)


def break_even_ticks(position: Position, spec: MarketSpec) -> int:
    """The level at which a stop-out, slippage and both fees paid, loses nothing."""
    fee, slip = spec.taker_ppm, spec.slippage_ppm
    if position.direction > 0:
        paid = -(-position.entry_units // position.entry_lots)
        sold = -(-paid * (PPM + fee) // (PPM - fee))
        return -(-sold * PPM // (PPM - slip))
    got = position.entry_units // position.entry_lots
    return got * (PPM - fee) // (PPM + fee) * PPM // (PPM + slip)


def _break_even(rules: StopRules, position: Position, spec: MarketSpec, close_ticks: int) -> StopMove | None:
    if not _in_profit_by(rules.break_even_at_ppm, position, close_ticks):
        return None
    # Rounded towards the target: what is to be kept is kept.
    beyond = -(-_risk_ticks(position) * rules.break_even_offset_ppm // PPM)
    return StopMove(break_even_ticks(position, spec) + int(position.direction) * beyond, BREAK_EVEN)


def _trailed(rules: StopRules, position: Position, close_ticks: int) -> StopMove | None:
    if not _in_profit_by(rules.trail_from_ppm, position, close_ticks):
        return None
    # Rounded away from the price, as the first stop is: rounding never tightens it.
    behind = -(-_risk_ticks(position) * rules.trail_by_ppm // PPM)
    return StopMove(close_ticks - int(position.direction) * behind, TRAILED)


def _risk_ticks(position: Position) -> int:
    """R: from what was paid on average to where the stop stood first."""
    return max(1, abs(position.entry_ticks - position.first_stop_ticks))


def _in_profit_by(multiple_ppm: int, position: Position, close_ticks: int) -> bool:
    profit = int(position.direction) * (close_ticks - position.entry_ticks)
    return multiple_ppm > 0 and profit * PPM >= _risk_ticks(position) * multiple_ppm
