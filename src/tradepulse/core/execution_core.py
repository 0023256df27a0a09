"""Life of a trade: entry on its way → position protected → leaving → closed.

Pure and synchronous: order events in, facts and commands out. What it remembers is in ``ExecutionState``, which is
written down with every step, so that after a kill everything that may have happened meanwhile is asked for.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tradepulse.core.portfolio import EXIT_REASONS, Portfolio
from tradepulse.core.position_guard import Guard, Leg, LegState, Stage
from tradepulse.core.protection import Outcome, Patience, Protection
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.core.stop_policy import StopMove, moved_stop
from tradepulse.domain.client_ids import TRADE_LENGTH, ClientId, IdRole
from tradepulse.domain.commands import CancelOrder, Command, PlaceEntry, QueryOrder
from tradepulse.domain.events import (
    EngineEvent,
    EntryPlanned,
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
    SetupDropped,
)
from tradepulse.domain.market import MarketKey, MarketKind, SeriesKey
from tradepulse.domain.orders import Fill, OrderRole, ProtectionMode
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import FIXED, StopRules
from tradepulse.domain.signals import ExitReason, Setup, Verdict
from tradepulse.kernels import fills
from tradepulse.shared.errors import InvariantError, RefusedError

ID_ROLES = {
    OrderRole.ENTRY: IdRole.ENTRY,
    OrderRole.STOP: IdRole.STOP,
    OrderRole.TARGET: IdRole.TARGET,
    OrderRole.EXIT: IdRole.EXIT,
}


def client_order_id(book: str, setup_id: str, role: OrderRole, generation: int = 0) -> str:
    """Same setup, same id; the trade's part of it is a hash."""
    digest = hashlib.sha256(f"{book}|{setup_id}".encode()).digest()
    trade = base64.b32encode(digest).decode("ascii").lower()[:TRADE_LENGTH]
    return str(ClientId(trade, ID_ROLES[role], generation))


@dataclass(slots=True)
class PendingEntry:
    setup: Setup
    sized: SizedEntry
    order: Leg

    @classmethod
    def intended(cls, client_id: str, setup: Setup, sized: SizedEntry) -> "PendingEntry":
        order = Leg(client_id, OrderRole.ENTRY, sized.lots, sized.plan.planned_ticks, setup.found_at)
        return cls(setup, sized, order)

    @property
    def client_id(self) -> str:
        return self.order.client_id

    @property
    def open_lots(self) -> int:
        """What may still fill."""
        return self.sized.lots - self.order.filled


@dataclass(slots=True)
class OpenTrade:
    """``position`` is as it was last; it is kept after its end until nothing of the trade rests on the exchange."""

    position: Position
    guard: Guard
    closed: bool = False

    @property
    def stage(self) -> Stage:
        return self.guard.stage

    @property
    def stop_client_id(self) -> str:
        return self._last(OrderRole.STOP)

    @property
    def target_client_id(self) -> str:
        return self._last(OrderRole.TARGET)

    def _last(self, role: OrderRole) -> str:
        return next((leg.client_id for leg in reversed(self.guard.legs.values()) if leg.role is role), "")


@dataclass(slots=True)
class ExecutionState:
    entries: dict[str, PendingEntry] = field(default_factory=dict)
    """By client order id."""
    trades: dict[str, OpenTrade] = field(default_factory=dict)
    """By position id."""


