"""What is read of an order that ccxt has parsed: nothing that it leaves out is taken for nothing."""

from decimal import Decimal

import ccxt.pro as ccxtpro

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
