import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.api.deps import parse_symbol
from tradepulse.api.models import EquityPoint
from tradepulse.api.security import allowed_hosts, same_origin
from tradepulse.kernels.metrics import Z_95_ONE_SIDED, wilson_lower_bound
from tradepulse.shared.errors import ConfigurationError


@given(st.integers(1, 5000), st.data())
def test_wilson_bound_solves_its_defining_equation(trades: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(1, trades))
    bound = wilson_lower_bound(wins, trades)
    assert 0 <= bound < wins / trades
    assert (wins / trades - bound) / math.sqrt(bound * (1 - bound) / trades) == pytest.approx(Z_95_ONE_SIDED)


def test_wilson_bound_when_nothing_was_won_is_zero() -> None:
    assert wilson_lower_bound(0, 10) == 0


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_money_is_a_plain_decimal_that_loses_nothing(value: object) -> None:
    text = EquityPoint.model_validate({"time": 0, "cash": value, "equity": "1E+3"})
    assert (type(value)(text.cash), text.equity) == (value, "1000")
    assert "E" not in text.cash


@pytest.mark.parametrize("value", ["nan", "inf", "a", None, float("nan")])
def test_money_when_not_a_finite_decimal_then_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"decimal|finite"):
        EquityPoint.model_validate({"time": 0, "cash": value, "equity": "1"})


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BTC/USDT", "BTC/USDT"),
        ("BTC-USDT", "BTC/USDT"),
        ("btc%2Fusdt", "BTC/USDT"),
        ("BTC-USDT:USDT", "BTC/USDT:USDT"),
    ],
)
def test_symbol_when_written_in_any_of_its_ways_then_unified(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol


@pytest.mark.parametrize("text", ["", "BTC", "/USDT", "BTC/"])
def test_symbol_when_not_one_then_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="BTC-USDT"):
        parse_symbol(text)


def test_origin_is_ours_only_with_the_very_host_and_port() -> None:
    assert same_origin(None, "127.0.0.1:8000")
    assert same_origin("http://127.0.0.1:8000", "127.0.0.1:8000")
    assert not same_origin("http://127.0.0.1:9000", "127.0.0.1:8000")
    assert not same_origin("http://evil.example", "127.0.0.1:8000")
    assert not same_origin("null", "127.0.0.1:8000")
    assert not same_origin("http://127.0.0.1:8000", None)


def test_hosts_never_widen_to_any_name() -> None:
    assert "*" not in allowed_hosts("0.0.0.0")  # noqa: S104 - asked about, not bound
    assert "10.0.0.5" in allowed_hosts("10.0.0.5")
