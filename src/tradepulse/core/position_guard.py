"""What a position's protection remembers: the orders that were ever asked for it, and what is wanted of them.

Written down with every step of the engine. What follows from it is decided in ``core.protection``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.commands import PlaceExit, PlaceProtection, PlaceStop
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import Fill, OrderRole, ProtectionMode
from tradepulse.domain.signals import Direction, ExitReason


class LegState(StrEnum):
    SENT = "sent"
    """Written down and sent; not known to have arrived."""
    LIVE = "live"
    GONE = "gone"
    """It ended, but not all of its fills were heard of yet."""
    SETTLED = "settled"


class Stage(StrEnum):
    ARMING = "arming"
    """Nothing of ours rests on the exchange."""
    PLACING = "placing"
    PROTECTED = "protected"
    CANCELLING = "cancelling"
    """The protection is being withdrawn; nothing else is sent until its end is certain."""
    LEAVING = "leaving"
    """An exit is on its way."""
    DONE = "done"


@dataclass(slots=True)
class Leg:
    """One order of the protection. ``filled`` adds up the fills heard of, ``told`` is the exchange's own sum."""

    client_id: str
    role: OrderRole
    lots: int
    level_ticks: int
    """0: at market."""
    asked_at: int
    """When anything about it was last sent."""
    reason: ExitReason | None = None
    state: LegState = LegState.SENT
    filled: int = 0
    told: int = 0
    fill_ids: list[str] = field(default_factory=list)
    not_found: int = 0
    withdrawing: bool = False
    queried: bool = False
    """A query was the last that was sent."""

    @property
    def open(self) -> bool:
        return self.state is not LegState.SETTLED

    @property
    def generation(self) -> int:
        return ClientId.parse(self.client_id).generation

    def hear(self, fill: Fill) -> bool:
        """Whether the fill was news."""
        if fill.fill_id in self.fill_ids:
            return False
        self.fill_ids.append(fill.fill_id)
        self.filled += fill.lots
        if self.filled >= self.lots or (self.state is not LegState.LIVE and self.filled >= self.told > 0):
            self.state = LegState.SETTLED
        elif self.state in (LegState.SENT, LegState.SETTLED):
            self.state = LegState.LIVE
        return True

    def end(self, told: int) -> None:
        self.told = max(self.told, told, self.filled)
        self.state = LegState.SETTLED if self.filled >= self.told else LegState.GONE


