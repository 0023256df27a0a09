"""Rows of the book as pages, and figures computed from them."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from tradepulse.api.models import (
    ActivePosition,
    ConditionLine,
    OpenPosition,
    Page,
    SetupLine,
    SetupRow,
    TradeGroup,
    TradeRow,
    TradeStatistics,
)
from tradepulse.kernels.metrics import wilson_lower_bound
from tradepulse.ports import BookReader, JsonObject

Item = TypeVar("Item")
CONFIDENCE = 0.95
TRADES_READ_AT_ONCE = 1000


def page_of(rows: Sequence[JsonObject], limit: int, read: Callable[[JsonObject], Item]) -> Page[Item]:
    """A full page may have a successor; a short one is the last."""
    next_cursor = int(rows[-1]["cursor"]) if len(rows) == limit else None
    return Page[Item](items=[read(row) for row in rows], next_cursor=next_cursor)


async def all_trades(
    books: BookReader,
    book: str,
    *,
    symbol: str | None = None,
    strategy: str | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[TradeRow]:
    """Newest first."""
    trades: list[TradeRow] = []
    cursor: int | None = None
    while True:
        rows = await books.trades(
            book, limit=TRADES_READ_AT_ONCE, before=cursor, symbol=symbol, strategy=strategy, since=since, until=until
        )
        trades.extend(TradeRow.model_validate(row) for row in rows)
        if len(rows) < TRADES_READ_AT_ONCE:
            return trades
        cursor = int(rows[-1]["cursor"])


def grouped(trades: Sequence[TradeRow], group: Callable[[TradeRow], str]) -> list[TradeGroup]:
    """Statistics of each group, by name."""
    names = sorted({group(trade) for trade in trades})
    return [
        TradeGroup(name=name, statistics=statistics([trade for trade in trades if group(trade) == name]))
        for name in names
    ]


def drawdown_of(equity: Sequence[Decimal]) -> float | None:
    """The largest fall from a peak as a share of it; ``None`` without marks."""
    worst, peak = Decimal(0), None
    for value in equity:
        peak = value if peak is None else max(peak, value)
        if peak > 0:
            worst = max(worst, (peak - value) / peak)
    return None if peak is None else float(worst)


def statistics(trades: Sequence[TradeRow]) -> TradeStatistics:
    profits = [Decimal(trade.profit) for trade in trades]
    gain = sum((profit for profit in profits if profit > 0), Decimal(0))
    loss = -sum((profit for profit in profits if profit < 0), Decimal(0))
    wins = sum(profit > 0 for profit in profits)
    count = len(trades)
    results = [trade.r_multiple for trade in trades]
    return TradeStatistics.model_validate(
        {
            "trades": count,
            "wins": wins,
            "precision": wins / count if count else None,
            "precision_lower_bound": wilson_lower_bound(wins, count) if count else None,
            "confidence": CONFIDENCE,
            "expectancy_r": math.fsum(results) / count if count else None,
            "profit": gain - loss,
            "fees": sum((Decimal(trade.fees) for trade in trades), Decimal(0)),
            "funding": sum((Decimal(trade.funding) for trade in trades), Decimal(0)),
            "gross_gain": gain,
            "gross_loss": loss,
            "profit_factor": float(gain / loss) if loss else None,
            "best_r": max(results, default=None),
            "worst_r": min(results, default=None),
            "exit_reasons": Counter(trade.exit_reason for trade in trades),
        }
    )


def valued(position: OpenPosition, mark_price: float | None, mark_time: int | None) -> ActivePosition:
    """The position at a price. The entry fee is paid and counts; what closing would cost does not yet."""
    fields = position.model_dump()
    if mark_price is None:
        return ActivePosition(**fields, mark_price=None, mark_time=None, unrealised_profit=None, unrealised_r=None)
    sign = 1 if position.direction == "long" else -1
    move = (Decimal(str(mark_price)) - Decimal(position.entry_price)) * sign
    profit = move * Decimal(position.quantity) - Decimal(position.entry_fee)
    risk = Decimal(position.risk)
    return ActivePosition.model_validate(
        {
            **fields,
            "mark_price": str(mark_price),
            "mark_time": mark_time,
            "unrealised_profit": profit,
            "unrealised_r": float(profit / risk) if risk else None,
        }
    )


def explained(setup: SetupRow) -> SetupLine:
    return SetupLine(**setup.model_dump(), explanation=_explanation(setup))


def _explanation(setup: SetupRow) -> str:
    held = sum(condition.passed for condition in setup.conditions)
    confluence = "unknown" if setup.confluence is None else f"{setup.confluence:.2f}"
    tally = f"{held} of {len(setup.conditions)} conditions held, confluence {confluence}"
    limited = f" {setup.reason}." if setup.reason else ""
    if setup.taken:
        return f"Taken: {tally}.{limited}"
    if setup.taken is None:
        return f"Accepted, not entered yet: {tally}.{limited}"
    failed = [_shortfall(condition) for condition in setup.conditions if not condition.passed]
    because = f" {'; '.join(failed)}." if failed else ""
    detail = f" ({setup.reason})" if setup.reason and setup.reason != setup.verdict else ""
    return f"Not taken: {setup.verdict}{detail}. {tally}.{because}"


def _shortfall(condition: ConditionLine) -> str:
    value = "unknown" if condition.value is None else f"{condition.value:.4g}"
    name = condition.name.replace("_", " ")
    return f"{name} was {value}, asked for {condition.comparison} {condition.threshold:.4g}"
