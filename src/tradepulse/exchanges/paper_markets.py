"""Paper trading on a real exchange: its markets, rules, candles and prices, without a key."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from tradepulse.domain.market import MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection, Sleep
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.order_intents import STOP_LIMIT_DEPTH, GatewayMarket, traded_markets
from tradepulse.exchanges.paper_exchange import PaperExchange, Prices, played_series
from tradepulse.exchanges.price_watch import PriceWatch
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.ports import VenueStore
from tradepulse.shared.errors import ConfigurationError

FEE_IN_COINS = frozenset({"binance", "binanceus", "okx", "bybit", "gate", "bitget", "bitfinex"})
"""Exchanges that keep the fee of a purchase from what was bought, as ccxt's ``feeSide: get`` says of most of them.

OKX and Bitget document it; ccxt says nothing of these two. Elsewhere the fee is taken in quote money.
"""
COARSER = (Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1)
_DEPTH_PPM = int(STOP_LIMIT_DEPTH * 1_000_000)


async def paper_exchange(
    connection: ExchangeConnection,
    series: Sequence[SeriesKey],
    balances: Mapping[str, Decimal],
    *,
    store: VenueStore | None = None,
    venue: str = "paper",
    sleep: Sleep = asyncio.sleep,
) -> PaperExchange:
    """On the candles and bids of a connected exchange; ``series``: what is told of each market."""
    if connection.kind is not MarketKind.SPOT:
        raise ConfigurationError(
            f"Paper trading on {connection.kind} markets of {connection.exchange} is not available.",
            "Trade spot, or the simulated exchange.",
        )
    # An account that does not exist cannot have passed a venue's probe.
    markets = await traded_markets(connection, {one.market for one in series}, probed=False)
    return PaperExchange(
        markets,
        {key: rules_of(market) for key, market in markets.items()},
        series,
        CcxtFeed(connection, sorted({*series, *map(played_series, series)}), sleep),
        connection,
        balances,
        prices=_prices(connection, markets, sleep),
        store=store,
        venue=venue,
        coarser=[one for one in COARSER if one in (connection.client.timeframes or {})],
    )


def rules_of(market: GatewayMarket) -> MarketRules:
    """How the exchange handles orders of this market, as far as it is established; the stricter reading otherwise."""
    venue = market.calls.venue
    return MarketRules(
        pairs=market.pairs,
        stops_lock=not venue.stop_beside_target.value,
        fee_in_base=market.spec.key.exchange in FEE_IN_COINS,
        stop_depth_ppm=0 if market.market_stops else _DEPTH_PPM,
        pair_depth_ppm=0 if market.pair_at_market else _DEPTH_PPM,
    )


def _prices(
    connection: ExchangeConnection, markets: Mapping[MarketKey, GatewayMarket], sleep: Sleep
) -> Callable[[Callable[[], None]], Prices]:
    return lambda told: PriceWatch(connection, markets, sleep, told)
