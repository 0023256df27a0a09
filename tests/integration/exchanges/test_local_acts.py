"""Every act of live trading, as our order calls build it, is understood by the local exchange that it is for."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal
from typing import Any

import pytest
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.calls import perform, traded_market_of
from tests.local_exchanges.coinbase import coinbase_exchange
from tests.local_exchanges.kraken import kraken_exchange
from tests.local_exchanges.okx import okx_exchange
from tests.local_exchanges.running import RunningExchange

from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import Exit, OrderCalls, OrderForm, PairIds, SentOrder
from tradepulse.exchanges.venue_facts import ProtectionMode, StopType

Open = Callable[..., AbstractContextManager[RunningExchange]]
TRADE = "abcdefgh234567"
ENTRY, LOW, STOP, PAIR, TARGET, EXIT = (f"{TRADE}{end}" for end in ("e001", "e002", "s001", "p001", "t001", "x001"))
QUANTITY, COST = Decimal("0.01"), Decimal(520)
BELOW, LIMIT, ABOVE = Decimal(45_000), Decimal(44_000), Decimal(60_000)


def sellable(exchange: RunningExchange) -> Decimal:
    return exchange.balance("BTC", kind="free").quantize(Decimal("0.00001"), "ROUND_DOWN")


async def settled(client: Any, calls: OrderCalls, exchange: RunningExchange, order: str, form: OrderForm) -> None:
    """Ask for it, cancel it, ask again."""
    sent = SentOrder(order, form, exchange.clock() - 60_000)
    known = SentOrder(order, form, sent.sent_at, exchange.order(order)["id"])
    assert order in await told(client, calls, sent)
    await perform(client, calls.cancel(known))
    assert order in await told(client, calls, known)


async def told(client: Any, calls: OrderCalls, order: SentOrder) -> str:
    """All answers to the questions after an order; one of them knows it."""
    return " ".join([str(await perform(client, call)) for call in calls.query(order)])


async def paired(client: Any, calls: OrderCalls, exchange: RunningExchange, held: Decimal) -> None:
    """Rest a pair, find it, cancel it."""
    ids = PairIds(PAIR, f"{TRADE}s003", TARGET)
    await perform(client, calls.protective_pair(ids, Exit(held, BELOW, ABOVE, LIMIT)))
    resting = [await perform(client, call) for call in calls.open_orders()]
    assert sum(len(each) for each in resting) >= 1
    leg = next(each for each in exchange.orders(open_only=True) if each["client_id"] in (ids.pair, ids.stop))
    pair = SentOrder(PAIR, OrderForm.PAIR, exchange.clock() - 60_000, leg["id"])
    for call in calls.query(pair):
        assert PAIR in str(await perform(client, call))
    await perform(client, calls.cancel(pair))
    assert exchange.orders(open_only=True) == []


@pytest.mark.parametrize("exchange_of", [binance_exchange, okx_exchange, coinbase_exchange, kraken_exchange])
async def test_acts_when_performed_in_the_order_of_a_trade_then_the_exchange_holds_what_they_mean(
    exchange_of: Open,
) -> None:
    with exchange_of() as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            calls = order_calls(traded_market_of(client, exchange.reach.symbols[0]))
            await perform(client, calls.market_entry(ENTRY, QUANTITY, COST))
            held = sellable(exchange)
            assert held > Decimal("0.0099")

            await perform(client, calls.limit_entry(LOW, QUANTITY, BELOW))
            await settled(client, calls, exchange, LOW, OrderForm.PLAIN)

            at_market = StopType.MARKET in calls.venue.stop_types.value
            for name, worst in ((STOP, LIMIT), *([(f"{STOP[:-1]}2", None)] if at_market else [])):
                await perform(client, calls.resting_stop(name, held, BELOW, worst))
                assert sellable(exchange) == 0
                await settled(client, calls, exchange, name, OrderForm.STOP)

            if calls.venue.protection.value is ProtectionMode.NATIVE:
                await paired(client, calls, exchange, held)

            await perform(client, calls.target_exit(f"{TRADE}t002", held, ABOVE))
            assert exchange.order(f"{TRADE}t002")["status"] == "expired"
            await perform(client, calls.market_exit(EXIT, held))
            assert sellable(exchange) == 0
            assert [fill["client_id"] for fill in exchange.fills()] == [ENTRY, EXIT]
