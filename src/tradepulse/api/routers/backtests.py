"""Finished backtests, opened again by id."""

from typing import Annotated

from fastapi import Query

from tradepulse.api.deps import ServicesDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import BacktestLine, Backtests
from tradepulse.api.routing import noun_router

router = noun_router("backtests")


@router.get("")
async def backtests(services: ServicesDep, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Backtests:
    """Newest first."""
    rows = await services.results.backtests(limit=limit)
    return Backtests(items=[BacktestLine.model_validate(row) for row in rows])


@router.get("/{backtest_id}")
async def backtest(backtest_id: str, services: ServicesDep) -> BacktestLine:
    """The whole report: request, data hash, code version, figures, trades, equity."""
    row = await services.results.backtest(backtest_id)
    if row is None:
        raise NotFoundError(f"There is no backtest '{backtest_id}'.", "GET /api/backtests lists those there are.")
    return BacktestLine.model_validate({"backtest_id": backtest_id, **row})
