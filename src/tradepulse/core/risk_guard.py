"""May anything new be entered now? Daily loss, drawdown, locks and a person's word; exits are never asked about.

Pure and synchronous. All it remembers is in ``RiskMemory``, which is part of the engine's snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from tradepulse.core.portfolio import ZERO, Portfolio
from tradepulse.core.wallets import Wallets
from tradepulse.domain.events import DrawdownWarned, EntriesLocked, RiskStateChanged, TradingDayBegan
from tradepulse.domain.market import DAY, MINUTE, MarketKey
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.risk import (
    AccountLimits,
    HaltTrading,
    Hold,
    HoldCause,
    Lock,
    LockCause,
    NotReady,
    NotReadyCause,
    Protection,
    Ready,
    ResumeTrading,
    RiskState,
)
from tradepulse.domain.signals import ExitReason, Setup, Verdict
from tradepulse.kernels.fills import PPM

RiskEvent = TradingDayBegan | DrawdownWarned | RiskStateChanged | EntriesLocked | NotReady | Ready

HELD_BY = {
    HoldCause.DAILY_LOSS: Verdict.DAILY_LOSS_LIMIT,
    HoldCause.DRAWDOWN_REDUCE: Verdict.DRAWDOWN_LIMIT,
    HoldCause.DRAWDOWN_HALT: Verdict.DRAWDOWN_LIMIT,
    HoldCause.BY_HAND: Verdict.HALTED_BY_HAND,
    HoldCause.WALLETS_DAILY_LOSS: Verdict.WALLETS_DAILY_LOSS,
}
LOCKED_BY = {
    LockCause.STOP_GUARD: Verdict.STOP_GUARD,
    LockCause.COOL_DOWN: Verdict.COOL_DOWN,
    LockCause.LOSS_STREAK: Verdict.LOSS_STREAK,
}
DRAWDOWN_HOLDS = {HoldCause.DRAWDOWN_REDUCE, HoldCause.DRAWDOWN_HALT}


@dataclass(frozen=True, slots=True)
class StopOut:
    market: MarketKey
    time: int


@dataclass(slots=True)
class RiskMemory:
    day: int = -1
    """When the UTC day of the baseline began."""
    turned_at: int = -1
    """Time of the first thing seen of that day."""
    baseline: Decimal = ZERO
    peak: Decimal = ZERO
    """Highest equity seen; a person who lifts a drawdown's hold begins it anew."""
    warned: bool = False
    """Of the drawdown since this peak."""
    holds: dict[HoldCause, Hold] = field(default_factory=dict)
    not_ready: dict[NotReadyCause, NotReady] = field(default_factory=dict)
    locks: list[Lock] = field(default_factory=list)
    stops: list[StopOut] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)
    """Losses in a row by market, or under the empty name for all markets together."""
    entries: list[int] = field(default_factory=list)
    """Times of the entries of the last minute."""
    orders: dict[str, int] = field(default_factory=dict)
    """Times of the orders of the last minute, by client id: what is sent again is one order."""
    signals: dict[str, int] = field(default_factory=dict)
    """Candle of the last setup that was acted on, by strategy and series."""


