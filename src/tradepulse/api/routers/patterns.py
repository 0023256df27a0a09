"""What the strategies look for, and every setup they found, taken or not."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query
from pydantic import Field

from tradepulse.api.deps import BookDep, CursorDep, LimitDep, OptionalSymbolDep, Services, ServicesDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, explained, page_of, statistics
from tradepulse.api.models import (
    Page,
    ParameterLine,
    RequirementLine,
    SetupLine,
    SetupRow,
    StrategyLine,
    TradeStatistics,
    View,
)
from tradepulse.api.routing import noun_router
from tradepulse.api.similar_windows import SimilarAnswer, SimilarWindows
from tradepulse.domain.signals import Regime
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
async def parameters(strategy_id: str, services: ServicesDep) -> list[ParameterLine]:
    """Its parameters with defaults and bounds."""
    return _strategy_line(_find(services, strategy_id)).parameters


def _find(services: Services, strategy_id: str) -> Strategy:
    found = next((one for one in services.strategies if one.strategy_id == strategy_id), None)
    if found is None:
        known = ", ".join(one.strategy_id for one in services.strategies)
        raise NotFoundError(f"There is no strategy '{strategy_id}'.", f"Strategies are: {known}.")
    return found
