"""What is refused before a backtest begins, and which filters it uses."""

from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import market_spec, refuse_unreckonable
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketSpec
from tradepulse.exchanges.capabilities import infer_spec
from tradepulse.shared.errors import ConfigurationError

MARKET = MarketKey("nowhere", "ABC/USD")
CANDLES = Candles.from_rows([Candle(60_000 * row, 64_000.5, 64_001.0, 64_000.25, 64_000.5, 1.0) for row in range(3)])


@dataclass
class _Markets:
    stored: MarketSpec | None

    async def read_market(self, key: MarketKey) -> MarketSpec | None:
        return self.stored


def _app(stored: MarketSpec | None) -> Application:
    return cast("Application", cast("Any", SimpleNamespace(candles=_Markets(stored))))


async def test_market_spec_when_the_stored_tick_is_coarser_than_old_prices_then_the_finer_tick_is_used() -> None:
    stored = replace(infer_spec(MARKET, CANDLES), tick_size=Decimal("0.1"), taker_ppm=750, source="exchange")
    spec = await market_spec(_app(stored), MARKET, CANDLES)
    assert spec.tick_size == Decimal("0.01")
    assert spec.taker_ppm == 750
    assert spec.source == "exchange, tick inferred from candles"


async def test_market_spec_when_the_stored_tick_fits_then_it_is_used_as_it_is() -> None:
    stored = infer_spec(MARKET, CANDLES)
    assert await market_spec(_app(stored), MARKET, CANDLES) is stored


def test_backtest_when_cash_or_ticks_exceed_64_bits_then_refused_with_a_remedy() -> None:
    spec = replace(infer_spec(MARKET, CANDLES), lot_size=Decimal("0.00000001"))
    refuse_unreckonable(spec, CANDLES, Decimal(1_000_000))
    with pytest.raises(ConfigurationError, match=r"Set trading\.initial_cash to at most"):
        refuse_unreckonable(spec, CANDLES, Decimal(1_000_000_000))
    with pytest.raises(ConfigurationError, match="ticks of 1E-10"):
        refuse_unreckonable(replace(spec, tick_size=Decimal("0.0000000001")), CANDLES, Decimal(100))
