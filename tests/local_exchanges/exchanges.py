"""The public REST interfaces of Binance, Kraken and Coinbase Advanced, as ccxt 4.5.90 uses them."""

from typing import Any

from aiohttp import web
from tests.local_exchanges.faults import Handler, LocalExchange

from tradepulse.domain.market import MINUTE, Timeframe
from tradepulse.exchanges.market_tape import resampled


class LocalBinance(LocalExchange):
    host = "api.binance.com"
    exchange_id = "binance"
    symbol = "BTC/USDT"

    def routes(self) -> dict[str, Handler]:
        return {"/api/v3/exchangeInfo": self._info, "/api/v3/time": self._time, "/api/v3/klines": self._klines}

    def candle_path(self) -> str:
        return "klines"

    def empty_page(self) -> Any:
        return []

    async def _time(self, _request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.clock.now()})

    async def _info(self, _request: web.Request) -> web.Response:
        symbols = [_binance_symbol(base, "USDT") for base in ("BTC", "ETH")]
        return web.json_response({"timezone": "UTC", "serverTime": self.clock.now(), "symbols": symbols})

    async def _klines(self, request: web.Request) -> web.Response:
        if request.query["symbol"] != "BTCUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        timeframe, limit = Timeframe(request.query["interval"]), min(int(request.query["limit"]), 1000)
        shown = resampled(self.visible(0, self.clock.now() + 1), timeframe)
        page = shown.between(int(request.query["startTime"]), None)[0:limit]
        rows = []
        for row in range(len(page)):
            bar = page.row(row)
            prices = [f"{price:.8f}" for price in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
            closes = bar.open_time + timeframe.milliseconds - 1
            rows.append([bar.open_time, *prices, closes, "0", 1, "0", "0", "0"])
        return web.json_response(rows)


class LocalKraken(LocalExchange):
    """Whatever is asked for, never more than the latest 720 candles."""

    host = "api.kraken.com"
    exchange_id = "kraken"
    symbol = "BTC/USD"

    def routes(self) -> dict[str, Handler]:
        return {"/0/public/AssetPairs": self._pairs, "/0/public/Time": self._time, "/0/public/OHLC": self._ohlc}

    def candle_path(self) -> str:
        return "OHLC"

    def empty_page(self) -> Any:
        return {"error": [], "result": {"XXBTZUSD": [], "last": 0}}

    async def _time(self, _request: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"unixtime": self.clock.now() // 1000}})

    async def _pairs(self, _request: web.Request) -> web.Response:
        return web.json_response({"error": [], "result": {"XXBTZUSD": _KRAKEN_PAIR}})

    async def _ohlc(self, request: web.Request) -> web.Response:
        minutes, since = int(request.query["interval"]), int(request.query.get("since", "0")) * 1000
        timeframe = next(frame for frame in Timeframe if frame.milliseconds == minutes * MINUTE)
        shown = resampled(self.visible(0, self.clock.now() + 1), timeframe)
        page = shown[max(0, len(shown) - 720) : len(shown)].between(since + 1, None)
        rows = []
        for row in range(len(page)):
            bar = page.row(row)
            prices = [f"{price:.2f}" for price in (bar.open, bar.high, bar.low, bar.close, bar.close)]
            rows.append([bar.open_time // 1000, *prices, f"{bar.volume:.8f}", 1])
        last = int(page.open_time[-1]) // 1000 if len(page) else 0
        return web.json_response({"error": [], "result": {"XXBTZUSD": rows, "last": last}})


class LocalCoinbase(LocalExchange):
    """Candles of the window asked for, newest first, and an error for windows of more than 350."""

    host = "api.coinbase.com"
    exchange_id = "coinbase"
    symbol = "BTC/USD"

    def routes(self) -> dict[str, Handler]:
        return {
            "/api/v3/brokerage/market/products": self._products,
            "/api/v3/brokerage/market/products/{product}/candles": self._candles,
            "/v2/time": self._time,
        }

    def candle_path(self) -> str:
        return "/candles"

    def empty_page(self) -> Any:
        return {"candles": []}

    async def _time(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": {"epoch": self.clock.now() // 1000, "iso": ""}})

    async def _products(self, request: web.Request) -> web.Response:
        products = [] if request.query.get("product_type") == "FUTURE" else [_COINBASE_PRODUCT]
        return web.json_response({"products": products, "num_products": len(products)})

    async def _candles(self, request: web.Request) -> web.Response:
        timeframe = _COINBASE_GRANULARITY[request.query["granularity"]]
        start, end = int(request.query["start"]) * 1000, int(request.query["end"]) * 1000
        if (end - start) // timeframe.milliseconds > 350:
            error = {"error": "INVALID_ARGUMENT", "message": "number of candles requested should be less than 350"}
            return web.json_response(error, status=400)
        page = resampled(self.visible(0, self.clock.now() + 1), timeframe).between(start, end + 1)
        rows = []
        for row in reversed(range(len(page))):
            bar = page.row(row)
            names = ("low", "high", "open", "close")
            prices = {name: f"{getattr(bar, name):.2f}" for name in names}
            rows.append({"start": str(bar.open_time // 1000), **prices, "volume": f"{bar.volume:.8f}"})
        return web.json_response({"candles": rows})


_COINBASE_GRANULARITY = {
    "ONE_MINUTE": Timeframe.M1,
    "FIVE_MINUTE": Timeframe.M5,
    "FIFTEEN_MINUTE": Timeframe.M15,
    "ONE_HOUR": Timeframe.H1,
    "ONE_DAY": Timeframe.D1,
}


def _binance_symbol(base: str, quote: str) -> dict[str, Any]:
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True, "avgPriceMins": 5},
        ],
    }


_KRAKEN_PAIR = {
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
_COINBASE_PRODUCT = {
    "product_id": "BTC-USD",
    "price": "67060",
    "base_increment": "0.00000001",
    "quote_increment": "0.01",
    "quote_min_size": "1",
    "quote_max_size": "150000000",
    "base_min_size": "0.00000001",
    "base_max_size": "3400",
    "base_name": "Bitcoin",
    "quote_name": "US Dollar",
    "is_disabled": False,
    "status": "online",
    "trading_disabled": False,
    "product_type": "SPOT",
    "quote_currency_id": "USD",
    "base_currency_id": "BTC",
    "alias": "",
    "alias_to": [],
    "price_increment": "0.01",
    "display_name": "BTC-USD",
}
