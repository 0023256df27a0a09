"""The engine under every local exchange keeps honest books, and the exchange outlives whoever trades on it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.clock import SteeredClock
from tests.local_exchanges.protection_timeline import Cover, Uncovered, longest_uncovered, uncovered
from tests.local_exchanges.spot_exchange import Rules, SpotExchange
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Instrument, Lifetime, Order, RefusedOrder, Side, Trigger

ROOT = Path(__file__).resolve().parents[3]
PRICES = st.integers(80, 120).map(Decimal)
QUANTITIES = st.integers(1, 300).map(lambda lots: Decimal(lots) / 100)


class HonestBooks(RuleBasedStateMachine):
    """Whatever is placed and traded: money is neither made nor lost, and what is locked belongs to orders."""

    manner = Rules()

    def __init__(self) -> None:
        super().__init__()
        instrument = Instrument("AAA/BBB", tick=Decimal("0.01"), lot=Decimal("0.01"), most_stops=5, most_pairs=3)
        market = Market(instrument, *[Decimal(100)] * 3)
        self.spot = SpotExchange([market], SteeredClock(1_735_689_600_000), self.manner)
        self.spot.deposit("alice", "BBB", Decimal(1_000))
        self.spot.deposit("alice", "AAA", Decimal(5))
        self.told: list[str] = []
        self.spot.listeners.append(lambda event: self.told.append(type(event).__name__))

    def _try(self, order: Order) -> None:
        before = dict(self.spot.orders)
        try:
            self.spot.place(order)
        except RefusedOrder:
            assert self.spot.orders == before

    @rule(side=st.sampled_from(Side), quantity=QUANTITIES, price=PRICES, lifetime=st.sampled_from(Lifetime))
    def limit(self, side: Side, quantity: Decimal, price: Decimal, lifetime: Lifetime) -> None:
        self._try(Order("alice", "AAA/BBB", side, quantity, price=price, lifetime=lifetime))

    @rule(side=st.sampled_from(Side), quantity=QUANTITIES)
    def market(self, side: Side, quantity: Decimal) -> None:
        self._try(Order("alice", "AAA/BBB", side, quantity))

    @rule(cost=st.integers(5, 300).map(Decimal))
    def spend(self, cost: Decimal) -> None:
        self._try(Order("alice", "AAA/BBB", Side.BUY, Decimal(0), cost=cost))

    @rule(side=st.sampled_from(Side), quantity=QUANTITIES, price=PRICES, limit=st.none() | PRICES)
    def stop(self, side: Side, quantity: Decimal, price: Decimal, limit: Decimal | None) -> None:
        self._try(Order("alice", "AAA/BBB", side, quantity, triggers=(Trigger(price, side is Side.SELL, limit),)))

    @rule(side=st.sampled_from(Side), quantity=QUANTITIES, low=PRICES, high=PRICES)
    def pair(self, side: Side, quantity: Decimal, low: Decimal, high: Decimal) -> None:
        limit, trigger = (high, low) if side is Side.SELL else (low, high)
        legs = (
            Order("alice", "AAA/BBB", side, quantity, price=limit),
            Order("alice", "AAA/BBB", side, quantity, triggers=(Trigger(trigger, side is Side.SELL),)),
        )
        before = dict(self.spot.orders)
        try:
            self.spot.place_pair(*legs, client_id="")
        except RefusedOrder:
            assert self.spot.orders == before

    @rule(price=PRICES, depth=st.none() | QUANTITIES, piece=st.none() | QUANTITIES)
    def move(self, price: Decimal, depth: Decimal | None, piece: Decimal | None) -> None:
        market = self.spot.markets["AAA/BBB"]
        market.depth, market.largest_trade = depth, piece
        self.spot.move("AAA/BBB", price, price - 1, price + 1)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        resting = self.spot.open_orders("alice")
        if resting:
            self.spot.cancel(data.draw(st.sampled_from(resting)))

    @rule(data=st.data(), quantity=QUANTITIES, price=PRICES)
    def amend(self, data: st.DataObject, quantity: Decimal, price: Decimal) -> None:
        alone = [order for order in self.spot.open_orders("alice") if order.pair is None and order.filled < quantity]
        if not alone:
            return
        order = data.draw(st.sampled_from(alone))
        limit = None if order.price is None else price
        triggers = tuple(replace(each, price=price) for each in order.triggers)
        before = (order.quantity, order.price, order.triggers)
        try:
            self.spot.amend(order, quantity, limit, triggers)
        except RefusedOrder:
            assert (order.quantity, order.price, order.triggers) == before

    @rule(data=st.data(), quantity=QUANTITIES)
    def fill_by_hand(self, data: st.DataObject, quantity: Decimal) -> None:
        limits = [order for order in self.spot.open_orders("alice") if order.price is not None]
        if limits:
            self.spot.force_fill(data.draw(st.sampled_from(limits)), quantity)

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        for asset, begin in (("AAA", Decimal(5)), ("BBB", Decimal(1_000))):
            balance = self.spot.ledger.balance("alice", asset)
            posted = [each for each in self.spot.ledger.postings if each.asset == asset]
            assert balance.free == sum(each.free for each in posted) >= 0
            assert balance.locked == sum(each.locked for each in posted) >= 0
            assert balance.total == begin + sum(self._brought(asset))

    def _brought(self, asset: str) -> list[Decimal]:
        brought = [-each.fee for each in self.spot.executions if each.fee_asset == asset]
        for each in self.spot.executions:
            sign = 1 if each.side is Side.BUY else -1
            brought.append(sign * each.quantity if asset == "AAA" else -sign * each.cost)
        return brought

    @invariant()
    def what_is_locked_belongs_to_open_orders(self) -> None:
        locks = {id(o.lock): o.lock for o in self.spot.open_orders("alice")}
        for asset in ("AAA", "BBB"):
            locked = sum(lock.amount for lock in locks.values() if lock is not None and lock.asset == asset)
            assert self.spot.ledger.balance("alice", asset).locked == locked

    @invariant()
    def fills_add_up_and_no_order_gets_more_than_it_asked_for(self) -> None:
        for order in self.spot.orders.values():
            fills = self.spot.executions_of(order)
            assert order.filled == sum(each.quantity for each in fills) <= order.quantity
            assert order.spent == sum(each.cost for each in fills)

    @invariant()
    def no_leg_trades_beside_its_sibling(self) -> None:
        for pair in self.spot.pairs.values():
            legs = [self.spot.orders[number] for number in pair.legs]
            assert sum(leg.filled > 0 for leg in legs) <= 1
            assert sum(leg.filled for leg in legs) <= legs[0].quantity
            assert all(leg.status.open for leg in legs) or not any(leg.waits and leg.status.open for leg in legs)


class HonestBooksWithFeesInQuote(HonestBooks):
    manner = Rules(fee_in_quote=True, refuses_hit_triggers=False)


class HonestBooksWithChildren(HonestBooks):
    manner = Rules(children=True)


for machine in (HonestBooks, HonestBooksWithFeesInQuote, HonestBooksWithChildren):
    machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBooks = HonestBooks.TestCase
TestBooksWithFeesInQuote = HonestBooksWithFeesInQuote.TestCase
TestBooksWithChildren = HonestBooksWithChildren.TestCase


def test_uncovered_when_a_holding_had_no_stop_then_every_stretch_and_the_longest_are_told() -> None:
    course = [(0, "1", "0"), (10, "1", "1"), (50, "1", "0"), (80, "0.4", "0"), (90, "0", "0"), (95, "2", "1.5")]
    covers = [Cover(time, "alice", "AAA/BBB", Decimal(held), Decimal(stopped)) for time, held, stopped in course]
    stretches = uncovered(covers, Decimal("0.1"))
    assert stretches == [
        Uncovered(0, 10, Decimal(1)),
        Uncovered(50, 90, Decimal(1)),
        Uncovered(95, None, Decimal("0.5")),
    ]
    assert longest_uncovered(stretches, 120) == 40
    assert uncovered(covers[:2], Decimal(1)) == []


def test_protection_when_a_stop_rests_late_then_the_exchange_tells_how_late() -> None:
    with binance_exchange(frozen_at=1_735_689_600_000) as exchange:
        exchange.place("buy", "0.01")
        exchange.clock(advance=250)
        exchange.place("sell", "0.00999", stop="45000")
        exchange.clock(advance=60_000)
        assert exchange.longest_uncovered() == 250
        exchange.price("44000")
        exchange.clock(advance=60_000)
        assert exchange.longest_uncovered() == 250


TRADER = """
import asyncio, json, sys
import ccxt.pro
from tests.local_exchanges.running import Reach, RunningExchange, private_session