class ExecutionCore:
    """``modes``: how the exchange of a market protects a position; as a native pair where nothing else is said.

    ``stops``: whether and when the stop of a position follows its price.
    """

    def __init__(
        self,
        book: str,
        portfolio: Portfolio,
        modes: Mapping[MarketKey, ProtectionMode] | None = None,
        patience: Patience | None = None,
        stops: StopRules = FIXED,
    ) -> None:
        self._book = book
        self._stops = stops
        self._portfolio = portfolio
        self._modes = dict(modes or {})
        self.protection = Protection(patience or Patience(), self._modes)
        self.state = ExecutionState()
        self.more_to_come = False
        """Whether further facts of the order of this event are known and come next."""
        self._waiting: list[str] = []
        """Positions that are protected after them."""

    def busy(self, strategy: str, series: SeriesKey) -> bool:
        entering = any(
            entry.setup.strategy == strategy and entry.setup.series == series for entry in self.state.entries.values()
        )
        return entering or any(
            trade.position.strategy == strategy and trade.position.series == series
            for trade in self.state.trades.values()
        )

    def enter(self, setup: Setup, sized: SizedEntry) -> Outcome:
        client_id = client_order_id(self._book, setup.setup_id, OrderRole.ENTRY)
        if client_id in self.state.entries:
            raise InvariantError(f"Setup {setup.setup_id} would be entered twice.")
        entry = PendingEntry.intended(client_id, setup, sized)
        self.state.entries[client_id] = entry
        plan, market = sized.plan, setup.series.market
        self._portfolio.reserve(client_id, market, sized.lots, plan.planned_ticks, plan.stop_ticks)
        spec = self._portfolio.spec(market)
        planned = EntryPlanned(
            client_id,
            setup.setup_id,
            sized.lots,
            spec.price(plan.planned_ticks),
            spec.price(plan.stop_ticks),
            setup.found_at,
        )
        return [planned], [_place_entry(entry)]

    def leave_overdue(self, series: SeriesKey, time: int) -> Outcome:
        """Close at market every position of the series whose time is over."""
        outcome: Outcome = [], []
        for trade in list(self.state.trades.values()):
            overdue = trade.position.series == series and trade.position.close_after <= time
            if overdue and trade.guard.leaving is None and not trade.closed:
                _add(outcome, self._of(trade, self.protection.leave(trade.guard, ExitReason.TIME, time), time))
        return outcome

    def leave(self, position_id: str, reason: ExitReason, time: int) -> Outcome:
        trade = self._trade(position_id)
        return self._of(trade, self.protection.leave(trade.guard, reason, time), time)

    def withdraw(self, setup_id: str) -> list[Command]:
        """Cancel an entry that was sent and has not filled; what fills before the cancellation arrives is protected."""
        return [_withdraw(entry) for entry in self.state.entries.values() if entry.setup.setup_id == setup_id]

    def withdraw_all(self) -> list[Command]:
        return [_withdraw(entry) for entry in self.state.entries.values() if not entry.order.withdrawing]

    def follow(self, series: SeriesKey, close_ticks: int, time: int) -> Outcome:
        """After a bar of the series closed: move the stops that belong elsewhere now."""
        outcome: Outcome = [], []
        if not self._stops.moves:
            return outcome
        for trade in list(self.state.trades.values()):
            if trade.position.series != series or trade.closed or trade.guard.being_left:
                continue
            move = moved_stop(self._stops, trade.position, self._portfolio.spec(series.market), close_ticks)
            # A price that was seen since says that it would not rest but sell.
            if move is not None and not trade.guard.has_passed(move.ticks):
                _add(outcome, self._move(trade, move, time))
        return outcome

    def move_stop(self, position_id: str, stop_ticks: int, time: int, reason: str = "stop moved") -> Outcome:
        """A stop is only ever moved towards the target, and never so far that it would sell at once."""
        trade = self._trade(position_id)
        refusal = self._why_not_moved(trade, stop_ticks)
        if refusal:
            raise RefusedError(refusal, "Move a stop towards the target and behind the price, or close the position.")
        return self._move(trade, StopMove(stop_ticks, reason), time)

    def _why_not_moved(self, trade: OpenTrade, stop_ticks: int) -> str:
        position, spec = trade.position, self._portfolio.spec(trade.position.series.market)
        wanted, name = f"{spec.price(stop_ticks):f}", position.position_id
        if trade.guard.being_left:
            return f"Position {name} is being closed already."
        if position.direction * (stop_ticks - position.stop_ticks) <= 0:
            stands = f"The stop of {name} stands at {spec.price(position.stop_ticks):f}"
            return f"{stands} and cannot be moved to {wanted}: that is not towards the target."
        if position.direction * (position.target_ticks - stop_ticks) <= 0:
            target = f"{spec.price(position.target_ticks):f}"
            return f"The stop of {name} cannot be moved to {wanted}: that is not short of its target at {target}."
        if trade.guard.has_passed(stop_ticks):
            last = f"{spec.price(trade.guard.seen_ticks):f}"
            return f"The stop of {name} cannot be moved to {wanted}: the price is at {last}, it would sell at once."
        return ""

    def _move(self, trade: OpenTrade, move: StopMove, time: int) -> Outcome:
        self._portfolio.move_stop(trade.position, move.ticks)
        return self._of(trade, self.protection.move_stop(trade.guard, move.ticks, time), time, move.reason)

    # --- what the exchange says

    def on_order(self, event: OrderEvent) -> Outcome:
        outcome = self._on_order(event)
        if self.more_to_come:
            return outcome
        waiting, self._waiting = self._waiting, []
        time = event.fill.time if isinstance(event, OrderFilled) else event.time
        for trade in [self.state.trades[name] for name in waiting if name in self.state.trades]:
            _add(outcome, self._of(trade, self.protection.go_on(trade.guard, time), time))
        return outcome

    def _on_order(self, event: OrderEvent) -> Outcome:
        match event:
            case OrderFilled():
                return self._on_filled(event)
            case OrderAccepted() | OrderRejected() | OrderEnded() | OrderInDoubt() | OrderNotFound():
                entry = self.state.entries.get(event.client_id)
                if entry is not None:
                    return self._of_entry(event, entry)
                trade = self._trade_of(event.client_id)
                if trade is None:
                    return [event], []
                facts, commands = self._of(trade, self._of_leg(event, trade.guard), event.time)
                return [event, *facts], commands

    def _of_leg(
        self, event: OrderAccepted | OrderRejected | OrderEnded | OrderInDoubt | OrderNotFound, guard: Guard
    ) -> Outcome:
        match event:
            case OrderAccepted():
                return self.protection.on_accepted(guard, event)
            case OrderRejected():
                return self.protection.on_rejected(guard, event)
            case OrderEnded():
                return self.protection.on_ended(guard, event)
            case OrderInDoubt():
                return self.protection.on_doubt(guard, event)
            case OrderNotFound():
                return self.protection.on_not_found(guard, event)

    def _of_entry(
        self, event: OrderAccepted | OrderRejected | OrderEnded | OrderInDoubt | OrderNotFound, entry: PendingEntry
    ) -> Outcome:
        order = entry.order
        match event:
            case OrderAccepted():
                order.state, order.not_found = LegState.LIVE if order.state is LegState.SENT else order.state, 0
                if order.withdrawing and order.queried:
                    # It rests on although it was to be cancelled: that never arrived.
                    return [event], [_withdraw(entry)]
            case OrderRejected():
                if order.state is LegState.SENT:
                    order.end(0)
                    return self._entry_over(event, entry, _unexplained(entry), event.reason)
            case OrderEnded():
                order.end(event.filled_lots)
                order.asked_at = event.time
                if not order.open:
                    return self._entry_over(event, entry, event.verdict or _unexplained(entry), event.reason)
            case OrderInDoubt():
                order.asked_at = event.time
            case OrderNotFound():
                return self._entry_not_found(event, entry)
        return [event], []

    def _entry_not_found(self, event: OrderNotFound, entry: PendingEntry) -> Outcome:
        order = entry.order
        order.not_found += 1
        if order.not_found < self.protection.patience.not_founds:
            return [event], []
        if self.protection.patience.not_founds == 1 and order.state is LegState.SENT and not order.withdrawing:
            order.not_found = 0
            return [event], [_place_entry(entry)]
        # By now the price it was meant for is gone.
        order.end(order.filled)
        return self._entry_over(event, entry, _unexplained(entry), "never arrived on the exchange")

    def _entry_over(
        self, event: OrderRejected | OrderEnded | OrderNotFound, entry: PendingEntry, verdict: Verdict, reason: str
    ) -> Outcome:
        del self.state.entries[entry.client_id]
        self._portfolio.release(entry.client_id)
        trade = self.state.trades.get(entry.setup.setup_id)
        if trade is None:
            return [event, SetupDropped(entry.setup.setup_id, verdict, reason, event.time)], []
        facts, commands = self._of(trade, self.protection.on_entry_over(trade.guard, event.time), event.time)
        return [event, *facts], commands

    def _on_filled(self, event: OrderFilled) -> Outcome:
        fill = event.fill
        entry = self.state.entries.get(fill.client_id)
        if entry is not None:
            return self._entry_filled(event, entry) if entry.order.hear(fill) else ([], [])
        trade = self._trade_of(fill.client_id)
        if trade is None or not trade.guard.legs[fill.client_id].hear(fill):
            # Told again: what belongs to it is in the book already.
            return [], []
        return self._sold(event, trade)

    def _sold(self, event: OrderFilled, trade: OpenTrade) -> Outcome:
        book = self._portfolio
        ledger = book.post(event.fill) if trade.closed else book.reduce(trade.position, event.fill)
        facts: list[EngineEvent] = [event, LedgerPosted(tuple(ledger))]
        more, commands = self._of(
            trade, self.protection.on_filled(trade.guard, event), event.fill.time, "part of it was sold"
        )
        return [*facts, *more], commands

    def _entry_filled(self, event: OrderFilled, entry: PendingEntry) -> Outcome:
        fill, plan = event.fill, entry.sized.plan
        self._portfolio.reserve(entry.client_id, fill.market, entry.open_lots, plan.planned_ticks, plan.stop_ticks)
        if not entry.order.open:
            del self.state.entries[entry.client_id]
            self._portfolio.release(entry.client_id)
        trade = self.state.trades.get(entry.setup.setup_id)
        if trade is None:
            return self._opened(event, entry)
        held = trade.position.lots
        ledger = self._portfolio.grow(trade.position, fill, self._risk(entry, fill), self._target(entry, trade, fill))
        grown = self._portfolio.positions[trade.position.position_id]
        trade.guard.target_ticks = grown.target_ticks
        trade.guard.growing = entry.order.open
        outcome = self._bought(trade.guard, grown.lots - held, fill.time)
        facts, commands = self._of(trade, outcome, fill.time, "more of it was bought")
        return [event, LedgerPosted(tuple(ledger)), *facts], commands

    def _opened(self, event: OrderFilled, entry: PendingEntry) -> Outcome:
        fill = event.fill
        position = self._position(entry, fill)
        ledger = self._portfolio.open(position, fill)
        spec = self._portfolio.spec(fill.market)
        guard = Guard(
            position.position_id,
            entry.client_id[:TRADE_LENGTH],
            fill.market,
            position.direction,
            self._modes.get(fill.market, ProtectionMode.NATIVE),
            position.stop_ticks,
            position.target_ticks,
            spec.units(spec.min_notional) if spec.kind is MarketKind.SPOT else 0,
            fill.time,
            growing=entry.order.open,
            seen_ticks=fill.ticks,
            seen_at=fill.time,
        )
        trade = OpenTrade(position, guard)
        self.state.trades[position.position_id] = trade
        outcome = self._bought(guard, position.lots, fill.time)
        facts, commands = self._of(trade, outcome, fill.time)
        return [event, LedgerPosted(tuple(ledger)), PositionOpened(position, fill.time), *facts], commands

    def _bought(self, guard: Guard, lots: int, time: int) -> Outcome:
        if self.more_to_come:
            self._waiting.append(guard.position_id)
        return self.protection.on_bought(guard, lots, time, wait=self.more_to_come)

    # --- what passes

    def on_price(self, market: MarketKey, ticks: int, time: int) -> Outcome:
        outcome: Outcome = [], []
        for trade in list(self.state.trades.values()):
            if trade.guard.market != market:
                continue
            answer = self.protection.on_price(trade.guard, ticks, time)
            # Most prices change nothing, and there are many.
            if answer != ([], []):
                _add(outcome, self._of(trade, answer, time))
        return outcome

    def recall_price(self, market: MarketKey, ticks: int, time: int) -> None:
        """After a restart: a close that was heard of and not written down. Whatever followed from it was."""
        for trade in self.state.trades.values():
            # At the same time a fill came after the candle that closed.
            if trade.guard.market == market and trade.guard.seen_at < time:
                trade.guard.see(ticks, time)

    def on_time(self, now: int) -> Outcome:
        patience = self.protection.patience
        outcome: Outcome = [], []
        for entry in self.state.entries.values():
            order = entry.order
            sure = order.state is LegState.LIVE and not order.not_found and not order.withdrawing
            wait = patience.check if sure else patience.spacing
            if now - order.asked_at >= wait:
                outcome[1].append(_ask(entry, now))
        for trade in list(self.state.trades.values()):
            _add(outcome, self._of(trade, self.protection.on_time(trade.guard, now), now))
        return outcome

    def resume(self, now: int) -> list[Command]:
        """After a restart: ask about every order whose end we have not seen."""
        commands: list[Command] = [_ask(entry, now) for entry in self.state.entries.values()]
        for trade in self.state.trades.values():
            commands += self.protection.resume(trade.guard, now)
        return commands

    # --- the book

    def _of(self, trade: OpenTrade, outcome: Outcome, time: int, change: str = "") -> Outcome:
        """What an answer of the protection means for the position: shrunk, closed, or as it was."""
        facts, commands = outcome
        facts = [*facts, *self._brought_up_to_date(trade, time, change)]
        if trade.guard.over:
            del self.state.trades[trade.position.position_id]
        return facts, commands

    def _brought_up_to_date(self, trade: OpenTrade, time: int, change: str) -> Iterator[EngineEvent]:
        if trade.closed:
            return
        guard, before = trade.guard, trade.position
        trade.position = self._portfolio.positions[before.position_id]
        gone = trade.position.lots - (0 if guard.dust and guard.over else max(guard.left, 0))
        if gone > 0:
            change = "dust" if guard.dust else "taken"
            yield LedgerPosted(tuple(self._portfolio.write_off(trade.position, gone, time, change)))
            trade.position = self._portfolio.positions[before.position_id]
        if trade.position.lots <= 0 and not guard.growing:
            trade.closed = True
            yield PositionClosed(self._portfolio.close(trade.position, _reason(guard), time), time)
        elif trade.position != before:
            yield PositionResized(trade.position, change, time)

    def _position(self, entry: PendingEntry, fill: Fill) -> Position:
        setup, plan = entry.setup, entry.sized.plan
        direction = int(setup.direction)
        target = fills.target_for(fill.ticks, plan.stop_ticks, direction, plan.fixed_target_ticks, plan.reward_risk)
        return Position(
            position_id=setup.setup_id,
            setup_id=setup.setup_id,
            strategy=setup.strategy,
            parameters_id=setup.parameters_id,
            series=setup.series,
            direction=setup.direction,
            lots=self._portfolio.arrived(fill.market, fill.lots, fill.fee_lots_base),
            entry_ticks=fill.ticks,
            entry_time=fill.time,
            entry_fee=fill.fee,
            stop_ticks=plan.stop_ticks,
            target_ticks=target,
            close_after=fill.time + setup.max_bars_in_trade * setup.series.timeframe.milliseconds,
            regime=setup.regime,
            risk=self._risk(entry, fill),
            entry_lots=fill.lots,
            entry_units=fill.ticks * fill.lots,
            open_units=fill.ticks * fill.lots,
            entry_fee_base=fill.fee_lots_base,
        )

    def _risk(self, entry: PendingEntry, fill: Fill) -> Decimal:
        spec = self._portfolio.spec(fill.market)
        stop, direction = entry.sized.plan.stop_ticks, int(entry.setup.direction)
        loss = fills.loss_per_lot_ppm(fill.ticks, stop, direction, spec.taker_ppm, spec.slippage_ppm)
        return spec.money(fills.risk_units(loss, fill.lots))

    @staticmethod
    def _target(entry: PendingEntry, trade: OpenTrade, fill: Fill) -> int:
        """From the average of what was paid, as it would be had it filled at once."""
        plan, position = entry.sized.plan, trade.position
        paid = (position.entry_units + fill.ticks * fill.lots) // (position.entry_lots + fill.lots)
        direction = int(position.direction)
        return fills.target_for(paid, plan.stop_ticks, direction, plan.fixed_target_ticks, plan.reward_risk)

    def _trade(self, position_id: str) -> OpenTrade:
        trade = self.state.trades.get(position_id)
        if trade is None or trade.closed:
            raise RefusedError(f"There is no open position {position_id}.", "Look at the open positions again.")
        return trade

    def _trade_of(self, client_id: str) -> OpenTrade | None:
        return next((trade for trade in self.state.trades.values() if client_id in trade.guard.legs), None)


