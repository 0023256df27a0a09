"""Open positions, closed trades, and what they add up to."""

import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from tradepulse.api.candle_source import finest_of
from tradepulse.api.commands import ON_ITS_WAY, Because, CommandDeskDep, CommandState, Wait, find_command
from tradepulse.api.deps import (
    BookDep,
    ConfirmedTrader,
    CursorDep,
    LimitDep,
    OptionalSymbolDep,
    Services,
    ServicesDep,
    Trader,
)
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, explained, page_of, statistics, valued
from tradepulse.api.live import kind_as_written, kind_in_words
from tradepulse.api.models import (
    ActivePosition,
    FillLine,
    LedgerLine,
    Money,
    OpenPosition,
    OrderLine,
    Page,
    SetupRow,
    Time,
    TradeRow,
    TradeStatistics,
    TradeStory,
    View,
)
from tradepulse.api.routing import noun_router
from tradepulse.api.similar_windows import SimilarAnswer, SimilarWindows
from tradepulse.domain.inbox import RequestKind
from tradepulse.domain.market import SeriesKey
from tradepulse.ports import JsonObject

router = noun_router("trades")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of closed trades only these."""

    symbol: OptionalSymbolDep = None
    strategy: str | None = None
    since: Annotated[int | None, Query(ge=0, description="closed at or after; UTC ms")] = None
    until: Annotated[int | None, Query(ge=0, description="closed before; UTC ms")] = None


class BookCommand(Because):
    book: str | None = Field(default=None, description="null: the first book")


@router.get("/active")
async def active(services: ServicesDep, book: BookDep) -> list[ActivePosition]:
    """Open positions, valued at the latest stored close."""
    if book is None:
        return []
    rows = await services.books.positions(book)
    return [await _marked(services, OpenPosition.model_validate(row)) for row in rows]


async def _marked(services: Services, position: OpenPosition) -> ActivePosition:
    series = await finest_of(services.candles, SeriesKey(position.exchange, position.symbol, position.timeframe))
    latest = await services.candles.tail(series, 1)
    if not len(latest):
        return valued(position, None, None)
    candle = latest.row(0)
    return valued(position, candle.close, candle.open_time + series.timeframe.milliseconds)


@router.get("/history")
async def history(
    services: ServicesDep,
    book: BookDep,
    chosen: Annotated[Chosen, Depends()],
    limit: LimitDep = 100,
    cursor: CursorDep = None,
) -> Page[TradeRow]:
    """Closed trades, newest first."""
    rows = [] if book is None else await services.books.trades(book, limit=limit, before=cursor, **asdict(chosen))
    return page_of(rows, limit, TradeRow.model_validate)


@router.get("/statistics")
async def trade_statistics(
    services: ServicesDep, book: BookDep, chosen: Annotated[Chosen, Depends()]
) -> TradeStatistics:
    """Over all closed trades of the book, or those chosen."""
    return statistics([] if book is None else await all_trades(services.books, book, **asdict(chosen)))


class DayLine(View):
    day: str = Field(description="UTC, as 2026-01-31")
    trades: int
    wins: int
    profit: Money = Field(description="of the trades closed on that day, after fees and funding")
    r: float = Field(description="the same in units of the risk taken")


@router.get("/daily-pnl")
async def daily_pnl(services: ServicesDep, book: BookDep, chosen: Annotated[Chosen, Depends()]) -> list[DayLine]:
    """Realised profit by UTC day of the exit, ascending; days without a closed trade are left out."""
    trades = [] if book is None else await all_trades(services.books, book, **asdict(chosen))
    days: dict[str, list[TradeRow]] = {}
    for trade in reversed(trades):
        days.setdefault(datetime.fromtimestamp(trade.exit_time / 1000, UTC).date().isoformat(), []).append(trade)
    return [_day(day, closed) for day, closed in sorted(days.items())]


def _day(day: str, trades: list[TradeRow]) -> DayLine:
    profits = [Decimal(trade.profit) for trade in trades]
    return DayLine(
        day=day,
        trades=len(trades),
        wins=sum(profit > 0 for profit in profits),
        profit=str(sum(profits, Decimal(0))),
        r=math.fsum(trade.r_multiple for trade in trades),
    )


class LogLine(View):
    cursor: int = Field(description="global sequence of the event")
    time: Time
    step: int
    kind: str
    data: JsonObject


@router.get("/logs")
async def logs(
    services: ServicesDep,
    book: BookDep,
    kind: Annotated[list[str] | None, Query(description="only these, e.g. order_filled; repeatable")] = None,
    limit: LimitDep = 100,
    cursor: CursorDep = None,
) -> Page[LogLine]:
    """What the book's engine wrote down, newest first."""
    if book is None:
        return Page(items=[], next_cursor=None)
    kinds = [kind_as_written(word) for word in kind or ()]
    return page_of(await services.books.events_before(book, limit=limit, before=cursor, kinds=kinds), limit, _log_line)


