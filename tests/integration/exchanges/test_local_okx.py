"""Unmodified ccxt and ccxt.pro on the local OKX: algo orders and the orders that they place, refusals in HTTP 200."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from tests.local_exchanges import fault_rules as faults
from tests.local_exchanges.calls import awaited, eventually, perform, subscribed, traded_market_of
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.okx import okx_exchange
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import Exit, OrderForm, PairIds, SentOrder

SYMBOL = "BTC/USDT"
BEGIN = 1_735_689_600_000
PLACING = "/trade/batch-orders"
IDS = PairIds("abcdefgh234567p001", "abcdefgh234567s001", "abcdefgh234567t001")
HOLDING = Decimal("0.00999")
ENTRY = "abcdefgh234567e001"
PAIR = SentOrder(IDS.pair, OrderForm.PAIR, 0)


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    with okx_exchange(seed=1) as running:
        yield running


@pytest.fixture
async def client(exchange: RunningExchange) -> AsyncIterator[Any]:
    async with exchange.client() as made:
        await made.load_markets()
        yield made


async def bought(client: Any, amount: str = "0.01", client_id: str = ENTRY) -> Any:
    return await client.create_order(SYMBOL, "market", "buy", amount, None, {"clientOrderId": client_id})


async def protected(client: Any) -> Any:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    return await perform(client, calls.protective_pair(IDS, Exit(HOLDING, Decimal(45_000), Decimal(60_000))))


async def pair_of(client: Any) -> Any:
    return (await client.private_get_trade_order_algo({"algoClOrdId": IDS.pair}))["data"][0]


async def test_market_when_loaded_then_filters_candles_and_permissions_are_what_ccxt_reads() -> None:
    with okx_exchange(frozen_at=BEGIN) as exchange:
        exchange.candle("100", "103", "99", "101", volume="4")
        exchange.clock(advance=MINUTE)
        exchange.price("105", volume="1")
        async with exchange.client() as client:
            await client.load_time_difference()
            market = (await client.load_markets())[SYMBOL]
            assert (market["precision"]["price"], market["precision"]["amount"], market["active"]) == (0.01, 1e-5, True)
            rows = await client.fetch_ohlcv(SYMBOL, "1m", since=BEGIN, limit=10)
            assert rows == [
                [BEGIN, 100, 103, 99, 101, 4],
                [BEGIN + MINUTE, 101, 101, 101, 101, 0],
                [BEGIN + 2 * MINUTE, 105, 105, 105, 105, 1],
            ]
            assert (await client.fetch_ticker(SYMBOL))["last"] == 105
            (config,) = (await client.private_get_account_config())["data"]
            assert (config["perm"], config["ip"]) == ("read_only,trade", "127.0.0.1")
            exchange.venue("permissions", account="alice", perm="read_only", ip="")
            with pytest.raises(ccxt.ExchangeError, match="50120"):
                await bought(client)


@pytest.mark.parametrize("config", [{"secret": "guessed"}, {"apiKey": "nobody"}, {"password": "guessed"}])
async def test_keys_when_wrong_then_requests_and_logins_are_refused(
    exchange: RunningExchange, config: dict[str, str]
) -> None:
    async with exchange.client(**config) as client:
        with pytest.raises(ccxt.AuthenticationError):
            await client.fetch_balance()
        client.options["fetchCurrencies"] = False
        client.has["fetchCurrencies"] = False
        with pytest.raises(ccxt.ExchangeError):
            await client.watch_orders(SYMBOL)


async def test_entry_when_at_market_then_its_answer_is_an_id_and_a_query_tells_the_fill(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await bought(client)
    assert (answer["status"], answer["clientOrderId"]) == (None, ENTRY)
    order = await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY})
    assert (order["id"], order["status"], order["filled"], order["average"]) == (answer["id"], "closed", 0.01, 50_000)
    assert order["fee"] == {"cost": 0.00001, "currency": "BTC"}
    balance = await client.fetch_balance()
    assert (balance["BTC"]["free"], balance["USDT"]["free"]) == (0.00999, 9_500)
    (fill,) = await client.fetch_my_trades(SYMBOL)
    assert (fill["order"], fill["amount"], fill["takerOrMaker"]) == (answer["id"], 0.01, "taker")
    (fill,) = (await client.private_get_trade_fills({"ordId": answer["id"]}))["data"]
    assert (fill["clOrdId"], fill["feeCcy"]) == (ENTRY, "BTC")


async def test_entry_when_the_market_is_thin_then_an_ioc_limit_fills_in_part_and_is_cancelled(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.price("50000", depth="0.004")
    parameters = {"clientOrderId": ENTRY, "timeInForce": "IOC"}
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "50100", parameters)
    order = await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY})
    assert (order["status"], order["filled"], order["timeInForce"]) == ("canceled", 0.004, "IOC")
    assert exchange.balance("USDT", kind="locked") == 0


async def test_limit_when_it_rests_then_it_is_listed_cancelled_once_and_missing_after_that(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.1", "40000", {"clientOrderId": ENTRY})
    assert exchange.balance("USDT", kind="locked") == 4_000
    assert [order["clientOrderId"] for order in await client.fetch_open_orders(SYMBOL)] == [ENTRY]
    await client.cancel_order(None, SYMBOL, {"clientOrderId": ENTRY})
    for _ in range(2):
        with pytest.raises(ccxt.OrderNotFound, match="51401"):
            await client.cancel_order(None, SYMBOL, {"clientOrderId": ENTRY})
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        await client.fetch_order(None, SYMBOL, {"clientOrderId": "nobody"})
    assert [order["status"] for order in await client.fetch_closed_orders(SYMBOL)] == []
    assert [order["status"] for order in await client.fetch_canceled_orders(SYMBOL)] == ["canceled"]


async def test_post_only_when_it_would_take_then_accepted_and_cancelled(exchange: RunningExchange, client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "50001", {"postOnly": True, "clientOrderId": ENTRY})
    order = await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY})
    assert (order["status"], order["filled"], order["info"]["cancelSource"]) == ("canceled", 0, "31")


@pytest.mark.parametrize(
    ("kind", "side", "amount", "price", "error", "code"),
    [
        ("market", "sell", "0.01", None, ccxt.InsufficientFunds, "51008"),
        ("limit", "buy", "1", "40000", ccxt.InsufficientFunds, "51008"),
        ("market", "buy", "101", None, ccxt.InvalidOrder, "51202"),
    ],
)
async def test_order_when_a_rule_is_broken_then_the_code_comes_inside_of_an_answer_with_200(
    exchange: RunningExchange,
    client: Any,
    kind: str,
    side: str,
    amount: str,
    price: str | None,
    error: type[Exception],
    code: str,
) -> None:
    with pytest.raises(error, match=code):
        await client.create_order(SYMBOL, kind, side, amount, price)
    assert client.last_http_response.startswith('{"code": "1"')
    assert exchange.orders() == []


async def test_orders_when_some_of_a_batch_are_refused_then_the_others_are_placed(
    exchange: RunningExchange, client: Any
) -> None:
    orders = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": amount, "price": 40_000}
        for amount in (0.1, 1, 0.1)
    ]
    answers = await client.create_orders(orders)
    assert [answer["status"] for answer in answers] == [None, "rejected", None]
    assert len(exchange.orders()) == 2


async def test_order_when_sent_twice_or_while_suspended_then_refused(exchange: RunningExchange, client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"clientOrderId": ENTRY})
    with pytest.raises(ccxt.InvalidOrder, match="51016"):
        await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"clientOrderId": ENTRY})
    exchange.market_status("HALT")
    with pytest.raises(ccxt.ContractUnavailable):
        await bought(client)
    assert (await client.fetch_markets())[0]["active"] is False


# Algo orders.


async def test_pair_when_placed_then_it_is_one_algo_order_and_locks_the_holding_once(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await protected(client)
    assert (answer["data"][0]["sCode"], answer["data"][0]["algoClOrdId"]) == ("0", IDS.pair)
    pair = await pair_of(client)
    assert (pair["state"], pair["slTriggerPx"], pair["tpTriggerPx"], pair["ordIdList"]) == (
        "live",
        "45000",
        "60000",
        [],
    )
    assert exchange.balance("BTC", kind="locked") == HOLDING
    calls = order_calls(traded_market_of(client, SYMBOL))
    plain, conditional, oco = [await perform(client, call) for call in calls.open_orders()]
    assert (plain, conditional) == ([], [])
    assert [order["id"] for order in oco] == [pair["algoId"]]
    with pytest.raises(ccxt.InsufficientFunds):
        await client.create_order(SYMBOL, "limit", "sell", "0.00999", "61000")
    assert exchange.uncovered()[-1].end is not None


@pytest.mark.parametrize(("price", "side", "proceeds"), [("44000", "sl", 44_000), ("61000", "tp", 61_000)])
async def test_pair_when_triggered_then_effective_is_no_fill_and_the_order_it_placed_has_an_id_of_its_own(
    exchange: RunningExchange, client: Any, price: str, side: str, proceeds: int
) -> None:
    await protected(client)
    exchange.price(price)
    pair = await pair_of(client)
    assert (pair["state"], pair["actualSide"]) == ("effective", side)
    assert client.parse_order(pair)["status"] == "closed"
    (child_id,) = pair["ordIdList"]
    child = await client.fetch_order(child_id, SYMBOL)
    assert (child["info"]["ordId"], child["id"]) == (child_id, pair["algoId"]), "ccxt calls it by the algo order's id"
    assert (child["status"], child["filled"], child["average"]) == ("closed", 0.00999, proceeds)
    assert (child["info"]["algoId"], child["info"]["algoClOrdId"]) == (pair["algoId"], IDS.pair)
    assert exchange.balance("BTC") == 0
    history = {"ordType": "oco", "state": "effective"}
    assert len((await client.private_get_trade_orders_algo_history(history))["data"]) == 1


async def test_pair_when_its_order_finds_no_buyers_then_effective_although_nothing_was_sold(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    exchange.price("44000", depth="0.002")
    pair = await pair_of(client)
    child = await client.fetch_order(pair["ordId"], SYMBOL)
    assert (pair["state"], child["status"], child["filled"]) == ("effective", "canceled", 0.002)
    assert exchange.uncovered()[-1].most == Decimal("0.00799")


async def test_pair_when_the_target_falls_back_then_sold_at_market_and_no_limit_rests_without_a_stop(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    exchange.price("60000", bid="59990", ask="60010")
    pair = await pair_of(client)
    child = await client.fetch_order(pair["ordId"], SYMBOL)
    assert (pair["actualSide"], child["status"], child["average"]) == ("tp", "closed", 59_990)
    assert exchange.uncovered()[-1].end is not None
    assert exchange.balance("BTC") == 0


async def test_pair_when_others_made_it_with_a_limit_as_target_then_that_rests_under_an_id_of_its_own(
    exchange: RunningExchange, client: Any
) -> None:
    """What a pair placed by hand, or by an earlier version, may still do."""
    await bought(client)
    call = order_calls(traded_market_of(client, SYMBOL)).protective_pair(
        IDS, Exit(HOLDING, Decimal(45_000), Decimal(60_000))
    )
    await perform(client, replace(call, arguments=({**call.arguments[0], "tpOrdPx": "60000"},)))
    exchange.price("60000", bid="59990", ask="60010")
    child = await client.fetch_order((await pair_of(client))["ordId"], SYMBOL)
    assert (child["status"], child["price"]) == ("open", 60_000)
    assert exchange.uncovered()[-1].end is None
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(child["id"], SYMBOL)
    await client.cancel_order(child["info"]["ordId"], SYMBOL)
    assert exchange.balance("BTC", kind="free") == HOLDING


async def test_pair_when_cancelled_then_gone_and_never_again(exchange: RunningExchange, client: Any) -> None:
    await protected(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.cancel(PAIR))
    assert (await pair_of(client))["state"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        await perform(client, calls.cancel(PAIR))
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        await perform(client, calls.query(SentOrder("nobody", OrderForm.PAIR, 0))[0])


async def test_stop_when_placed_then_listed_among_conditional_orders_and_sells_when_hit(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.resting_stop(IDS.stop, HOLDING, Decimal(45_000), Decimal(44_500)))
    _, conditional, _ = [await perform(client, call) for call in calls.open_orders()]
    assert [order["info"]["algoClOrdId"] for order in conditional] == [IDS.stop]
    exchange.price("43000")
    (algo,) = (await perform(client, calls.query(SentOrder(IDS.stop, OrderForm.STOP, 0))[0]))["data"]
    assert (await client.fetch_order(algo["ordId"], SYMBOL))["status"] == "open"
    exchange.price("44600")
    assert (await client.fetch_order(algo["ordId"], SYMBOL))["average"] == 44_500


@pytest.mark.parametrize(
    ("stop", "target", "code"), [("50001", "60000", "51280"), ("45000", "49999", "51279"), ("45000", "60000", "51000")]
)
async def test_pair_when_its_prices_or_the_mode_are_wrong_then_refused(
    exchange: RunningExchange, client: Any, stop: str, target: str, code: str
) -> None:
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL), okx_trade_mode="cross" if code == "51000" else "cash")
    with pytest.raises(ccxt.ExchangeError, match=code):
        await perform(client, calls.protective_pair(IDS, Exit(HOLDING, Decimal(stop), Decimal(target))))
    assert exchange.balance("BTC", kind="locked") == 0


async def test_pair_when_the_account_wants_cross_then_cash_is_refused() -> None:
    with okx_exchange(algo_modes=["cross"]) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            with pytest.raises(ccxt.BadRequest, match="tdMode"):
                await protected(client)


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
    ("empty object", faults.empty_object(executes=True), ccxt.ExchangeError, EXISTS),
    ("429 without a code", faults.too_many(), ccxt.ExchangeNotAvailable, ABSENT),
    ("503", faults.unavailable(executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("50004", faults.exchange_error("50004", executes=True), ccxt.RequestTimeout, EXISTS),
    ("50011", faults.exchange_error("50011"), ccxt.RateLimitExceeded, ABSENT),
    ("50013", faults.exchange_error("50013"), ccxt.ExchangeNotAvailable, ABSENT),
    ("50026", faults.exchange_error("50026", executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("50102", faults.exchange_error("50102"), ccxt.InvalidNonce, ABSENT),
    ("maintenance", faults.maintenance(), ccxt.OnMaintenance, ABSENT),
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
    if exists:
        assert (await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY}))["status"] == "closed"
    else:
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY})


async def test_pair_when_the_answer_is_lost_then_it_is_found_by_its_own_id(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.fault(faults.lost_answer(path="/trade/order-algo"))
    with pytest.raises(ccxt.NetworkError):
        await protected(client)
    assert (await pair_of(client))["state"] == "live"


async def test_clock_when_the_exchange_is_ahead_then_refused_until_the_difference_is_loaded(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.clock(skew=60_000)
    with pytest.raises(ccxt.InvalidNonce):
        await bought(client)
    await client.load_time_difference()
    assert (await bought(client))["id"] is not None


async def test_requests_when_too_many_in_two_seconds_then_429_until_later() -> None:
    with okx_exchange(requests_per_2s=3) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            for _ in range(3):
                await client.fetch_balance()
            with pytest.raises(ccxt.RateLimitExceeded):
                await client.fetch_balance()
            exchange.clock(skew=3_000)
            await client.fetch_balance()


# Streams.


def channel(name: str, **more: str) -> str:
    named = {"channel": name, "instId": "BTC-USDT", **more}
    return "{" + ", ".join(f'"{key}": "{named[key]}"' for key in sorted(named)) + "}"


ORDERS = channel("orders", instType="SPOT")
ALGOS = channel("orders-algo", instType="SPOT")


async def test_streams_when_a_pair_triggers_then_it_and_the_order_it_placed_are_told_on_two_connections(
    exchange: RunningExchange, client: Any
) -> None:
    await protected(client)
    plain = asyncio.create_task(client.watch_orders(SYMBOL))
    algos = asyncio.create_task(client.watch_orders(SYMBOL, params={"trigger": True}))
    trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
    await subscribed(exchange, ORDERS, ALGOS)
    await awaited(client, "orders:BTC-USDT", "orders-algo:BTC-USDT", "orders::myTrades::BTC/USDT")
    exchange.price("44000")
    (algo,) = await algos
    (trade,) = await trades
    await plain
    await eventually(lambda: client.orders[-1]["status"] == "closed")
    child = client.orders[-1]
    assert (algo["info"]["state"], algo["status"]) == ("effective", "closed")
    assert algo["info"]["ordIdList"] == [child["info"]["ordId"]]
    assert (child["info"]["algoClOrdId"], child["filled"]) == (IDS.pair, 0.00999)
    assert (trade["order"], trade["price"]) == (algo["id"], 44_000), "ccxt calls the child by its parent's id"
    paths = {each["path"] for each in exchange.streams()["connections"]}
    assert paths == {"/ws/v5/private", "/ws/v5/business"}


async def test_market_streams_when_the_price_moves_then_candles_quotes_trades_and_balances_come() -> None:
    with okx_exchange(frozen_at=BEGIN) as exchange:
        async with exchange.client() as client:
            await client.load_time_difference()
            await client.load_markets()
            first = await client.watch_ticker(SYMBOL)
            watched = (
                client.watch_ohlcv(SYMBOL, "1m"),
                client.watch_trades(SYMBOL),
                client.watch_ticker(SYMBOL),
                client.watch_bids_asks([SYMBOL]),
            )
            tasks = [asyncio.create_task(coroutine) for coroutine in watched]
            await subscribed(exchange, channel("candle1m"), channel("trades"), channel("bbo-tbt"))
            exchange.price("51000", bid="50999", ask="51001", volume="0.25")
            async with asyncio.timeout(5):
                candles, trades, ticker, _ = await asyncio.gather(*tasks)
            assert candles[-1] == [BEGIN, 51_000, 51_000, 51_000, 51_000, 0.25]
            assert (first["last"], trades[0]["price"], ticker["bid"]) == (50_000, 51_000, 50_999)


async def test_balance_stream_when_subscribed_then_a_snapshot_comes_and_each_change_after_it(
    exchange: RunningExchange, client: Any
) -> None:
    async with asyncio.timeout(5):
        client.options["timeDifference"] = 0
        assert (await client.watch_balance())["USDT"]["total"] == 10_000
        exchange.deposit("USDT", "500")
        assert (await client.watch_balance())["USDT"]["total"] == 10_500


async def test_user_stream_when_closed_then_it_comes_back_and_fills_of_the_gap_never_do(
    exchange: RunningExchange, client: Any
) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "49000", {"clientOrderId": "gap"})
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, ORDERS)
    exchange.close_streams(1001)
    with pytest.raises(ccxt.NetworkError):
        await watching
    exchange.price("48000")
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, ORDERS)
    await bought(client)
    async with asyncio.timeout(5):
        assert {order["clientOrderId"] for order in await watching} == {ENTRY}


async def test_user_stream_when_silent_then_text_pings_are_answered_and_no_event_comes(
    exchange: RunningExchange,
) -> None:
    async with exchange.client(streaming={"keepAlive": 500, "maxPingPongMisses": 3}) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        await subscribed(exchange, ORDERS)
        exchange.stream_faults(silent=True, channel="^orders$")
        await bought(client)
        await asyncio.sleep(2)
        assert not watching.done()
        await eventually(lambda: exchange.streams()["lost"] == 2)
        exchange.stream_faults(deaf=True)
        async with asyncio.timeout(10):
            with pytest.raises(ccxt.RequestTimeout):
                await watching
