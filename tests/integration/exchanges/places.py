"""The four local exchanges as places to trade at: what their requests are called, and what they answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.exchanges.trading_desk import Desk, desk_on, fills_in
from tests.local_exchanges.fault_rules import (
    FaultRule,
    answers,
    cut_json,
    empty,
    empty_object,
    exchange_error,
    hangs,
    html,
    lost_answer,
    truncated,
    unavailable,
)
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderFilled

ROOMY: dict[str, str | None] = {"largest_market_quantity": "1000000"}


@dataclass(frozen=True)
class Place:
    """An exchange and its market; ``placing``, ``cancelling`` and ``asking`` recognise its requests."""

    exchange: str
    symbol: str
    placing: dict[str, str]
    cancelling: dict[str, str]
    cancelled: str
    """What it answers to a cancellation that went well."""
    asking: tuple[tuple[dict[str, str], str], ...]
    """How orders are asked for, and how it says that there is no such order (an error code, or a body)."""
    refusal: tuple[str, str]
    """How it refuses an order for good."""
    other: str
    """A second market with the same quote."""
    rate: tuple[str, str] | None
    """How it says that too much is asked; ``None``: by HTTP 429."""
    pairs: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.split("/")[1]

    def __str__(self) -> str:
        return self.exchange

    def unknown_order(self, times: int | None = None) -> list[FaultRule]:
        """Questions about orders are answered, for so often, as if the exchange had never heard of any."""
        return [
            answers(says, times=times, **match)
            if says.startswith("{")
            else exchange_error(*says.split("|"), times=times, **match)
            for match, says in self.asking
        ]

    def refuses(self, **match: Any) -> FaultRule:
        return exchange_error(*self.refusal, **match)

    def too_often(self, **match: Any) -> FaultRule:
        if self.rate is None:
            return FaultRule.of({"broken": "this status without JSON", "status": 429, "retry_after": 1} | match)
        return exchange_error(*self.rate, **match)


PLACES = [
    Place(
        "binance",
        "BTC/USDT",
        placing={"path": r"/api/v3/order", "method": "POST"},
        cancelling={"path": r"/api/v3/order", "method": "DELETE"},
        cancelled='{"symbol": "BTCUSDT", "orderId": 1, "status": "CANCELED"}',
        asking=(({"path": r"/api/v3/order", "method": "GET"}, "-2013|Order does not exist."),),
        refusal=("-1013", "Filter failure: PRICE_FILTER"),
        other="ETH/USDT",
        rate=None,
    ),
    Place(
        "okx",
        "BTC/USDT",
        placing={"path": r"/trade/(batch-orders|order|order-algo)$", "method": "POST"},
        cancelling={"path": r"/trade/cancel", "method": "POST"},
        cancelled='{"code": "0", "msg": "", "data": [{"algoId": "1", "sCode": "0", "sMsg": ""}]}',
        asking=(({"path": r"/trade/order", "method": "GET"}, "51603|Order does not exist"),),
        refusal=("51000", "Parameter sz error"),
        other="ETH/USDT",
        rate=("50011", "Too Many Requests"),
        options={"requests_per_2s": 100_000},
    ),
    Place(
        "coinbase",
        "BTC/USD",
        placing={"path": r"/brokerage/orders$", "method": "POST"},
        cancelling={"path": r"/orders/batch_cancel", "method": "POST"},
        cancelled='{"results": [{"success": true, "order_id": "1"}]}',
        asking=(
            ({"path": r"/orders/historical/batch", "method": "GET"}, '{"orders": [], "has_next": false, "cursor": ""}'),
            ({"path": r"/orders/historical/(?!batch)", "method": "GET"}, "NOT_FOUND|order not found"),
        ),
        refusal=("INVALID_ARGUMENT", "invalid order configuration"),
        other="ETH/USD",
        rate=None,
        options={"requests_per_second": 100_000},
    ),
    Place(
        "kraken",
        "BTC/USD",
        placing={"path": r"/private/AddOrder$", "method": "POST"},
        cancelling={"path": r"/private/CancelOrder$", "method": "POST"},
        cancelled='{"error": [], "result": {"count": 1}}',
        asking=(
            ({"path": "/private/OpenOrders"}, '{"error": [], "result": {"open": {}}}'),
            ({"path": "/private/ClosedOrders"}, '{"error": [], "result": {"closed": {}, "count": 0}}'),
            ({"path": "/private/QueryOrders"}, "EOrder|Unknown order"),
        ),
        refusal=("EGeneral", "Invalid arguments"),
        other="ETH/USD",
        rate=("EOrder", "Rate limit exceeded"),
        pairs=False,
        options={"counter_limit": 1e6},
    ),
]
WITH_PAIRS = [place for place in PLACES if place.pairs]
BINANCE, OKX, COINBASE, KRAKEN = PLACES

LOST: dict[str, Callable[..., FaultRule]] = {
    "reset": lost_answer,
    "hang": lambda **match: hangs(executes=True, **match),
    "503": lambda **match: unavailable(executes=True, **match),
    "truncated": truncated,
    "half of the JSON": cut_json,
    "HTML": lambda **match: html(executes=True, **match),
    "empty": lambda **match: empty(executes=True, **match),
    "empty object": lambda **match: empty_object(executes=True, **match),
}


def every(places: list[Place]) -> Any:
    return pytest.mark.parametrize("place", places, ids=lambda each: each.exchange)


def on(place: Place, exchange: RunningExchange, folder: Path, **more: Any) -> Any:
    return desk_on(exchange, folder, symbol=place.symbol, **more)


def told_once(desk: Desk, exchange: RunningExchange, answered: list[Any]) -> None:
    """The executions told, here or there, are those of the exchange's ledger; none came twice by itself."""
    heard = [event.fill.fill_id for event in desk.heard if isinstance(event, OrderFilled)]
    assert len(heard) == len(set(heard))
    told = {fill.fill_id: fill for fill in fills_in([*desk.heard, *answered])}.values()
    ledger = exchange.fills()
    assert len(told) == len(ledger)
    assert sum(desk.spec.quantity(fill.lots) for fill in told) == sum(Decimal(each["quantity"]) for each in ledger)
    for kind in (OrderAccepted, OrderEnded):
        ids = [event.client_id for event in desk.heard if isinstance(event, kind)]
        assert len(ids) == len(set(ids))