def _place_entry(entry: PendingEntry) -> PlaceEntry:
    setup = entry.setup
    return PlaceEntry(entry.client_id, setup.series.market, setup.direction, entry.sized.lots, entry.sized.plan)


def _ask(entry: PendingEntry, now: int) -> Command:
    entry.order.asked_at, entry.order.queried = now, True
    return QueryOrder(entry.client_id, entry.setup.series.market)


def _withdraw(entry: PendingEntry) -> Command:
    entry.order.withdrawing, entry.order.queried = True, False
    return CancelOrder(entry.client_id, entry.setup.series.market)


def _unexplained(entry: PendingEntry) -> Verdict:
    """Of an entry that came to nothing, where the exchange gives no verdict of ours."""
    return Verdict.WITHDRAWN if entry.order.withdrawing else Verdict.REJECTED_BY_EXCHANGE


def _reason(guard: Guard) -> ExitReason:
    """Why the last of it was sold."""
    leg = guard.legs.get(guard.last_sold)
    if leg is None:
        return ExitReason.UNPROTECTED
    return EXIT_REASONS.get(leg.role) or leg.reason or ExitReason.UNPROTECTED


def _add(outcome: Outcome, more: Outcome) -> None:
    outcome[0].extend(more[0])
    outcome[1].extend(more[1])
