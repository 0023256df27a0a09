"""Backtests: asked for as jobs, listed, opened again by id, with their trades and their equity."""

from decimal import Decimal
from http import HTTPStatus
from itertools import accumulate
from typing import Annotated

from fastapi import Query

from tradepulse.api.background import ACCEPTED, JobDeskDep
from tradepulse.api.deps import CursorDep, LimitDep, Services, ServicesDep, Trader
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import BacktestLine, Backtests
from tradepulse.api.routing import noun_router
from tradepulse.api.work_models import BacktestEquity, BacktestEquityPoint, BacktestTrades, JobLine
from tradepulse.policy.job_requests import BacktestParameters
from tradepulse.ports import JsonObject

router = noun_router("backtests")


@router.post("", **ACCEPTED)
async def start_backtest(body: BacktestParameters, desk: JobDeskDep, who: Trader) -> JobLine:
    """The job's id is the backtest's, once it has finished."""
    return await desk.left(who, "backtest", body)


@router.get("")
async def backtests(
    services: ServicesDep, limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: CursorDep = None
) -> Backtests:
    """Newest first."""
    rows = await services.results.backtests(limit=limit, before=cursor)
    return Backtests(
        items=[BacktestLine.model_validate(row) for row in rows],
        next_cursor=int(rows[-1]["cursor"]) if len(rows) == limit else None,
    )


@router.get("/{backtest_id}")
async def backtest(backtest_id: str, services: ServicesDep) -> BacktestLine:
    """The whole report: request, data hash, code version, figures, trades."""
    return BacktestLine.model_validate({"backtest_id": backtest_id, **await _found(services, backtest_id)})


@router.get("/{backtest_id}/trades")
async def backtest_trades(
    backtest_id: str, services: ServicesDep, limit: LimitDep = 500, cursor: CursorDep = None
) -> BacktestTrades:
    trades: list[JsonObject] = (await _found(services, backtest_id))["trades"]
    first = cursor or 0
    following = first + limit
    return BacktestTrades(items=trades[first:following], next_cursor=following if following < len(trades) else None)


@router.get("/{backtest_id}/equity")
async def backtest_equity(backtest_id: str, services: ServicesDep) -> BacktestEquity:
    report = await _found(services, backtest_id)
    cash, trades = str(report["account"]["initial_cash"]), report["trades"]
    equity = accumulate((Decimal(str(trade["profit"])) for trade in trades), initial=Decimal(cash))
    points = [
        BacktestEquityPoint(time=trade["exit_time"], equity=str(value))
        for trade, value in zip(trades, list(equity)[1:], strict=True)
    ]
    return BacktestEquity(backtest_id=backtest_id, initial_cash=cash, points=points)


@router.delete("/{backtest_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete_backtest(backtest_id: str, services: ServicesDep, _: Trader) -> None:
    """With its trades. One that is still at work is cancelled as a job: DELETE /api/jobs/{id}."""
    if not await services.results.delete_backtest(backtest_id):
        raise await _missing(services, backtest_id)


async def _found(services: Services, backtest_id: str) -> JsonObject:
    row = await services.results.backtest(backtest_id)
    if row is None:
        raise await _missing(services, backtest_id)
    return row


async def _missing(services: Services, backtest_id: str) -> NotFoundError:
    job = await services.jobs.get(backtest_id)
    if job is None:
        return NotFoundError(f"There is no backtest '{backtest_id}'.", "GET /api/backtests lists those there are.")
    return NotFoundError(f"Backtest '{backtest_id}' is {job.state}.", f"Follow it: GET /api/jobs/{backtest_id}")
