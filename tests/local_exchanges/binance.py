"""Binance spot as ccxt 4.5.90 and ccxt.pro use it: REST, market streams, user stream over the websocket API.

Signatures, timestamps and filters are checked; request weights are counted and their limit is enforced. What the
documentation leaves open follows ``docs/decisions/0026``.
"""

import hmac
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import web
from tests.local_exchanges.binance_streams import STEPS, BinanceStreams, signed
from tests.local_exchanges.binance_words import (
    PLACING,
    BinanceError,
    Json,
    legacy_pair,
    market_id,
    money,
    needed,
    read_order,
    read_pair,
    written_cancellation,
    written_candle,
    written_list,
    written_order,
    written_placement,
    written_symbol,
    written_trade,
)
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Event, Order, Pair, Refusal, RefusedOrder
from tests.local_exchanges.streams import OnText
from tests.local_exchanges.venue import Setup, Venue

from tradepulse.domain.market import MINUTE

Sent = Mapping[str, str]
Answer = Callable[[Sent], Any]
SignedAnswer = Callable[[Sent, str], Any]
DEFAULT_WINDOW, LONGEST_WINDOW, AHEAD = 5_000, 60_000, 1_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class Meter:
    """Weight that one IP has used in the current minute; who goes on beyond the limit is banned."""

    limit: int = 6_000
    patience: int = 20
    """Requests over the limit until the ban."""
    minute: int = 0
    used: int = 0
    over: int = 0
    banned_until: int = 0
    orders: dict[tuple[str, int], int] = field(default_factory=dict)
    orders_limit: int = 100

    def take(self, weight: int, now: int) -> None:
        if now // MINUTE != self.minute:
            self.minute, self.used, self.over = now // MINUTE, 0, 0
        if now < self.banned_until:
            raise self._banned()
        self.used += weight
        if self.used <= self.limit:
            return
        self.over += 1
        if self.over > self.patience:
            self.banned_until = now + 2 * MINUTE
            raise self._banned()
        raise BinanceError(
            -1003,
            f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
        )

    def take_order(self, account: str, now: int) -> None:
        key = (account, now // 10_000)
        self.orders[key] = self.orders.get(key, 0) + 1
        if self.orders[key] > self.orders_limit:
            raise BinanceError(
                -1015, f"Too many new orders; current limit is {self.orders_limit} orders per 10 SECOND."
            )

    def waits(self, now: int) -> int:
        """Seconds."""
        until = max(self.banned_until, (now // MINUTE + 1) * MINUTE)
        return -(-(until - now) // 1_000)

    def _banned(self) -> BinanceError:
        return BinanceError(
            -1003,
            f"Way too much request weight used; IP banned until {self.banned_until}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )


class Binance(Venue):
    exchange_id = "binance"
    hosts = ("api.binance.com", "stream.binance.com", "ws-api.binance.com")
    rules = Rules()
    filters = {"band_up": "5", "band_down": "0.2", "most_stops": "5", "most_pairs": "20"}  # noqa: RUF012

    def __init__(self, setup: Setup) -> None:
        options = dict(setup.options)
        self.meter = Meter(int(options.get("weight_limit", 6_000)), int(options.get("patience", 20)))
        self._names = random.Random(setup.seed)  # noqa: S311
        self.permissions: dict[str, Json] = {}
        super().__init__(setup)
        self._streams = BinanceStreams(self.spot, self.streams, self._admit_socket)

    def client_options(self) -> dict[str, Any]:
        return {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False}

    def on_event(self, event: Event) -> None:
        self._streams.tell(event)

    def error(self, code: str, message: str) -> web.Response:
        return self._failure(BinanceError(int(code), message))

    def maintenance(self) -> web.Response:
        return web.json_response({"code": 1, "msg": "System is under maintenance."}, status=503)

    # Scripts of this exchange.

    def script_permissions(self, account: str, **changes: bool) -> None:
        """Of this account's key, as ``account/apiRestrictions`` names them."""
        self.permissions[account] = {**self._permissions_of(account), **changes}

    async def script_shutdown(self) -> None:
        """``serverShutdown`` on every connection, which is then closed."""
        self._streams.announce_shutdown()
        await self.streams.close(1001)

    def script_end_user_streams(self) -> None:
        self._streams.end_user_streams()

    # Routes.

    def routes(self) -> Iterable[web.RouteDef]:
        yield web.get("/ws/{number}", partial(self._socket, self._streams.on_market_text))
        yield web.get("/ws-api/v3", partial(self._socket, self._streams.on_api_text))
        for path, (weight, answer) in self._public().items():
            yield web.get(path, partial(self._open, weight, answer))
        for (method, path), (weight, signed_answer) in self._private().items():
            yield web.route(method, path, partial(self._keyed, weight, signed_answer))

    def _public(self) -> dict[str, tuple[int, Answer]]:
        return {
            "/api/v3/ping": (1, lambda _: {}),
            "/api/v3/time": (1, lambda _: {"serverTime": self.clock.now()}),
            "/api/v3/exchangeInfo": (20, self._exchange_info),
            "/api/v3/klines": (2, self._klines),
            "/api/v3/ticker/bookTicker": (2, self._book_ticker),
            "/api/v3/ticker/price": (2, self._price),
            "/api/v3/ticker/24hr": (2, self._ticker),
            "/api/v3/avgPrice": (2, self._average_price),
            "/api/v3/depth": (5, self._depth),
            "/sapi/v1/system/status": (1, lambda _: {"status": 0, "msg": "normal"}),
        }

    def _private(self) -> dict[tuple[str, str], tuple[int, SignedAnswer]]:
        return {
            ("GET", "/api/v3/account"): (20, self._account),
            ("POST", "/api/v3/order"): (1, self._place),
            ("POST", "/api/v3/order/test"): (1, self._test),
            ("GET", "/api/v3/order"): (4, self._query),
            ("DELETE", "/api/v3/order"): (1, self._cancel),
            ("POST", "/api/v3/order/cancelReplace"): (1, self._cancel_replace),
            ("GET", "/api/v3/openOrders"): (6, self._open_orders),
            ("DELETE", "/api/v3/openOrders"): (1, self._cancel_open),
            ("GET", "/api/v3/allOrders"): (20, self._all_orders),
            ("GET", "/api/v3/myTrades"): (20, self._my_trades),
            ("POST", "/api/v3/orderList/oco"): (1, self._place_pair),
            ("POST", "/api/v3/order/oco"): (1, lambda sent, account: self._place_pair(legacy_pair(sent), account)),
            ("GET", "/api/v3/orderList"): (4, self._query_pair),
            ("DELETE", "/api/v3/orderList"): (1, self._cancel_pair),
            ("GET", "/api/v3/openOrderList"): (6, self._open_pairs),
            ("GET", "/api/v3/allOrderList"): (20, self._all_pairs),
            ("GET", "/sapi/v1/account/apiRestrictions"): (1, lambda _, account: self._permissions_of(account)),
            ("GET", "/sapi/v1/asset/tradeFee"): (1, self._trade_fees),
        }

    async def _socket(self, on_text: OnText, request: web.Request) -> web.StreamResponse:
        return await self.streams.serve(request, on_text)

    async def _open(self, weight: int, answer: Answer, request: web.Request) -> web.Response:
        return self._answer(weight, lambda: answer(dict(request.query)))

    async def _keyed(self, weight: int, answer: SignedAnswer, request: web.Request) -> web.Response:
        body = await request.text()
        payload = request.rel_url.raw_query_string + body
        sent = dict(parse_qsl(payload, keep_blank_values=True))

        def admitted() -> Any:
            account = self._admit(request.headers.get("X-MBX-APIKEY"), payload, sent)
            if "order" in request.path.lower() and request.method == "POST":
                self._check_trading(account)
                self.meter.take_order(account, self.clock.now())
            return answer(sent, account)

        return self._answer(weight, admitted)

    def _answer(self, weight: int, answer: Callable[[], Any]) -> web.Response:
        try:
            self.meter.take(weight, self.clock.now())
            response = web.json_response(answer())
        except RefusedOrder as refusal:
            response = self._failure(BinanceError(*PLACING[refusal.reason]))
        except BinanceError as error:
            response = self._failure(error)
        response.headers["X-MBX-USED-WEIGHT"] = response.headers["X-MBX-USED-WEIGHT-1M"] = str(self.meter.used)
        return response

    def _failure(self, error: BinanceError) -> web.Response:
        banned = error.message.startswith("Way too much")
        response = web.json_response(error.as_json(), status=418 if banned else error.status)
        if response.status in (418, 429):
            response.headers["Retry-After"] = str(self.meter.waits(self.clock.now()))
        return response

    # Admission.

    def _admit(self, api_key: str | None, payload: str, sent: Sent) -> str:
        if not api_key:
            raise BinanceError(-2014)
        account = self.account_of(api_key)
        if account is None:
            raise BinanceError(-2015)
        unsigned, _, signature = payload.rpartition("&signature=")
        if not hmac.compare_digest(signature, signed(unsigned, self.keys[account].secret)):
            raise BinanceError(-1022)
        self._check_time(sent)
        return account

    def _admit_socket(self, sent: dict[str, Any]) -> str:
        account = self.account_of(str(sent.get("apiKey")))
        if account is None:
            raise BinanceError(-2015)
        unsigned = {name: str(value) for name, value in sent.items() if name != "signature"}
        payload = "&".join(f"{name}={quote(unsigned[name], safe='-_.~=')}" for name in sorted(unsigned))
        raw = "&".join(f"{name}={unsigned[name]}" for name in sorted(unsigned))
        valid = [signed(each, self.keys[account].secret) for each in (payload, raw)]
        if str(sent.get("signature")) not in valid:
            raise BinanceError(-1022)
        self._check_time(unsigned)
        return account

    def _check_time(self, sent: Sent) -> None:
        time, window, now = (
            int(needed(sent, "timestamp")),
            int(sent.get("recvWindow", DEFAULT_WINDOW)),
            self.clock.now(),
        )
        if window > LONGEST_WINDOW:
            raise BinanceError(-1131, "recvWindow must be less than 60000.")
        if time > now + AHEAD:
            raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - time > window:
            raise BinanceError(-1021)

    def _check_trading(self, account: str) -> None:
        if not self._permissions_of(account)["enableSpotAndMarginTrading"]:
            raise BinanceError(-2015)

    def _permissions_of(self, account: str) -> Json:
        rights = ("enableReading", "enableSpotAndMarginTrading")
        wrongs = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer", "enableMargin")
        more = ("enableFutures", "enableVanillaOptions", "enablePortfolioMarginTrading", "enableFixApiTrade")
        named = {"ipRestrict": True, "createTime": 1_700_000_000_000}
        usual = {**named, **dict.fromkeys(rights, True), **dict.fromkeys((*wrongs, *more), False)}
        return self.permissions.get(account, usual)

    # The market.

    def _market_of(self, sent: Sent) -> Market:
        wanted = needed(sent, "symbol")
        for market in self.spot.markets.values():
            if market_id(market.symbol) == wanted:
                return market
        raise BinanceError(-1121, "Invalid symbol.")

    def _exchange_info(self, _sent: Sent) -> Json:
        limits = [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.meter.limit},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": self.meter.orders_limit},
        ]
        symbols = [written_symbol(market) for market in self.spot.markets.values()]
        return {
            "timezone": "UTC",
            "serverTime": self.clock.now(),
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": symbols,
        }

    def _klines(self, sent: Sent) -> list[list[Any]]:
        market, interval = self._market_of(sent), needed(sent, "interval")
        if interval not in STEPS:
            raise BinanceError(-1120, "Invalid interval.")
        step, limit = STEPS[interval], min(int(sent.get("limit", 500)), 1_000)
        until = min(int(sent.get("endTime", self.clock.now())), self.clock.now())
        bars = market.tape.page(step, int(sent.get("startTime", 0)), until + 1)
        page = bars[:limit] if "startTime" in sent else bars[-limit:]
        return [written_candle(bar, step) for bar in page]

    def _book_ticker(self, sent: Sent) -> Any:
        return self._each(sent, self._book_of)

    def _book_of(self, market: Market) -> Json:
        return {
            "symbol": market_id(market.symbol),
            "bidPrice": money(market.bid),
            "bidQty": "1.00000000",
            "askPrice": money(market.ask),
            "askQty": "1.00000000",
        }

    def _price(self, sent: Sent) -> Any:
        return self._each(sent, lambda market: {"symbol": market_id(market.symbol), "price": money(market.last)})

    def _ticker(self, sent: Sent) -> Any:
        return self._each(sent, self._day_of)

    def _day_of(self, market: Market) -> Json:
        day = self._streams.day(market.symbol, "24hrTicker")
        long = {"p": "priceChange", "P": "priceChangePercent", "w": "weightedAvgPrice", "x": "prevClosePrice"}
        long |= {"c": "lastPrice", "Q": "lastQty", "o": "openPrice", "h": "highPrice", "l": "lowPrice"}
        long |= {"v": "volume", "q": "quoteVolume", "O": "openTime", "C": "closeTime", "F": "firstId", "L": "lastId"}
        return {**self._book_of(market), **{name: day[short] for short, name in long.items()}, "count": day["n"]}

    def _each(self, sent: Sent, written: Callable[[Market], Json]) -> Any:
        if "symbol" in sent:
            return written(self._market_of(sent))
        return [written(market) for market in self.spot.markets.values()]

    def _average_price(self, sent: Sent) -> Json:
        return {"mins": 5, "price": money(self._market_of(sent).last), "closeTime": self.clock.now()}

    def _depth(self, sent: Sent) -> Json:
        market = self._market_of(sent)
        quantity = "1.00000000" if market.depth is None else money(market.depth)
        sides = {"bids": [[money(market.bid), quantity]], "asks": [[money(market.ask), quantity]]}
        return {"lastUpdateId": self.clock.now(), **sides}

    # The account.

    def _account(self, _sent: Sent, account: str) -> Json:
        held = self.spot.ledger.balances.get(account, {})
        rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
        return {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": rates,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "updateTime": self.clock.now(),
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": money(each.free), "locked": money(each.locked)} for asset, each in held.items()
            ],
            "permissions": ["SPOT"],
            "uid": 1_000 + list(self.keys).index(account),
        }

    def _trade_fees(self, _sent: Sent, _account: str) -> list[Json]:
        return [
            {
                "symbol": market_id(market.symbol),
                "makerCommission": str(market.instrument.maker),
                "takerCommission": str(market.instrument.taker),
            }
            for market in self.spot.markets.values()
        ]

    # Orders.

    def _new_id(self) -> str:
        return "".join(self._names.choices(ALPHABET, k=22))

    def _read(self, sent: Sent, account: str) -> Order:
        return read_order(sent, account, self._market_of(sent), self._new_id)

    def _place(self, sent: Sent, account: str) -> Json:
        order = self.spot.place(self._read(sent, account))
        usual = "FULL" if sent["type"] in ("MARKET", "LIMIT") else "ACK"
        return written_placement(order, sent.get("newOrderRespType", usual), self.spot.executions_of(order))

    def _test(self, sent: Sent, account: str) -> Json:
        self.spot.check(self._read(sent, account))
        return {}

    def _found(self, sent: Sent, account: str, error: int, prefix: str = "orig", id_name: str = "orderId") -> Order:
        market = self._market_of(sent)
        client_id = sent.get(f"{prefix}ClientOrderId", sent.get(f"{prefix}OrigClientOrderId", ""))
        if not client_id and id_name not in sent:
            raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        try:
            order = self.spot.find(account, public_id=sent.get(id_name, ""), client_id=client_id)
        except RefusedOrder:
            raise BinanceError(error) from None
        if order.symbol != market.symbol:
            raise BinanceError(error)
        return order

    def _query(self, sent: Sent, account: str) -> Json:
        return written_order(self._found(sent, account, -2013))

    def _cancel(self, sent: Sent, account: str) -> Json:
        return self._cancelled(self._found(sent, account, -2011))

    def _cancelled(self, order: Order) -> Json:
        try:
            self.spot.cancel(order)
        except RefusedOrder:
            raise BinanceError(-2011) from None
        return written_cancellation(order, self._new_id())

    def _cancel_replace(self, sent: Sent, account: str) -> Json:
        """STOP_ON_FAILURE: nothing is placed unless the old order is gone."""
        stops = needed(sent, "cancelReplaceMode") == "STOP_ON_FAILURE"
        order = self._read(sent, account)
        done: Json = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            found = self._found(sent, account, -2011, prefix="cancel", id_name="cancelOrderId")
            done["cancelResponse"] = self._cancelled(found)
        except BinanceError as error:
            done |= {"cancelResult": "FAILURE", "cancelResponse": error.as_json()}
        if done["cancelResult"] == "SUCCESS" or not stops:
            done |= self._replacement(order, sent)
        results = {done["cancelResult"], done["newOrderResult"]}
        if results == {"SUCCESS"}:
            return done
        if "SUCCESS" in results:
            raise BinanceError(-2021, "Order cancel-replace partially failed.", data=done)
        raise BinanceError(-2022, "Order cancel-replace failed.", data=done)

    def _replacement(self, order: Order, sent: Sent) -> Json:
        try:
            placed = self.spot.place(order)
        except RefusedOrder as refusal:
            return {
                "newOrderResult": "FAILURE",
                "newOrderResponse": BinanceError(*PLACING[refusal.reason]).as_json(),
            }
        form = sent.get("newOrderRespType", "RESULT")
        answer = written_placement(placed, form, self.spot.executions_of(placed))
        return {"newOrderResult": "SUCCESS", "newOrderResponse": answer}

    def _open_orders(self, sent: Sent, account: str) -> list[Json]:
        symbol = self._market_of(sent).symbol if "symbol" in sent else None
        return [written_order(order) for order in self.spot.open_orders(account, symbol)]

    def _cancel_open(self, sent: Sent, account: str) -> list[Json]:
        found = self.spot.open_orders(account, self._market_of(sent).symbol)
        if not found:
            raise BinanceError(-2011)
        return [self._cancelled(order) for order in found if order.status.open]

    def _all_orders(self, sent: Sent, account: str) -> list[Json]:
        begin, end = int(sent.get("startTime", 0)), int(sent.get("endTime", 2**62))
        known = self.spot.orders_of(account, self._market_of(sent).symbol)
        wanted = [order for order in known if begin <= order.placed_at <= end]
        if "orderId" in sent:
            wanted = [order for order in known if order.number >= int(sent["orderId"])]
        limit = min(int(sent.get("limit", 500)), 1_000)
        page = wanted[:limit] if {"startTime", "orderId"} & set(sent) else wanted[-limit:]
        return [written_order(order) for order in page]

    def _my_trades(self, sent: Sent, account: str) -> list[Json]:
        symbol, begin, end = (
            self._market_of(sent).symbol,
            int(sent.get("startTime", 0)),
            int(sent.get("endTime", 2**62)),
        )
        wanted = [
            each
            for each in self.spot.executions
            if (each.account, each.symbol) == (account, symbol)
            and begin <= each.time <= end
            and sent.get("orderId", str(each.order)) == str(each.order)
            and each.number >= int(sent.get("fromId", 0))
        ]
        limit = min(int(sent.get("limit", 500)), 1_000)
        page = wanted[:limit] if {"startTime", "fromId"} & set(sent) else wanted[-limit:]
        return [written_trade(each, self.spot.orders[each.order]) for each in page]

    # Lists.

    def _place_pair(self, sent: Sent, account: str) -> Json:
        market = self._market_of(sent)
        limit, stop = read_pair(sent, account, market, self._new_id)
        client_id = sent.get("listClientOrderId") or self._new_id()
        if any(each.client_id == client_id and self._running(each) for each in self._pairs(account)):
            raise RefusedOrder(Refusal.DUPLICATE_ID, client_id)
        pair = self.spot.place_pair(limit, stop, client_id)
        form = sent.get("newOrderRespType", "RESULT")
        reports = [written_placement(leg, form, self.spot.executions_of(leg)) for leg in (stop, limit)]
        return {**self._list(pair), "orderReports": reports}

    def _pairs(self, account: str) -> list[Pair]:
        return [pair for pair in self.spot.pairs.values() if pair.account == account]

    def _running(self, pair: Pair) -> bool:
        return any(self.spot.orders[leg].status.open for leg in pair.legs)

    def _list(self, pair: Pair) -> Json:
        return written_list(pair, (self.spot.orders[leg] for leg in pair.legs), self.clock.now())

    def _pair_of(self, sent: Sent, account: str, name: str, error: int) -> Pair:
        if not sent.get(name) and not sent.get("orderListId"):
            raise BinanceError(-1102, f"Param '{name}' or 'orderListId' must be sent, but both were empty/null!")
        for pair in reversed(self._pairs(account)):
            if sent.get(name) == pair.client_id or sent.get("orderListId") == str(pair.number):
                return pair
        raise BinanceError(error)

    def _query_pair(self, sent: Sent, account: str) -> Json:
        return self._list(self._pair_of(sent, account, "origClientOrderId", -2013))

    def _cancel_pair(self, sent: Sent, account: str) -> Json:
        self._market_of(sent)
        pair = self._pair_of(sent, account, "listClientOrderId", -2011)
        legs = [self.spot.orders[leg] for leg in pair.legs]
        living = next((leg for leg in legs if leg.status.open), legs[0])
        self._cancelled(living)
        return {**self._list(pair), "orderReports": [written_cancellation(leg, self._new_id()) for leg in legs]}

    def _open_pairs(self, _sent: Sent, account: str) -> list[Json]:
        return [self._list(pair) for pair in self._pairs(account) if self._running(pair)]

    def _all_pairs(self, _sent: Sent, account: str) -> list[Json]:
        return [self._list(pair) for pair in self._pairs(account)]


VENUE = Binance
binance_exchange = partial(local_exchange, "binance")
