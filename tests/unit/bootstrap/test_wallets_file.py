"""The wallets file at the wall: what is wrong is named by file, wallet, field, value, rule and remedy."""

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.bootstrap.wallets_file import LARGEST_FILE, load_wallets, parse_wallets
from tradepulse.domain.market import MarketKind, Timeframe
from tradepulse.domain.wallets import WalletMode
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import RiskSettings, Settings

FILE = Path("config/wallets.json")
EXAMPLE = Path(__file__).parents[3] / "config" / "wallets.example.json"
Change = Callable[[dict[str, Any]], object]


def one(name: str, **changes: Any) -> dict[str, Any]:
    trades = {"strategies": ["htf_sweep"], "symbols": ["BTC/USDT"], "timeframes": ["1h"]}
    plain = {"name": name, "exchange": "binance", "base_currency": "USDT", "book": name, "trades": [trades]}
    return {**plain, **changes}


def parsed(content: Any, risk: RiskSettings | None = None) -> Any:
    return parse_wallets(content if isinstance(content, str) else json.dumps(content), FILE, risk or RiskSettings())


def refusal(content: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parsed(content)
    return str(refused.value)


def test_example_when_parsed_then_it_is_valid_and_practises_only() -> None:
    wallets = parse_wallets(EXAMPLE.read_text(encoding="utf-8"), EXAMPLE, RiskSettings())
    assert [wallet.mode for wallet in wallets.wallets] == [WalletMode.PAPER, WalletMode.PAPER]
    assert (wallets.totals.total_ppm, wallets.totals.daily_loss_ppm) == (1_500_000, 40_000)


def test_wallet_when_parsed_then_everything_is_in_our_words() -> None:
    trades = {"strategies": ["htf_sweep"], "symbols": ["BTC/USDT", "ETH/USDT"], "timeframes": ["15m", "1h"]}
    limits = {"daily_loss": 0.02, "max_positions": 3}
    wallets = parsed(
        {"wallets": [one("a", mode="live", trades=[trades], limits=limits)]}, RiskSettings(cool_down_minutes=7)
    )
    (wallet,) = wallets.wallets
    assert wallets.named("a") is wallet
    assert (wallet.mode, wallet.kind, len(wallet.assignments)) == (WalletMode.LIVE, MarketKind.SPOT, 4)
    assert {(one.series.symbol, one.series.timeframe) for one in wallet.assignments} >= {("ETH/USDT", Timeframe.M15)}
    assert (wallet.limits.daily_loss_ppm, wallet.limits.positions) == (20_000, 3)
    assert wallet.limits.symbol_ppm == 500_000, "what it does not say is the account's"
    assert wallet.limits.cool_down_ms == 7 * 60_000


def first(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["wallets"][0]
    return found


def trade(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = first(content)["trades"][0]
    return found


def count_in_two_moneys(content: dict[str, Any]) -> None:
    in_euro = {"strategies": ["htf_sweep"], "symbols": ["BTC/EUR"], "timeframes": ["1h"]}
    content["totals"] = {"daily_loss": 0.1}
    content["wallets"].append(one("c", base_currency="EUR", trades=[in_euro]))


CASES: list[tuple[str, Change, tuple[str, ...]]] = [
    (
        "same name",
        lambda w: w["wallets"].append(one("a", book="c")),
        ("wallet #3 'a'", 'name="a"', "#1 'a' has the same name"),
    ),
    (
        "same book",
        lambda w: w["wallets"].append(one("c", book="a")),
        ("wallet #3 'c'", 'book="a"', "a book of its own"),
    ),
    (
        "unknown field",
        lambda w: w["wallets"][1].update(exchang="x"),
        ("wallet 'b'", "exchang:", "Did you mean 'exchange'?"),
    ),
    (
        "unknown field at the top",
        lambda w: w.update(wallet=[]),
        ("wallet:", "no such field", "Did you mean 'wallets'?"),
    ),
    ("unknown exchange", lambda w: first(w).update(exchange="binanse"), ("wallet 'a'", '"binanse"', "'binance'")),
    ("no such venue", lambda w: first(w).update(exchange="coinbase", market="swap"), ("wallet 'a'", "swap")),
    ("live and simulated", lambda w: first(w).update(exchange="simulated", mode="live"), ("no real money",)),
    ("live perpetuals", lambda w: first(w).update(market="swap", mode="live"), ("only spot", 'market="swap"')),
    ("unknown mode", lambda w: first(w).update(mode="real"), ("wallet 'a'", 'mode="real"', "'paper' or 'live'")),
    ("unknown strategy", lambda w: trade(w).update(strategies=["htf_swep"]), ("trades[0].strategies", "'htf_sweep'")),
    ("context timeframe", lambda w: trade(w).update(timeframes=["1w"]), ('timeframes="1w"', "context")),
    ("unknown timeframe", lambda w: trade(w).update(timeframes=["7m"]), ("trades[0].timeframes[0]", '"7m"')),
    ("no symbol", lambda w: trade(w).update(symbols=[]), ("wallet 'a'", "trades[0].symbols")),
    ("symbol without quote", lambda w: trade(w).update(symbols=["BTC"]), ('symbols="BTC"', "BTC/USDT")),
    ("symbol of a perpetual", lambda w: trade(w).update(symbols=["BTC/USDT:USDT"]), ("spot market",)),
    ("another money", lambda w: trade(w).update(symbols=["BTC/EUR"]), ("settled in the wallet's USDT",)),
    ("traded twice", lambda w: first(w)["trades"].append(trade(w)), ("traded twice", "binance:BTC/USDT:1h")),
    (
        "limit above its rule",
        lambda w: first(w).update(limits={"daily_loss": 2}),
        ("wallet 'a'", "limits.daily_loss=2", "less than or equal to 1"),
    ),
    ("unknown limit", lambda w: first(w).update(limits={"daily_los": 0.1}), ("limits.daily_los", "'daily_loss'")),
    (
        "limits that contradict",
        lambda w: first(w).update(limits={"drawdown_reduce": 0.3, "drawdown_halt": 0.2}),
        ("limits.drawdown_halt", "drawdown_reduce"),
    ),
    ("a limit of true", lambda w: first(w).update(limits={"daily_loss": True}), ("limits.daily_loss=true", "number")),
    (
        "negative total",
        lambda w: w.update(totals={"daily_loss": -1}),
        ("totals.daily_loss=-1", "greater than or equal to 0"),
    ),
    ("totals of two moneys", count_in_two_moneys, ("EUR and USDT",)),
    ("no wallet", lambda w: w.update(wallets=[]), ("wallets", "at least 1")),
    ("missing book", lambda w: w["wallets"][0].pop("book"), ("wallet 'a'", "book", "required")),
    ("name with a slash", lambda w: first(w).update(name="../a"), ('name="../a"',)),
    ("a wallet that is a word", lambda w: w.update(wallets=["a"]), ("wallet #1",)),
]


@pytest.mark.parametrize(("change", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_file_when_something_is_wrong_then_it_is_named(change: Change, says: tuple[str, ...]) -> None:
    content = {"wallets": [one("a"), one("b")]}
    parsed(content)
    broken = copy.deepcopy(content)
    change(broken)
    told = refusal(broken)
    for words in (str(FILE), *says):
        assert words in told, told


def test_file_when_several_things_are_wrong_then_all_are_told_at_once() -> None:
    told = refusal({"wallets": [one("a", mode="real"), one("b", market="moon")]})
    assert "wallet 'a'" in told
    assert "wallet 'b'" in told


@pytest.mark.parametrize(
    "field", ["apiKey", "api_key", "secret", "passphrase", "Password", "private_pem", "access_token"]
)
@pytest.mark.parametrize("depth", ["top", "wallet", "limits"])
def test_file_when_a_field_looks_like_a_secret_then_refused_and_its_value_is_not_told(field: str, depth: str) -> None:
    content: dict[str, Any] = {"wallets": [one("a", limits={})]}
    place = {"top": content, "wallet": content["wallets"][0], "limits": content["wallets"][0]["limits"]}[depth]
    place[field] = "s3cr3t-value-of-the-key"
    told = refusal(content)
    assert "never stand in this file" in told
    assert "tradepulse keys add --wallet" in told
    assert "s3cr3t" not in told


def test_file_when_a_secret_stands_in_an_unknown_field_then_its_value_is_not_told() -> None:
    assert "s3cr3t" not in refusal({"wallets": [one("a", hmac="s3cr3t-value")]})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ('{"wallets": 1, "wallets": 2}', "'wallets' stands twice"),
        ('{"wallets": [{"limits": {"daily_loss": NaN}}]}', "NaN is no number"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "should be a valid dictionary"),
        ("null", "should be a valid dictionary"),
    ],
)
def test_file_when_it_is_no_such_json_then_one_line_says_so(text: str, says: str) -> None:
    assert says in refusal(text)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_file_when_it_holds_anything_then_refused_in_our_words(content: object) -> None:
    refusal(json.dumps(content))
    refusal(json.dumps({"wallets": content}))
    refusal(json.dumps({"wallets": [content]}))


def test_file_when_absent_unreadable_or_huge_then_one_line_names_it(tmp_path: Path) -> None:
    def told(file: Path) -> str:
        with pytest.raises(ConfigurationError) as refused:
            load_wallets(Settings(wallets_file=file))
        return str(refused.value)

    assert "wallets.example.json" in told(tmp_path / "wallets.json")
    assert "cannot be read" in told(tmp_path)
    (tmp_path / "huge.json").write_bytes(b" " * (LARGEST_FILE + 1))
    assert "larger than" in told(tmp_path / "huge.json")
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe\xfa")
    assert "cannot be read" in told(tmp_path / "latin.json")


def test_limits_when_written_as_fractions_then_exact() -> None:
    wallets = parsed({"wallets": [one("a", limits={"max_total": 0.1})]})
    assert wallets.wallets[0].limits.total_ppm == int(Decimal("0.1") * 1_000_000)
