"""A simulated venue's own book: balances with locks, resting orders, and what a price does to them.

Synchronous and without time of its own. Fill rules are those of ``kernels.fills``; amounts are exact decimals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from tradepulse.domain.commands import (
    CancelOrder,
    CancelProtection,
    Command,
    PlaceEntry,
    PlaceExit,
    Placement,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import OrderEvent, OrderFilled, OrderNotFound
from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.domain.orders import OrderRole, OrderStatus
from tradepulse.domain.signals import VERDICTS, Direction, Verdict
from tradepulse.exchanges.venue_orders import Tranche, VenueOrder
from tradepulse.kernels import fills
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import InvariantError

NOTHING = Decimal(0)
UNREACHABLE = 2**60
FINEST_FEE = Decimal("1e-8")
NO_FUNDS = "insufficient balance"


@dataclass(frozen=True, slots=True)
class MarketRules:
    """How a venue handles the orders of one market.

    ``pairs``: whether stop and target may rest as one pair; otherwise stops rest alone. ``stops_lock``: whether a stop
    alone locks what it sells before it triggers. ``fee_in_base``: whether the fee of a purchase is kept in coins.
    Depths, in ppm of the stop: how far beyond it the limit of a stop-limit stands; 0 where stops are at market.
    """

    pairs: bool = True
    stops_lock: bool = True
    fee_in_base: bool = False
    stop_depth_ppm: int = 0
    pair_depth_ppm: int = 0


class VenueBook:
    """Balances per currency (``total`` includes ``locked``), open orders per market, and every order in memory."""

    def __init__(
        self,
        specs: Mapping[MarketKey, MarketSpec],
        balances: Mapping[str, Decimal],
        rules: Mapping[MarketKey, MarketRules] | None = None,
    ) -> None:
        self._rules = dict.fromkeys(specs, MarketRules()) | dict(rules or {})
        self.specs = dict(specs)
        self.total: dict[str, Decimal] = dict(balances)
        self.locked: dict[str, Decimal] = {}
        self.sequence = 0
        self.orders: dict[str, VenueOrder] = {}
        self.open: dict[MarketKey, dict[str, VenueOrder]] = {}
        self.touched: dict[str, VenueOrder] = {}
        self._tranches: dict[tuple[MarketKey, Direction], list[Tranche]] = {}

    def free(self, currency: str) -> Decimal:
        return self.total.get(currency, NOTHING) - self.locked.get(currency, NOTHING)

    # --- commands

    def execute(self, command: Command, now: int) -> list[OrderEvent]:
        """Answer a command; one whose ids are known already changes nothing and gets the same answer."""
        ids = client_ids(command)
        if isinstance(command, CancelProtection | CancelOrder):
            return [self._cancel(client_id, now) for client_id in ids]
        if isinstance(command, QueryOrder):
            return [self._found(command.client_id, now)]
        if ids[0] not in self.orders:
            self._place(command, now)
        return [self.orders[client_id].answer() for client_id in ids]

    def _place(self, command: Placement, now: int) -> None:
        orders = self._new_orders(command, now)
        spec = self.specs.get(command.market)
        refusal = f"{command.market} is not listed" if spec is None else self._refusal(command, spec)
        free_lots = self._too_few(command, spec) if spec is not None and refusal.startswith(NO_FUNDS) else None
        for order in orders:
            self.sequence += 1
            self.orders[order.client_id] = self.touched[order.client_id] = order
            if refusal or spec is None:
                order.status, order.accepted, order.reason, order.ended_at = OrderStatus.REJECTED, False, refusal, now
                order.free_lots = free_lots
            else:
                self.open.setdefault(order.market, {})[order.client_id] = order
        if spec is not None and not refusal:
            self._lock(orders[0], spec)

    def refuse(self, command: Placement, reason: str, now: int) -> list[OrderEvent]:
        """Keep a placement as refused, for a reason that is not the book's own."""
        return self._kept_as(command, OrderStatus.REJECTED, reason, now)

    def drop(self, command: Placement, verdict: Verdict, now: int) -> list[OrderEvent]:
        """Keep a placement as ended before it began."""
        return self._kept_as(command, OrderStatus.EXPIRED, verdict, now)

    def _kept_as(self, command: Placement, status: OrderStatus, reason: str, now: int) -> list[OrderEvent]:
        orders = self._new_orders(command, now)
        for order in orders:
            self.sequence += 1
            self.orders[order.client_id] = self.touched[order.client_id] = order
            order.status, order.reason, order.ended_at = status, reason, now
            order.accepted = status is not OrderStatus.REJECTED
            order.verdict = Verdict(reason) if order.accepted else None
        return [order.outcome() for order in orders]

    def _too_few(self, command: Placement, spec: MarketSpec) -> int | None:
        """Of a sale: the lots that are free."""
        if isinstance(command, PlaceEntry) or spec.kind is not MarketKind.SPOT:
            return None
        return int(self.free(spec.base) // spec.lot_size)

    def _new_orders(self, command: Placement, now: int) -> list[VenueOrder]:
        market, direction, lots, number = command.market, command.direction, command.lots, self.sequence
        if isinstance(command, PlaceEntry):
            entry = VenueOrder(command.client_id, OrderRole.ENTRY, market, direction, lots, number, now)
            entry.plan = command.plan
            return [entry]
        if isinstance(command, PlaceExit):
            leaving = VenueOrder(command.client_id, OrderRole.EXIT, market, direction, lots, number, now)
            leaving.level_ticks = command.limit_ticks or 0
            return [leaving]
        if isinstance(command, PlaceStop):
            alone = VenueOrder(command.client_id, OrderRole.STOP, market, direction, lots, number, now)
            alone.level_ticks = command.stop_ticks
            alone.limit_ticks = self._stop_limit(command, self._rules_of(market).stop_depth_ppm)
            return [alone]
        stop = VenueOrder(command.stop_client_id, OrderRole.STOP, market, direction, lots, number, now)
        target = VenueOrder(command.target_client_id, OrderRole.TARGET, market, direction, lots, number + 1, now)
        stop.level_ticks, target.level_ticks = command.stop_ticks, command.target_ticks
        stop.limit_ticks = self._stop_limit(command, self._rules_of(market).pair_depth_ppm)
        stop.sibling, target.sibling = target.client_id, stop.client_id
        return [stop, target]

    def _rules_of(self, market: MarketKey) -> MarketRules:
        return self._rules.get(market, MarketRules())

    @staticmethod
    def _stop_limit(command: PlaceStop | PlaceProtection, depth_ppm: int) -> int:
        """0 for a stop at market."""
        if not depth_ppm:
            return 0
        return max(1, command.stop_ticks - command.direction * (command.stop_ticks * depth_ppm // fills.PPM))

    def _refusal(self, command: Placement, spec: MarketSpec) -> str:
        """Why the exchange's filters or the balance refuse the order; empty when they do not."""
        if command.lots < 1:
            return f"{command.lots} lots are below the minimum of one lot"
        if isinstance(command, PlaceEntry):
            return self._entry_refusal(command, spec)
        if isinstance(command, PlaceProtection) and not self._rules_of(command.market).pairs:
            return "this exchange knows no pairs of orders"
        if isinstance(command, PlaceProtection | PlaceStop):
            refusal = _level_refusal(command, spec)
            if refusal:
                return refusal
        if spec.kind is MarketKind.SPOT:
            wanted, free = spec.quantity(command.lots), self.free(spec.base)
            if command.direction is Direction.SHORT:
                return Verdict.SHORT_NOT_POSSIBLE
            if isinstance(command, PlaceStop) and not self._rules_of(command.market).stops_lock:
                return ""
        else:
            held = sum(part.lots for part in self._tranches.get((command.market, command.direction), ()))
            wanted, free = spec.quantity(command.lots), spec.quantity(held)
        return f"{NO_FUNDS}: {wanted} {spec.base} wanted, {free} free" if wanted > free else ""

    def _entry_refusal(self, command: PlaceEntry, spec: MarketSpec) -> str:
        if command.direction is Direction.SHORT and spec.kind is MarketKind.SPOT:
            return Verdict.SHORT_NOT_POSSIBLE
        plan = command.plan
        if plan.stop_ticks < 1 or command.direction * (plan.planned_ticks - plan.stop_ticks) <= 0:
            return Verdict.STOP_ON_WRONG_SIDE
        if spec.money(command.lots * plan.planned_ticks) < spec.min_notional:
            return Verdict.BELOW_MIN_NOTIONAL
        lock = _entry_lock(command.lots, plan.planned_ticks, plan.stop_ticks, spec)
        free = self.free(spec.quote)
        return f"{NO_FUNDS}: {lock} {spec.quote} wanted, {free} free" if lock > free else ""

    def _cancel(self, client_id: str, now: int) -> OrderEvent:
        """An order that had ended before answers with the fact that ended it."""
        order = self.orders.get(client_id)
        if order is None:
            return OrderNotFound(client_id, now)
        if order.status is OrderStatus.OPEN:
            self._end(order, OrderStatus.CANCELLED, now, "cancelled")
        return order.outcome()

    def _found(self, client_id: str, now: int) -> OrderEvent:
        order = self.orders.get(client_id)
        if order is None:
            return OrderNotFound(client_id, now)
        return order.answer() if order.status is OrderStatus.OPEN else order.outcome()

    # --- what a price does

    def resting(self, market: MarketKey, before: int) -> list[VenueOrder]:
        """Open orders that arrived before ``before``: exits, then pairs (their stops), then entries."""
        orders = [
            order
            for order in self.open.get(market, {}).values()
            if order.sequence < before and order.role is not OrderRole.TARGET
        ]
        return sorted(orders, key=lambda order: (_TURN[order.role], order.sequence))

    def meet_open(self, order: VenueOrder, open_time: int, open_ticks: int) -> list[OrderEvent]:
        """What the opening price of a bar does to an order; empty when it keeps resting."""
        spec = self.specs[order.market]
        if order.role is OrderRole.EXIT:
            return self._meet_exit(order, spec, open_time, open_ticks)
        if order.role is OrderRole.ENTRY:
            return self._meet_entry(order, spec, open_time, open_ticks)
        if order.triggered:
            return self._meet_limit(order, spec, open_time, open_ticks)
        # A plain int: numba dispatches on enumerations a hundred times more slowly.
        target, direction = self._target_of(order), int(order.direction)
        reason, price = fills.exit_at_open(open_ticks, order.level_ticks, target, direction, spec.slippage_ppm)
        return self._fill_pair(order, reason, price, open_time)

    def meet_range(
        self, order: VenueOrder, open_ticks: int, high_ticks: int, low_ticks: int, close_time: int
    ) -> list[OrderEvent]:
        """What the high and low of a bar do to a pair; empty when it keeps resting."""
        if order.role is not OrderRole.STOP:
            return []
        if order.triggered:
            best = high_ticks if order.direction is Direction.LONG else low_ticks
            return self._meet_limit(order, self.specs[order.market], close_time, best)
        stop, target, direction = order.level_ticks, self._target_of(order), int(order.direction)
        slippage = self.specs[order.market].slippage_ppm
        # A pair that arrived late may have found the price beyond its stop already: it does not get the stop's price.
        reason, price = fills.exit_at_open(open_ticks, stop, target, direction, slippage)
        if reason != fills.STOP:
            reason, price = fills.exit_in_range(high_ticks, low_ticks, stop, target, direction, slippage)
        return self._fill_pair(order, reason, price, close_time)

    def meet_price(self, order: VenueOrder, time: int, ticks: int) -> list[OrderEvent]:
        """What a single price does to an exit, a stop or a pair; empty when it keeps resting."""
        if order.role is OrderRole.EXIT:
            return self._meet_exit(order, self.specs[order.market], time, ticks)
        return self.meet_range(order, ticks, ticks, ticks, time)

    def _meet_limit(self, stop: VenueOrder, spec: MarketSpec, time: int, ticks: int) -> list[OrderEvent]:
        """A stop that triggered and found the price beyond its limit: it sells at its limit or not at all."""
        if stop.direction * (ticks - stop.limit_ticks) < 0:
            return []
        return self._fill_alone(stop, spec, stop.limit_ticks, time)

    def _fill_alone(self, stop: VenueOrder, spec: MarketSpec, ticks: int, time: int) -> list[OrderEvent]:
        """A stop that locked nothing may find its coins gone."""
        if spec.kind is MarketKind.SPOT and not stop.locked and spec.quantity(stop.lots) > self.free(spec.base):
            self._end(stop, OrderStatus.EXPIRED, time, f"{NO_FUNDS} when it triggered")
            return [stop.outcome()]
        return [self._fill(stop, ticks, spec.taker_ppm, time)]

    def _target_of(self, stop: VenueOrder) -> int:
        """Of a stop alone: a price that is never reached."""
        if stop.sibling:
            return self.orders[stop.sibling].level_ticks
        return UNREACHABLE if stop.direction is Direction.LONG else -UNREACHABLE

    def _meet_exit(self, order: VenueOrder, spec: MarketSpec, open_time: int, open_ticks: int) -> list[OrderEvent]:
        price, limit = fills.worsened(open_ticks, -order.direction, spec.slippage_ppm), order.level_ticks
        if limit and order.direction * (open_ticks - limit) < 0:
            self._end(order, OrderStatus.EXPIRED, open_time, "nothing could be had at the limit")
            return [order.outcome()]
        if limit:
            price = order.direction * max(order.direction * price, order.direction * limit)
        return [self._fill(order, price, spec.taker_ppm, open_time)]

    def _meet_entry(self, order: VenueOrder, spec: MarketSpec, open_time: int, open_ticks: int) -> list[OrderEvent]:
        plan = order.plan
        if plan is None:
            raise InvariantError(f"Entry {order.client_id} has no plan.", "The venue's store is damaged: restore it.")
        if open_time < plan.valid_for_open:
            return []
        code = fills.NEXT_BAR_MISSING
        if open_time == plan.valid_for_open:
            price, code = fills.entry_refusal(
                open_ticks,
                plan.planned_ticks,
                plan.stop_ticks,
                int(order.direction),
                plan.fixed_target_ticks,
                plan.reward_risk,
                plan.min_reward_risk,
                spec.maker_ppm,
                spec.taker_ppm,
                spec.slippage_ppm,
            )
            if code == fills.ACCEPTED:
                return [self._fill(order, price, spec.taker_ppm, open_time)]
        order.verdict = VERDICTS[code]
        self._end(order, OrderStatus.EXPIRED, open_time, order.verdict)
        return [order.outcome()]

    def _fill_pair(self, stop: VenueOrder, reason: int, price: int, time: int) -> list[OrderEvent]:
        if reason == fills.NO_EXIT:
            return []
        spec = self.specs[stop.market]
        if reason == fills.STOP and stop.limit_ticks and stop.direction * (price - stop.limit_ticks) < 0:
            return self._triggered(stop, time)
        if not stop.sibling:
            return self._fill_alone(stop, spec, price, time)
        target = self.orders[stop.sibling]
        if reason == fills.STOP:
            filled, other, rate = stop, target, spec.taker_ppm
        else:
            filled, other, rate = target, stop, spec.maker_ppm
            target.locked, target.tranches = stop.locked, stop.tranches
            stop.locked, stop.tranches = NOTHING, []
        event = self._fill(filled, price, rate, time)
        self._end(other, OrderStatus.CANCELLED, time, "sibling filled")
        return [event, other.outcome()]

    def _triggered(self, stop: VenueOrder, time: int) -> list[OrderEvent]:
        """It works as a limit order from now on; the sibling of a pair ends with that, whatever becomes of it."""
        stop.triggered = True
        self.touched[stop.client_id] = stop
        if not stop.sibling:
            return []
        target = self.orders[stop.sibling]
        stop.sibling = ""
        self._end(target, OrderStatus.CANCELLED, time, "sibling triggered")
        return [target.outcome()]

    # --- money

    def _fill(self, order: VenueOrder, ticks: int, rate_ppm: int, time: int) -> OrderFilled:
        spec = self.specs[order.market]
        notional = ticks * order.lots
        fee = spec.money(fills.fee_units(notional, rate_ppm))
        entering = order.role is OrderRole.ENTRY
        kept = NOTHING
        if spec.kind is MarketKind.SPOT:
            funding = NOTHING
            self._release(order, spec)
            sign = 1 if entering else -1
            if entering and self._rules_of(order.market).fee_in_base:
                fee, kept = NOTHING, _fee_in_base(spec, order.lots, rate_ppm)
            self._add(self.total, spec.base, sign * spec.quantity(order.lots) - kept)
            self._add(self.total, spec.quote, -sign * spec.money(notional) - fee)
        elif entering:
            funding = NOTHING
            self._release(order, spec)
            self._add(self.total, spec.quote, -fee)
            self._add(self.locked, spec.quote, spec.money(notional))
            tranche = Tranche(ticks, order.lots, time)
            self._tranches.setdefault((order.market, order.direction), []).append(tranche)
        else:
            funding = self._settle(order, spec, ticks, fee, time)
        order.fill = order.filled(f"{order.client_id}-1", ticks, fee, funding, time, kept)
        self._close(order, OrderStatus.FILLED, time)
        return OrderFilled(order.fill)

    def _settle(self, order: VenueOrder, spec: MarketSpec, ticks: int, fee: Decimal, time: int) -> Decimal:
        """Profit, margin and funding of a swap exit; returns the funding paid."""
        direction, profit, funding, margin = int(order.direction), 0, 0, 0
        for part in order.tranches:
            entry_notional = part.entry_ticks * part.lots
            profit += fills.profit_units(part.entry_ticks, ticks, part.lots, direction)
            funding += fills.funding_units(entry_notional, spec.funding_ppm, direction, part.entry_time, time)
            margin += entry_notional
        order.tranches = []
        self._add(self.locked, spec.quote, -spec.money(margin))
        self._add(self.total, spec.quote, spec.money(profit) - fee - spec.money(funding))
        return spec.money(funding)

    def _lock(self, order: VenueOrder, spec: MarketSpec) -> None:
        if order.plan is not None:
            order.locked = _entry_lock(order.lots, order.plan.planned_ticks, order.plan.stop_ticks, spec)
            self._add(self.locked, spec.quote, order.locked)
        elif spec.kind is MarketKind.SPOT:
            alone = order.role is OrderRole.STOP and not order.sibling
            if not alone or self._rules_of(order.market).stops_lock:
                order.locked = spec.quantity(order.lots)
                self._add(self.locked, spec.base, order.locked)
        else:
            order.tranches = self._take_tranches(order)

    def _release(self, order: VenueOrder, spec: MarketSpec) -> None:
        currency = spec.quote if order.role is OrderRole.ENTRY else spec.base
        self._add(self.locked, currency, -order.locked)
        order.locked = NOTHING

    def _take_tranches(self, order: VenueOrder) -> list[Tranche]:
        """Reserve ``lots`` of the position: the newest tranche of just that size, else the oldest ones."""
        held = self._tranches[order.market, order.direction]
        for position in range(len(held) - 1, -1, -1):
            if held[position].lots == order.lots:
                return [held.pop(position)]
        taken: list[Tranche] = []
        missing = order.lots
        while missing:
            part = held.pop(0)
            if part.lots > missing:
                held.insert(0, Tranche(part.entry_ticks, part.lots - missing, part.entry_time))
                part = Tranche(part.entry_ticks, missing, part.entry_time)
            taken.append(part)
            missing -= part.lots
        return taken

    def _end(self, order: VenueOrder, status: OrderStatus, time: int, reason: str) -> None:
        order.reason = reason
        self._release(order, self.specs[order.market])
        if order.tranches:
            self._tranches.setdefault((order.market, order.direction), []).extend(order.tranches)
            order.tranches = []
        self._close(order, status, time)

    def _close(self, order: VenueOrder, status: OrderStatus, time: int) -> None:
        order.status, order.ended_at = status, time
        self.touched[order.client_id] = order
        resting = self.open[order.market]
        del resting[order.client_id]
        if not resting:
            del self.open[order.market]

    @staticmethod
    def _add(amounts: dict[str, Decimal], currency: str, amount: Decimal) -> None:
        amounts[currency] = amounts.get(currency, NOTHING) + amount

    # --- memory

    def as_json(self) -> JsonObject:
        """Everything but the orders that ended; those are kept one by one."""
        return {
            "sequence": self.sequence,
            "total": {currency: str(amount) for currency, amount in self.total.items()},
            "locked": {currency: str(amount) for currency, amount in self.locked.items()},
            "open": [order.as_json() for resting in self.open.values() for order in resting.values()],
            "tranches": [
                [key.exchange, key.symbol, int(direction), [[p.entry_ticks, p.lots, p.entry_time] for p in parts]]
                for (key, direction), parts in self._tranches.items()
                if parts
            ],
        }

    def restore(self, state: JsonObject) -> None:
        self.sequence = state["sequence"]
        self.total = {currency: Decimal(amount) for currency, amount in state["total"].items()}
        self.locked = {currency: Decimal(amount) for currency, amount in state["locked"].items()}
        for stored in state["open"]:
            order = VenueOrder.from_json(stored)
            self.orders[order.client_id] = order
            self.open.setdefault(order.market, {})[order.client_id] = order
        for exchange, symbol, direction, parts in state["tranches"]:
            key = MarketKey(exchange, symbol), Direction(direction)
            self._tranches[key] = [Tranche(*part) for part in parts]


_TURN = {OrderRole.EXIT: 0, OrderRole.STOP: 1, OrderRole.ENTRY: 2}


def client_ids(command: Command) -> tuple[str, ...]:
    if isinstance(command, PlaceProtection | CancelProtection):
        return command.stop_client_id, command.target_client_id
    return (command.client_id,)


def _fee_in_base(spec: MarketSpec, lots: int, rate_ppm: int) -> Decimal:
    """Rounded up, in favour of the exchange."""
    exact = spec.quantity(lots) * rate_ppm / fills.PPM
    return exact.quantize(min(FINEST_FEE, spec.lot_size), ROUND_CEILING).normalize()


def _entry_lock(lots: int, planned: int, stop: int, spec: MarketSpec) -> Decimal:
    """Money an entry may cost at most: the dearest price at which it still fills, and its fee."""
    notional = lots * max(planned, fills.worst_entry(planned, stop))
    return spec.money(notional + fills.fee_units(notional, spec.taker_ppm))


def _level_refusal(command: PlaceProtection | PlaceStop, spec: MarketSpec) -> str:
    lowest = command.stop_ticks
    if isinstance(command, PlaceProtection):
        lowest = min(command.stop_ticks, command.target_ticks)
        if lowest >= 1 and command.direction * (command.target_ticks - command.stop_ticks) <= 0:
            return "the relationship of the prices of stop and target is not correct"
    if lowest < 1:
        return "a level must be a positive price"
    if spec.kind is MarketKind.SPOT and spec.money(command.lots * lowest) < spec.min_notional:
        return Verdict.BELOW_MIN_NOTIONAL
    return ""
