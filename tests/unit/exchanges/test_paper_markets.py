"""Which rules of an exchange the paper venue goes by."""

from dataclasses import replace
from decimal import Decimal

import ccxt
import pytest
from tests.local_exchanges.driven_paper import market_of
from tests.unit.exchanges.test_paper_exchange import SPEC

from tradepulse.domain.market import MarketKey, MarketKind
from tradepulse.exchanges.paper_markets import FEE_IN_COINS, rules_of
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.exchanges.venue_facts import StopType
from tradepulse.exchanges.venues import VENUES

SPOT = sorted(venue.exchange for venue in VENUES.values() if venue.kind is MarketKind.SPOT)
DEPTH = 50_000


@pytest.mark.parametrize("exchange", SPOT)
def test_fee_when_ccxt_says_on_which_side_it_is_taken_then_paper_takes_it_there(exchange: str) -> None:
    side = getattr(ccxt, exchange)().fees["trading"].get("feeSide")
    assert side in (None, "get")
    assert exchange in FEE_IN_COINS or side is None


@pytest.mark.parametrize(
    ("exchange", "pairs", "expected"),
    [
        ("binance", True, MarketRules(fee_in_base=True)),
        ("kraken", False, MarketRules(pairs=False)),
        ("bybit", False, MarketRules(pairs=False, stops_lock=False, fee_in_base=True)),
        ("gate", False, MarketRules(pairs=False, fee_in_base=True)),
        ("kucoin", True, MarketRules(pair_depth_ppm=DEPTH)),
        ("coinbase", False, MarketRules(pairs=False, stop_depth_ppm=DEPTH)),
    ],
)
def test_rules_when_made_of_the_venue_table_then_as_strict_as_what_is_established(
    exchange: str, pairs: bool, expected: MarketRules
) -> None:
    venue = VENUES[exchange, MarketKind.SPOT]
    spec = replace(SPEC, key=MarketKey(exchange, "BTC/USD"), lot_size=Decimal("0.001"))
    made = market_of(spec, pairs=pairs, market_stops=StopType.MARKET in venue.stop_types.value)
    found = rules_of(replace(made, pair_at_market=venue.pair_stop.value is StopType.MARKET))
    # Where there are no pairs, how deep their stops would be says nothing.
    assert found == replace(expected, pair_depth_ppm=found.pair_depth_ppm if not pairs else expected.pair_depth_ppm)
