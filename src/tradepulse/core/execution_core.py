"""Life of a trade as a state machine: entry on its way → position protected → leaving → closed.

Pure and synchronous: order events in, facts and commands out. What it remembers is in ``ExecutionState``, which is
written down with every step, so that after a kill the same commands are found again (``unfinished``).
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tradepulse.core.portfolio import EXIT_REASONS, Portfolio
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.domain.commands import CancelOrder, CancelProtection, Command, PlaceEntry, PlaceExit, PlaceProtection
from tradepulse.domain.events import (
    EngineEvent,
    EntryPlanned,
    LedgerPosted,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
    SetupDropped,
)
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.orders import Fill, OrderRole
from tradepulse.domain.portfolio import Position
from tradepulse.domain.signals import ExitReason, Setup, Verdict
from tradepulse.kernels import fills
from tradepulse.shared.errors import InvariantError, RefusedError

ROLE_LETTERS = {OrderRole.ENTRY: "e", OrderRole.STOP: "s", OrderRole.TARGET: "t", OrderRole.EXIT: "x"}


def client_order_id(book: str, setup_id: str, role: OrderRole, generation: int = 0) -> str:
    """18 characters every exchange takes: 14 of a hash, the role, a three-digit generation. Same setup, same id."""
    digest = hashlib.sha256(f"{book}|{setup_id}".encode()).digest()
    name = base64.b32encode(digest).decode("ascii").lower()[:14]
    return f"{name}{ROLE_LETTERS[role]}{generation:03d}"


class Stage(StrEnum):
    PROTECTING = "protecting"
    """The protective pair was commanded, the exchange has not confirmed it yet."""
    PROTECTED = "protected"
    LEAVING = "leaving"
    """Protection withdrawn and a market exit commanded in the same step."""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    client_id: str
    setup: Setup
    sized: SizedEntry
    withdrawn: bool = False
    """Its cancellation was commanded; it may fill all the same."""


@dataclass(frozen=True, slots=True)
class OpenTrade:
    position: Position
    stage: Stage
    stop_client_id: str
    target_client_id: str
    exit_client_id: str
    exit_reason: ExitReason = ExitReason.TIME


@dataclass(slots=True)
class ExecutionState:
    entries: dict[str, PendingEntry] = field(default_factory=dict)
    """By client order id."""
    trades: dict[str, OpenTrade] = field(default_factory=dict)
    """By position id."""


Outcome = tuple[list[EngineEvent], list[Command]]


class ExecutionCore:
    def __init__(self, book: str, portfolio: Portfolio) -> None:
        self._book = book
        self._portfolio = portfolio
        self.state = ExecutionState()

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
        entry = PendingEntry(client_id, setup, sized)
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
        return [planned], [self._place_entry(entry)]

    def leave_overdue(self, series: SeriesKey, time: int) -> Outcome:
        """Close at market every position of the series whose time is over."""
        commands: list[Command] = []
        for trade in list(self.state.trades.values()):
            overdue = trade.position.series == series and trade.position.close_after <= time
            if overdue and trade.stage is not Stage.LEAVING:
                commands += self._leave(trade, ExitReason.TIME)
        return [], commands

    def leave(self, position_id: str, reason: ExitReason, _time: int) -> Outcome:
        """Close one position at market; nothing follows where it is being closed already."""
        trade = self.state.trades.get(position_id)
        if trade is None:
            raise RefusedError(f"There is no open position {position_id}.", "Look at the open positions again.")
        return [], [] if trade.stage is Stage.LEAVING else self._leave(trade, reason)

    def withdraw(self, setup_id: str) -> list[Command]:
        return [
            self._withdraw(entry) for entry in list(self.state.entries.values()) if entry.setup.setup_id == setup_id
        ]

    def withdraw_all(self) -> list[Command]:
        """Entries that were sent and have not filled; what fills before the cancellation arrives is protected."""
        return [self._withdraw(entry) for entry in list(self.state.entries.values()) if not entry.withdrawn]

    def on_accepted(self, event: OrderAccepted) -> Outcome:
        trade = self._trade_of(event.client_id)
        if trade is not None and trade.stage is Stage.PROTECTING and event.client_id == trade.stop_client_id:
            self._keep(replace(trade, stage=Stage.PROTECTED))
        return [event], []

    def on_rejected(self, event: OrderRejected) -> Outcome:
        entry = self.state.entries.get(event.client_id)
        if entry is not None:
            verdict = Verdict.WITHDRAWN if entry.withdrawn else Verdict.REJECTED_BY_EXCHANGE
            return [event, self._drop(entry, verdict, event.reason, event.time)], []
        trade = self._trade_of(event.client_id)
        if trade is None or event.client_id == trade.target_client_id:
            return [event], []
        if event.client_id == trade.exit_client_id:
            raise InvariantError(
                f"The exchange refused to close position {trade.position.position_id}: {event.reason}.",
                "Close it by hand on the exchange, then start again.",
            )
        if trade.stage is Stage.LEAVING:
            # The withdrawal of a protection that never rested is answered with its refusal once more.
            return [event], []
        # A position that cannot be protected is not kept.
        return [event], self._leave(trade, ExitReason.UNPROTECTED)

    def on_ended(self, event: OrderEnded) -> Outcome:
        entry = self.state.entries.get(event.client_id)
        if entry is None:
            return [event], []
        unexplained = Verdict.WITHDRAWN if entry.withdrawn else Verdict.REJECTED_BY_EXCHANGE
        verdict = event.verdict or unexplained
        return [event, self._drop(entry, verdict, event.reason, event.time)], []

    def on_filled(self, event: OrderFilled) -> Outcome:
        fill = event.fill
        entry = self.state.entries.pop(fill.client_id, None)
        if entry is not None:
            return self._opened(event, entry)
        trade = self._trade_of(fill.client_id)
        if trade is None:
            # Reported again after a restart: the trade it belongs to is closed already.
            return [], []
        reason = EXIT_REASONS.get(fill.role, trade.exit_reason)
        del self.state.trades[trade.position.position_id]
        closed, ledger = self._portfolio.close(trade.position, fill, reason)
        return [event, LedgerPosted(tuple(ledger)), PositionClosed(closed, fill.time)], []

    def open_order_ids(self) -> list[str]:
        """Every order whose end we have not seen."""
        ids = list(self.state.entries)
        for trade in self.state.trades.values():
            ids += [trade.stop_client_id, trade.target_client_id]
            if trade.stage is Stage.LEAVING:
                ids.append(trade.exit_client_id)
        return ids

    def unfinished(self, known: Iterable[str]) -> list[Command]:
        """Commands to send again after a restart: intents of which the exchange knows nothing."""
        there = set(known)
        commands: list[Command] = []
        for entry in self.state.entries.values():
            if entry.withdrawn:
                # Sent again even where nothing of it is known: the answer is what ends it.
                commands.append(CancelOrder(entry.client_id, entry.setup.series.market))
            elif entry.client_id not in there:
                commands.append(self._place_entry(entry))
        for trade in self.state.trades.values():
            if trade.stage is Stage.LEAVING:
                commands += self._exit_commands(trade)
            elif trade.stop_client_id not in there:
                commands.append(self._place_protection(trade))
        return commands

    def _opened(self, event: OrderFilled, entry: PendingEntry) -> Outcome:
        fill, setup = event.fill, entry.setup
        self._portfolio.release(entry.client_id)
        position = self._position(entry, fill)
        ledger = self._portfolio.open(position, fill)
        trade = OpenTrade(
            position,
            Stage.PROTECTING,
            client_order_id(self._book, setup.setup_id, OrderRole.STOP),
            client_order_id(self._book, setup.setup_id, OrderRole.TARGET),
            client_order_id(self._book, setup.setup_id, OrderRole.EXIT),
        )
        self._keep(trade)
        facts: list[EngineEvent] = [event, LedgerPosted(tuple(ledger)), PositionOpened(position, fill.time)]
        return facts, [self._place_protection(trade)]

    def _position(self, entry: PendingEntry, fill: Fill) -> Position:
        setup, plan = entry.setup, entry.sized.plan
        spec = self._portfolio.spec(fill.market)
        direction = int(setup.direction)
        target = fills.target_for(fill.ticks, plan.stop_ticks, direction, plan.fixed_target_ticks, plan.reward_risk)
        loss = fills.loss_per_lot_ppm(fill.ticks, plan.stop_ticks, direction, spec.taker_ppm, spec.slippage_ppm)
        return Position(
            position_id=setup.setup_id,
            setup_id=setup.setup_id,
            strategy=setup.strategy,
            parameters_id=setup.parameters_id,
            series=setup.series,
            direction=setup.direction,
            lots=fill.lots,
            entry_ticks=fill.ticks,
            entry_time=fill.time,
            entry_fee=fill.fee,
            stop_ticks=plan.stop_ticks,
            target_ticks=target,
            close_after=fill.time + setup.max_bars_in_trade * setup.series.timeframe.milliseconds,
            regime=setup.regime,
            risk=spec.money(fills.risk_units(loss, fill.lots)),
        )

    def _drop(self, entry: PendingEntry, verdict: Verdict, reason: str, time: int) -> SetupDropped:
        del self.state.entries[entry.client_id]
        self._portfolio.release(entry.client_id)
        return SetupDropped(entry.setup.setup_id, verdict, reason, time)

    def _withdraw(self, entry: PendingEntry) -> CancelOrder:
        self.state.entries[entry.client_id] = replace(entry, withdrawn=True)
        return CancelOrder(entry.client_id, entry.setup.series.market)

    def _leave(self, trade: OpenTrade, reason: ExitReason) -> list[Command]:
        leaving = replace(trade, stage=Stage.LEAVING, exit_reason=reason)
        self._keep(leaving)
        return self._exit_commands(leaving)

    def _keep(self, trade: OpenTrade) -> None:
        self.state.trades[trade.position.position_id] = trade

    def _trade_of(self, client_id: str) -> OpenTrade | None:
        for trade in self.state.trades.values():
            if client_id in (trade.stop_client_id, trade.target_client_id, trade.exit_client_id):
                return trade
        return None

    @staticmethod
    def _place_entry(entry: PendingEntry) -> PlaceEntry:
        setup = entry.setup
        return PlaceEntry(entry.client_id, setup.series.market, setup.direction, entry.sized.lots, entry.sized.plan)

    @staticmethod
    def _place_protection(trade: OpenTrade) -> PlaceProtection:
        position = trade.position
        return PlaceProtection(
            trade.stop_client_id,
            trade.target_client_id,
            position.series.market,
            position.direction,
            position.lots,
            position.stop_ticks,
            position.target_ticks,
        )

    @staticmethod
    def _exit_commands(trade: OpenTrade) -> list[Command]:
        position = trade.position
        return [
            CancelProtection(trade.stop_client_id, trade.target_client_id, position.series.market),
            PlaceExit(trade.exit_client_id, position.series.market, position.direction, position.lots),
        ]
