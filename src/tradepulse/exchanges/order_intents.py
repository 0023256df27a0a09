"""From a command to what is placed: which orders, by which call, and why it is refused before anything is sent."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.commands import PlaceEntry, PlaceExit, Placement, PlaceProtection, PlaceStop
from tradepulse.domain.market import MINUTE, MarketKey, MarketSpec
from tradepulse.domain.orders import OrderRole, ProtectionMode
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges.ccxt_candles import traded_spec
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.order_filters import OrderFilters, filters_of
from tradepulse.exchanges.tracked_orders import Leg, TrackedOrder
from tradepulse.exchanges.unified_calls import Call, Exit, OrderCalls, OrderForm, PairIds, TradedMarket
from tradepulse.exchanges.venue_facts import StopType
from tradepulse.exchanges.venues import mode_for, stop_types_for, venue_of
from tradepulse.kernels import fills
from tradepulse.shared.errors import ConfigurationError, RefusedError

NOTHING = Decimal(0)
ENTRY_WINDOW_MS = MINUTE
"""How long after its opening time an entry may still be sent."""
STOP_LIMIT_DEPTH = Decimal("0.05")
"""How far below its stop the limit of a stop-limit stands, where there are no stops at market."""
SEPARATE_LEGS = frozenset({"binance", "binanceus"})
"""Exchanges that keep the legs of a pair as orders of their own, each found by its own id."""


@dataclass(slots=True)
class GatewayMarket:
    """One market: its filters in our words, the calls that trade it, and why it takes no entries, if it does not."""

    spec: MarketSpec
    calls: OrderCalls
    filters: OrderFilters
    pairs: bool
    market_stops: bool
    pair_at_market: bool
    pairs_may_rest: bool
    """An earlier process may have placed pairs here, whatever this one found out about the account."""
    obstacle: str = ""
    bid: Decimal | None = None

    @property
    def separate_legs(self) -> bool:
        return self.spec.key.exchange in SEPARATE_LEGS


@dataclass(frozen=True, slots=True)
class Intent:
    """Something to be placed once. ``at_once``: it trades or ends now, so what became of it is asked for."""

    orders: tuple[TrackedOrder, ...]
    build: Callable[[], Call]
    refusal: str = ""
    stale: bool = False
    at_once: bool = False


def gateway_market(
    client: Any, market: dict[str, Any], price: float, *, probed: bool, okx_trade_mode: str
) -> GatewayMarket:
    """From ccxt's structure of the market and about its price."""
    spec, info = traded_spec(client, market, price), market.get("info") or {}
    venue = venue_of(client.id, spec.kind)
    return GatewayMarket(
        spec=spec,
        calls=order_calls(TradedMarket(spec, market["id"], info), okx_trade_mode=okx_trade_mode),
        filters=filters_of(market),
        pairs=mode_for(venue, info, probed=probed).value is ProtectionMode.NATIVE,
        market_stops=StopType.MARKET in stop_types_for(venue, info),
        pair_at_market=venue.pair_stop.value is StopType.MARKET,
        pairs_may_rest=mode_for(venue, info, probed=True).value is ProtectionMode.NATIVE,
        obstacle=obstacle_of(market),
    )


async def traded_markets(
    connection: ExchangeConnection, keys: Iterable[MarketKey], *, probed: bool, okx_trade_mode: str = "cash"
) -> dict[MarketKey, GatewayMarket]:
    """By the exchange's markets as they are loaded, and their prices of now."""
    found = {}
    for key in sorted(keys):
        price = await price_of(connection, key)
        found[key] = gateway_market(
            connection.client, connection.market(key), price, probed=probed, okx_trade_mode=okx_trade_mode
        )
    return found


async def price_of(connection: ExchangeConnection, key: MarketKey) -> float:
    ticker = await connection.asked(Call("fetch_ticker", (key.symbol,)))
    price = ticker.get("last") or ticker.get("close") or ticker.get("bid")
    if not price:
        raise ConfigurationError(f"{key} has no price.", "Trade a market that is traded.")
    return float(price)


def obstacle_of(market: dict[str, Any]) -> str:
    """Why a market takes no entries, in the exchange's words; '' when it takes them."""
    if market.get("active") is not False:
        return ""
    return f"the market is not open for trading ({(market.get('info') or {}).get('status') or 'not active'})"


def intent_of(command: Placement, market: GatewayMarket, now: int, obstacle: str, crowded: str) -> Intent:
    """``obstacle``: why no entries are taken now; ``crowded``: why there is no room for one and its protection."""
    if isinstance(command, PlaceEntry):
        intent = _entry(command, market, now, obstacle or crowded)
    elif isinstance(command, PlaceExit):
        intent = _exit(command, market, now)
    elif isinstance(command, PlaceStop):
        intent = _stop(command, market, now)
    else:
        intent = _pair(command, market, now)
    return intent if command.direction is Direction.LONG else replace(intent, refusal=Verdict.SHORT_NOT_POSSIBLE)


