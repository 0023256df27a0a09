"""OKX spot as ccxt 4.5.90 and ccxt.pro use it: orders, algo orders that place orders of their own, three websockets.

A refusal of an order comes with HTTP 200 and its code inside. A triggered algo order is ``effective``: that is no
fill, the order that it has placed is. What the documentation leaves open follows ``docs/decisions/0026``.
"""

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web
from tests.local_exchanges.okx_streams import PLACES, OkxStreams
from tests.local_exchanges.okx_words import (
    REFUSED,
    STEPS,
    Json,
    OkxError,
    done,
    failed,
    market_id,
    read_algo,
    read_order,
    written_algo,
    written_balance,
    written_candle,
    written_fill,
    written_instrument,
    written_order,
    written_ticker,
)
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Event, Order, Refusal, RefusedOrder, Status
from tests.local_exchanges.venue import Setup, Venue

Sent = Mapping[str, Any]
Public = Callable[[Sent], list[Any]]
Private = Callable[[Sent, str], list[Any]]
LATEST_MS = 30_000
ORDER_NAMES, ALGO_NAMES = ("ordId", "clOrdId"), ("algoId", "algoClOrdId")
FIRST_ID = 312_269_865_356_000_000


class Okx(Venue):
    exchange_id = "okx"
    hosts = ("www.okx.com", "ws.okx.com")
    rules = Rules(children=True, refuses_taking_makers=False)
    filters = {"maker": "0.0008", "smallest_notional": "0", "most_stops": "100"}  # noqa: RUF012

    def __init__(self, setup: Setup) -> None:
        self._modes = tuple(setup.options.get("algo_modes", ["cash"]))
        self._limit = int(setup.options.get("requests_per_2s", 60))
        self._recent: dict[str, deque[int]] = {}
        self.permissions: dict[str, Json] = {}
        super().__init__(setup)
        self._streams = OkxStreams(self.spot, self.streams, self._log_in)

    def name_order(self, number: int) -> str:
        return str(FIRST_ID + number)

    def client_options(self) -> dict[str, Any]:
        return {"fetchMarkets": {"types": ["spot"]}}

    def on_event(self, event: Event) -> None:
        self._streams.tell(event)

    def error(self, code: str, message: str) -> web.Response:
        return _failure(OkxError(code, message))

    def maintenance(self) -> web.Response:
        return _failure(OkxError("50001"))

    def script_permissions(self, account: str, **changes: str) -> None:
        """Of this account's key: ``perm`` (read_only, trade, withdraw, with commas) and ``ip``."""
        self.permissions[account] = {**self.permissions.get(account, {}), **changes}

    # Routes.

    def routes(self) -> Iterable[web.RouteDef]:
        for place in PLACES:
            yield web.get(place, self._socket)
        for path, answer in self._public().items():
            yield web.get(f"/api/v5/{path}", partial(self._open, answer))
        for (method, path), private in self._private().items():
            yield web.route(method, f"/api/v5/{path}", partial(self._keyed, private))

    def _public(self) -> dict[str, Public]:
        return {
            "public/time": lambda _: [{"ts": str(self.clock.now())}],
            "public/instruments": self._instruments,
            "market/candles": self._candles,
            "market/history-candles": self._candles,
            "market/ticker": lambda sent: [written_ticker(self._market_of(sent), self.clock.now())],
            "market/tickers": lambda _: [written_ticker(each, self.clock.now()) for each in self.spot.markets.values()],
            "system/status": lambda _: [],
        }

    def _private(self) -> dict[tuple[str, str], Private]:
        return {
            ("GET", "account/balance"): lambda _, account: [written_balance(self.spot, account)],
            ("GET", "account/config"): self._config,
            ("GET", "account/trade-fee"): self._trade_fee,
            ("GET", "asset/currencies"): self._currencies,
            ("POST", "trade/order"): self._place,
            ("POST", "trade/batch-orders"): self._place,
            ("POST", "trade/cancel-order"): self._cancel,
            ("POST", "trade/cancel-batch-orders"): self._cancel,
            ("GET", "trade/order"): self._query,
            ("GET", "trade/orders-pending"): lambda sent, account: self._listed(sent, account, live=True),
            ("GET", "trade/orders-history"): lambda sent, account: self._listed(sent, account, live=False),
            ("GET", "trade/orders-history-archive"): lambda sent, account: self._listed(sent, account, live=False),
            ("POST", "trade/order-algo"): self._place_algo,
            ("POST", "trade/cancel-algos"): self._cancel_algos,
            ("GET", "trade/order-algo"): self._query_algo,
            ("GET", "trade/orders-algo-pending"): lambda sent, account: self._algos(sent, account, live=True),
            ("GET", "trade/orders-algo-history"): lambda sent, account: self._algos(sent, account, live=False),
            ("GET", "trade/fills"): self._fills,
            ("GET", "trade/fills-history"): self._fills,
        }

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        return await self.streams.serve(request, self._streams.on_text)

    async def _open(self, answer: Public, request: web.Request) -> web.Response:
        return _answer(lambda: answer(dict(request.query)))

    async def _keyed(self, answer: Private, request: web.Request) -> web.Response:
        body = await request.text()
        sent = json.loads(body) if body else dict(request.query)

        def admitted() -> list[Any]:
            account = self._admit(request, body)
            self._count(account, request.path)
            if request.method == "POST" and "trade" not in self._permission(account, "perm"):
                raise OkxError("50120")
            return answer(sent, account)

        return _answer(admitted)

    # Admission.

    def _admit(self, request: web.Request, body: str) -> str:
        said = request.headers
        time = said.get("OK-ACCESS-TIMESTAMP", "")
        account = self._known(said.get("OK-ACCESS-KEY"), said.get("OK-ACCESS-PASSPHRASE"))
        signed = self._sign(account, f"{time}{request.method}{request.path_qs}{body}")
        if not hmac.compare_digest(signed, said.get("OK-ACCESS-SIGN", "")):
            raise OkxError("50113")
        told = datetime.fromisoformat(time).timestamp() * 1_000
        if abs(told - self.clock.now()) > LATEST_MS:
            raise OkxError("50102")
        return account

    def _known(self, api_key: str | None, password: str | None) -> str:
        if not api_key:
            raise OkxError("50103")
        account = self.account_of(api_key)
        if account is None:
            raise OkxError("50111")
        if password != self.keys[account].password:
            raise OkxError("50105")
        return account

    def _sign(self, account: str, payload: str) -> str:
        digest = hmac.new(self.keys[account].secret.encode(), payload.encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()

    def _log_in(self, sent: Sent) -> str:
        account = self.account_of(str(sent.get("apiKey")))
        if account is None:
            raise OkxError("60005", "Invalid apiKey")
        if sent.get("passphrase") != self.keys[account].password:
            raise OkxError("60024", "Wrong passphrase")
        if sent.get("sign") != self._sign(account, f"{sent['timestamp']}GET/users/self/verify"):
            raise OkxError("60007", "Invalid sign")
        if abs(int(sent["timestamp"]) * 1_000 - self.clock.now()) > LATEST_MS:
            raise OkxError("60006", "Timestamp request expired")
        return account

    def _count(self, account: str, path: str) -> None:
        recent = self._recent.setdefault(f"{account} {path}", deque())
        now = self.clock.now()
        while recent and recent[0] <= now - 2_000:
            recent.popleft()
        recent.append(now)
        if len(recent) > self._limit:
            raise OkxError("50011")

    def _permission(self, account: str, name: str) -> str:
        usual = {"perm": "read_only,trade", "ip": "127.0.0.1"}
        return {**usual, **self.permissions.get(account, {})}[name]

    # The market and the account.

    def _market_of(self, sent: Sent) -> Market:
        for market in self.spot.markets.values():
            if market_id(market.symbol) == sent.get("instId"):
                return market
        raise OkxError("51001")

    def _instruments(self, sent: Sent) -> list[Any]:
        spot = sent.get("instType") == "SPOT"
        return [written_instrument(market) for market in self.spot.markets.values() if spot]

    def _candles(self, sent: Sent) -> list[Any]:
        """Newest first; ``after`` and ``before`` leave out the candle that they name."""
        step = STEPS.get(sent.get("bar", "1m"))
        if step is None:
            raise OkxError("51000", "Parameter bar error")
        now = self.clock.now()
        until = min(int(sent.get("after", now + 1)), now + 1)
        bars = self._market_of(sent).tape.page(step, int(sent.get("before", -1)) + 1, until)
        newest = bars[-min(int(sent.get("limit", 100)), 300) :]
        return [written_candle(bar, bar.open_time + step <= now) for bar in reversed(newest)]

    def _config(self, _sent: Sent, account: str) -> list[Any]:
        named = {name: self._permission(account, name) for name in ("perm", "ip")}
        return [{"uid": account, "mainUid": account, "acctLv": "1", "posMode": "net_mode", "label": account, **named}]

    def _trade_fee(self, sent: Sent, _account: str) -> list[Any]:
        rules = self._market_of(sent).instrument
        fees = {"maker": str(-rules.maker), "taker": str(-rules.taker)}
        return [{"instType": "SPOT", "level": "Lv1", **fees, "ts": str(self.clock.now())}]

    def _currencies(self, _sent: Sent, _account: str) -> list[Any]:
        assets = {asset for symbol in self.spot.markets for asset in symbol.split("/")}
        limits = {"minFee": "0.0001", "maxFee": "0.0002", "minWd": "0.001", "maxWd": "500", "minDep": "0.0001"}
        return [
            {
                "ccy": asset,
                "name": asset,
                "chain": f"{asset}-{asset}",
                "canDep": True,
                "canWd": True,
                "canInternal": True,
                "mainNet": True,
                "wdTickSz": "8",
                **limits,
            }
            for asset in sorted(assets)
        ]

    # Plain orders.

    def _each(
        self, sent: Any, names: tuple[str, str], act: Callable[[Sent], Order], on_refusal: Callable[[Refusal], OkxError]
    ) -> list[Any]:
        """One answer per order, refusals among them."""
        now, answers = self.clock.now(), []
        for one in sent if isinstance(sent, list) else [sent]:
            try:
                answers.append(done(act(one), names, now))
            except RefusedOrder as refusal:
                answers.append(failed(on_refusal(refusal.reason), one, names, now))
            except OkxError as error:
                answers.append(failed(error, one, names, now))
        return answers

    def _place(self, sent: Any, account: str) -> list[Any]:
        def placed(one: Sent) -> Order:
            return self.spot.place(read_order(one, account, self._market_of(one)))

        return self._each(sent, ORDER_NAMES, placed, lambda reason: _refusal(reason, "51016"))

    def _place_algo(self, sent: Any, account: str) -> list[Any]:
        def placed(one: Sent) -> Order:
            return self.spot.place(read_algo(one, account, self._market_of(one), self._modes))

        return self._each(sent, ALGO_NAMES, placed, lambda reason: _refusal(reason, "51065"))

    def _cancel(self, sent: Any, account: str) -> list[Any]:
        return self._each(sent, ORDER_NAMES, lambda one: self._cancelled(one, account, ORDER_NAMES), _too_late)

    def _cancel_algos(self, sent: Any, account: str) -> list[Any]:
        return self._each(sent, ALGO_NAMES, lambda one: self._cancelled(one, account, ALGO_NAMES), _too_late)

    def _cancelled(self, sent: Sent, account: str, names: tuple[str, str]) -> Order:
        order = self._found(sent, account, names, "51400")
        if order.status is Status.CANCELLED:
            raise OkxError("51401")
        if not order.status.open:
            raise OkxError("51402")
        self.spot.cancel(order)
        return order

    def _found(self, sent: Sent, account: str, names: tuple[str, str], error: str) -> Order:
        """Algo orders and plain orders are found apart from each other, by the exchange's id before ours."""
        exchange_id, client_id = (str(sent.get(name) or "") for name in names)
        if not exchange_id and not client_id:
            raise OkxError("51003", f"Either {names[0]} or {names[1]} is required")
        for order in reversed(self.spot.orders_of(account)):
            named = order.public_id == exchange_id if exchange_id else order.client_id == client_id
            if named and bool(order.triggers) is (names is ALGO_NAMES):
                return order
        raise OkxError(error)

    def _query(self, sent: Sent, account: str) -> list[Any]:
        return [written_order(self._found(sent, account, ORDER_NAMES, "51603"), self.spot)]

    def _listed(self, sent: Sent, account: str, *, live: bool) -> list[Any]:
        """Newest first."""
        orders = [order for order in self._own(sent, account) if not order.triggers and order.status.open is live]
        written = [written_order(order, self.spot) for order in orders]
        return _page([each for each in written if sent.get("state") in (None, each["state"])], sent)

    def _own(self, sent: Sent, account: str) -> list[Order]:
        symbol = self._market_of(sent).symbol if "instId" in sent else None
        return list(reversed(self.spot.orders_of(account, symbol)))

    def _fills(self, sent: Sent, account: str) -> list[Any]:
        begin, end = int(sent.get("begin", 0)), int(sent.get("end", 2**62))
        wanted = [
            each
            for each in reversed(self.spot.executions)
            if each.account == account
            and begin <= each.time <= end
            and sent.get("instId") in (None, market_id(each.symbol))
            and sent.get("ordId") in (None, self.spot.orders[each.order].public_id)
        ]
        return [written_fill(each, self.spot) for each in _page(wanted, sent)]

    # Algo orders.

    def _query_algo(self, sent: Sent, account: str) -> list[Any]:
        return [written_algo(self._found(sent, account, ALGO_NAMES, "51603"), self.spot)]

    def _algos(self, sent: Sent, account: str, *, live: bool) -> list[Any]:
        if not sent.get("ordType"):
            raise OkxError("50014", "Parameter ordType can not be empty")
        if not live and not (sent.get("state") or sent.get("algoId")):
            raise OkxError("50015", "Either parameter state or algoId is required")
        orders = [order for order in self._own(sent, account) if order.triggers and order.status.open is live]
        written = [written_algo(order, self.spot) for order in orders]
        wanted = {name: sent[name] for name in ("state", "algoId") if sent.get(name)}
        kinds = sent["ordType"].split(",")
        return _page([w for w in written if w["ordType"] in kinds and wanted.items() <= w.items()], sent)


def _page(found: list[Any], sent: Sent) -> list[Any]:
    return found[: min(int(sent.get("limit", 100)), 100)]


def _refusal(reason: Refusal, duplicate: str) -> OkxError:
    return OkxError(duplicate) if reason is Refusal.DUPLICATE_ID else OkxError(*REFUSED[reason])


def _too_late(_reason: Refusal) -> OkxError:
    return OkxError("51400")


def _answer(answer: Callable[[], list[Any]]) -> web.Response:
    try:
        data = answer()
    except OkxError as error:
        return _failure(error)
    refused = [each for each in data if isinstance(each, dict) and each.get("sCode", "0") != "0"]
    if not refused:
        return web.json_response({"code": "0", "msg": "", "data": data})
    code, message = (
        ("1", "All operations failed") if len(refused) == len(data) else ("2", "Bulk operation partially succeeded")
    )
    return web.json_response({"code": code, "msg": message, "data": data})


def _failure(error: OkxError) -> web.Response:
    return web.json_response({"code": error.code, "msg": error.message, "data": []}, status=error.status)


VENUE = Okx
okx_exchange = partial(local_exchange, "okx")
