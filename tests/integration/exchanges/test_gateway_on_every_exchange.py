"""What must hold of the gateway wherever it trades, on every local exchange under unmodified ccxt."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import ccxt.pro as ccxt
import pytest
from tests.integration.exchanges.places import LOST, PLACES, WITH_PAIRS, Place, every, on, told_once
from tests.integration.exchanges.trading_desk import fills_in, kinds, name
from tests.local_exchanges.fault_rules import (
    FaultRule,
    empty,
    empty_object,
    html,
    lost_request,
    truncated,
    unavailable,
)
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.client_ids import IdRole
from tradepulse.domain.events import OrderAccepted, OrderEnded
from tradepulse.domain.orders import OrderRole, OrderStatus
from tradepulse.exchanges.unified_calls import Call


@every(PLACES)
async def test_trade_when_entered_protected_and_left_then_everything_is_told_and_adds_up(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.price("50000", symbol=place.symbol, largest_trade="0.004")
    async with on(place, exchange, tmp_path) as desk:
        entered = await desk.execute(desk.entry(1))
        assert (entered[-1].status, desk.spec.quantity(entered[-1].filled_lots)) == (
            OrderStatus.FILLED,
            Decimal("0.01"),
        )
        assert len(fills_in(entered)) == 3
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
        stopped = await desk.execute(desk.cancel(1))
        assert (kinds(stopped), stopped[-1].status) == (["accepted", "ended"], OrderStatus.CANCELLED)
        missed = await desk.execute(desk.exit(1, limit="50001"))
        assert (missed[-1].filled_lots, kinds(missed)) == (0, ["accepted", "ended"])
        left = await desk.execute(desk.exit(1, generation=1))
        assert (left[-1].status, {fill.role for fill in fills_in(left)}) == (OrderStatus.FILLED, {OrderRole.EXIT})
        await asyncio.sleep(0.3)
        told_once(desk, exchange, [*entered, *left])
    fees = [fill.fee * 1 + fill.fee_lots_base for fill in fills_in([*entered, *left])]
    assert all(fee > 0 for fee in fees)


@every(PLACES)
async def test_stop_when_it_triggers_then_its_fills_and_its_end_are_told(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.price("48990", symbol=place.symbol, largest_trade="0.004")
        ended = await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        assert (ended.status, desk.spec.quantity(ended.filled_lots)) == (OrderStatus.FILLED, Decimal("0.01"))
        await desk.until(lambda: len(desk.fills_heard()) == 3)
        assert {fill.role for fill in desk.fills_heard()} == {OrderRole.STOP}
        told_once(desk, exchange, [])


@every(WITH_PAIRS)
@pytest.mark.parametrize(("price", "role"), [("48990", IdRole.STOP), ("52010", IdRole.TARGET)])
async def test_pair_when_one_leg_fills_then_its_name_is_told_and_both_ends(
    place: Place, exchange: RunningExchange, tmp_path: Path, price: str, role: IdRole
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        assert kinds(await desk.execute(desk.pair(1))) == ["accepted", "accepted"]
        exchange.price(price, symbol=place.symbol)
        other = IdRole.TARGET if role is IdRole.STOP else IdRole.STOP
        won = await desk.until_heard(OrderEnded, name(1, role))
        lost = await desk.until_heard(OrderEnded, name(1, other))
        assert (won.status, desk.spec.quantity(won.filled_lots)) == (OrderStatus.FILLED, Decimal("0.01"))
        assert lost.filled_lots == 0
        await desk.until(lambda: {fill.client_id for fill in desk.fills_heard()} == {name(1, role)})
        told_once(desk, exchange, [])


@every(WITH_PAIRS)
@pytest.mark.parametrize("probed", [True, False])
async def test_pair_when_another_process_placed_it_then_found_by_its_legs_and_cancelled(
    place: Place, exchange: RunningExchange, tmp_path: Path, probed: bool
) -> None:
    """Also where this process could not try the account, and places none itself."""
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
    async with on(place, exchange, tmp_path, listening=False, probed=probed) as desk:
        for role in (IdRole.STOP, IdRole.TARGET):
            asked = await desk.execute(desk.query(1, role))
            assert name(1, role) in {fact.client_id for fact in asked if isinstance(fact, OrderAccepted)}
        placed = await desk.execute(desk.pair(1))
        assert kinds(placed) == ["accepted", "accepted"]
        cancelled = await desk.execute(desk.cancel_pair(1))
        ends = [fact for fact in cancelled if isinstance(fact, OrderEnded)]
        assert {fact.client_id for fact in ends} == {name(1, IdRole.STOP), name(1, IdRole.TARGET)}
    assert exchange.balance(place.base, kind="free") == 1


@every(WITH_PAIRS)
async def test_pair_when_it_filled_while_no_process_ran_then_the_next_one_is_told_which_leg(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.pair(1))
    exchange.price("52010", symbol=place.symbol)
    async with on(place, exchange, tmp_path, listening=False) as desk:
        facts = [fact for role in (IdRole.STOP, IdRole.TARGET) for fact in await desk.execute(desk.query(1, role))]
    assert {fill.client_id for fill in fills_in(facts)} == {name(1, IdRole.TARGET)}
    assert {fact.client_id for fact in facts if isinstance(fact, OrderEnded) and fact.filled_lots} == {
        name(1, IdRole.TARGET)
    }


@every(PLACES)
@pytest.mark.parametrize("how", LOST)
async def test_orders_when_they_arrived_but_the_answers_did_not_then_each_exists_once(
    place: Place, exchange: RunningExchange, tmp_path: Path, how: str
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        for command, expected in (
            (desk.entry(1), ["accepted", "filled", "ended"]),
            (desk.stop(2), ["accepted"]),
            *([(desk.pair(3), ["accepted", "accepted"])] if place.pairs else []),
        ):
            exchange.fault(LOST[how](**place.placing))
            told = kinds(await desk.execute(command))
            assert told == expected
            assert kinds(await desk.execute(command)) == expected
    placing = [each for each in exchange.requests(method="POST") if each["fault"] is not None]
    assert len(placing) == (3 if place.pairs else 2)
    assert len({order["client_id"] for order in exchange.orders() if order["client_id"]}) == len(
        [order for order in exchange.orders() if order["client_id"]]
    )


@every(PLACES)
async def test_order_when_the_exchange_dates_it_before_it_was_sent_then_found_all_the_same(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    """The exchange's clock is known as well as it was measured, and may have gone back since."""
    async with on(place, exchange, tmp_path) as desk:
        exchange.clock(skew=-800)
        exchange.fault(LOST["503"](**place.placing))
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]


