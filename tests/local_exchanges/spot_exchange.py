"""The honest middle of every local exchange: takes, triggers, matches and settles spot orders in a scripted market.

Our orders meet the quoted price and never each other: a marketable order trades at the bid or ask as a taker, a resting
one at its own limit once the quote reaches it, a triggered one at what is quoted then, however far away. No order
moves the market. Everything happens within the call that causes it and is told to the listeners in order.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from tests.local_exchanges.clock import SteeredClock
from tests.local_exchanges.protection_timeline import Cover, ProtectionTimeline
from tests.local_exchanges.spot_filters import check_order, check_pair, check_trigger, crosses
from tests.local_exchanges.spot_ledger import Ledger
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import (
    ZERO,
    BalanceEvent,
    CandleEvent,
    Event,
    Execution,
    Instrument,
    Lifetime,
    Listener,
    Lock,
    Order,
    OrderEvent,
    Pair,
    PairEvent,
    QuoteEvent,
    Refusal,
    RefusedOrder,
    Side,
    Status,
    TradeEvent,
    Trigger,
    floored,
)

from tradepulse.domain.market import MINUTE

FEE_STEP = Decimal("0.00000001")


@dataclass(frozen=True)
class Rules:
    """What differs between exchanges. ``unique_ids``: of client ids among ``open`` orders, ``always``, or ``never``."""

    fee_in_quote: bool = False
    """Otherwise in what an execution brings: a buy pays in the base."""
    children: bool = False
    """Whether a triggered order ends and places another with a number of its own."""
    refuses_hit_triggers: bool = True
    refuses_taking_makers: bool = True
    """A post-only order that would take; otherwise it is accepted and cancelled at once."""
    unique_ids: str = "open"
    flat_candles: bool = True


class SpotExchange:
    def __init__(
        self,
        markets: Iterable[Market],
        clock: SteeredClock,
        rules: Rules,
        name: Callable[[int], str] = str,
        first_number: int = 1,
    ) -> None:
        self.markets: Mapping[str, Market] = {market.symbol: market for market in markets}
        self.clock = clock
        self.rules = rules
        self.ledger = Ledger()
        self.orders: dict[int, Order] = {}
        self.pairs: dict[int, Pair] = {}
        self.executions: list[Execution] = []
        self.timeline = ProtectionTimeline()
        self.closings: list[tuple[str, int, float]] = []
        """Symbol and open time of every candle told as closed, and the machine's monotonic seconds then."""
        self.listeners: list[Listener] = []
        self._name = name
        self._next = first_number
        self._prints = 0
        self._minute = clock.now() // MINUTE

    # What a client does.

    def place(self, order: Order) -> Order:
        market = self._admitted(order)
        self._price_by_cost(order, market)
        takes = order.post_only and crosses(order, market)
        if takes and self.rules.refuses_taking_makers:
            raise RefusedOrder(Refusal.WOULD_TAKE)
        order.lock = self._set_aside(order, market)
        self._register(order)
        self._tell_balance(order.account, order.lock.asset)
        if takes:
            self._end(order, Status.CANCELLED, "POST_ONLY")
        elif not order.waits:
            self._take(order)
        elif not self.rules.refuses_hit_triggers:
            self._pull_triggers(market)
        self._note(order.account, order.symbol)
        return order

    def check(self, order: Order) -> None:
        """Refuse what ``place`` would refuse, and place nothing."""
        market = self._admitted(order)
        self._price_by_cost(order, market)
        if order.post_only and crosses(order, market) and self.rules.refuses_taking_makers:
            raise RefusedOrder(Refusal.WOULD_TAKE)
        asset, amount = self._needed(order, market)
        if self.ledger.balance(order.account, asset).free < amount:
            raise RefusedOrder(Refusal.FUNDS)

    def place_pair(self, limit: Order, stop: Order, client_id: str) -> Pair:
        """Two orders on one sum of money: what trades or triggers first ends the other."""
        number = self._number()
        limit.pair = stop.pair = number
        market = self._admitted(limit)
        self._admitted(stop, apart_from=limit)
        check_pair(limit, stop, market)
        dearer = max((limit, stop), key=lambda leg: self._needed(leg, market)[1])
        lock = self._set_aside(dearer, market)
        for leg in (stop, limit):
            leg.lock = lock
            leg.number = self._number()
            lock.holders.add(leg.number)
        pair = Pair(number, limit.account, limit.symbol, client_id, (limit.number, stop.number), self.clock.now())
        pair.public_id = self._name(number)
        self.pairs[number] = pair
        for leg in (stop, limit):
            self._register(leg)
        self._tell(PairEvent(pair, False, self.clock.now()))
        self._tell_balance(limit.account, lock.asset)
        self._note(limit.account, limit.symbol)
        return pair

    def cancel(self, order: Order, reason: str = "USER") -> None:
        """Of a pair, cancels both."""
        if not order.status.open:
            raise RefusedOrder(Refusal.ALREADY_ENDED, order.public_id)
        for leg in [order, *self._siblings(order)]:
            self._end(leg, Status.CANCELLED, reason)
        self._note(order.account, order.symbol)

    def amend(self, order: Order, quantity: Decimal, price: Decimal | None, triggers: tuple[Trigger, ...]) -> None:
        """Other terms for an order that stays the same; refused, it stays as it was. ``quantity``: all of it."""
        if not order.status.open:
            raise RefusedOrder(Refusal.ALREADY_ENDED, order.public_id)
        market = self.markets[order.symbol]
        wanted = replace(order, quantity=quantity, price=price, triggers=triggers)
        check_order(
            wanted, market, [each for each in self.open_orders(order.account, order.symbol) if each is not order]
        )
        self._set_aside_again(order, self._needed(wanted, market)[1])
        order.quantity, order.price, order.triggers, order.updated_at = quantity, price, triggers, self.clock.now()
        self._tell_order("amended", order)
        if order.waits:
            self._pull_triggers(market)
        elif crosses(order, market):
            self._take(order)
        self._note(order.account, order.symbol)

    def _set_aside_again(self, order: Order, amount: Decimal) -> None:
        lock, now = order.lock, self.clock.now()
        assert lock is not None
        if amount > lock.amount:
            lock.amount += self.ledger.lock(order.account, lock.asset, amount - lock.amount, now).amount
        else:
            self.ledger.release(order.account, lock, lock.amount - amount, now)

    def open_orders(self, account: str, symbol: str | None = None) -> list[Order]:
        return [order for order in self.orders_of(account, symbol) if order.status.open]

    def orders_of(self, account: str, symbol: str | None = None) -> list[Order]:
        return [o for o in self.orders.values() if o.account == account and symbol in (None, o.symbol)]

    def find(self, account: str, *, public_id: str = "", client_id: str = "") -> Order:
        """The latest of this account with this id."""
        for order in reversed(self.orders_of(account)):
            if order.public_id == public_id or (client_id and order.client_id == client_id):
                return order
        raise RefusedOrder(Refusal.UNKNOWN_ORDER, public_id or client_id)

    def executions_of(self, order: Order) -> list[Execution]:
        return [execution for execution in self.executions if execution.order == order.number]

    # What the script does.

    def deposit(self, account: str, asset: str, amount: Decimal) -> None:
        self.ledger.deposit(account, asset, amount, self.clock.now())
        self._tell_balance(account, asset)
        for symbol in self.markets:
            self._note(account, symbol)

    def move(self, symbol: str, last: Decimal, bid: Decimal, ask: Decimal, volume: Decimal = Decimal("0.1")) -> None:
        """A trade at ``last`` and new quotes; triggers are pulled before resting orders are matched."""
        market = self.markets[symbol]
        market.bid, market.ask = bid, ask
        self.print_trade(symbol, last, volume)

    def print_trade(self, symbol: str, price: Decimal, volume: Decimal) -> None:
        market, now = self.markets[symbol], self.clock.now()
        self.pass_time()
        market.last = price
        bar = market.tape.take(now, price, volume)
        self._prints += 1
        self._tell(TradeEvent(symbol, self._prints, price, volume, now))
        self._tell(QuoteEvent(symbol, now))
        self._tell(CandleEvent(symbol, bar.open_time, False))
        self.work(symbol)

    def work(self, symbol: str) -> None:
        """Trigger and match what the market as it stands allows."""
        market = self.markets[symbol]
        if market.status == "TRADING":
            self._pull_triggers(market)
            for order in self._resting(market):
                if order.status.open and crosses(order, market):
                    self._fill(order, market, order.price, maker=True)
        for account in self.ledger.balances:
            self._note(account, symbol)

    def force_fill(self, order: Order, quantity: Decimal, price: Decimal | None = None) -> None:
        """So much of it trades, whatever is quoted."""
        market = self.markets[order.symbol]
        at = price or order.price or market.against(order.side)
        self._execute(order, min(quantity, order.remaining), at, maker=order.price is not None)
        self._note(order.account, order.symbol)

    def pass_time(self) -> None:
        """Close the candles of minutes that are over."""
        minute = self.clock.now() // MINUTE
        if minute <= self._minute:
            return
        begin, self._minute = self._minute * MINUTE, minute
        for market in self.markets.values():
            if self.rules.flat_candles:
                market.tape.fill_until(self.clock.now())
            for bar in market.tape.page(MINUTE, begin, minute * MINUTE):
                self.closings.append((market.symbol, bar.open_time, time.monotonic()))
                self._tell(CandleEvent(market.symbol, bar.open_time, True))

    # Admission.

    def _admitted(self, order: Order, apart_from: Order | None = None) -> Market:
        market = self.markets[order.symbol]
        standing = self.open_orders(order.account, order.symbol)
        check_order(order, market, standing)
        if self.rules.refuses_hit_triggers:
            check_trigger(order, market)
        if order.client_id and self._in_use(order.client_id, order.account, apart_from):
            raise RefusedOrder(Refusal.DUPLICATE_ID, order.client_id)
        return market

    def _in_use(self, client_id: str, account: str, apart_from: Order | None) -> bool:
        if apart_from is not None and apart_from.client_id == client_id:
            return True
        same = [order for order in self.orders_of(account) if order.client_id == client_id]
        if self.rules.unique_ids == "open":
            return any(order.status.open for order in same)
        return bool(same) and self.rules.unique_ids == "always"

    def _price_by_cost(self, order: Order, market: Market) -> None:
        if order.cost is not None:
            paid = market.ask * (1 + self._fee_on_top(market.instrument, maker=False))
            order.quantity = floored(order.cost / paid, market.instrument.lot)

    def _set_aside(self, order: Order, market: Market) -> Lock:
        asset, amount = self._needed(order, market)
        return self.ledger.lock(order.account, asset, amount, self.clock.now())

    def _needed(self, order: Order, market: Market) -> tuple[str, Decimal]:
        if order.side is Side.SELL:
            return market.instrument.base, order.remaining
        triggers = [each.limit or each.price for each in order.triggers]
        price = order.price or max(triggers, default=market.ask)
        return market.instrument.quote, self._with_fee(order.remaining * price, market)

    def _with_fee(self, cost: Decimal, market: Market) -> Decimal:
        return cost + _rounded(cost * self._fee_on_top(market.instrument, maker=False))

    def _fee_on_top(self, instrument: Instrument, maker: bool) -> Decimal:
        rate = instrument.maker if maker else instrument.taker
        return rate if self.rules.fee_in_quote else ZERO

    def _register(self, order: Order) -> None:
        order.number = order.number or self._number()
        order.public_id = self._name(order.number)
        order.placed_at = order.updated_at = self.clock.now()
        self.orders[order.number] = order
        assert order.lock is not None
        order.lock.holders.add(order.number)
        self._tell_order("new", order)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    # Triggers, matching, settlement.

    def _pull_triggers(self, market: Market) -> None:
        for order in [o for o in self.orders.values() if o.symbol == market.symbol and o.status.open and o.waits]:
            hit = next((trigger for trigger in order.triggers if trigger.hit(market.last)), None)
            if hit is not None and order.status.open:
                self._trigger(order, hit)

    def _trigger(self, order: Order, hit: Trigger) -> None:
        order.hit, order.triggered_at, order.updated_at = hit, self.clock.now(), self.clock.now()
        self._expire_siblings(order)
        if self.rules.children:
            self._take(self._child(order, hit))
            return
        order.price = hit.limit
        self._tell_order("triggered", order)
        self._take(order)

    def _child(self, parent: Order, hit: Trigger) -> Order:
        child = Order(parent.account, parent.symbol, parent.side, parent.quantity, price=hit.limit, lock=parent.lock)
        child.parent = parent.number
        self._register(child)
        parent.child, parent.status = child.number, Status.TRIGGERED
        assert parent.lock is not None
        parent.lock.holders.discard(parent.number)
        self._tell_order("triggered", parent)
        return child

    def _take(self, order: Order) -> None:
        """Trade what can be traded now; at market, and by its lifetime, the rest ends."""
        market = self.markets[order.symbol]
        enough = order.lifetime is not Lifetime.FOK or market.tradable(order.remaining) == order.remaining
        if enough and market.status == "TRADING" and crosses(order, market):
            self._fill(order, market, None, maker=False)
        if order.status.open and (order.price is None or order.lifetime is not Lifetime.GTC):
            self._end(order, Status.EXPIRED, "NOT_FILLED")

    def _resting(self, market: Market) -> list[Order]:
        """By price, then by time."""
        open_here = [o for o in self.orders.values() if o.symbol == market.symbol and o.status.open]
        resting = [order for order in open_here if order.price is not None]
        return sorted(resting, key=lambda order: (_eagerness(order), order.number))

    def _fill(self, order: Order, market: Market, price: Decimal | None, *, maker: bool) -> None:
        quantity = market.tradable(order.remaining)
        at = market.against(order.side) if price is None else price
        try:
            for piece in _pieces(quantity, market.largest_trade):
                self._execute(order, piece, at, maker=maker)
                market.consume(piece)
        except RefusedOrder:
            # A triggered buy can cost more than was set aside and is there.
            self._end(order, Status.EXPIRED, "NO_FUNDS")

    def _execute(self, order: Order, quantity: Decimal, price: Decimal, *, maker: bool) -> None:
        self._expire_siblings(order)
        execution = self._settled(order, quantity, price, maker)
        order.filled += quantity
        order.spent += execution.cost
        order.fees += execution.fee
        order.updated_at = execution.time
        order.status = Status.PARTIAL if order.remaining else Status.FILLED
        self.executions.append(execution)
        self._free_surplus(order)
        self._tell(OrderEvent("trade", replace(order), execution.time, execution))
        instrument = self.markets[order.symbol].instrument
        self._tell_balance(order.account, instrument.base, instrument.quote)
        if not order.status.open:
            self._end_pair(order)

    def _settled(self, order: Order, quantity: Decimal, price: Decimal, maker: bool) -> Execution:
        instrument, now, cost = self.markets[order.symbol].instrument, self.clock.now(), quantity * price
        rate = instrument.maker if maker else instrument.taker
        buys, quote_fee = order.side is Side.BUY, self.rules.fee_in_quote or order.side is Side.SELL
        fee = _rounded((cost if quote_fee else quantity) * rate)
        paid, got = (instrument.quote, instrument.base) if buys else (instrument.base, instrument.quote)
        on_top = fee if buys and quote_fee else ZERO
        self.ledger.pay(order.account, paid, (cost if buys else quantity) + on_top, order.lock, now)
        self.ledger.receive(order.account, got, (quantity if buys else cost) - (fee - on_top), now)
        fee_asset = instrument.quote if quote_fee else instrument.base
        number = len(self.executions) + 1
        return Execution(
            number, order.number, order.account, order.symbol, order.side, price, quantity, fee, fee_asset, maker, now
        )

    def _free_surplus(self, order: Order) -> None:
        """A buy below its limit needs less than was set aside; the last execution frees what is left."""
        lock = order.lock
        assert lock is not None
        if len(lock.holders) == 1 and lock.amount:
            market = self.markets[order.symbol]
            needed = self._needed(order, market)[1] if order.remaining else ZERO
            if lock.amount > needed:
                self.ledger.release(order.account, lock, lock.amount - needed, self.clock.now())
        if not order.remaining:
            lock.holders.discard(order.number)

    def _end(self, order: Order, status: Status, reason: str) -> None:
        order.status, order.end_reason, order.updated_at = status, reason, self.clock.now()
        assert order.lock is not None
        order.lock.holders.discard(order.number)
        if not order.lock.holders and order.lock.amount:
            self.ledger.release(order.account, order.lock, order.lock.amount, self.clock.now())
        self._tell_order("cancelled" if status is Status.CANCELLED else "expired", order)
        self._tell_balance(order.account, order.lock.asset)
        self._end_pair(order)

    def _siblings(self, order: Order) -> list[Order]:
        if order.pair is None:
            return []
        legs = [self.orders[number] for number in self.pairs[order.pair].legs]
        return [leg for leg in legs if leg is not order and leg.status.open]

    def _expire_siblings(self, order: Order) -> None:
        for sibling in self._siblings(order):
            self._end(sibling, Status.EXPIRED, "OCO_TRIGGER")

    def _end_pair(self, order: Order) -> None:
        if order.pair is not None and not self._siblings(order) and not order.status.open:
            self._tell(PairEvent(self.pairs[order.pair], True, self.clock.now()))

    # Telling.

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _tell_order(self, what: str, order: Order) -> None:
        self._tell(OrderEvent(what, replace(order), self.clock.now()))

    def _tell_balance(self, account: str, *assets: str) -> None:
        self._tell(BalanceEvent(account, assets, self.clock.now()))

    def _note(self, account: str, symbol: str) -> None:
        base = self.markets[symbol].instrument.base
        held = self.ledger.balance(account, base).total - self.ledger.deposited[account, base]
        stopped = sum((o.remaining for o in self.open_orders(account, symbol) if o.stops_a_fall), ZERO)
        self.timeline.note(Cover(self.clock.now(), account, symbol, held, stopped, time.monotonic()))


def _rounded(fee: Decimal) -> Decimal:
    return fee.quantize(FEE_STEP, ROUND_HALF_UP)


def _eagerness(order: Order) -> Decimal:
    assert order.price is not None
    return -order.price if order.side is Side.BUY else order.price


def _pieces(quantity: Decimal, largest: Decimal | None) -> Iterator[Decimal]:
    while quantity > 0:
        piece = quantity if largest is None else min(quantity, largest)
        quantity -= piece
        yield piece
