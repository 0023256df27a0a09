"""Market filters from ccxt's market structures, whose precision means three different things."""

from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tradepulse.domain.market import Candle, Candles, MarketKind
from tradepulse.exchanges.ccxt_candles import market_spec
from tradepulse.shared.errors import ConfigurationError


class Venue:
    """What ``market_spec`` reads of a ccxt exchange."""

    def __init__(self, exchange_id: str, mode: int) -> None:
        self.id = exchange_id
        self.precisionMode = mode


def candles_of(*prices: float) -> Candles:
    return Candles.from_rows(
        [Candle(60_000 * row, price, price, price, price, 1.0) for row, price in enumerate(prices)]
    )


def market(**changes: Any) -> dict[str, Any]:
    return {
        "symbol": "AAA/USD",
        "base": "AAA",
        "quote": "USD",
        "precision": {"price": 0.01, "amount": 0.001},
        "limits": {"cost": {"min": 5.0}, "amount": {"min": 0.1}},
        "maker": 0.0002,
        "taker": 0.00055,
    } | changes


def test_spec_when_precision_is_a_tick_then_taken_as_it_is_and_the_smallest_order_is_the_stricter_rule() -> None:
    spec = market_spec(Venue("nowhere", ccxt.TICK_SIZE), market(), candles_of(80.0, 100.01))
    assert (spec.tick_size, spec.lot_size, spec.kind) == (Decimal("0.01"), Decimal("0.001"), MarketKind.SPOT)
    assert (spec.maker_ppm, spec.taker_ppm, spec.source) == (200, 550, "exchange")
    assert spec.min_notional == Decimal("10.001")


def test_spec_when_precision_counts_digits_then_the_tick_follows_from_the_price() -> None:
    given = market(precision={"price": 5, "amount": 8}, limits={})
    assert market_spec(Venue("nowhere", ccxt.SIGNIFICANT_DIGITS), given, candles_of(64_001.0)).tick_size == 1
    assert market_spec(Venue("nowhere", ccxt.SIGNIFICANT_DIGITS), given, candles_of(0.51234)).tick_size == Decimal(
        "0.00001"
    )
    assert market_spec(Venue("nowhere", ccxt.DECIMAL_PLACES), given, candles_of(0.5)).lot_size == Decimal("1E-8")


def test_spec_when_history_is_finer_than_the_exchange_says_today_then_the_tick_of_the_history() -> None:
    spec = market_spec(Venue("nowhere", ccxt.TICK_SIZE), market(), candles_of(1.2345))
    assert spec.tick_size == Decimal("0.0001")
    assert "inferred" in spec.source


def test_spec_when_market_is_a_linear_swap_then_lots_are_in_the_base_and_inverse_is_refused() -> None:
    swap = market(symbol="AAA/USD:USD", swap=True, contractSize=10)
    spec = market_spec(Venue("nowhere", ccxt.TICK_SIZE), swap, candles_of(2.0))
    assert (spec.kind, spec.lot_size) == (MarketKind.SWAP, Decimal("0.010"))
    with pytest.raises(ConfigurationError, match="inverse"):
        market_spec(Venue("nowhere", ccxt.TICK_SIZE), swap | {"inverse": True}, candles_of(2.0))


def test_spec_when_the_exchange_tells_nothing_then_what_can_be_inferred() -> None:
    silent = market(precision={}, limits={}, maker=None, taker=None)
    spec = market_spec(Venue("nowhere", ccxt.TICK_SIZE), silent, candles_of(100.5))
    assert (spec.tick_size, spec.lot_size, spec.taker_ppm) == (Decimal("0.1"), Decimal("0.001"), 2000)
    assert spec.min_notional == 10
