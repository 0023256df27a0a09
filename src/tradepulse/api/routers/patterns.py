"""What the strategies look for, and every setup they found, taken or not."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query
from pydantic import Field

from tradepulse.api.deps import (
    BookDep,
    CursorDep,
    DoorkeeperDep,
    LimitDep,
    OptionalSymbolDep,
    Services,
    ServicesDep,
    Trader,
)
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, explained, page_of, statistics
from tradepulse.api.models import (
    Given,
    Page,
    ParameterLine,
    RequirementLine,
    SetupLine,
    SetupRow,
    StrategyLine,
    Time,
    TradeStatistics,
    View,
)
from tradepulse.api.routing import noun_router
from tradepulse.api.similar_windows import SimilarAnswer, SimilarWindows
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import RangesVersion
from tradepulse.policy.parameter_ranges import AskedRange
from tradepulse.ports import JsonObject
from tradepulse.strategies.base_strategy import Strategy
from tradepulse.strategies.confluence import context_rules

router = noun_router("patterns")


def _setup_line(row: JsonObject) -> SetupLine:
    return explained(SetupRow.model_validate(row))


class StrategyPerformance(View):
    strategy: str
    title: str
    setups: int = Field(description="evaluated, taken or not")
    verdicts: dict[str, int] = Field(description="why they were taken or not; most frequent first")
    statistics: TradeStatistics


class RangeLine(View):
    """What a training may use of a parameter's bounds; null where it may use all of them."""

    low: float | None
    high: float | None
    choices: tuple[str, ...]


class AllowedParameterLine(ParameterLine):
    allowed: RangeLine | None = Field(description="what the next training may use of the bounds; null: all of them")


class RangeGiven(Given):
    """Of a number its ends, where one that is left out stays at the bound; of a choice those that may be chosen."""

    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = Field(default=(), max_length=50)


class RangesGiven(Given):
    """Replaces all ranges of the strategy: parameters that are not named may be all that their bounds allow."""

    ranges: dict[str, RangeGiven] = Field(max_length=100, description="by the name of the parameter")
    reason: str = Field(min_length=1, max_length=500, pattern=r"\S", description="kept with the version")
    version: int | None = Field(
        default=None, ge=0, description="the one that was looked at: 409 where another is in force; null: whichever"
    )


class RangesLine(View):
    strategy: str
    version: int = Field(description="0: nobody ever set any")
    ranges: dict[str, RangeLine]
    set_by: str
    set_at: Time
    reason: str


class PatternLine(View):
    condition: str
    context: bool = Field(description="the same around every strategy, not part of its own rule")
    strategies: list[str]


@router.get("/strategies")
async def strategies(services: ServicesDep) -> list[StrategyLine]:
    """What each strategy asks for and which of its numbers may be chosen, within which bounds."""
    return [_strategy_line(strategy) for strategy in services.strategies]


def _strategy_line(strategy: Strategy) -> StrategyLine:
    return StrategyLine(
        strategy=strategy.strategy_id,
        title=strategy.title,
        parameters=[ParameterLine.model_validate(asdict(spec)) for spec in strategy.parameter_specs],
        conditions=[RequirementLine.model_validate(rule._asdict()) for rule in strategy.rules(strategy.parameters())],
    )


@router.get("/performance")
async def performance(services: ServicesDep, book: BookDep) -> list[StrategyPerformance]:
    """What each strategy found, how much of it was taken, and what its closed trades made."""
    trades = [] if book is None else await all_trades(services.books, book)
    counts = {} if book is None else await services.books.setup_counts(book)
    return [
        StrategyPerformance(
            strategy=strategy.strategy_id,
            title=strategy.title,
            setups=sum(counts.get(strategy.strategy_id, {}).values()),
            verdicts=dict(sorted(counts.get(strategy.strategy_id, {}).items(), key=lambda one: (-one[1], one[0]))),
            statistics=statistics([trade for trade in trades if trade.strategy == strategy.strategy_id]),
        )
        for strategy in services.strategies
    ]


@router.get("/pattern-library")
async def pattern_library(services: ServicesDep) -> list[PatternLine]:
    """Every condition that a setup can be asked for, and which strategies ask for it."""
    asked: dict[str, list[str]] = {}
    context = {rule.name for rule in context_rules(Regime.BULL)}
    for strategy in services.strategies:
        for rule in strategy.rules(strategy.parameters(Regime.BULL)):
            asked.setdefault(rule.name, []).append(strategy.strategy_id)
    return [
        PatternLine(condition=name, context=name in context, strategies=used) for name, used in sorted(asked.items())
    ]


