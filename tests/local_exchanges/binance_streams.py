"""Binance's websockets: market streams, the user's own events over the websocket API, and the announced shutdown."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from tests.local_exchanges.binance_words import (
    EXPIRY_REASONS,
    STATUS,
    BinanceError,
    kind_of,
    market_id,
    money,
    order_id,
)
from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_markets import Bar, begin_of
from tests.local_exchanges.spot_orders import (
    ZERO,
    BalanceEvent,
    CandleEvent,
    Event,
    OrderEvent,
    PairEvent,
    QuoteEvent,
    Status,
    TradeEvent,
)
from tests.local_exchanges.streams import Connection, StreamHub

from tradepulse.domain.market import DAY, HOUR, MINUTE, WEEK

STEPS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": HOUR,
    "2h": 2 * HOUR,
    "4h": 4 * HOUR,
    "6h": 6 * HOUR,
    "8h": 8 * HOUR,
    "12h": 12 * HOUR,
    "1d": DAY,
    "1w": WEEK,
}
KINDS = ("trade", "aggTrade", "bookTicker", "ticker", "miniTicker", *(f"kline_{interval}" for interval in STEPS))
Admit = Callable[[dict[str, Any]], str]


class BinanceStreams:
    """``admit`` checks a signed request of the websocket API and names its account."""

    def __init__(self, spot: SpotExchange, hub: StreamHub, admit: Admit) -> None:
        self._spot = spot
        self._hub = hub
        self._admit = admit

    # What clients ask for.

    async def on_market_text(self, connection: Connection, said: str) -> None:
        request = json.loads(said)
        names, method = request.get("params", []), request.get("method")
        known = {f"{market_id(symbol).lower()}@{kind}" for symbol in self._spot.markets for kind in KINDS}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS") or not set(names) <= known:
            error = {"code": 2, "msg": "Invalid request: invalid stream"}
            connection.answer({"error": error, "id": request.get("id")})
            return
        for name in names:
            if method == "SUBSCRIBE":
                connection.wanted[name] = True
            else:
                connection.wanted.pop(name, None)
        listed = list(connection.wanted) if method == "LIST_SUBSCRIPTIONS" else None
        connection.answer({"result": listed, "id": request.get("id")})

    async def on_api_text(self, connection: Connection, said: str) -> None:
        request = json.loads(said)
        try:
            result = self._api_result(connection, request)
        except BinanceError as error:
            connection.answer({"id": request.get("id"), "status": error.status, "error": error.as_json()})
            return
        connection.answer({"id": request.get("id"), "status": 200, "result": result, "rateLimits": []})

    def _api_result(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        method = request.get("method")
        if method in ("ping", "time"):
            return {} if method == "ping" else {"serverTime": self._spot.clock.now()}
        if method == "userDataStream.subscribe.signature":
            connection.account = self._admit(request.get("params", {}))
            connection.wanted["userData"] = 0
            return {"subscriptionId": 0}
        if method == "userDataStream.unsubscribe":
            connection.account = None
            connection.wanted.pop("userData", None)
            return {}
        raise BinanceError(-1020, "This operation is not supported.")

    # What is told.

    def tell(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            self._tell_account(event.order.account, "executionReport", self._report(event))
        elif isinstance(event, BalanceEvent):
            self._tell_account(event.account, "outboundAccountPosition", self._position(event))
        elif isinstance(event, PairEvent):
            self._tell_account(event.pair.account, "listStatus", self._list_status(event))
        elif isinstance(event, TradeEvent):
            self._tell_market(event.symbol, "trade", lambda: self._trade(event))
        elif isinstance(event, QuoteEvent):
            self._tell_market(event.symbol, "bookTicker", lambda: self._quote(event.symbol))
            for kind, name in (("ticker", "24hrTicker"), ("miniTicker", "24hrMiniTicker")):
                self._tell_market(event.symbol, kind, lambda name=name: self.day(event.symbol, name))
        else:
            self._tell_candles(event)

    def announce_shutdown(self) -> None:
        now = self._spot.clock.now()
        for connection in self._hub.connections:
            event: dict[str, Any] = {"e": "serverShutdown", "E": now}
            connection.answer({"event": event} if connection.path.startswith("/ws-api") else event)

    def end_user_streams(self) -> None:
        """As when a key loses its rights: the stream ends, the connection stays."""
        for connection in self._hub.connections:
            if connection.account is not None:
                connection.account = None
                event = {"e": "eventStreamTerminated", "E": self._spot.clock.now()}
                connection.answer({"subscriptionId": 0, "event": event})

    def _tell_account(self, account: str, name: str, event: dict[str, Any]) -> None:
        for connection in self._hub.connections:
            if connection.account == account:
                connection.tell(name, {"subscriptionId": 0, "event": event})

    def _tell_market(self, symbol: str, kind: str, message: Callable[[], dict[str, Any]]) -> None:
        name = f"{market_id(symbol).lower()}@{kind}"
        for connection in self._hub.connections:
            if name in connection.wanted:
                connection.tell(name, message())

    def _tell_candles(self, event: CandleEvent) -> None:
        for interval, step in STEPS.items():
            ends = event.open_time + MINUTE == begin_of(event.open_time, step) + step
            self._tell_market(
                event.symbol,
                f"kline_{interval}",
                lambda interval=interval, step=step, ends=ends: self._kline(event, interval, step, ends),
            )

    # How it is written.

    def _report(self, event: OrderEvent) -> dict[str, Any]:
        order, done, now = event.order, event.execution, event.time
        kind = {"new": "NEW", "triggered": "NEW", "trade": "TRADE", "cancelled": "CANCELED", "expired": "EXPIRED"}
        cancelled = event.what == "cancelled"
        report = {
            "e": "executionReport",
            "E": now,
            "s": market_id(order.symbol),
            "c": f"cancel-{order.number}" if cancelled else order.client_id,
            "S": order.side.upper(),
            "o": kind_of(order),
            "f": str(order.lifetime),
            "q": money(order.quantity),
            "p": money(order.terms.get("price", order.price or ZERO)),
            "P": money(order.triggers[0].price if order.triggers else ZERO),
            "F": money(ZERO),
            "g": order.pair or -1,
            "C": order.client_id if cancelled else "",
            "x": kind[event.what],
            "X": STATUS[order.status],
            "r": "NONE",
            "i": order.number,
            "l": money(done.quantity if done else ZERO),
            "z": money(order.filled),
            "L": money(done.price if done else ZERO),
            "n": money(done.fee) if done else "0",
            "N": done.fee_asset if done else None,
            "T": now,
            "t": done.number if done else -1,
            "I": order.number * 2,
            "w": order.status.open and not order.waits,
            "m": done.maker if done else False,
            "M": False,
            "O": order.placed_at,
            "Z": money(order.spent),
            "Y": money(done.cost if done else ZERO),
            "Q": money(order.cost or ZERO),
            "V": "EXPIRE_MAKER",
        }
        if not order.waits:
            report["W"] = order.triggered_at or order.placed_at
        if order.status is Status.EXPIRED:
            report["eR"] = EXPIRY_REASONS[order.end_reason]
        return report

    def _position(self, event: BalanceEvent) -> dict[str, Any]:
        held = [(asset, self._spot.ledger.balance(event.account, asset)) for asset in event.assets]
        balances = [{"a": asset, "f": money(each.free), "l": money(each.locked)} for asset, each in held]
        return {"e": "outboundAccountPosition", "E": event.time, "u": event.time, "B": balances}

    def _list_status(self, event: PairEvent) -> dict[str, Any]:
        legs = [order_id(self._spot.orders[number]) for number in event.pair.legs]
        return {
            "e": "listStatus",
            "E": event.time,
            "s": market_id(event.pair.symbol),
            "g": event.pair.number,
            "c": "OCO",
            "l": "ALL_DONE" if event.done else "EXEC_STARTED",
            "L": "ALL_DONE" if event.done else "EXECUTING",
            "r": "NONE",
            "C": event.pair.client_id,
            "T": event.time,
            "O": [{"s": leg["symbol"], "i": leg["orderId"], "c": leg["clientOrderId"]} for leg in legs],
        }

    def _trade(self, event: TradeEvent) -> dict[str, Any]:
        return {
            "e": "trade",
            "E": event.time,
            "s": market_id(event.symbol),
            "t": event.number,
            "p": money(event.price),
            "q": money(event.quantity),
            "T": event.time,
            "m": False,
            "M": True,
        }

    def _quote(self, symbol: str) -> dict[str, Any]:
        market = self._spot.markets[symbol]
        return {
            "u": self._spot.clock.now(),
            "s": market_id(symbol),
            "b": money(market.bid),
            "B": "1.00000000",
            "a": money(market.ask),
            "A": "1.00000000",
        }

    def day(self, symbol: str, name: str) -> dict[str, Any]:
        market, now = self._spot.markets[symbol], self._spot.clock.now()
        bars = market.tape.page(MINUTE, now - DAY, now + 1) or [Bar.flat(now, market.last)]
        volume = sum((bar.volume for bar in bars), ZERO)
        turnover = sum((bar.volume * bar.close for bar in bars), ZERO)
        event = {
            "e": name,
            "E": now,
            "s": market_id(symbol),
            "c": money(market.last),
            "o": money(bars[0].open),
            "h": money(max(bar.high for bar in bars)),
            "l": money(min(bar.low for bar in bars)),
            "v": money(volume),
            "q": money(turnover),
        }
        if name == "24hrMiniTicker":
            return event
        return event | {
            "p": money(market.last - bars[0].open),
            "P": f"{(market.last / bars[0].open - 1) * 100:.3f}",
            "w": money(turnover / volume if volume else market.last),
            "x": money(bars[0].open),
            "Q": "0.10000000",
            "b": money(market.bid),
            "B": "1.00000000",
            "a": money(market.ask),
            "A": "1.00000000",
            "O": now - DAY,
            "C": now,
            "F": 0,
            "L": 0,
            "n": len(bars),
        }

    def _kline(self, event: CandleEvent, interval: str, step: int, ends: bool) -> dict[str, Any]:
        begin = begin_of(event.open_time, step)
        bars = self._spot.markets[event.symbol].tape.page(step, begin, event.open_time + 1)
        bar = bars[-1]
        candle = {
            "t": begin,
            "T": begin + step - 1,
            "s": market_id(event.symbol),
            "i": interval,
            "f": 0,
            "L": bar.trades,
            "o": money(bar.open),
            "c": money(bar.close),
            "h": money(bar.high),
            "l": money(bar.low),
            "v": money(bar.volume),
            "n": bar.trades,
            "x": event.closed and ends,
            "q": money(bar.volume * bar.close),
            "V": money(ZERO),
            "Q": money(ZERO),
            "B": "0",
        }
        return {"e": "kline", "E": self._spot.clock.now(), "s": market_id(event.symbol), "k": candle}


def signed(payload: str, secret: str) -> str:
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
