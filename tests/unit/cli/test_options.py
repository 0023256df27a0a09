"""How the texts of the command line are read."""

import pytest

from tradepulse.cli.options import moment, overrides_of, span, symbol_of
from tradepulse.shared.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31", 1_738_281_600_000),
        ("20250131", 1_738_281_600_000),
        ("2025-01-31T12:00", 1_738_324_800_000),
        ("2025-01-31T12:00+02:00", 1_738_317_600_000),
        ("1738281600000", 1_738_281_600_000),
    ],
)
def test_moment_when_written_in_a_known_way_then_utc_milliseconds(text: str, expected: int) -> None:
    assert moment(text, "--since") == expected


def test_span_when_the_ends_are_swapped_then_refused() -> None:
    assert span(None, "2025-01-01") == (None, 1_735_689_600_000)
    with pytest.raises(ConfigurationError, match="is not before"):
        span("2025-01-02", "2025-01-01")


def test_symbol_when_written_with_a_dash_or_in_lower_case_then_the_unified_one() -> None:
    assert symbol_of("btc-usdt") == symbol_of("BTC/USDT") == "BTC/USDT"
    assert symbol_of("BTC/USDT:USDT") == "BTC/USDT:USDT"


def test_overrides_when_given_then_numbers_stay_numbers_and_words_words() -> None:
    texts = ["swing_lookback=20", "reward_risk=2.5", "target_mode=ema"]
    assert overrides_of(texts) == {"swing_lookback": 20, "reward_risk": 2.5, "target_mode": "ema"}
