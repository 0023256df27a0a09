"""What has happened to other trading systems, each as a test on every exchange where it can happen.

``docs/gateway.md`` has the table of all of them, with the tests that stand elsewhere.
"""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.async_support as ccxt
import pytest
from tests.integration.exchanges.places import (
    BINANCE,
    KRAKEN,
    PLACES,
    Place,
    every,
    on,
    told_once,
)
from tests.integration.exchanges.trading_desk import Desk, fills_in, id_of, kinds, name
from tests.local_exchanges.fault_rules import (
    answers,
    lost_answer,
    slow,
    slow_answer,
    unavailable,
)
from tests.local_exchanges.fixed_answer import FixedAnswer
from tests.local_exchanges.network import private_internet
from tests.local_exchanges.running import RunningExchange
from tests.local_exchanges.traded_markets import HOSTS

from tradepulse.domain.client_ids import IdRole
from tradepulse.domain.events import OrderEnded, PriceSeen
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import OrderStatus
from tradepulse.exchanges import user_stream
from tradepulse.exchanges.outcomes import Outcome, outcome_of
from tradepulse.exchanges.rate_budget import RateBudget

STOP, ENTRY, EXIT = IdRole.STOP, IdRole.ENTRY, IdRole.EXIT


WITHOUT_NONCES = [place for place in PLACES if place is not KRAKEN]
"""Kraken refuses a request that was overtaken by a later one."""


async def believed(desk: Desk, command: Any, expected: str, seconds: float = 3.0) -> list[Any]:
    """Ask until this is said."""
    async with asyncio.timeout(seconds):
        while True:
            facts = await desk.execute(command)
            if kinds(facts)[:1] == [expected]:
                return facts
            await asyncio.sleep(0.1)


# --- twice, or not at all


@every(WITHOUT_NONCES)
async def test_order_when_it_goes_through_long_after_the_timeout_then_it_is_found_and_exists_once(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(slow(1.2, **place.placing))
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, STOP))) == ["not found"]
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        assert exchange.orders() == []
        await believed(desk, desk.query(1, STOP), "accepted")
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
    assert len(exchange.orders()) == 1


