"""Wallets and keys from the command line: what a person types, what they see, and what never shows."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.canary import Canaries

from tradepulse.bootstrap import exchange_keys as key_service
from tradepulse.cli.main import run
from tradepulse.domain.market import MarketKind
from tradepulse.domain.wallets import KeyAnswer, KeyPermissions
from tradepulse.shared.secrets import Credentials

GOOD = KeyPermissions(trade=True, read=True, withdraw=False, ip_restricted=True)
TRADES = {"strategies": ["htf_sweep"], "symbols": ["BTC/USDT"], "timeframes": ["1h"]}
Pipe = Callable[[str], None]
PASSPHRASE, OTHER = "four random words here", "four other words there"


@pytest.fixture(autouse=True)
def place(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.setenv("TRADEPULSE__WALLETS_FILE", str(tmp_path / "wallets.json"))
    plain = {"exchange": "binance", "base_currency": "USDT", "trades": [TRADES]}
    wallets = [
        {"name": "main", "book": "main", "mode": "live", **plain},
        # It documents no question about keys, so that nothing goes out to it.
        {"name": "second", "book": "second", **plain, "exchange": "binanceus"},
        {"name": "play", "book": "play", **plain, "exchange": "simulated"},
    ]
    (tmp_path / "wallets.json").write_text(json.dumps({"wallets": wallets}), encoding="utf-8")
    return tmp_path


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def exchange_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyAnswer], None]:
    """The exchange's answer; the questions themselves are tested where ccxt asks them."""

    def say(answer: KeyAnswer) -> None:
        async def ask(exchange: str, kind: MarketKind, credentials: Credentials) -> KeyAnswer:
            return answer

        for command in (key_service.add_key, key_service.recheck_keys):
            assert command.__kwdefaults__ is not None
            monkeypatch.setitem(command.__kwdefaults__, "ask", ask)

    say(KeyAnswer(GOOD))
    return say


