"""The whole live trader in a process of its own: real database, real ccxt, a local exchange, and SIGKILL."""

from decimal import Decimal
from pathlib import Path

from tests.live_trader.harness import LiveWallet, RunningTrader, opened, prepared, ready, running_trader
from tests.live_trader.market import BEGIN, FrozenMarket
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

PRINTED = Decimal("0.001")
"""Kraken prints fees with fewer digits than it books."""
ACCOUNTS = {"alice": {"USDT": "10000"}}
MARKETS: dict[str, dict[str, str | None]] = {"BTC/USDT": {"largest_market_quantity": "1000000"}}
DUST = Decimal("0.00002")
SETTINGS = {"stop_share": 0.01, "reward_risk": 1.5}


def stopped_amount(exchange: RunningExchange) -> Decimal:
    return sum(
        (Decimal(order["remaining"]) for order in exchange.orders(open_only=True) if order["stop"] is not None),
        Decimal(0),
    )


async def test_live_wallet_when_killed_with_a_position_then_it_goes_on_and_takes_its_target(
    tmp_path: Path, database_url: str
) -> None:
    with local_exchange("binance", seed=4, frozen_at=BEGIN, own_process=True) as exchange:
        market = FrozenMarket(exchange)
        launch = await prepared(
            tmp_path, [LiveWallet("main", exchange, terms=SETTINGS)], clock="binance", database_url=database_url
        )
        with running_trader(launch, tmp_path) as trader:
            await ready(trader)
            await market.told(trader, "50000", "50010", "49990", "50000")
            await trader.until(lambda: bool(trader.events("ProtectionPlaced")))
            trader.kill()
        held = exchange.balance("BTC")
        assert held > 0
        assert abs(stopped_amount(exchange) - held) <= DUST
        with running_trader(launch, tmp_path) as trader:
            await ready(trader)
            # Within a minute: its end would be the next entry.
            exchange.price("50900", depth="2")
            await market.until(trader, lambda: bool(trader.events("PositionClosed")))
            assert trader.stop() == 0
        async with opened(launch) as app:
            (trade,) = await app.reader.trades("main", limit=5)
            check = await app.reader.ledger_check("main")
        assert trade["exit_reason"] == "target"
        assert check.difference == 0
        assert check.cash == exchange.balance("USDT")


async def test_live_wallet_when_the_database_is_away_then_entries_stop_nothing_is_lost_and_it_catches_up(
    tmp_path: Path,
) -> None:
    server = EmbeddedServer(tmp_path / "postgres", durable=False)
    server.start()
    try:
        create_database(server.url("postgres"), "live")
        sync_schema(server.url("live"))
        # Kraken has no pairs: the target is sold by us, with orders that are written down while the database is away.
        with local_exchange(
            "kraken", seed=4, frozen_at=BEGIN, own_process=True, counter_limit=1e6, accounts=ACCOUNTS, markets=MARKETS
        ) as exchange:
            market = FrozenMarket(exchange)
            launch = await prepared(
                tmp_path,
                [LiveWallet("main", exchange, terms=SETTINGS)],
                clock="kraken",
                database_url=server.url("live"),
            )
            steps = tmp_path / "data" / "steps" / "main.jsonl"
            with running_trader(launch, tmp_path) as trader:
                await ready(trader)
                await market.told(trader, "50000", "50000")
                await trader.until(lambda: bool(trader.events("ProtectionPlaced")))
                server._halt()
                await _target_while_away(trader, exchange, market)
                assert steps.exists()
                server._launch()
                await trader.until(lambda: _back(trader) == 1)
                assert not steps.exists()
                await market.told(trader, "50000", "50000")
                await trader.until(lambda: len(trader.events("ProtectionPlaced")) == 2)
                server._halt()
                await _target_while_away(trader, exchange, market)
                trader.kill()
            assert steps.exists()
            server._launch()
            with running_trader(launch, tmp_path) as trader:
                await ready(trader)
                assert not steps.exists()
                assert trader.stop() == 0
            async with opened(launch) as app:
                trades = await app.reader.trades("main", limit=5)
                check = await app.reader.ledger_check("main")
            assert [trade["exit_reason"] for trade in trades] == ["target", "target"]
            assert check.difference == 0
            assert abs(check.cash - exchange.balance("USDT")) <= PRINTED
            assert stopped_amount(exchange) == 0
    finally:
        server.stop()


async def _target_while_away(trader: RunningTrader, exchange: RunningExchange, market: FrozenMarket) -> None:
    """The target fills, and more candles come that would be entered on otherwise."""
    closed, away = len(trader.events("PositionClosed")), _away(trader)
    exchange.price("50900", depth="2")
    await market.until(trader, lambda: len(trader.events("PositionClosed")) == closed + 1 and _away(trader) == away + 1)
    before = len(exchange.orders())
    for _ in range(2):
        await market.told(trader, "50000", "50000")
    assert {event["verdict"] for event in trader.events("SetupEvaluated")[-2:]} == {
        "something that entries need is not ready"
    }
    assert len(exchange.orders()) == before


def _away(trader: RunningTrader) -> int:
    return sum(event["cause"] == "database unavailable" for event in trader.events("NotReady"))


def _back(trader: RunningTrader) -> int:
    return sum(event["cause"] == "database unavailable" for event in trader.events("Ready"))
