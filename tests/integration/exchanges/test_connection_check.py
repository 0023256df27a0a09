"""The connection test of a wallet: every part of it can fail, and says why."""

from pathlib import Path
from typing import Any

import pytest
from tests.live_trader.harness import LiveWallet, opened, prepared
from tests.live_trader.launch import outside_of
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.bootstrap import Check, check_connection, keys_of


async def _checks(exchange: RunningExchange, folder: Path, database_url: str) -> dict[str, Check]:
    wallet = LiveWallet("main", exchange)
    launch = await prepared(folder, [wallet], database_url=database_url)
    async with opened(launch) as app:
        return {one.name: one for one in await _asked(app, wallet, launch)}


async def _asked(app: Any, wallet: LiveWallet, launch: Any) -> list[Check]:
    return await check_connection(app, wallet.as_wallet(), keys_of(app), outside_of(launch))


@pytest.mark.parametrize("wrong", ["", "clock", "balances", "market BTC/USDT"])
async def test_connection_when_one_thing_is_wrong_then_that_check_alone_fails(
    wrong: str, tmp_path: Path, database_url: str
) -> None:
    accounts = {"alice": {"BTC": "1"}} if wrong == "balances" else {"alice": {"USDT": "500"}}
    with local_exchange("binance", accounts=accounts) as exchange:
        if wrong == "clock":
            exchange.clock(skew=5_000)
        if wrong.startswith("market"):
            exchange.market_status("HALT")
        checks = await _checks(exchange, tmp_path, database_url)
    assert [name for name, check in checks.items() if not check.passed] == ([wrong] if wrong else [])
    assert set(checks) == {"key", "connection", "clock", "balances", "market BTC/USDT"}


async def test_connection_when_the_key_may_withdraw_now_then_the_key_fails(tmp_path: Path, database_url: str) -> None:
    with local_exchange("binance") as exchange:
        wallet = LiveWallet("main", exchange)
        launch = await prepared(tmp_path, [wallet], database_url=database_url)
        exchange.venue("permissions", account="alice", enableWithdrawals=True)
        async with opened(launch) as app:
            checks = await _asked(app, wallet, launch)
    assert [check.name for check in checks if not check.passed] == ["key"]
    assert "may withdraw" in checks[0].finding
