"""The life of a trade, event by event, and above all where an exchange says no or nothing."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.core.trading import CASH, SERIES, START, entry_fill, exit_fill, fill, setup, spec

from tradepulse.core.execution_core import ExecutionCore, OpenTrade, client_order_id
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.position_guard import Stage
from tradepulse.core.protection import Patience
from tradepulse.core.risk_manager import RiskLimits, SizedEntry, size_entry
from tradepulse.domain.commands import (
    CancelOrder,
    CancelProtection,
    Command,
    PlaceEntry,
    PlaceExit,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import (
    EngineEvent,
    ExecutionAlarm,
    LedgerPosted,
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    PositionResized,
    ProtectionLost,
    ProtectionPlaced,
    SetupDropped,
)
from tradepulse.domain.market import DAY
from tradepulse.domain.orders import OrderRole, OrderStatus, ProtectionMode
from tradepulse.domain.risk import FIXED, StopRules
from tradepulse.domain.signals import Direction, ExitReason, Setup, Verdict
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import InvariantError, RefusedError

MARKET = spec()
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=500_000, min_confluence=1.0)


class Desk:
    """An execution core with an account, and what it told and commanded last."""

    def __init__(
        self,
        mode: ProtectionMode = ProtectionMode.NATIVE,
        patience: Patience | None = None,
        stops: StopRules = FIXED,
    ) -> None:
        self.portfolio = Portfolio({MARKET.key: MARKET})
        self.portfolio.deposit(CASH, START, "start")
        self.core = ExecutionCore("book", self.portfolio, {MARKET.key: mode}, patience, stops)
        self.facts: list[EngineEvent] = []

    def enter(self, found: Setup) -> PlaceEntry:
        sized = size_entry(found, MARKET, self.portfolio, LIMITS, busy=False)
        assert isinstance(sized, SizedEntry)
        _, (command,) = self.core.enter(found, sized)
        assert isinstance(command, PlaceEntry)
        return command

    def hear(self, *events: OrderEvent) -> list[Command]:
        commands: list[Command] = []
        for event in events:
            facts, more = self.core.on_order(event)
            self.facts += facts
            commands += more
        return commands

    def open(self) -> Command:
        (protection,) = self.hear(OrderFilled(entry_fill(MARKET, self.enter(setup()), 10_002)))
        return protection

    def protect(self) -> PlaceProtection:
        protection = self.open()
        assert isinstance(protection, PlaceProtection)
        for client_id in (protection.stop_client_id, protection.target_client_id):
            assert self.hear(OrderAccepted(client_id, START)) == []
        return protection

    def stop_alone(self) -> PlaceStop:
        stop = self.open()
        assert isinstance(stop, PlaceStop)
        assert self.hear(OrderAccepted(stop.client_id, START)) == []
        return stop

    def overdue(self) -> Sequence[Command]:
        return self.core.leave_overdue(SERIES, START + DAY)[1]

    def told(self, kind: type) -> list[EngineEvent]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def trade(self) -> OpenTrade:
        (trade,) = self.core.state.trades.values()
        return trade


def ended(client_id: str, filled: int = 0, status: OrderStatus = OrderStatus.CANCELLED) -> OrderEnded:
    return OrderEnded(client_id, None, str(status), START + DAY, status, filled)


def sold(command: PlaceStop | PlaceExit, lots: int, ticks: int, name: str = "1") -> OrderFilled:
    role = OrderRole.EXIT if isinstance(command, PlaceExit) else OrderRole.STOP
    one = fill(MARKET, command.client_id, role, Direction.SHORT, ticks, lots)
    return OrderFilled(replace(one, fill_id=f"{command.client_id}-{name}"))


def closed(desk: Desk) -> PositionClosed:
    (event,) = desk.told(PositionClosed)
    assert isinstance(event, PositionClosed)
    return event


def test_trade_when_all_goes_well_then_entered_protected_and_closed_at_its_target() -> None:
    desk = Desk()
    protection = desk.protect()
    assert desk.trade.stage is Stage.PROTECTED
    assert (protection.stop_ticks, protection.target_ticks) == (9_800, 10_507)
    assert [type(fact) for fact in desk.facts].count(ProtectionPlaced) == 1
    assert desk.hear(OrderFilled(exit_fill(MARKET, protection, OrderRole.TARGET, 10_507))) == []
    assert closed(desk).trade.exit_reason is ExitReason.TARGET
    assert desk.portfolio.positions == {}
    assert desk.portfolio.cash == CASH + closed(desk).trade.profit
    # What rests on the exchange is watched until it has ended.
    assert desk.core.busy("desk", SERIES)
    assert desk.hear(ended(protection.stop_client_id)) == []
    assert desk.core.state.trades == {}


def test_entry_when_the_exchange_refuses_then_dropped_with_its_words_and_the_cash_is_free_again() -> None:
    desk = Desk()
    command = desk.enter(setup())
    assert desk.portfolio.free_cash < CASH
    assert desk.hear(OrderRejected(command.client_id, "market closed", START)) == []
    assert SetupDropped("first", Verdict.REJECTED_BY_EXCHANGE, "market closed", START) in desk.facts
    assert desk.portfolio.free_cash == CASH
    assert not desk.core.busy("desk", SERIES)


def test_entry_when_it_expires_then_dropped_with_the_verdict_of_the_exchange() -> None:
    desk = Desk()
    expired = OrderEnded(desk.enter(setup()).client_id, Verdict.PRICE_RAN_AWAY, "ran", START)
    desk.hear(expired)
    assert desk.facts == [expired, SetupDropped("first", Verdict.PRICE_RAN_AWAY, "ran", START)]


def test_setup_when_entered_twice_then_trading_halts() -> None:
    desk = Desk()
    desk.enter(setup())
    with pytest.raises(InvariantError, match="entered twice"):
        desk.enter(setup())


def test_entry_when_it_fills_in_parts_then_protected_at_once_resized_once_and_its_money_is_exact() -> None:
    desk = Desk()
    command = desk.enter(setup())
    whole = entry_fill(MARKET, command, 10_001)
    parts = [
        replace(whole, fill_id="a", lots=700, ticks=10_001),
        replace(whole, fill_id="b", lots=301, ticks=10_004),
    ]
    (first,) = desk.hear(OrderFilled(parts[0]))
    assert isinstance(first, PlaceProtection)
    assert first.lots == 700
    assert desk.hear(OrderFilled(parts[1]), OrderFilled(parts[1])) == []
    assert desk.hear(ended(command.client_id, 1_001, OrderStatus.EXPIRED)) == []
    # More is held than is protected: what rests is withdrawn, and only its end brings the larger pair.
    (withdrawn,) = desk.hear(OrderAccepted(first.stop_client_id, START), OrderAccepted(first.target_client_id, START))
    assert withdrawn == CancelProtection(first.stop_client_id, first.target_client_id, MARKET.key, first.pair_client_id)
    assert desk.hear(ended(first.stop_client_id)) == []
    (second,) = desk.hear(ended(first.target_client_id))
    assert isinstance(second, PlaceProtection)
    assert (second.lots, second.stop_client_id[-3:]) == (1_001, "001")
    position = desk.portfolio.positions["first"]
    assert position.entry_units == 700 * 10_001 + 301 * 10_004
    desk.hear(OrderFilled(exit_fill(MARKET, second, OrderRole.TARGET, 10_507)))
    assert closed(desk).trade.quantity == MARKET.quantity(1_001)
    assert desk.portfolio.cash == CASH + closed(desk).trade.profit
    assert len([fact for fact in desk.facts if isinstance(fact, OrderFilled)]) == 3


def test_entry_when_it_fills_in_parts_told_together_then_protected_once_for_all_of_it() -> None:
    desk = Desk()
    command = desk.enter(setup())
    whole = entry_fill(MARKET, command, 10_001)
    desk.core.more_to_come = True
    for name, lots in (("a", 700), ("b", 200), ("c", 101)):
        assert desk.hear(OrderFilled(replace(whole, fill_id=name, lots=lots))) == []
    desk.core.more_to_come = False
    # Also where the last fact is no news, or some of its fills are still to come.
    (protection,) = desk.hear(ended(command.client_id, 1_050, OrderStatus.EXPIRED))
    assert isinstance(protection, PlaceProtection)
    assert protection.lots == 1_001
    assert desk.hear(OrderFilled(replace(whole, fill_id="c", lots=101))) == []


def test_fee_in_the_base_asset_then_only_what_arrived_is_protected() -> None:
    desk = Desk()
    command = desk.enter(setup())
    kept = MARKET.quantity(command.lots) / 1_000
    (pair,) = desk.hear(OrderFilled(replace(entry_fill(MARKET, command, 10_002), fee=Decimal(0), fee_lots_base=kept)))
    assert isinstance(pair, PlaceProtection)
    assert pair.lots == int(command.lots * 0.999)
    desk.hear(OrderFilled(exit_fill(MARKET, pair, OrderRole.TARGET, 10_507)))
    assert desk.portfolio.cash == CASH + closed(desk).trade.profit


def test_protection_when_refused_three_times_then_closed_at_market_with_an_alarm() -> None:
    desk = Desk()
    command = desk.open()
    for generation in range(3):
        assert isinstance(command, PlaceProtection)
        assert command.stop_client_id.endswith(f"s00{generation}")
        (command,) = desk.hear(
            OrderRejected(command.stop_client_id, "too many orders", START),
            OrderRejected(command.target_client_id, "too many orders", START),
        )
    assert isinstance(command, PlaceExit)
    assert [fact.alarm for fact in desk.told(ExecutionAlarm) if isinstance(fact, ExecutionAlarm)] == ["refused"]
    desk.hear(OrderFilled(exit_fill(MARKET, command, OrderRole.EXIT, 9_990)))
    assert closed(desk).trade.exit_reason is ExitReason.UNPROTECTED
    assert desk.core.state.trades == {}


def test_stop_when_refused_because_the_price_is_beyond_it_then_left_at_market_at_once() -> None:
    desk = Desk(ProtectionMode.EMULATED)
    stop = desk.open()
    assert isinstance(stop, PlaceStop)
    desk.core.on_price(MARKET.key, 9_790, START + DAY)
    (leave,) = desk.hear(OrderRejected(stop.client_id, "would trigger immediately", START))
    assert leave == PlaceExit(
        client_order_id("book", "first", OrderRole.EXIT, 1), MARKET.key, Direction.LONG, stop.lots
    )
    desk.hear(sold(leave, stop.lots, 9_788))
    assert closed(desk).trade.exit_reason is ExitReason.STOP


def test_position_when_pairs_are_not_possible_any_more_after_a_restart_then_protected_by_a_stop_alone() -> None:
    desk = Desk()
    pair, state = desk.open(), desk.core.state
    assert isinstance(pair, PlaceProtection)
    desk.core = ExecutionCore("book", desk.portfolio, {MARKET.key: ProtectionMode.EMULATED}, Patience(not_founds=1))
    desk.core.state = state
    assert desk.hear(OrderNotFound(pair.stop_client_id, START)) == []
    (stop,) = desk.hear(OrderNotFound(pair.target_client_id, START))
    assert isinstance(stop, PlaceStop)
    assert (stop.lots, stop.stop_ticks) == (pair.lots, pair.stop_ticks)


def test_exit_when_refused_then_tried_again_after_a_pause_and_never_given_up() -> None:
    desk = Desk(ProtectionMode.EMULATED)
    stop = desk.stop_alone()
    desk.overdue()
    (leave,) = desk.hear(ended(stop.client_id))
    for _ in range(2):
        assert isinstance(leave, PlaceExit)
        (leave,) = desk.hear(OrderRejected(leave.client_id, "halted", START + DAY))
    assert isinstance(leave, PlaceExit)
    assert desk.hear(OrderRejected(leave.client_id, "halted", START + DAY)) == []
    assert desk.core.on_time(START + DAY + 1_000) == ([], [])
    _, (leave,) = desk.core.on_time(START + DAY + 5_000)
    assert isinstance(leave, PlaceExit)
    desk.hear(sold(leave, leave.lots, 10_000))
    assert closed(desk).trade.exit_reason is ExitReason.TIME


def test_exit_is_not_sent_before_every_leg_of_the_pair_has_ended_for_certain() -> None:
    desk = Desk()
    protection = desk.protect()
    assert desk.core.leave_overdue(SERIES, START) == ([], [])
    (withdrawn,) = desk.overdue()
    assert isinstance(withdrawn, CancelProtection)
    assert desk.overdue() == []
    assert desk.hear(OrderInDoubt(protection.stop_client_id, "timeout", START + DAY)) == []
    assert desk.hear(ended(protection.target_client_id)) == []
    _, asked = desk.core.on_time(START + DAY + 2_000)
    assert asked == [QueryOrder(protection.stop_client_id, MARKET.key)]
    # It still rests: the withdrawal was lost, and is sent again.
    assert desk.hear(OrderAccepted(protection.stop_client_id, START + DAY + 2_000)) == [
        CancelOrder(protection.stop_client_id, MARKET.key)
    ]
    part = exit_fill(MARKET, protection, OrderRole.STOP, 9_800)
    # It ended with a part filled that was not heard of yet: nothing is sold on a guess.
    assert desk.hear(ended(protection.stop_client_id, 500)) == []
    (leave,) = desk.hear(OrderFilled(replace(part, lots=500)))
    assert isinstance(leave, PlaceExit)
    assert leave.lots == protection.lots - 500
    desk.hear(OrderFilled(exit_fill(MARKET, leave, OrderRole.EXIT, 10_050)))
    assert closed(desk).trade.exit_reason is ExitReason.TIME
    assert desk.portfolio.cash == CASH + closed(desk).trade.profit


def test_emulated_target_when_reached_then_stop_withdrawn_sold_at_the_limit_and_the_rest_protected_again() -> None:
    desk = Desk(ProtectionMode.EMULATED)
    stop = desk.stop_alone()
    assert desk.core.on_price(MARKET.key, 10_506, START + DAY) == ([], [])
    _, (withdrawn,) = desk.core.on_price(MARKET.key, 10_507, START + DAY)
    assert withdrawn == CancelOrder(stop.client_id, MARKET.key)
    (leave,) = desk.hear(ended(stop.client_id))
    assert isinstance(leave, PlaceExit)
    assert (leave.limit_ticks, leave.lots) == (10_507, stop.lots)
    assert desk.hear(sold(leave, 400, 10_507)) == []
    (again,) = desk.hear(ended(leave.client_id, 400, OrderStatus.EXPIRED))
    assert isinstance(again, PlaceStop)
    assert (again.lots, again.client_id[-4:]) == (stop.lots - 400, "s002")
    assert [type(fact) for fact in desk.facts].count(ProtectionLost) == 1
    desk.hear(OrderAccepted(again.client_id, START), sold(again, again.lots, 9_799))
    assert closed(desk).trade.exit_reason is ExitReason.STOP
    assert desk.portfolio.cash == CASH + closed(desk).trade.profit


def test_pair_when_its_sibling_expires_with_a_rest_left_then_the_rest_is_protected_again() -> None:
    desk = Desk()
    pair = desk.protect()
    part = replace(exit_fill(MARKET, pair, OrderRole.TARGET, 10_507), lots=600)
    assert desk.hear(OrderFilled(part)) == []
    # The exchange takes the stop away once the target begins to fill: the target must go before a new pair can come.
    assert desk.hear(ended(pair.stop_client_id, 0, OrderStatus.EXPIRED)) == [
        CancelOrder(pair.target_client_id, MARKET.key)
    ]
    (again,) = desk.hear(ended(pair.target_client_id, 600))
    assert isinstance(again, PlaceProtection)
    assert again.lots == pair.lots - 600


def test_pair_of_which_one_leg_is_gone_and_the_other_stays_then_asked_and_then_replaced() -> None:
    desk = Desk()
    pair = desk.protect()
    assert desk.hear(ended(pair.target_client_id)) == []
    assert desk.core.on_time(START + 1_000)[1] == [QueryOrder(pair.stop_client_id, MARKET.key)]
    assert desk.hear(OrderAccepted(pair.stop_client_id, START + 1_100)) == []
    assert desk.core.on_time(START + 3_000)[1] == [CancelOrder(pair.stop_client_id, MARKET.key)]
    (again,) = desk.hear(ended(pair.stop_client_id))
    assert isinstance(again, PlaceProtection)


def test_placing_in_doubt_is_asked_until_believed_lost_and_the_next_order_has_another_id() -> None:
    desk = Desk(ProtectionMode.EMULATED, Patience(not_founds=3))
    stop = desk.open()
    assert isinstance(stop, PlaceStop)
    assert desk.hear(OrderInDoubt(stop.client_id, "timeout", START)) == []
    again: list[Command] = []
    for second in (2_000, 4_000, 6_000):
        assert again == []
        assert desk.core.on_time(START + second - 1)[1] == []
        assert desk.core.on_time(START + second)[1] == [QueryOrder(stop.client_id, MARKET.key)]
        again = desk.hear(OrderNotFound(stop.client_id, START + second))
    (another,) = again
    assert isinstance(another, PlaceStop)
    assert another.client_id == stop.client_id[:-1] + "1"
    # It had arrived after all: the surplus is withdrawn.
    commands = desk.hear(OrderAccepted(another.client_id, START), OrderAccepted(stop.client_id, START))
    assert {command.client_id for command in commands if isinstance(command, CancelOrder)} >= {stop.client_id}


def test_entry_that_never_arrived_is_dropped_because_its_price_is_gone() -> None:
    desk = Desk(patience=Patience(not_founds=2))
    entry = desk.enter(setup())
    assert desk.hear(OrderInDoubt(entry.client_id, "timeout", START)) == []
    assert desk.hear(OrderNotFound(entry.client_id, START)) == []
    assert desk.hear(OrderNotFound(entry.client_id, START)) == []
    assert isinstance(desk.facts[-1], SetupDropped)
    assert desk.core.state.entries == {}


def test_position_of_which_somebody_sold_a_part_then_shrunk_flagged_and_at_no_profit_or_loss() -> None:
    desk = Desk(ProtectionMode.EMULATED)
    stop = desk.stop_alone()
    (again,) = desk.hear(ended(stop.client_id))
    assert isinstance(again, PlaceStop)
    (smaller,) = desk.hear(OrderRejected(again.client_id, "insufficient balance", START, free_lots=1_000))
    assert isinstance(smaller, PlaceStop)
    assert smaller.lots == 1_000
    assert {fact.alarm for fact in desk.told(ExecutionAlarm) if isinstance(fact, ExecutionAlarm)} == {
        "stop ended",
        "taken",
    }
    assert [type(fact) for fact in desk.facts].count(PositionResized) == 1
    desk.hear(sold(smaller, 1_000, 10_002))
    trade = closed(desk).trade
    assert trade.profit == -trade.fees
    entries = [entry for fact in desk.told(LedgerPosted) if isinstance(fact, LedgerPosted) for entry in fact.entries]
    assert desk.portfolio.cash == CASH + sum((entry.cash for entry in entries), Decimal(0))
    assert sum((entry.quantity for entry in entries), Decimal(0)) == 0


def test_rest_too_small_for_any_order_is_a_terminal_state_and_told() -> None:
    desk = Desk(ProtectionMode.EMULATED)
    stop = desk.stop_alone()
    assert desk.hear(sold(stop, stop.lots - 50, 9_800)) == []
    assert desk.hear(ended(stop.client_id, stop.lots - 50)) == []
    assert "dust" in {fact.alarm for fact in desk.told(ExecutionAlarm) if isinstance(fact, ExecutionAlarm)}
    assert closed(desk).trade.exit_reason is ExitReason.STOP
    assert desk.core.state.trades == {}


def test_stop_when_moved_then_replaced_and_never_moved_towards_more_risk() -> None:
    desk = Desk()
    pair = desk.protect()
    desk.core.on_price(MARKET.key, 10_200, START + DAY)
    _, (withdrawn,) = desk.core.move_stop("first", 10_010, START)
    assert isinstance(withdrawn, CancelProtection)
    (again,) = desk.hear(ended(pair.stop_client_id), ended(pair.target_client_id))
    assert isinstance(again, PlaceProtection)
    assert (again.stop_ticks, again.target_ticks) == (10_010, pair.target_ticks)
    wrong = {9_900: "not towards the target", 10_010: "not towards the target", 10_507: "short of its target at 105.07"}
    for ticks, why in {**wrong, 10_200: "the price is at 102.00, it would sell at once"}.items():
        with pytest.raises(RefusedError, match=why):
            desk.core.move_stop("first", ticks, START)
    desk.core.leave("first", ExitReason.MANUAL, START)
    with pytest.raises(RefusedError, match="being closed already"):
        desk.core.move_stop("first", 10_050, START)
    desk.hear(OrderFilled(exit_fill(MARKET, again, OrderRole.STOP, 10_010)))
    assert closed(desk).trade.stop_price == MARKET.price(10_010)


@pytest.mark.parametrize(("bid", "moves"), [(10_150, 1), (10_020, 0)])
def test_stop_when_the_price_has_fallen_below_where_it_would_go_since_the_bar_closed_then_not_moved(
    bid: int, moves: int
) -> None:
    desk = Desk(stops=StopRules(trail_from_ppm=PPM // 2, trail_by_ppm=PPM // 2))
    desk.protect()
    closed_at = START + DAY
    desk.core.on_price(MARKET.key, bid, closed_at + 900)
    # The candle arrives a second after its close, and the engine takes its close for a price first.
    desk.core.on_price(MARKET.key, 10_200, closed_at)
    _, commands = desk.core.follow(SERIES, 10_200, closed_at)
    assert [type(command) for command in commands] == [CancelProtection] * moves
    assert desk.trade.guard.stop_ticks == (10_099 if moves else 9_800)
    # Nothing is moved while the position is being left.
    desk.core.leave("first", ExitReason.MANUAL, closed_at)
    assert desk.core.follow(SERIES, 10_400, closed_at) == ([], [])


def test_target_seen_and_gone_while_pairs_are_refused_then_tried_there_once_and_left_at_market() -> None:
    desk = Desk()
    pair = desk.protect()
    desk.core.on_price(MARKET.key, 10_600, START + DAY)
    command = desk.hear(ended(pair.stop_client_id), ended(pair.target_client_id))[-1]
    exits: list[int | None] = []
    for _ in range(12):
        if isinstance(command, PlaceProtection):
            refused = [command.stop_client_id, command.target_client_id]
            (command,) = desk.hear(*(OrderRejected(one, "would trigger", START + DAY) for one in refused))
        else:
            assert isinstance(command, PlaceExit)
            exits.append(command.limit_ticks)
            if command.limit_ticks is None:
                break
            (command,) = desk.hear(ended(command.client_id, status=OrderStatus.EXPIRED))
    assert exits == [10_507, None]
    assert {fact.alarm for fact in desk.told(ExecutionAlarm) if isinstance(fact, ExecutionAlarm)} >= {"refused"}


def test_fill_when_reported_again_then_without_effect() -> None:
    desk = Desk()
    filled = OrderFilled(entry_fill(MARKET, desk.enter(setup()), 10_002))
    (protection,) = desk.hear(filled)
    assert len(desk.told(PositionOpened)) == 1
    cash = desk.portfolio.cash
    assert desk.core.on_order(filled) == ([], [])
    assert isinstance(protection, PlaceProtection)
    stopped = OrderFilled(exit_fill(MARKET, protection, OrderRole.STOP, 9_798))
    desk.hear(stopped)
    after = desk.portfolio.cash
    assert after > cash
    assert desk.core.on_order(stopped) == ([], [])
    assert desk.portfolio.cash == after


def test_restart_asks_about_every_order_that_has_not_ended() -> None:
    desk = Desk()
    entry = desk.enter(setup())
    assert desk.core.resume(START) == [QueryOrder(entry.client_id, MARKET.key)]
    desk.hear(OrderFilled(entry_fill(MARKET, entry, 10_002)))
    trade = desk.trade
    both = [QueryOrder(trade.stop_client_id, MARKET.key), QueryOrder(trade.target_client_id, MARKET.key)]
    assert desk.core.resume(START) == both
    desk.hear(OrderAccepted(trade.stop_client_id, START), OrderAccepted(trade.target_client_id, START))
    desk.overdue()
    assert desk.core.resume(START) == both
    desk.hear(ended(trade.stop_client_id), ended(trade.target_client_id))
    assert desk.core.resume(START) == [QueryOrder(client_order_id("book", "first", OrderRole.EXIT, 1), MARKET.key)]


def test_client_ids_fit_every_exchange_and_differ_by_book_setup_and_role() -> None:
    ids = {
        client_order_id(book, name, role)
        for book in ("one", "two")
        for name in ("first", "second")
        for role in OrderRole
    }
    assert len(ids) == 16
    assert all(len(name) == 18 and name.isascii() and name.isalnum() and name == name.lower() for name in ids)