class RiskGuard:
    def __init__(self, limits: AccountLimits, portfolio: Portfolio, wallets: Wallets | None = None) -> None:
        self._limits = limits
        self._wallets = wallets
        self._portfolio = portfolio
        self.memory = RiskMemory()

    @property
    def state(self) -> RiskState:
        return state_of(self.memory)

    def refusal(self, setup: Setup, now: int) -> Verdict | None:
        """Why this setup may not be entered, whatever its size."""
        if self.memory.holds:
            worst = max(self.memory.holds.values(), key=lambda hold: hold.state.severity)
            return HELD_BY[worst.cause]
        if self.memory.not_ready:
            return Verdict.NOT_READY
        for lock in self.memory.locks:
            if lock.until > setup.found_at and lock.market in (None, setup.series.market):
                return LOCKED_BY[lock.cause]
        if setup.bar_time <= self.memory.signals.get(_signal(setup), -1):
            return Verdict.DUPLICATE_SIGNAL
        most = self._limits.entries_per_minute
        if most and len(self._entries_before(setup.found_at)) >= most:
            return Verdict.TOO_MANY_ENTRIES
        if self._limits.orders_per_minute and len(self._orders_since(now)) >= self._limits.orders_per_minute:
            return Verdict.TOO_MANY_ORDERS
        return None

    def explained(self, refusal: Verdict) -> str:
        """Figures and names to a refusal of ours."""
        memory = self.memory
        causes = [f"{one.cause}: {one.reason}" for one in memory.not_ready.values()]
        holds = [hold.reason for hold in memory.holds.values() if HELD_BY[hold.cause] is refusal]
        locks = [lock.reason for lock in memory.locks if LOCKED_BY[lock.cause] is refusal]
        return "; ".join(causes if refusal is Verdict.NOT_READY else [*holds, *locks])

    def lack(self, event: NotReady) -> list[RiskEvent]:
        if event.cause in self.memory.not_ready:
            return []
        self.memory.not_ready[event.cause] = event
        return [event]

    def regain(self, event: Ready) -> list[RiskEvent]:
        return [event] if self.memory.not_ready.pop(event.cause, None) is not None else []

    def note_entry(self, setup: Setup) -> None:
        self.memory.signals[_signal(setup)] = setup.bar_time
        if self._limits.entries_per_minute:
            self.memory.entries = [*self._entries_before(setup.found_at), setup.found_at]

    def note_orders(self, client_ids: Iterable[str], now: int) -> None:
        if self._limits.orders_per_minute:
            self.memory.orders = dict.fromkeys(client_ids, now) | self._orders_since(now)

    def turn_day(self, now: int) -> list[RiskEvent]:
        """Asked before anything of ``now`` is taken in: a new UTC day begins with the equity known until then."""
        day = now // DAY * DAY
        if day <= self.memory.day:
            return []
        self.memory.day, self.memory.turned_at = day, now
        over = [hold for hold in self.memory.holds.values() if hold.until is not None and hold.until <= now]
        released = self._lift(over, "a new UTC day began", now)
        return [*released, *self._begin_day(now)]

    def watch(self, now: int, *, at_close: bool = False) -> list[RiskEvent]:
        """Asked after prices or the book changed. ``at_close``: by a candle that closed at ``now``."""
        limits, memory = self._limits, self.memory
        events: list[RiskEvent] = []
        if self._counts_days:
            # What closes at midnight is the price the new day begins with, unless something later was seen before it.
            if at_close and now == memory.day == memory.turned_at and self._portfolio.equity != memory.baseline:
                events += self._begin_day(now)
            events += self._watch_day(now)
        if limits.drawdown_warn_ppm or limits.drawdown_reduce_ppm or limits.drawdown_halt_ppm:
            events += self._watch_drawdown(now)
        return events

    def note_closed(self, trade: Trade) -> list[RiskEvent]:
        now = trade.exit_time
        self.memory.locks = [lock for lock in self.memory.locks if lock.until > now]
        locks = (self._after_close(trade), self._after_stops(trade), self._after_losses(trade))
        self.memory.locks += [lock for lock in locks if lock is not None]
        return [EntriesLocked(lock, now) for lock in locks if lock is not None]

    def halt(self, order: HaltTrading, now: int) -> list[RiskEvent]:
        reason = f"halted by {order.by}: {order.reason}"
        return self._hold(HoldCause.BY_HAND, RiskState.HALTED, reason, now, None)

    def resume(self, order: ResumeTrading, now: int) -> list[RiskEvent]:
        lifted = [hold for hold in self.memory.holds.values() if hold.until is None]
        if any(hold.cause in DRAWDOWN_HOLDS for hold in lifted):
            # Measured from the old peak it would hold again at once.
            self.memory.peak, self.memory.warned = self._portfolio.equity, False
        return self._lift(lifted, f"resumed by {order.by}: {order.reason}", now)

    @property
    def _counts_days(self) -> bool:
        shared = self._wallets.limits.daily_loss_ppm if self._wallets is not None else 0
        return bool(self._limits.daily_loss_ppm or shared)

    def _entries_before(self, time: int) -> list[int]:
        return [entry for entry in self.memory.entries if entry > time - MINUTE]

    def _orders_since(self, now: int) -> dict[str, int]:
        return {client_id: time for client_id, time in self.memory.orders.items() if time > now - MINUTE}

    def _begin_day(self, now: int) -> list[RiskEvent]:
        if not self._counts_days:
            return []
        self.memory.baseline = self._portfolio.equity
        return [TradingDayBegan(self.memory.day, self.memory.baseline, now)]

    def _watch_day(self, now: int) -> list[RiskEvent]:
        baseline, limit = self.memory.baseline, self._limits.daily_loss_ppm
        lost_by_all = self._wallets.loss_of(self.memory.day) if self._wallets is not None else ""
        if lost_by_all:
            until = self.memory.day + DAY
            return self._hold(HoldCause.WALLETS_DAILY_LOSS, RiskState.REDUCING, lost_by_all, now, until)
        loss = baseline - self._portfolio.equity
        if not limit or loss * PPM < baseline * limit:
            return []
        reason = f"{loss:f} of the day's {baseline:f} were lost, the limit is {_percent(limit)}"
        return self._hold(HoldCause.DAILY_LOSS, RiskState.REDUCING, reason, now, self.memory.day + DAY)

    def _watch_drawdown(self, now: int) -> list[RiskEvent]:
        limits, memory, equity = self._limits, self.memory, self._portfolio.equity
        if equity > memory.peak:
            memory.peak, memory.warned = equity, False
        events: list[RiskEvent] = []
        if self._is_down_by(limits.drawdown_warn_ppm) and not memory.warned:
            memory.warned = True
            events.append(DrawdownWarned(memory.peak, equity, now))
        if self._is_down_by(limits.drawdown_reduce_ppm):
            reason = self._drawdown_in_words(limits.drawdown_reduce_ppm)
            events += self._hold(HoldCause.DRAWDOWN_REDUCE, RiskState.REDUCING, reason, now, None)
        if self._is_down_by(limits.drawdown_halt_ppm):
            reason = self._drawdown_in_words(limits.drawdown_halt_ppm)
            events += self._hold(HoldCause.DRAWDOWN_HALT, RiskState.HALTED, reason, now, None)
        return events

    def _is_down_by(self, limit_ppm: int) -> bool:
        peak = self.memory.peak
        return limit_ppm > 0 and (peak - self._portfolio.equity) * PPM >= peak * limit_ppm

    def _drawdown_in_words(self, limit_ppm: int) -> str:
        peak, equity = self.memory.peak, self._portfolio.equity
        return f"the equity fell from its peak of {peak:f} to {equity:f}, the limit is {_percent(limit_ppm)}"

    def _hold(self, cause: HoldCause, state: RiskState, reason: str, now: int, until: int | None) -> list[RiskEvent]:
        if cause in self.memory.holds:
            return []
        self.memory.holds[cause] = Hold(cause, state, reason, now, until)
        return [self._changed(reason, now)]

    def _lift(self, holds: list[Hold], reason: str, now: int) -> list[RiskEvent]:
        for hold in holds:
            del self.memory.holds[hold.cause]
        return [self._changed(reason, now)] if holds else []

    def _changed(self, reason: str, now: int) -> RiskStateChanged:
        return RiskStateChanged(self.state, reason, tuple(self.memory.holds.values()), now)

    def _after_close(self, trade: Trade) -> Lock | None:
        wait = self._limits.cool_down_ms
        return _lock(LockCause.COOL_DOWN, trade, wait, "a trade closed") if wait else None

    def _after_stops(self, trade: Trade) -> Lock | None:
        rule, market = self._limits.stop_guard, trade.series.market
        # A stop that was moved may be hit in profit: that warns of nothing.
        if not rule.count or trade.exit_reason is not ExitReason.STOP or trade.profit >= 0:
            return None
        since = trade.exit_time - rule.window_ms
        self.memory.stops = [stop for stop in self.memory.stops if stop.time > since]
        self.memory.stops.append(StopOut(market, trade.exit_time))
        count = sum(rule.everywhere or stop.market == market for stop in self.memory.stops)
        if count < rule.count:
            return None
        reason = f"{count} stops were hit within {rule.window_ms // MINUTE} minutes"
        return _locked_by(rule, LockCause.STOP_GUARD, trade, reason)

    def _after_losses(self, trade: Trade) -> Lock | None:
        rule = self._limits.loss_streak
        if not rule.count:
            return None
        where = "" if rule.everywhere else str(trade.series.market)
        count = self.memory.losses.get(where, 0) + 1 if trade.profit < 0 else 0
        # Counted anew after a lock, or one more loss would lock again.
        self.memory.losses[where] = 0 if count >= rule.count else count
        if count < rule.count:
            return None
        return _locked_by(rule, LockCause.LOSS_STREAK, trade, f"{count} losses in a row")


def state_of(memory: RiskMemory) -> RiskState:
    """The severest of the holds."""
    states = (hold.state for hold in memory.holds.values())
    return max(states, key=lambda state: state.severity, default=RiskState.ACTIVE)


def _locked_by(rule: Protection, cause: LockCause, trade: Trade, reason: str) -> Lock:
    return _lock(cause, trade, rule.lock_ms, reason, everywhere=rule.everywhere)


def _lock(cause: LockCause, trade: Trade, wait: int, reason: str, *, everywhere: bool = False) -> Lock:
    """Until the wait is over, rounded up to the next candle of the trade's timeframe."""
    timeframe, since = trade.series.timeframe, trade.exit_time
    until = timeframe.open_time_of(since + wait - 1) + timeframe.milliseconds
    return Lock(cause, None if everywhere else trade.series.market, reason, since, until)


def _signal(setup: Setup) -> str:
    return f"{setup.series}:{setup.strategy}"


def _percent(share_ppm: int) -> str:
    return f"{Decimal(share_ppm) / 10_000:f} %"
