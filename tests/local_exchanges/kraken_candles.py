"""Kraken's public candles and nothing else: whatever is asked for, never more than the latest 720."""

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from aiohttp import web
from tests.local_exchanges.running import local_exchange
from tests.local_exchanges.spot_exchange import Rules
from tests.local_exchanges.spot_orders import Event
from tests.local_exchanges.venue import Venue

from tradepulse.domain.market import MINUTE

MOST_CANDLES = 720
PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "lot": "unit",
    "cost_decimals": 5,
    "pair_decimals": 2,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [2, 3],
    "leverage_sell": [2, 3],
    "fees": [[0, 0.4], [10000, 0.35]],
    "fees_maker": [[0, 0.25], [10000, 0.2]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.00005",
    "costmin": "0.5",
    "tick_size": "0.01",
    "status": "online",
}


class KrakenCandles(Venue):
    exchange_id = "kraken"
    hosts = ("api.kraken.com",)
    rules = Rules(flat_candles=False)
    usual_quote = "USD"

    def on_event(self, event: Event) -> None:
        pass

    def error(self, code: str, message: str) -> web.Response:
        return web.json_response({"error": [code]})

    def maintenance(self) -> web.Response:
        return self.error("EService:Unavailable", "")

    def routes(self) -> Iterable[web.RouteDef]:
        yield web.get("/0/public/AssetPairs", self._pairs)
        yield web.get("/0/public/Time", self._time)
        yield web.get("/0/public/OHLC", self._candles)

    async def _time(self, _request: web.Request) -> web.Response:
        return _result({"unixtime": self.clock.now() // 1_000})

    async def _pairs(self, _request: web.Request) -> web.Response:
        return _result({"XXBTZUSD": PAIR})

    async def _candles(self, request: web.Request) -> web.Response:
        step, since = int(request.query["interval"]) * MINUTE, int(request.query.get("since", "0")) * 1_000
        latest = self.spot.markets["BTC/USD"].tape.page(step, 0, self.clock.now() + 1)[-MOST_CANDLES:]
        page = [bar for bar in latest if bar.open_time > since]
        rows = []
        for bar in page:
            prices = [f"{price:.2f}" for price in (bar.open, bar.high, bar.low, bar.close, bar.close)]
            rows.append([bar.open_time // 1_000, *prices, f"{bar.volume.quantize(Decimal('1e-8'))}", 1])
        return _result({"XXBTZUSD": rows, "last": page[-1].open_time // 1_000 if page else 0})


def _result(result: Any) -> web.Response:
    return web.json_response({"error": [], "result": result})


VENUE = KrakenCandles
kraken_candles = partial(local_exchange, "kraken_candles")
