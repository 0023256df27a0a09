"""Filters of known markets, inferred ones, and that no tick is coarser than its history."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.market import Candle, Candles, MarketKey, MarketKind
from tradepulse.exchanges.capabilities import fits, fitted, infer_spec, reference_spec, spec_for
from tradepulse.shared.errors import ConfigurationError

BTC = MarketKey("binance", "BTC/USDT")


def candles_of(prices: list[float]) -> Candles:
    return Candles.from_rows(
        [Candle(60_000 * row, price, price, price, price, 1.0) for row, price in enumerate(prices)]
    )


@given(st.integers(0, 8), st.lists(st.integers(1, 10**7), min_size=1, max_size=20))
def test_tick_when_prices_have_given_decimals_then_inferred_tick_is_the_coarsest_that_fits(
    decimals: int, wholes: list[int]
) -> None:
    prices = [float(Decimal(whole).scaleb(-decimals)) for whole in wholes]
    candles = candles_of(prices)
    tick = infer_spec(MarketKey("nowhere", "AAA/BBB"), candles).tick_size
    assert all(Decimal(str(price)) % tick == 0 for price in prices)
    assert tick == 1 or not fits(tick * 10, candles)


def test_spec_when_market_is_in_the_table_then_its_filters_and_fees() -> None:
    spec = spec_for(BTC, candles_of([64_000.01]))
    assert (spec.tick_size, spec.lot_size, spec.min_notional) == (Decimal("0.01"), Decimal("0.00001"), Decimal(5))
    assert (spec.maker_ppm, spec.taker_ppm, spec.source) == (1000, 1000, "reference table")
    assert reference_spec(MarketKey("binance", "NIX/USDT")) is None


def test_spec_when_history_is_finer_than_the_table_then_the_finer_tick() -> None:
    spec = spec_for(MarketKey("binance", "ADA/USDT"), candles_of([1.23456]))
    assert spec.tick_size == Decimal("0.00001")
    assert spec.source == "reference table, tick inferred from candles"
    assert fitted(spec, Candles.empty()) is spec


def test_spec_when_market_is_unknown_then_lot_by_price_and_careful_fees() -> None:
    dear = infer_spec(MarketKey("nowhere", "AAA/USD"), candles_of([64_000.5]))
    cheap = infer_spec(MarketKey("nowhere", "BBB/USD:USD"), candles_of([0.00002]))
    assert (dear.tick_size, dear.lot_size, dear.taker_ppm) == (Decimal("0.1"), Decimal("0.00001"), 2000)
    assert (cheap.lot_size, cheap.kind, cheap.funding_ppm) == (Decimal(10_000), MarketKind.SWAP, 100)
    assert dear.source == "inferred from candles"


def test_tick_when_prices_are_no_exchange_prices_then_refused() -> None:
    with pytest.raises(ConfigurationError, match="decimals"):
        infer_spec(MarketKey("nowhere", "AAA/USD"), candles_of([float(np.pi)]))
    with pytest.raises(ConfigurationError, match="no candles"):
        infer_spec(MarketKey("nowhere", "AAA/USD"), Candles.empty())
