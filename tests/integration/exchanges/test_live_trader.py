"""The whole live trader in a process of its own: real database, real ccxt, a local exchange, and SIGKILL."""

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.live_trader.harness import LiveWallet, opened, prepared, running_trader
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.domain.market import MINUTE

BEGIN = 1_767_225_600_000


async def minute(exchange: RunningExchange, number: int, *prices: str) -> None:
    """A minute of the market's life, and a moment more so that its candle is final."""
    for price in prices:
        exchange.price(price, depth="2")
        exchange.clock(advance=MINUTE // 5)
        await asyncio.sleep(0.05)
    exchange.clock(now=BEGIN + (number + 1) * MINUTE)
    exchange.clock(advance=3_500)
    await asyncio.sleep(0.2)


async def test_live_wallet_when_killed_with_a_position_then_it_goes_on_and_takes_its_target(
    tmp_path: Path, database_url: str
) -> None:
    with local_exchange("binance", seed=4, frozen_at=BEGIN, own_process=True) as exchange:
        wallet = LiveWallet("main", exchange, terms={"stop_share": 0.01, "reward_risk": 1.5})
        launch = await prepared(tmp_path, [wallet], clock="binance", database_url=database_url)
        with running_trader(launch, tmp_path) as trader:
            await trader.until(lambda: bool(trader.events("LedgerPosted")))
            for number in range(3):
                await minute(exchange, number, "50000", "50010", "49990", "50000")
            await trader.until(lambda: bool(trader.events("ProtectionPlaced")))
            trader.kill()
        stops = [order for order in exchange.orders(open_only=True) if order["stop"] is not None]
        held = exchange.balance("BTC")
        assert held > 0
        assert abs(sum(Decimal(order["remaining"]) for order in stops) - held) <= Decimal("0.00001")
        with running_trader(launch, tmp_path) as trader:
            await trader.until(lambda: bool(trader.states()))
            await minute(exchange, 3, "50000", "50900", "50900", "50000")
            await trader.until(lambda: bool(trader.events("PositionClosed")))
            assert trader.stop() == 0
        async with opened(launch) as app:
            (trade,) = await app.reader.trades("main", limit=5)
            check = await app.reader.ledger_check("main")
        assert trade["exit_reason"] == "target"
        assert check.difference == 0
        assert check.cash == exchange.balance("USDT")
