"""The life of one trade against a small exchange, with everything that can go wrong, in any order.

``PROTECTION_RUNS=3000 PROTECTION_STEPS=60 pytest tests/unit/core/test_protection_model.py`` is the full run.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import TypeAdapter
from tests.unit.core.trading import CASH, SERIES, START, setup
from tests.unit.core.venue_model import MARKET, Resting, Venue

from tradepulse.core.execution_core import ExecutionCore, ExecutionState
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.position_guard import Guard, Leg, LegState, Stage
from tradepulse.core.protection import Outcome, Patience, Protection
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.domain.commands import Command, PlaceExit, PlaceProtection, PlaceStop, QueryOrder
from tradepulse.domain.events import (
    EngineEvent,
    OrderEvent,
    OrderInDoubt,
    OrderRejected,
    PositionClosed,
)
from tradepulse.domain.orders import EntryPlan, Fill, OrderRole, OrderStatus, ProtectionMode
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import StopRules
from tradepulse.domain.signals import ExitReason
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import RefusedError

RUNS = int(os.environ.get("PROTECTION_RUNS", "120"))
STEPS = int(os.environ.get("PROTECTION_STEPS", "30"))
MUTANT_RUNS = int(os.environ.get("PROTECTION_MUTANT_RUNS", "1500"))
LOTS = 1_000
STOP = 9_800
PLAN = EntryPlan(10_002, STOP, 0, 2.5, 1.2, START)
PATIENCE = Patience()
# R are about 200 ticks and the target 500 away.
STOPS = StopRules(break_even_at_ppm=500_000, trail_from_ppm=PPM, trail_by_ppm=500_000, step_ppm=100_000)
STATE = TypeAdapter(ExecutionState)
POSITIONS = TypeAdapter(dict[str, Position])
PRICES = (9_700, 9_800, 9_850, 10_000, 10_100, 10_507, 10_600)


class Crashed(Exception):
    pass


class TradeLife(RuleBasedStateMachine):
    kind_of_protection: type[Protection] = Protection
    patience = PATIENCE
    writes_first = True

    @initialize(
        pairs=st.booleans(),
        stash=st.sampled_from([0, 0, 3 * LOTS]),
        fee_in_base=st.booleans(),
        parts=st.lists(st.sampled_from([1, 90, 150, 400, LOTS]), min_size=1, max_size=3),
        faults=st.lists(st.sampled_from(["", "", "", "no request", "no answer"]), max_size=3),
        lag=st.integers(0, PATIENCE.not_founds - 1),
    )
    def begin(self, pairs: bool, stash: int, fee_in_base: bool, parts: list[int], faults: list[str], lag: int) -> None:
        self.venue = Venue(pairs, stash, fee_in_base, now=START, lag=lag, entry_parts=tuple(parts))
        self.faults = faults
        self.crash, self.survives = "", 0
        self.told: list[EngineEvent] = []
        self.facts: list[EngineEvent] = []
        self.core = self._new_core()
        self.core_cash = CASH
        self.core.protection = self.kind_of_protection(self.patience)
        self._written = self._dumped()
        self._do(lambda: self.core.enter(setup(), SizedEntry(LOTS, PLAN)))

    # --- what the market, others and fate do

    @rule(price=st.sampled_from(PRICES), part=st.sampled_from([1, 60, 300, LOTS, LOTS]), seen=st.booleans())
    def price_moves(self, price: int, part: int, seen: bool) -> None:
        self.venue.price = price
        for order in self.venue.live():
            if order.role is OrderRole.STOP and price <= order.level and order.open:
                self.venue.fill_stop(order, part, price)
            elif order.role is OrderRole.TARGET and price >= order.level and order.open:
                self.venue.fill_target(order, part, takes_the_stop=part != 60)
        if seen:
            self._do(lambda: self.core.on_price(MARKET.key, price, self.venue.now))

    @precondition(lambda self: self.venue.live())
    @rule(lots=st.sampled_from([1, 100, 500, 900, LOTS]), data=st.data())
    def stop_fills_while_it_is_cancelled(self, lots: int, data: st.DataObject) -> None:
        self.venue.races = lots
        self.venue.price = data.draw(st.sampled_from([10_000, 10_600]))
        self._do(lambda: self.core.on_price(MARKET.key, self.venue.price, self.venue.now))
        self.venue.races = 0

    @precondition(lambda self: self.venue.live())
    @rule(data=st.data(), status=st.sampled_from([OrderStatus.CANCELLED, OrderStatus.EXPIRED]))
    def somebody_or_the_exchange_ends_an_order(self, data: st.DataObject, status: OrderStatus) -> None:
        order: Resting = data.draw(st.sampled_from(self.venue.live()))
        self.venue.end(order, status)

    @precondition(lambda self: self.venue.stash == 0)
    @rule(lots=st.sampled_from([1, 200, LOTS]), first_cancels=st.booleans())
    def somebody_sells(self, lots: int, first_cancels: bool) -> None:
        for order in self.venue.live() if first_cancels else ():
            self.venue.end(order, OrderStatus.CANCELLED)
        self.venue.take(min(lots, max(self.venue.arrived() - self.venue.sold() - self.venue.taken, 0)))

    @rule(count=st.integers(1, 4), how=st.sampled_from(["heard", "heard", "lost", "twice"]))
    def stream_tells(self, count: int, how: str) -> None:
        told, self.venue.stream = self.venue.stream[:count], self.venue.stream[count:]
        for event in [] if how == "lost" else told * (2 if how == "twice" else 1):
            self._hear(event)

    @rule(seconds=st.sampled_from([1, 2, 3, 3, 70]))
    def time_passes(self, seconds: int) -> None:
        self.venue.now += seconds * 1_000
        self._do(lambda: self.core.on_time(self.venue.now))

    @rule(
        faults=st.lists(st.sampled_from(["", "no request", "no answer"]), min_size=1, max_size=3),
        lag=st.integers(0, PATIENCE.not_founds - 1),
        thin=st.sampled_from([0, 0, 100, 700]),
    )
    def connection_is_bad(self, faults: list[str], lag: int, thin: int) -> None:
        self.faults, self.venue.lag, self.venue.thin = faults, lag, thin

    @rule(when=st.sampled_from(["before write", "before send", "after send", "now"]), later=st.integers(0, 3))
    def process_dies(self, when: str, later: int) -> None:
        if when == "now":
            self._restart()
        else:
            self.crash, self.survives = when, later

    @rule(dies=st.booleans())
    def wish_changes(self, dies: bool) -> None:
        self._may_die(dies)
        for name in list(self.core.state.trades):
            with contextlib.suppress(RefusedError):
                self._do(lambda name=name: self.core.leave(name, ExitReason.MANUAL, self.venue.now))  # type: ignore[misc]

    @rule(by=st.sampled_from([-40, 1, 20, 20, 150, 600]), dies=st.booleans())
    def stop_is_moved_by_a_person(self, by: int, dies: bool) -> None:
        self._may_die(dies)
        for name, trade in list(self.core.state.trades.items()):
            ticks = trade.position.stop_ticks + by
            with contextlib.suppress(RefusedError):
                self._do(lambda name=name, ticks=ticks: self.core.move_stop(name, ticks, self.venue.now))  # type: ignore[misc]

    @rule(close=st.sampled_from([9_990, 10_110, 10_250, 10_400]), dies=st.booleans())
    def stop_follows_a_close(self, close: int, dies: bool) -> None:
        self._may_die(dies)
        self._do(lambda: self.core.on_price(MARKET.key, close, self.venue.now))
        self._do(lambda: self.core.follow(SERIES, close, self.venue.now))

    def _may_die(self, dies: bool) -> None:
        if dies:
            # In the step after the one that withdraws the protection: what takes its place is sent in it.
            self.crash, self.survives = "before write", 1

    # --- what must hold

    @invariant()
    def never_more_is_sold_than_there_is(self) -> None:
        if not hasattr(self, "venue"):
            return
        ours = self.venue.arrived() - self.venue.taken
        assert self.venue.sold() <= ours, "oversold"
        assert self.venue.sold() + self.venue.may_still_sell() <= self.venue.arrived(), "more is offered than there is"
        stops = [order for order in self.venue.live() if order.role is OrderRole.STOP]
        assert len(stops) <= 1, "two stops rest"

    @invariant()
    def no_stop_ever_stands_further_away_than_one_before(self) -> None:
        if hasattr(self, "venue"):
            levels = [order.level for order in self.venue.orders.values() if order.role is OrderRole.STOP]
            assert levels == sorted(levels), "a stop was moved away from the target"

    @invariant()
    def no_id_is_used_twice(self) -> None:
        if hasattr(self, "venue"):
            assert max(self.venue.placed.values(), default=0) <= 1, "an id was used for a second order"

    def teardown(self) -> None:
        if not hasattr(self, "venue"):
            return
        self.faults, self.crash, self.venue.lag, self.venue.thin, self.venue.races = [], "", 0, 0, 0
        for order in self.venue.orders.values():
            order.unseen = 0
        self.venue.price = 10_000
        for _ in range(150):
            told, self.venue.stream = self.venue.stream, []
            for event in told:
                self._hear(event)
            self.venue.now += 2_500
            self._do(lambda: self.core.on_time(self.venue.now))
            self.never_more_is_sold_than_there_is()
        self.no_id_is_used_twice()
        self.no_stop_ever_stands_further_away_than_one_before()
        self._ends_protected_or_done()

    def _ends_protected_or_done(self) -> None:
        assert not self.core.state.entries, "the entry never ends"
        held = self.venue.arrived() - self.venue.sold() - self.venue.taken
        trades = list(self.core.state.trades.values())
        assert [trade.guard.stage for trade in trades] in ([], [Stage.PROTECTED]), "neither protected nor done"
        self._book_is_right(held)
        if trades:
            (stop,) = [order for order in self.venue.live() if order.role is OrderRole.STOP]
            tracked = trades[0].guard.left
            assert self.venue.may_still_sell() == tracked >= held, "the stop does not cover what is held"
            assert stop.level == trades[0].guard.stop_ticks
        else:
            assert not self.venue.live(), "done, and something still rests"
            assert MARKET.money(held * 10_000) < MARKET.min_notional, "done, and something is still held"

    def _book_is_right(self, held: int) -> None:
        del held
        cash = CASH
        for fill in self.venue.all_fills():
            cash -= fill.side * MARKET.money(fill.ticks * fill.lots) + fill.fee
        assert self.portfolio.cash == cash, "the cash is not what the fills say"
        closed = [event for event in self.facts if isinstance(event, PositionClosed)]
        assert len(closed) == (1 if self.venue.bought() and not self.core.state.trades else 0)

    # --- the host: writes, sends, hears, dies

    def _new_core(self) -> ExecutionCore:
        self.portfolio = Portfolio({MARKET.key: MARKET})
        self.portfolio.cash = CASH
        mode = ProtectionMode.NATIVE if self.venue.pairs else ProtectionMode.EMULATED
        return ExecutionCore("book", self.portfolio, {MARKET.key: mode}, self.patience, STOPS)

    def _dumped(self) -> tuple[bytes, bytes, Any, list[EngineEvent]]:
        return (
            STATE.dump_json(self.core.state),
            POSITIONS.dump_json(self.portfolio.positions),
            self.portfolio.cash,
            list(self.facts),
        )

    def _restart(self) -> None:
        self.crash = ""
        state, positions, cash, facts = self._written
        self.core = self._new_core()
        self.core.protection = self.kind_of_protection(self.patience)
        self.core.state = STATE.validate_json(state)
        self.portfolio.positions = POSITIONS.validate_json(positions)
        self.portfolio.cash, self.facts = cash, facts
        self._do(lambda: ([], self.core.resume(self.venue.now)))

    def _hear(self, event: OrderEvent) -> None:
        self._do(lambda: self.core.on_order(event))

    def _do(self, step: Callable[[], Outcome]) -> None:
        waiting: deque[Callable[[], Outcome]] = deque([step])
        try:
            for _ in range(200):
                if not waiting:
                    return
                answers = self._perform(waiting.popleft())
                waiting.extend(lambda event=event: self.core.on_order(event) for event in answers)  # type: ignore[misc]
            raise AssertionError("it goes round in circles")
        except Crashed:
            self._restart()

    def _perform(self, step: Callable[[], Outcome]) -> list[OrderEvent]:
        facts, commands = step()
        self.facts += facts
        if not self.writes_first:
            answers = self._send(commands)
            self._die("before write")
            self._written = self._dumped()
            return answers
        self._die("before write")
        self._written = self._dumped()
        if any(not isinstance(command, QueryOrder) for command in commands):
            self._die("before send")
        answers = self._send(commands)
        if commands:
            self._die("after send")
        return answers

    def _die(self, moment: str) -> None:
        if self.crash == moment:
            self.survives -= 1
            if self.survives < 0:
                raise Crashed

    def _send(self, commands: list[Command]) -> list[OrderEvent]:
        answers: list[OrderEvent] = []
        for command in commands:
            fault = self.faults.pop(0) if self.faults else ""
            told = [] if fault == "no request" else self.venue.execute(command)
            if fault:
                told = [OrderInDoubt(client_id, "timeout", self.venue.now) for client_id in _ids(command)]
            answers += told
        return answers


def _ids(command: Command) -> list[str]:
    client_id = getattr(command, "client_id", None)
    return [client_id] if client_id else [command.stop_client_id, command.target_client_id]  # type: ignore[union-attr]


def _live_through(kind: type[TradeLife], runs: int, *, shrink: bool = True) -> None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            phases=phases,
            deadline=None,
            derandomize="PROTECTION_RUNS" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_trade_whatever_happens_is_never_oversold_and_ends_protected_or_done() -> None:
    _live_through(TradeLife, RUNS)


# --- mutants: each breaks one rule, and must be found out


class ResendsBlindly(Protection):
    def on_doubt(self, guard: Guard, event: OrderInDoubt) -> Outcome:
        leg = guard.legs[event.client_id]
        if leg.state is not LegState.SENT or leg.role is OrderRole.TARGET:
            return super().on_doubt(guard, event)
        if leg.role is OrderRole.EXIT:
            return [], [PlaceExit(leg.client_id, guard.market, guard.direction, leg.lots, leg.level_ticks or None)]
        return [], [PlaceStop(leg.client_id, guard.market, guard.direction, leg.lots, leg.level_ticks)]


class TakesAnotherIdWithoutAsking(Protection):
    def on_doubt(self, guard: Guard, event: OrderInDoubt) -> Outcome:
        leg = guard.legs[event.client_id]
        if leg.state is LegState.SENT:
            leg.end(0)
        return self.go_on(guard, event.time)


class TakesACancelForGranted(Protection):
    def _withdraw(self, guard: Guard, now: int) -> Iterator[Command]:
        commands = list(super()._withdraw(guard, now))
        for leg in guard.open_legs():
            leg.end(leg.filled)
        return iter([*commands, *self.go_on(guard, now)[1]])


class GivesUpWhenRefused(Protection):
    def on_rejected(self, guard: Guard, event: OrderRejected) -> Outcome:
        guard.legs[event.client_id].end(0)
        guard.dust = not any(guard.open_legs())
        return [], []


class PlacesTheMovedStopFirst(Protection):
    def move_stop(self, guard: Guard, stop_ticks: int, now: int) -> Outcome:
        guard.stop_ticks = stop_ticks
        if guard.stage is not Stage.PROTECTED:
            return self.go_on(guard, now)
        return [], [guard.stop(now) if guard.mode is ProtectionMode.EMULATED else guard.pair(now)]


class MovesTheStopInItsMemoryOnly(Protection):
    @staticmethod
    def _must_withdraw(guard: Guard) -> bool:
        stop, wanted = guard.live(OrderRole.STOP), guard.stop_ticks
        guard.stop_ticks = wanted if stop is None else stop.level_ticks
        must = Protection._must_withdraw(guard)
        guard.stop_ticks = wanted
        return must


def _moves_it_anywhere(self: ExecutionCore, trade: object, stop_ticks: int) -> str:
    del self, trade, stop_ticks
    return ""


def _exits_with_all(self: Guard, limit_ticks: int, reason: ExitReason, now: int) -> PlaceExit:
    command = _EXIT(self, limit_ticks, reason, now)
    whole = self.bought - sum(leg.filled for leg in self.legs.values() if leg.role is OrderRole.EXIT)
    self.legs[command.client_id].lots = whole
    return PlaceExit(command.client_id, command.market, command.direction, whole, command.limit_ticks)


def _keeps_its_generation(self: Guard, now: int) -> PlaceStop:
    command = _STOP(self, now)
    self.generation = 0
    return command


def _pair_keeps_its_generation(self: Guard, now: int) -> PlaceProtection:
    command = _PAIR(self, now)
    self.generation = 0
    return command


def _adds_every_fill(self: Leg, fill: Fill) -> bool:
    self.fill_ids = []
    return _HEAR(self, fill)


_EXIT, _STOP, _PAIR, _HEAR = Guard.exit, Guard.stop, Guard.pair, Leg.hear
MUTANTS: dict[str, tuple[dict[str, object], dict[tuple[type, str], object]]] = {
    "resend-blind": ({"kind_of_protection": ResendsBlindly}, {}),
    "first-not-found": ({"patience": Patience(not_founds=2)}, {}),
    "new-id-without-query": ({"kind_of_protection": TakesAnotherIdWithoutAsking}, {}),
    "persist-after-send": ({"writes_first": False}, {}),
    "cancel-assumed": ({"kind_of_protection": TakesACancelForGranted}, {}),
    "ignore-stop-fills": ({}, {(Guard, "exit"): _exits_with_all}),
    "same-generation": ({}, {(Guard, "stop"): _keeps_its_generation, (Guard, "pair"): _pair_keeps_its_generation}),
    "additive-fills": ({}, {(Leg, "hear"): _adds_every_fill}),
    "give-up-on-refusal": ({"kind_of_protection": GivesUpWhenRefused}, {}),
    "moved-stop-first": ({"kind_of_protection": PlacesTheMovedStopFirst}, {}),
    "stop-moved-in-memory": ({"kind_of_protection": MovesTheStopInItsMemoryOnly}, {}),
    "stop-moved-away": ({}, {(ExecutionCore, "_why_not_moved"): _moves_it_anywhere}),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_protection_that_breaks_a_rule_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attributes, patches = MUTANTS[name]
    for (owner, method), broken in patches.items():
        monkeypatch.setattr(owner, method, broken)
    with pytest.raises(AssertionError):
        _live_through(type("Mutant", (TradeLife,), attributes), MUTANT_RUNS, shrink=False)
