"""One order as the simulated exchange keeps it, and its JSON for the venue's store."""

from dataclasses import dataclass, field
from decimal import Decimal

from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import EntryPlan, Fill, OrderRole, OrderStatus
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.ports import JsonObject


@dataclass(frozen=True, slots=True)
class Tranche:
    """Part of a swap position: what funding and profit of its exit are reckoned from."""

    entry_ticks: int
    lots: int
    entry_time: int


@dataclass(slots=True)
class VenueOrder:
    """``direction`` is the position's; ``sequence`` is the order of arrival on the venue."""

    client_id: str
    role: OrderRole
    market: MarketKey
    direction: Direction
    lots: int
    sequence: int
    placed_at: int
    status: OrderStatus = OrderStatus.OPEN
    plan: EntryPlan | None = None
    level_ticks: int = 0
    sibling: str = ""
    locked: Decimal = Decimal(0)
    """Quote money for an entry, base quantity for a spot exit; of a pair, the stop holds the lock of both."""
    tranches: list[Tranche] = field(default_factory=list)
    accepted: bool = True
    ended_at: int = 0
    reason: str = ""
    verdict: Verdict | None = None
    fill: Fill | None = None
    free_lots: int | None = None
    """Of a refused sale: what there was to be sold."""
    limit_ticks: int = 0
    """Of a stop that is not at market: the worst price at which it sells once it has triggered."""
    triggered: bool = False

    def answer(self) -> OrderEvent:
        """What was and always will be answered to placing this order."""
        if self.accepted:
            return OrderAccepted(self.client_id, self.placed_at)
        return OrderRejected(self.client_id, self.reason, self.placed_at, self.free_lots)

    def outcome(self) -> OrderEvent:
        """The fact that ended this order."""
        if self.fill is not None:
            return OrderFilled(self.fill)
        if not self.accepted:
            return self.answer()
        return OrderEnded(self.client_id, self.verdict, self.reason, self.ended_at, self.status)

    def as_json(self) -> JsonObject:
        plan, fill = self.plan, self.fill
        return {
            "client_id": self.client_id,
            "role": str(self.role),
            "exchange": self.market.exchange,
            "symbol": self.market.symbol,
            "direction": int(self.direction),
            "lots": self.lots,
            "sequence": self.sequence,
            "placed_at": self.placed_at,
            "status": str(self.status),
            "plan": plan
            and [
                plan.planned_ticks,
                plan.stop_ticks,
                plan.fixed_target_ticks,
                plan.reward_risk,
                plan.min_reward_risk,
                plan.valid_for_open,
            ],
            "level_ticks": self.level_ticks,
            "sibling": self.sibling,
            "locked": str(self.locked),
            "tranches": [[part.entry_ticks, part.lots, part.entry_time] for part in self.tranches],
            "accepted": self.accepted,
            "ended_at": self.ended_at,
            "reason": self.reason,
            "verdict": self.verdict and str(self.verdict),
            "fill": fill
            and [fill.fill_id, fill.ticks, str(fill.fee), str(fill.funding), fill.time, str(fill.fee_lots_base)],
            "free_lots": self.free_lots,
            "limit_ticks": self.limit_ticks,
            "triggered": self.triggered,
        }

    @classmethod
    def from_json(cls, stored: JsonObject) -> "VenueOrder":
        plan, fill, verdict = stored["plan"], stored["fill"], stored["verdict"]
        order = cls(
            client_id=stored["client_id"],
            role=OrderRole(stored["role"]),
            market=MarketKey(stored["exchange"], stored["symbol"]),
            direction=Direction(stored["direction"]),
            lots=stored["lots"],
            sequence=stored["sequence"],
            placed_at=stored["placed_at"],
            status=OrderStatus(stored["status"]),
            plan=EntryPlan(*plan) if plan else None,
            level_ticks=stored["level_ticks"],
            sibling=stored["sibling"],
            locked=Decimal(stored["locked"]),
            tranches=[Tranche(*part) for part in stored["tranches"]],
            accepted=stored["accepted"],
            ended_at=stored["ended_at"],
            reason=stored["reason"],
            verdict=Verdict(verdict) if verdict else None,
            # Orders that were written down before these were known have none of them.
            free_lots=stored.get("free_lots"),
            limit_ticks=stored.get("limit_ticks", 0),
            triggered=stored.get("triggered", False),
        )
        if fill:
            fill_id, ticks, fee, funding, time, *kept = fill
            order.fill = order.filled(
                fill_id, ticks, Decimal(fee), Decimal(funding), time, Decimal(kept[0] if kept else 0)
            )
        return order

    def filled(
        self, fill_id: str, ticks: int, fee: Decimal, funding: Decimal, time: int, fee_base: Decimal = Decimal(0)
    ) -> Fill:
        side = self.direction if self.role is OrderRole.ENTRY else Direction(-self.direction)
        return Fill(
            fill_id, self.client_id, self.market, self.role, side, ticks, self.lots, fee, funding, time, fee_base
        )
