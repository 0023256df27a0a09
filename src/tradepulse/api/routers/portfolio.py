"""The book's money: now, and along the way."""

from decimal import Decimal
from typing import Annotated

from fastapi import Query
from pydantic import Field

from tradepulse.api.candle_source import latest_close
from tradepulse.api.deps import BookDep, ServicesDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.figures import all_trades, drawdown_of, grouped
from tradepulse.api.models import EquityHistory, EquityPoint, Money, PortfolioSummary, Time, TradeGroup, View
from tradepulse.api.routing import noun_router
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import OrderStatus
from tradepulse.domain.risk import HoldCause, LockCause, NotReadyCause, RiskState

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


class BookLine(View):
    book: str
    last_event_time: Time | None = Field(description="null while nothing has happened")


@router.get("/books")
async def books(services: ServicesDep) -> list[BookLine]:
    """All books there are, the most recently active first."""
    return [BookLine.model_validate(row) for row in await services.books.books()]


class Performance(View):
    book: str | None
    since: Time | None
    until: Time | None
    start_equity: Money | None = Field(description="at the first mark of the stretch")
    end_equity: Money | None
    return_share: float | None = Field(description="of the equity at its beginning")
    max_drawdown: float | None = Field(description="largest fall from a peak, as a share of it, between marks")
    marks: int
    by_strategy: list[TradeGroup]
    by_symbol: list[TradeGroup]
    by_regime: list[TradeGroup]
    by_timeframe: list[TradeGroup]


@router.get("/performance")
async def performance(
    services: ServicesDep,
    book: BookDep,
    since: Annotated[int | None, Query(ge=0, description="UTC milliseconds")] = None,
) -> Performance:
    """What the book made, in all and by strategy, symbol, regime and timeframe; from its newest 20,000 marks."""
    rows = [] if book is None else await services.books.equity(book, since=since, limit=20_000)
    points = sorted((EquityPoint.model_validate(row) for row in rows), key=lambda point: point.time)
    trades = [] if book is None else await all_trades(services.books, book, since=since)
    first, last = (Decimal(points[0].equity), Decimal(points[-1].equity)) if points else (None, None)
    return Performance(
        book=book,
        since=points[0].time if points else None,
        until=points[-1].time if points else None,
        start_equity=None if first is None else str(first),
        end_equity=None if last is None else str(last),
        return_share=float(last / first - 1) if first and last is not None else None,
        max_drawdown=drawdown_of([Decimal(point.equity) for point in points]),
        marks=len(points),
        by_strategy=grouped(trades, lambda trade: trade.strategy),
        by_symbol=grouped(trades, lambda trade: f"{trade.exchange} {trade.symbol}"),
        by_regime=grouped(trades, lambda trade: str(trade.regime)),
        by_timeframe=grouped(trades, lambda trade: str(trade.timeframe)),
    )


class Holding(View):
    exchange: str
    symbol: str
    base: str
    quantity: Money = Field(description="by the ledger; negative for a short")
    mark_price: Money | None = Field(description="latest stored close of the market")
    mark_time: Time | None
    value: Money | None


class Holdings(View):
    book: str | None
    cash: Money | None
    items: list[Holding]


@router.get("/holdings")
async def holdings(services: ServicesDep, book: BookDep) -> Holdings:
    """Cash and coins of the book by its ledger, valued at the latest stored close."""
    summary = None if book is None else await services.books.summary(book)
    rows = [] if book is None else await services.books.holdings(book)
    items = []
    for row in rows:
        price, time = await latest_close(services.candles, MarketKey(row["exchange"], row["symbol"]))
        value = None if price is None else Decimal(str(price)) * Decimal(row["quantity"])
        items.append(Holding.model_validate({**row, "mark_price": price, "mark_time": time, "value": value}))
    return Holdings(book=book, cash=None if summary is None else summary["cash"], items=items)


class OcoLeg(View):
    client_id: str
    status: OrderStatus
    price: Money | None
    quantity: Money | None
    intended_at: Time
    updated: Time


class OcoOrder(View):
    """What rests to protect one position; a target that is watched instead of resting has no leg."""

    setup_id: str | None
    exchange: str
    symbol: str
    stop: OcoLeg | None
    target: OcoLeg | None


@router.get("/oco-orders")
async def oco_orders(services: ServicesDep, book: BookDep) -> list[OcoOrder]:
    """Stops and targets that rest for open positions, by position."""
    rows = [] if book is None else await services.books.resting_orders(book)
    legs: dict[tuple[str | None, str, str], dict[str, OcoLeg]] = {}
    for row in rows:
        of_position = legs.setdefault((row["setup_id"], row["exchange"], row["symbol"]), {})
        # Newest first: of several generations the youngest is the one that counts.
        of_position.setdefault(str(row["role"]), OcoLeg.model_validate(row))
    return [
        OcoOrder(setup_id=setup, exchange=exchange, symbol=symbol, stop=of.get("stop"), target=of.get("target"))
        for (setup, exchange, symbol), of in legs.items()
    ]


class HoldLine(View):
    """One reason for not being active."""

    cause: HoldCause
    state: RiskState
    reason: str
    since: Time
    until: Time | None = Field(description="null: only a person lifts it, with a reason")


class MissingLine(View):
    """Something that entries need and are without; exits and protection pass."""

    cause: NotReadyCause
    reason: str
    since: Time


class LockedMarket(View):
    exchange: str
    symbol: str


class LockLine(View):
    """No entries until then, on one market or on all."""

    cause: LockCause
    market: LockedMarket | None = Field(description="null: all markets")
    reason: str
    since: Time
    until: Time


class LimitLine(View):
    limit: str
    about: str = Field(description="the symbol, asset or exchange that it limits, if it is about one")
    used: Money
    allowed: Money
    share: float = Field(description="of what is allowed; above 1 nothing is added")


class RiskReport(View):
    book: str
    traded: bool = Field(description="a trader runs it now")
    begun: bool
    time: Time = Field(description="of the book's last event; 0 while there is none")
    state: RiskState
    holds: list[HoldLine]
    not_ready: list[MissingLine]
    locks: list[LockLine]
    day_began_with: Money = Field(description="equity at 00:00 UTC, which the day's loss is measured from")
    peak: Money = Field(description="highest equity, which the drawdown is measured from")
    equity: Money | None
    limits: list[LimitLine] | None = Field(description="null while the book has not begun")


@router.get("/risk-management")
async def risk_management(services: ServicesDep, book: BookDep) -> RiskReport:
    """State of trading, what holds it, locks on entries, and the limits with the share of each that is used."""
    if book is None:
        raise NotFoundError("No book has begun yet.", "Start paper trading with: tradepulse up")
    return RiskReport.model_validate(await services.risk_report(book))


class WalletTrade(View):
    strategy: str
    symbol: str
    timeframe: str


class WalletLine(View):
    name: str
    mode: str
    exchange: str
    market: str
    base_currency: str
    book: str
    trades: list[WalletTrade]
    traded: bool = Field(description="a trader runs it now")
    equity: Money | None = Field(description="null while its book has not begun")


@router.get("/wallets")
async def wallets(services: ServicesDep) -> list[WalletLine]:
    """The wallets of the wallets file, whether they are traded now, and what they are worth."""
    lines = []
    for wallet in await services.installation.wallets():
        summary = await services.books.summary(wallet["book"])
        traded = await services.is_traded(wallet["book"])
        equity = None if summary is None else summary["equity"]
        lines.append(WalletLine.model_validate({**wallet, "traded": traded, "equity": equity}))
    return lines
