"""The book's money: now, and along the way."""

from typing import Annotated

from fastapi import Query

from tradepulse.api.deps import BookDep, ServicesDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import EquityHistory, EquityPoint, PortfolioSummary
from tradepulse.api.routing import noun_router

router = noun_router("portfolio")


@router.get("/summary")
async def summary(services: ServicesDep, book: BookDep) -> PortfolioSummary:
    row = None if book is None else await services.books.summary(book)
    if row is None:
        raise NotFoundError("No book has begun yet.", "Start paper trading with: tradepulse up")
    return PortfolioSummary.model_validate(row)


@router.get("/history")
async def history(
    services: ServicesDep,
    book: BookDep,
    since: Annotated[int | None, Query(ge=0, description="UTC milliseconds")] = None,
    limit: Annotated[int, Query(ge=1, le=20_000)] = 5000,
) -> EquityHistory:
    """Equity and cash at each mark, ascending; the newest `limit` of them."""
    if book is None:
        return EquityHistory(book=None, points=[])
    rows = await services.books.equity(book, since=since, limit=limit)
    points = sorted((EquityPoint.model_validate(row) for row in rows), key=lambda point: point.time)
    return EquityHistory(book=book, points=points)
