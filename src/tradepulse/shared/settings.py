"""All settings, in one tree. The only reader of the environment.

Precedence: environment, then ``config/.env``, then ``tradepulse.toml``, then the defaults here.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


def default_data_directory() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tradepulse"


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    url: SecretStr | None = None
    """A PostgreSQL server of yours; without it an embedded one runs in the data directory."""


class ApiSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)


class TradingSettings(Section):
    mode: Literal["paper", "live"] = "paper"
    initial_cash: Decimal = Field(default=Decimal(10_000), gt=0, le=Decimal(1_000_000_000))
    risk_per_trade: Decimal = Field(default=Decimal("0.01"), gt=0, le=Decimal("0.1"))
    """Share of equity lost when a stop is hit, costs included."""
    max_position: Decimal = Field(default=Decimal(1), gt=0, le=Decimal(1))
    """Largest position as a share of equity."""
    min_confluence: float = Field(default=1.0, gt=0, le=1)


class SimulatedSettings(Section):
    """The embedded simulated exchange."""

    seed: int = Field(default=7, ge=0)
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
    timeframes: tuple[str, ...] = ("1m", "5m", "15m")
    history_days: int = Field(default=30, ge=1, le=3650)
    minutes_per_second: float = Field(default=4.0, gt=0, le=10_000)
    """Simulated minutes per second of real time."""


class LoggingSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="TRADEPULSE__",
        env_nested_delimiter="__",
        env_file="config/.env",
        toml_file="tradepulse.toml",
        extra="forbid",
        frozen=True,
    )

    data_directory: Path = Field(default_factory=default_data_directory)
    exchange: str = Field(default="simulated", validation_alias=AliasChoices("TRADEPULSE__EXCHANGE", "EXCHANGE"))
    database: DatabaseSettings = DatabaseSettings()
    api: ApiSettings = ApiSettings()
    trading: TradingSettings = TradingSettings()
    simulated: SimulatedSettings = SimulatedSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls))
