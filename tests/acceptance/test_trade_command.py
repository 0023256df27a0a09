"""What has to be true before real money is traded, from the command line."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tradepulse.cli.main import run

TRADES = {"strategies": ["htf_sweep"], "symbols": ["BTC/USDT"], "timeframes": ["1h"]}
LIVE = ["trade", "--mode", "live", "--wallet", "main"]
Errors = Callable[[], str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TRADING_MODE", "live")
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.setenv("TRADEPULSE__WALLETS_FILE", str(tmp_path / "wallets.json"))
    plain = {"exchange": "kraken", "base_currency": "USDT", "trades": [TRADES]}
    wallets = [
        {"name": "main", "book": "main", "mode": "live", **plain},
        {"name": "study", "book": "study", **plain},
        {"name": "play", "book": "play", **plain, "exchange": "simulated"},
    ]
    (tmp_path / "wallets.json").write_text(json.dumps({"wallets": wallets}), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))


@pytest.fixture
def errors(capsys: pytest.CaptureFixture[str]) -> Errors:
    """The last words, as a person reads them."""
    return lambda: " ".join(capsys.readouterr().err.split())


def test_trade_when_the_settings_say_paper_then_real_money_is_refused(
    monkeypatch: pytest.MonkeyPatch, errors: Errors
) -> None:
    monkeypatch.setenv("TRADING_MODE", "paper")
    assert run([*LIVE, "--yes-trade-live", "main"]) == 2
    assert "Set TRADING_MODE=live" in errors()


def test_trade_when_nobody_is_there_to_confirm_then_refused_without_a_question(errors: Errors) -> None:
    assert run(LIVE) == 4
    assert "Add --yes-trade-live main." in errors()


def test_trade_when_another_wallet_is_confirmed_then_refused(errors: Errors) -> None:
    assert run([*LIVE, "--yes-trade-live", "study"]) == 4
    assert "Nobody has confirmed that main trades with real money" in errors()


def test_trade_when_the_phrase_is_another_then_nothing_is_traded(
    monkeypatch: pytest.MonkeyPatch, errors: Errors
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert run(LIVE) == 4
    assert "nothing is traded" in errors()


@pytest.mark.parametrize("confirmed", ["by an option", "by the phrase"])
def test_trade_when_confirmed_without_a_key_then_halted_with_the_remedy(
    confirmed: str, monkeypatch: pytest.MonkeyPatch, errors: Errors
) -> None:
    if confirmed == "by the phrase":
        monkeypatch.setattr(sys, "stdin", Terminal("trade main with real money\n"))
    assert run(LIVE if confirmed == "by the phrase" else [*LIVE, "--yes-trade-live", "main"]) == 2
    assert "tradepulse keys add --wallet main" in errors()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trade", "--mode", "live", "--wallet", "mian"], "There is no wallet 'mian'."),
        (["trade", "--mode", "live", "--wallet", "study"], "The wallet 'study' trades paper."),
        (["trade", "--mode", "paper", "--wallet", "study"], "trades on paper on kraken"),
    ],
)
def test_trade_when_the_wallet_is_the_wrong_one_then_named_with_those_that_are_there(
    arguments: list[str], says: str, errors: Errors
) -> None:
    assert run(arguments) == 2
    assert says in errors()


def test_connection_test_when_there_is_no_key_then_failed_with_what_was_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["wallets", "test", "--wallet", "main", "--json"]) == 4
    told = capsys.readouterr()
    (check,) = json.loads(told.out)
    assert (check["name"], check["passed"]) == ("key", False)
    assert "cannot be traded: key" in " ".join(told.err.split())