@dataclass(slots=True)
class Guard:
    position_id: str
    trade: str
    """First part of the client ids of all its orders."""
    market: MarketKey
    direction: Direction
    mode: ProtectionMode
    stop_ticks: int
    target_ticks: int
    least_units: int
    """What is worth less than this many money units, the exchange takes no order for."""
    unprotected_since: int | None
    bought: int = 0
    """All that was ever to be protected: what was bought, less what somebody else took."""
    growing: bool = True
    """The entry may fill further."""
    legs: dict[str, Leg] = field(default_factory=dict)
    generation: int = 0
    """Of the next orders."""
    refusals: int = 0
    """In a row."""
    paused_until: int = 0
    leaving: ExitReason | None = None
    touched: bool = False
    """The target was reached, and is to be sold at."""
    dust: bool = False
    seen_ticks: int = 0
    """Last price seen; to begin with that of the entry."""
    seen_at: int = 0
    stop_ended: str = ""
    """How a stop that we had not withdrawn came to its end without a fill; an alarm unless the sibling sold all."""
    sibling_since: int | None = None
    """Since when one leg of a pair has been without the other."""

    @property
    def sold(self) -> int:
        return sum(leg.filled for leg in self.legs.values())

    @property
    def left(self) -> int:
        return self.bought - self.sold

    @property
    def over(self) -> bool:
        """Nothing of it is left, neither to be sold nor on the exchange."""
        return not self.growing and (self.left <= 0 or self.dust) and not any(self.open_legs())

    def open_legs(self) -> Iterator[Leg]:
        return (leg for leg in self.legs.values() if leg.open)

    def live(self, role: OrderRole) -> Leg | None:
        return next((leg for leg in self.open_legs() if leg.role is role and leg.state is LegState.LIVE), None)

    @property
    def stage(self) -> Stage:
        legs = list(self.open_legs())
        if not legs:
            return Stage.DONE if self.left <= 0 or self.dust else Stage.ARMING
        if any(leg.role is OrderRole.EXIT for leg in legs):
            return Stage.LEAVING
        if any(leg.withdrawing for leg in legs):
            return Stage.CANCELLING
        return Stage.PROTECTED if self.live(OrderRole.STOP) else Stage.PLACING

    @property
    def wrongly_covered(self) -> bool:
        """What rests is not what is wanted: too much or too little, at another level, or without its stop."""
        stop, target = self.live(OrderRole.STOP), self.live(OrderRole.TARGET)
        if stop is None:
            return target is not None and self.left > 0
        sold = stop.filled + (0 if target is None else target.filled)
        if self.left > 0 and stop.lots - sold != self.left and target is not None:
            return True
        if self.left > 0 and target is None and self.mode is ProtectionMode.EMULATED and stop.lots - sold != self.left:
            return True
        return stop.level_ticks != self.stop_ticks or (target is not None and target.level_ticks != self.target_ticks)

    def see(self, ticks: int, time: int) -> None:
        """A candle tells of its close after newer prices have been seen."""
        if time >= self.seen_at:
            self.seen_ticks, self.seen_at = ticks, time

    @property
    def being_left(self) -> bool:
        """An exit was decided on, or is being sold at the target."""
        return self.leaving is not None or self.touched or self.stage is Stage.LEAVING

    def has_passed(self, ticks: int) -> bool:
        """Whether the last price seen lies at or beyond a stop there."""
        return self.seen_ticks > 0 and self.direction * (self.seen_ticks - ticks) <= 0

    def beyond_stop(self) -> bool:
        return self.has_passed(self.stop_ticks)

    def beyond_target(self) -> bool:
        return self.seen_ticks > 0 and self.direction * (self.seen_ticks - self.target_ticks) >= 0

    def is_worth_less(self, ticks: int) -> bool:
        return self.left * ticks < self.least_units

    # --- the next orders: written into the memory, and returned to be sent

    def pair(self, now: int) -> PlaceProtection:
        command = PlaceProtection(
            self._id(IdRole.STOP),
            self._id(IdRole.TARGET),
            self.market,
            self.direction,
            self.left,
            self.stop_ticks,
            self.target_ticks,
            self._id(IdRole.PAIR),
        )
        self._intend(command.stop_client_id, OrderRole.STOP, self.stop_ticks, now)
        self._intend(command.target_client_id, OrderRole.TARGET, self.target_ticks, now)
        self.generation += 1
        return command

    def stop(self, now: int) -> PlaceStop:
        command = PlaceStop(self._id(IdRole.STOP), self.market, self.direction, self.left, self.stop_ticks)
        self._intend(command.client_id, OrderRole.STOP, self.stop_ticks, now)
        self.generation += 1
        return command

    def exit(self, limit_ticks: int, reason: ExitReason, now: int) -> PlaceExit:
        command = PlaceExit(self._id(IdRole.EXIT), self.market, self.direction, self.left, limit_ticks or None)
        self._intend(command.client_id, OrderRole.EXIT, limit_ticks, now, reason)
        self.generation += 1
        return command

    def pair_id_of(self, leg: Leg) -> str:
        return str(ClientId.parse(leg.client_id).as_role(IdRole.PAIR))

    def _id(self, role: IdRole) -> str:
        return str(ClientId(self.trade, role, self.generation))

    def _intend(self, client_id: str, role: OrderRole, level: int, now: int, reason: ExitReason | None = None) -> None:
        self.legs[client_id] = Leg(client_id, role, self.left, level, now, reason)
