"""Paper wallets in a process of their own: two exchanges' real candles, one database, limits, and SIGKILL."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.live_trader.harness import LiveWallet, opened, prepared, ready, running_trader
from tests.live_trader.market import BEGIN, FrozenMarket
from tests.local_exchanges.running import local_exchange

from tradepulse.domain.wallets import WalletMode
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer

PAPER = WalletMode.PAPER
QUICK, SLOW = {"stop_share": 0.01, "reward_risk": 3.0}, {"stop_share": 0.02, "reward_risk": 4.0}
CASH = Decimal(10_000)
FACTS = (
    "exchange",
    "entry_time",
    "exit_time",
    "entry_price",
    "exit_price",
    "quantity",
    "exit_reason",
    "fees",
    "profit",
)
OPEN = ("entry_time", "lots", "entry_ticks", "stop_ticks", "target_ticks")


@dataclass
class Outcome:
    """What the two books say in the end. ``bought``: what the first entry of each cost, in quote money."""

    trades: list[list[Any]]
    held: list[list[Any]]
    differences: list[Decimal]
    bought: list[Decimal]


async def _traded(folder: Path, database_url: str, *, kill: bool) -> Outcome:
    """``quick`` trades every minute on Binance, ``slow`` every five on Kraken, so that it comes second."""
    names = [f"{name}-{folder.name}" for name in ("quick", "slow")]
    with (
        local_exchange("binance", seed=4, frozen_at=BEGIN, own_process=True) as binance,
        local_exchange("kraken", seed=5, frozen_at=BEGIN, own_process=True, counter_limit=1e6) as kraken,
    ):
        wallets = [
            LiveWallet(names[0], binance, mode=PAPER, terms=QUICK, limits={"max_symbol": 0.1}),
            LiveWallet(names[1], kraken, mode=PAPER, timeframe="5m", terms=SLOW),
        ]
        launch = await prepared(
            folder, wallets, totals={"max_exposure": 0.15}, clock="binance", database_url=database_url
        )
        markets = [FrozenMarket(binance), FrozenMarket(kraken)]

        async def minute(trader: Any, *prices: str) -> None:
            await asyncio.gather(markets[0].told(trader, *prices), markets[1].minute(*prices))

        with running_trader(launch, folder) as trader:
            await ready(trader, 2)
            for _ in range(6):
                await minute(trader, "50000", "50000")
            await markets[0].until(trader, lambda: len(trader.events("ProtectionPlaced")) == 2)
            opened_ones = [one["position"] for one in trader.events("PositionOpened")]
            bought = {position["series"]["exchange"]: position for position in opened_ones}
            if kill:
                trader.kill()
            else:
                await _last_minutes(trader, minute, markets)
        if kill:
            with running_trader(launch, folder) as trader:
                await ready(trader, 2)
                await _last_minutes(trader, minute, markets)
        async with opened(launch) as app:
            return Outcome(
                [_facts(await app.reader.trades(name, limit=9), FACTS) for name in names],
                [_facts(await app.reader.positions(name), OPEN) for name in names],
                [(await app.reader.ledger_check(name)).difference for name in names],
                [_cost(bought["binance"], "0.01", "0.00001"), _cost(bought["kraken"], "0.01", "0.00000001")],
            )


def _facts(rows: list[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]


async def _last_minutes(trader: Any, minute: Any, markets: list[FrozenMarket]) -> None:
    await minute(trader, "50000", "49300")
    await minute(trader, "49300", "49300")
    await markets[0].until(trader, lambda: bool(trader.events("PositionClosed")))
    assert trader.stop() == 0


def _cost(position: Any, tick: str, lot: str) -> Decimal:
    return Decimal(position["entry_units"]) * Decimal(tick) * Decimal(lot)


async def test_paper_wallets_when_killed_in_the_middle_then_the_same_trades_within_their_limits_and_that_of_all(
    tmp_path: Path, database_url: str, postgres_server: EmbeddedServer
) -> None:
    for name in ("once", "killed"):
        (tmp_path / name).mkdir()
    once = await _traded(tmp_path / "once", database_url, kill=False)
    assert once.differences == [0, 0]
    (stopped,) = once.trades[0]
    assert (stopped["exit_reason"], stopped["exchange"]) == ("stop", "binance")
    quick, slow = once.bought
    assert Decimal(900) < quick <= CASH / 10, "its own limit"
    assert Decimal(1_900) < slow <= 3 * CASH / 20 * 2 - quick, "what is left of that of all"
    assert len(once.held[1]) == 1
    # Of its own: stored candles of the first one would be the future.
    create_database(postgres_server.url("postgres"), "killed_paper")
    assert await _traded(tmp_path / "killed", postgres_server.url("killed_paper"), kill=True) == once
