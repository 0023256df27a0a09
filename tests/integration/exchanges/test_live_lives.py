"""Whole trades of the live trader on every kind of exchange: a target, a stop, and a gap through the stop."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.live_trader.harness import LiveWallet, RunningTrader, opened, prepared, ready, running_trader
from tests.live_trader.market import BEGIN, FrozenMarket
from tests.local_exchanges.running import RunningExchange, local_exchange

PRINTED = Decimal("0.001")
"""Kraken prints fees with fewer digits than it books."""
MARKETS: dict[str, dict[str, str | None]] = {"BTC/USDT": {"largest_market_quantity": "1000000"}}
MOST_DUST = Decimal("0.0005")
ENDS = [("50900", "target"), ("49400", "stop"), ("47500", "stop")]


@pytest.mark.parametrize("exchange_id", ["okx", "coinbase", "kraken"])
async def test_live_wallet_when_prices_reach_target_stop_and_beyond_it_then_books_agree_and_nothing_rests(
    exchange_id: str, tmp_path: Path, database_url: str
) -> None:
    options: dict[str, Any] = {"counter_limit": 1e6} if exchange_id == "kraken" else {}
    accounts = {"alice": {"USDT": "10000"}}
    with local_exchange(
        exchange_id, seed=4, frozen_at=BEGIN, markets=MARKETS, accounts=accounts, own_process=True, **options
    ) as exchange:
        market = FrozenMarket(exchange)
        wallet = LiveWallet("main", exchange, terms={"stop_share": 0.01, "reward_risk": 1.5})
        launch = await prepared(tmp_path, [wallet], clock=exchange_id, database_url=database_url)
        with running_trader(launch, tmp_path) as trader:
            await ready(trader)
            for number, (price, _) in enumerate(ENDS):
                await _one_life(trader, exchange, market, number, price)
            assert trader.stop() == 0
        assert exchange.orders(open_only=True) == []
        cash = exchange.balance("USDT")
        async with opened(launch) as app:
            trades = await app.reader.trades("main", limit=5)
            check = await app.reader.ledger_check("main")
    assert [trade["exit_reason"] for trade in reversed(trades)] == [reason for _, reason in ENDS]
    assert Decimal(trades[0]["exit_price"]) < 48_000
    assert check.difference == 0
    assert abs(check.cash - cash) <= PRINTED


async def _one_life(
    trader: RunningTrader, exchange: RunningExchange, market: FrozenMarket, number: int, price: str
) -> None:
    """Entered in pieces, of which the book gives less than was asked for; protected; and left at the price."""
    fills = len(trader.events("OrderFilled"))
    await market.told(trader, "50000", depth="0.04", largest_trade="0.015")
    await market.until(trader, lambda: _is_protected(exchange))
    assert len(trader.events("PositionOpened")) == number + 1
    assert len(trader.events("OrderFilled")) - fills >= 2
    exchange.price(price, depth="2", largest_trade="0.015")
    await market.until(trader, lambda: len(trader.events("PositionClosed")) == number + 1)


def _is_protected(exchange: RunningExchange) -> bool:
    stops = [one for one in exchange.orders(open_only=True) if one["stop"] is not None]
    held = exchange.balance("BTC")
    return held > MOST_DUST and abs(sum(Decimal(one["remaining"]) for one in stops) - held) <= MOST_DUST
