"""What the strategies look for, and every setup they found, taken or not."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query

from tradepulse.api.deps import BookDep, CursorDep, LimitDep, OptionalSymbolDep, ServicesDep
from tradepulse.api.figures import explained, page_of
from tradepulse.api.models import Page, ParameterLine, RequirementLine, SetupLine, SetupRow, StrategyLine
from tradepulse.api.routing import noun_router
from tradepulse.ports import JsonObject
from tradepulse.strategies.base_strategy import Strategy

router = noun_router("patterns")


def _setup_line(row: JsonObject) -> SetupLine:
    return explained(SetupRow.model_validate(row))


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
