"""Coinbase's websocket: the market's channels, the user channel behind a token, heartbeats, numbered messages."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tests.local_exchanges.coinbase_words import (
    CoinbaseError,
    iso,
    market_id,
    written_ticker,
    written_update,
)
from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_orders import Event, OrderEvent, QuoteEvent, TradeEvent, text
from tests.local_exchanges.streams import Connection, StreamHub

CHANNELS = ("ticker", "ticker_batch", "market_trades", "heartbeats", "user")
Json = dict[str, Any]


class CoinbaseStreams:
    """``admit`` checks a token and names its account."""

    def __init__(self, spot: SpotExchange, hub: StreamHub, admit: Callable[[str], str]) -> None:
        self._spot = spot
        self._hub = hub
        self._admit = admit
        self._sequence: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()
        self._beats = 0
        self._last_beat = 0

    async def on_text(self, connection: Connection, said: str) -> None:
        request = json.loads(said)
        channel, products = request.get("channel"), request.get("product_ids", [])
        known = {market_id(symbol) for symbol in self._spot.markets}
        if channel not in CHANNELS or not set(products) <= known:
            connection.answer({"type": "error", "message": f"failed to subscribe: {channel} {products}"})
            return
        try:
            if channel == "user":
                connection.account = self._admit(request.get("jwt", ""))
        except CoinbaseError:
            connection.answer({"type": "error", "message": "authentication failure"})
            return
        for product in products or sorted(known):
            name = f"{channel}:{product}"
            if request["type"] == "subscribe":
                connection.wanted[name] = True
            else:
                connection.wanted.pop(name, None)
        self._answer_subscriptions(connection)
        if channel == "user" and request["type"] == "subscribe":
            self._tell_snapshot(connection, products or sorted(known))

    def _answer_subscriptions(self, connection: Connection) -> None:
        listed: dict[str, list[str]] = defaultdict(list)
        for name in connection.wanted:
            channel, product = name.split(":")
            listed[channel].append(product)
        message = self._message(connection, "subscriptions", {"subscriptions": listed})
        connection.answer(message)

    def _tell_snapshot(self, connection: Connection, products: list[str]) -> None:
        assert connection.account is not None
        resting = self._spot.open_orders(connection.account)
        orders = [written_update(each, self._spot) for each in resting if market_id(each.symbol) in products]
        event = {"type": "snapshot", "orders": orders, "positions": {}}
        connection.tell("user", self._message(connection, "user", event))

    def beat(self) -> None:
        """Once a second, whatever else is silent."""
        now = self._spot.clock.now()
        if now // 1_000 == self._last_beat:
            return
        self._last_beat = now // 1_000
        self._beats += 1
        event = {"current_time": iso(now), "heartbeat_counter": str(self._beats)}
        for connection in self._hub.connections:
            if any(name.startswith("heartbeats:") for name in connection.wanted):
                connection.answer(self._message(connection, "heartbeats", event))

    def tell(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            told = {"type": "update", "orders": [written_update(event.order, self._spot)]}
            self._tell("user", event.order.symbol, told, event.order.account)
        elif isinstance(event, TradeEvent):
            trade = {
                "trade_id": str(event.number),
                "product_id": market_id(event.symbol),
                "price": text(event.price),
                "size": text(event.quantity),
                "side": "BUY",
                "time": iso(event.time),
            }
            self._tell("market_trades", event.symbol, {"type": "update", "trades": [trade]})
        elif isinstance(event, QuoteEvent):
            tickers = [written_ticker(self._spot.markets[event.symbol], event.time)]
            for channel in ("ticker", "ticker_batch"):
                self._tell(channel, event.symbol, {"type": "update", "tickers": tickers})

    def _tell(self, channel: str, symbol: str, event: Json, account: str | None = None) -> None:
        for connection in self._hub.connections:
            allowed = account is None or connection.account == account
            if allowed and f"{channel}:{market_id(symbol)}" in connection.wanted:
                connection.tell(channel, self._message(connection, channel, event))

    def _message(self, connection: Connection, channel: str, event: Json) -> Json:
        """A number is used up by a message that is lost, so that a client can notice."""
        number = self._sequence.get(connection, 0)
        self._sequence[connection] = number + 1
        return {
            "channel": channel,
            "client_id": "",
            "timestamp": iso(self._spot.clock.now()),
            "sequence_num": number,
            "events": [event],
        }