@router.get("/setups")
async def setups(
    services: ServicesDep,
    book: BookDep,
    symbol: OptionalSymbolDep = None,
    taken: Annotated[bool | None, Query(description="true: became an entry; false: denied; absent: both")] = None,
    limit: LimitDep = 100,
    cursor: CursorDep = None,
) -> Page[SetupLine]:
    """Every evaluated setup with its condition table, newest first."""
    if book is None:
        return Page(items=[], next_cursor=None)
    rows = await services.books.setups(book, limit=limit, before=cursor, taken=taken, symbol=symbol)
    return page_of(rows, limit, _setup_line)


@router.get("/setups/{setup_id}/similar")
async def similar(setup_id: str, services: ServicesDep, book: BookDep) -> SimilarAnswer:
    """What had followed, by the time this setup was found, on setups whose windows looked alike."""
    row = None if book is None else await services.books.setup(book, setup_id)
    if row is None:
        raise NotFoundError(f"There is no setup '{setup_id}'.", "GET /api/patterns/setups lists those there are.")
    return await SimilarWindows(services.candles, services.embeddings).of_setup(SetupRow.model_validate(row))


# After the fixed names, which it would take for strategies.
@router.get("/{strategy_id}")
async def strategy(strategy_id: str, services: ServicesDep) -> StrategyLine:
    """One strategy: what it asks for, and which of its numbers may be chosen."""
    return _strategy_line(_find(services, strategy_id))


@router.get("/{strategy_id}/parameters")
async def parameters(strategy_id: str, services: ServicesDep) -> list[AllowedParameterLine]:
    """Its parameters with defaults and bounds, and what of these the next training may use."""
    line = _strategy_line(_find(services, strategy_id))
    allowed = _ranges_line(await services.ranges.in_force(strategy_id)).ranges
    return [AllowedParameterLine(**one.model_dump(), allowed=allowed.get(one.name)) for one in line.parameters]


@router.put("/{strategy_id}/parameters")
async def set_parameters(
    strategy_id: str, body: RangesGiven, services: ServicesDep, who: Trader, door: DoorkeeperDep
) -> RangesLine:
    """Set what the next training may use of the bounds. What is in force stays in force until it is replaced."""
    _find(services, strategy_id)
    asked = {name: AskedRange(one.low, one.high, one.choices) for name, one in body.ranges.items()}
    told = await services.ranges.set(strategy_id, asked, by=who.actor.name, reason=body.reason, follows=body.version)
    line = _ranges_line(told)
    facts = {"version": told.version, "ranges": line.model_dump(mode="json")["ranges"], "reason": body.reason}
    await services.accounts.note(door.accounts.noted(who.actor, "ranges of parameters set", strategy_id, **facts))
    return line


@router.get("/{strategy_id}/parameters/versions")
async def parameter_versions(
    strategy_id: str, services: ServicesDep, limit: LimitDep = 50, cursor: CursorDep = None
) -> Page[RangesLine]:
    """How its ranges were set, by whom and why, newest first."""
    _find(services, strategy_id)
    found = await services.ranges.history(strategy_id, limit=limit, before=cursor)
    more = len(found) == limit and found[-1].version > 1
    return Page(items=[_ranges_line(one) for one in found], next_cursor=found[-1].version if more else None)


def _ranges_line(told: RangesVersion) -> RangesLine:
    return RangesLine(
        strategy=told.strategy,
        version=told.version,
        ranges={
            one.parameter: RangeLine(
                low=None if one.choices else one.low, high=None if one.choices else one.high, choices=one.choices
            )
            for one in told.ranges
        },
        set_by=told.set_by,
        set_at=told.set_at,
        reason=told.reason,
    )


def _find(services: Services, strategy_id: str) -> Strategy:
    found = next((one for one in services.strategies if one.strategy_id == strategy_id), None)
    if found is None:
        known = ", ".join(one.strategy_id for one in services.strategies)
        raise NotFoundError(f"There is no strategy '{strategy_id}'.", f"Strategies are: {known}.")
    return found
