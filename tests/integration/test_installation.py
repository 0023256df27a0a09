"""The hall as the API sees it: on a real database, a real wallets file and a key folder."""

import json
from pathlib import Path

import pytest
from tests.integration.test_keys_in_use import WITHDRAWING, Exchange

from tradepulse.bootstrap import Installation, open_application
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import Settings

KEY = Credentials(api_key="the-key-of-main", secret="the-secret-of-main")
TRADES = [{"strategies": ["htf_sweep"], "symbols": ["BTC/USDT"], "timeframes": ["1h"]}]
WALLET = {
    "name": "main",
    "exchange": "kraken",
    "mode": "live",
    "base_currency": "USDT",
    "book": "main",
    "trades": TRADES,
}


def settings_in(folder: Path, database_url: str) -> Settings:
    return Settings.model_validate(
        {"database": {"url": database_url}, "data_directory": folder, "wallets_file": folder / "wallets.json"}
    )


async def test_connection_when_a_key_is_stored_checked_and_removed_then_rows_and_file_are_the_truth(
    database_url: str, tmp_path: Path
) -> None:
    exchange = Exchange()
    async with open_application(settings_in(tmp_path, database_url)) as app:
        hall = Installation(app, exchange)
        assert (await hall.wallets(), await hall.connections()) == ([], [])
        with pytest.raises(ConfigurationError, match="There is no"):
            await hall.add_key("main", KEY, consent_by=None)
        (tmp_path / "wallets.json").write_text(json.dumps({"wallets": [WALLET]}))
        (wallet,) = await hall.wallets()
        assert (wallet["name"], wallet["trades"][0]["timeframe"]) == ("main", "1h")
        (without,) = await hall.connections()
        assert (without["key"], without["mode"]) == (None, "live")

        stored = await hall.add_key("main", KEY, consent_by=None)
        (listed,) = await hall.connections()
        assert listed["key"]["last_four"] == stored["last_four"] == "main"
        assert listed["entries_refused"] is None
        assert "the-secret" not in json.dumps([stored, listed])

        exchange.answer = WITHDRAWING
        checked = await hall.check_key("main")
        assert checked["state"] == "refused"
        (alarmed,) = await hall.connections()
        assert "withdraw" in alarmed["entries_refused"]
        with pytest.raises(ConfigurationError, match="no wallet 'other'"):
            await hall.check_key("other")

        (tmp_path / "wallets.json").unlink()
        (orphan,) = await hall.connections()
        assert (orphan["wallet"], orphan["mode"], orphan["exchange"]) == ("main", None, "kraken")
        assert await hall.remove_key("main")
        assert not await hall.remove_key("main")
        assert await hall.connections() == []


async def test_key_when_none_is_stored_then_checking_it_is_refused(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "wallets.json").write_text(json.dumps({"wallets": [WALLET]}))
    async with open_application(settings_in(tmp_path, database_url)) as app:
        with pytest.raises(RefusedError, match="no stored key"):
            await Installation(app, Exchange()).check_key("main")


async def test_facts_when_asked_for_then_every_exchange_and_no_secret(database_url: str, tmp_path: Path) -> None:
    settings = settings_in(tmp_path, database_url)
    async with open_application(settings) as app:
        hall = Installation(app)
        exchanges = {(line["exchange"], line["market"]): line for line in hall.exchanges()}
        assert exchanges["binance", "spot"]["protection"] == "native"
        assert exchanges["kraken", "spot"]["protection"] == "emulated"
        values = {line["name"]: line["value"] for line in hall.configuration()}
        assert database_url not in str(values)
        assert values["data_directory"] == str(tmp_path)
