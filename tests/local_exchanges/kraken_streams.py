"""Kraken's websockets, version 2: market channels on one host, an account's own channels and orders on another.

What is told of an order after its first message names only what has changed: neither its market nor its side. A trade
never says that it was the last one: ``filled`` follows by itself. Nothing tells that a candle is over, and a minute
without a trade is not told at all.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web
from tests.local_exchanges.kraken_words import (
    REASONS,
    STATUS,
    STEPS,
    KrakenError,
    day_of,
    kind_of,
    public_id,
)
from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_markets import Bar, begin_of
from tests.local_exchanges.spot_orders import (
    ZERO,
    BalanceEvent,
    CandleEvent,
    Event,
    Execution,
    Order,
    OrderEvent,
    QuoteEvent,
    Status,
    TradeEvent,
)
from tests.local_exchanges.streams import Connection, StreamHub

from tradepulse.domain.market import MINUTE

Json = dict[str, Any]
PUBLIC_HOST, PRIVATE_HOST = "ws.kraken.com", "ws-auth.kraken.com"
MARKET_CHANNELS, OWN_CHANNELS = ("ticker", "ohlc", "trade", "book"), ("executions", "balances")
HEARTBEAT_SECONDS = 1.0
ORDER_STATUS = {**STATUS, Status.NEW: "new", Status.PARTIAL: "partially_filled", Status.FILLED: "filled"}
LATEST_TRADES = 50
AMENDED = {"amended": True, "reason": "User requested"}
Owner = Callable[[Any], str]
Trade = Callable[[str, Json, str], Json]


class KrakenStreams:
    """``owner`` names the account of a token; ``trade`` carries out a method such as ``add_order`` for it."""

    def __init__(self, spot: SpotExchange, hub: StreamHub, seed: int, owner: Owner, trade: Trade) -> None:
        self._spot = spot
        self._hub = hub
        self._seed = seed
        self._owner = owner
        self._trade = trade

    async def serve(self, request: web.Request) -> web.StreamResponse:
        beating: list[asyncio.Task[None]] = []

        async def greet(connection: Connection, _: str) -> None:
            connection.path = request.host.partition(":")[0] + request.path
            status = {"api_version": "v2", "connection_id": self._hub.opened, "system": "online", "version": "2.0.10"}
            connection.answer({"channel": "status", "type": "update", "data": [status]})
            beating.append(asyncio.create_task(_beat(connection)))

        try:
            return await self._hub.serve(request, self.on_text, greet=greet)
        finally:
            for task in beating:
                task.cancel()

    # What clients ask for.

    async def on_text(self, connection: Connection, said: str) -> None:
        request = json.loads(said)
        method, now = str(request.get("method")), _stamp(self._spot.clock.now())
        answered = {"method": method, "time_in": now, "time_out": now}
        if "req_id" in request:
            answered["req_id"] = request["req_id"]
        if method == "ping":
            connection.answer({**answered, "method": "pong"})
            return
        try:
            results = self._results(connection, method, request.get("params", {}))
        except KrakenError as error:
            connection.answer({**answered, "success": False, "error": str(error)})
            return
        for result, after in results:
            connection.answer({**answered, "success": True, "result": result})
            after()

    def _results(self, connection: Connection, method: str, asked: Json) -> Iterable[tuple[Json, Callable[[], None]]]:
        if method not in ("subscribe", "unsubscribe"):
            self._check_host(connection, own=True)
            return [(self._trade(method, asked, self._owner(asked.get("token"))), _nothing)]
        channel = asked.get("channel")
        if channel not in MARKET_CHANNELS + OWN_CHANNELS:
            raise KrakenError("Subscription name invalid")
        self._check_host(connection, own=channel in OWN_CHANNELS)
        if channel in OWN_CHANNELS:
            connection.account = self._owner(asked.get("token"))
            return [self._changed(connection, method, str(channel), asked)]
        wanted = asked.get("symbol", [])
        unknown = [symbol for symbol in wanted if symbol not in self._spot.markets]
        if unknown or not wanted:
            raise KrakenError(f"Currency pair not supported {' '.join(unknown)}")
        return [self._changed(connection, method, str(channel), {**asked, "symbol": symbol}) for symbol in wanted]

    def _check_host(self, connection: Connection, *, own: bool) -> None:
        private = connection.path.startswith(PRIVATE_HOST)
        if own and not private:
            raise KrakenError(f"Private data and trading are unavailable on this endpoint. Try {PRIVATE_HOST}")
        if private and not own:
            raise KrakenError(f"Public market data subscriptions are unavailable on this endpoint. Try {PUBLIC_HOST}")

    def _changed(
        self, connection: Connection, method: str, channel: str, asked: Json
    ) -> tuple[Json, Callable[[], None]]:
        named = {name: value for name, value in asked.items() if name not in ("token", "channel")}
        if channel == "ohlc" and asked.get("interval", 1) not in STEPS:
            raise KrakenError("Subscription ohlc interval not supported")
        interval = f"@{asked.get('interval', 1)}" if channel == "ohlc" else ""
        name = f"{channel}@{asked['symbol']}{interval}" if "symbol" in asked else channel
        if method == "unsubscribe":
            connection.wanted.pop(name, None)
            return {"channel": channel, **named}, _nothing
        if name in connection.wanted:
            raise KrakenError("Already subscribed")
        connection.wanted[name] = {**asked, "sequence": 0, "told": {}}
        result = {"channel": channel, "snapshot": asked.get("snapshot", True), **named}
        return result, partial(self._tell_snapshot, connection, channel, name)

    def _tell_snapshot(self, connection: Connection, channel: str, name: str) -> None:
        asked = connection.wanted[name]
        if channel == "executions":
            assert connection.account is not None
            self._tell(connection, channel, name, self._own_snapshot(asked, connection.account), "snapshot")
        elif channel == "balances":
            assert connection.account is not None
            held = self._spot.ledger.balances.get(connection.account, {})
            told = [self._balance(connection, asset) for asset in held]
            self._tell(connection, channel, name, told, "snapshot")
        elif channel == "ohlc" and asked.get("snapshot", True):
            bars = self._bars(asked["symbol"], asked.get("interval", 1))[-720:]
            candles = [self._candle(asked, bar) for bar in bars]
            if candles:
                self._tell(connection, channel, name, candles, "snapshot")
        elif channel in ("ticker", "book") and asked.get("snapshot", True):
            written = self._ticker if channel == "ticker" else self._book
            self._tell(connection, channel, name, [written(asked["symbol"])], "snapshot")

    def _own_snapshot(self, asked: Json, account: str) -> list[Json]:
        orders = self._spot.open_orders(account) if asked.get("snap_orders", True) else []
        trades = [each for each in self._spot.executions if each.account == account][-LATEST_TRADES:]
        if not asked.get("snap_trades", False):
            trades = []
        told = [self._execution(each, self._spot.orders[each.order]) for each in trades]
        resting = [{**self._whole(order, "new", ORDER_STATUS[order.status]), **_sums(order)} for order in orders]
        return [*resting, *told]

    # What is told.

    def tell(self, event: Event) -> None:
        if isinstance(event, OrderEvent):
            for report in self._reports(event):
                self._tell_own(event.order.account, "executions", report)
        elif isinstance(event, BalanceEvent):
            self._tell_balances(event)
        elif isinstance(event, TradeEvent):
            self._tell_market("trade", event.symbol, lambda: _print(event))
            self._tell_market("ticker", event.symbol, lambda: self._ticker(event.symbol), trigger="trades")
        elif isinstance(event, QuoteEvent):
            self._tell_market("ticker", event.symbol, lambda: self._ticker(event.symbol), trigger="bbo")
            self._tell_market("book", event.symbol, lambda: self._book(event.symbol))
        elif isinstance(event, CandleEvent) and not event.closed:
            self._tell_candles(event.symbol)

    def _tell(self, connection: Connection, channel: str, name: str, data: list[Json], kind: str = "update") -> None:
        message: Json = {"channel": channel, "type": kind, "data": data}
        if channel in OWN_CHANNELS:
            connection.wanted[name]["sequence"] += 1
            message["sequence"] = connection.wanted[name]["sequence"]
        if channel == "ohlc":
            message["timestamp"] = _stamp(self._spot.clock.now())
        connection.tell(channel, message)

    def _tell_own(self, account: str, channel: str, report: Json) -> None:
        for connection in self._hub.connections:
            if connection.account == account and channel in connection.wanted:
                self._tell(connection, channel, channel, [report])

    def _tell_balances(self, event: BalanceEvent) -> None:
        """Only what an account has is told, not what of it is set aside."""
        for connection in self._hub.connections:
            if connection.account == event.account and "balances" in connection.wanted:
                for asset in event.assets:
                    if connection.wanted["balances"]["told"].get(asset) != self._held(event.account, asset):
                        told = {**self._balance(connection, asset), "timestamp": _stamp(event.time)}
                        self._tell(connection, "balances", "balances", [told])

    def _tell_market(self, channel: str, symbol: str, written: Callable[[], Json], trigger: str = "") -> None:
        name = f"{channel}@{symbol}"
        for connection in self._hub.connections:
            if name in connection.wanted and trigger in ("", connection.wanted[name].get("event_trigger", "trades")):
                self._tell(connection, channel, name, [written()])

    def _tell_candles(self, symbol: str) -> None:
        for connection in self._hub.connections:
            for name, asked in connection.wanted.items():
                if name.startswith(f"ohlc@{symbol}@"):
                    bar = self._bars(symbol, asked.get("interval", 1), latest=True)[-1]
                    self._tell(connection, "ohlc", name, [self._candle(asked, bar)])

    # How it is written.

    def _reports(self, event: OrderEvent) -> Iterable[Json]:
        order = event.order
        if event.what == "new":
            yield self._whole(order, "pending_new", "pending_new")
            yield self._part(order, "new", {"order_status": "new"})
        elif event.what == "triggered":
            yield self._part(order, "status", {"triggers": _trigger(order)})
        elif event.what == "amended":
            yield self._part(order, "amended", {**_terms(order), "cum_qty": float(order.filled), **AMENDED})
        elif event.execution is not None:
            yield self._execution(event.execution, order)
            if order.status is Status.FILLED:
                yield self._part(order, "filled", _sums(order))
        else:
            reason = REASONS.get(order.end_reason, order.end_reason)
            yield self._part(order, "canceled", {**_sums(order), "cancel_reason": reason, "reason": reason})

    def _whole(self, order: Order, what: str, status: str) -> Json:
        told = {
            **_names(order),
            **_terms(order),
            "symbol": order.symbol,
            "side": str(order.side),
            "order_type": kind_of(order),
            "time_in_force": str(order.lifetime),
            "exec_type": what,
            "order_status": status,
            "cum_cost": float(order.spent),
            "fee_usd_equiv": float(order.fees),
            "fee_ccy_pref": "fciq",
            "timestamp": _stamp(order.updated_at),
        }
        return told | ({"post_only": True} if order.post_only else {})

    def _part(self, order: Order, what: str, more: Json) -> Json:
        status = ORDER_STATUS[order.status]
        stamp = _stamp(order.updated_at)
        return {**_names(order), "exec_type": what, "order_status": status, "timestamp": stamp, **more}

    def _execution(self, execution: Execution, order: Order) -> Json:
        return {
            **_names(order),
            "exec_id": public_id("T", self._seed, execution.number),
            "exec_type": "trade",
            "trade_id": execution.number,
            "symbol": order.symbol,
            "side": str(execution.side),
            "last_qty": float(execution.quantity),
            "last_price": float(execution.price),
            "liquidity_ind": "m" if execution.maker else "t",
            "cost": float(execution.cost),
            "order_status": "partially_filled",
            "order_type": kind_of(order),
            "fee_usd_equiv": float(execution.fee),
            "fees": [{"asset": execution.fee_asset, "qty": float(execution.fee)}],
            "timestamp": _stamp(execution.time),
        }

    def _held(self, account: str, asset: str) -> Decimal:
        return self._spot.ledger.balance(account, asset).total

    def _balance(self, connection: Connection, asset: str) -> Json:
        assert connection.account is not None
        total = self._held(connection.account, asset)
        connection.wanted["balances"]["told"][asset] = total
        wallet = {"type": "spot", "id": "main", "balance": float(total)}
        return {"asset": asset, "asset_class": "currency", "balance": float(total), "wallets": [wallet]}

    def _ticker(self, symbol: str) -> Json:
        market, now = self._spot.markets[symbol], self._spot.clock.now()
        day = day_of(market, now)
        change = market.last - day.open
        return {
            "symbol": symbol,
            "bid": float(market.bid),
            "bid_qty": 1.0,
            "ask": float(market.ask),
            "ask_qty": 1.0,
            "last": float(market.last),
            "volume": float(day.volume),
            "vwap": float(day.close),
            "low": float(day.low),
            "high": float(day.high),
            "change": float(change),
            "change_pct": round(float(change / day.open * 100), 2),
            "timestamp": _stamp(now),
        }

    def _book(self, symbol: str) -> Json:
        market = self._spot.markets[symbol]
        sides = {"bids": [{"price": float(market.bid), "qty": 1.0}], "asks": [{"price": float(market.ask), "qty": 1.0}]}
        return {"symbol": symbol, **sides, "checksum": 0, "timestamp": _stamp(self._spot.clock.now())}

    def _bars(self, symbol: str, minutes: int, *, latest: bool = False) -> list[Bar]:
        now = self._spot.clock.now()
        since = begin_of(now, STEPS[minutes]) if latest else 0
        return self._spot.markets[symbol].tape.page(STEPS[minutes], since, now + 1)

    def _candle(self, asked: Json, bar: Bar) -> Json:
        minutes = asked.get("interval", 1)
        return {
            "symbol": asked["symbol"],
            "open": float(bar.open),
            "high": float(bar.high),
            "low": float(bar.low),
            "close": float(bar.close),
            "trades": bar.trades,
            "volume": float(bar.volume),
            "vwap": float(bar.close),
            "interval_begin": _stamp(bar.open_time),
            "interval": minutes,
            "timestamp": _stamp(bar.open_time + minutes * MINUTE),
        }


async def _beat(connection: Connection) -> None:
    with suppress(ConnectionError):
        while not connection.socket.closed:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            if connection.wanted:
                connection.answer({"channel": "heartbeat"})


def _nothing() -> None:
    pass


def _stamp(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _names(order: Order) -> Json:
    """An order with a client id is not told with a user reference."""
    client = {"cl_ord_id": order.client_id} if order.client_id else {"order_userref": order.terms.get("userref") or 0}
    return {"order_id": order.public_id, **client}


def _terms(order: Order) -> Json:
    """What can be amended."""
    trigger = next(iter(order.triggers), None)
    limit = order.price or (trigger and trigger.limit)
    told: Json = {"order_qty": float(order.quantity), "stop_price": float(trigger.price) if trigger else 0.0}
    if limit:
        told |= {"limit_price": float(limit), "limit_price_type": "static"}
    return told | ({"triggers": _trigger(order)} if trigger else {})


def _sums(order: Order) -> Json:
    return {
        "cum_qty": float(order.filled),
        "cum_cost": float(order.spent),
        "avg_price": float(order.average),
        "fee_usd_equiv": float(order.fees),
    }


def _trigger(order: Order) -> Json:
    status = "untriggered" if order.hit is None else "triggered"
    price = float(order.triggers[0].price)
    return {"reference": "last", "price": price, "price_type": "static", "status": status}


def _print(event: TradeEvent) -> Json:
    return {
        "symbol": event.symbol,
        "side": "buy",
        "price": float(event.price),
        "qty": float(event.quantity or ZERO),
        "ord_type": "market",
        "trade_id": event.number,
        "timestamp": _stamp(event.time),
    }
