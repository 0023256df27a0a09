"""A book as the engine writes it, step by step: setups, entries, protections, fills, trades."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from tradepulse.core.execution_core import client_order_id
from tradepulse.core.portfolio import Portfolio
from tradepulse.domain.commands import CancelProtection, Command, PlaceEntry, PlaceExit, PlaceProtection
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    EntryPlanned,
    EquityMarked,
    LedgerPosted,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    PositionClosed,
    PositionOpened,
    SetupEvaluated,
)
from tradepulse.domain.market import MINUTE, Candle, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan, Fill, OrderRole
from tradepulse.domain.portfolio import Position
from tradepulse.domain.signals import Condition, Direction, ExitReason, Regime, Setup, Verdict
from tradepulse.ports import StepRecord

SPOT = MarketSpec(
    MarketKey("simulated", "BTC/USDT"), "BTC", "USDT", MarketKind.SPOT,
    Decimal("0.01"), Decimal("0.00001"), Decimal(5), 1000, 1000, 100, simulated=True,
)  # fmt: skip
SWAP = MarketSpec(
    MarketKey("simulated", "ETH/USDT:USDT"), "ETH", "USDT", MarketKind.SWAP,
    Decimal("0.005"), Decimal("0.0001"), Decimal(5), 200, 500, 100, simulated=True,
)  # fmt: skip


@dataclass
class TradingDay:
    book: str = "paper"
    sequence: int = 0
    time: int = 1_767_225_600_000
    portfolio: Portfolio = field(default_factory=lambda: Portfolio({SPOT.key: SPOT, SWAP.key: SWAP}))

    def step(self, *events: EngineEvent, commands: tuple[Command, ...] = ()) -> StepRecord:
        self.sequence += 1
        self.time += MINUTE
        marked = EquityMarked(self.time, self.portfolio.cash, self.portfolio.equity)
        state = {"cash": str(self.portfolio.cash), "sequence": self.sequence}
        return StepRecord(self.book, self.sequence, self.time, (*events, marked), commands, state)

    def begin(self, cash: Decimal = Decimal(10_000)) -> StepRecord:
        return self.step(LedgerPosted((self.portfolio.deposit(cash, self.time, "start"),)))

    def candle(self, close: float) -> StepRecord:
        self.sequence += 1
        self.time += MINUTE
        series = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)
        event = CandleClosed(series, Candle(self.time - MINUTE, close, close, close, close, 1.0))
        return StepRecord(self.book, self.sequence, self.time, (event,), (), None)

    def setup(self, spec: MarketSpec, name: str, direction: Direction) -> Setup:
        return Setup(
            name, "htf_sweep", "default", SeriesKey(spec.key.exchange, spec.key.symbol, Timeframe.M5),
            self.time, self.time, direction, 100.0, 95.0, None, 2.0, 1.5, 50, Regime.BULL,
            (Condition("depth", float("nan"), ">=", 1.0, False, True), Condition("volume", 2.0, ">=", 1.0, True, True)),
            True, 0.5,
        )  # fmt: skip

    def id(self, name: str, role: OrderRole) -> str:
        return client_order_id(self.book, name, role)

    def enter(
        self, spec: MarketSpec, name: str, ticks: int, lots: int, direction: Direction = Direction.LONG
    ) -> Iterator[StepRecord]:
        """Found and planned, accepted, filled and protected."""
        setup, entry = self.setup(spec, name, direction), self.id(name, OrderRole.ENTRY)
        stop_ticks, target_ticks = ticks - direction * 50, ticks + direction * 100
        plan = EntryPlan(ticks, stop_ticks, 0, 2.0, 1.5, self.time)
        yield self.step(
            SetupEvaluated(setup, Verdict.ACCEPTED),
            EntryPlanned(entry, name, lots, spec.price(ticks), spec.price(stop_ticks), self.time),
            commands=(PlaceEntry(entry, spec.key, direction, lots, plan),),
        )
        yield self.step(OrderAccepted(entry, self.time))
        fee = spec.money(ticks * lots * spec.taker_ppm // 1_000_000 + 1)
        fill = Fill(f"{name}-in", entry, spec.key, OrderRole.ENTRY, direction, ticks, lots, fee, Decimal(0), self.time)
        position = Position(
            name, name, "htf_sweep", "default", setup.series, direction, lots, ticks, self.time, fee, stop_ticks,
            target_ticks, self.time + 10 * MINUTE, Regime.BULL, spec.money(50 * lots),
        )  # fmt: skip
        posted = LedgerPosted(tuple(self.portfolio.open(position, fill)))
        protection = PlaceProtection(
            self.id(name, OrderRole.STOP), self.id(name, OrderRole.TARGET), spec.key, direction, lots,
            stop_ticks, target_ticks,
        )  # fmt: skip
        yield self.step(OrderFilled(fill), posted, PositionOpened(position, self.time), commands=(protection,))

    def leave(self, name: str, ticks: int, role: OrderRole, funding: Decimal = Decimal(0)) -> Iterator[StepRecord]:
        """Out by stop, target, or (after withdrawing both) at market."""
        position = self.portfolio.positions[name]
        spec = self.portfolio.spec(position.series.market)
        stop, target, leaving = (self.id(name, kind) for kind in (OrderRole.STOP, OrderRole.TARGET, OrderRole.EXIT))
        if role is OrderRole.EXIT:
            yield self.step(
                commands=(
                    CancelProtection(stop, target, spec.key),
                    PlaceExit(leaving, spec.key, position.direction, position.lots),
                )
            )
        fee = spec.money(ticks * position.lots * spec.taker_ppm // 1_000_000 + 1)
        side = Direction(-position.direction)
        fill = Fill(
            f"{name}-out", self.id(name, role), spec.key, role, side, ticks, position.lots, fee, funding, self.time
        )
        entries = self.portfolio.reduce(position, fill)
        trade = self.portfolio.close(self.portfolio.positions[name], ExitReason.TIME, self.time)
        ended = [
            OrderEnded(other, None, "the other leg filled", self.time)
            for other in (stop, target)
            if other != fill.client_id
        ]
        yield self.step(OrderFilled(fill), LedgerPosted(tuple(entries)), PositionClosed(trade, self.time), *ended)
