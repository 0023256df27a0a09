"""One synchronous, deterministic method from fact to decision: ``handle(event) -> Step``.

It reads no clock, touches no network and no disk. Backtest, paper and live give it the same events and get the same
commands; what differs stands in ``bootstrap``.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tradepulse.core.admission import Admission, Denied
from tradepulse.core.correlation import Correlations
from tradepulse.core.data_handler import ClosedBar, DataHandler
from tradepulse.core.effective_size import EffectiveSize, Opinion, Voice, effective_size, opinion_of, raised_confluence
from tradepulse.core.execution_core import ExecutionCore, ExecutionState, PendingEntry
from tradepulse.core.exposure import exposures
from tradepulse.core.portfolio import ZERO, Portfolio
from tradepulse.core.protection import Outcome, Patience
from tradepulse.core.risk_guard import RiskGuard, RiskMemory
from tradepulse.core.risk_manager import RiskLimits, SizedEntry, is_tradable, size_entry
from tradepulse.core.setup_prior import SetupPrior
from tradepulse.core.signal_library import SignalLibrary, Subscription, size_key
from tradepulse.core.wallets import Wallets, WalletState
from tradepulse.domain.commands import Command, QueryOrder, placed_by
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    EngineInput,
    EquityMarked,
    GapFound,
    LedgerPosted,
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    PositionClosed,
    PriceSeen,
    RegimeChanged,
    RequestAnswered,
    RequestTaken,
    SetupEvaluated,
    SizeChanged,
    TimePassed,
)
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import ProtectionMode
from tradepulse.domain.policy import PolicyChanged
from tradepulse.domain.portfolio import Position
from tradepulse.domain.risk import UNLIMITED, AccountLimits, HaltTrading, NotReady, Ready, ResumeTrading
from tradepulse.domain.signals import Direction, ExitReason, Setup, Verdict
from tradepulse.kernels import fills
from tradepulse.shared.errors import ConfigurationError, RefusedError

logger = logging.getLogger(__name__)
JsonObject = dict[str, Any]
# Facts that change nothing which a restart could not find in the candle table.
FORGETTABLE = (CandleClosed, EquityMarked, GapFound, RegimeChanged)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """``equity_interval``: equity is told once per so many ms of market time, and whenever a trade closes.

    ``account``: what is allowed beyond the single trade; nothing is limited by default, as in backtests.
    ``modes``: how the exchange of each market protects a position; a native pair where nothing is said.
    """

    book: str
    limits: RiskLimits
    equity_interval: int = 300_000
    account: AccountLimits = UNLIMITED
    modes: Mapping[MarketKey, ProtectionMode] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Step:
    """``memorable``: something happened that must survive a kill; a candle alone is kept in the candle table."""

    time: int
    events: tuple[EngineEvent, ...]
    commands: tuple[Command, ...]
    memorable: bool


@dataclass(slots=True)
class _Memory:
    """The engine's whole mutable state, apart from candle windows, which come from the candle store."""

    cash: Decimal
    positions: dict[str, Position]
    execution: ExecutionState
    began_at: int
    equity_marked_at: int
    now: int
    sizes: dict[str, int] = field(default_factory=dict)
    risk: RiskMemory = field(default_factory=RiskMemory)
    answered: RequestAnswered | None = None
    account: str = ""
    """Which limits were in force."""
    policy: PolicyChanged | None = None


