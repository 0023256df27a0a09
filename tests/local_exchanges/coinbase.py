"""Coinbase Advanced as ccxt 4.5.90 and ccxt.pro use it: a signed token per request, refusals in HTTP 200, brackets.

A client id that was used before places nothing: the answer is the order that has it. What the documentation leaves open
follows ``docs/decisions/0026``.
"""

import base64
import hashlib
import json
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from tests.local_exchanges.coinbase_streams import CoinbaseStreams
from tests.local_exchanges.coinbase_words import (
    STEPS,
    CoinbaseError,
    CoinbaseRefusal,
    Json,
    iso,
    market_id,
    milliseconds,
    not_placed,
    placed,
    read_order,
    refusal_of,
    written_candle,
    written_fill,
    written_order,
    written_product,
)
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Event, Order, RefusedOrder, text
from tests.local_exchanges.venue import Keys, Setup, Venue

Sent = Mapping[str, Any]
Public = Callable[[Sent], Any]
Private = Callable[[Sent, str], Any]
SECONDS_VALID, LEEWAY = 120, 5
MOST_CANDLES = 350
STATUS = {"internal_server_error": 500, "INTERNAL": 500, "rate_limit_exceeded": 429, "PERMISSION_DENIED": 403}


class Coinbase(Venue):
    exchange_id = "coinbase"
    hosts = ("api.coinbase.com", "advanced-trade-ws.coinbase.com")
    rules = Rules(fee_in_quote=True, unique_ids="never", flat_candles=False)
    filters = {  # noqa: RUF012
        "lot": "0.00000001",
        "smallest_quantity": "0.00000001",
        "largest_quantity": "3400",
        "smallest_notional": "1",
        "maker": "0.006",
        "taker": "0.012",
        "most_orders": "500",
    }
    usual_quote = "USD"

    def __init__(self, setup: Setup) -> None:
        self._brackets: list[str] | None = setup.options.get("brackets")
        self._limit = int(setup.options.get("requests_per_second", 30))
        self._recent: dict[str, deque[int]] = {}
        self.permissions: dict[str, Json] = {}
        super().__init__(setup)
        self._public_keys = {account: _private_key(setup.seed, account).public_key() for account in self.keys}
        self._streams = CoinbaseStreams(self.spot, self.streams, lambda token: self._admit_token(token, None))

    def name_order(self, number: int) -> str:
        return _uuid(f"order {self.setup.seed} {number}")

    def make_keys(self, account: str) -> Keys:
        pem = _private_key(self.setup.seed, account).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        return Keys(f"organizations/{_uuid('organization')}/apiKeys/{_uuid(account)}", pem.decode())

    def client_options(self) -> dict[str, Any]:
        return {"fetchBalance": "v3PrivateGetBrokerageAccounts"}

    def on_event(self, event: Event) -> None:
        self._streams.tell(event)

    def on_tick(self) -> None:
        self._streams.beat()

    def error(self, code: str, message: str) -> web.Response:
        return _failure(CoinbaseError(STATUS.get(code, 400), code, message))

    def maintenance(self) -> web.Response:
        return web.Response(status=503, text="Service Unavailable")

    def script_permissions(self, account: str, **changes: bool) -> None:
        """Of this account's key, as ``key_permissions`` names them."""
        self.permissions[account] = {**self._permissions_of(account), **changes}

    # Routes.

    def routes(self) -> Iterable[web.RouteDef]:
        yield web.get("/", self._socket)
        for path, answer in self._public().items():
            yield web.get(path, partial(self._open, answer))
        for (method, path), private in self._private().items():
            yield web.route(method, f"/api/v3/brokerage/{path}", partial(self._keyed, private))
        yield web.get("/v2/accounts", partial(self._keyed, self._older_accounts))

    def _public(self) -> dict[str, Public]:
        return {
            "/v2/time": self._time,
            "/v2/currencies": lambda _: {"data": [{"id": "USD", "name": "US Dollar", "min_size": "0.01"}]},
            "/v2/currencies/crypto": self._currencies,
            "/v2/exchange-rates": lambda _: {"data": {"currency": "USD", "rates": {}}},
            "/api/v3/brokerage/time": self._time_of_v3,
            "/api/v3/brokerage/market/products": self._products,
            "/api/v3/brokerage/market/products/{product_id}": lambda sent: written_product(self._market_of(sent)),
            "/api/v3/brokerage/market/products/{product_id}/candles": self._candles,
            "/api/v3/brokerage/market/products/{product_id}/ticker": self._ticker,
        }

    def _private(self) -> dict[tuple[str, str], Private]:
        return {
            ("GET", "products"): lambda sent, _: self._products(sent),
            ("GET", "products/{product_id}"): lambda sent, _: written_product(self._market_of(sent)),
            ("GET", "products/{product_id}/candles"): lambda sent, _: self._candles(sent),
            ("GET", "products/{product_id}/ticker"): lambda sent, _: self._ticker(sent),
            ("GET", "best_bid_ask"): self._best_bid_ask,
            ("GET", "accounts"): self._accounts,
            ("GET", "transaction_summary"): self._summary,
            ("GET", "key_permissions"): lambda _, account: self._permissions_of(account),
            ("POST", "orders"): self._place,
            ("POST", "orders/preview"): self._preview,
            ("POST", "orders/batch_cancel"): self._cancel,
            ("GET", "orders/historical/batch"): self._orders,
            ("GET", "orders/historical/fills"): self._fills,
            ("GET", "orders/historical/{order_id}"): self._query,
        }

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        return await self.streams.serve(request, self._streams.on_text)

    async def _open(self, answer: Public, request: web.Request) -> web.Response:
        return _answer(lambda: answer(_sent(request)))

    async def _keyed(self, answer: Private, request: web.Request) -> web.Response:
        body = await request.text()

        def admitted() -> Any:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            account = self._admit_token(token, f"{request.method} {request.host}{request.path}")
            self._count(account)
            if request.method == "POST" and not self._permissions_of(account)["can_trade"]:
                raise CoinbaseError(403, "PERMISSION_DENIED", "Missing required scopes")
            return answer({**_sent(request), **(json.loads(body) if body else {})}, account)

        return _answer(admitted)

    # Admission.

    def _admit_token(self, token: str, uri: str | None) -> str:
        """``uri``: what a token is for, which a token of the websocket does not say."""
        try:
            head, payload, signature = token.split(".")
            header, claims = (json.loads(_decoded(part)) for part in (head, payload))
            account = self.account_of(claims["sub"])
            assert account is not None
            assert (header["alg"], header["kid"]) == ("ES256", claims["sub"])
            self._public_keys[account].verify(
                _der(_decoded(signature)), f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256())
            )
        except (ValueError, KeyError, AssertionError, InvalidSignature):
            raise CoinbaseError(401, "", "Unauthorized") from None
        now, lasts = self.clock.now() / 1_000, claims["exp"] - claims["nbf"]
        in_time = claims["nbf"] - LEEWAY <= now <= claims["exp"] and lasts <= SECONDS_VALID
        if not in_time or (uri is not None and claims.get("uri") != uri):
            raise CoinbaseError(401, "", "Unauthorized")
        return account

    def _count(self, account: str) -> None:
        recent, now = self._recent.setdefault(account, deque()), self.clock.now()
        while recent and recent[0] <= now - 1_000:
            recent.popleft()
        recent.append(now)
        if len(recent) > self._limit:
            raise CoinbaseError(429, "rate_limit_exceeded", "Too many requests")

    def _permissions_of(self, account: str) -> Json:
        usual = {"can_view": True, "can_trade": True, "can_transfer": False, "can_receive": False}
        named = {"portfolio_uuid": _uuid(f"portfolio {account}"), "portfolio_type": "DEFAULT"}
        return self.permissions.get(account, {**usual, **named})

    # The market and the account.

    def _market_of(self, sent: Sent) -> Market:
        for market in self.spot.markets.values():
            if market_id(market.symbol) == sent.get("product_id"):
                return market
        raise CoinbaseError(404, "NOT_FOUND", f"product {sent.get('product_id')} was not found")

    def _time(self, _sent: Sent) -> Json:
        now = self.clock.now()
        return {"data": {"epoch": now // 1_000, "iso": iso(now)}}

    def _time_of_v3(self, _sent: Sent) -> Json:
        now = self.clock.now()
        return {"iso": iso(now), "epochSeconds": str(now // 1_000), "epochMillis": str(now)}

    def _currencies(self, _sent: Sent) -> Json:
        assets = sorted({asset for symbol in self.spot.markets for asset in symbol.split("/")} - {"USD"})
        return {"data": [{"asset_id": _uuid(asset), "code": asset, "name": asset, "exponent": 8} for asset in assets]}

    def _products(self, sent: Sent) -> Json:
        spot = sent.get("product_type", "SPOT") == "SPOT"
        products = [written_product(market) for market in self.spot.markets.values() if spot]
        return {"products": products, "num_products": len(products)}

    def _candles(self, sent: Sent) -> Json:
        """Of the window asked for, newest first; a minute without trades has no candle."""
        step = STEPS.get(sent.get("granularity", ""))
        if step is None:
            raise CoinbaseError(400, "INVALID_ARGUMENT", "granularity is invalid")
        begin, end = int(sent["start"]) * 1_000, int(sent["end"]) * 1_000
        if (end - begin) // step > MOST_CANDLES:
            message = f"number of candles requested should be less than {MOST_CANDLES}"
            raise CoinbaseError(400, "INVALID_ARGUMENT", message)
        bars = self._market_of(sent).tape.page(step, begin, min(end, self.clock.now()) + 1)
        return {"candles": [written_candle(bar) for bar in reversed(bars)]}

    def _ticker(self, sent: Sent) -> Json:
        market = self._market_of(sent)
        trade = {"trade_id": "1", "product_id": market_id(market.symbol), "price": text(market.last), "size": "0.1"}
        trades = [{**trade, "time": iso(self.clock.now()), "side": "BUY"}]
        return {"trades": trades, "best_bid": text(market.bid), "best_ask": text(market.ask)}

    def _best_bid_ask(self, _sent: Sent, _account: str) -> Json:
        books = [
            {
                "product_id": market_id(market.symbol),
                "bids": [{"price": text(market.bid), "size": "1"}],
                "asks": [{"price": text(market.ask), "size": "1"}],
                "time": iso(self.clock.now()),
            }
            for market in self.spot.markets.values()
        ]
        return {"pricebooks": books}

    def _accounts(self, _sent: Sent, account: str) -> Json:
        accounts = [
            {
                "uuid": _uuid(f"{account} {asset}"),
                "name": f"{asset} Wallet",
                "currency": asset,
                "available_balance": {"value": text(each.free), "currency": asset},
                "hold": {"value": text(each.locked), "currency": asset},
                "default": True,
                "active": True,
                "ready": True,
                "type": "ACCOUNT_TYPE_FIAT" if asset == "USD" else "ACCOUNT_TYPE_CRYPTO",
            }
            for asset, each in self.spot.ledger.balances.get(account, {}).items()
        ]
        return {"accounts": accounts, "has_next": False, "cursor": "", "size": len(accounts)}

    def _older_accounts(self, _sent: Sent, account: str) -> Json:
        """Totals only: this older interface does not tell what is held for orders."""
        accounts = [
            {
                "id": _uuid(f"{account} {asset}"),
                "name": f"{asset} Wallet",
                "primary": True,
                "type": "fiat" if asset == "USD" else "wallet",
                "currency": {"code": asset, "name": asset, "type": "crypto"},
                "balance": {"amount": text(each.total), "currency": asset},
            }
            for asset, each in self.spot.ledger.balances.get(account, {}).items()
        ]
        return {"pagination": {"next_uri": None, "next_starting_after": None}, "data": accounts}

    def _summary(self, _sent: Sent, _account: str) -> Json:
        rules = next(iter(self.spot.markets.values())).instrument
        tier = {"pricing_tier": "Advanced 1", "usd_from": "0", "usd_to": "1000"}
        rates = {"taker_fee_rate": text(rules.taker), "maker_fee_rate": text(rules.maker)}
        return {"total_volume": 0, "total_fees": 0, "fee_tier": {**tier, **rates}}

    # Orders.

    def _read(self, sent: Sent, account: str) -> Order:
        market = self._market_of(sent)
        brackets = self._brackets is None or market.symbol in self._brackets
        return read_order(sent, account, market, brackets=brackets)

    def _place(self, sent: Sent, account: str) -> Json:
        if not sent.get("client_order_id"):
            raise CoinbaseError(400, "INVALID_ARGUMENT", "client_order_id is required")
        try:
            known = [each for each in self.spot.orders_of(account) if each.client_id == sent["client_order_id"]]
            return placed(known[0] if known else self.spot.place(self._read(sent, account)))
        except RefusedOrder as refusal:
            return not_placed(refusal_of(refusal.reason), sent)
        except CoinbaseRefusal as refusal:
            return not_placed(refusal, sent)

    def _preview(self, sent: Sent, account: str) -> Json:
        market, errors = self._market_of(sent), []
        try:
            self.spot.check(self._read(sent, account))
        except RefusedOrder as refusal:
            errors.append(refusal_of(refusal.reason).preview)
        except CoinbaseRefusal as refusal:
            errors.append(refusal.preview)
        quotes = {"best_bid": text(market.bid), "best_ask": text(market.ask)}
        return {"order_total": "0", "commission_total": "0", "errs": errors, "warning": [], **quotes}

    def _cancel(self, sent: Sent, account: str) -> Json:
        return {"results": [self._cancelled(order_id, account) for order_id in sent.get("order_ids", [])]}

    def _cancelled(self, order_id: str, account: str) -> Json:
        try:
            self.spot.cancel(self.spot.find(account, public_id=order_id))
        except RefusedOrder:
            return {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": order_id}
        return {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": order_id}

    def _query(self, sent: Sent, account: str) -> Json:
        try:
            order = self.spot.find(account, public_id=sent["order_id"])
        except RefusedOrder:
            raise CoinbaseError(404, "NOT_FOUND", "order with this orderID was not found") from None
        return {"order": written_order(order, self.spot)}

    def _orders(self, sent: Sent, account: str) -> Json:
        """Newest first, in pages."""
        begin, end = milliseconds(sent.get("start_date", iso(0))), milliseconds(sent.get("end_date", "9999-12-31"))
        written = [
            written_order(order, self.spot)
            for order in reversed(self.spot.orders_of(account))
            if begin <= order.placed_at <= end and sent.get("product_id") in (None, market_id(order.symbol))
        ]
        wanted = [each for each in written if sent.get("order_status") in (None, each["status"])]
        first, limit = int(sent.get("cursor") or 0), int(sent.get("limit", 1_000))
        more = len(wanted) > first + limit
        page = wanted[first : first + limit]
        return {"orders": page, "sequence": "0", "has_next": more, "cursor": str(first + limit) if more else ""}

    def _fills(self, sent: Sent, account: str) -> Json:
        begin = milliseconds(sent.get("start_sequence_timestamp", iso(0)))
        named = sent.get("order_id") or sent.get("order_ids")
        wanted = [
            each
            for each in reversed(self.spot.executions)
            if each.account == account
            and each.time >= begin
            and sent.get("product_id") in (None, market_id(each.symbol))
            and named in (None, self.spot.orders[each.order].public_id)
        ]
        first, limit = int(sent.get("cursor") or 0), int(sent.get("limit", 100))
        fills = [written_fill(each, self.spot, _uuid(f"trade {each.number}")) for each in wanted[first : first + limit]]
        return {"fills": fills, "cursor": str(first + limit) if len(wanted) > first + limit else ""}


def _sent(request: web.Request) -> dict[str, Any]:
    return {**request.query, **request.match_info}


def _answer(answer: Callable[[], Any]) -> web.Response:
    try:
        return web.json_response(answer())
    except CoinbaseError as error:
        return _failure(error)


def _failure(error: CoinbaseError) -> web.Response:
    if error.status == 401:
        return web.Response(status=401, text="Unauthorized\n")
    if error.status == 429:
        told: Json = {"errors": [{"id": error.error, "message": error.message}]}
    else:
        told = {"error": error.error, "error_details": error.message, "message": error.message}
    return web.json_response(told, status=error.status)


def _uuid(name: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4))


def _private_key(seed: int, account: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha256(f"{seed} {account}".encode()).digest()) >> 1
    return ec.derive_private_key(number, ec.SECP256R1())


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _der(signature: bytes) -> bytes:
    """A token carries the two numbers of a signature side by side."""
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))


VENUE = Coinbase
coinbase_exchange = partial(local_exchange, "coinbase")
