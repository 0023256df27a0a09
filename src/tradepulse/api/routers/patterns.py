"""What the strategies look for, and every setup they found, taken or not."""

from typing import Annotated

from fastapi import APIRouter, Query

from tradepulse.api.deps import BookDep, CursorDep, LimitDep, OptionalSymbolDep, ServicesDep
from tradepulse.api.figures import explained
from tradepulse.api.models import Page, SetupLine, SetupRow, StrategyLine
from tradepulse.api.paging import page_of
from tradepulse.ports import JsonObject

router = APIRouter(prefix="/api/patterns", tags=["patterns"])


def _setup_line(row: JsonObject) -> SetupLine:
    return explained(SetupRow.model_validate(row))


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