def key_text(canaries: Canaries) -> str:
    key, secret, password = canaries.credentials.texts()
    return json.dumps({"api_key": key, "secret": secret, "password": password})


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("exchange_says")
def test_key_when_added_listed_checked_rotated_and_removed_then_nothing_of_it_is_ever_seen(
    pipe: Pipe, capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    canaries = Canaries.released()
    last_four = canaries.credentials.last_four
    with canaries.watched() as seen:
        for command, text in (
            ("wallets list", ""),
            ("keys add --wallet main", key_text(canaries)),
            ("keys list", ""),
            ("keys check", ""),
            ("wallets check", ""),
            ("keys rotate", ""),
            ("keys list --json", ""),
        ):
            pipe(text)
            assert run(command.split()) == 0, command
            said = capsys.readouterr()
            seen.add(command, said.out, said.err)
        with psycopg.connect(database_url) as connection:
            found = connection.execute("select row_to_json(one)::text from exchange_keys as one")
            seen.add("the table", found.fetchall())
    (listed,) = json.loads(said.out)
    assert (listed["last_four"], listed["state"], listed["may_withdraw"]) == (last_four, "verified", False)
    assert run(["keys", "remove", "--wallet", "main"]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--json"]) == 0
    assert shown(capsys) == []


@pytest.mark.usefixtures("exchange_says")
@pytest.mark.parametrize("text", ["the-key-id-0001\nthe-secret-0001\n", "the-key-id-0001\r\nthe-secret-0001\r\n\r\n"])
def test_key_when_given_by_lines_then_stored(text: str, pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    pipe(text)
    assert run(["keys", "add", "--wallet", "main", "--json"]) == 0
    assert shown(capsys)["last_four"] == "0001"


def one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert said[0].startswith("error: ")
    return said[0]


@pytest.mark.usefixtures("exchange_says")
@pytest.mark.parametrize(
    ("command", "text", "code", "says"),
    [
        ("keys add --wallet nobody", "a-key-id-1\na-secret-1", 2, ("no wallet 'nobody'", "main, second, play")),
        ("keys add --wallet play", "a-key-id-1\na-secret-1", 4, ("simulated", "needs no key")),
        ("keys add --wallet main", "", 2, ("api_key, secret is missing",)),
        ("keys add --wallet main", "only-a-key-id", 2, ("secret is missing",)),
        ("keys add --wallet main", '{"api_key": "canary-in-broken-json', 2, ("begins like JSON",)),
        ("keys add --wallet main", '{"api_key": "a", "secret": "b", "extra-canary": "c"}', 2, ("not expected",)),
        ("keys add --wallet main", "short\na-secret-1", 2, ("fewer than 8",)),
        ("keys add", "", 2, ("--wallet",)),
        ("keys add --wallet main a-key-id-canary", "", 2, ("See: tradepulse keys --help",)),
        ("keys add --wallet main --protect moon", "", 2, ("moon",)),
        ("keys remove --wallet main", "", 2, ("no stored key",)),
        ("keys rotate", "", 4, ("no exchange key to rotate",)),
        ("wallets check", "", 2, ("would enter nothing live: main",)),
        ("keys add --wallet main --protect passphrase", "a-key-id-1\na-secret-1", 2, ("nobody is there",)),
    ],
)  # fmt: skip
def test_command_when_the_input_is_wrong_then_one_line_says_what_and_how_to_mend_it(
    command: str, text: str, code: int, says: tuple[str, ...], pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(text)
    assert run(command.split()) == code
    line = one_error_line(capsys)
    for words in says:
        assert words in line
    assert "canary-in-broken" not in line


def test_wallets_when_the_file_holds_a_secret_then_refused_before_anything_else(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "wallets.json").write_text('{"wallets": [{"apiKey": "an-open-secret"}]}', encoding="utf-8")
    assert run(["wallets", "list"]) == 2
    line = one_error_line(capsys)
    assert "never stand in this file" in line
    assert "an-open-secret" not in line


def test_key_when_it_may_withdraw_then_refused_and_not_stored(
    exchange_says: Callable[[KeyAnswer], None], pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange_says(KeyAnswer(replace(GOOD, withdraw=True)))
    pipe(key_text(Canaries.released()))
    assert run(["keys", "add", "--wallet", "main"]) == 4
    assert "it may withdraw" in one_error_line(capsys)
    assert run(["keys", "list", "--json"]) == 0
    assert shown(capsys) == []


def test_key_when_it_became_withdrawing_then_the_wallet_would_enter_nothing(
    exchange_says: Callable[[KeyAnswer], None], pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(key_text(Canaries.released()))
    assert run(["keys", "add", "--wallet", "main"]) == 0
    exchange_says(KeyAnswer(replace(GOOD, withdraw=True)))
    assert run(["keys", "check"]) == 0
    capsys.readouterr()
    assert run(["wallets", "check", "--json"]) == 2
    assert "it may withdraw" in str(shown(capsys)[0]["finding"])


@pytest.mark.usefixtures("exchange_says")
def test_passphrase_when_rotated_then_the_new_one_opens_and_the_old_one_does_not(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADEPULSE__KEYS__PASSPHRASE", PASSPHRASE)
    pipe(key_text(Canaries.released()))
    assert run(["keys", "add", "--wallet", "main", "--protect", "passphrase"]) == 0
    pipe(f"{OTHER}\n")
    assert run(["keys", "rotate", "--to", "passphrase"]) == 0
    capsys.readouterr()
    assert run(["keys", "check"]) == 2
    assert "not the passphrase" in one_error_line(capsys)
    monkeypatch.setenv("TRADEPULSE__KEYS__PASSPHRASE", OTHER)
    assert run(["keys", "check"]) == 0
    pipe("too short\n")
    assert run(["keys", "rotate", "--to", "passphrase"]) == 2


def test_show_config_when_a_passphrase_is_set_then_it_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for passphrase in (PASSPHRASE, "words://with-a-host/and-more"):
        monkeypatch.setenv("TRADEPULSE__KEYS__PASSPHRASE", passphrase)
        assert run(["show-config", "--json"]) == 0
        assert passphrase not in capsys.readouterr().out


def test_key_when_asked_for_on_a_terminal_then_nothing_is_echoed(place: Path) -> None:
    script = """
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.executable, [sys.executable, "-m", "tradepulse", "keys", "add", "--wallet", "second"])
answers, said = [b"canary-key-0001\\n", b"canary-secret-0001\\n", b"\\n"], b""
while True:
    try:
        got = os.read(terminal, 4096)
    except OSError:
        break
    if not got:
        break
    said += got
    if answers and said.rstrip().endswith(b":"):
        os.write(terminal, answers.pop(0))
        said += b"|"
sys.stdout.write(said.decode(errors="replace"))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert "API key" in answer.stdout, answer.stdout + answer.stderr
    assert "Secret" in answer.stdout
    assert "0001 of wallet 'second' is stored" in answer.stdout
    assert "canary" not in answer.stdout
