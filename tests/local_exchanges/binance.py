"""Binance spot as ccxt 4.5.90 and ccxt.pro use it: REST, market streams, user stream over the websocket API.

Signatures, timestamps and filters are checked; request weights are counted and their limit is enforced. What the
documentation leaves open follows ``docs/decisions/0026``.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import web
from tests.local_exchanges.binance_limits import Meter
from tests.local_exchanges.binance_streams import STEPS, BinanceStreams, signed
from tests.local_exchanges.binance_trading import BinanceTrading
from tests.local_exchanges.binance_words import (
    PLACING,
    BinanceError,
    Json,
    legacy_pair,
    market_id,
    money,
    needed,
    written_candle,
    written_symbol,
)
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Event, RefusedOrder
from tests.local_exchanges.streams import OnText
from tests.local_exchanges.venue import Setup, Venue

Sent = Mapping[str, str]
Answer = Callable[[Sent], Any]
SignedAnswer = Callable[[Sent, str], Any]
DEFAULT_WINDOW, LONGEST_WINDOW, AHEAD = 5_000, 60_000, 1_000


class Binance(Venue):
    exchange_id = "binance"
    hosts = ("api.binance.com", "stream.binance.com", "ws-api.binance.com")
    rules = Rules()
    filters = {"band_up": "5", "band_down": "0.2", "most_stops": "5", "most_pairs": "20"}  # noqa: RUF012

    def __init__(self, setup: Setup) -> None:
        options = dict(setup.options)
        self.meter = Meter(
            int(options.get("weight_limit", 6_000)),
            int(options.get("patience", 20)),
            orders_limit=int(options.get("orders_limit", 100)),
        )
        self.permissions: dict[str, Json] = {}
        super().__init__(setup)
        self._trading = BinanceTrading(self.spot, self._market_of, setup.seed)
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
        trading = self._trading
        return {
            ("GET", "/api/v3/account"): (20, self._account),
            ("POST", "/api/v3/order"): (1, trading.place),
            ("POST", "/api/v3/order/test"): (1, trading.test),
            ("GET", "/api/v3/order"): (4, trading.query),
            ("DELETE", "/api/v3/order"): (1, trading.cancel),
            ("POST", "/api/v3/order/cancelReplace"): (1, trading.cancel_replace),
            ("GET", "/api/v3/openOrders"): (6, trading.open_orders),
            ("DELETE", "/api/v3/openOrders"): (1, trading.cancel_open),
            ("GET", "/api/v3/allOrders"): (20, trading.all_orders),
            ("GET", "/api/v3/myTrades"): (20, trading.my_trades),
            ("POST", "/api/v3/orderList/oco"): (1, trading.place_pair),
            ("POST", "/api/v3/order/oco"): (1, lambda sent, account: trading.place_pair(legacy_pair(sent), account)),
            ("GET", "/api/v3/orderList"): (4, trading.query_pair),
            ("DELETE", "/api/v3/orderList"): (1, trading.cancel_pair),
            ("GET", "/api/v3/openOrderList"): (6, trading.open_pairs),
            ("GET", "/api/v3/allOrderList"): (20, trading.all_pairs),
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


VENUE = Binance
binance_exchange = partial(local_exchange, "binance")
