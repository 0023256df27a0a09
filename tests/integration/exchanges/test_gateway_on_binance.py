"""The gateway on a local Binance under unmodified ccxt: what goes wrong in life, each with what must come of it."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.exchanges.trading_desk import Desk, desk_on, fills_in, kinds, name
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.fault_rules import (
    FaultRule,
    answers,
    cut_chunks,
    cut_json,
    empty,
    empty_object,
    exchange_error,
    hangs,
    html,
    lost_answer,
    lost_request,
    maintenance,
    slow_answer,
    too_many,
    truncated,
    unavailable,
)
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.client_ids import IdRole
from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderFilled, OrderInDoubt, OrderRejected, PriceSeen
from tradepulse.domain.orders import OrderRole, OrderStatus
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges import ccxt_gateway, user_stream

ORDER, PAIR = {"path": r"/api/v3/order$", "method": "POST"}, {"path": "/api/v3/orderList/oco", "method": "POST"}
CANCEL, QUERY = {"path": r"/api/v3/order$", "method": "DELETE"}, {"path": r"/api/v3/order$", "method": "GET"}
TRADES = {"path": "/api/v3/myTrades", "method": "GET"}
QUIETLY = {"path": "openOrders|myTrades|/api/v3/order$", "method": "GET"}


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    accounts = {"alice": {"USDT": "10000", "BTC": "1"}, "bob": {"USDT": "10000"}}
    with binance_exchange(seed=3, accounts=accounts) as running:
        yield running


def sent(exchange: RunningExchange, path: str = "/api/v3/order", method: str = "POST") -> int:
    return sum(each["path"].startswith(path) for each in exchange.requests(method=method))


# --- the usual way


async def test_entry_when_it_can_be_had_then_filled_at_once_with_the_exchanges_own_executions(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.price("50000", largest_trade="0.004")
    async with desk_on(exchange, tmp_path) as desk:
        facts = await desk.execute(desk.entry(1))
    assert kinds(facts) == ["accepted", "filled", "filled", "filled", "ended"]
    assert [fill.lots for fill in fills_in(facts)] == [400, 400, 200]
    assert sum(fill.fee_lots_base for fill in fills_in(facts)) == Decimal("0.00001")
    assert sum(fill.fee for fill in fills_in(facts)) == 0
    assert {fill.role for fill in fills_in(facts)} == {OrderRole.ENTRY}
    assert (facts[-1].status, facts[-1].filled_lots) == (OrderStatus.FILLED, 1_000)
    assert {fill.fill_id for fill in fills_in(facts)} == {f"BTC/USDT:{each['number']}" for each in exchange.fills()}


async def test_entry_when_only_a_part_can_be_had_then_the_rest_ends_and_is_not_chased(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.price("50000", depth="0.004")
    async with desk_on(exchange, tmp_path) as desk:
        facts = await desk.execute(desk.entry(1))
    assert kinds(facts) == ["accepted", "filled", "ended"]
    assert (facts[-1].status, facts[-1].filled_lots) == (OrderStatus.EXPIRED, 400)
    assert exchange.orders(open_only=True) == []


async def test_entry_when_the_price_ran_beyond_its_worth_then_nothing_is_bought(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.price("50251")
        facts = await desk.execute(desk.entry(1))
        assert kinds(facts) == ["accepted", "ended"]
        exchange.price("50250")
        assert fills_in(await desk.execute(desk.entry(2)))
    assert [order["price"] for order in exchange.orders()] == ["50250", "50250"]


async def test_entry_when_its_bar_is_over_then_it_is_dropped_unsent(exchange: RunningExchange, tmp_path: Path) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        entry = desk.entry(1)
        late = type(entry)(
            entry.client_id,
            entry.market,
            entry.direction,
            entry.lots,
            type(entry.plan)(5_000_000, 4_900_000, 0, 2.0, 1.0, desk.connection.now() - 60_000),
        )
        facts = await desk.execute(late)
        assert await desk.execute(late) == facts
    assert kinds(facts) == ["ended"]
    assert facts[0].verdict is Verdict.NEXT_BAR_MISSING
    assert exchange.orders() == []


async def test_pair_when_the_stop_triggers_then_its_fills_and_both_ends_are_told(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        assert kinds(await desk.execute(desk.pair(1))) == ["accepted", "accepted"]
        exchange.price("48990")
        stop = await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        target = await desk.until_heard(OrderEnded, name(1, IdRole.TARGET))
        assert (stop.status, stop.filled_lots) == (OrderStatus.FILLED, 1_000)
        assert (target.status, target.filled_lots) == (OrderStatus.EXPIRED, 0)
        (fill,) = desk.fills_heard()
        assert (fill.role, fill.side, fill.ticks) == (OrderRole.STOP, Direction.SHORT, 4_899_000)
        assert (fill.fee, fill.fee_lots_base) == (Decimal("0.4899"), 0)


async def test_pair_when_the_target_fills_in_part_then_the_end_of_the_stop_is_told(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        exchange.price("52000", depth="0.004")
        stop = await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        assert (stop.status, stop.filled_lots) == (OrderStatus.EXPIRED, 0)
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 400)
        assert not [each for each in desk.heard if isinstance(each, OrderEnded) and each.client_id.endswith("t000")]


async def test_exit_when_the_price_has_fallen_back_then_it_ends_unfilled(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        facts = await desk.execute(desk.exit(1, limit="52000"))
        assert (kinds(facts), facts[-1].filled_lots) == (["accepted", "ended"], 0)
        facts = await desk.execute(desk.exit(1, generation=1))
        assert (kinds(facts), facts[-1].filled_lots) == (["accepted", "filled", "ended"], 1_000)


async def test_price_when_a_market_is_watched_then_its_bid_is_told_and_no_longer_than_wanted(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        desk.gateway.watch_prices([desk.market])
        for price in ("50010", "50020"):
            exchange.price(price)
            await desk.until_price(price)
        desk.gateway.watch_prices([])
        await asyncio.sleep(0.2)
        desk.heard.clear()
        exchange.price("50030")
        await asyncio.sleep(0.5)
        assert desk.heard == []


# --- an answer is lost


LOST: dict[str, Callable[..., FaultRule]] = {
    "reset": lost_answer,
    "hang": lambda **match: hangs(executes=True, **match),
    "503": lambda **match: unavailable(executes=True, **match),
    "403 of a firewall": lambda **match: unavailable(status=403, executes=True, **match),
    "truncated": truncated,
    "cut chunks": cut_chunks,
    "half of the JSON": cut_json,
    "HTML": lambda **match: html(executes=True, **match),
    "empty": lambda **match: empty(executes=True, **match),
    "empty object": lambda **match: empty_object(executes=True, **match),
    "-1007": lambda **match: exchange_error("-1007", "Timeout waiting for response", executes=True, **match),
    "-1006": lambda **match: exchange_error("-1006", "An unexpected response was received", executes=True, **match),
}


@pytest.mark.parametrize("how", LOST)
async def test_entry_when_it_arrived_but_the_answer_did_not_then_found_by_a_question_and_bought_once(
    exchange: RunningExchange, tmp_path: Path, how: str
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(LOST[how](**ORDER))
        facts = await desk.execute(desk.entry(1))
        assert kinds(facts) == ["accepted", "filled", "ended"]
        assert await desk.execute(desk.entry(1)) == facts
    assert sent(exchange) == 1
    assert exchange.balance("BTC") == Decimal("1.00999")


@pytest.mark.parametrize("how", LOST)
async def test_pair_when_it_arrived_but_the_answer_did_not_then_it_rests_once(
    exchange: RunningExchange, tmp_path: Path, how: str
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(LOST[how](**PAIR))
        assert kinds(await desk.execute(desk.pair(1))) == ["accepted", "accepted"]
    assert len(exchange.orders(open_only=True)) == 2


@pytest.mark.parametrize("how", LOST)
async def test_stop_when_nothing_can_be_learned_then_in_doubt_and_never_sent_again_blindly(
    exchange: RunningExchange, tmp_path: Path, how: str
) -> None:
    exchange.stream_faults(silent=True)
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(LOST[how](**ORDER))
        exchange.fault(unavailable(times=None, **QUERY))
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["in doubt"]
        exchange.clear_faults()
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["accepted"]
    assert sent(exchange) == len(exchange.orders()) == 1


async def test_stop_when_the_request_never_arrived_then_in_doubt_then_not_found_and_sent_again_only_later(
    exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(lost_request(**ORDER))
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["not found"]
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert sent(exchange) == 1
        monkeypatch.setattr(ccxt_gateway, "RESEND_AFTER_MS", 0)
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
    assert len(exchange.orders()) == 1


@pytest.mark.parametrize("fault", [html, empty, empty_object, unavailable, lost_answer, truncated])
async def test_query_when_the_answer_proves_nothing_then_in_doubt_and_not_not_found(
    exchange: RunningExchange, tmp_path: Path, fault: Callable[..., FaultRule]
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        # The HTTP client repeats a question after a reset once by itself.
        exchange.fault(fault(times=2 if fault is lost_answer else 1, **QUERY))
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["not found"]


async def test_entry_when_the_caller_was_cancelled_after_sending_then_the_next_asks_first(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(slow_answer(0.5, **ORDER))
        sending = asyncio.create_task(desk.execute(desk.entry(1)))
        await desk.until(lambda: bool(exchange.orders()))
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert kinds(await desk.execute(desk.entry(1))) == ["accepted", "filled", "ended"]
    assert sent(exchange) == 1


async def test_entry_when_an_earlier_process_sent_it_then_the_next_one_finds_it(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        entry = desk.entry(1)
        facts = await desk.execute(entry)
    async with desk_on(exchange, tmp_path, listening=False) as desk:
        again = await desk.execute(entry)
    assert (kinds(again), fills_in(again)) == (kinds(facts), fills_in(facts))
    assert sent(exchange) == 1


async def test_stop_when_its_id_is_in_use_then_it_is_ours_and_not_refused(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
    async with desk_on(exchange, tmp_path) as desk:
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
    assert len(exchange.orders()) == 1


async def test_fills_when_the_exchange_tells_them_late_then_they_come_by_themselves(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(hangs(executes=True, **ORDER))
        exchange.fault(answers("[]", times=4, **TRADES))
        facts = await desk.execute(desk.entry(1))
        assert (kinds(facts), facts[-1].filled_lots) == (["accepted", "ended"], 1_000)
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 1_000)


# --- refused


async def test_stop_when_the_price_is_through_it_already_then_refused(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.price("48000")
        facts = await desk.execute(desk.stop(1))
        assert kinds(facts) == ["rejected"]
        assert "trigger immediately" in facts[0].reason
        assert await desk.execute(desk.stop(1)) == facts
    assert sent(exchange) == 1


async def test_stop_when_another_order_locks_the_coins_then_refused_for_the_funds(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1, quantity="0.6"))
        (fact,) = await desk.execute(desk.stop(2, quantity="0.6"))
        assert isinstance(fact, OrderRejected)
        assert "InsufficientFunds" in fact.reason
        await desk.execute(desk.cancel(1))
        assert kinds(await desk.execute(desk.stop(2, quantity="0.6", generation=1))) == ["accepted"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "0.00001"}, "below the minimum"),
        ({"quantity": "10000"}, "above the maximum"),
        ({"planned": "60000", "stop": "59000"}, "times the market"),
    ],
)
async def test_entry_when_it_breaks_a_filter_then_refused_without_a_request(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    markets: dict[str, dict[str, str | None]] = {"BTC/USDT": {"band_up": "1.1", "band_down": "0.9"}}
    with binance_exchange(seed=3, markets=markets) as exchange:
        async with desk_on(exchange, tmp_path) as desk:
            desk.gateway.watch_prices([desk.market])
            await desk.until(lambda: any(isinstance(event, PriceSeen) for event in desk.heard))
            seen = next(event for event in desk.heard if isinstance(event, PriceSeen))
            assert 0 < seen.ticks <= seen.ask_ticks
            (fact,) = await desk.execute(desk.entry(1, **change))
        assert isinstance(fact, OrderRejected)
        assert words in fact.reason
        assert sent(exchange) == 0


async def test_entry_when_the_market_is_halted_then_refused_and_not_tried_again_while_exits_are(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.market_status("HALT")
        assert kinds(await desk.execute(desk.entry(1))) == ["rejected"]
        assert desk.gateway.obstacle(desk.market)
        assert kinds(await desk.execute(desk.entry(2))) == ["rejected"]
        assert sent(exchange) == 1
        assert kinds(await desk.execute(desk.exit(3))) == ["rejected"]
        assert sent(exchange) == 2


async def test_entry_when_the_exchange_is_in_maintenance_then_refused_and_an_exit_is_in_doubt(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(maintenance(path="/api/v3/order"))
        assert kinds(await desk.execute(desk.exit(1))) == ["in doubt"]
        requests = sent(exchange)
        assert kinds(await desk.execute(desk.entry(2))) in (["rejected"], ["in doubt"])
        exchange.clear_faults()
        assert kinds(await desk.execute(desk.query(1, IdRole.EXIT))) == ["not found"]
    assert sent(exchange) <= requests + 1


# --- cancelling


async def test_cancel_when_the_order_rests_then_its_end_is_confirmed_by_a_question(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        facts = await desk.execute(desk.cancel(1))
        assert (kinds(facts), facts[-1].status) == (["accepted", "ended"], OrderStatus.CANCELLED)
        assert await desk.execute(desk.cancel(1)) == facts


@pytest.mark.parametrize("how", LOST)
async def test_cancel_when_its_answer_is_lost_then_the_end_is_found_all_the_same(
    exchange: RunningExchange, tmp_path: Path, how: str
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.fault(LOST[how](**CANCEL))
        assert kinds(await desk.execute(desk.cancel(1))) == ["accepted", "ended"]


async def test_cancel_when_the_request_was_lost_then_in_doubt_and_never_assumed(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        # The HTTP client repeats what may be repeated, and a cancellation may.
        exchange.fault(lost_request(times=2, **CANCEL))
        assert kinds(await desk.execute(desk.cancel(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.cancel(1))) == ["accepted", "ended"]


async def test_cancel_when_the_stop_was_filled_meanwhile_then_the_fill_is_told_and_no_cancellation(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.price("48000")
        facts = await desk.execute(desk.cancel(1))
        assert kinds(facts) == ["accepted", "filled", "ended"]
        assert (facts[-1].status, facts[-1].filled_lots) == (OrderStatus.FILLED, 1_000)


async def test_cancel_when_a_part_was_filled_before_then_the_end_says_how_much(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        exchange.fill(name(1, IdRole.TARGET), "0.003", "52000")
        facts = await desk.execute(desk.cancel_pair(1))
        ends = {fact.client_id[14]: fact for fact in facts if isinstance(fact, OrderEnded)}
        assert (ends["t"].status, ends["t"].filled_lots) == (OrderStatus.CANCELLED, 300)
        assert ends["s"].filled_lots == 0
        assert sum(fill.lots for fill in fills_in(facts)) == 300


async def test_cancel_when_the_exchange_never_knew_the_order_then_not_found(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        assert kinds(await desk.execute(desk.cancel(1))) == ["not found"]
        assert kinds(await desk.execute(desk.cancel_pair(2))) == ["not found", "not found"]


async def test_order_when_the_owner_cancels_it_by_hand_then_its_end_is_told(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.cancel(name(1, IdRole.STOP))
        ended = await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        assert (ended.status, ended.filled_lots) == (OrderStatus.CANCELLED, 0)


# --- the stream


def told_once(desk: Desk, exchange: RunningExchange) -> None:
    """Every execution of the exchange's ledger was told once, and their quantities add up."""
    told = [event.fill for event in desk.heard if isinstance(event, OrderFilled)]
    assert len({fill.fill_id for fill in told}) == len(told)
    assert {fill.fill_id for fill in told} == {f"BTC/USDT:{each['number']}" for each in exchange.fills()}
    for kind in (OrderAccepted, OrderEnded):
        ids = [event.client_id for event in desk.heard if isinstance(event, kind)]
        assert len(ids) == len(set(ids))


