"""Kraken spot as ccxt 4.5.90 and ccxt.pro use it: REST with nonces and counters, no pairs, websockets of version 2.

A stop on the wrong side of the market sells at once, and a market order that finds nobody is cancelled. What could not
be established: the words for a client id in use, for the end of an order that was not to rest, and for an id that
nobody has in QueryOrders. Public calls are not counted. ccxt never opens a websocket of version 1: there is none here.

Options: ``counter_limit`` and ``counter_decay`` (a second) of a key's calls, 20 and 0.5 as of an intermediate account,
and ``order_limit`` and ``order_decay`` of the trading engine, 125 and 2.34.
"""

import base64
import hashlib
import hmac
import json
from asyncio import get_running_loop
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from tests.local_exchanges.kraken_streams import PRIVATE_HOST, PUBLIC_HOST, KrakenStreams
from tests.local_exchanges.kraken_words import (
    ORDER_IDS,
    STEPS,
    USUAL_PERMISSIONS,
    Counter,
    Json,
    KrakenError,
    alternative,
    asset_id,
    decimals,
    description,
    fixed,
    needed,
    number,
    older_socket_name,
    pair_id,
    public_id,
    read_order,
    refusal_text,
    said_yes,
    whole,
    written_asset,
    written_balance,
    written_candle,
    written_fee,
    written_order,
    written_pair,
    written_ticker,
    written_trade,
)
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_filters import check_order
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import ZERO, Event, Execution, Order, RefusedOrder, Trigger
from tests.local_exchanges.venue import Setup, Venue

Sent = Mapping[str, Any]
Public = Callable[[Sent], Any]
Private = Callable[[Sent, str], Any]
TOKEN_SECONDS = 900
PAGE = 50
MOST_CANDLES = 720
NEEDED_PERMISSION = {
    "AddOrder": "modify-trades",
    "AmendOrder": "modify-trades",
    "CancelOrder": "close-trades",
    "CancelOrderBatch": "close-trades",
    "CancelAll": "close-trades",
    "GetWebSocketsToken": "access-websockets",
    "OpenOrders": "query-open-trades",
    "ClosedOrders": "query-closed-trades",
    **dict.fromkeys(("Balance", "BalanceEx", "TradeBalance"), "query-funds"),
}
EARLY_CANCELS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
"""Seconds that an order has rested, and what its cancellation costs."""


