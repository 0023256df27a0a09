"""OKX's websockets: the public, the private and the business one, where candles and algo orders are told."""

import json
from collections.abc import Callable
from typing import Any

from tests.local_exchanges.okx_words import (
    STEPS,
    OkxError,
    market_id,
    written_algo,
    written_balance,
    written_candle,
    written_order,
    written_ticker,
)
from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_markets import begin_of
from tests.local_exchanges.spot_orders import (
    BalanceEvent,
    CandleEvent,
    Event,
    OrderEvent,
    QuoteEvent,
    TradeEvent,
    text,
)
from tests.local_exchanges.streams import Connection, StreamHub

from tradepulse.domain.market import MINUTE

PLACES = {
    "/ws/v5/public": ("tickers", "trades", "bbo-tbt", "books5"),
    "/ws/v5/private": ("orders", "account"),
    "/ws/v5/business": ("orders-algo", *(f"candle{bar}" for bar in STEPS)),
}
OWN = ("orders", "account", "orders-algo")
LogIn = Callable[[dict[str, Any]], str]
Json = dict[str, Any]


class OkxStreams:
    """``log_in`` checks the arguments of a login and names the account."""

    def __init__(self, spot: SpotExchange, hub: StreamHub, log_in: LogIn) -> None:
        self._spot = spot
        self._hub = hub
        self._log_in = log_in

    async def on_text(self, connection: Connection, said: str) -> None:
        if said == "ping":
            connection.answer("pong")
            return
        request = json.loads(said)
        try:
            self._asked(connection, request)
        except OkxError as error:
            connection.answer({"event": "error", "code": error.code, "msg": error.message, "connId": "a4d3ae55"})

    def _asked(self, connection: Connection, request: Json) -> None:
        if request.get("op") == "login":
            connection.account = self._log_in(request["args"][0])
            connection.answer({"event": "login", "code": "0", "msg": "", "connId": "a4d3ae55"})
            return
        for argument in request.get("args", []):
            self._check(connection, argument)
            name = json.dumps(argument, sort_keys=True)
            if request["op"] == "subscribe":
                connection.wanted[name] = argument
            else:
                connection.wanted.pop(name, None)
            connection.answer({"event": request["op"], "arg": argument, "connId": "a4d3ae55"})
            if request["op"] == "subscribe":
                self._tell_snapshot(connection, argument)

    def _check(self, connection: Connection, argument: Json) -> None:
        channel, instrument = argument.get("channel"), argument.get("instId")
        if channel not in PLACES[connection.path]:
            raise OkxError("60018", f"Wrong URL or channel:{channel},instId:{instrument} doesn't exist.")
        if instrument is not None and instrument not in map(market_id, self._spot.markets):
            raise OkxError("60018", f"Wrong URL or channel:{channel},instId:{instrument} doesn't exist.")
        if channel in OWN and connection.account is None:
            raise OkxError("60011", "Please log in")

    def _tell_snapshot(self, connection: Connection, argument: Json) -> None:
        channel = argument["channel"]
        if channel == "account":
            assert connection.account is not None
            connection.tell(channel, {"arg": argument, "data": [written_balance(self._spot, connection.account)]})
        elif channel in ("tickers", "bbo-tbt", "books5"):
            symbol = argument["instId"].replace("-", "/")
            connection.tell(channel, self._quote(argument, symbol))

    # Events.

    def tell(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            self._tell_order(event)
        elif isinstance(event, BalanceEvent):
            self._tell_own("account", event.account, None, lambda: written_balance(self._spot, event.account))
        elif isinstance(event, TradeEvent):
            self._tell_market("trades", event.symbol, lambda argument: self._trade(argument, event))
        elif isinstance(event, QuoteEvent):
            for channel in ("tickers", "bbo-tbt", "books5"):
                self._tell_market(channel, event.symbol, lambda argument: self._quote(argument, event.symbol))
        elif isinstance(event, CandleEvent):
            for bar, step in STEPS.items():
                self._tell_market(
                    f"candle{bar}", event.symbol, lambda argument, step=step: self._candle(argument, event, step)
                )

    def _tell_order(self, event: OrderEvent) -> None:
        order = event.order
        if order.triggers:
            self._tell_own("orders-algo", order.account, order.symbol, lambda: written_algo(order, self._spot))
        else:
            told = written_order(order, self._spot, event.execution)
            self._tell_own("orders", order.account, order.symbol, lambda: told)

    def _tell_own(self, channel: str, account: str, symbol: str | None, written: Callable[[], Json]) -> None:
        for connection in self._hub.connections:
            if connection.account != account:
                continue
            for argument in connection.wanted.values():
                instrument = argument.get("instId")
                concerns = symbol is None or instrument in (None, market_id(symbol))
                if argument["channel"] == channel and concerns:
                    connection.tell(channel, {"arg": {**argument, "uid": account}, "data": [written()]})

    def _tell_market(self, channel: str, symbol: str, message: Callable[[Json], Json]) -> None:
        for connection in self._hub.connections:
            for argument in connection.wanted.values():
                if (argument["channel"], argument.get("instId")) == (channel, market_id(symbol)):
                    connection.tell(channel, message(argument))

    def _quote(self, argument: Json, symbol: str) -> Json:
        market, now = self._spot.markets[symbol], self._spot.clock.now()
        if argument["channel"] == "tickers":
            return {"arg": argument, "data": [written_ticker(market, now)]}
        sides = {"asks": [[text(market.ask), "1", "0", "1"]], "bids": [[text(market.bid), "1", "0", "1"]]}
        return {"arg": argument, "action": "snapshot", "data": [{**sides, "ts": str(now), "seqId": now}]}

    def _trade(self, argument: Json, event: TradeEvent) -> Json:
        trade = {
            "instId": market_id(event.symbol),
            "tradeId": str(event.number),
            "px": text(event.price),
            "sz": text(event.quantity),
            "side": "buy",
            "ts": str(event.time),
        }
        return {"arg": argument, "data": [trade]}

    def _candle(self, argument: Json, event: CandleEvent, step: int) -> Json:
        begin = begin_of(event.open_time, step)
        bar = self._spot.markets[event.symbol].tape.page(step, begin, event.open_time + 1)[-1]
        finished = event.closed and event.open_time + MINUTE == begin + step
        return {"arg": argument, "data": [written_candle(bar, finished)]}
