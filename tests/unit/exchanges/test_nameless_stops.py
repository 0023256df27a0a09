"""Stops of Gate bear no id of ours: after a restart nothing tells which of those that rest is which."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.core.trading import spec

from tradepulse.domain.market import MarketKey, MarketKind
from tradepulse.domain.orders import OrderRole
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.order_inquiry import Found, Inquiry
from tradepulse.exchanges.tracked_orders import TrackedOrder
from tradepulse.exchanges.unified_calls import Call, OrderForm, TradedMarket
from tradepulse.exchanges.venues import venue_of

MARKET = MarketKey("gate", "ABC/USD")
SELLS = {"id": "7", "symbol": "ABC/USD", "status": "open", "amount": 1, "filled": 0, "side": "sell", "triggerPrice": 90}


class Told:
    """Where the exchange would be: it shows these open trigger orders, and none that ended."""

    def __init__(self, open_triggers: list[dict[str, Any]]) -> None:
        self.exchange, self.venue = "gate", venue_of("gate", MarketKind.SPOT)
        self.client = SimpleNamespace(last_json_response=[{}])
        self._open = open_triggers

    def now(self) -> int:
        return 1

    async def call(self, call: Call, *_: Any) -> Any:
        triggered = any(isinstance(each, dict) and each.get("trigger") for each in call.arguments)
        return self._open if call.method == "fetch_open_orders" and triggered else []


async def asked(open_triggers: list[dict[str, Any]]) -> Found:
    market = SimpleNamespace(calls=order_calls(TradedMarket(spec(market=MARKET), "ABC_USD", {})))

    async def at_once(_: float) -> None: ...

    inquiry = Inquiry(Told(open_triggers), {MARKET: market}, at_once)  # type: ignore[arg-type, dict-item]
    stop = TrackedOrder("tradetradebaaas000", OrderRole.STOP, OrderForm.STOP, spec(market=MARKET), 0, guessed=True)
    return await inquiry.about(stop)


@pytest.mark.parametrize(
    ("resting", "expected"),
    [
        ([], Found.ABSENT),
        ([SELLS], Found.SILENT),
        ([{**SELLS, "side": "buy"}], Found.ABSENT),
    ],
)
async def test_stop_without_an_id_when_another_rests_then_it_may_be_that_one_and_is_never_believed_lost(
    resting: list[dict[str, Any]], expected: Found
) -> None:
    assert await asked(resting) is expected
