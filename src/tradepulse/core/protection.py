"""Decides what becomes of a position's protection, event by event; the page ``docs/protection.md`` tells it in words.

Pure and synchronous. Three rules: nothing new is sent while anything that could still sell is not known to have
ended; what is in doubt is asked, never assumed; and no client id is ever used for a second order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tradepulse.core.position_guard import Guard, Leg, LegState, Stage
from tradepulse.domain.commands import CancelOrder, CancelProtection, Command, QueryOrder
from tradepulse.domain.events import (
    EngineEvent,
    ExecutionAlarm,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
    ProtectionLost,
    ProtectionPlaced,
)
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import OrderRole, ProtectionMode
from tradepulse.domain.signals import ExitReason

Outcome = tuple[list[EngineEvent], list[Command]]
REFUSALS = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """``not_founds``: so many answers 'unknown', ``spacing`` ms apart, until it is believed that it never arrived.

    1 suits an exchange in this process, whose word is final: an entry that never arrived is then sent again.
    """

    not_founds: int = 5
    spacing: int = 2_000
    check: int = 60_000
    """How often an order that rests is asked about although all is well."""
    pause: int = 5_000
    """Between attempts once the exchange has refused several in a row."""
    unprotected: int = 30_000
    """A position whose protection was refused is left at market after this long without one."""
    unsold: int = 5_000
    """The price beyond a stop for this long, and nothing sold: it is withdrawn, and the rest left at market."""


WORD_IS_FINAL = Patience(not_founds=1)


class Protection:
    """``modes``: how each exchange protects a position now; one that is not named does as it did."""

    def __init__(self, patience: Patience, modes: Mapping[MarketKey, ProtectionMode] | None = None) -> None:
        self.patience = patience
        self._modes = dict(modes or {})

    # --- what the exchange says

    def on_accepted(self, guard: Guard, event: OrderAccepted) -> Outcome:
        leg = guard.legs[event.client_id]
        leg.not_found = 0
        if leg.state is LegState.SETTLED and leg.told == leg.filled == 0 and leg.queried:
            # Believed to have never arrived, and it did.
            leg.state = LegState.LIVE
        if leg.state is LegState.SENT:
            leg.state = LegState.LIVE
            guard.refusals, guard.paused_until = 0, 0
        facts = self._protected(guard, leg, event.time)
        if leg.withdrawing and leg.queried and leg.state is LegState.LIVE:
            leg.queried, leg.asked_at = False, event.time
            return facts, [CancelOrder(leg.client_id, guard.market)]
        leg.queried = False
        return self._and_then(guard, event.time, facts)

    def on_rejected(self, guard: Guard, event: OrderRejected) -> Outcome:
        leg = guard.legs[event.client_id]
        if leg.state is not LegState.SENT:
            # Not of an order that is known to rest: what was refused is to be asked for again, by what a query finds.
            return [], []
        leg.end(0)
        if any(other.state is LegState.SENT for other in guard.open_legs()):
            return [], []
        return self._and_then(guard, event.time, self._refused(guard, event))

    def on_filled(self, guard: Guard, event: OrderFilled) -> Outcome:
        """After ``Leg.hear`` has said that the fill is news."""
        leg, time = guard.legs[event.fill.client_id], event.fill.time
        guard.last_sold, guard.seen_ticks = leg.client_id, event.fill.ticks
        facts: list[EngineEvent] = []
        if leg.filled > leg.lots or guard.left < 0:
            facts.append(self._alarm(guard, "oversold", f"{leg.client_id}: {leg.filled} of {leg.lots} lots", time))
        return self._and_then(guard, time, facts)

    def on_ended(self, guard: Guard, event: OrderEnded) -> Outcome:
        leg = guard.legs[event.client_id]
        if leg.state is LegState.SETTLED:
            return [], []
        was_stop = leg.role is OrderRole.STOP and leg.state is LegState.LIVE
        if leg.state is LegState.SENT:
            guard.refusals = 0
        leg.end(event.filled_lots)
        leg.asked_at, leg.queried = event.time, False
        if leg.role is OrderRole.EXIT and not leg.level_ticks and not leg.told:
            # Nobody bought. Asking again at once would only be refused the same way.
            guard.paused_until = event.time + self.patience.spacing
        if leg.role is OrderRole.EXIT and leg.level_ticks and not leg.told:
            # The price that was seen is gone, and which one took its place is not known.
            guard.seen_ticks = 0
        facts: list[EngineEvent] = []
        if was_stop and guard.bought > self._sold(guard):
            guard.unprotected_since = event.time
            facts.append(ProtectionLost(guard.position_id, guard.left, event.reason, event.time))
        if was_stop and not leg.withdrawing and not leg.told:
            guard.stop_ended = f"{leg.client_id}: {event.reason}"
        return self._and_then(guard, event.time, facts)

    def on_doubt(self, guard: Guard, event: OrderInDoubt) -> Outcome:
        guard.legs[event.client_id].asked_at = event.time
        return [], []

    def on_not_found(self, guard: Guard, event: OrderNotFound) -> Outcome:
        leg = guard.legs[event.client_id]
        if not leg.open:
            return [], []
        leg.not_found += 1
        if leg.not_found < self.patience.not_founds:
            return [], []
        facts: list[EngineEvent] = []
        if leg.state is not LegState.SENT:
            facts.append(self._alarm(guard, "order lost", f"the exchange forgot {leg.client_id}", event.time))
            if leg.role is OrderRole.STOP and guard.left > 0:
                guard.unprotected_since = event.time
                facts.append(ProtectionLost(guard.position_id, guard.left, "forgotten by the exchange", event.time))
        leg.told, leg.state = leg.filled, LegState.SETTLED
        return self._and_then(guard, event.time, facts)

    # --- what is wanted, and what passes

    def on_bought(self, guard: Guard, lots: int, now: int, *, wait: bool = False) -> Outcome:
        """``wait``: more of it is told next, and then ``go_on`` is called; after a kill in between ``on_time`` does."""
        guard.bought += lots
        if guard.unprotected_since is None and guard.stage is Stage.DONE:
            guard.unprotected_since = now
        return ([], []) if wait else self.go_on(guard, now)

    def on_price(self, guard: Guard, ticks: int, now: int) -> Outcome:
        guard.see(ticks, now)
        if not guard.beyond_stop():
            guard.beyond_since = None
        elif guard.beyond_since is None:
            guard.beyond_since = now
        if guard.live(OrderRole.TARGET) is None and guard.live(OrderRole.STOP) is not None and guard.beyond_target():
            guard.touched = True
        return self.go_on(guard, now)

    def on_entry_over(self, guard: Guard, now: int) -> Outcome:
        guard.growing = False
        return self.go_on(guard, now)

    def leave(self, guard: Guard, reason: ExitReason, now: int) -> Outcome:
        guard.leaving = reason
        return self.go_on(guard, now)

    def move_stop(self, guard: Guard, stop_ticks: int, now: int) -> Outcome:
        guard.stop_ticks = stop_ticks
        return self.go_on(guard, now)

    def on_time(self, guard: Guard, now: int) -> Outcome:
        due = [leg for leg in guard.open_legs() if now - leg.asked_at >= self._wait(guard, leg)]
        queries = [self._ask(guard, leg, now) for leg in due]
        unsold = self._look_for_unsold(guard, now)
        facts, commands = self._look_for_sibling(guard, now)
        if not commands and not facts:
            facts, commands = self.go_on(guard, now)
        return [*unsold, *facts], [*queries, *commands]

    def resume(self, guard: Guard, now: int) -> list[Command]:
        """After a restart: ask about every order that has not ended for certain."""
        return [self._ask(guard, leg, now) for leg in guard.open_legs()]

    # --- the next step

    def go_on(self, guard: Guard, now: int) -> Outcome:
        if any(guard.open_legs()):
            return [], list(self._withdraw(guard, now)) if self._must_withdraw(guard) else []
        if guard.left <= 0 or guard.dust or now < guard.paused_until:
            return [], []
        facts: list[EngineEvent] = []
        if guard.stop_ended:
            facts, guard.stop_ended = [self._alarm(guard, "stop ended", guard.stop_ended, now)], ""
        more, commands = self._arm(guard, now)
        return [*facts, *more], commands

    def _arm(self, guard: Guard, now: int) -> Outcome:
        # Nothing rests: what this process found out about the account holds, not what an earlier one did.
        guard.mode = self._modes.get(guard.market, guard.mode)
        best = max(guard.stop_ticks, guard.seen_ticks)
        if guard.is_worth_less(best):
            # What else the entry brings may make it enough.
            guard.dust = not guard.growing
            if not guard.dust:
                return [], []
            return [self._alarm(guard, "dust", f"{guard.left} lots are too little for any order", now)], []
        reason = self._why_leave(guard, now)
        if reason is not None:
            return [], [guard.exit(0, reason, now)]
        if guard.touched or (guard.refusals and guard.beyond_target()):
            guard.touched = False
            return [], [guard.exit(guard.target_ticks, ExitReason.TARGET, now)]
        if guard.mode is ProtectionMode.EMULATED:
            return [], [guard.stop(now)]
        return [], [guard.pair(now)]

    def _why_leave(self, guard: Guard, now: int) -> ExitReason | None:
        if guard.leaving is not None:
            return guard.leaving
        # Where a pair is placed the exchange says itself whether the price is beyond it.
        if (guard.refusals or guard.mode is ProtectionMode.EMULATED) and guard.beyond_stop():
            return ExitReason.STOP
        too_long = guard.unprotected_since is not None and now - guard.unprotected_since >= self.patience.unprotected
        if guard.refusals >= REFUSALS or (guard.refusals and too_long) or guard.is_worth_less(guard.stop_ticks):
            return ExitReason.UNPROTECTED
        return None

    @staticmethod
    def _must_withdraw(guard: Guard) -> bool:
        legs = list(guard.open_legs())
        if not any(_can_withdraw(leg) for leg in legs):
            return False
        if len({leg.generation for leg in legs}) > 1:
            # One of them was believed to have never arrived.
            return True
        if any(leg.state is LegState.SENT or leg.role is OrderRole.EXIT for leg in legs):
            return False
        if guard.left <= 0:
            # The sibling of a pair ends by itself.
            return guard.mode is ProtectionMode.EMULATED
        return guard.leaving is not None or guard.touched or guard.wrongly_covered

    def _withdraw(self, guard: Guard, now: int) -> Iterator[Command]:
        legs = [leg for leg in guard.open_legs() if _can_withdraw(leg)]
        for leg in legs:
            leg.withdrawing, leg.queried, leg.asked_at = True, False, now
        by_role = {leg.role: leg.client_id for leg in legs}
        if len(by_role) == len(legs) == 2 and legs[0].generation == legs[1].generation:
            stop, target = by_role[OrderRole.STOP], by_role[OrderRole.TARGET]
            yield CancelProtection(stop, target, guard.market, guard.pair_id_of(legs[0]))
        else:
            yield from (CancelOrder(leg.client_id, guard.market) for leg in legs)

    def _look_for_sibling(self, guard: Guard, now: int) -> Outcome:
        """One leg of a pair is gone and the other rests on: given a moment to follow, then asked, then withdrawn."""
        legs = list(guard.open_legs())
        alone = len(legs) == 1 and legs[0].state is LegState.LIVE and legs[0].role is not OrderRole.EXIT
        paired = guard.mode is not ProtectionMode.EMULATED
        if not (alone and paired and not legs[0].withdrawing):
            guard.sibling_since = None
            return [], []
        if guard.sibling_since is None:
            guard.sibling_since = now
            return [], [self._ask(guard, legs[0], now)]
        if now - guard.sibling_since < self.patience.spacing:
            return [], []
        guard.sibling_since = None
        return [], list(self._withdraw(guard, now))

    def _look_for_unsold(self, guard: Guard, now: int) -> list[EngineEvent]:
        """A stop that is a limit does not sell when the price falls through it at once, and one may never trigger."""
        stop, since = guard.live(OrderRole.STOP), guard.beyond_since
        if stop is None or since is None or guard.leaving is not None or guard.left <= 0:
            return []
        if now - since < self.patience.unsold:
            return []
        guard.leaving = ExitReason.STOP
        return [self._alarm(guard, "stop did not sell", f"{stop.client_id}: the price is beyond it", now)]

    # --- small things

    def _and_then(self, guard: Guard, now: int, facts: list[EngineEvent]) -> Outcome:
        more, commands = self.go_on(guard, now)
        return [*facts, *more], commands

    def _refused(self, guard: Guard, event: OrderRejected) -> list[EngineEvent]:
        guard.refusals += 1
        facts: list[EngineEvent] = []
        if event.free_lots is not None and event.free_lots < guard.left:
            taken = guard.left - event.free_lots
            guard.bought -= taken
            facts.append(self._alarm(guard, "taken", f"{taken} lots are not there any more", event.time))
        if guard.refusals >= REFUSALS:
            if guard.refusals == REFUSALS:
                facts.append(self._alarm(guard, "refused", event.reason, event.time))
            if guard.leaving is not None:
                guard.paused_until = event.time + self.patience.pause
            guard.leaving = guard.leaving or ExitReason.UNPROTECTED
        return facts

    def _protected(self, guard: Guard, leg: Leg, now: int) -> list[EngineEvent]:
        if leg.role is not OrderRole.STOP or guard.unprotected_since is None or leg.state is not LegState.LIVE:
            return []
        guard.unprotected_since = None
        siblings = (one for one in guard.open_legs() if one.role is OrderRole.TARGET)
        target = next((one.client_id for one in siblings if one.generation == leg.generation), "")
        placed = ProtectionPlaced(
            guard.position_id, guard.mode, leg.client_id, target, leg.lots - leg.filled, leg.level_ticks, now
        )
        return [placed]

    def _wait(self, guard: Guard, leg: Leg) -> int:
        unsure = leg.state is not LegState.LIVE or leg.withdrawing or leg.not_found or guard.left <= 0
        return self.patience.spacing if unsure else self.patience.check

    def _ask(self, guard: Guard, leg: Leg, now: int) -> Command:
        leg.asked_at, leg.queried = now, True
        return QueryOrder(leg.client_id, guard.market)

    @staticmethod
    def _sold(guard: Guard) -> int:
        """As far as the exchange has told, with the fills that are still to be heard of."""
        return sum(max(leg.filled, leg.told) for leg in guard.legs.values())

    @staticmethod
    def _alarm(guard: Guard, alarm: str, reason: str, time: int) -> ExecutionAlarm:
        return ExecutionAlarm(guard.position_id, alarm, reason, time)


def _can_withdraw(leg: Leg) -> bool:
    return leg.state is LegState.LIVE and not leg.withdrawing and leg.role is not OrderRole.EXIT
