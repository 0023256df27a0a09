"""The control endpoint: everything a test may do to a local exchange and ask of it, as JSON over plain HTTP."""

import json
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from aiohttp import web
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.spot_ledger import Balance
from tests.local_exchanges.spot_markets import Bar
from tests.local_exchanges.spot_orders import Order, RefusedOrder, Side, Trigger, text
from tests.local_exchanges.streams import StreamFaults
from tests.local_exchanges.venue import Venue

from tradepulse.domain.market import MINUTE

Json = Any


class Control:
    """``POST /name`` with a JSON object calls the method of that name."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._spot = venue.spot

    def application(self) -> web.Application:
        application = web.Application(client_max_size=2**26)
        application.add_routes([web.post("/{name}", self._called)])
        return application

    async def _called(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        wanted = getattr(self, name, None)
        if name.startswith("_") or name == "application" or wanted is None:
            return web.json_response({"error": f"there is no {name}"}, status=404)
        try:
            result = wanted(**json.loads(await request.text()))
            result = await result if hasattr(result, "__await__") else result
        except (RefusedOrder, TypeError, ValueError, KeyError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        return web.Response(text=json.dumps(result, default=_plain), content_type="application/json")

    # The market.

    def price(
        self,
        symbol: str,
        last: str,
        bid: str | None = None,
        ask: str | None = None,
        depth: str | None = None,
        largest_trade: str | None = None,
        volume: str = "0.1",
    ) -> Json:
        market = self._spot.markets[symbol]
        market.depth = None if depth is None else Decimal(depth)
        market.largest_trade = None if largest_trade is None else Decimal(largest_trade)
        self._spot.move(symbol, Decimal(last), Decimal(bid or last), Decimal(ask or last), Decimal(volume))

    def trade(self, symbol: str, price: str, quantity: str) -> Json:
        self._spot.print_trade(symbol, Decimal(price), Decimal(quantity))

    def candle(self, symbol: str, prices: list[str], volume: str) -> Json:
        """Trades at these prices within the current minute, which is then over. The clock must stand still."""
        begin = self._venue.clock.now() // MINUTE * MINUTE
        for number, price in enumerate(prices):
            self._venue.clock.set(begin + number * MINUTE // (len(prices) + 1))
            self.price(symbol, price, volume=text(Decimal(volume) / len(prices)))
        self.clock(now=begin + MINUTE)

    def history(self, symbol: str, rows: list[list[Any]]) -> Json:
        """Candles of one minute, ``[open time, open, high, low, close, volume]``, instead of those there are."""
        bars = [Bar(int(row[0]), *[Decimal(str(value)) for value in row[1:6]]) for row in rows]
        self._spot.markets[symbol].tape.bars = bars

    def market_status(self, symbol: str, status: str) -> Json:
        self._spot.markets[symbol].status = status
        self._spot.work(symbol)

    def instrument(self, symbol: str, terms: dict[str, Any]) -> Json:
        market = self._spot.markets[symbol]
        typed = {name: Decimal(value) if isinstance(value, str) else value for name, value in terms.items()}
        market.instrument = replace(market.instrument, **typed)

    def clock(self, now: int | None = None, advance: int | None = None, skew: int | None = None) -> Json:
        clock = self._venue.clock
        if now is not None:
            clock.set(now)
        if advance is not None:
            clock.advance(advance)
        if skew is not None:
            clock.skew = skew
        self._spot.pass_time()
        return clock.now()

    # What others do to an account.

    def deposit(self, account: str, asset: str, amount: str) -> Json:
        self._spot.deposit(account, asset, Decimal(amount))

    def fill(self, account: str, order: str, quantity: str, price: str | None = None) -> Json:
        found = self._found(account, order)
        self._spot.force_fill(found, Decimal(quantity), None if price is None else Decimal(price))

    def cancel(self, account: str, order: str, reason: str = "USER") -> Json:
        self._spot.cancel(self._found(account, order), reason)

    def place(
        self, account: str, symbol: str, side: str, quantity: str, price: str | None = None, stop: str | None = None
    ) -> Json:
        """As the account's owner would on the website: at market, at a price, or behind a stop."""
        limit = None if price is None else Decimal(price)
        triggers = () if stop is None else (Trigger(Decimal(stop), side == "sell", limit),)
        plain = None if triggers else limit
        order = Order(account, symbol, Side(side), Decimal(quantity), price=plain, triggers=triggers)
        return self._told(self._spot.place(order))

    # Faults.

    def fault(self, rule: dict[str, Any]) -> Json:
        return self._venue.faults.add(FaultRule.of(rule))

    def fault_hits(self, number: int) -> Json:
        return self._venue.faults.hits(number)

    def clear_faults(self) -> Json:
        self._venue.faults.clear()

    def stream_faults(self, **changes: Any) -> Json:
        self._venue.streams.faults = StreamFaults(**changes)

    async def close_streams(self, code: int = 1001, path: str = "") -> Json:
        return await self._venue.streams.close(code, path)

    def cut_streams(self, path: str = "") -> Json:
        return self._venue.streams.cut(path)

    async def venue(self, name: str, **arguments: Any) -> Json:
        """What only one exchange can do: its method ``script_<name>``."""
        result = getattr(self._venue, f"script_{name}")(**arguments)
        return await result if hasattr(result, "__await__") else result

    # Questions.

    def balances(self, account: str) -> Json:
        return {
            asset: {"free": balance.free, "locked": balance.locked, "total": balance.total}
            for asset, balance in self._spot.ledger.balances.get(account, {}).items()
        }

    def orders(self, account: str, open_only: bool = False) -> Json:
        found = self._spot.open_orders(account) if open_only else self._spot.orders_of(account)
        return [self._told(order) for order in found]

    def fills(self, account: str) -> Json:
        fills = [each for each in self._spot.executions if each.account == account]
        names = {order.number: order for order in self._spot.orders_of(account)}
        return [asdict(each) | {"client_id": names[each.order].client_id, "cost": each.cost} for each in fills]

    def statement(self, account: str, since: int) -> Json:
        mine = [each for each in self._spot.executions[since:] if each.account == account]
        return {
            "balances": self.balances(account),
            "open": [self._told(order) for order in self._spot.open_orders(account)],
            "fills": [asdict(each) | {"client_id": self._named(each.order), "cost": each.cost} for each in mine],
            "executions": len(self._spot.executions),
        }

    def _named(self, number: int) -> str:
        """Our id of an order, or of the one that placed it."""
        order = self._spot.orders[number]
        return order.client_id if order.client_id or order.parent is None else self._named(order.parent)

    def postings(self, account: str) -> Json:
        return [asdict(each) for each in self._spot.ledger.postings if each.account == account]

    def covers(self, account: str, symbol: str) -> Json:
        timeline = self._spot.timeline.covers
        return [asdict(each) for each in timeline if (each.account, each.symbol) == (account, symbol)]

    def closings(self, symbol: str) -> Json:
        told = [each for each in self._spot.closings if each[0] == symbol]
        return [{"open_time": open_time, "seconds": seconds} for _, open_time, seconds in told]

    def requests(self, since: int = 0) -> Json:
        return [asdict(asked) for asked in self._venue.asked[since:]]

    def streams(self) -> Json:
        hub = self._venue.streams
        connections = [
            {"path": each.path, "account": each.account, "wanted": list(each.wanted)} for each in hub.connections
        ]
        return {"opened": hub.opened, "lost": hub.lost, "connections": connections}

    def _found(self, account: str, order: str) -> Order:
        return self._spot.find(account, public_id=order, client_id=order)

    def _told(self, order: Order) -> dict[str, Any]:
        told = {name: value for name, value in vars(order).items() if name not in ("lock", "hit", "triggers")}
        parent = None if order.parent is None else self._spot.orders[order.parent].client_id
        return told | {
            "id": order.public_id,
            "remaining": order.remaining,
            "average": order.average,
            "waits": order.waits,
            "stop": next((each.price for each in order.triggers if each.falling), None),
            "parent_client_id": parent,
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return text(value)
    if isinstance(value, Balance | Trigger):
        return asdict(value)
    raise TypeError(f"{type(value)} has no JSON form")