class Kraken(Venue):
    exchange_id = "kraken"
    hosts = ("api.kraken.com", PUBLIC_HOST, PRIVATE_HOST)
    rules = Rules(fee_in_quote=True, refuses_hit_triggers=False, refuses_taking_makers=False)
    filters = {  # noqa: RUF012
        "lot": "0.00000001",
        "smallest_quantity": "0.00005",
        "smallest_notional": "0.5",
        "largest_market_quantity": "9000",
        "most_orders": "80",
        "maker": "0.0025",
        "taker": "0.004",
    }

    def __init__(self, setup: Setup) -> None:
        options = setup.options
        self._calls = Counter(float(options.get("counter_limit", 20)), float(options.get("counter_decay", 0.5)))
        self._orders = Counter(float(options.get("order_limit", 125)), float(options.get("order_decay", 2.34)))
        self._nonces: dict[str, int] = {}
        self._tokens: dict[str, tuple[str, int]] = {}
        self._issued = 0
        self.system = "online"
        self.permissions: dict[str, list[str]] = {}
        super().__init__(setup)
        self._streams = KrakenStreams(self.spot, self.streams, setup.seed, self._owner, self._by_socket)

    def name_order(self, number: int) -> str:
        return public_id("O", self.setup.seed, number)

    def on_event(self, event: Event) -> None:
        self._streams.tell(event)

    def error(self, code: str, message: str) -> web.Response:
        return _failure(f"{code}:{message}" if message else code)

    def maintenance(self) -> web.Response:
        return _failure("EService:Unavailable")

    # Scripts of this exchange.

    def script_permissions(self, account: str, permissions: list[str]) -> None:
        self.permissions[account] = permissions

    def script_system(self, status: str) -> None:
        """``online``, ``maintenance``, ``cancel_only`` or ``post_only``, for all markets."""
        self.system = status

    def script_expire_tokens(self) -> None:
        """Those that no connection uses any more are worth nothing now."""
        self._tokens.clear()

    # Routes.

    def routes(self) -> Iterable[web.RouteDef]:
        yield web.get("/v2", self._streams.serve)
        for name, answer in self._public().items():
            yield web.get(f"/0/public/{name}", partial(self._open, answer))
        for name, (cost, private) in self._private().items():
            yield web.post(f"/0/private/{name}", partial(self._keyed, name, cost, private))

    def _public(self) -> dict[str, Public]:
        return {
            "Time": lambda _: {"unixtime": self.clock.now() // 1000, "rfc1123": ""},
            "SystemStatus": lambda _: {"status": self.system, "timestamp": self.clock.now() // 1000},
            "Assets": self._assets,
            "AssetPairs": self._pairs,
            "OHLC": self._candles,
            "Ticker": lambda sent: self._each(sent, lambda market: written_ticker(market, self.clock.now())),
            "Depth": self._depth,
            "Trades": self._trades,
        }

    def _private(self) -> dict[str, tuple[float, Private]]:
        """With what each adds to the counter of its key; the trading engine counts orders for itself."""
        return {
            "Balance": (1, self._balance),
            "BalanceEx": (1, self._extended_balance),
            "TradeBalance": (1, self._trade_balance),
            "TradeVolume": (1, self._trade_volume),
            "OpenOrders": (1, self._open_orders),
            "ClosedOrders": (1, self._closed_orders),
            "QueryOrders": (1, self._query_orders),
            "TradesHistory": (2, self._trades_history),
            "QueryTrades": (1, self._query_trades),
            "GetWebSocketsToken": (1, self._token),
            "GetApiKeyInfo": (1, self._key_info),
            "AddOrder": (0, self._add_order),
            "AmendOrder": (0, self._amend_order),
            "CancelOrder": (0, self._cancel_order),
            "CancelOrderBatch": (0, self._cancel_orders),
            "CancelAll": (1, self._cancel_all),
        }

    async def _open(self, answer: Public, request: web.Request) -> web.Response:
        return self._answered_with(lambda: answer(dict(request.query)))

    async def _keyed(self, name: str, cost: float, answer: Private, request: web.Request) -> web.Response:
        body = await request.text()

        def admitted() -> Any:
            sent = json.loads(body) if body.startswith("{") else dict(parse_qsl(body, keep_blank_values=True))
            account = self._admit(request, body, sent)
            if cost and not self._calls.take(account, cost, get_running_loop().time()):
                raise KrakenError("EAPI:Rate limit exceeded")
            self._check_right(name, account)
            return answer(sent, account)

        return self._answered_with(admitted)

    def _answered_with(self, answer: Callable[[], Any]) -> web.Response:
        try:
            return web.json_response({"error": [], "result": answer()})
        except KrakenError as error:
            return _failure(str(error))

    # Admission.

    def _admit(self, request: web.Request, body: str, sent: Sent) -> str:
        account = self.account_of(request.headers.get("API-Key"))
        if account is None:
            raise KrakenError("EAPI:Invalid key")
        nonce = str(sent.get("nonce", ""))
        if not hmac.compare_digest(
            request.headers.get("API-Sign", ""), self._signed(account, request.path, nonce, body)
        ):
            raise KrakenError("EAPI:Invalid signature")
        if not nonce.isdigit() or int(nonce) <= self._nonces.get(account, -1):
            raise KrakenError("EAPI:Invalid nonce")
        self._nonces[account] = int(nonce)
        return account

    def _signed(self, account: str, path: str, nonce: str, body: str) -> str:
        digest = path.encode() + hashlib.sha256((nonce + body).encode()).digest()
        secret = base64.b64decode(self.keys[account].secret)
        return base64.b64encode(hmac.new(secret, digest, hashlib.sha512).digest()).decode()

    def _check_right(self, name: str, account: str) -> None:
        right = NEEDED_PERMISSION.get(name)
        if right is not None and right not in self._rights(account):
            raise KrakenError("EGeneral:Permission denied")

    def _rights(self, account: str) -> list[str]:
        return self.permissions.get(account, list(USUAL_PERMISSIONS))

    def _check_engine(self, order: Order, cost: float) -> None:
        """What the trading engine lets through, and how much of it."""
        if self.system == "maintenance":
            raise KrakenError("EService:Unavailable")
        if self.system == "cancel_only" or (self.system == "post_only" and not order.post_only):
            raise KrakenError(f"EService:Market in {self.system} mode")
        if not self._orders.take(f"{order.account} {order.symbol}", cost, get_running_loop().time()):
            raise KrakenError("EOrder:Rate limit exceeded")

    def _token(self, _sent: Sent, account: str) -> Json:
        self._issued += 1
        token = base64.b64encode(hashlib.sha256(f"{self.setup.seed} {account} {self._issued}".encode()).digest())
        self._tokens[token.decode()] = (account, self.clock.now() + TOKEN_SECONDS * 1000)
        return {"token": token.decode(), "expires": TOKEN_SECONDS}

    def _owner(self, token: Any) -> str:
        account, until = self._tokens.get(str(token), ("", 0))
        if not account or self.clock.now() >= until:
            raise KrakenError("ESession:Invalid session")
        return account

    def _key_info(self, _sent: Sent, account: str) -> Json:
        return {
            "apiKeyName": account,
            "apiKey": self.keys[account].api_key,
            "nonce": str(self._nonces[account]),
            "nonceWindow": 0,
            "permissions": self._rights(account),
            "iban": "AA00 N00N 0000 0000",
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "createdTime": "1700000000",
            "modifiedTime": "1700000000",
            "ipAllowlist": ["127.0.0.1"],
            "lastUsed": str(self.clock.now() // 1000),
        }

    # The market.

    def _market_of(self, sent: Sent) -> Market:
        wanted = needed(sent, "pair")
        for market in self.spot.markets.values():
            if wanted in (pair_id(market.symbol), alternative(market.symbol), older_socket_name(market.symbol)):
                return market
        raise KrakenError("EQuery:Unknown asset pair")

    def _each(self, sent: Sent, written: Callable[[Market], Any]) -> Json:
        names = sent["pair"].split(",") if sent.get("pair") else map(pair_id, self.spot.markets)
        found = [self._market_of({"pair": name}) for name in names]
        return {pair_id(market.symbol): written(market) for market in found}

    def _assets(self, _sent: Sent) -> Json:
        named = [asset for symbol in self.spot.markets for asset in symbol.split("/")]
        return {asset_id(asset): written_asset(asset) for asset in dict.fromkeys(named)}

    def _pairs(self, sent: Sent) -> Json:
        system = {} if self.system == "online" else {"status": self.system}
        return self._each(sent, lambda market: written_pair(market) | system)

    def _candles(self, sent: Sent) -> Json:
        """Whatever is asked for, never older than the latest 720; ``since`` itself is left out."""
        market, minutes = self._market_of(sent), whole(sent, "interval", 1)
        if minutes not in STEPS:
            raise KrakenError("EGeneral:Invalid arguments:interval")
        bars = market.tape.page(STEPS[minutes], 0, self.clock.now() + 1)[-MOST_CANDLES:]
        since, places = whole(sent, "since", -1) * 1000, decimals(market.instrument.tick)
        rows = [written_candle(bar, places) for bar in bars if bar.open_time > since]
        last = bars[-2].open_time // 1000 if len(bars) > 1 else 0
        return {pair_id(market.symbol): rows, "last": last}

    def _depth(self, sent: Sent) -> Json:
        market, now = self._market_of(sent), self.clock.now() // 1000
        places = decimals(market.instrument.tick)
        quantity = fixed(market.instrument.largest_quantity if market.depth is None else market.depth, 3)
        sides = {"asks": market.ask, "bids": market.bid}
        return {
            pair_id(market.symbol): {side: [[fixed(price, places), quantity, now]] for side, price in sides.items()}
        }

    def _trades(self, sent: Sent) -> Json:
        """One for every minute: prints are not kept apart."""
        market, since = self._market_of(sent), whole(sent, "since", -1) * 1000
        bars = [bar for bar in market.tape.bars if bar.trades and bar.open_time > since]
        page = bars[-min(whole(sent, "count", 1_000), 1_000) :]
        rows = [[str(bar.close), fixed(bar.volume), bar.open_time / 1000, "b", "m", ""] for bar in page]
        last = str(page[-1].open_time * 1_000_000) if page else str(self.clock.now() * 1_000_000)
        return {pair_id(market.symbol): rows, "last": last}

    # The account.

    def _balance(self, _sent: Sent, account: str) -> Json:
        return {name: held["balance"] for name, held in self._extended_balance({}, account).items()}

    def _extended_balance(self, _sent: Sent, account: str) -> Json:
        held = self.spot.ledger.balances.get(account, {})
        return {asset_id(asset): written_balance(balance) for asset, balance in held.items()}

    def _trade_balance(self, _sent: Sent, account: str) -> Json:
        held = self.spot.ledger.balances.get(account, {})
        prices = {each.instrument.base: each.last for each in self.spot.markets.values()}
        worth = fixed(sum((prices.get(asset, 1) * each.total for asset, each in held.items()), ZERO), 4)
        return {
            "eb": worth,
            "tb": worth,
            "m": "0.0000",
            "n": "0.0000",
            "c": "0.0000",
            "v": "0.0000",
            "e": worth,
            "mf": worth,
        }

    def _trade_volume(self, sent: Sent, _account: str) -> Json:
        takers = self._each(sent, lambda market: written_fee(market.instrument, maker=False))
        makers = self._each(sent, lambda market: written_fee(market.instrument, maker=True))
        return {"currency": "ZUSD", "volume": "0.0000", "fees": takers, "fees_maker": makers}

    def _written(self, order: Order, sent: Sent) -> Json:
        done = [public_id("T", self.setup.seed, each.number) for each in self.spot.executions_of(order)]
        return written_order(
            order, self.spot.markets[order.symbol], done if said_yes(sent, "trades") and done else None
        )

    def _mine(self, sent: Sent, account: str) -> Iterator[Order]:
        for order in self.spot.orders_of(account):
            by_client = sent.get("cl_ord_id", order.client_id) == order.client_id
            by_reference = "userref" not in sent or str(sent["userref"]) == str(order.terms.get("userref"))
            if by_client and by_reference:
                yield order

    def _open_orders(self, sent: Sent, account: str) -> Json:
        found = [order for order in self._mine(sent, account) if order.status.open]
        return {"open": {order.public_id: self._written(order, sent) for order in reversed(found)}}

    def _closed_orders(self, sent: Sent, account: str) -> Json:
        begin, end = whole(sent, "start", 0) * 1000, whole(sent, "end", 2**40) * 1000
        ended = [order for order in self._mine(sent, account) if not order.status.open]
        found = [order for order in ended if begin < order.updated_at <= end]
        found.sort(key=lambda order: order.updated_at, reverse=True)
        page = found[whole(sent, "ofs", 0) :][:PAGE]
        return {"closed": {order.public_id: self._written(order, sent) for order in page}, "count": len(found)}

    def _query_orders(self, sent: Sent, account: str) -> Json:
        found = {}
        for name in needed(sent, "txid").split(","):
            if ORDER_IDS.fullmatch(name) is None:
                raise KrakenError("EOrder:Invalid order")
            order = self._found(account, public_id=name)
            found[order.public_id] = self._written(order, sent)
        return found

    def _found(self, account: str, **named: str) -> Order:
        try:
            return self.spot.find(account, **named)
        except RefusedOrder:
            raise KrakenError("EOrder:Unknown order") from None

    def _trades_history(self, sent: Sent, account: str) -> Json:
        begin, end = whole(sent, "start", 0) * 1000, whole(sent, "end", 2**40) * 1000
        found = [each for each in self.spot.executions if each.account == account and begin < each.time <= end]
        page = found[::-1][whole(sent, "ofs", 0) :][:PAGE]
        return {"trades": self._written_trades(page), "count": len(found)}

    def _query_trades(self, sent: Sent, account: str) -> Json:
        wanted = needed(sent, "txid").split(",")
        mine = [each for each in self.spot.executions if each.account == account]
        found = [each for each in mine if public_id("T", self.setup.seed, each.number) in wanted]
        if len(found) < len(wanted):
            raise KrakenError("EQuery:Unknown trade")
        return self._written_trades(found)

    def _written_trades(self, executions: Iterable[Execution]) -> Json:
        named = {public_id("T", self.setup.seed, each.number): each for each in executions}
        return {name: written_trade(each, self.spot.orders[each.order]) for name, each in named.items()}

    # Orders.

    def _add_order(self, sent: Sent, account: str) -> Json:
        market = self._market_of(sent)
        order = read_order(sent, account, market)
        told = {"descr": {"order": description(order, market)["order"]}}
        try:
            if said_yes(sent, "validate"):
                check_order(order, market, self.spot.open_orders(account, market.symbol))
                return told
            self._check_engine(order, 1)
            placed = self.spot.place(order)
        except RefusedOrder as refusal:
            raise KrakenError(refusal_text(refusal, market)) from None
        client = {"cl_ord_id": order.client_id} if order.client_id else {}
        return {**told, "txid": [placed.public_id], **client}

    def _named(self, sent: Sent, account: str) -> list[Order]:
        """By the exchange's id, by client id, or all with this user reference."""
        if sent.get("cl_ord_id"):
            return [self._found(account, client_id=str(sent["cl_ord_id"]))]
        name = needed(sent, "txid")
        if ORDER_IDS.fullmatch(name):
            return [self._found(account, public_id=name)]
        return [order for order in self.spot.open_orders(account) if str(order.terms.get("userref")) == name]

    def _amend_order(self, sent: Sent, account: str) -> Json:
        order = next(iter(self._named(sent, account)), None)
        if order is None:
            raise KrakenError("EOrder:Unknown order")
        self._check_engine(order, 1)
        quantity = number(sent, "order_qty") if "order_qty" in sent else order.quantity
        if quantity <= order.filled:
            raise KrakenError("EGeneral:Invalid arguments:order_qty")
        limit = number(sent, "limit_price") if "limit_price" in sent else None
        triggers = order.triggers
        if triggers:
            old = triggers[0]
            price = number(sent, "trigger_price") if "trigger_price" in sent else old.price
            triggers = (Trigger(price, old.falling, limit or old.limit),)
        try:
            self.spot.amend(order, quantity, order.price if order.waits else limit or order.price, triggers)
        except RefusedOrder as refusal:
            raise KrakenError(refusal_text(refusal, self.spot.markets[order.symbol])) from None
        return {"amend_id": public_id("A", self.setup.seed, order.number)}

    def _cancel_order(self, sent: Sent, account: str) -> Json:
        return {"count": self._cancelled(self._named(sent, account))}

    def _cancel_orders(self, sent: Sent, account: str) -> Json:
        """Those that do not exist are passed over."""
        asked = [str(name) for name in sent.get("orders", sent.get("cl_ord_ids", []))]
        found = [order for order in self.spot.open_orders(account) if {order.public_id, order.client_id} & set(asked)]
        return {"count": self._cancelled(found) if found else 0}

    def _cancel_all(self, _sent: Sent, account: str) -> Json:
        found = self.spot.open_orders(account)
        return {"count": self._cancelled(found) if found else 0}

    def _cancelled(self, orders: list[Order]) -> int:
        if self.system == "maintenance":
            raise KrakenError("EService:Unavailable")
        living = [order for order in orders if order.status.open]
        if not living:
            raise KrakenError("EOrder:Unknown order")
        for order in living:
            rested = (self.clock.now() - order.placed_at) / 1000
            cost = next((cost for seconds, cost in EARLY_CANCELS if rested < seconds), 0)
            self._orders.take(f"{order.account} {order.symbol}", cost, get_running_loop().time())
            self.spot.cancel(order)
        return len(living)

    # Orders over the websocket.

    def _by_socket(self, method: str, asked: Json, account: str) -> Json:
        if method == "add_order":
            self._check_right("AddOrder", account)
            added = self._add_order(_as_rest(asked), account)
            return {"order_id": added["txid"][0], **({"cl_ord_id": asked["cl_ord_id"]} if "cl_ord_id" in asked else {})}
        if method == "amend_order":
            self._check_right("AmendOrder", account)
            named = {**asked, "txid": asked.get("order_id", "")}
            return {**self._amend_order(named, account), "order_id": named["txid"]}
        if method in ("cancel_order", "cancel_all"):
            self._check_right("CancelOrder", account)
            if method == "cancel_all":
                return self._cancel_all(asked, account)
            names = asked.get("order_id", []) + asked.get("cl_ord_id", [])
            found = [self._found(account, public_id=name, client_id=name) for name in names]
            self._cancelled(found)
            return {"order_id": found[-1].public_id}
        raise KrakenError("Unsupported method")


def _failure(*errors: str) -> web.Response:
    return web.json_response({"error": list(errors)})


def _as_rest(asked: Json) -> Json:
    kind, symbol = str(asked.get("order_type")), str(asked.get("symbol"))
    trigger = asked.get("triggers", {}).get("price")
    limit = asked.get("limit_price")
    first, second = (trigger, limit) if trigger is not None else (limit, None)
    named = {
        "pair": alternative(symbol) if "/" in symbol else symbol,
        "type": asked.get("side"),
        "ordertype": kind,
        "volume": asked.get("order_qty"),
        "price": first,
        "price2": second,
        "timeinforce": asked.get("time_in_force"),
        "cl_ord_id": asked.get("cl_ord_id"),
        "userref": asked.get("order_userref"),
        "oflags": "post" if asked.get("post_only") else None,
    }
    return {name: str(value) for name, value in named.items() if value is not None}


VENUE = Kraken
kraken_exchange = partial(local_exchange, "kraken")
