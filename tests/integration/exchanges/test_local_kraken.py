"""Unmodified ccxt and ccxt.pro on the local Kraken: what the exchange does, and what ccxt makes of its faults."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
from tests.local_exchanges import fault_rules as faults
from tests.local_exchanges.calls import eventually, perform, subscribed, traded_market_of
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.kraken import kraken_exchange
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.unified_calls import OrderForm, SentOrder

SYMBOL = "BTC/USDT"
BEGIN = 1_735_689_600_000
ADD = "/0/private/AddOrder$"
ENTRY, STOP, EXIT = "abcdefgh234567e001", "abcdefgh234567s001", "abcdefgh234567x001"
AMOUNT = Decimal("0.01")
UUID = "6d1b345e-2821-40e2-ad83-4ecb18a06876"
GOLDEN = Path(__file__).parent / "golden" / "kraken.json"


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    accounts = {"alice": {"USDT": "10000"}, "bob": {"USDT": "0.2"}}
    with kraken_exchange(seed=1, accounts=accounts, counter_limit=200) as running:
        yield running


@pytest.fixture
async def client(exchange: RunningExchange) -> AsyncIterator[Any]:
    async with exchange.client() as made:
        await made.load_markets()
        yield made


async def bought(client: Any, amount: str = "0.01", client_id: str = ENTRY) -> Any:
    return await client.create_order(SYMBOL, "market", "buy", amount, None, {"clientOrderId": client_id})


async def resting(client: Any, price: str = "40000", client_id: str = ENTRY) -> Any:
    return await client.create_order(SYMBOL, "limit", "buy", "0.01", price, {"clientOrderId": client_id})


async def stopped(client: Any, stop: str = "45000", limit: str | None = None) -> Any:
    """A holding of 0.01 with a stop under it."""
    await bought(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    worst = None if limit is None else Decimal(limit)
    return await perform(client, calls.resting_stop(STOP, AMOUNT, Decimal(stop), worst))


async def asked(client: Any, client_id: str) -> list[Any]:
    """As our gateway asks what became of an order."""
    calls = order_calls(traded_market_of(client, SYMBOL)).query(SentOrder(client_id, OrderForm.PLAIN, 0))
    return [order for call in calls for order in await perform(client, call)]


async def the_order(client: Any, client_id: str) -> Any:
    (order,) = await asked(client, client_id)
    return order


# Reading.


async def test_markets_when_loaded_then_names_steps_and_minimums_are_what_ccxt_reads() -> None:
    with kraken_exchange(markets={"BTC/USDT": {}, "ETH/USD": {"last": "3000"}}) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            market = client.market(SYMBOL)
            assert (market["id"], market["info"]["wsname"], client.market("ETH/USD")["id"]) == (
                "XBTUSDT",
                "XBT/USDT",
                "XETHZUSD",
            )
            assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 1e-8)
            assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.00005, 0.5)
            assert (market["maker"], market["taker"], market["active"]) == (0.0025, 0.004, True)
            assert client.currency("BTC")["id"] == "XXBT"
            assert (await client.fetch_status())["status"] == "ok"
            assert (await client.fetch_trading_fee(SYMBOL))["taker"] == 0.004
            assert abs(await client.fetch_time() - exchange.clock()) < 5_000


async def test_candles_when_asked_since_a_time_then_never_older_than_the_latest_720() -> None:
    with kraken_exchange(frozen_at=BEGIN) as exchange:
        exchange.history([[BEGIN - n * MINUTE, 100, 103, 99, 101, 2] for n in range(1_000, 0, -1)])
        exchange.candle("101", "105", volume="4")
        exchange.clock(advance=MINUTE)
        exchange.price("106", bid="105.5", ask="106.5", volume="1")
        async with exchange.client() as client:
            old = await client.fetch_ohlcv(SYMBOL, "1m", since=BEGIN - 1_000 * MINUTE)
            some = await client.fetch_ohlcv(SYMBOL, "1m", since=BEGIN)
            five = await client.fetch_ohlcv(SYMBOL, "5m")
            raw = await client.public_get_ohlc({"pair": "XBTUSDT", "interval": "1", "since": str(BEGIN // 1000)})
            ticker = await client.fetch_ticker(SYMBOL)
            trades = await client.fetch_trades(SYMBOL)
            book = await client.fetch_order_book(SYMBOL)
    assert (len(old), old[0][0]) == (720, BEGIN - 717 * MINUTE)
    assert some == [
        [BEGIN, 101, 105, 101, 105, 4],
        [BEGIN + MINUTE, 105, 105, 105, 105, 0],
        [BEGIN + 2 * MINUTE, 106, 106, 106, 106, 1],
    ]
    rows = raw["result"]["XBTUSDT"]
    assert (rows[0][0], raw["result"]["last"]) == ((BEGIN + MINUTE) // 1000, (BEGIN + MINUTE) // 1000)
    assert five[-1] == [BEGIN, 101, 106, 101, 106, 5]
    assert (ticker["last"], ticker["bid"], ticker["ask"], ticker["high"]) == (106, 105.5, 106.5, 106)
    assert (trades[-1]["price"], book["bids"][0][0]) == (106, 105.5)


async def test_keys_when_wrong_then_the_request_is_refused(exchange: RunningExchange) -> None:
    async with exchange.client(apiKey="nobody") as client:
        with pytest.raises(ccxt.AuthenticationError, match="EAPI:Invalid key"):
            await client.fetch_balance()
    async with exchange.client(secret="Z3Vlc3NlZA==") as client:
        with pytest.raises(ccxt.ExchangeError, match="EAPI:Invalid signature"):
            await client.fetch_balance()


async def test_key_when_its_rights_change_then_it_is_told_and_what_it_may_not_is_refused(
    exchange: RunningExchange, client: Any
) -> None:
    told = (await client.private_post_getapikeyinfo())["result"]
    assert "modify-trades" in told["permissions"]
    assert "withdraw-funds" not in told["permissions"]
    exchange.venue("permissions", account="alice", permissions=["query-funds", "withdraw-funds"])
    assert (await client.private_post_getapikeyinfo())["result"]["permissions"] == ["query-funds", "withdraw-funds"]
    with pytest.raises(ccxt.PermissionDenied):
        await bought(client)
    await client.fetch_balance()


async def test_nonce_when_not_above_the_last_one_then_refused_and_nothing_happens(
    exchange: RunningExchange, client: Any
) -> None:
    await client.fetch_balance()
    async with exchange.client(options={"timeDifference": 3_600_000}) as behind:
        await behind.load_markets()
        with pytest.raises(ccxt.InvalidNonce, match="EAPI:Invalid nonce"):
            await bought(behind)
    assert exchange.orders() == []
    async with exchange.client("bob", options={"timeDifference": 3_600_000}) as other:
        await other.fetch_balance()


async def test_counter_when_used_up_then_refused_until_it_has_decayed_and_orders_are_not_counted() -> None:
    with kraken_exchange(counter_limit=5, counter_decay=1) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            await client.fetch_my_trades(SYMBOL)
            await client.fetch_my_trades(SYMBOL)
            with pytest.raises(ccxt.DDoSProtection, match="EAPI:Rate limit exceeded"):
                await client.fetch_my_trades(SYMBOL)
            await bought(client)
            await asyncio.sleep(2.5)
            await client.fetch_balance()
        assert len(exchange.fills()) == 1


async def test_engine_when_orders_are_cancelled_at_once_too_often_then_refused_by_its_own_counter() -> None:
    with kraken_exchange(order_limit=17, order_decay=0) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            for number in range(2):
                await resting(client, client_id=f"early{number}")
                await client.cancel_order(None, SYMBOL, {"clientOrderId": f"early{number}"})
            with pytest.raises(ccxt.DDoSProtection, match="EOrder:Rate limit exceeded"):
                await resting(client)
        assert len(exchange.orders()) == 2


# Orders.


async def test_entry_when_at_market_then_its_answer_is_an_id_and_the_fee_is_paid_in_the_quote(
    exchange: RunningExchange, client: Any
) -> None:
    order = await bought(client)
    assert (order["id"][0], order["status"], order["filled"]) == ("O", None, None)
    found = await the_order(client, ENTRY)
    assert (found["id"], found["status"], found["filled"], found["average"]) == (order["id"], "closed", 0.01, 50_000)
    assert (found["clientOrderId"], found["fee"]["currency"], float(found["fee"]["cost"])) == (ENTRY, "USDT", 2)
    balance = await client.fetch_balance()
    assert (balance["BTC"]["free"], balance["USDT"]["free"]) == (0.01, 9_498)
    (fill,) = await client.fetch_my_trades(SYMBOL)
    assert (fill["order"], fill["amount"], fill["price"], fill["takerOrMaker"]) == (order["id"], 0.01, 50_000, "taker")
    assert (fill["fee"]["cost"], fill["fee"]["currency"]) == (2, "USDT")
    by_id = await client.fetch_order(order["id"])
    assert [each["id"] for each in by_id["trades"]] == [fill["id"]]
    again = await client.fetch_order_trades(order["id"], SYMBOL, None, None, {"trades": by_id["trades"]})
    assert [each["amount"] for each in again] == [0.01]


async def test_entry_when_the_market_is_thin_then_an_ioc_limit_fills_in_part_and_the_rest_is_cancelled(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.price("50000", depth="0.004", largest_trade="0.003")
    parameters = {"clientOrderId": ENTRY, "timeInForce": "IOC"}
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "50100", parameters)
    order = await the_order(client, ENTRY)
    assert (order["status"], order["filled"], order["remaining"]) == ("canceled", 0.004, 0.006)
    trades = await client.fetch_my_trades(SYMBOL)
    assert sorted(each["amount"] for each in trades) == [0.001, 0.003]
    assert exchange.balance("USDT", kind="locked") == 0


async def test_limit_when_it_rests_then_funds_and_fee_are_locked_and_it_is_cancelled_by_either_id(
    exchange: RunningExchange, client: Any
) -> None:
    first = await resting(client)
    await resting(client, client_id=UUID)
    assert (await client.fetch_balance())["USDT"] == {"free": 9_196.8, "used": 803.2, "total": 10_000}
    assert {each["clientOrderId"] for each in await client.fetch_open_orders(SYMBOL)} == {ENTRY, UUID}
    await client.cancel_order(first["id"], SYMBOL)
    await client.cancel_order(None, SYMBOL, {"clientOrderId": UUID})
    for client_id in (ENTRY, UUID):
        order = await the_order(client, client_id)
        assert (order["status"], order["info"]["reason"]) == ("canceled", "User requested")
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(None, SYMBOL, {"clientOrderId": client_id})
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order(first["id"], SYMBOL)
    assert exchange.balance("USDT", kind="free") == 10_000


async def test_limit_when_the_price_comes_in_parts_then_it_fills_at_its_own_price_as_a_maker(
    exchange: RunningExchange, client: Any
) -> None:
    await resting(client)
    exchange.price("39000", depth="0.004")
    order = await the_order(client, ENTRY)
    assert (order["status"], order["filled"], order["average"]) == ("open", 0.004, 40_000)
    exchange.price("39500")
    order = await the_order(client, ENTRY)
    assert (order["status"], order["filled"], float(order["fee"]["cost"])) == ("closed", 0.01, 1)
    assert [each["takerOrMaker"] for each in await client.fetch_my_trades(SYMBOL)] == ["maker", "maker"]


async def test_orders_when_cancelled_all_by_reference_or_in_a_batch_then_counted(
    exchange: RunningExchange, client: Any
) -> None:
    for price in ("40000", "41000", "42000"):
        await client.create_order(SYMBOL, "limit", "buy", "0.001", price, {"userref": 7})
    assert len(await client.fetch_open_orders(SYMBOL, None, None, {"userref": 7})) == 3
    assert len(await client.fetch_open_orders(SYMBOL, None, None, {"userref": 8})) == 0
    one = await client.create_order(SYMBOL, "limit", "buy", "0.001", "43000")
    (batch,) = await client.cancel_orders([one["id"], "OAAAAA-AAAAA-AAAAAA"])
    assert batch["info"]["result"]["count"] == 1
    assert (await client.cancel_order("7", SYMBOL))["info"]["result"]["count"] == 3
    await resting(client)
    await client.cancel_all_orders()
    assert exchange.orders(open_only=True) == []
    assert (await client.cancel_all_orders())[0]["info"]["result"]["count"] == 0


async def test_order_when_only_validated_then_rules_are_checked_and_nothing_is_placed(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await client.create_order(SYMBOL, "limit", "buy", "0.01", "40000", {"validate": True})
    assert (answer["id"], answer["info"]["descr"]["order"]) == (None, "buy 0.01000000 XBTUSDT @ limit 40000.00")
    with pytest.raises(ccxt.InvalidOrder, match="Order minimum not met"):
        await client.create_order(SYMBOL, "limit", "buy", "0.00004", "40000", {"validate": True})
    assert exchange.orders() == []


async def test_order_when_amended_then_it_keeps_its_ids_and_locks_what_its_new_terms_need(
    exchange: RunningExchange, client: Any
) -> None:
    order = await resting(client)
    await client.edit_order(order["id"], SYMBOL, "limit", "buy", "0.02", "41000")
    found = await the_order(client, ENTRY)
    assert (found["id"], found["amount"], found["price"]) == (order["id"], 0.02, 41_000)
    assert exchange.balance("USDT", kind="locked") == Decimal("823.28")
    with pytest.raises(ccxt.InsufficientFunds):
        await client.edit_order(order["id"], SYMBOL, "limit", "buy", "1", "41000")
    assert (await the_order(client, ENTRY))["amount"] == 0.02
    await client.edit_order(None, SYMBOL, "limit", "buy", "0.005", None, {"clientOrderId": ENTRY})
    assert exchange.balance("USDT", kind="locked") == Decimal("205.82")
    exchange.price("40000")
    assert exchange.balance("BTC") == Decimal("0.005")
    assert exchange.balance("USDT", kind="locked") == 0


@pytest.mark.parametrize(
    ("kind", "side", "amount", "price", "parameters", "error", "told"),
    [
        ("limit", "buy", "0.00004", "40000", {}, ccxt.InvalidOrder, "EOrder:Order minimum not met"),
        ("limit", "buy", "0.00005", "9000", {}, ccxt.ExchangeError, "EOrder:Cost minimum not met"),
        ("limit", "buy", "0.3", "40000", {}, ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
        ("market", "sell", "0.01", None, {}, ccxt.InsufficientFunds, "EOrder:Insufficient funds"),
        ("limit", "buy", "0.01", "2000000", {}, ccxt.ExchangeError, "EOrder:Invalid price"),
        ("limit", "buy", "0.01", "40000", {"cl_ord_id": "x" * 19}, ccxt.ExchangeError, "EGeneral:Invalid arguments"),
        (
            "limit",
            "buy",
            "0.01",
            "40000",
            {"cl_ord_id": "a", "userref": 1},
            ccxt.ExchangeError,
            "EGeneral:Invalid arguments",
        ),
        ("limit", "buy", "0.01", "40000", {"userref": "text"}, ccxt.ExchangeError, "EGeneral:Invalid arguments"),
        ("limit", "buy", "0.01", "40000", {"timeInForce": "FOK"}, ccxt.ExchangeError, "EGeneral:Invalid arguments"),
        ("nonsense", "buy", "0.01", None, {}, ccxt.ExchangeError, "EGeneral:Invalid arguments"),
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


async def test_price_when_between_the_ticks_then_refused_with_the_decimals_that_are_allowed(client: Any) -> None:
    order = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "40000.001"}
    with pytest.raises(ccxt.ExchangeError, match="price can only be specified up to 2 decimals"):
        await client.private_post_addorder(order)
    with pytest.raises(ccxt.InvalidOrder, match="EGeneral:Invalid arguments:price"):
        await client.private_post_addorder({**order, "price": ""})
    with pytest.raises(ccxt.ExchangeError, match="EQuery:Unknown asset pair"):
        await client.private_post_addorder({**order, "pair": "NONSENSE"})


@pytest.mark.parametrize("client_id", [ENTRY, "a", UUID, UUID.replace("-", ""), "x" * 18])
async def test_client_id_when_used_twice_then_refused_while_open_and_taken_again_after_that(
    exchange: RunningExchange, client: Any, client_id: str
) -> None:
    await resting(client, client_id=client_id)
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Duplicate order") as caught:
        await resting(client, client_id=client_id)
    assert type(caught.value) is ccxt.ExchangeError
    exchange.price("39000")
    await resting(client, "38000", client_id)
    assert len(exchange.fills()) == 1
    assert sorted(order["status"] for order in await asked(client, client_id)) == ["closed", "open"]


async def test_post_only_when_it_would_take_then_accepted_and_cancelled(client: Any) -> None:
    await client.create_order(SYMBOL, "limit", "buy", "0.01", "50001", {"clientOrderId": ENTRY, "postOnly": True})
    order = await the_order(client, ENTRY)
    assert (order["status"], order["filled"], order["info"]["reason"]) == ("canceled", 0, "Post only order")


async def test_query_when_by_client_id_on_fetch_order_then_ccxt_asks_for_a_reference_that_is_none(client: Any) -> None:
    await resting(client)
    with pytest.raises(ccxt.InvalidOrder, match="EOrder:Invalid order"):
        await client.fetch_order(None, SYMBOL, {"clientOrderId": ENTRY})
    with pytest.raises(ccxt.InvalidOrder, match="EOrder:Unknown order"):
        await client.fetch_order("OAAAAA-AAAAA-AAAAAA", SYMBOL)


async def test_history_when_long_then_it_comes_in_pages_of_fifty_newest_first() -> None:
    with kraken_exchange(frozen_at=BEGIN, order_limit=1_000, counter_limit=100) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            for number in range(60):
                exchange.clock(advance=1_000)
                await bought(client, "0.0001", f"buy{number}")
            newest = await client.fetch_my_trades(SYMBOL)
            older = await client.fetch_my_trades(SYMBOL, None, None, {"ofs": 50})
            late = await client.fetch_my_trades(SYMBOL, BEGIN + 50_000)
            closed = await client.fetch_closed_orders(SYMBOL)
    assert (len(newest), len(older), len(late), len(closed)) == (50, 10, 10, 50)
    assert older[-1]["timestamp"] < newest[0]["timestamp"]


# Stops: no pairs, and every order locks what it sells.


async def test_stop_when_it_rests_then_a_second_sell_of_the_same_coins_is_refused(
    exchange: RunningExchange, client: Any
) -> None:
    answer = await stopped(client)
    assert answer["result"]["descr"]["order"] == "sell 0.01000000 XBTUSDT @ stop loss 45000.00"
    assert (await client.fetch_balance())["BTC"] == {"free": 0, "used": 0.01, "total": 0.01}
    calls = order_calls(traded_market_of(client, SYMBOL))
    for call in (
        calls.target_exit(EXIT, AMOUNT, Decimal(60_000)),
        calls.market_exit(EXIT, AMOUNT),
        calls.resting_stop(EXIT, AMOUNT, Decimal(44_000)),
    ):
        with pytest.raises(ccxt.InsufficientFunds):
            await perform(client, call)
    (order,) = [each for each in await client.fetch_open_orders(SYMBOL) if each["clientOrderId"] == STOP]
    assert (order["stopLossPrice"], order["type"], order["amount"]) == (45_000, "market", 0.01)
    assert exchange.uncovered()[-1].end is not None


async def test_stop_when_the_price_falls_then_it_sells_at_market_and_says_that_it_was_stopped(
    exchange: RunningExchange, client: Any
) -> None:
    await stopped(client)
    exchange.price("44000", largest_trade="0.006")
    order = await the_order(client, STOP)
    assert (order["status"], order["average"], order["filled"]) == ("closed", 44_000, 0.01)
    assert order["info"]["misc"] == "stopped"
    assert exchange.balance("BTC") == 0
    assert sorted(each["amount"] for each in await client.fetch_my_trades(SYMBOL))[:2] == [0.004, 0.006]


async def test_stop_when_cancelled_then_the_coins_can_be_sold_and_it_says_canceled(
    exchange: RunningExchange, client: Any
) -> None:
    await stopped(client)
    calls = order_calls(traded_market_of(client, SYMBOL))
    await perform(client, calls.cancel(SentOrder(STOP, OrderForm.STOP, 0)))
    await perform(client, calls.market_exit(EXIT, AMOUNT))
    assert [(await the_order(client, each))["status"] for each in (STOP, EXIT)] == ["canceled", "closed"]
    assert exchange.balance("BTC") == 0


async def test_stop_limit_when_the_price_gaps_through_then_it_rests_unfilled(
    exchange: RunningExchange, client: Any
) -> None:
    await stopped(client, "45000", "44500")
    exchange.price("43000")
    order = await the_order(client, STOP)
    assert (order["status"], order["filled"], order["info"]["misc"]) == ("open", 0, "stopped")
    assert (order["stopLossPrice"], order["price"]) == (45_000, 44_500)
    assert exchange.uncovered()[-1].end is None
    exchange.price("44600")
    assert (await the_order(client, STOP))["status"] == "closed"


async def test_stop_when_on_the_wrong_side_then_it_sells_at_once(exchange: RunningExchange, client: Any) -> None:
    await stopped(client, "51000")
    assert (await the_order(client, STOP))["status"] == "closed"
    assert exchange.balance("BTC") == 0


async def test_take_profit_when_the_price_rises_then_it_sells_and_says_that_it_was_touched(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    parameters = {"clientOrderId": EXIT, "takeProfitPrice": "60000"}
    await client.create_order(SYMBOL, "market", "sell", "0.01", None, parameters)
    exchange.price("61000")
    order = await the_order(client, EXIT)
    assert (order["status"], order["average"], order["info"]["misc"]) == ("closed", 61_000, "touched")


async def test_order_when_its_trigger_has_a_name_that_nobody_reads_then_it_is_a_plain_market_order(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    parameters = {"clientOrderId": EXIT, "triggerPrice": "45000"}
    await client.create_order(SYMBOL, "market", "sell", "0.01", None, parameters)
    assert (await the_order(client, EXIT))["status"] == "closed"


async def test_recorded_calls_when_sent_as_they_are_then_every_order_is_taken(
    exchange: RunningExchange, client: Any
) -> None:
    acts = json.loads(GOLDEN.read_text())["acts"]
    exchange.deposit("BTC", "1")
    for calls in acts.values():
        for recorded in (each for each in calls if isinstance(each, dict) and "path" in each):
            if recorded["path"].endswith("AddOrder"):
                sent = {name: value for name, value in recorded["sent"].items() if name != "nonce"}
                answer = await client.private_post_addorder(sent)
                assert answer["result"]["txid"]
                await client.cancel_all_orders()


async def test_market_when_it_only_cancels_then_orders_are_refused_and_nothing_triggers(
    exchange: RunningExchange, client: Any
) -> None:
    await stopped(client)
    exchange.market_status("CANCEL_ONLY")
    with pytest.raises(ccxt.OnMaintenance, match="cancel_only"):
        await resting(client)
    exchange.price("44000")
    assert (await the_order(client, STOP))["status"] == "open"
    assert (await client.fetch_markets())[0]["active"] is False
    exchange.market_status("TRADING")
    assert (await the_order(client, STOP))["status"] == "closed"
    exchange.venue("system", status="maintenance")
    assert (await client.fetch_status())["status"] == "maintenance"
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await resting(client)


async def test_accounts_when_two_trade_then_neither_sees_the_other(exchange: RunningExchange, client: Any) -> None:
    order = await bought(client)
    async with exchange.client("bob") as other:
        await other.load_markets()
        assert await asked(other, ENTRY) == []
        assert await other.fetch_my_trades(SYMBOL) == []
        with pytest.raises(ccxt.InvalidOrder):
            await other.fetch_order(order["id"])
        with pytest.raises(ccxt.InsufficientFunds):
            await bought(other)


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
    ("429", faults.too_many(), ccxt.RateLimitExceeded, ABSENT),
    ("503", faults.unavailable(executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("502, not executed", faults.unavailable(status=502), ccxt.ExchangeNotAvailable, ABSENT),
    ("520", faults.unavailable(status=520, executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("403 of a firewall", faults.unavailable(status=403), ccxt.ExchangeNotAvailable, ABSENT),
    ("busy", faults.exchange_error("EService:Busy"), ccxt.ExchangeNotAvailable, ABSENT),
    ("unavailable", faults.exchange_error("EService:Unavailable", executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("internal", faults.exchange_error("EGeneral:Internal error", executes=True), ccxt.ExchangeNotAvailable, EXISTS),
    ("deadline", faults.exchange_error("EService:Deadline elapsed", executes=True), ccxt.ExchangeError, EXISTS),
    ("nonce", faults.exchange_error("EAPI:Invalid nonce"), ccxt.InvalidNonce, ABSENT),
    ("counter", faults.exchange_error("EAPI:Rate limit exceeded"), ccxt.DDoSProtection, ABSENT),
    ("lockout", faults.exchange_error("EGeneral:Temporary lockout"), ccxt.DDoSProtection, ABSENT),
    ("maintenance", faults.maintenance(), ccxt.ExchangeNotAvailable, ABSENT),
    ("half of the JSON", faults.cut_json(), None, EXISTS),
    ("HTML", faults.html(executes=True), None, EXISTS),
    ("empty body", faults.empty(executes=True), None, EXISTS),
    ("empty object", faults.empty_object(executes=True), None, EXISTS),
]


@pytest.mark.parametrize(("rule", "raised", "exists"), [pytest.param(*case[1:], id=case[0]) for case in OUTCOMES])
async def test_order_when_a_fault_strikes_then_ccxt_says_this_and_a_query_tells_the_truth(
    exchange: RunningExchange, client: Any, rule: FaultRule, raised: type[Exception] | None, exists: bool
) -> None:
    client.timeout = 1_000
    rule.method, rule.path, rule.times = "POST", ADD, 1
    struck = exchange.fault(rule)
    if raised is None:
        assert (await bought(client))["id"] is None
    else:
        with pytest.raises(raised) as caught:
            await bought(client)
        if raised is ccxt.ExchangeError:
            assert type(caught.value) is ccxt.ExchangeError
    assert exchange.fault_hits(struck) == 1
    client.timeout = 10_000
    assert [order["status"] for order in await asked(client, ENTRY)] == (["closed"] if exists else [])
    assert len(exchange.fills()) == exists


# Streams.


async def test_candle_stream_when_trades_are_printed_then_told_and_the_end_of_a_minute_is_not() -> None:
    with kraken_exchange(frozen_at=BEGIN) as exchange:
        async with exchange.client() as client:
            await client.load_markets()
            watching = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1m"))
            await subscribed(exchange, f"ohlc@{SYMBOL}@1")
            exchange.candle("100", "104", "98", "101", volume="4")
            rows = await watching
            while rows[-1][4] != 101:
                rows = await client.watch_ohlcv(SYMBOL, "1m")
            assert rows[-1] == [BEGIN, 100, 104, 98, 101, 4]
            watching = asyncio.create_task(client.watch_ohlcv(SYMBOL, "1m"))
            exchange.clock(advance=3 * MINUTE)
            await asyncio.sleep(0.3)
            assert not watching.done()
            exchange.price("102", volume="1")
            assert (await watching)[-1] == [BEGIN + 4 * MINUTE, 102, 102, 102, 102, 1]


async def test_market_streams_when_the_price_moves_then_quotes_trades_and_tickers_come(
    exchange: RunningExchange, client: Any
) -> None:
    first = await client.watch_ticker(SYMBOL)
    assert first["last"] == 50_000
    tasks = [asyncio.create_task(each) for each in (client.watch_trades(SYMBOL), client.watch_ticker(SYMBOL))]
    await subscribed(exchange, f"trade@{SYMBOL}", f"ticker@{SYMBOL}")
    exchange.price("51000", bid="50999", ask="51001", volume="0.25")
    async with asyncio.timeout(5):
        trades, ticker = await asyncio.gather(*tasks)
    assert (trades[0]["price"], trades[0]["amount"]) == (51_000, 0.25)
    assert (ticker["bid"], ticker["ask"], ticker["last"]) == (50_999, 51_001, 51_000)
    book = await client.watch_order_book(SYMBOL)
    assert (book["bids"][0][0], book["asks"][0][0]) == (50_999, 51_001)


async def test_order_stream_when_an_order_lives_then_only_its_first_message_names_its_market(
    exchange: RunningExchange, client: Any
) -> None:
    heard = overheard(client)
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "executions")
    await resting(client)
    async with asyncio.timeout(5):
        (first,) = await watching
    assert (first["status"], first["symbol"], first["price"]) == ("open", SYMBOL, 40_000)
    assert (first["clientOrderId"], first["info"]["cl_ord_id"]) == (None, ENTRY)
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await client.edit_order(first["id"], SYMBOL, "limit", "buy", "0.02", "41000")
    await client.cancel_order(None, SYMBOL, {"clientOrderId": ENTRY})
    kinds = ["pending_new", "new", "amended", "canceled"]
    await eventually(lambda: [report["exec_type"] for report in heard] == kinds)
    assert not watching.done()
    assert ["symbol" in report for report in heard] == [True, False, False, False]
    assert (heard[2]["order_qty"], heard[2]["limit_price"], heard[2]["order_status"]) == (0.02, 41_000, "new")
    assert {report["cl_ord_id"] for report in heard} == {ENTRY}
    watching.cancel()


async def test_order_stream_when_no_market_is_named_then_every_message_is_heard_without_its_terms(
    exchange: RunningExchange, client: Any
) -> None:
    order = await resting(client)
    async with asyncio.timeout(5):
        await client.watch_orders()
        await client.cancel_order(None, SYMBOL, {"clientOrderId": ENTRY})
        (heard,) = await client.watch_orders()
    assert (heard["id"], heard["status"], heard["info"]["cl_ord_id"]) == (order["id"], "canceled", ENTRY)
    assert (heard["symbol"], heard["side"], heard["filled"], heard["info"]["cum_qty"]) == (None, None, None, 0)


async def test_user_stream_when_a_stop_triggers_then_trigger_trades_and_end_are_told_in_order(
    exchange: RunningExchange, client: Any
) -> None:
    await stopped(client)
    heard = overheard(client)
    trades = asyncio.create_task(client.watch_my_trades(SYMBOL))
    await subscribed(exchange, "executions")
    async with asyncio.timeout(5):
        snapshot = await client.watch_balance()
        assert (snapshot["BTC"]["total"], snapshot["BTC"]["used"]) == (0.01, None)
    balance = asyncio.create_task(client.watch_balance())
    exchange.price("44000", largest_trade="0.006")
    async with asyncio.timeout(5):
        await trades
        await balance
    await eventually(lambda: heard[-1]["exec_type"] == "filled")
    told = [(report["exec_type"], report["order_status"]) for report in heard if report.get("cl_ord_id") == STOP]
    partial = ("trade", "partially_filled")
    assert told == [("new", "new"), ("status", "new"), partial, partial, ("filled", "filled")]
    assert (heard[-1]["cum_qty"], heard[-1]["avg_price"]) == (0.01, 44_000)
    fills = [report for report in heard if report["exec_type"] == "trade"][-2:]
    assert [(fill["last_qty"], fill["fees"][0]["asset"]) for fill in fills] == [(0.006, "USDT"), (0.004, "USDT")]
    by_query = {each["id"] for each in await client.fetch_my_trades(SYMBOL)}
    assert {fill["exec_id"] for fill in fills} <= by_query


def overheard(client: Any) -> list[dict[str, Any]]:
    """What comes on ``executions`` from now on, as it comes."""
    heard: list[dict[str, Any]] = []
    original = client.handle_message

    def listening(connection: Any, message: Any) -> None:
        if message.get("channel") == "executions":
            heard.extend(message["data"])
        original(connection, message)

    client.handle_message = listening
    return heard


async def test_user_stream_when_closed_then_it_comes_back_with_open_orders_and_never_with_fills_of_the_gap(
    exchange: RunningExchange, client: Any
) -> None:
    await resting(client, "49000", "gap")
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "executions")
    assert [order["info"]["cl_ord_id"] for order in await watching] == ["gap"]
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await asyncio.sleep(0)
    assert exchange.close_streams(1001, path="ws-auth") == 1
    with pytest.raises(ccxt.NetworkError):
        await watching
    exchange.price("48000")
    heard = overheard(client)
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "executions")
    await resting(client, "40000", "after")
    async with asyncio.timeout(5):
        await watching
    assert {report["cl_ord_id"] for report in heard} == {"after"}
    assert (await the_order(client, "gap"))["status"] == "closed"


async def test_user_stream_when_trades_are_in_its_snapshot_then_fills_of_the_gap_are_told_again(
    exchange: RunningExchange, client: Any
) -> None:
    await bought(client)
    async with asyncio.timeout(5):
        (trade,) = await client.watch_my_trades(SYMBOL, None, None, {"snap_orders": False})
    assert (trade["amount"], trade["order"]) == (0.01, (await the_order(client, ENTRY))["id"])


async def test_token_when_expired_then_ccxt_is_refused_and_waits_without_a_word(
    exchange: RunningExchange, client: Any
) -> None:
    await client.authenticate()
    exchange.venue("expire_tokens")
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await eventually(lambda: bool(exchange.streams()["connections"]))
    await asyncio.sleep(0.5)
    assert not watching.done()
    assert exchange.streams()["connections"][0]["wanted"] == []
    watching.cancel()


async def test_user_stream_when_silent_then_pings_and_heartbeats_go_on_and_no_event_comes(
    exchange: RunningExchange,
) -> None:
    async with exchange.client(streaming={"keepAlive": 500, "maxPingPongMisses": 2}) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        beats: list[Any] = []
        original = client.handle_message

        def listening(connection: Any, message: Any) -> None:
            beats.append(message)
            original(connection, message)

        client.handle_message = listening
        await subscribed(exchange, "executions")
        exchange.stream_faults(silent=True)
        await bought(client)
        await asyncio.sleep(2.5)
        assert not watching.done()
        assert exchange.streams()["lost"] == 4
        assert {"heartbeat", "pong"} <= {each.get("channel", each.get("method")) for each in beats}
        exchange.stream_faults()
        await bought(client, client_id="second")
        async with asyncio.timeout(5):
            assert [order["info"]["cl_ord_id"] for order in await watching] == ["second"]


async def test_user_stream_when_half_open_then_ccxt_notices_by_its_own_pings(exchange: RunningExchange) -> None:
    async with exchange.client(streaming={"keepAlive": 200, "maxPingPongMisses": 2}) as client:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_orders(SYMBOL))
        await subscribed(exchange, "executions")
        exchange.stream_faults(deaf=True)
        async with asyncio.timeout(10):
            with pytest.raises(ccxt.RequestTimeout):
                await watching


async def test_streams_when_refused_or_cut_then_watching_fails_as_a_network_error(
    exchange: RunningExchange, client: Any
) -> None:
    exchange.stream_faults(refusing=True)
    with pytest.raises(ccxt.NetworkError):
        await client.watch_orders(SYMBOL)
    exchange.stream_faults()
    watching = asyncio.create_task(client.watch_orders(SYMBOL))
    await subscribed(exchange, "executions")
    assert exchange.cut_streams() == 1
    with pytest.raises(ccxt.NetworkError):
        await watching


async def test_orders_when_sent_over_the_websocket_then_placed_amended_and_cancelled(
    exchange: RunningExchange, client: Any
) -> None:
    async with asyncio.timeout(10):
        order = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 40_000, {"clientOrderId": ENTRY})
        await client.edit_order_ws(order["id"], SYMBOL, "limit", "buy", 0.02, 41_000)
        found = await the_order(client, ENTRY)
        assert (found["id"], found["amount"], found["price"]) == (order["id"], 0.02, 41_000)
        with pytest.raises(ccxt.ExchangeError, match="EOrder:Insufficient funds"):
            await client.create_order_ws(SYMBOL, "market", "sell", 0.01)
        await client.cancel_order_ws(order["id"])
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order_ws(order["id"])
    assert (await the_order(client, ENTRY))["status"] == "canceled"
