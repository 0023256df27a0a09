"""The one market that order calls are tried on, under the names that each exchange has for it."""

from decimal import Decimal

from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.exchanges.unified_calls import TradedMarket

SYMBOL = "BTC/USDT"
HOSTS = {
    "binance": "api.binance.com",
    "binanceus": "api.binance.us",
    "kraken": "api.kraken.com",
    "coinbase": "api.coinbase.com",
    "okx": "www.okx.com",
    "bybit": "api.bybit.com",
    "kucoin": "api.kucoin.com",
    "gate": "api.gateio.ws",
    "bitget": "api.bitget.com",
    "bitfinex": "api.bitfinex.com",
}
MARKET_IDS = {
    "binance": "BTCUSDT",
    "binanceus": "BTCUSDT",
    "kraken": "XBTUSDT",
    "coinbase": "BTC-USDT",
    "okx": "BTC-USDT",
    "bybit": "BTCUSDT",
    "kucoin": "BTC-USDT",
    "gate": "BTC_USDT",
    "bitget": "BTCUSDT",
    "bitfinex": "tBTCUST",
}
MARKET_INFO = {
    "ocoAllowed": True,
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT"],
}


def traded_market(exchange_id: str) -> TradedMarket:
    """The market as an exchange publishes it, in our words."""
    spec = MarketSpec(
        key=MarketKey(exchange_id, SYMBOL),
        base="BTC",
        quote="USDT",
        kind=MarketKind.SPOT,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.00001"),
        min_notional=Decimal(5),
        maker_ppm=1_000,
        taker_ppm=1_000,
        slippage_ppm=200,
    )
    return TradedMarket(spec, MARKET_IDS[exchange_id], MARKET_INFO)
