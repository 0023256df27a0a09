"""Unmodified ccxt and ccxt.pro on the local Binance: what the exchange does, and what ccxt makes of its faults."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from tests.local_exchanges import fault_rules as faults
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.calls import awaited, eventually, heard, perform, subscribed, traded_market_of
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import Exit, OrderForm, PairIds, SentOrder

SYMBOL = "BTC/USDT"
BEGIN = 1_735_689_600_000
ORDER = "/api/v3/order$"
IDS = PairIds("abcdefgh234567p001", "abcdefgh234567s001", "abcdefgh234567t001")
HOLDING = Decimal("0.00999")


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    with binance_exchange(seed=1, accounts={"alice": {"USDT": "10000"}, "bob": {"USDT": "5"}}) as running:
        yield running


@pytest.fixture
async def client(exchange: RunningExchange) -> AsyncIterator[Any]:
    async with exchange.client() as made:
        await made.load_markets()
        yield made


async def bought(client: Any, amount: str = "0.01", client_id: str = "entry") -> Any:
    return await client.create_order(SYMBOL, "market", "buy", amount, None, {"clientOrderId": client_id})


async def protected(client: Any) -> Any:
    """A holding of 0.00999 with a stop at 45000 and a target at 60000."""
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    return await perform(client, calls.protective_pair(IDS, Exit(HOLDING, Decimal(45_000), Decimal(60_000))))


def states(exchange: RunningExchange) -> dict[str, tuple[str, str]]:
    """Status and filled quantity by client id."""
    return {order["client_id"]: (order["status"], order["filled"]) for order in exchange.orders()}


# Reading.


async def test_markets_when_loaded_then_filters_and_permissions_are_what_ccxt_reads(client: Any) -> None:
    market = client.market(SYMBOL)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert market["limits"]["cost"]["min"] == 5
    assert market["info"]["ocoAllowed"] is True
    kinds = {each["filterType"] for each in market["info"]["filters"]}
    assert {"PERCENT_PRICE_BY_SIDE", "NOTIONAL", "MARKET_LOT_SIZE", "MAX_NUM_ALGO_ORDERS"} <= kinds
    rights = await client.sapi_get_account_apirestrictions()
    assert (rights["enableSpotAndMarginTrading"], rights["enableWithdrawals"]) == (True, False)
    assert (await client.fetch_status())["status"] == "ok"


async def test_key_when_it_may_withdraw_or_not_trade_then_the_exchange_says_so(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.venue("permissions", account="alice", enableWithdrawals=True, enableSpotAndMarginTrading=False)
    assert (await client.sapi_get_account_apirestrictions())["enableWithdrawals"] is True
    client.options["hasAlreadyAuthenticatedSuccessfully"] = False
    with pytest.raises(ccxt.AuthenticationError):
        await bought(client)


async def test_candles_when_trades_are_printed_then_bars_have_their_prices_and_the_last_one_is_open() -> None:
    with binance_exchange(frozen_at=BEGIN) as exchange:
        exchange.candle("100", "103", "99", "101", volume="4")
        exchange.candle("101", "102", volume="2")
        exchange.clock(advance=2 * MINUTE)
        exchange.price("105", volume="1")
        async with exchange.client() as client:
            one = await client.fetch_ohlcv(SYMBOL, "1m", since=BEGIN, limit=10)
            five = await client.fetch_ohlcv(SYMBOL, "5m")
            ticker = await client.fetch_ticker(SYMBOL)
    assert one[:2] == [[BEGIN, 100, 103, 99, 101, 4], [BEGIN + MINUTE, 101, 102, 101, 102, 2]]
    assert [row[4:] for row in one[2:]] == [[102, 0], [102, 0], [105, 1]]
    assert five == [[BEGIN, 100, 105, 99, 105, 7]]
    assert (ticker["last"], ticker["bid"], ticker["high"]) == (105, 105, 105)


async def test_keys_when_wrong_then_the_request_is_refused(exchange: RunningExchange) -> None:
    for config in ({"secret": "guessed"}, {"apiKey": "nobody"}):
        async with exchange.client(**config) as client:
            with pytest.raises(ccxt.AuthenticationError):
                await client.fetch_balance()


# Orders.


async def test_entry_when_at_market_then_filled_and_the_fee_is_taken_from_what_arrives(
    exchange: RunningExchange, client: Any
) -> None:
    order = await bought(client)
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.01, 50_000)
    assert order["fee"] == {"currency": "BTC", "cost": 0.00001, "rate": None} or order["fees"][0]["cost"] == 0.00001
    balance = await client.fetch_balance()
    assert (balance["BTC"]["free"], balance["USDT"]["free"]) == (0.00999, 9_500)
    (fill,) = await client.fetch_my_trades(SYMBOL)
    assert (fill["order"], fill["amount"], fill["fee"]["currency"]) == (order["id"], 0.01, "BTC")
    assert exchange.balance("BTC") == Decimal("0.00999")


async def test_entry_when_the_market_is_thin_then_an_ioc_limit_fills_in_part_and_expires(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.price("50000", depth="0.004", largest_trade="0.003")
    parameters = {"clientOrderId": "thin", "timeInForce": "IOC"}
    order = await client.create_order(SYMBOL, "limit", "buy", "0.01", "50100", parameters)
    assert (order["status"], order["filled"], order["cost"]) == ("expired", 0.004, 200)
    assert [fill["quantity"] for fill in exchange.fills()] == ["0.003", "0.001"]
    assert exchange.balance("USDT", kind="locked") == 0


async def test_limit_when_it_rests_then_funds_are_locked_until_it_is_cancelled(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.1", "40000", {"clientOrderId": "low"})
    assert (await client.fetch_balance())["USDT"] == {"free": 6_000, "used": 4_000, "total": 10_000}
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "buy", "0.2", "40000")
    assert [order["clientOrderId"] for order in await client.fetch_open_orders(SYMBOL)] == ["low"]
    await client.cancel_order(None, SYMBOL, {"clientOrderId": "low"})
    assert (await client.fetch_order(None, SYMBOL, {"clientOrderId": "low"}))["status"] == "canceled"
    assert exchange.balance("USDT", kind="free") == 10_000


async def test_limit_when_the_price_comes_then_it_fills_at_its_own_price(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.1", "40000", {"clientOrderId": "low"})
    exchange.price("39000")
    order = await client.fetch_order(None, SYMBOL, {"clientOrderId": "low"})
    assert (order["status"], order["average"]) == ("closed", 40_000)
    assert exchange.fills()[0]["maker"] is True


async def test_order_when_only_tested_then_judged_and_not_placed(exchange: RunningExchange, client: Any) -> None:
    await client.create_order(SYMBOL, "market", "buy", "0.01", None, {"test": True})
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "market", "sell", "0.01", None, {"test": True})
    assert exchange.orders() == []


async def test_history_when_read_from_a_time_or_an_order_on_then_it_comes_in_pages(
    exchange: RunningExchange, client: Any
) -> None:
    first = await bought(client, client_id="one")
    for name in ("two", "three"):
        await bought(client, client_id=name)
    page = await client.fetch_orders(SYMBOL, since=first["timestamp"], limit=2)
    assert [order["clientOrderId"] for order in page] == ["one", "two"]
    rest = await client.fetch_orders(SYMBOL, params={"orderId": page[-1]["id"]})
    assert [order["clientOrderId"] for order in rest] == ["two", "three"]
    trades = await client.fetch_my_trades(SYMBOL, params={"orderId": rest[-1]["id"]})
    assert [trade["order"] for trade in trades] == [rest[-1]["id"]]


async def test_accounts_when_two_trade_then_neither_sees_the_other(exchange: RunningExchange, client: Any) -> None:
    await bought(client)
    async with exchange.client("bob") as other:
        assert (await other.fetch_balance())["USDT"]["total"] == 5
        with pytest.raises(ccxt.OrderNotFound):
            await other.fetch_order(None, SYMBOL, {"clientOrderId": "entry"})
        with pytest.raises(ccxt.InsufficientFunds):
            await bought(other)


@pytest.mark.parametrize(
    ("kind", "side", "amount", "price", "parameters", "error", "told"),
    [
        ("limit", "buy", "0.01", "10300000", {}, ccxt.InvalidOrder, "PRICE_FILTER"),
        ("limit", "buy", "0.01", "260000", {}, ccxt.ExchangeError, "PERCENT_PRICE_BY_SIDE"),
        ("limit", "buy", "0.01", "9000", {}, ccxt.ExchangeError, "PERCENT_PRICE_BY_SIDE"),
        ("limit", "buy", "0.00009", "40000", {}, ccxt.ExchangeError, "NOTIONAL"),
        ("market", "buy", "101", None, {}, ccxt.InvalidOrder, "MARKET_LOT_SIZE"),
        ("limit", "buy", "0.01", "50001", {"postOnly": True}, ccxt.OrderImmediatelyFillable, "match and take"),
        ("market", "buy", "0.01", None, {"triggerPrice": "49000"}, ccxt.OrderImmediatelyFillable, "trigger"),
        ("market", "sell", "0.01", None, {}, ccxt.InsufficientFunds, "insufficient balance"),
    ],
)
async def test_order_when_a_rule_is_broken_then_refused_by_its_name(
    exchange: RunningExchange,
    client: Any,
    kind: str,
    side: str,
    amount: str,
    price: str | None,
    parameters: dict[str, Any],
    error: type[Exception],
    told: str,
) -> None:
    with pytest.raises(error, match=told):
        await client.create_order(SYMBOL, kind, side, amount, price, parameters)
    assert exchange.orders() == []


async def test_stops_when_there_are_too_many_then_the_next_is_refused(exchange: RunningExchange, client: Any) -> None:
    await bought(client, "0.1")
    calls = order_calls(traded_market_of(client, SYMBOL))
    for number in range(5):
        await perform(client, calls.resting_stop(f"stop{number}", Decimal("0.001"), Decimal(45_000)))
    with pytest.raises(ccxt.ExchangeError, match="MAX_NUM_ALGO_ORDERS"):
        await perform(client, calls.resting_stop("stop5", Decimal("0.001"), Decimal(45_000)))


async def test_order_when_the_market_is_halted_then_refused_and_nothing_triggers(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    exchange.market_status("HALT")
    with pytest.raises(ccxt.MarketClosed):
        await bought(client, client_id="second")
    exchange.price("44000")
    assert states(exchange)[IDS.stop] == ("new", "0")
    assert (await client.fetch_markets())[0]["active"] is False
    exchange.market_status("TRADING")
    assert states(exchange)[IDS.stop] == ("filled", "0.00999")


async def test_order_when_sent_twice_then_refused_while_open_and_executed_again_after_that(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"clientOrderId": "once"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"clientOrderId": "once"})
    exchange.price("39000")
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"clientOrderId": "once"})
    assert len(exchange.fills()) == 2


# Pairs.


async def test_pair_when_placed_then_the_holding_is_locked_once_and_covered(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await protected(client)
    assert (answer["listOrderStatus"], answer["listClientOrderId"]) == ("EXECUTING", IDS.pair)
    legs = {leg["clientOrderId"]: client.parse_order(leg) for leg in answer["orderReports"]}
    assert (legs[IDS.stop]["triggerPrice"], legs[IDS.target]["price"]) == (45_000, 60_000)
    assert exchange.balance("BTC", kind="locked") == HOLDING
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "sell", "0.00999", "61000")
    lists = await client.private_get_openorderlist()
    assert [each["listClientOrderId"] for each in lists] == [IDS.pair]
    assert exchange.uncovered()[-1].end is not None


async def test_pair_when_the_stop_triggers_then_it_sells_and_the_target_expires(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    exchange.price("44000")
    stop = await client.fetch_order(None, SYMBOL, {"clientOrderId": IDS.stop})
    target = await client.fetch_order(None, SYMBOL, {"clientOrderId": IDS.target})
    assert (stop["status"], stop["average"], target["status"]) == ("closed", 44_000, "expired")
    assert target["info"]["expiryReason"] == "OCO_TRIGGER"
    done = await client.private_get_orderlist({"origClientOrderId": IDS.pair})
    assert done["listOrderStatus"] == "ALL_DONE"
    assert exchange.balance("BTC") == 0


async def test_pair_when_the_target_fills_in_part_then_the_rest_rests_without_a_stop(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    exchange.fill(IDS.target, "0.004")
    assert states(exchange)[IDS.stop] == ("expired", "0")
    target = await client.fetch_order(None, SYMBOL, {"clientOrderId": IDS.target})
    assert (target["status"], target["filled"], target["remaining"]) == ("open", 0.004, 0.00599)
    assert exchange.uncovered()[-1].end is None
    assert exchange.uncovered()[-1].most == Decimal("0.00599")


async def test_pair_when_a_leg_is_cancelled_then_both_are(exchange: RunningExchange, client: Any) -> None:
    await protected(client)
    await client.cancel_order(None, SYMBOL, {"clientOrderId": IDS.target})
    assert [states(exchange)[leg][0] for leg in (IDS.stop, IDS.target)] == ["cancelled", "cancelled"]
    assert exchange.balance("BTC", kind="free") == HOLDING
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(None, SYMBOL, {"clientOrderId": IDS.stop})


async def test_pair_when_its_prices_are_on_the_wrong_side_then_refused_whole(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    for stop, target in (("50001", "60000"), ("45000", "49999")):
        with pytest.raises(ccxt.InvalidOrder):
            await perform(client, calls.protective_pair(IDS, Exit(HOLDING, Decimal(stop), Decimal(target))))
    assert exchange.orders(open_only=True) == []
    assert exchange.balance("BTC", kind="locked") == 0


async def test_stop_limit_when_the_price_gaps_through_then_it_rests_unfilled(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.resting_stop(IDS.stop, HOLDING, Decimal(45_000), Decimal(44_500)))
    exchange.price("43000")
    order = await client.fetch_order(None, SYMBOL, {"clientOrderId": IDS.stop})
    assert (order["status"], order["filled"]) == ("open", 0)
    assert exchange.uncovered()[-1].end is None
    exchange.price("44600")
    assert states(exchange)[IDS.stop] == ("filled", "0.00999")


async def test_calls_when_pairs_are_asked_for_and_cancelled_then_every_shape_is_understood(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    pair = SentOrder(IDS.pair, OrderForm.PAIR, 0)
    (found,) = [await perform(client, call) for call in calls.query(pair)]
    assert {leg["clientOrderId"] for leg in found["orders"]} == {IDS.stop, IDS.target}
    resting, lists = [await perform(client, call) for call in calls.open_orders()]
    assert (len(resting), len(lists)) == (2, 1)
    gone = await perform(client, calls.cancel(pair))
    assert gone["listOrderStatus"] == "ALL_DONE"
    with pytest.raises(ccxt.OrderNotFound):
        await perform(client, calls.cancel(pair))
    with pytest.raises(ccxt.OrderNotFound):
        await perform(client, calls.query(SentOrder("nobody", OrderForm.PAIR, 0))[0])


async def test_stop_when_replaced_in_one_step_then_the_old_one_is_gone_or_nothing_happens(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    await client.private_post_order(stop_order("first", "45000"))
    request = {**stop_order("second", "46000"), "cancelReplaceMode": "STOP_ON_FAILURE"}
    answer = await client.private_post_order_cancelreplace({**request, "cancelOrigClientOrderId": "first"})
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    with pytest.raises(ccxt.BadResponse, match="-2022"):
        await client.private_post_order_cancelreplace({**request, "cancelOrigClientOrderId": "first"})
    refused = {**request, "stopPrice": "51000", "newClientOrderId": "third", "cancelOrigClientOrderId": "second"}
    with pytest.raises(ccxt.BadResponse, match="-2021"):
        await client.private_post_order_cancelreplace(refused)
    assert {name: state for name, (state, _) in states(exchange).items()} == {
        "entry": "filled",
        "first": "cancelled",
        "second": "cancelled",
    }


def stop_order(client_id: str, price: str) -> dict[str, Any]:
    named = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": str(HOLDING)}
    return {**named, "stopPrice": price, "newClientOrderId": client_id, "newOrderRespType": "RESULT"}


async def test_pair_in_the_older_form_when_placed_then_it_is_the_same_pair(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    older = {"symbol": "BTCUSDT", "side": "SELL", "quantity": str(HOLDING), "price": "60000", "stopPrice": "45000"}
    ids = {"listClientOrderId": IDS.pair, "limitClientOrderId": IDS.target, "stopClientOrderId": IDS.stop}
    await client.private_post_order_oco({**older, **ids})
    exchange.price("60000")
    assert states(exchange)[IDS.target] == ("filled", "0.00999")
    assert states(exchange)[IDS.stop] == ("expired", "0")


# Faults: what ccxt makes of them, and whether the order exists all the same.

EXISTS, ABSENT = True, False
OUTCOMES: list[tuple[str, FaultRule, type[Exception] | None, bool]] = [
    ("request lost", faults.lost_request(), ccxt.NetworkError, ABSENT),
    ("answer lost", faults.lost_answer(), ccxt.NetworkError, EXISTS),
    ("hangs, executed", faults.hangs(executes=True), ccxt.RequestTimeout, EXISTS),
    ("hangs, not executed", faults.hangs(), ccxt.RequestTimeout, ABSENT),
    ("too slow", faults.slow_answer(2), ccxt.RequestTimeout, EXISTS),
    ("body truncated", faults.truncated(), ccxt.ExchangeError, EXISTS),
    ("chunks cut", faults.cut_chunks(), ccxt.ExchangeError, EXISTS),
    ("half of the JSON", faults.cut_json(), None, EXISTS),
    ("HTML", faults.html(executes=True), None, EXISTS),
    ("empty body", faults.empty(executes=True), None, EXISTS),
    ("empty object", faults.empty_object(executes=True), None, EXISTS),
    ("429", faults.too_many(), ccxt.DDoSProtection, ABSENT),
    ("418", faults.too_many(status=418, retry_after=120), ccxt.DDoSProtection, ABSENT),
    ("503", faults.unavailable(executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("502, not executed", faults.unavailable(status=502), ccxt.ExchangeNotAvailable, ABSENT),
    ("403 of a firewall", faults.unavailable(status=403), ccxt.ExchangeNotAvailable, ABSENT),
    ("-1000", faults.exchange_error("-1000", executes=True), ccxt.OperationFailed, EXISTS),
    ("-1006", faults.exchange_error("-1006", executes=True), ccxt.OperationFailed, EXISTS),
    ("-1007", faults.exchange_error("-1007", executes=True), ccxt.RequestTimeout, EXISTS),
    ("-1008", faults.exchange_error("-1008"), ccxt.OperationFailed, ABSENT),
    ("-1021", faults.exchange_error("-1021"), ccxt.InvalidNonce, ABSENT),
    ("maintenance", faults.maintenance(), ccxt.OnMaintenance, ABSENT),
]


@pytest.mark.parametrize(("rule", "raised", "exists"), [pytest.param(*case[1:], id=case[0]) for case in OUTCOMES])
async def test_order_when_a_fault_strikes_then_ccxt_says_this_and_a_query_tells_the_truth(
    exchange: RunningExchange, client: Any, rule: FaultRule, raised: type[Exception] | None, exists: bool
) -> None:
    client.timeout = 1_000
    rule.method, rule.path, rule.times = "POST", ORDER, 1
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
    if exists:
        assert (await client.fetch_order(None, SYMBOL, {"clientOrderId": "entry"}))["status"] == "closed"
    else:
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, SYMBOL, {"clientOrderId": "entry"})
    assert len(exchange.fills()) == exists


async def test_pair_when_the_answer_is_lost_then_it_is_found_by_the_name_of_the_list(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.fault(faults.lost_answer(path="/api/v3/orderList/oco"))
    with pytest.raises(ccxt.NetworkError):
        await protected(client)
    found = await client.private_get_orderlist({"origClientOrderId": IDS.pair})
    assert found["listOrderStatus"] == "EXECUTING"


async def test_faults_when_given_a_place_and_a_chance_then_they_strike_there_and_the_same_on_every_run() -> None:
    struck = []
    for _ in range(2):
        with binance_exchange(seed=5) as exchange:
            exchange.fault(faults.unavailable(path="/time", after=3, times=None, probability=0.4))
            async with exchange.client() as client:
                outcomes = []
                for _ in range(20):
                    try:
                        await client.fetch_time()
                        outcomes.append(True)
                    except ccxt.ExchangeNotAvailable:
                        outcomes.append(False)
                await client.load_markets()
        struck.append(outcomes)
    assert struck[0] == struck[1]
    assert all(struck[0][:3])
    assert 3 < struck[0].count(False) < 14


async def test_clock_when_the_exchange_is_behind_then_refused_until_the_difference_is_loaded(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.clock(skew=-30_000)
    with pytest.raises(ccxt.InvalidNonce):
        await bought(client)
    await client.load_time_difference()
    assert (await bought(client))["status"] == "closed"


async def test_weights_when_used_up_then_429_and_who_goes_on_is_banned() -> None:
    with binance_exchange(weight_limit=100, patience=3) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            assert client.last_response_headers["X-MBX-USED-WEIGHT-1M"] == "20"
            for _ in range(4):
                await client.fetch_balance()
            for _ in range(3):
                with pytest.raises(ccxt.DDoSProtection, match="429"):
                    await client.fetch_time()
            assert 0 < int(client.last_response_headers["Retry-After"]) <= 60
            with pytest.raises(ccxt.DDoSProtection, match="418"):
                await client.fetch_time()
            exchange.clock(skew=3 * MINUTE)
            await client.load_time_difference()
            await client.fetch_balance()


# Streams.


async def user_stream(exchange: RunningExchange, client: Any) -> None:
    await subscribed(exchange, "userData")
    await awaited(client, "orders:BTC/USDT")


async def test_candle_stream_when_a_minute_ends_then_the_last_update_has_the_whole_candle() -> None:
    with binance_exchange(frozen_at=BEGIN) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            watching = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1m"))
            await subscribed(exchange, "btcusdt@kline_1m")
            exchange.candle("100", "104", "98", "101", volume="4")
            rows = await watching
            async with asyncio.timeout(5):
                while rows[-1] != [BEGIN, 100, 104, 98, 101, 4]:
                    rows = await client.watch_ohlcv(SYMBOL, "1m")


async def test_market_streams_when_the_price_moves_then_quotes_trades_and_tickers_come(
    exchange: RunningExchange, client: Any
) -> None:
    tasks = [
        asyncio.create_task(coroutine)
        for coroutine in (
            client.watch_trades(SYMBOL),
            client.watch_bids_asks([SYMBOL]),
            client.watch_ticker(SYMBOL),
        )
    ]
    await subscribed(exchange, "btcusdt@trade", "btcusdt@bookTicker", "btcusdt@miniTicker")
    exchange.price("51000", bid="50999", ask="51001", volume="0.25")
    async with asyncio.timeout(5):
        trades, quotes, ticker = await asyncio.gather(*tasks)
    assert (trades[0]["price"], trades[0]["amount"]) == (51_000, 0.25)
    assert (quotes[SYMBOL]["bid"], quotes[SYMBOL]["ask"], ticker["last"]) == (50_999, 51_001, 51_000)


async def test_user_stream_when_a_stop_triggers_then_expiry_fills_and_balances_are_told_in_order(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    orders = asyncio.create_task(client.watch_orders(SYMBOL))
    trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
    balances = asyncio.create_task(client.watch_balance())
    await subscribed(exchange, "userData")
    await awaited(client, "orders:BTC/USDT", "myTrades:BTC/USDT", "spot:balance")
    exchange.price("44000", largest_trade="0.006")
    await asyncio.gather(orders, trades, balances)
    await eventually(lambda: heard(client)[IDS.stop]["status"] == "closed")
    seen = heard(client)
    assert (seen[IDS.target]["status"], seen[IDS.target]["info"]["eR"]) == ("expired", "OCO_TRIGGER")
    assert (seen[IDS.stop]["filled"], seen[IDS.stop]["type"]) == (0.00999, "market")
    assert [fill["quantity"] for fill in exchange.fills()[1:]] == ["0.006", "0.00399"]


async def test_user_stream_when_closed_with_1001_then_it_comes_back_and_fills_of_the_gap_never_do(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "49000", {"clientOrderId": "gap"})
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await user_stream(exchange, client)
    assert exchange.close_streams(1001) == 1
    with pytest.raises(ccxt.NetworkError):
        await watching
    exchange.price("48000")
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await user_stream(exchange, client)
    await bought(client, client_id="after")
    async with asyncio.timeout(5):
        told = await watching
    assert {order["clientOrderId"] for order in told} == {"after"}
    assert (await client.fetch_order(None, SYMBOL, {"clientOrderId": "gap"}))["status"] == "closed"


async def test_user_stream_when_silent_then_connection_and_pings_live_and_no_event_comes(
    exchange: RunningExchange,
) -> None:
    async with exchange.client(streaming={"keepAlive": 500, "maxPingPongMisses": 3}) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        await user_stream(exchange, client)
        exchange.stream_faults(silent=True)
        await bought(client)
        await asyncio.sleep(2)
        assert not watching.done()
        assert exchange.streams()["lost"] > 0
        exchange.stream_faults()
        await bought(client, client_id="second")
        async with asyncio.timeout(5):
            assert [order["clientOrderId"] for order in await watching] == ["second"]


async def test_user_stream_when_half_open_then_ccxt_notices_by_its_own_pings(exchange: RunningExchange) -> None:
    async with exchange.client(streaming={"keepAlive": 200, "maxPingPongMisses": 2}) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        await user_stream(exchange, client)
        exchange.stream_faults(deaf=True)
        async with asyncio.timeout(10):
            with pytest.raises(ccxt.RequestTimeout):
                await watching


async def test_user_stream_when_events_are_doubled_and_overtake_each_other_then_that_is_what_comes(
    exchange: RunningExchange, client: Any
) -> None:
    told: list[tuple[str, str]] = []
    original = client.handle_message

    def listening(connection: Any, message: Any) -> None:
        event = message.get("event", {})
        if event.get("e") == "executionReport":
            told.append((event["x"], event["X"]))
        original(connection, message)

    client.handle_message = listening
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await user_stream(exchange, client)
    exchange.stream_faults(duplicated=True, swapped=True, channel="executionReport")
    await bought(client)
    await watching
    await eventually(lambda: len(told) == 4)
    assert told == [("TRADE", "FILLED")] * 2 + [("NEW", "NEW")] * 2


async def test_streams_when_the_server_shuts_down_then_it_says_so_and_closes(
    exchange: RunningExchange, client: Any
) -> None:
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await user_stream(exchange, client)
    exchange.venue("shutdown")
    with pytest.raises(ccxt.NetworkError):
        await watching
    assert exchange.streams()["connections"] == []


async def test_streams_when_refused_or_cut_then_watching_fails_as_a_network_error(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.stream_faults(refusing=True)
    with pytest.raises(ccxt.NetworkError):
        await client.watch_orders(SYMBOL)
    exchange.stream_faults()
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await user_stream(exchange, client)
    assert exchange.cut_streams() == 1
    with pytest.raises(ccxt.NetworkError):
        await watching
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