class Engine:
    """``watched``: series that are kept although no subscription looks at them.

    ``wallets``: what this book shares limits with. ``prior``: one more voice about the size of a setup.
    """

    def __init__(
        self,
        config: EngineConfig,
        markets: Mapping[MarketKey, MarketSpec],
        bases: Mapping[MarketKey, Timeframe],
        subscriptions: Iterable[Subscription],
        watched: Iterable[SeriesKey] = (),
        wallets: Wallets | None = None,
        prior: SetupPrior | None = None,
    ) -> None:
        self.config = config
        self.portfolio = Portfolio(markets)
        self.execution = ExecutionCore(config.book, self.portfolio, config.modes, config.patience, config.account.stops)
        self.risk = RiskGuard(config.account, self.portfolio, wallets)
        self.correlations = Correlations(config.account.correlation, bases)
        self.admission = Admission(
            config.account, self.portfolio, self.execution, self.risk, self.correlations, wallets
        )
        self.signals = SignalLibrary(subscriptions, watched)
        self._prior = prior
        least = 0 if prior is None else prior.bars
        self.data = DataHandler(bases, {key: max(least, bars) for key, bars in self.signals.capacities.items()})
        self.began_at = 0
        """When the book began, in market time."""
        self.sizes = {subscription.key: subscription.size_ppm for subscription in self.signals.subscriptions}
        """Share of the usual size in force, in parts per million, by strategy, series and parameters."""
        self.policy: PolicyChanged | None = None
        """The last one that was taken; once its time is over it says nothing."""
        self.answered: RequestAnswered | None = None
        """The last answer. Requests come one after the other, so only the last one can come a second time."""
        self._equity_marked_at = -1
        self._now = 0
        self._limits_changed = False
        """Since the memory was written down."""
        if wallets is not None:
            wallets.join(config.book, sorted({spec.quote for spec in markets.values()}), self.wallet)

    def begin(self, cash: Decimal, time: int) -> Step:
        """The first step of a book: the money it starts with."""
        entry = self.portfolio.deposit(cash, time, "start")
        self._now = self._equity_marked_at = self.began_at = time
        risk = [*self.risk.turn_day(time), *self.risk.watch(time)]
        return Step(time, (LedgerPosted((entry,)), self._equity(), *risk), (), True)

    def warm_up(self, series: SeriesKey, candles: Candles) -> None:
        self.correlations.fill(series, candles)
        self.data.warm_up(series, candles[max(0, len(candles) - self.data.history_needed(series)) :])
        for close in candles.close[-2:].tolist():
            self.portfolio.mark(series.market, close)
        if len(candles):
            closed = int(candles.open_time[-1]) + series.timeframe.milliseconds
            self.execution.recall_price(series.market, self.portfolio.marks[series.market], closed)

    def history_needed(self, series: SeriesKey) -> int:
        return max(self.data.history_needed(series), self.correlations.history_needed(series.timeframe))

    def wallet(self) -> WalletState:
        held = exposures(self.portfolio, self.execution.state.entries.values())
        memory = self.risk.memory
        return WalletState(
            self.began_at > 0,
            self.portfolio.equity,
            sum((one.value for one in held), ZERO),
            memory.day,
            memory.baseline,
            frozenset(memory.holds),
        )

    def priced_markets(self) -> frozenset[MarketKey]:
        """Where bids must be told: a target is watched by us, a stop follows the price, or the spread is limited."""
        account = self.config.account
        if account.spread_ppm:
            return frozenset(series.market for series in self.data.base_series())
        guards = (trade.guard for trade in self.execution.state.trades.values())
        return frozenset(
            guard.market for guard in guards if account.stops.moves or guard.mode is ProtectionMode.EMULATED
        )

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        """``more``: further facts of the same order are known and come next, so what was bought is protected after
        them, in one piece.
        """
        self.execution.more_to_come = more
        peak, before = self.risk.memory.peak, self.risk.state
        events, commands = self._answer(event)
        if self.risk.state.severity > before.severity:
            commands += self.execution.withdraw_all()
        self._note_orders(commands)
        memorable = any(not isinstance(fact, FORGETTABLE) for fact in events) or self.risk.memory.peak != peak
        acted = any(not isinstance(command, QueryOrder) for command in commands)
        return Step(self._now, tuple(events), tuple(commands), memorable or acted)

    def _note_orders(self, commands: Iterable[Command]) -> None:
        self.risk.note_orders((name for command in commands for name in placed_by(command)), self._now)

    def resume(self, now: int) -> Step:
        """After a restart: ask what became of every order whose end was not seen, and withdraw entries that the limits
        do not allow any more."""
        commands = self.execution.resume(now)
        if self._limits_changed:
            commands += self._withdraw_what_no_longer_fits()
        return Step(self._now, (), tuple(commands), False)

    def _withdraw_what_no_longer_fits(self) -> list[Command]:
        """In the order in which they were sent: the later one has to go."""
        commands, kept = list[Command](), list[PendingEntry]()
        for entry in self.execution.state.entries.values():
            if self.admission.still_fits(entry, exposures(self.portfolio, kept)):
                kept.append(entry)
            else:
                commands += self.execution.withdraw(entry.setup.setup_id)
        return commands

    def snapshot(self) -> JsonObject:
        memory = _Memory(
            self.portfolio.cash,
            self.portfolio.positions,
            self.execution.state,
            self.began_at,
            self._equity_marked_at,
            self._now,
            self.sizes,
            self.risk.memory,
            self.answered,
            _fingerprint(self.config.account),
            self.policy,
        )
        plain: JsonObject = self._memory.dump_python(memory, mode="json")
        return plain

    def restore(self, snapshot: JsonObject) -> None:
        try:
            memory = self._memory.validate_python(snapshot)
        except ValidationError as error:
            raise ConfigurationError(
                f"What is stored of book '{self.config.book}' was written by another version of the program: "
                f"{error.error_count()} of its fields do not fit.",
                "Go on with that version until its positions are closed, or begin a new book.",
            ) from None
        self._refuse_orphans(memory.execution)
        self.portfolio.cash = memory.cash
        self.portfolio.positions = memory.positions
        self.execution.state = memory.execution
        self.began_at = memory.began_at
        self._equity_marked_at, self._now = memory.equity_marked_at, memory.now
        self.risk.memory, self.answered, self.policy = memory.risk, memory.answered, memory.policy
        self._limits_changed = memory.account not in ("", _fingerprint(self.config.account))
        for subscription in self.signals.subscriptions:
            size = memory.sizes.get(subscription.key, subscription.size_ppm)
            # What had earned a larger size may no longer be in force.
            self.sizes[subscription.key] = size if subscription.advised else min(size, subscription.size_ppm)
        for entry in memory.execution.entries.values():
            plan = entry.sized.plan
            self.portfolio.reserve(
                entry.client_id, entry.setup.series.market, entry.open_lots, plan.planned_ticks, plan.stop_ticks
            )

    def _refuse_orphans(self, execution: ExecutionState) -> None:
        """Without its candles a position would never be left in time, and its worth would not be known."""
        held = {entry.setup.series for entry in execution.entries.values()}
        held |= {trade.position.series for trade in execution.trades.values()}
        orphans = sorted(held - set(self.signals.capacities))
        if orphans:
            raise ConfigurationError(
                f"Book '{self.config.book}' holds positions or orders on {', '.join(map(str, orphans))}, "
                "which the settings no longer trade.",
                "Trade these symbols and timeframes again until they are closed.",
            )

    def _answer(self, event: EngineInput) -> Outcome:
        match event:
            case CandleClosed():
                return self._on_candle(event)
            case OrderFilled():
                return self._on_order(event, event.fill.time)
            case OrderAccepted() | OrderRejected() | OrderEnded() | OrderInDoubt() | OrderNotFound():
                return self._on_order(event, event.time)
            case PriceSeen():
                self._now = max(self._now, event.time)
                self.admission.quotes[event.market] = event
                return self.execution.on_price(event.market, event.ticks, event.time)
            case TimePassed():
                self._now = max(self._now, event.time)
                return self._with_risk(self.execution.on_time(event.time))
            case SizeChanged() | PolicyChanged():
                return self._on_bound(event), []
            case HaltTrading():
                self._now = max(self._now, event.time)
                return [*self.risk.halt(event, self._now)], []
            case ResumeTrading():
                self._now = max(self._now, event.time)
                return [*self.risk.resume(event, self._now)], []
            case NotReady():
                self._now = max(self._now, event.since)
                return [*self.risk.lack(event)], []
            case Ready():
                self._now = max(self._now, event.time)
                return [*self.risk.regain(event)], []
            case RequestTaken():
                return self._on_request(event)

    def _on_request(self, event: RequestTaken) -> tuple[list[EngineEvent], list[Command]]:
        request = event.request
        if self.answered is not None and self.answered.request_id == request.request_id:
            return [], []
        self._now = max(self._now, event.time)
        facts, commands, refusal, outcome = self._obey(request)
        self.answered = RequestAnswered(
            request.request_id, request.kind, request.by, request.reason, not refusal, refusal or outcome, self._now
        )
        return [*facts, self.answered], commands

    def _obey(self, request: Request) -> tuple[list[EngineEvent], list[Command], str, str]:
        """What follows, and in words why not, or what was done."""
        reason, by, subject = request.reason, request.by, request.subject
        match request.kind:
            case RequestKind.HALT:
                facts = self.risk.halt(HaltTrading(reason, by, self._now), self._now)
                return [*facts], [], "", "trading is halted" if facts else "trading was halted by hand already"
            case RequestKind.RESUME:
                facts = self.risk.resume(ResumeTrading(reason, by, self._now), self._now)
                left = "; ".join(hold.reason for hold in self.risk.memory.holds.values())
                return [*facts], [], "", f"trading is {self.risk.state}{f': {left}' if left else ''}"
            case RequestKind.CLOSE_POSITION:
                return self._close(subject)
            case RequestKind.CANCEL_ENTRY:
                commands = self.execution.withdraw(subject)
                refusal = "" if commands else f"no entry of setup {subject} is on its way"
                return [], commands, refusal, "the exchange is asked to cancel the entry"
            case RequestKind.MOVE_STOP:
                return self._move_stop(request)
            case RequestKind.APPLY_POLICY:
                return self._apply_policy(request)

    def _close(self, position_id: str) -> tuple[list[EngineEvent], list[Command], str, str]:
        try:
            facts, commands = self.execution.leave(position_id, ExitReason.MANUAL, self._now)
        except RefusedError as refused:
            return [], [], refused.problem.rstrip("."), ""
        return facts, commands, "", "the exit is sent" if commands else "the position is being closed already"

    def _move_stop(self, request: Request) -> tuple[list[EngineEvent], list[Command], str, str]:
        position = self.portfolio.positions.get(request.subject)
        if position is None:
            return [], [], f"There is no open position {request.subject}", ""
        spec = self.portfolio.spec(position.series.market)
        # Away from the price: never tighter than was asked for.
        way = ROUND_FLOOR if position.direction is Direction.LONG else ROUND_CEILING
        ticks = int((request.price / spec.tick_size).to_integral_value(way))
        try:
            facts, commands = self.execution.move_stop(request.subject, ticks, self._now, f"stop moved by {request.by}")
        except RefusedError as refused:
            return [], [], refused.problem.rstrip("."), ""
        return facts, commands, "", f"the stop is moved to {spec.price(ticks):f}"

    def _apply_policy(self, request: Request) -> tuple[list[EngineEvent], list[Command], str, str]:
        try:
            policy = _policy_type().validate_python(request.payload.get("policy"))
        except (ValidationError, ConfigurationError) as error:
            return [], [], f"the policy cannot be read: {error}"[:500], ""
        facts, refusal = self._on_policy(policy)
        return [*facts], [], refusal, f"policy {policy.version} is in force"

    def _on_policy(self, policy: PolicyChanged) -> tuple[list[PolicyChanged], str]:
        """A book takes each version once, in rising order: what comes late, or again, changes nothing."""
        now = max(self._now, policy.time)
        if self.policy is not None and policy.version <= self.policy.version:
            return [], f"policy {self.policy.version} is in force already"
        if not policy.holds_at(now):
            return [], f"the time of policy {policy.version} is over"
        self._now = now
        self.policy = replace(policy, time=now)
        return [self.policy], ""

    def _on_candle(self, event: CandleClosed) -> Outcome:
        if event.candle.open_time <= self.data.last_open(event.series):
            return [], []
        self._now = max(self._now, event.close_time)
        # Before the mark: a day that nobody saw begin, began with what was known until then. By the candle's time, not
        # by ours, which runs ahead while missed candles are caught up with.
        turned = self.risk.turn_day(event.close_time)
        closed, notices = self.data.add(event)
        self.correlations.add(event)
        self.portfolio.mark(event.series.market, event.candle.close)
        events: list[EngineEvent] = [event, *notices, *turned, *self.risk.watch(event.close_time, at_close=True)]
        facts, commands = self.execution.on_price(
            event.series.market, self.portfolio.marks[event.series.market], event.close_time
        )
        events += facts
        for bar in closed:
            facts, exits = self.execution.leave_overdue(bar.series, bar.close_time)
            events += facts
            commands += exits
            facts, moves = self._follow(bar)
            events += facts
            commands += moves
            for setup in self.signals.find(bar.series, self.data):
                facts, entries = self._judge(setup, bar)
                events += facts
                commands += entries
        if self._now // self.config.equity_interval > self._equity_marked_at // self.config.equity_interval:
            events.append(self._equity())
        return events, commands

    def _follow(self, bar: ClosedBar) -> Outcome:
        """Move stops by this close, unless it is no longer the price: the next bar's will be."""
        market = bar.series.market
        if bar.late or self._now - bar.close_time >= self.data.base(market).milliseconds:
            return [], []
        tick = float(self.portfolio.spec(market).tick_size)
        return self.execution.follow(bar.series, fills.to_ticks(bar.candle.close, tick), bar.close_time)

    def _judge(self, setup: Setup, bar: ClosedBar) -> Outcome:
        spec = self.portfolio.spec(setup.series.market)
        busy = self.execution.busy(setup.strategy, setup.series)
        size = effective_size(self._opinions(setup))
        asked = raised_confluence(self.config.limits.min_confluence, self.policy, self._now)
        limits = replace(self.config.limits, min_confluence=asked)
        sized = size_entry(setup, spec, self.portfolio, limits, busy=busy, size=size)
        if isinstance(sized, SizedEntry) and bar.late:
            sized = Verdict.LATE_CANDLE
        if not isinstance(sized, SizedEntry):
            return [SetupEvaluated(setup, sized, self._why(setup, sized, size, asked))], []
        # Asked only of what would be entered otherwise, so that a limit is named where it made the difference.
        answer = self.admission.admit(setup, sized, self._candle_age(setup.series.market), self._now)
        if isinstance(answer, Denied):
            return [SetupEvaluated(setup, answer.verdict, answer.reason)], []
        self.risk.note_entry(setup)
        facts, commands = self.execution.enter(setup, answer)
        # At once: what else is found on this candle has to count it.
        self._note_orders(commands)
        return [SetupEvaluated(setup, Verdict.ACCEPTED, size.story), *facts], commands

    def _opinions(self, setup: Setup) -> Iterator[Opinion]:
        """Of all who have a say about the size. Who has nothing to say is silent."""
        key = size_key(setup.strategy, setup.series, setup.parameters_id)
        yield Opinion(Voice.RELIABILITY, self.sizes[key])
        policy = opinion_of(self.policy, setup.strategy, self._now)
        if policy is not None:
            yield policy
        prior = self._prior_opinion(setup)
        if prior is not None:
            yield prior

    def _prior_opinion(self, setup: Setup) -> Opinion | None:
        if self._prior is None:
            return None
        try:
            return self._prior.opinion(setup, self.data.history(setup.series, self._prior.bars))
        except Exception:
            # It can only take away: without it the other voices decide as if it were not there.
            logger.exception("The prior failed on setup %s and is not heard", setup.setup_id)
            return None

    def _why(self, setup: Setup, verdict: Verdict, size: EffectiveSize, asked: float) -> str:
        """Which voice made the difference; empty where none did."""
        if verdict is Verdict.CONFLUENCE_TOO_LOW:
            usual = self.config.limits.min_confluence
            raised = f"{Voice.META} asks for {asked:.2f} instead of {usual:.2f}"
            return raised if is_tradable(setup, usual) else ""
        return size.story if verdict in (size.refusal, Verdict.BELOW_MIN_NOTIONAL) else ""

    def _candle_age(self, market: MarketKey) -> float:
        """Of the newest base candle, in base candles."""
        base = self.data.base(market)
        closed = self.data.last_open(SeriesKey(market.exchange, market.symbol, base)) + base.milliseconds
        return (self._now - closed) / base.milliseconds

    def _on_bound(self, event: SizeChanged | PolicyChanged) -> list[EngineEvent]:
        return self._on_size_changed(event) if isinstance(event, SizeChanged) else [*self._on_policy(event)[0]]

    def _on_size_changed(self, event: SizeChanged) -> list[EngineEvent]:
        """Nothing for parameters that nobody trades with, and where the size is in force already."""
        key = size_key(event.strategy, event.series, event.parameters_id)
        if self.sizes.get(key) in (None, event.size_ppm):
            return []
        self._now = max(self._now, event.time)
        self.sizes[key] = event.size_ppm
        return [replace(event, time=self._now)]

    def _on_order(self, event: OrderEvent, time: int) -> Outcome:
        self._now = max(self._now, time)
        if not isinstance(event, OrderFilled):
            return self._with_risk(self.execution.on_order(event))
        turned = self.risk.turn_day(time)
        events, commands = self._with_risk(self.execution.on_order(event))
        return [*turned, *events, *self.risk.watch(time)], commands

    def _with_risk(self, outcome: Outcome) -> Outcome:
        events, commands = outcome
        closed = [fact.trade for fact in events if isinstance(fact, PositionClosed)]
        for trade in closed:
            events += self.risk.note_closed(trade)
        if closed:
            events.append(self._equity())
        return events, commands

    def _equity(self) -> EquityMarked:
        self._equity_marked_at = self._now
        return EquityMarked(self._now, self.portfolio.cash, self.portfolio.equity)

    @cached_property
    def _memory(self) -> TypeAdapter[_Memory]:
        return TypeAdapter(_Memory)


@cache
def _policy_type() -> TypeAdapter[PolicyChanged]:
    return TypeAdapter(PolicyChanged)


def _fingerprint(limits: AccountLimits) -> str:
    return hashlib.sha256(repr(limits).encode()).hexdigest()[:16]
