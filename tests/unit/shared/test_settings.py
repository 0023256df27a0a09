"""Settings: where they come from, which one wins, and what a person is told when one is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import PLAIN_NAMES, load_settings, settings_table


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in PLAIN_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    return tmp_path


def test_settings_when_nothing_is_set_then_paper_trading_on_the_simulated_exchange() -> None:
    settings = load_settings()
    assert (settings.trading.mode, settings.exchange, settings.api.port) == ("paper", "simulated", 8000)
    assert settings.database.url is None
    assert settings.data_directory.is_absolute()


def test_settings_when_set_in_three_places_then_environment_wins_over_dotenv_over_toml(
    empty_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_surroundings / "tradepulse.toml").write_text("[api]\nport = 1001\nhost = '0.0.0.0'\n[simulated]\nseed = 1\n")
    (empty_surroundings / "config/.env").write_text("TRADEPULSE__API__PORT=1002\nTRADEPULSE__SIMULATED__SEED=2\n")
    monkeypatch.setenv("TRADEPULSE__API__PORT", "1003")
    settings = load_settings()
    assert (settings.api.port, settings.simulated.seed, settings.api.host) == (1003, 2, "0.0.0.0")  # noqa: S104


def test_settings_when_plain_names_are_used_then_they_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_PER_TRADE", "0.02")
    monkeypatch.setenv("EXCHANGE", "replay")
    monkeypatch.setenv("LOG_LEVEL", "warning")
    settings = load_settings()
    assert settings.trading.risk_per_trade == Decimal("0.02")
    assert (settings.exchange, settings.logging.level) == ("replay", "WARNING")


def test_settings_when_a_list_is_given_in_one_line_then_it_is_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEPULSE__SIMULATED__SYMBOLS", "BTC/USDT, ETH/USDT")
    assert load_settings().simulated.symbols == ("BTC/USDT", "ETH/USDT")


def test_database_url_when_given_in_parts_then_composed_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "db.example")
    monkeypatch.setenv("DB_USER", "trader")
    monkeypatch.setenv("DB_PASSWORD", "a:b@c/d")
    url = load_settings().database.url
    assert url is not None
    assert url.get_secret_value() == "postgresql://trader:a%3Ab%40c%2Fd@db.example:5432/tradepulse"


def test_database_url_when_url_and_parts_are_given_then_the_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "other")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@here/db")
    url = load_settings().database.url
    assert url is not None
    assert url.get_secret_value() == "postgresql://me@here/db"


def test_data_directory_when_home_is_empty_then_the_account_still_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "")
    directory = load_settings().data_directory
    assert directory.parts[-3:] == (".local", "share", "tradepulse")
    assert len(directory.parts) > len(("/", ".local", "share", "tradepulse"))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRADEPULSE__API__PROT", "1", "'TRADEPULSE__API__PROT' in the environment is not a setting. Did you mean"),
        ("TRADEPULSE__API__PORT", "99999", "TRADEPULSE__API__PORT=99999 in the environment: the value should be less"),
        ("RISK_PER_TRADE", "-1", "RISK_PER_TRADE=-1 in the environment: the value should be greater than 0."),
        ("RISK_PER_TRADE", "nan", "RISK_PER_TRADE=nan in the environment: the value should be a finite number."),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL=LOUD in the environment: the value should be 'DEBUG', 'INFO'"),
        ("TRADING_MODE", "real", "TRADING_MODE=real in the environment: the value should be 'paper' or 'live'."),
        ("DATABASE_URL", "mysql://me@here/db", "the value should start with postgresql://."),
        ("DATABASE_URL", "postgresql://here", "should look like postgresql://user:password@host:5432/name."),
        ("TRADEPULSE__SIMULATED__SYMBOLS", ",", "TRADEPULSE__SIMULATED__SYMBOLS"),
        ("TRADEPULSE__RISK__DAILY_LOSS", "0.0000001", "the value should have no more than 6 decimal places"),
        ("TRADEPULSE__RISK__MAX_TOTAL", "-1", "TRADEPULSE__RISK__MAX_TOTAL=-1 in the environment: the value should be"),
        ("TRADEPULSE__API", "8000", "TRADEPULSE__API=8000 in the environment: the value should be"),
    ],
)
def test_settings_when_one_is_wrong_then_one_line_names_value_rule_and_remedy(
    name: str, value: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_when_two_are_wrong_then_both_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_PER_TRADE", "2")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(ConfigurationError, match=r"(?=.*RISK_PER_TRADE)(?=.*LOG_LEVEL)"):
        load_settings()


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("config/.env", "EXCHNGE=kraken\n", "'EXCHNGE' in config/.env is not a setting. Did you mean 'EXCHANGE'?"),
        ("config/.env", "A=1\nwhat is this=\n", "config/.env is not NAME=value"),
        (
            "tradepulse.toml",
            "[api]\nprot = 1\n",
            "'api.prot' in tradepulse.toml is not a setting. Did you mean 'api.port'",
        ),
        ("tradepulse.toml", "[api\n", "tradepulse.toml is not valid TOML"),
        ("tradepulse.toml", "\x00", "tradepulse.toml is not valid TOML"),
    ],
)
def test_settings_when_a_file_is_wrong_then_the_file_and_the_place_are_named(
    file: str, content: str, expected: str, empty_surroundings: Path
) -> None:
    (empty_surroundings / file).write_text(content)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert expected in str(refused.value)


def test_settings_when_a_password_is_wrong_or_shown_then_it_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://me:hunter2@here/db")
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@here/db")
    table = {name: (value, place) for name, value, place in settings_table(load_settings())}
    assert table["database.url"] == ("postgresql://me:**********@here/db", "DATABASE_URL in the environment")
    assert "hunter2" not in repr(load_settings())


def test_notification_urls_when_shown_or_wrong_then_they_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEPULSE__NOTIFICATIONS__URLS", "tgram://the-token/1 json://here/the-token")
    settings = load_settings()
    assert len(settings.notifications.urls) == 2
    assert "the-token" not in str(list(settings_table(settings)))
    monkeypatch.setenv("TRADEPULSE__NOTIFICATIONS__QUIET_FROM", "22:00")
    with pytest.raises(ConfigurationError, match="both quiet_from and quiet_until") as refused:
        load_settings()
    assert "the-token" not in str(refused.value)


def test_settings_when_keys_of_exchanges_stand_in_dotenv_then_they_are_no_error(empty_surroundings: Path) -> None:
    (empty_surroundings / "config/.env").write_text("KRAKEN_API_KEY=abc\nKRAKEN_API_SECRET=def\nOPENAI_API_KEY=ghi\n")
    loaded = load_settings()
    assert loaded.exchange == "simulated"
    # The one that is read: shown to nobody, and used where a model is named.
    assert loaded.meta.api_key is not None
    assert loaded.meta.api_key.get_secret_value() == "ghi"
    assert loaded.meta.model is None
    table = {name: (value, place) for name, value, place in settings_table(loaded)}
    assert table["meta.api_key"] == ("**********", "OPENAI_API_KEY in config/.env")


def test_settings_when_trading_would_halt_before_it_reduces_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEPULSE__RISK__DRAWDOWN_REDUCE", "0.2")
    monkeypatch.setenv("TRADEPULSE__RISK__DRAWDOWN_HALT", "0.1")
    with pytest.raises(ConfigurationError, match=r"DRAWDOWN_HALT=0\.1.*should not be below drawdown_reduce \(0\.2\)"):
        load_settings()
