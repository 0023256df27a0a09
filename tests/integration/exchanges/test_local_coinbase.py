"""Unmodified ccxt and ccxt.pro on the local Coinbase: tokens, refusals with HTTP 200, brackets, no stop-market."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from tests.local_exchanges import fault_rules as faults
from tests.local_exchanges.calls import awaited, eventually, heard, perform, subscribed, traded_market_of
from tests.local_exchanges.coinbase import coinbase_exchange
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import Exit, OrderForm, PairIds, SentOrder

SYMBOL = "BTC/USD"
BEGIN = 1_735_689_600_000
PLACING = "/brokerage/orders$"
IDS = PairIds("abcdefgh234567p001", "abcdefgh234567s001", "abcdefgh234567t001")
ENTRY = "abcdefgh234567e001"
HOLDING = Decimal("0.01")


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    with coinbase_exchange(seed=1) as running:
        yield running


@pytest.fixture
async def client(exchange: RunningExchange) -> AsyncIterator[Any]:
    async with exchange.client() as made:
        await made.load_markets()
        yield made


async def bought(client: Any, amount: str = "0.01", client_id: str = ENTRY) -> Any:
    """At once, by a limit far above the market: a market buy is measured in money here."""
    parameters = {"client_order_id": client_id, "timeInForce": "IOC"}
    return await client.create_order(SYMBOL, "limit", "buy", amount, "50500", parameters)


async def protected(client: Any) -> Any:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    return await perform(client, calls.protective_pair(IDS, Exit(HOLDING, Decimal(45_000), Decimal(60_000))))


def id_of(exchange: RunningExchange, client_id: str) -> str:
    named: str = exchange.order(client_id)["id"]
    return named


# Reading.


async def test_market_when_loaded_then_filters_fees_candles_and_permissions_are_what_ccxt_reads() -> None:
    with coinbase_exchange(frozen_at=BEGIN) as exchange:
        exchange.candle("100", "103", "99", "101", volume="4")
        exchange.clock(advance=MINUTE)
        exchange.price("105", volume="1")
        async with exchange.client(None) as client:
            rows = await client.fetch_ohlcv(SYMBOL, "1m", since=BEGIN, limit=10)
        assert rows == [[BEGIN, 100, 103, 99, 101, 4], [BEGIN + 2 * MINUTE, 105, 105, 105, 105, 1]]
    with coinbase_exchange() as exchange:
        async with exchange.client() as client:
            market = (await client.load_markets())[SYMBOL]
            assert (market["precision"]["price"], market["taker"], market["active"]) == (0.01, 0.012, True)
            rights = await client.v3_private_get_brokerage_key_permissions()
            assert (rights["can_trade"], rights["can_transfer"]) == (True, False)
            assert (await client.fetch_ticker(SYMBOL))["bid"] == 50_000
            exchange.venue("permissions", account="alice", can_transfer=True, can_trade=False)
            assert (await client.v3_private_get_brokerage_key_permissions())["can_transfer"] is True
            with pytest.raises(ccxt.PermissionDenied):
                await bought(client)


async def test_token_when_of_another_key_or_expired_then_unauthorised(exchange: RunningExchange, client: Any) -> None:
    with coinbase_exchange(seed=2) as other:
        strange = other.keys().secret
    async with exchange.client(secret=strange) as stranger:
        with pytest.raises(ccxt.AuthenticationError):
            await stranger.fetch_balance()
    exchange.clock(skew=130_000)
    with pytest.raises(ccxt.AuthenticationError):
        await client.fetch_balance()


async def test_token_when_used_for_another_request_then_unauthorised(exchange: RunningExchange, client: Any) -> None:
    signed = client.sign("brokerage/accounts", ["v3", "private"], "GET", {})
    elsewhere = signed["url"].replace("accounts", "key_permissions")
    answer = await client.session.get(elsewhere, headers=signed["headers"])
    assert answer.status == 401
    answer = await client.session.get(signed["url"], headers=signed["headers"])
    assert answer.status == 200


# Orders.


async def test_entry_when_bought_for_money_then_the_fee_is_inside_and_paid_in_quote(
    exchange: RunningExchange, client: Any
) -> None:
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.market_entry(ENTRY, Decimal("0.01"), Decimal(506)))
    order = await client.fetch_order(id_of(exchange, ENTRY), SYMBOL)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01, 50_000)
    assert order["fee"] == {"cost": "6", "currency": "USD"}
    balance = await client.fetch_balance()
    assert (balance["BTC"]["free"], balance["USD"]["free"]) == (0.01, 9_494)
    (fill,) = await client.fetch_my_trades(SYMBOL)
    assert (fill["order"], fill["amount"], fill["fee"]["cost"]) == (order["id"], 0.01, 6)


async def test_entry_when_the_market_is_thin_then_an_ioc_limit_fills_in_part(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.price("50000", depth="0.004", largest_trade="0.003")
    await bought(client)
    order = await client.fetch_order(id_of(exchange, ENTRY), SYMBOL)
    assert (order["status"], order["filled"], order["info"]["number_of_fills"]) == ("canceled", 0.004, "2")
    assert exchange.balance("USD", kind="locked") == 0


async def test_order_when_sent_again_then_the_first_one_is_the_answer(exchange: RunningExchange, client: Any) -> None:
    first, second = await bought(client), await bought(client)
    assert first["id"] == second["id"]
    assert len(exchange.fills()) == 1


async def test_order_when_asked_for_by_our_id_then_it_is_found_among_all(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    sent = SentOrder(ENTRY, OrderForm.PLAIN, exchange.clock() - 1_000)
    (found,) = await perform(client, calls.query(sent)[0])
    assert (found["clientOrderId"], found["filled"]) == (ENTRY, 0.01)


async def test_limit_when_it_rests_then_listed_held_with_its_fee_and_cancelled_once(
    exchange: RunningExchange, client: Any
) -> None:
    order = await client.create_order(SYMBOL, "limit", "buy", "0.1", "40000", {"client_order_id": ENTRY})
    assert exchange.balance("USD", kind="locked") == 4_048
    assert (await client.fetch_balance())["USD"]["used"] == 4_048
    assert [each["clientOrderId"] for each in await client.fetch_open_orders(SYMBOL)] == [ENTRY]
    await client.cancel_order(order["id"], SYMBOL)
    assert (await client.fetch_order(order["id"], SYMBOL))["status"] == "canceled"
    with pytest.raises(ccxt.BadRequest):
        await client.cancel_order(order["id"], SYMBOL)
    with pytest.raises(ccxt.ExchangeError, match="was not found") as missing:
        await client.fetch_order("nobody", SYMBOL)
    assert type(missing.value) is ccxt.ExchangeError, "ccxt does not say OrderNotFound here"


async def test_orders_when_there_are_many_then_they_come_in_pages(exchange: RunningExchange, client: Any) -> None:
    exchange.deposit("USD", "100000")
    for _ in range(105):
        exchange.place("buy", "0.001", price="40000")
    assert len(await client.fetch_open_orders(SYMBOL)) == 100
    page = await client.v3_private_get_brokerage_orders_historical_batch({"limit": 100, "cursor": "100"})
    assert (len(page["orders"]), page["has_next"]) == (5, False)


@pytest.mark.parametrize(
    ("kind", "side", "amount", "price", "more", "error", "told"),
    [
        ("market", "sell", "0.01", None, {}, ccxt.InsufficientFunds, "PREVIEW_INSUFFICIENT_FUND"),
        ("limit", "buy", "1", "40000", {}, ccxt.InsufficientFunds, "PREVIEW_INSUFFICIENT_FUND"),
        ("limit", "buy", "0.01", "50001", {"postOnly": True}, ccxt.ExchangeError, "LIMIT_PRICE_POST_ONLY"),
        ("limit", "buy", "0.00001", "40000", {}, ccxt.ExchangeError, "QUOTE_SIZE_TOO_SMALL"),
    ],
)
async def test_order_when_a_rule_is_broken_then_success_is_false_with_http_200(
    exchange: RunningExchange,
    client: Any,
    kind: str,
    side: str,
    amount: str,
    price: str | None,
    more: dict[str, Any],
    error: type[Exception],
    told: str,
) -> None:
    with pytest.raises(error, match=told):
        await client.create_order(SYMBOL, kind, side, amount, price, {"client_order_id": ENTRY, **more})
    assert client.last_http_response.startswith('{"success": false')
    assert exchange.orders() == []


async def test_order_when_trading_is_disabled_then_refused(exchange: RunningExchange, client: Any) -> None:
    exchange.market_status("HALT")
    with pytest.raises(ccxt.ExchangeError, match="PREVIEW_UNTRADABLE_PRODUCT"):
        await bought(client)
    assert (await client.fetch_markets())[0]["info"]["trading_disabled"] is True


async def test_stop_at_market_when_sent_then_there_is_no_such_order(exchange: RunningExchange, client: Any) -> None:
    await bought(client)
    request = {
        "client_order_id": "stop",
        "product_id": "BTC-USD",
        "side": "SELL",
        "order_configuration": {"stop_market_gtc": {"base_size": "0.01", "stop_price": "45000"}},
    }
    with pytest.raises(ccxt.ExchangeError, match="UNSUPPORTED_ORDER_CONFIGURATION"):
        await client.v3_private_post_brokerage_orders(request)


async def test_stop_limit_when_the_price_gaps_through_then_it_rests_unfilled(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.resting_stop(IDS.stop, HOLDING, Decimal(45_000), Decimal(44_500)))
    order = await client.fetch_order(id_of(exchange, IDS.stop), SYMBOL)
    assert (order["status"], order["triggerPrice"], order["price"]) == ("open", 45_000, 44_500)
    assert order["info"]["trigger_status"] == "STOP_PENDING"
    assert exchange.uncovered()[-1].end is not None
    exchange.price("43000")
    order = await client.fetch_order(id_of(exchange, IDS.stop), SYMBOL)
    assert (order["status"], order["filled"], order["info"]["trigger_status"]) == ("open", 0, "STOP_TRIGGERED")
    assert exchange.uncovered()[-1].end is None
    exchange.price("44600")
    assert (await client.fetch_order(id_of(exchange, IDS.stop), SYMBOL))["average"] == 44_500


async def test_stop_limit_when_above_the_market_then_refused(exchange: RunningExchange, client: Any) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    with pytest.raises(ccxt.InvalidOrder, match="PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"):
        await perform(client, calls.resting_stop(IDS.stop, HOLDING, Decimal(50_001), Decimal(44_500)))


# Brackets.


@pytest.mark.parametrize(("price", "average"), [("44000", 44_000), ("60000", 60_000)])
async def test_bracket_when_stop_or_target_is_reached_then_the_one_order_sells(
    exchange: RunningExchange, client: Any, price: str, average: int
) -> None:
    answer = await protected(client)
    assert answer["success_response"]["client_order_id"] == IDS.pair
    assert exchange.balance("BTC", kind="locked") == HOLDING
    assert exchange.uncovered()[-1].end is not None
    exchange.price(price, SYMBOL)
    order = await client.fetch_order(answer["success_response"]["order_id"], SYMBOL)
    assert (order["status"], order["average"], order["info"]["order_type"]) == ("closed", average, "BRACKET")


async def test_bracket_when_the_price_crashes_through_five_percent_then_it_does_not_sell(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await protected(client)
    exchange.price("42000")
    order = await client.fetch_order(answer["success_response"]["order_id"], SYMBOL)
    assert (order["status"], order["filled"]) == ("open", 0)
    assert exchange.uncovered()[-1].end is None


async def test_bracket_when_the_product_has_none_then_preview_and_order_say_so() -> None:
    with coinbase_exchange(brackets=[]) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            with pytest.raises(ccxt.ExchangeError, match="PREVIEW_INVALID_ORDER_CONFIG"):
                await protected(client)
            (errors,) = [(await previewed(client, "60000"))["errs"]]
            assert errors == ["PREVIEW_INVALID_ORDER_CONFIG"]


async def previewed(client: Any, target: str) -> Any:
    bracket = {"base_size": "0.01", "limit_price": target, "stop_trigger_price": "45000"}
    request = {"product_id": "BTC-USD", "side": "SELL", "order_configuration": {"trigger_bracket_gtc": bracket}}
    return await client.v3_private_post_brokerage_orders_preview(request)


async def test_preview_when_asked_then_it_tells_what_would_be_refused_and_places_nothing(
    exchange: RunningExchange, client: Any
) -> None:
    assert (await previewed(client, "60000"))["errs"] == ["PREVIEW_INSUFFICIENT_FUND"]
    await bought(client)
    assert (await previewed(client, "60000"))["errs"] == []
    assert (await previewed(client, "49000"))["errs"] == ["PREVIEW_LIMIT_PRICE_BELOW_LAST_TRADE_PRICE"]
    assert len(exchange.orders()) == 1


# Faults.

EXISTS, ABSENT = True, False
OUTCOMES: list[tuple[str, FaultRule, type[Exception] | None, bool]] = [
    ("request lost", faults.lost_request(), ccxt.NetworkError, ABSENT),
    ("answer lost", faults.lost_answer(), ccxt.NetworkError, EXISTS),
    ("hangs, executed", faults.hangs(executes=True), ccxt.RequestTimeout, EXISTS),
    ("body truncated", faults.truncated(), ccxt.ExchangeError, EXISTS),
    ("chunks cut", faults.cut_chunks(), ccxt.ExchangeError, EXISTS),
    ("half of the JSON", faults.cut_json(), None, EXISTS),
    ("HTML", faults.html(executes=True), None, EXISTS),
    ("empty body", faults.empty(executes=True), None, EXISTS),
    ("empty object", faults.empty_object(executes=True), None, EXISTS),
    ("429 without a code", faults.too_many(), ccxt.RateLimitExceeded, ABSENT),
    ("429", faults.exchange_error("rate_limit_exceeded"), ccxt.RateLimitExceeded, ABSENT),
    ("503", faults.unavailable(executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("500", faults.exchange_error("INTERNAL", "oops", executes=True), ccxt.ExchangeError, EXISTS),
    ("403", faults.exchange_error("PERMISSION_DENIED"), ccxt.PermissionDenied, ABSENT),
    ("maintenance", faults.maintenance(), ccxt.ExchangeNotAvailable, ABSENT),
]


@pytest.mark.parametrize(("rule", "raised", "exists"), [pytest.param(*case[1:], id=case[0]) for case in OUTCOMES])
async def test_order_when_a_fault_strikes_then_ccxt_says_this_and_a_query_tells_the_truth(
    exchange: RunningExchange, client: Any, rule: FaultRule, raised: type[Exception] | None, exists: bool
) -> None:
    client.timeout = 1_000
    rule.method, rule.path, rule.times = "POST", PLACING, 1
    number = exchange.fault(rule)
    if raised is None:
        assert (await bought(client))["id"] is None
    else:
        with pytest.raises(raised) as caught:
            await bought(client)
        if raised is ccxt.ExchangeError:
            assert type(caught.value) is ccxt.ExchangeError
    assert exchange.fault_hits(number) == 1
    client.timeout = 10_000
    found = await client.fetch_orders(SYMBOL)
    assert [order["clientOrderId"] for order in found] == [ENTRY] * exists


async def test_requests_when_too_many_in_a_second_then_429() -> None:
    with coinbase_exchange(requests_per_second=3) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            exchange.clock(skew=2_000)
            for _ in range(3):
                await client.fetch_balance()
            with pytest.raises(ccxt.RateLimitExceeded):
                await client.fetch_balance()


# Streams.


async def test_user_channel_when_an_order_fills_then_snapshot_and_updates_have_its_sums(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "49000", {"client_order_id": ENTRY})
    (resting,) = await client.watch_orders(SYMBOL)
    assert (resting["clientOrderId"], resting["status"], resting["remaining"]) == (ENTRY, "open", 0.01)
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await awaited(client, "user::BTC/USD")
    exchange.price("49000", largest_trade="0.006")
    await watching
    await eventually(lambda: heard(client)[ENTRY]["status"] == "closed")
    order = heard(client)[ENTRY]
    assert (order["filled"], order["average"], order["info"]["number_of_fills"]) == (0.01, 49_000, "2")


async def test_user_channel_when_the_token_is_of_another_key_then_refused_and_ccxt_goes_on_waiting(
    exchange: RunningExchange,
) -> None:
    with coinbase_exchange(seed=2) as other:
        strange = other.keys().secret
    async with exchange.client() as client:
        await client.load_markets()
        client.secret = strange
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        await eventually(lambda: exchange.streams()["opened"] == 1)
        await asyncio.sleep(1)
        assert not watching.done()
        assert exchange.streams()["connections"][0]["wanted"] == []
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_market_channels_when_the_price_moves_then_ticker_and_trades_come(
    exchange: RunningExchange, client: Any
) -> None:
    ticker = asyncio.create_task(client.watch_ticker(SYMBOL))
    trades = asyncio.create_task(client.watch_trades(SYMBOL))
    await subscribed(exchange, "ticker:BTC-USD", "market_trades:BTC-USD")
    exchange.price("51000", bid="50999", ask="51001", volume="0.25")
    async with asyncio.timeout(5):
        assert ((await ticker)["bid"], (await trades)[0]["amount"]) == (50_999, 0.25)


async def test_user_channel_when_closed_then_it_comes_back_and_fills_of_the_gap_never_do(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "49000", {"client_order_id": "gap"})
    await client.watch_orders(SYMBOL)
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await asyncio.sleep(0.05)
    exchange.close_streams(1001)
    with pytest.raises(ccxt.NetworkError):
        await watching
    exchange.price("48000")
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "user:BTC-USD")
    await bought(client)
    async with asyncio.timeout(5):
        assert {order["clientOrderId"] for order in await watching} == {ENTRY}


async def test_user_channel_when_silent_then_heartbeats_go_on_and_numbers_tell_what_is_missing(
    exchange: RunningExchange, client: Any
) -> None:
    told: list[tuple[str, int]] = []
    original = client.handle_message

    def listening(connection: Any, message: Any) -> None:
        told.append((message["channel"], message["sequence_num"]))
        original(connection, message)

    client.handle_message = listening
    beating = asyncio.create_task(client.subscribe("heartbeats", False, SYMBOL))
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "user:BTC-USD", "heartbeats:BTC-USD")
    exchange.stream_faults(silent=True, channel="user")
    await bought(client)
    before = len(told)
    await eventually(lambda: [name for name, _ in told[before:]].count("heartbeats") >= 2)
    exchange.stream_faults()
    await bought(client, client_id="second")
    async with asyncio.timeout(5):
        assert [order["clientOrderId"] for order in await watching] == ["second"]
    numbers = [number for _, number in told]
    assert numbers == sorted(numbers)
    assert len(numbers) < numbers[-1] + 1
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