@every(PLACES)
async def test_exit_when_sent_again_before_the_first_was_answered_then_sold_once(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(slow_answer(0.3, **place.placing))
        both = await asyncio.gather(desk.execute(desk.exit(1)), desk.execute(desk.exit(1)))
    assert both[0] == both[1]
    assert both[0][-1].filled_lots == desk.lots("0.01")
    assert exchange.balance(place.base) == Decimal("0.99")


@every(PLACES)
async def test_entry_when_its_fills_come_before_its_answer_then_filled_and_not_refused(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.price("50000", symbol=place.symbol, largest_trade="0.004")
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(slow_answer(0.4, **place.placing))
        facts = await desk.execute(desk.entry(1))
        assert kinds(facts) == ["accepted", "filled", "filled", "filled", "ended"]
        told_once(desk, exchange, facts)


@every(PLACES)
async def test_entry_when_the_exchange_forgets_what_was_not_filled_then_not_found_and_not_sent_again(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.stream_faults(silent=True)
        exchange.price("50300", symbol=place.symbol)
        exchange.fault(lost_answer(**place.placing))
        for rule in place.unknown_order():
            exchange.fault(rule)
        assert kinds(await desk.execute(desk.entry(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1))) == ["not found"]
        assert kinds(await desk.execute(desk.entry(1))) == ["in doubt"]
    assert len(exchange.orders()) == 1
    assert exchange.fills() == []


@every(PLACES)
async def test_stop_when_the_exchange_does_not_know_it_for_a_while_then_not_sent_again_and_found(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with on(place, exchange, tmp_path) as desk:
        exchange.fault(lost_answer(**place.placing))
        for rule in place.unknown_order():
            exchange.fault(rule)
        assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        for _ in range(3):
            assert kinds(await desk.execute(desk.query(1, STOP))) == ["not found"]
            assert kinds(await desk.execute(desk.stop(1))) == ["in doubt"]
        exchange.clear_faults()
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
    assert len(exchange.orders()) == 1


# --- cancelling


@every(PLACES)
async def test_cancel_when_the_order_has_filled_meanwhile_then_its_fills_are_told_and_nobody_asks_again(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.price("48990", symbol=place.symbol)
        facts = await desk.execute(desk.cancel(1))
        assert (facts[-1].status, facts[-1].filled_lots) == (OrderStatus.FILLED, desk.lots("0.01"))
        assert sum(fill.lots for fill in fills_in(facts)) == desk.lots("0.01")
        requests = len(exchange.requests())
        assert await desk.execute(desk.cancel(1)) == facts
        assert len(exchange.requests()) == requests


@every(PLACES)
async def test_cancel_when_a_part_has_filled_then_the_end_says_how_much_and_the_rest_is_free(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.price("48990", symbol=place.symbol, depth="0.004")
        facts = await desk.execute(desk.cancel(1))
        ended = facts[-1] if isinstance(facts[-1], OrderEnded) else await desk.until_heard(OrderEnded, name(1, STOP))
        assert ended.filled_lots == desk.lots("0.004")
        await desk.until(lambda: sum(f.lots for f in fills_in([*facts, *desk.heard])) == desk.lots("0.004"))
    assert exchange.orders(open_only=True) == []
    assert exchange.balance(place.base, kind="free") == Decimal("0.996")


@every(PLACES)
async def test_cancelled_stop_when_it_cannot_be_found_any_more_then_in_doubt_until_it_is(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        for rule in place.unknown_order():
            exchange.fault(rule)
        assert kinds(await desk.execute(desk.cancel(1))) == ["in doubt"]
        assert exchange.orders(open_only=True) == []
        exchange.clear_faults()
        facts = await desk.execute(desk.query(1, STOP))
        assert (kinds(facts), facts[-1].status) == (["accepted", "ended"], OrderStatus.CANCELLED)


@every(PLACES)
async def test_cancel_when_it_is_confirmed_and_did_not_happen_then_in_doubt_and_the_order_counts_as_resting(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.fault(answers(place.cancelled, **place.cancelling))
        assert kinds(await desk.execute(desk.cancel(1))) == ["in doubt"]
        assert kinds(await desk.execute(desk.query(1, STOP))) == ["accepted"]
        assert not [event for event in desk.heard if isinstance(event, OrderEnded)]
        assert len(exchange.orders(open_only=True)) == 1
        assert kinds(await desk.execute(desk.cancel(1))) == ["accepted", "ended"]


# --- the stop is gone and nobody knows


@every(PLACES)
async def test_stop_when_it_fills_while_questions_fail_then_known_as_soon_as_they_are_answered(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.stream_faults(silent=True)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        for rule in place.unknown_order():
            exchange.fault(rule)
        exchange.price("48990", symbol=place.symbol)
        assert kinds(await desk.execute(desk.query(1, STOP))) in (["not found"], ["in doubt"])
        assert not [event for event in desk.heard if isinstance(event, OrderEnded)]
        exchange.clear_faults()
        await desk.until_heard(OrderEnded, name(1, STOP))
        await desk.until(lambda: sum(fill.lots for fill in desk.fills_heard()) == desk.lots("0.01"))


# --- whose order, whose fill


@every(PLACES)
async def test_wallets_when_both_trade_one_market_then_each_is_told_its_own_and_nothing_else(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as alice, on(place, exchange, tmp_path, account="bob") as bob:
        await alice.execute(alice.stop(1, quantity="0.01"))
        await bob.execute(bob.stop(2, quantity="0.02"))
        exchange.price("48990", symbol=place.symbol)
        for desk, number in ((alice, 1), (bob, 2)):
            await desk.until_heard(OrderEnded, name(number, STOP))
            await desk.until(lambda desk=desk, number=number: len(desk.fills_heard()) == 1)
            told = {id_of(event) for event in desk.heard if not isinstance(event, PriceSeen)}
            assert told == {name(number, STOP)}


@every(PLACES)
async def test_start_when_the_account_has_a_history_then_none_of_it_is_told_as_news(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        first = await desk.execute(desk.entry(1))
        await desk.execute(desk.stop(1))
        exchange.place("buy", "0.02", symbol=place.symbol)
        exchange.place("sell", "0.3", symbol=place.symbol, price="60000")
    async with on(place, exchange, tmp_path) as desk:
        await asyncio.sleep(0.5)
        assert [event for event in desk.heard if not isinstance(event, PriceSeen)] == []
        # Asked for, it is known again by the same names.
        again = await desk.execute(desk.query(1))
        assert [fill.fill_id for fill in fills_in(again)] == [fill.fill_id for fill in fills_in(first)]


@every(PLACES)
async def test_fills_of_two_markets_when_they_come_at_once_then_each_belongs_to_its_own(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path, also=[place.other]) as desk:
        second = desk.beside(MarketKey(place.exchange, place.other))
        await desk.execute(desk.stop(1))
        await second.execute(second.stop(2, stop="2900"))
        exchange.price("48990", symbol=place.symbol, largest_trade="0.004")
        exchange.price("2890", symbol=place.other, largest_trade="0.004")
        for number in (1, 2):
            await desk.until_heard(OrderEnded, name(number, STOP))
        await desk.until(lambda: len(desk.fills_heard()) == 6)
        for fill in desk.fills_heard():
            assert fill.client_id == name(1 if fill.market == desk.market else 2, STOP)
            assert fill.fill_id.startswith(fill.market.symbol)


# --- the stream


@every(PLACES)
@pytest.mark.parametrize("lost", [1, 2])
async def test_stream_when_frames_are_lost_while_heartbeats_go_on_then_their_fills_are_found_by_asking(
    place: Place, exchange: RunningExchange, tmp_path: Path, lost: int
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.stream_faults(lose_next=lost)
        exchange.price("48990", symbol=place.symbol, largest_trade="0.005")
        await desk.until_heard(OrderEnded, name(1, STOP))
        await desk.until(lambda: len(desk.fills_heard()) == 2)
        told_once(desk, exchange, [])


@every(PLACES)
async def test_stream_when_the_network_goes_without_an_error_then_it_is_given_up_and_opened_again(
    place: Place, exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_stream, "SILENT_MS", 500)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        opened = exchange.streams()["opened"]
        exchange.stream_faults(deaf=True)
        exchange.price("48990", symbol=place.symbol)
        await desk.until_heard(OrderEnded, name(1, STOP))
        exchange.stream_faults()
        await desk.until(lambda: exchange.streams()["opened"] > opened)
        await desk.until(lambda: logged_in(exchange))
        told_once(desk, exchange, [])


@every(PLACES)
async def test_stream_when_messages_come_twice_and_out_of_order_then_everything_is_told_once(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.stream_faults(duplicated=True, swapped=True)
        await desk.execute(desk.stop(1))
        exchange.price("48990", symbol=place.symbol, largest_trade="0.001")
        await desk.until_heard(OrderEnded, name(1, STOP))
        await desk.until(lambda: len(desk.fills_heard()) == 10)
        await asyncio.sleep(0.2)
        told_once(desk, exchange, [])


@every(PLACES)
async def test_stream_when_many_messages_come_between_two_looks_then_none_is_dropped(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        for number in range(1, 5):
            await desk.execute(desk.stop(number, stop=str(49_000 + number)))
        exchange.price("48990", symbol=place.symbol, largest_trade="0.001")
        for number in range(1, 5):
            await desk.until_heard(OrderEnded, name(number, STOP))
        await desk.until(lambda: len(desk.fills_heard()) == 40)
        told_once(desk, exchange, [])


def logged_in(exchange: RunningExchange) -> bool:
    """Whether a connection has proved whose it is and has asked for something of the account's own."""
    return any(each["account"] and each["wanted"] for each in exchange.streams()["connections"])


@every(PLACES)
async def test_stream_when_it_is_opened_again_then_logged_in_anew_and_what_happens_is_told(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        await desk.until(lambda: logged_in(exchange))
        for _ in range(2):
            opened = exchange.streams()["opened"]
            exchange.close_streams(1001)
            await desk.until(lambda opened=opened: exchange.streams()["opened"] > opened)
            await desk.until(lambda: logged_in(exchange))
        # Only the stream can tell it now.
        exchange.fault(unavailable(times=None, path="order|Order|Trades|fills"))
        exchange.cancel(name(1, STOP))
        await desk.until_heard(OrderEnded, name(1, STOP))


@every([KRAKEN])
async def test_stream_when_its_token_has_expired_then_another_is_asked_for(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        await desk.until(lambda: logged_in(exchange))
        exchange.venue("expire_tokens")
        exchange.cut_streams()
        await desk.until(lambda: logged_in(exchange))


@every([BINANCE])
async def test_stream_when_the_exchange_ends_it_on_an_open_connection_then_subscribed_anew(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.stop(1))
        exchange.venue("end_user_streams")
        await desk.until(lambda: any(each["account"] for each in exchange.streams()["connections"]))
        exchange.fault(unavailable(times=None, path="/api/v3/order", method="GET"))
        exchange.cancel(name(1, STOP))
        await desk.until_heard(OrderEnded, name(1, STOP))


@every(PLACES)
async def test_entry_when_the_accounts_stream_is_down_then_refused_until_it_is_up_again(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path) as desk:
        exchange.stream_faults(refusing=True)
        exchange.cut_streams()
        await desk.until(lambda: desk.gateway.obstacle(desk.market) != "")
        (fact,) = await desk.execute(desk.entry(1))
        assert "stream" in fact.reason
        # What protects or leaves goes out all the same.
        assert kinds(await desk.execute(desk.stop(2))) == ["accepted"]
        assert exchange.fills() == []
        exchange.stream_faults()
        await desk.until(lambda: desk.gateway.obstacle(desk.market) == "")
        assert kinds(await desk.execute(desk.entry(3)))[-1] == "ended"


# --- the rate


@every(PLACES)
async def test_rate_when_the_exchange_says_too_often_then_not_executed_and_sent_once_more(
    place: Place, exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradepulse.exchanges.rate_budget.USUAL_PAUSE_MS", 500)
    async with on(place, exchange, tmp_path) as desk:
        hit = exchange.fault(place.too_often(**place.placing))
        assert kinds(await desk.execute(desk.stop(1))) == ["accepted"]
        assert exchange.fault_hits(hit) == 1
    assert len(exchange.orders()) == 1


@every(PLACES)
async def test_rate_when_a_trade_is_made_then_no_request_gets_past_the_budget(
    place: Place, exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    take = RateBudget.take

    async def counted(self: RateBudget, cost: float, *more: Any) -> None:
        taken.append(cost)
        await take(self, cost, *more)

    monkeypatch.setattr(RateBudget, "take", counted)
    async with on(place, exchange, tmp_path) as desk:
        await desk.execute(desk.entry(1))
        await desk.execute(desk.stop(1))
        await desk.execute(desk.cancel(1))
        await desk.execute(desk.exit(1, generation=1))
        await desk.gateway.account()
        requests = len(exchange.requests())
        assert 10 < requests <= len(taken)


async def test_rate_when_kucoin_answers_429000_then_not_executed() -> None:
    answer = FixedAnswer(HOSTS["kucoin"], {"code": "429000", "msg": "Too Many Requests"}, status=429)
    async with private_internet([answer]) as session:
        client = ccxt.kucoin({"apiKey": "k", "secret": "s", "password": "p", "session": session, "timeout_on_exit": 0})
        with pytest.raises(ccxt.BaseError) as error:
            await client.private_post_orders({"clientOid": "x"})
        await client.close()
    assert outcome_of(error.value) is Outcome.NOT_EXECUTED