def _log_line(row: JsonObject) -> LogLine:
    return LogLine.model_validate({**row, "kind": kind_in_words(row["kind"])})


class KillSwitch(Because):
    book: str | None = Field(default=None, description="null: every book there is")
    close_positions: bool = Field(default=False, description="also close every open position at market")


@router.post("/pause", responses=ON_ITS_WAY)
async def pause(body: BookCommand, desk: CommandDeskDep, who: Trader, wait: Wait = 0) -> CommandState:
    """Nothing new is entered in one book, entries on their way are withdrawn; stops and targets stay."""
    return await desk.post(who, RequestKind.HALT, body.reason, book=body.book, wait=wait)


@router.post("/resume", responses=ON_ITS_WAY)
async def resume(body: BookCommand, desk: CommandDeskDep, who: ConfirmedTrader, wait: Wait = 0) -> CommandState:
    """Lift what only a person may lift, the kill switch too. Needs the password given lately."""
    return await desk.post(who, RequestKind.RESUME, body.reason, book=body.book, wait=wait)


@router.post("/kill-switch", responses=ON_ITS_WAY)
async def kill_switch(
    body: KillSwitch, desk: CommandDeskDep, services: ServicesDep, who: Trader, wait: Wait = 0
) -> list[CommandState]:
    """Halt every book, and close what is open where that is asked for. Never asks for the password: it is urgent."""
    named = [body.book] if body.book is not None else [str(one["book"]) for one in await services.books.books()]
    posted = [await desk.left(who, RequestKind.HALT, body.reason, book=book) for book in named]
    for book in named if body.close_positions else ():
        open_now = [str(one["position_id"]) for one in await services.books.positions(book)]
        posted += [
            await desk.left(who, RequestKind.CLOSE_POSITION, body.reason, book=book, subject=position_id)
            for position_id in open_now
        ]
    return await desk.outcomes(posted, wait)


@router.get("/commands/{command_id}")
async def command(command_id: str, services: ServicesDep, wait: Wait = 0) -> CommandState:
    """What became of a command."""
    return await find_command(services, command_id, wait)


@router.post("/{position_id}/close", responses=ON_ITS_WAY)
async def close(position_id: str, body: BookCommand, desk: CommandDeskDep, who: Trader, wait: Wait = 0) -> CommandState:
    """Close one position at market; its stop and target are withdrawn in the same step."""
    return await desk.post(who, RequestKind.CLOSE_POSITION, body.reason, book=body.book, subject=position_id, wait=wait)


@router.get("/{trade_id}/similar")
async def similar(trade_id: str, services: ServicesDep, book: BookDep) -> SimilarAnswer:
    """What had followed, by the time this trade's setup was found, on setups whose windows looked alike."""
    row = None if book is None else await services.books.trade(book, trade_id)
    setup = None if row is None else row.get("setup")
    if setup is None:
        raise NotFoundError(f"There is no trade '{trade_id}'.", "GET /api/trades/history lists those there are.")
    return await SimilarWindows(services.candles, services.embeddings).of_setup(SetupRow.model_validate(setup))


@router.get("/{trade_id}")
async def story(trade_id: str, services: ServicesDep, book: BookDep) -> TradeStory:
    """One trade with its setup, orders, fills and ledger entries."""
    row = None if book is None else await services.books.trade(book, trade_id)
    if row is None:
        raise NotFoundError(f"There is no trade '{trade_id}'.", "GET /api/trades/history lists those there are.")
    setup = row.get("setup")
    return TradeStory(
        **TradeRow.model_validate(row).model_dump(),
        setup=None if setup is None else explained(SetupRow.model_validate(setup)),
        orders=[OrderLine.model_validate(line) for line in row.get("orders", ())],
        fills=[FillLine.model_validate(line) for line in row.get("fills", ())],
        ledger=[LedgerLine.model_validate(line) for line in row.get("ledger", ())],
    )