async def trade(reach):
    async with private_session(reach) as session:
        client = ccxt.pro.binance({**RunningExchange(reach).config(), "session": session})
        number = 0
        while True:
            number += 1
            await client.create_order("BTC/USDT", "limit", "buy", "0.001", "40000", {"clientOrderId": f"n{number}"})

asyncio.run(trade(Reach.of(json.loads(sys.stdin.readline()))))
"""


def test_exchange_in_its_own_process_when_the_trader_is_killed_then_it_goes_on_with_all_orders() -> None:
    with binance_exchange(own_process=True) as exchange:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
        command = [sys.executable, "-c", TRADER]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, text=True) as trader:
            assert trader.stdin is not None
            trader.stdin.write(json.dumps(exchange.reach.as_json()) + "\n")
            trader.stdin.flush()
            deadline = time.monotonic() + 30
            while len(exchange.orders()) < 5 and time.monotonic() < deadline:
                time.sleep(0.05)
            trader.send_signal(signal.SIGKILL)
        resting = exchange.orders(open_only=True)
        assert len(resting) >= 5
        assert exchange.balance("USDT", kind="locked") == 40 * len(resting)
        exchange.price("39000")
        assert exchange.balance("BTC") == Decimal("0.000999") * len(resting)


PARENT = """
import os
from tests.local_exchanges.binance import binance_exchange
with binance_exchange(own_process=True) as exchange:
    print(exchange.process.pid, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_exchange_in_its_own_process_when_its_parent_dies_then_it_ends_by_itself() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
    deadline = time.monotonic() + 10
    while _runs(orphan) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(orphan)


def _runs(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