def _entry(command: PlaceEntry, market: GatewayMarket, now: int, obstacle: str) -> Intent:
    """What can be had at once up to the worst price at which the entry is still worth its risk."""
    plan, spec, filters = command.plan, market.spec, market.filters
    worst = spec.price(max(plan.planned_ticks, fills.worst_entry(plan.planned_ticks, plan.stop_ticks)))
    quantity, reference = spec.quantity(command.lots), market.bid or spec.price(plan.planned_ticks)
    return Intent(
        (TrackedOrder(command.client_id, OrderRole.ENTRY, OrderForm.PLAIN, spec, now),),
        lambda: market.calls.immediate_entry(command.client_id, quantity, worst),
        obstacle
        # At the price of the stop: what could not be protected is not bought.
        or filters.amount_refusal(quantity, spec.price(plan.stop_ticks), at_market=False)
        or filters.price_refusal(worst, reference, buys=True),
        stale=now >= plan.valid_for_open + ENTRY_WINDOW_MS,
        at_once=True,
    )


def _exit(command: PlaceExit, market: GatewayMarket, now: int) -> Intent:
    spec, client_id, limit = market.spec, command.client_id, command.limit_ticks
    quantity = spec.quantity(command.lots)
    order = TrackedOrder(client_id, role_of(client_id, OrderRole.EXIT), OrderForm.PLAIN, spec, now)
    if limit is not None:
        worst = spec.price(limit)
        refusal = market.filters.amount_refusal(quantity, worst, at_market=False)
        return Intent((order,), lambda: market.calls.target_exit(client_id, quantity, worst), refusal, at_once=True)
    refusal = "" if market.bid is None else market.filters.amount_refusal(quantity, market.bid, at_market=True)
    return Intent((order,), lambda: market.calls.market_exit(client_id, quantity), refusal, at_once=True)


def _stop(command: PlaceStop, market: GatewayMarket, now: int) -> Intent:
    spec = market.spec
    quantity, stop = spec.quantity(command.lots), spec.price(command.stop_ticks)
    limit = None if market.market_stops else stop * (1 - STOP_LIMIT_DEPTH)
    return Intent(
        (TrackedOrder(command.client_id, OrderRole.STOP, OrderForm.STOP, spec, now),),
        lambda: market.calls.resting_stop(command.client_id, quantity, stop, limit),
        market.filters.amount_refusal(quantity, limit or stop, at_market=False),
    )


def _pair(command: PlaceProtection, market: GatewayMarket, now: int) -> Intent:
    spec = market.spec
    quantity, stop, target = (
        spec.quantity(command.lots),
        spec.price(command.stop_ticks),
        spec.price(command.target_ticks),
    )
    limit = None if market.pair_at_market else stop * (1 - STOP_LIMIT_DEPTH)
    ids = PairIds(
        command.pair_client_id or pair_id_of(command.stop_client_id), command.stop_client_id, command.target_client_id
    )
    refusal = "" if market.pairs else f"there are no pairs on this market: {market.calls.venue.why}"
    return Intent(
        _pair_orders(ids, market, stop, target, now),
        lambda: market.calls.protective_pair(ids, Exit(quantity, stop, target, limit)),
        refusal or market.filters.amount_refusal(quantity, limit or stop, at_market=False),
    )


def _pair_orders(
    ids: PairIds, market: GatewayMarket, stop: Decimal, target: Decimal, now: int
) -> tuple[TrackedOrder, ...]:
    if market.separate_legs:
        return (
            TrackedOrder(ids.stop, OrderRole.STOP, OrderForm.STOP, market.spec, now),
            TrackedOrder(ids.target, OrderRole.TARGET, OrderForm.PLAIN, market.spec, now),
        )
    legs = (Leg(ids.stop, OrderRole.STOP, stop), Leg(ids.target, OrderRole.TARGET, target))
    return (TrackedOrder(ids.pair, OrderRole.STOP, OrderForm.PAIR, market.spec, now, legs),)


_ROLES = {
    IdRole.ENTRY: OrderRole.ENTRY,
    IdRole.STOP: OrderRole.STOP,
    IdRole.TARGET: OrderRole.TARGET,
    IdRole.EXIT: OrderRole.EXIT,
    IdRole.PAIR: OrderRole.STOP,
}


def role_of(client_id: str, otherwise: OrderRole) -> OrderRole:
    """What an id of our scheme says of its order."""
    try:
        return _ROLES[ClientId.parse(client_id).role]
    except RefusedError:
        return otherwise


def form_of(client_id: str) -> OrderForm:
    """Where an exchange keeps an order with this id."""
    try:
        role = ClientId.parse(client_id).role
    except RefusedError:
        return OrderForm.PLAIN
    return {IdRole.STOP: OrderForm.STOP, IdRole.PAIR: OrderForm.PAIR}.get(role, OrderForm.PLAIN)


def pair_id_of(stop_client_id: str) -> str:
    """The id of the pair whose stop has this one."""
    try:
        return str(ClientId.parse(stop_client_id).as_role(IdRole.PAIR))
    except RefusedError:
        return f"{stop_client_id}p"


def pair_ids_of(leg_client_id: str) -> PairIds | None:
    """The ids of the pair that a leg belongs to; ``None`` when this is no leg's id."""
    try:
        leg = ClientId.parse(leg_client_id)
    except RefusedError:
        return None
    if leg.role not in (IdRole.STOP, IdRole.TARGET):
        return None
    return PairIds(*(str(leg.as_role(role)) for role in (IdRole.PAIR, IdRole.STOP, IdRole.TARGET)))


def unpriced_legs(stop_client_id: str, target_client_id: str) -> tuple[Leg, ...]:
    """Legs of a pair that an earlier process placed: the exchange tells their levels."""
    return Leg(stop_client_id, OrderRole.STOP, NOTHING), Leg(target_client_id, OrderRole.TARGET, NOTHING)
