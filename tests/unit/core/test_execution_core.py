"""The life of a trade, event by event, and above all where an exchange says no."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.unit.core.trading import CASH, SERIES, START, entry_fill, exit_fill, setup, spec

from tradepulse.core.execution_core import ExecutionCore, Stage, client_order_id
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_manager import RiskLimits, SizedEntry, size_entry
from tradepulse.domain.commands import CancelProtection, Command, PlaceEntry, PlaceExit, PlaceProtection
from tradepulse.domain.events import (
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    SetupDropped,
)
from tradepulse.domain.market import DAY
from tradepulse.domain.orders import OrderRole
from tradepulse.domain.signals import ExitReason, Setup, Verdict
from tradepulse.shared.errors import InvariantError

MARKET = spec()
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=500_000, min_confluence=1.0)


class Desk:
    """An execution core with an account, and what it commanded last."""

    def __init__(self) -> None:
        self.portfolio = Portfolio({MARKET.key: MARKET})
        self.portfolio.deposit(CASH, START, "start")
        self.core = ExecutionCore("book", self.portfolio)

    def enter(self, found: Setup) -> PlaceEntry:
        sized = size_entry(found, MARKET, self.portfolio, LIMITS, busy=False)
        assert isinstance(sized, SizedEntry)
        _, (command,) = self.core.enter(found, sized)
        assert isinstance(command, PlaceEntry)
        return command

    def open(self, found: Setup) -> PlaceProtection:
        command = self.enter(found)
        _, (protection,) = self.core.on_filled(OrderFilled(entry_fill(MARKET, command, 10_002)))
        assert isinstance(protection, PlaceProtection)
        return protection

    def protect(self, found: Setup) -> PlaceProtection:
        protection = self.open(found)
        for client_id in (protection.stop_client_id, protection.target_client_id):
            assert self.core.on_accepted(OrderAccepted(client_id, START))[1] == []
        return protection

    def overdue(self) -> Sequence[Command]:
        return self.core.leave_overdue(SERIES, START + DAY)[1]

    @property
    def stages(self) -> list[Stage]:
        return [trade.stage for trade in self.core.state.trades.values()]


def test_trade_when_all_goes_well_then_entered_protected_and_closed_at_its_target() -> None:
    desk = Desk()
    protection = desk.protect(setup())
    assert desk.stages == [Stage.PROTECTED]
    assert (protection.stop_ticks, protection.target_ticks) == (9_800, 10_507)
    events, commands = desk.core.on_filled(OrderFilled(exit_fill(MARKET, protection, OrderRole.TARGET, 10_507)))
    closed = next(event for event in events if isinstance(event, PositionClosed))
    assert closed.trade.exit_reason is ExitReason.TARGET
    assert commands == []
    assert desk.core.state.trades == {}
    assert desk.portfolio.positions == {}
    assert desk.portfolio.cash == CASH + closed.trade.profit


def test_entry_when_the_exchange_refuses_then_dropped_with_its_words_and_the_cash_is_free_again() -> None:
    desk = Desk()
    command = desk.enter(setup())
    assert desk.portfolio.free_cash < CASH
    events, commands = desk.core.on_rejected(OrderRejected(command.client_id, "market closed", START))
    assert SetupDropped("first", Verdict.REJECTED_BY_EXCHANGE, "market closed", START) in events
    assert commands == []
    assert desk.portfolio.free_cash == CASH
    assert not desk.core.busy("desk", SERIES)


def test_entry_when_it_expires_then_dropped_with_the_verdict_of_the_exchange() -> None:
    desk = Desk()
    command = desk.enter(setup())
    ended = OrderEnded(command.client_id, Verdict.PRICE_RAN_AWAY, "ran", START)
    events, _ = desk.core.on_ended(ended)
    assert events == [ended, SetupDropped("first", Verdict.PRICE_RAN_AWAY, "ran", START)]


def test_setup_when_entered_twice_then_trading_halts() -> None:
    desk = Desk()
    desk.enter(setup())
    with pytest.raises(InvariantError, match="entered twice"):
        desk.enter(setup())


def test_position_when_its_protection_is_refused_then_closed_at_market_once() -> None:
    desk = Desk()
    protection = desk.open(setup())
    _, commands = desk.core.on_rejected(OrderRejected(protection.stop_client_id, "too many orders", START))
    assert [type(command) for command in commands] == [CancelProtection, PlaceExit]
    leave = commands[1]
    assert isinstance(leave, PlaceExit)
    # The answers to the withdrawal of orders that never rested are refusals too: no second exit follows from them.
    for client_id in (protection.target_client_id, protection.stop_client_id, protection.target_client_id):
        assert desk.core.on_rejected(OrderRejected(client_id, "unknown order", START))[1] == []
    assert desk.stages == [Stage.LEAVING]
    events, _ = desk.core.on_filled(OrderFilled(exit_fill(MARKET, leave, OrderRole.EXIT, 9_990)))
    closed = next(event for event in events if isinstance(event, PositionClosed))
    assert closed.trade.exit_reason is ExitReason.UNPROTECTED
    assert desk.portfolio.positions == {}


def test_position_when_even_its_exit_is_refused_then_trading_halts_and_says_what_to_do() -> None:
    desk = Desk()
    desk.protect(setup())
    cancel, leave = desk.overdue()
    assert isinstance(cancel, CancelProtection)
    assert isinstance(leave, PlaceExit)
    with pytest.raises(InvariantError, match="Close it by hand"):
        desk.core.on_rejected(OrderRejected(leave.client_id, "insufficient balance", START))


def test_position_when_overdue_then_left_once_and_its_end_is_by_time() -> None:
    desk = Desk()
    protection = desk.protect(setup())
    assert desk.core.leave_overdue(SERIES, START)[1] == []
    _, leave = desk.overdue()
    assert isinstance(leave, PlaceExit)
    assert desk.overdue() == []
    ended = OrderEnded(protection.stop_client_id, None, "cancelled", START)
    assert desk.core.on_ended(ended) == ([ended], [])
    events, _ = desk.core.on_filled(OrderFilled(exit_fill(MARKET, leave, OrderRole.EXIT, 10_050)))
    closed = next(event for event in events if isinstance(event, PositionClosed))
    assert closed.trade.exit_reason is ExitReason.TIME


def test_fill_when_reported_again_after_a_restart_then_without_effect() -> None:
    desk = Desk()
    command = desk.enter(setup())
    filled = OrderFilled(entry_fill(MARKET, command, 10_002))
    events, (protection,) = desk.core.on_filled(filled)
    assert any(isinstance(event, PositionOpened) for event in events)
    cash = desk.portfolio.cash
    assert desk.core.on_filled(filled) == ([], [])
    assert isinstance(protection, PlaceProtection)
    stopped = OrderFilled(exit_fill(MARKET, protection, OrderRole.STOP, 9_798))
    desk.core.on_filled(stopped)
    assert desk.portfolio.cash < cash + MARKET.money(10_002 * command.lots)
    cash = desk.portfolio.cash
    assert desk.core.on_filled(stopped) == ([], [])
    assert desk.portfolio.cash == cash


def test_position_when_closed_with_another_size_than_it_has_then_trading_halts() -> None:
    desk = Desk()
    protection = desk.protect(setup())
    partial = exit_fill(MARKET, protection, OrderRole.STOP, 9_800)
    with pytest.raises(InvariantError, match="were closed"):
        desk.core.on_filled(OrderFilled(replace(partial, lots=partial.lots - 1)))


def test_commands_after_a_restart_are_those_the_exchange_does_not_know() -> None:
    desk = Desk()
    entry = desk.enter(setup("waiting"))
    assert desk.core.unfinished([]) == [entry]
    assert desk.core.unfinished([entry.client_id]) == []
    desk.core.on_filled(OrderFilled(entry_fill(MARKET, entry, 10_002)))
    (protection,) = desk.core.unfinished([entry.client_id])
    assert isinstance(protection, PlaceProtection)
    assert desk.core.unfinished([protection.stop_client_id, protection.target_client_id]) == []
    commands = desk.overdue()
    assert desk.core.unfinished([protection.stop_client_id]) == list(commands)


def test_client_ids_fit_every_exchange_and_differ_by_book_setup_and_role() -> None:
    ids = {
        client_order_id(book, name, role)
        for book in ("one", "two")
        for name in ("first", "second")
        for role in OrderRole
    }
    assert len(ids) == 16
    assert all(len(name) == 18 and name.isascii() and name.isalnum() and name == name.lower() for name in ids)
