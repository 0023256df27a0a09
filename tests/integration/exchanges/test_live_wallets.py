"""Several live wallets in one process: each for itself, all of them under the totals, and none twice."""

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.live_trader.harness import LiveWallet, opened, prepared, ready, running_trader
from tests.live_trader.market import BEGIN, FrozenMarket
from tests.local_exchanges.running import local_exchange

TERMS = {"stop_share": 0.01, "reward_risk": 1.5}


async def test_wallets_when_traded_at_once_then_limits_are_their_own_and_of_all_and_one_that_fails_harms_none(
    tmp_path: Path, database_url: str
) -> None:
    with (
        local_exchange("binance", seed=4, frozen_at=BEGIN, own_process=True) as binance,
        local_exchange("okx", seed=5, frozen_at=BEGIN, own_process=True) as okx,
    ):
        wallets = [
            LiveWallet("one", binance, terms=TERMS),
            LiveWallet("two", okx, terms=TERMS, limits={"max_symbol": 0.1}),
            LiveWallet("keyless", binance, symbols=("ETH/USDT",), with_key=False),
        ]
        launch = await prepared(
            tmp_path, wallets, totals={"max_exposure": 0.15}, clock="binance", database_url=database_url
        )
        markets = [FrozenMarket(binance), FrozenMarket(okx)]
        with running_trader(launch, tmp_path) as trader:
            await ready(trader, 2)
            assert any("keyless" in text and "HALTED" in text for text in trader.states())
            for _ in range(2):
                await asyncio.gather(*(market.told(trader, "50000", "50000") for market in markets))
            await trader.until(lambda: len(trader.events("ProtectionPlaced")) == 2)
            (tmp_path / "second").mkdir()
            with running_trader(launch, tmp_path / "second") as second:
                await asyncio.to_thread(second.process.wait, 60)
                assert sum("trades the book" in text for text in second.states()) == 2
            assert trader.stop() == 0
        held = {name: one.balance("BTC") * 50_000 for name, one in (("one", binance), ("two", okx))}
        assert 0 < held["two"] <= 1_000
        assert Decimal(2_900) < held["one"] + held["two"] <= Decimal(3_000)
        async with opened(launch) as app:
            for name in held:
                assert (await app.reader.ledger_check(name)).difference == 0