@every(PLACES)
async def test_order_when_it_never_arrived_then_in_doubt_then_not_found(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(lost_request(**place.placing))
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, IdRole.STOP))) == ["not found"]
    assert exchange.orders() == []


@every(PLACES)
@pytest.mark.parametrize("fault", [html, empty, empty_object, unavailable, truncated])
async def test_query_when_its_answers_prove_nothing_then_in_doubt(
    place: Place, exchange: RunningExchange, tmp_path: Path, fault: Callable[..., FaultRule]
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(fault(times=None, path="order|Order|Trades"))
        for role in (IdRole.ENTRY, IdRole.STOP):
            assert kinds(await desk.execute(desk.query(1, role))) == ["in doubt"]
        exchange.clear_faults()
        for role in (IdRole.ENTRY, IdRole.STOP):
            assert kinds(await desk.execute(desk.query(1, role))) == ["not found"]


@every(PLACES)
async def test_stream_when_it_breaks_and_a_stop_fills_meanwhile_then_nothing_is_missed(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.stream_faults(refusing=True)
        exchange.cut_streams()
        exchange.price("48990", symbol=place.symbol, largest_trade="0.003")
        await asyncio.sleep(0.1)
        exchange.stream_faults()
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        await desk.until(lambda: len(desk.fills_heard()) == 4)
        told_once(desk, exchange, [])


@every(PLACES)
async def test_markets_when_who_began_to_load_them_is_cancelled_then_who_waits_too_has_a_failure_and_goes_on(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    """Streams that are given up take the loading along which they began; nobody else may end by it."""
    loading = Call("load_markets", (True,))
    async with on(place, exchange, tmp_path) as desk:
        began = asyncio.create_task(desk.connection.call(loading))
        await asyncio.sleep(0)
        waits = asyncio.create_task(desk.connection.call(loading))
        await asyncio.sleep(0)
        began.cancel()
        with pytest.raises(ccxt.NetworkError, match="another task"):
            await waits
        assert desk.market.symbol in await desk.connection.call(loading)


@every(PLACES)
async def test_funds_when_they_do_not_suffice_then_refused_for_certain(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        facts = await desk.execute(desk.stop(1, quantity="2"))
        assert kinds(facts) == ["rejected"]
        assert "nsufficient" in facts[0].reason or "INSUFFICIENT" in facts[0].reason
        assert desk.spec.quantity(facts[0].free_lots) == 1
    assert exchange.orders() == []


@every([PLACES[1]])
async def test_stop_when_nothing_is_told_of_the_order_that_it_placed_then_its_end_comes_later(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.fault(html(path=r"/trade/order$", method="GET", times=3))
        exchange.price("48990", symbol=place.symbol)
        asked = await desk.execute(desk.query(1, IdRole.STOP))
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP), seconds=10)
        fills = fills_in([*asked, *desk.heard])
        assert sum(desk.spec.quantity(fill.lots) for fill in fills) == Decimal("0.01")


@every([PLACES[0]])
async def test_stream_when_a_message_cannot_be_read_then_the_gateway_goes_on_and_asks(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        await desk.until(lambda: bool(desk.connection.client.orders))
        for order in list(desk.connection.client.orders):
            order["filled"] = "not a number"
        exchange.price("48990", symbol=place.symbol)
        await desk.until_heard(OrderEnded, name(1, IdRole.STOP))
        assert len(desk.fills_heard()) == 1
