"""What is read of an order that ccxt has parsed: nothing that it leaves out is taken for nothing."""

from decimal import Decimal
from typing import Any

import ccxt.pro as ccxtpro
import pytest

from tradepulse.domain.orders import OrderStatus
from tradepulse.exchanges.order_answers import seen_order

CANCELED = {
    "order_id": "O22H4-GPF7X-FGVVAT",
    "cl_ord_id": "j2habrl3rqavkfe000",
    "symbol": "LTC/USDT",
    "side": "buy",
    "order_type": "limit",
    "time_in_force": "ioc",
    "order_qty": 245.70419351,
    "cum_qty": 29.611,
    "cum_cost": 2999.89041,
    "exec_type": "canceled",
    "order_status": "canceled",
    "reason": "Immediate or cancel",
    "timestamp": "2030-01-01T00:00:00.000000Z",
}


def test_order_when_krakens_stream_tells_only_of_its_end_then_what_had_filled_is_known() -> None:
    """Its executions may have been lost with a broken stream; ccxt leaves the quantity out."""
    parsed = ccxtpro.kraken().parse_ws_order(CANCELED)
    assert parsed["filled"] is None
    seen = seen_order(parsed)
    assert (seen.status, seen.filled) == (OrderStatus.CANCELLED, Decimal("29.611"))


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_order_when_it_ended_and_nobody_says_how_much_filled_then_it_is_not_taken_as_ended(status: str) -> None:
    order: dict[str, Any] = {"id": "1", "status": status, "amount": 2.0, "filled": None, "info": {}}
    assert seen_order(order).status is OrderStatus.OPEN
    assert seen_order({**order, "filled": 0.0}).status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    assert seen_order({**order, "status": "rejected"}).status is OrderStatus.REJECTED
