"""What a training job will do, fixed before it starts: units of work, time columns of every family, what is left out.

A unit is one series under one strategy: every point of the fixed design is run over it once. A family is a strategy on
a timeframe over all symbols of the job. A combination is a series, a strategy and a regime (or all regimes).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tradepulse.domain.market import TRADED_TIMEFRAMES, Candles, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.training import AllowedRange, JsonObject, TrainingRequest, TrainingUnit
from tradepulse.policy import search
from tradepulse.policy.cross_fitting import RECENT_COLUMN
from tradepulse.policy.evaluation import BLOCKS, TimeColumns, point_of
from tradepulse.policy.gate import GateRules
from tradepulse.policy.parameter_ranges import is_within
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, Strategy

FEWEST_CANDLES = 1_000
"""Below this a history has nothing to hold out: 64 time columns of fifteen candles."""
LARGEST_HOLE = 7 * 24 * 3_600_000
EMBARGO_SHARE = 10
"""The embargo is at most a tenth of a block: the full memory of a rule can be longer than the block itself."""


@dataclass(frozen=True, slots=True, eq=False)
class SeriesData:
    """What a unit is evaluated on; ``data_hash`` is that of its candles."""

    history: MarketHistory
    spec: MarketSpec
    data_hash: str


Load = Callable[[SeriesKey], Awaitable[SeriesData]]


async def plan_job(
    request: TrainingRequest,
    coverage: Sequence[SeriesCoverage],
    load: Load,
    in_force: Mapping[tuple[str, str], Sequence[Mapping[str, object]]] | None = None,
) -> tuple[tuple[TrainingUnit, ...], JsonObject]:
    """Units of work and what all workers must agree upon: time columns per family, and what was left out and why.

    The plan's ``series`` are first and last open time, number and hash of the candles of each. ``in_force``: parameter
    values by (strategy, timeframe) that trade already. ``ConfigurationError`` where nothing
    remains to train.
    """
    wanted = [entry.series for entry in coverage if _asked_for(entry.series, request)]
    left_out: list[JsonObject] = []
    units: list[TrainingUnit] = []
    families: list[JsonObject] = []
    usable: dict[Timeframe, dict[SeriesKey, Candles]] = {}
    facts: JsonObject = {}
    for series in sorted(wanted):
        data = await load(series)
        candles = data.history.candles
        problem = unusable(candles, series.timeframe)
        if problem is None:
            usable.setdefault(series.timeframe, {})[series] = candles
            facts[str(series)] = _facts_of(data)
        else:
            left_out += [{"series": str(series), "strategy": name, "reason": problem} for name in request.strategies]
    for timeframe in sorted(usable, key=lambda frame: frame.milliseconds):
        for name in request.strategies:
            family = _family_plan(STRATEGIES[name], timeframe, usable[timeframe])
            trading = (in_force or {}).get((name, str(timeframe)), ())
            family["in_force"] = [dict(values) for values in trading if _may_be_tried(name, values, request)]
            family["units"] = list(range(len(units), len(units) + len(usable[timeframe])))
            units += [
                TrainingUnit(len(units) + row, series, name, candles=len(candles))
                for row, (series, candles) in enumerate(usable[timeframe].items())
            ]
            families.append(family)
    if not units:
        raise _nothing_to_train(wanted, left_out)
    return tuple(units), {"families": families, "left_out": left_out, "series": facts}


def _facts_of(data: SeriesData) -> JsonObject:
    """What the candles of the plan are known again by, however much is stored later."""
    times = data.history.candles.open_time
    return {
        "first_open": int(times[0]),
        "last_open": int(times[-1]),
        "candles": len(times),
        "data_hash": data.data_hash,
    }


def _may_be_tried(strategy: str, values: Mapping[str, object], request: TrainingRequest) -> bool:
    """Bounds and ranges may have moved since; what is outside of them today is not tried beside the others."""
    try:
        chosen = STRATEGIES[strategy].parameters(None, **values)
    except ConfigurationError:
        return False
    return all(is_within(one, chosen[one.parameter]) for one in request.ranges if one.strategy == strategy)


def _asked_for(series: SeriesKey, request: TrainingRequest) -> bool:
    return (
        series.symbol in request.symbols
        and series.exchange in request.exchanges
        and series.timeframe in request.timeframes
        and series.timeframe in TRADED_TIMEFRAMES
    )


def _nothing_to_train(wanted: Sequence[SeriesKey], left_out: Sequence[JsonObject]) -> ConfigurationError:
    if not wanted:
        return ConfigurationError(
            "No candles of these symbols, exchanges and timeframes are stored.", "Use download-data or import-data."
        )
    reasons = dict.fromkeys(f"{row['series']}: {row['reason']}" for row in left_out)
    return ConfigurationError(
        f"Nothing can be trained: {'; '.join(list(reasons)[:4])}.", "Store a longer, complete history first."
    )


def unusable(candles: Candles, timeframe: Timeframe) -> str | None:
    """Why nothing can be learned from these candles, or ``None``. Step A of the gate for a whole series."""
    rules = GateRules()
    if len(candles) < FEWEST_CANDLES:
        return f"{len(candles):,} candles are stored, at least {FEWEST_CANDLES:,} are needed"
    if float(candles.close.max()) <= float(candles.close.min()):
        return f"the price never moves from {float(candles.close[0]):g}"
    if not candles.volume.any():
        return "there is no volume in any candle, and every setup asks for volume"
    covered, missing, hole = coverage_of(candles, timeframe)
    if covered < rules.least_covered:
        return (
            f"candles cover only {covered:.0%} of the time between the first and the last; "
            f"the largest hole is {hole / 86_400_000:.0f} days"
        )
    if missing > rules.most_missing:
        return f"{missing:.0%} of the candles are missing, more than {rules.most_missing:.0%}"
    return None


def coverage_of(candles: Candles, timeframe: Timeframe) -> tuple[float, float, int]:
    """Share of the whole time that is covered; share missing apart from large holes; the largest hole in ms."""
    steps = np.diff(candles.open_time)
    step = timeframe.milliseconds
    hole = int(steps.max(initial=step)) - step
    large = steps > LARGEST_HOLE
    span = int(candles.open_time[-1] - candles.open_time[0]) + step
    islands = span - int((steps[large] - step).sum())
    return len(candles) * step / span, 1.0 - len(candles) * step / islands, hole


def _family_plan(strategy: Strategy, timeframe: Timeframe, series: Mapping[SeriesKey, Candles]) -> JsonObject:
    times = [candles.open_time for candles in series.values()]
    block = max(len(time) for time in times) // BLOCKS
    memory = strategy.warmup_bars(strategy.parameters(), timeframe)
    columns = TimeColumns.over(times, timeframe.milliseconds, min(memory, block // EMBARGO_SHARE))
    return {
        "strategy": strategy.strategy_id,
        "timeframe": str(timeframe),
        "series": [str(key) for key in series],
        "columns": columns.to_json(),
        "recent_column": RECENT_COLUMN,
    }


@lru_cache(maxsize=16)
def _plain_design(strategy: str, points: int, seed: int, ranges: tuple[AllowedRange, ...]) -> search.Design:
    return search.design(STRATEGIES[strategy], points, seed, ranges=ranges)


def design_of(family: JsonObject, request: TrainingRequest) -> search.Design:
    strategy = STRATEGIES[family["strategy"]]
    ranges = tuple(one for one in request.ranges if one.strategy == strategy.strategy_id)
    if not family.get("in_force"):
        return _plain_design(strategy.strategy_id, request.points, request.seed, ranges)
    rows = [point_of(strategy, strategy.parameters(None, **values)) for values in family["in_force"]]
    return search.design(strategy, request.points, request.seed, rows, ranges)


def family_of(unit: TrainingUnit, plan: JsonObject) -> JsonObject:
    found: JsonObject = next(family for family in plan["families"] if unit.index in family["units"])
    return found