async def test_stream_when_it_breaks_and_a_stop_fills_meanwhile_then_nothing_is_missed(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        exchange.stream_faults(refusing=True)
        exchange.cut_streams()
        exchange.price("48990", largest_trade="0.003")
        await asyncio.sleep(0.1)
        exchange.stream_faults()
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 1_000)
        told_once(desk, exchange)
        await desk.until(lambda: any(each["account"] for each in exchange.streams()["connections"]))
        await desk.execute(desk.stop(2, stop="48000"))
        exchange.cancel(name(2, IdRole.STOP))
        await desk.until_heard(OrderEnded, name(2, IdRole.STOP))


async def test_stream_when_the_exchange_closes_it_after_its_life_then_it_is_opened_again(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        opened = exchange.streams()["opened"]
        assert exchange.close_streams(1001) >= 1
        await desk.until(lambda: exchange.streams()["opened"] > opened)
        await desk.until(lambda: any(each["account"] for each in exchange.streams()["connections"]))


async def test_stream_when_it_is_silent_while_heartbeats_go_on_then_fills_are_found_by_asking(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        exchange.stream_faults(silent=True)
        exchange.price("48990")
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        await desk.until_heard(OrderEnded, name(1, IdRole.TARGET))
        told_once(desk, exchange)


async def test_stream_when_a_single_frame_is_lost_then_its_fill_is_found_by_asking(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        exchange.stream_faults(lose_next=1)
        exchange.fill(name(1, IdRole.TARGET), "0.003", "52000")
        exchange.fill(name(1, IdRole.TARGET), "0.007", "52000")
        await desk.until_heard(OrderEnded, name(1, IdRole.TARGET))
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 1_000)
        told_once(desk, exchange)


async def test_stream_when_it_is_half_open_then_it_is_given_up_and_fills_are_found_by_asking(
    exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_stream, "SILENT_MS", 500)
    async with desk_on(exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
        opened = exchange.streams()["opened"]
        exchange.stream_faults(deaf=True)
        exchange.price("48990")
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        exchange.stream_faults()
        await desk.until(lambda: exchange.streams()["opened"] > opened)
        told_once(desk, exchange)


@pytest.mark.parametrize("faults", [{"duplicated": True}, {"swapped": True}, {"duplicated": True, "swapped": True}])
async def test_stream_when_events_come_twice_or_out_of_order_then_everything_is_told_once(
    exchange: RunningExchange, tmp_path: Path, faults: dict[str, bool]
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.stream_faults(**faults)
        await desk.execute(desk.pair(1))
        exchange.price("48990", largest_trade="0.001")
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        await desk.until_heard(OrderEnded, name(1, IdRole.TARGET))
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 1_000)
        told_once(desk, exchange)


async def test_stream_when_many_executions_come_at_once_then_none_is_lost_between_two_looks(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.fault(unavailable(times=None, **QUIETLY))
    async with desk_on(exchange, tmp_path) as desk:
        for number in range(1, 6):
            await desk.execute(desk.stop(number, stop=str(49_000 + number)))
        exchange.price("48990", largest_trade="0.0005")
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == 5_000)
        told_once(desk, exchange)


async def test_stream_when_orders_of_others_pass_by_then_they_are_not_told(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.place("sell", "0.1", price="60000")
        exchange.place("buy", "0.01")
        await asyncio.sleep(0.3)
        assert desk.heard == []
        await desk.execute(desk.stop(1))
        account = await desk.gateway.account()
        assert [(each.client_id, each.buys, each.quantity) for each in account.resting] == [
            (None, False, Decimal("0.1")),
            (name(1, IdRole.STOP), False, Decimal("0.01")),
        ]
        assert (account.totals["BTC"], account.free["BTC"]) == (Decimal("1.00999"), Decimal("0.89999"))


# --- the rate and the time


async def test_rate_when_a_short_pause_is_asked_for_then_waited_for_and_sent_once(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(too_many(retry_after=1, **ORDER))
        assert kinds(await desk.execute(desk.entry(1))) == ["accepted", "filled", "ended"]
    assert (sent(exchange), len(exchange.orders())) == (2, 1)


@pytest.mark.parametrize("status", [429, 418])
async def test_rate_when_one_wallet_is_banned_then_no_other_on_the_machine_sends_anything(
    exchange: RunningExchange, tmp_path: Path, status: int
) -> None:
    async with (
        desk_on(exchange, tmp_path) as desk,
        desk_on(exchange, tmp_path, account="bob", listening=False) as other,
    ):
        exchange.fault(too_many(status=status, retry_after=60, **ORDER))
        assert kinds(await desk.execute(desk.entry(1))) == ["rejected"]
        before = len(exchange.requests())
        assert kinds(await other.execute(other.entry(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.exit(2))) == ["in doubt"]
        assert kinds(await desk.execute(desk.entry(3))) == ["rejected"]
        assert "refuses all requests" in desk.gateway.obstacle(desk.market)
        assert len(exchange.requests()) == before


async def test_clock_when_the_exchange_is_far_ahead_then_measured_and_orders_go_through(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.clock(skew=30_000)
    async with desk_on(exchange, tmp_path) as desk:
        assert abs(desk.connection.skew_ms - 30_000) < 500
        assert kinds(await desk.execute(desk.entry(1))) == ["accepted", "filled", "ended"]


@pytest.mark.parametrize("skew", [30_000, -30_000])
async def test_clock_when_it_jumps_while_trading_then_refused_measured_again_and_sent_once(
    exchange: RunningExchange, tmp_path: Path, skew: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradepulse.exchanges.ccxt_exchange.CLOCK_PAUSE_MS", 0)
    async with desk_on(exchange, tmp_path) as desk:
        exchange.clock(skew=skew)
        assert kinds(await desk.execute(desk.exit(1))) == ["accepted", "filled", "ended"]
        assert abs(desk.connection.skew_ms - skew) < 500
    assert len(exchange.orders()) == 1


async def test_errors_when_stored_or_logged_then_no_signature_and_no_key_is_in_them(
    exchange: RunningExchange, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tradepulse")
    async with desk_on(exchange, tmp_path) as desk:
        exchange.fault(hangs(path="/api/v3/order", times=None))
        facts: list[Any] = await desk.execute(desk.stop(1))
        facts += await desk.execute(desk.cancel(1))
    told = f"{facts}{caplog.text}"
    assert isinstance(facts[0], OrderInDoubt)
    assert "signature" not in told
    assert exchange.keys().api_key not in told
    assert exchange.keys().secret not in told
