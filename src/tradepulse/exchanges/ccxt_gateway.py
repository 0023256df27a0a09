"""Orders on a real exchange. What is unknown is asked, never assumed; nothing is sent twice without asking first.

A command goes out once, as the data of ``order_calls``. Its outcome decides: taken, refused, or in doubt. Executions
are told one by one with the exchange's own ids, whether the stream brought them or a question did, and what a stream
lost is found by questions after every connection and from time to time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import ccxt.pro as ccxtpro

from tradepulse.domain.client_ids import TRADE_LENGTH
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
from tradepulse.domain.events import OrderEvent, OrderInDoubt, OrderNotFound, PriceSeen
from tradepulse.domain.market import MINUTE, MarketKey, MarketSpec
from tradepulse.domain.orders import AccountView, OrderRole, ProtectionMode, RestingOrder
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.account_probes import Probe, probe_account
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection, Sleep
from tradepulse.exchanges.client_ids import id_from_wire
from tradepulse.exchanges.order_answers import SeenOrder, SeenTrade, orders_in
from tradepulse.exchanges.order_inquiry import FAILURES, PATIENCE_MS, Found, Inquiry
from tradepulse.exchanges.order_intents import (
    SEPARATE_LEGS,
    GatewayMarket,
    Intent,
    form_of,
    gateway_market,
    intent_of,
    obstacle_of,
    pair_id_of,
    pair_ids_of,
    price_of,
    role_of,
    unpriced_legs,
)
from tradepulse.exchanges.order_pace import OrderPace, PaceLimit, pace_limits
from tradepulse.exchanges.outcomes import (
    REFUSED_FOR_THE_RATE,
    WRONG_TIME,
    Outcome,
    order_id_in,
    outcome_of,
    reason_of,
    wants_funds,
)
from tradepulse.exchanges.price_watch import PriceWatch
from tradepulse.exchanges.rate_budget import Urgency
from tradepulse.exchanges.tracked_orders import TrackedOrder
from tradepulse.exchanges.unified_calls import Call, OrderForm
from tradepulse.exchanges.user_stream import UserStream
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError

logger = logging.getLogger(__name__)
RESEND_AFTER_MS = 10_000
"""An order that was sent and is not found may be on its way for so long, and is not sent again before."""
LOOK_BACK_MS = 7 * 24 * 60 * MINUTE
"""Where it is not known any more when an order was sent."""
POLL_SECONDS, STATUS_SECONDS, MARKETS_SECONDS = 10.0, 60.0, 600.0
AFTER_A_BREAK_SECONDS = (0.5, 3.0)
MAINTENANCE_MS = 30_000
"""For how long a word of maintenance keeps entries away, unless it is repeated."""
STREAM_SECONDS = 0.5
"""How long the stream may take to tell what became of an order that traded at once, before the exchange is asked."""
ORDERS_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Holding:
    total: Decimal
    free: Decimal


class CcxtGateway:
    """``OrderGateway`` of one wallet. ``open`` before use; ``events`` tells what nobody asked for.

    Make it before anything watches a stream of the same connection. ``probed``: whether the account has passed what the
    exchange's entry demands to be tried; where nothing is said, ``open`` tries it. ``probes`` tells what came of it.
    """

    def __init__(
        self,
        connection: ExchangeConnection,
        markets: Sequence[MarketKey],
        sleep: Sleep = asyncio.sleep,
        *,
        probed: bool | None = None,
        okx_trade_mode: str = "cash",
    ) -> None:
        self._connection = connection
        self._keys = tuple(sorted(markets))
        self._sleep = sleep
        self._probed, self._okx_trade_mode = probed, okx_trade_mode
        self._markets: dict[MarketKey, GatewayMarket] = {}
        self.probes: dict[MarketKey, Probe] = {}
        self._pace = OrderPace((), connection.now)
        self._others: dict[MarketKey, tuple[int, int]] = {}
        """Orders and stops of others on the markets, when they were last seen."""
        self._inquiry = Inquiry(connection, self._markets, sleep)
        self._stream = UserStream(connection, sleep)
        self._orders: dict[str, TrackedOrder] = {}
        self._suspects: set[str] = set()
        """Ids that somebody asked about: an earlier process may have sent them."""
        self._listening = False
        self._locks: dict[str, asyncio.Lock] = {}
        self._queue: deque[OrderEvent] = deque()
        self._told = asyncio.Event()
        self._watched: frozenset[MarketKey] = frozenset()
        self._prices = PriceWatch(connection, self._markets, sleep, self._told.set)
        self._early: deque[SeenTrade] = deque(maxlen=500)
        """Executions of orders whose exchange ids we have not been told yet."""
        self._closely = asyncio.Event()
        self._changed = asyncio.Event()
        self._maintenance = ("", 0)

    # --- the markets

    async def open(self) -> None:
        for key in sorted(self._keys):
            self._markets[key] = await self._opened(key, await price_of(self._connection, key))
        self._pace = OrderPace(await self._pace_limits(), self._connection.now)

    async def _opened(self, key: MarketKey, price: float) -> GatewayMarket:
        client, found = self._connection.client, self._connection.market(key)
        given = Probe(passed=bool(self._probed), why="as was said", okx_trade_mode=self._okx_trade_mode)
        market = gateway_market(client, found, price, probed=given.passed, okx_trade_mode=given.okx_trade_mode)
        if self._probed is not None or not self._connection.venue.probe:
            return market
        probe = self.probes[key] = await probe_account(self._connection, market, Decimal(str(price)))
        logger.info("Whether %s may rest pairs on %s: %s (%s)", self._connection.exchange, key, probe.passed, probe.why)
        return gateway_market(client, found, price, probed=probe.passed, okx_trade_mode=probe.okx_trade_mode)

    async def _pace_limits(self) -> tuple[PaceLimit, ...]:
        if self._connection.exchange not in SEPARATE_LEGS or not self._keys:
            return ()
        one = self._connection.market(self._keys[0])["id"]
        return pace_limits(await self._connection.asked(Call("public_get_exchangeinfo", ({"symbol": one},))))

    async def markets(self) -> dict[MarketKey, MarketSpec]:
        return {key: market.spec for key, market in self._markets.items()}

    def modes(self) -> dict[MarketKey, ProtectionMode]:
        """Whether stop and target may rest as one pair; else the stop rests and the target is watched."""
        modes = {True: ProtectionMode.NATIVE, False: ProtectionMode.EMULATED}
        return {key: modes[market.pairs] for key, market in self._markets.items()}

    def obstacle(self, market: MarketKey) -> str:
        """Why no entry is taken on this market now, '' when there is no reason. Exits are tried all the same."""
        banned = self._connection.budget.banned_until
        if banned:
            return f"{self._connection.exchange} refuses all requests until {banned} (UTC ms)"
        if self._stream.down:
            return f"the account's stream of {self._connection.exchange} is down, so fills would be told late"
        words, until = self._maintenance
        return words if until > self._connection.now() else self._of(market).obstacle

    def _of(self, market: MarketKey) -> GatewayMarket:
        known = self._markets.get(market)
        if known is None:
            listed = ", ".join(map(str, self._markets))
            raise ConfigurationError(f"{market} is not traded through this gateway.", f"It trades: {listed}.")
        return known

    # --- commands

    async def execute(self, command: Command) -> Sequence[OrderEvent]:
        """Everything known of the command's orders afterwards; the same command again changes nothing."""
        match command:
            case PlaceEntry() | PlaceExit() | PlaceStop() | PlaceProtection():
                return await self._place(self._intent(command))
            case CancelOrder():
                return await self._cancel([self._tracked(command.client_id, command.market)])
            case CancelProtection():
                return await self._cancel(self._legs_of(command))
            case QueryOrder():
                return await self._query(self._tracked(command.client_id, command.market))

    def _intent(self, command: Placement) -> Intent:
        market, crowded = self._of(command.market), self._crowded(command.market)
        return intent_of(command, market, self._connection.now(), self.obstacle(command.market), crowded)

    def _crowded(self, key: MarketKey) -> str:
        """Why there is no room for one more trade: what it buys must be protected, or it must not be bought."""
        market, orders = self._of(key), [order for order in self._orders.values() if order.spec.key == key]
        resting = [order for order in orders if order.accepted and not order.ended]
        stops = sum(order.form is not OrderForm.PLAIN for order in resting)
        pairs = sum(order.role is OrderRole.TARGET or order.form is OrderForm.PAIR for order in resting)
        bought = {_trade_of(order) for order in orders if order.role is OrderRole.ENTRY and order.filled_lots}
        # Entries of the same instant, which have no stop yet.
        trades = 1 + len(bought - {_trade_of(order) for order in orders if order.role is not OrderRole.ENTRY})
        legs = 2 if market.pairs and market.separate_legs else 1
        other_orders, other_stops = self._others.get(key, (0, 0))
        return self._pace.refusal(1 + legs) or market.filters.room_refusal(
            len(resting) + other_orders + legs * trades,
            stops + other_stops + trades,
            pairs + trades if market.pairs else 0,
        )

    # --- placing

    async def _place(self, intent: Intent) -> Sequence[OrderEvent]:
        async with self._lock(intent.orders[0]):
            known = tuple(self._orders.get(order.client_id, order) for order in intent.orders)
            for old, new in zip(known, intent.orders, strict=True):
                # An order that was only asked about does not know its legs yet.
                old.legs = old.legs or new.legs
            if known[0].accepted or known[0].rejected or known[0].ended:
                if intent.at_once and known[0].accepted and not known[0].settled:
                    await self._inquiry.about(known[0])
                return self._kept(known)
            if known[0] is not intent.orders[0] or self._may_have_been_sent(intent):
                answer = await self._found_again(known)
                if answer is not None:
                    return answer
            return await self._place_once(replace(intent, orders=known))

    def _may_have_been_sent(self, intent: Intent) -> bool:
        """By an earlier process: before anybody listens, everything may be a repetition."""
        return not self._listening or any(order.client_id in self._suspects for order in intent.orders)

    async def _found_again(self, orders: tuple[TrackedOrder, ...]) -> Sequence[OrderEvent] | None:
        """What is known of orders that may have been sent before; ``None`` when they may be sent now."""
        found = [await self._inquiry.about(order) for order in orders]
        if Found.FOUND in found:
            return self._kept(orders)
        age = self._connection.now() - orders[0].sent_at
        young = orders[0].client_id in self._orders and age < RESEND_AFTER_MS
        if Found.SILENT in found or young:
            return self._in_doubt(orders, "it may have been sent before, and was not found yet")
        return None

    async def _place_once(self, intent: Intent) -> Sequence[OrderEvent]:
        orders, now = intent.orders, self._connection.now()
        if intent.stale:
            orders[0].drop(Verdict.NEXT_BAR_MISSING, now)
            return self._kept(orders)
        try:
            call = intent.build()
        except RefusedError as refusal:
            return self._refused(orders, str(refusal))
        if intent.refusal:
            return self._refused(orders, intent.refusal)
        for order in orders:
            order.sent_at, order.guessed = now, False
            self._orders[order.client_id] = order
        outcome, result = await self._send(call, len(orders))
        return await self._judged(intent, call, outcome, result)

    async def _judged(self, intent: Intent, call: Call, outcome: Outcome, result: Any) -> Sequence[OrderEvent]:
        orders = intent.orders
        self._note_obstacle(orders[0], result)
        if outcome is Outcome.ACCEPTED:
            await self._taken(intent, call, result)
            return self._kept(orders)
        if outcome is Outcome.REFUSED:
            free = await self._free_lots(orders[0]) if wants_funds(result) else None
            return self._refused(orders, reason_of(result), free)
        if outcome is Outcome.NOT_EXECUTED and orders[0].role is OrderRole.ENTRY:
            return self._refused(orders, f"not sent: {reason_of(result)}")
        if outcome is Outcome.UNKNOWN and Found.FOUND in [await self._inquiry.about(order) for order in orders]:
            return self._kept(orders)
        return self._in_doubt(orders, reason_of(result))

    async def _send(self, call: Call, orders: int) -> tuple[Outcome, Any]:
        """Once, and again only when the exchange says that it did not execute it and the pause is short."""
        began, result = self._connection.now(), None
        for _ in range(3):
            left = PATIENCE_MS - (self._connection.now() - began)
            self._pace.note(orders)
            try:
                result = await self._connection.call(call, Urgency.ORDERS, patience_ms=max(0, left))
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the request may have arrived: the table of outcomes decides.
                result = error
            outcome = outcome_of(result)
            if outcome is not Outcome.NOT_EXECUTED or not isinstance(result, (*REFUSED_FOR_THE_RATE, *WRONG_TIME)):
                return outcome, result
        return Outcome.NOT_EXECUTED, result

    async def _taken(self, intent: Intent, call: Call, answer: Any) -> None:
        now, first = self._connection.now(), intent.orders[0]
        for order, exchange_id in zip(intent.orders, _ids_in(answer, intent.orders), strict=True):
            order.accept(exchange_id, now)
        try:
            if call.unified:
                for seen in orders_in(self._connection.client, call, answer, first.spec.key.symbol):
                    await self._inquiry.absorb(first, seen)
            if intent.at_once and not first.settled:
                await self._settled_by_the_stream(first)
                await self._inquiry.about(first)
        except FAILURES as error:
            logger.warning("What became of %s is looked for later: %s", first.client_id, reason_of(error))
        if intent.at_once and not first.settled:
            self._closely.set()

    async def _settled_by_the_stream(self, order: TrackedOrder) -> None:
        """Wait a moment for what the stream will tell anyway: on some exchanges questions are dear."""
        try:
            async with asyncio.timeout(STREAM_SECONDS if self._listening else 0):
                while not (order.settled or (order.short and not self._stream.tells_trades)):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return

    async def _free_lots(self, order: TrackedOrder) -> int | None:
        """What there is to be sold after a sale was refused for want of it; ``None`` for purchases, or if not told."""
        if order.role is OrderRole.ENTRY:
            return None
        try:
            held = (await self.holdings()).get(order.spec.base)
        except FAILURES as error:
            logger.warning("What is free of %s was not told: %s", order.spec.base, reason_of(error))
            return None
        return 0 if held is None else int(held.free // order.spec.lot_size)

    def _refused(
        self, orders: tuple[TrackedOrder, ...], reason: str, free_lots: int | None = None
    ) -> Sequence[OrderEvent]:
        for order in orders:
            order.reject(reason, self._connection.now(), free_lots)
        return self._kept(orders)

    def _in_doubt(self, orders: Iterable[TrackedOrder], reason: str) -> Sequence[OrderEvent]:
        now = self._connection.now()
        return [OrderInDoubt(name, reason, now) for order in orders for name in order.names]

    def _kept(self, orders: Iterable[TrackedOrder]) -> Sequence[OrderEvent]:
        for order in orders:
            self._orders[order.client_id] = order
            order.published = len(order.facts)
        self._take_early_trades()
        self._told.set()
        return _facts(orders)

    def _note_obstacle(self, order: TrackedOrder, result: Any) -> None:
        if isinstance(result, ccxtpro.MarketClosed):
            self._of(order.spec.key).obstacle = reason_of(result)
        if isinstance(result, ccxtpro.OnMaintenance):
            self._maintenance = (reason_of(result), self._connection.now() + MAINTENANCE_MS)

    # --- asking and cancelling

    async def _query(self, order: TrackedOrder) -> Sequence[OrderEvent]:
        async with self._lock(order):
            self._suspects.add(order.client_id)
            found_order, found = await self._found(order)
            if found is Found.FOUND:
                return self._kept((found_order,))
            if order.rejected or order.ended:
                return _facts((order,))
            if found is Found.SILENT:
                return self._in_doubt((order,), "the exchange did not answer")
            return self._not_found(order)

    async def _found(self, order: TrackedOrder) -> tuple[TrackedOrder, Found]:
        """Ask about an order, and where it is not found, about the pair that it may be a leg of."""
        found = await self._inquiry.about(order)
        pair = self._pair_of(order) if found is Found.ABSENT else None
        return (order, found) if pair is None else (pair, await self._inquiry.about(pair))

    def _not_found(self, order: TrackedOrder) -> Sequence[OrderEvent]:
        return [OrderNotFound(name, self._connection.now()) for name in order.names]

    async def _cancel(self, orders: Sequence[TrackedOrder]) -> Sequence[OrderEvent]:
        """Ask for the cancellation, then ask what became of it: an answer to the first proves nothing.

        Cancelling one leg of a pair cancels both, unless it has ended already.
        """
        async with self._lock(orders[0]):
            answers: list[OrderEvent] = []
            for number, named in enumerate(orders):
                order = named
                if number or not order.exchange_ids:
                    order, _ = await self._found(named)
                if not (order.ended or order.rejected):
                    await self._cancel_once(order)
                answers += await self._confirmed(order)
            return answers

    async def _cancel_once(self, order: TrackedOrder) -> None:
        try:
            call = self._of(order.spec.key).calls.cancel(order.as_sent())
            await self._connection.call(call, Urgency.ORDERS, PATIENCE_MS)
        except FAILURES as error:
            logger.info("The cancellation of %s was answered with %s", order.client_id, reason_of(error))

    async def _confirmed(self, order: TrackedOrder) -> Sequence[OrderEvent]:
        found = Found.SILENT
        for attempt in range(4):
            found = await self._inquiry.about(order)
            if found is not Found.FOUND or order.ended or order.rejected:
                break
            await self._sleep(0.1 * 2**attempt)
        if order.ended or order.rejected:
            return self._kept((order,))
        if found is Found.ABSENT and not order.accepted:
            return self._not_found(order)
        return self._in_doubt((order,), "its cancellation is not confirmed")

    def _legs_of(self, command: CancelProtection) -> list[TrackedOrder]:
        if self._connection.exchange in SEPARATE_LEGS:
            return [self._tracked(one, command.market) for one in (command.stop_client_id, command.target_client_id)]
        pair = self._tracked(command.pair_client_id or pair_id_of(command.stop_client_id), command.market)
        pair.legs = pair.legs or unpriced_legs(command.stop_client_id, command.target_client_id)
        return [pair]

    def _tracked(self, client_id: str, market: MarketKey) -> TrackedOrder:
        """The order with this id, made up from the id itself where an earlier process sent it."""
        known = next((order for order in self._orders.values() if client_id in (order.client_id, *order.names)), None)
        if known is not None:
            return known
        sent_at = self._connection.now() - LOOK_BACK_MS
        role, form = role_of(client_id, OrderRole.EXIT), form_of(client_id)
        return TrackedOrder(client_id, role, form, self._of(market).spec, sent_at, guessed=True)

    def _pair_of(self, order: TrackedOrder) -> TrackedOrder | None:
        """The pair that an order unknown by its own id may be a leg of, where a pair is one order."""
        market = self._of(order.spec.key)
        if order.client_id in self._orders or not market.pairs_may_rest or market.separate_legs:
            return None
        ids = pair_ids_of(order.client_id)
        if ids is None:
            return None
        pair = self._tracked(ids.pair, order.spec.key)
        pair.legs = pair.legs or unpriced_legs(ids.stop, ids.target)
        return pair

    def _lock(self, order: TrackedOrder) -> asyncio.Lock:
        return self._locks.setdefault(order.client_id, asyncio.Lock())

    # --- what nobody asked for

    def watch_prices(self, markets: Iterable[MarketKey]) -> None:
        """From now on the bids of these markets are told, and of those where a stop of ours rests, and of no others."""
        self._watched = frozenset(market for market in markets if self._of(market))
        self._told.set()

    def _want_prices(self) -> None:
        resting = (order for order in self._orders.values() if order.accepted and not order.ended)
        self._prices.want(self._watched | {order.spec.key for order in resting if self._needs_watching(order)})

    def _needs_watching(self, order: TrackedOrder) -> bool:
        """A stop alone, whose target is ours to watch, and a pair whose stop is a limit, which may not sell."""
        return order.form is OrderForm.STOP or (
            order.form is OrderForm.PAIR and not self._of(order.spec.key).pair_at_market
        )

    async def events(self) -> AsyncIterator[OrderEvent | PriceSeen]:
        self._listening = True
        work = [self._stream.run(), self._read_stream(), self._look(), self._look_at_markets()]
        if self._connection.client.has.get("fetchStatus") is True:
            work.append(self._look_at_status())
        tasks = [asyncio.create_task(each) for each in work]
        try:
            while True:
                self._told.clear()
                while self._queue:
                    yield self._queue.popleft()
                while (price := self._prices.take()) is not None:
                    yield price
                self._want_prices()
                await self._wait_for_news([*tasks, *self._prices.tasks()])
        finally:
            self._prices.want(())
            tasks += self._prices.tasks()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_for_news(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        news = asyncio.create_task(self._told.wait())
        try:
            await asyncio.wait({news, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        for task in tasks:
            if task.done():
                task.result()

    async def _read_stream(self) -> None:
        breaks = 0
        while True:
            await self._stream.news.wait()
            self._stream.news.clear()
            for seen in self._stream.orders():
                self._hear(seen)
            self._early.extend(self._stream.trades())
            self._take_early_trades()
            if self._stream.breaks != breaks:
                breaks = self._stream.breaks
                self._closely.set()

    def _hear(self, seen: SeenOrder) -> None:
        """An order's state from the stream. Whether it adds up is left to a closer look."""
        order = self._order_with(seen.symbol, seen.exchange_id) or self._orders.get(self.our_id(seen) or "")
        if order is None:
            return
        order.absorb(seen, self._connection.now())
        self._heard(order)
        if order.short or seen.children:
            self._closely.set()

    def _take_early_trades(self) -> None:
        waiting, self._early = list(self._early), deque(maxlen=self._early.maxlen)
        for trade in waiting:
            order = self._order_with(trade.symbol, trade.order_id)
            if order is None:
                self._early.append(trade)
                continue
            order.absorb_trades([trade], self._inquiry.known_worth(order.spec.quote))
            self._heard(order)

    def _heard(self, order: TrackedOrder) -> None:
        if not order.short:
            order.finish(self._connection.now())
        self._changed.set()
        fresh = order.facts[order.published :]
        order.published = len(order.facts)
        if fresh:
            self._queue.extend(fresh)
            self._told.set()

    def _order_with(self, symbol: str, exchange_id: str) -> TrackedOrder | None:
        """Ids may repeat from market to market; Kraken's stream does not name the market of an order that ends."""
        known = [order for order in self._orders.values() if exchange_id in order.exchange_ids]
        return next((order for order in known if symbol in ("", order.spec.key.symbol)), None)

    async def _look(self) -> None:
        """Ask about everything that is not settled: after a break, where something does not add up, regularly."""
        while True:
            if await self._called(POLL_SECONDS):
                self._closely.clear()
                for pause in AFTER_A_BREAK_SECONDS:
                    await self._sleep(pause)
                    await self.look_again()
            else:
                await self.look_again()
            await self._keep_clock()
            self._forget()

    async def _called(self, seconds: float) -> bool:
        """Whether a closer look was asked for before the time was over."""
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._closely.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return self._closely.is_set()

    async def look_again(self) -> None:
        """One question per market for what rests, then one for each order of ours that is not among it."""
        unsettled = [order for order in self._orders.values() if order.accepted and not order.settled]
        for market in sorted({order.spec.key for order in unsettled}):
            resting = await self._resting(market)
            for order in unsettled:
                # Who holds the lock is asking already.
                if order.spec.key == market and not self._lock(order).locked():
                    await self._look_at(order, resting)

    async def _resting(self, market: MarketKey) -> list[SeenOrder] | None:
        seen = await self._inquiry.resting(market)
        others = [each for each in seen or () if self.our_id(each) is None]
        if seen is not None:
            self._others[market] = len(others), sum(each.stop > 0 for each in others)
        return seen

    async def _look_at(self, order: TrackedOrder, resting: list[SeenOrder] | None) -> None:
        async with self._lock(order):
            seen = next((each for each in resting or () if self._inquiry.is_about(each, order)), None)
            try:
                if seen is not None:
                    await self._inquiry.absorb(order, seen)
                elif resting is not None or order.short:
                    await self._inquiry.about(order)
            except FAILURES as error:
                logger.warning("%s was not told completely: %s", order.client_id, reason_of(error))
            self._heard(order)

    async def _keep_clock(self) -> None:
        try:
            await self._connection.keep_clock()
        except FAILURES as error:
            logger.warning("The clock of %s was not measured: %s", self._connection.exchange, reason_of(error))

    def _forget(self) -> None:
        """The oldest orders of which nothing more can become; the exchange still knows them."""
        over = len(self._orders) - ORDERS_KEPT
        settled = [name for name, order in self._orders.items() if order.settled]
        for name in settled[: max(0, over)]:
            del self._orders[name]
            self._locks.pop(name, None)
            self._suspects.add(name)

    async def _look_at_status(self) -> None:
        """Whether the exchange says of itself that it is in maintenance, where ccxt can ask it."""
        while True:
            await self._sleep(STATUS_SECONDS)
            try:
                told = await self._connection.call(Call("fetch_status", ()), Urgency.HISTORY)
            except FAILURES as error:
                logger.info("The status of %s was not told: %s", self._connection.exchange, reason_of(error))
                continue
            if told.get("status") not in (None, "ok"):
                until = self._connection.now() + int(2_000 * STATUS_SECONDS)
                self._maintenance = (f"{self._connection.exchange} says of itself: {told['status']}", until)

    async def _look_at_markets(self) -> None:
        """Whether the markets take orders, and by which rules."""
        while True:
            await self._sleep(MARKETS_SECONDS)
            try:
                await self._connection.call(Call("load_markets", (True,)), Urgency.HISTORY)
            except FAILURES as error:
                logger.warning("The markets of %s were not told: %s", self._connection.exchange, reason_of(error))
                continue
            for key, known in self._markets.items():
                market = (self._connection.client.markets or {}).get(key.symbol)
                known.obstacle = "the exchange does not list it any more" if market is None else obstacle_of(market)

    # --- for who compares the books

    async def account(self) -> AccountView:
        """Everything held and everything that rests on our markets, ours or not. Errors: ``TransientError``."""
        now, resting = self._connection.now(), []
        for market in self._markets:
            seen = await self._resting(market)
            if seen is None:
                raise TransientError(f"{market} did not tell all of its open orders.", "Ask again later.")
            resting += [
                RestingOrder(
                    market, each.exchange_id, self.our_id(each), each.side == "buy", each.quantity - each.filled
                )
                for each in seen
            ]
        held = await self.holdings()
        totals = {asset: each.total for asset, each in held.items()}
        free = {asset: each.free for asset, each in held.items()}
        return AccountView(self._connection.exchange, totals, free, tuple(resting), now)

    async def holdings(self) -> dict[str, Holding]:
        """Total and free amount per currency, as the exchange has them."""
        told = await self._connection.asked(Call("fetch_balance", ()))
        totals, free = told.get("total") or {}, told.get("free") or {}
        return {
            currency: Holding(Decimal(str(total)), Decimal(str(free.get(currency) or 0)))
            for currency, total in totals.items()
            if total
        }

    def our_id(self, seen: SeenOrder) -> str | None:
        """Our id of an order that the exchange shows; ``None`` when it is not ours."""
        return id_from_wire(seen.wire_id, self._connection.venue.client_id, self._orders)


def _trade_of(order: TrackedOrder) -> str:
    return order.client_id[:TRADE_LENGTH]


def _facts(orders: Iterable[TrackedOrder]) -> list[OrderEvent]:
    return [fact for order in orders for fact in order.facts]


def _ids_in(answer: Any, orders: Sequence[TrackedOrder]) -> list[str]:
    """The exchange's id of each order; those of a pair's legs stand beside the client ids."""
    if len(orders) == 1:
        return [order_id_in(answer)]
    told = {each.get("clientOrderId"): str(each.get("orderId")) for each in answer.get("orders") or ()}
    return [told.get(order.client_id, "") for order in orders]
