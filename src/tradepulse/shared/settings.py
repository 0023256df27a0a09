"""All settings, in one tree. The only reader of the environment.

Precedence: environment, then ``config/.env``, then ``tradepulse.toml``, then the defaults here. A name is either
``TRADEPULSE__SECTION__KEY`` or one of ``PLAIN_NAMES``.
"""

import difflib
import io
import os
import pwd
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit
from zoneinfo import available_timezones

from dotenv.parser import parse_stream
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tradepulse.shared.errors import ConfigurationError

PREFIX = "TRADEPULSE__"
SettingPath = tuple[str, ...]
DOTENV_FILE = Path("config/.env")
TOML_FILE = Path("tradepulse.toml")
PLAIN_NAMES: dict[str, SettingPath] = {
    "TRADING_MODE": ("trading", "mode"),
    "RISK_PER_TRADE": ("trading", "risk_per_trade"),
    "EXCHANGE": ("exchange",),
    "LOG_LEVEL": ("logging", "level"),
    "DATABASE_URL": ("database", "url"),
    "DB_HOST": ("database", "host"),
    "DB_PORT": ("database", "port"),
    "DB_NAME": ("database", "name"),
    "DB_USER": ("database", "user"),
    "DB_PASSWORD": ("database", "password"),
    "OPENAI_API_KEY": ("meta", "api_key"),
}
SECRET_PATHS: tuple[SettingPath, ...] = (
    ("database", "url"),
    ("database", "password"),
    ("keys", "passphrase"),
    ("meta", "api_key"),
    ("notifications", "urls"),
    ("notifications", "urgent_urls"),
)


def default_data_directory() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or f"{_home()}/.local/share"
    return Path(base) / "tradepulse"


def _home() -> str:
    return os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir


def _absolute_path(path: Path) -> Path:
    text = str(path)
    return Path(_home() + text[1:] if text == "~" or text.startswith("~/") else text).absolute()


def _list_of_names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


def _list_of_urls(value: object) -> object:
    return value.split() if isinstance(value, str) else value


Urls = Annotated[tuple[SecretStr, ...], BeforeValidator(_list_of_urls)]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Names = Annotated[tuple[str, ...], BeforeValidator(_list_of_names), Field(min_length=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """A PostgreSQL server of yours, by URL or by its parts. Without either an embedded one is started."""

    url: SecretStr | None = None
    """``postgresql://user:password@host:port/name``. Wins over the parts."""
    host: str | None = None
    port: int = Field(default=5432, ge=1, le=65535)
    name: str = "tradepulse"
    user: str | None = None
    password: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _check_database_url(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _url_from_parts(self) -> "DatabaseSettings":
        if self.url is None and self.model_fields_set - {"url"}:
            object.__setattr__(self, "url", SecretStr(self._composed_url()))
        return self

    def _composed_url(self) -> str:
        password = f":{quote(self.password.get_secret_value(), safe='')}" if self.password else ""
        user = f"{quote(self.user, safe='')}{password}@" if self.user else ""
        return f"postgresql://{user}{self.host or 'localhost'}:{self.port}/{quote(self.name, safe='')}"


def _check_database_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise PydanticCustomError("database_url", "Input should be a database URL: {reason}", {"reason": str(error)})  # noqa: B904
    if parts.scheme not in ("postgresql", "postgres"):
        raise PydanticCustomError("database_url", "Input should start with postgresql://")
    if not (host or parts.query) or not parts.path.strip("/"):
        raise PydanticCustomError("database_url", "Input should look like postgresql://user:password@host:5432/name")


SHORTEST_SIGNING_KEY = 32
FEWEST_LETTERS_OF_A_KEY = 12


class ApiSettings(Section):
    """``signing_key``: only where several machines serve one database; by default each makes a file of its own."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    signing_key: SecretStr | None = None
    access_minutes: int = Field(default=10, ge=1, le=15)
    """How long an access token is good."""
    session_days: int = Field(default=30, ge=1, le=365)
    session_idle_days: int = Field(default=7, ge=1, le=365)
    """A session that is not used for so long has ended."""
    confirm_minutes: int = Field(default=10, ge=1, le=60)
    """How long a password that was given confirms what asks for it."""
    docs: bool = True
    """Whether /docs and /openapi.json are served."""
    allow_remote: bool = False
    """This and a certificate are needed to listen on anything but this machine's own address."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    names: tuple[str, ...] = ()
    """Host names under which other machines know this one."""

    @field_validator("names", mode="before")
    @classmethod
    def _split(cls, names: object) -> object:
        return _list_of_names(names)

    @field_validator("signing_key")
    @classmethod
    def _cannot_be_guessed(cls, key: SecretStr | None) -> SecretStr | None:
        plain = "" if key is None else key.get_secret_value()
        if key is not None and (
            len(plain.encode()) < SHORTEST_SIGNING_KEY or len(set(plain)) < FEWEST_LETTERS_OF_A_KEY
        ):
            raise PydanticCustomError(
                "signing_key", "Input should be 32 random bytes or more; leave it out and one is made"
            )
        return key


class TradingSettings(Section):
    mode: Literal["paper", "live"] = "paper"
    """``live`` lets real money be traded; which wallets do is asked for by the command, and confirmed."""
    initial_cash: Decimal = Field(default=Decimal(10_000), gt=0, le=Decimal(1_000_000_000))
    risk_per_trade: Decimal = Field(default=Decimal("0.01"), gt=0, le=Decimal("0.1"))
    """Share of equity lost when a stop is hit, costs included."""
    max_position: Decimal = Field(default=Decimal("0.25"), gt=0, le=Decimal(1))
    """Largest position as a share of equity."""
    min_confluence: float = Field(default=1.0, gt=0, le=1)
    paper_trade_defaults: bool = False
    """Trade a strategy's defaults on paper where nothing trained is in force. They never went through the gate."""


# No finer than the millionths that are reckoned with: what became 0 would be no limit at all.
Share = Annotated[Decimal, Field(ge=0, le=1, decimal_places=6)]
Exposure = Annotated[Decimal, Field(ge=0, le=10, decimal_places=6)]
Multiple = Annotated[Decimal, Field(ge=0, le=100, decimal_places=6)]
Minutes = Annotated[int, Field(ge=1, le=525_600)]


class RiskSettings(Section):
    """What the account allows beyond the single trade. 0: no such limit. Backtests do not use them."""

    max_symbol: Exposure = Decimal("0.5")
    """This and the next three: positions and entries on their way, as a share of equity."""
    max_base_asset: Exposure = Decimal("0.5")
    max_exchange: Exposure = Decimal(1)
    max_total: Exposure = Decimal(1)
    max_positions: int = Field(default=10, ge=0, le=10_000)
    daily_loss: Share = Decimal("0.05")
    """Share of the equity at the UTC midnight before; nothing is entered until the next one."""
    drawdown_warn: Share = Decimal("0.1")
    drawdown_reduce: Share = Decimal(0)
    """This and the next hold until a person resumes: so not by default."""
    drawdown_halt: Share = Decimal(0)
    entries_per_minute: int = Field(default=10, ge=0, le=10_000)
    orders_per_minute: int = Field(default=60, ge=0, le=100_000)
    """Orders of every kind that were placed; beyond it nothing is entered, and everything else passes."""
    cool_down_minutes: int = Field(default=0, ge=0, le=525_600)
    stop_guard: int = Field(default=0, ge=0, le=10_000)
    """Stops hit within the window that lock entries."""
    stop_guard_window_minutes: Minutes = 1440
    stop_guard_lock_minutes: Minutes = 240
    stop_guard_scope: Literal["market", "all"] = "market"
    loss_streak: int = Field(default=0, ge=0, le=10_000)
    """Losses in a row that lock entries."""
    loss_streak_lock_minutes: Minutes = 240
    loss_streak_scope: Literal["market", "all"] = "market"
    max_candle_age: int = Field(default=2, ge=0, le=1000)
    """Base candles that may have passed since the last one closed."""
    price_band: Share = Decimal("0.05")
    """Of the planned price from the close before the last one, which says whether the last one can be right."""
    max_slippage: Share = Decimal("0.05")
    """Of the worst price that an entry may fill at from the last close."""
    max_spread: Share = Decimal("0.01")
    """Between bid and ask, where both were seen since the setup's candle opened."""
    max_order_value: Decimal = Field(default=Decimal(0), ge=0, le=Decimal(1_000_000_000_000))
    """In quote money."""
    max_correlation: Share = Decimal(0)
    """Above it nothing is entered beside a position. Markets of one base asset have 1, so not by default."""
    max_cluster: Exposure = Decimal("0.5")
    """Positions in markets that move together, as a share of equity."""
    cluster_correlation: Annotated[Decimal, Field(gt=0, lt=1, decimal_places=6)] = Decimal("0.7")
    max_heat: Share = Decimal("0.06")
    """Share of the equity that is lost at the stops, as far as it is lost together."""
    correlation_timeframe: Literal["5m", "15m", "1h", "4h", "1d"] = "1h"
    correlation_days: int = Field(default=30, ge=1, le=365)
    correlation_observations: int = Field(default=60, ge=10, le=10_000)
    correlation_decay: float = Field(default=0.97, gt=0.5, le=1)
    break_even_at: Multiple = Decimal(0)
    """This and the next: multiples of the risk, the way from the entry to the first stop. 0: stops stay."""
    break_even_offset: Multiple = Decimal(0)
    trail_from: Multiple = Decimal(0)
    trail_by: Multiple = Decimal(1)
    stop_step: Annotated[Decimal, Field(gt=0, le=100, decimal_places=6)] = Decimal("0.1")
    """Least way that a stop is moved."""

    @field_validator("correlation_observations")
    @classmethod
    def _fits_into_the_window(cls, observations: int, info: ValidationInfo) -> int:
        timeframe, days = info.data.get("correlation_timeframe"), info.data.get("correlation_days")
        bars = {"5m": 288, "15m": 96, "1h": 24, "4h": 6, "1d": 1}.get(str(timeframe), 24) * (days or 365)
        if observations > bars:
            raise PydanticCustomError(
                "correlation_observations", "Input should be at most the {bars} bars of the window", {"bars": bars}
            )
        return observations

    @field_validator("break_even_offset")
    @classmethod
    def _stays_behind_the_price(cls, offset: Decimal, info: ValidationInfo) -> Decimal:
        at = info.data.get("break_even_at", Decimal(0))
        if 0 < at <= offset:
            raise PydanticCustomError(
                "break_even_offset", "Input should be below break_even_at ({at})", {"at": str(at)}
            )
        return offset

    @field_validator("trail_by")
    @classmethod
    def _trails_behind_the_price(cls, by: Decimal, info: ValidationInfo) -> Decimal:
        if info.data.get("trail_from", Decimal(0)) > 0 and by == 0:
            raise PydanticCustomError("trail_by", "Input should be above 0 where trail_from is")
        return by

    @field_validator("drawdown_halt")
    @classmethod
    def _halts_later_than_it_reduces(cls, halt: Decimal, info: ValidationInfo) -> Decimal:
        reduce = info.data.get("drawdown_reduce", halt)
        if 0 < halt < reduce:
            raise PydanticCustomError(
                "drawdown_halt", "Input should not be below drawdown_reduce ({reduce})", {"reduce": str(reduce)}
            )
        return halt


class SimulatedSettings(Section):
    """The embedded simulated exchange."""

    seed: int = Field(default=7, ge=0)
    symbols: Names = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
    timeframes: Names = ("1m", "5m", "15m")
    history_days: int = Field(default=30, ge=1, le=3650)
    minutes_per_second: float = Field(default=15.0, gt=0, le=10_000)
    """Simulated minutes per second of real time."""


class TrainingSettings(Section):
    """What training uses where a command does not say otherwise."""

    threads: int = Field(default=0, ge=0, le=1024)
    """0: all cores."""
    points: int = Field(default=2048, ge=64, le=65_536)
    """Parameter sets tried per symbol, timeframe and strategy."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)


class RetentionSettings(Section):
    """How many days what can be done without is kept; 0: for ever. Trades, orders, money and candles always are."""

    event_days: int = Field(default=90, ge=0, le=36_500)
    """Facts of the live log; what they say of trades and money is kept in the book."""
    setup_days: int = Field(default=365, ge=0, le=36_500)
    """Setups that never came to an order."""
    mark_days: int = Field(default=30, ge=0, le=36_500)
    """Marks of equity between the hours."""
    job_days: int = Field(default=180, ge=0, le=36_500)
    """Background jobs that have ended."""


class KeySettings(Section):
    """What opens the stored exchange keys."""

    folder: Path | None = None
    """Where the key file lies; ``keys`` in the data directory by default."""
    passphrase: SecretStr | None = None
    """Where a passphrase opens them and nobody is there to be asked for it."""

    @field_validator("folder")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        return None if folder is None else _absolute_path(folder)


class MetaSettings(Section):
    """A language model beside the rules of the meta-controller. Nobody is asked unless ``model`` is named."""

    model: str | None = Field(default=None, min_length=1, max_length=200)
    base_url: str = Field(default="https://api.openai.com/v1", max_length=500, pattern=r"^https?://[^\s@]+$")
    """Of any endpoint that speaks OpenAI's chat completions, one of this machine too."""
    api_key: SecretStr | None = None
    tokens_per_day: int = Field(default=60_000, ge=0, le=10_000_000)


class NotificationSettings(Section):
    """Who is told of trading, by URLs of Apprise: https://github.com/caronc/apprise/wiki. They hold passwords."""

    urls: Urls = ()
    """In the environment with spaces between them."""
    urgent_urls: Urls = ()
    """Besides: only what is critical."""
    level: Literal["info", "warning", "critical"] = "warning"
    """The least that is told."""
    per_minute: int = Field(default=10, ge=1, le=600)
    """What is more comes in one digest."""
    quiet_from: ClockTime | None = None
    """HH:MM; from then on only what is critical is told, the rest in one digest afterwards."""
    quiet_until: ClockTime | None = None
    quiet_zone: str = "UTC"

    @field_validator("quiet_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise PydanticCustomError("quiet_zone", "Input should be a time zone like Europe/Berlin")
        return zone

    @model_validator(mode="after")
    def _both_or_neither(self) -> "NotificationSettings":
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise PydanticCustomError("quiet_hours", "Input should have both quiet_from and quiet_until, or neither")
        return self


class LoggingSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    data_directory: Path = Field(default_factory=default_data_directory)
    exchange: str = Field(default="simulated", min_length=1)
    wallets_file: Path = Path("config/wallets.json")
    """From the folder in which the command runs."""
    keys: KeySettings = KeySettings()
    database: DatabaseSettings = DatabaseSettings()
    api: ApiSettings = ApiSettings()
    trading: TradingSettings = TradingSettings()
    risk: RiskSettings = RiskSettings()
    simulated: SimulatedSettings = SimulatedSettings()
    training: TrainingSettings = TrainingSettings()
    retention: RetentionSettings = RetentionSettings()
    meta: MetaSettings = MetaSettings()
    notifications: NotificationSettings = NotificationSettings()
    logging: LoggingSettings = LoggingSettings()

    @field_validator("data_directory")
    @classmethod
    def _absolute(cls, directory: Path) -> Path:
        return _absolute_path(directory)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, *(_Values(settings_cls, source) for source in setting_sources()))


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One place with settings: nested values, and for each setting's path the name it was written under."""

    place: str
    values: dict[str, Any] = field(default_factory=dict)
    names: dict[SettingPath, str] = field(default_factory=dict)

    def put(self, path: SettingPath, name: str, value: str) -> None:
        section = self.values
        for key in path[:-1]:
            section = section.setdefault(key, {})
            if not isinstance(section, dict):
                break
        if not isinstance(section, dict) or isinstance(section.get(path[-1]), dict):
            raise ConfigurationError(
                f"'{name}' in {self.place} sets a value and a section of the same name.", "Remove one of the two."
            )
        self.names[path] = name
        section[path[-1]] = value


class _Values(PydanticBaseSettingsSource):
    def __init__(self, settings_cls: type[BaseSettings], source: SettingSource) -> None:
        super().__init__(settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self._source.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._source.values


def setting_sources() -> tuple[SettingSource, ...]:
    """What is set where, strongest first."""
    return (
        environment_source(os.environ, PLAIN_NAMES),
        dotenv_source(DOTENV_FILE, PLAIN_NAMES),
        toml_source(TOML_FILE),
    )


def load_settings(**overrides: Any) -> Settings:
    """The settings in force. Raises ``ConfigurationError`` in one line: what is wrong where, the rule, the remedy."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems, remedies = zip(*(_explained(detail) for detail in error.errors()), strict=True)
        raise ConfigurationError("; ".join(problems) + ".", " ".join(dict.fromkeys(remedies))) from None


def service_manager() -> tuple[str | None, float | None]:
    """Where systemd wants to hear of this process, and after how many seconds of silence it restarts it."""
    mine = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
    microseconds = os.environ.get("WATCHDOG_USEC", "") if mine else ""
    return os.environ.get("NOTIFY_SOCKET") or None, int(microseconds) / 1e6 if microseconds.isdigit() else None


def unused_service_keys() -> list[str]:
    """Names of exchange and service keys that are set although nothing in this version reads them."""
    return sorted(name for name in os.environ if is_service_key(name) and name not in PLAIN_NAMES and os.environ[name])


def settings_table(settings: Settings) -> Iterator[tuple[str, Any, str]]:
    """Every setting as (dotted name, JSON-ready value without secrets, where it comes from)."""
    sources = setting_sources()
    for path in _known_paths(Settings):
        value: Any = settings
        for key in path:
            value = getattr(value, key)
        found = next((source for source in sources if path in source.names), None)
        yield ".".join(path), _shown(value), f"{found.names[path]} in {found.place}" if found else "default"


def _shown(value: object) -> Any:
    if isinstance(value, SecretStr):
        return _without_password(value.get_secret_value())
    if isinstance(value, tuple):
        return tuple(_shown(one) for one in value)
    return value if value is None or isinstance(value, int | float) else str(value)


def _without_password(secret: str) -> str:
    parts = urlsplit(secret)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
        return "**********"
    user = f"{parts.username}:**********@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{user}{parts.hostname}{port}{parts.path}"


def _known_paths(model: type[BaseModel], above: SettingPath = ()) -> Iterator[SettingPath]:
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _known_paths(info.annotation, (*above, name))
        else:
            yield (*above, name)


def _explained(detail: ErrorDetails) -> tuple[str, str]:
    """Problem and remedy of one validation error, with the name as the user wrote it."""
    path = tuple(str(key) for key in detail["loc"] if not isinstance(key, int))
    source = next((source for source in setting_sources() if path in source.names), None)
    name = source.names[path] if source else ".".join(path)
    place = f" in {source.place}" if source else ""
    if detail["type"] == "extra_forbidden":
        return f"'{name}'{place} is not a setting", _near_miss(name, dotted=name == ".".join(path))
    # A section that is wrong as a whole is shown with all that is in it.
    secret = any(one[: len(path)] == path for one in SECRET_PATHS)
    shown = "" if secret else f"={str(detail['input'])[:60]}"
    rule = re.sub(r"^(Input|Value|Decimal input) should", "should", detail["msg"])
    return f"{name}{shown}{place}: the value {rule}", f"Correct {name}, or remove it to use the default."


def _near_miss(name: str, *, dotted: bool) -> str:
    paths = list(_known_paths(Settings))
    if dotted and name.upper() != name:
        known = {".".join(path) for path in paths}
    else:
        known = {*PLAIN_NAMES, *(PREFIX + "__".join(path).upper() for path in paths)}
    near = nearest(name, known)
    return f"Did you mean '{near}'?" if near else "'tradepulse show-config' lists every setting."


def environment_source(environment: Mapping[str, str], plain_names: Mapping[str, SettingPath]) -> SettingSource:
    """Names of other programs are left alone; an empty value counts as not set."""
    source = SettingSource("the environment")
    for name, path in plain_names.items():
        if environment.get(name):
            source.put(path, name, environment[name])
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and environment[name]:
            source.put(_path_of(name), name, environment[name])
    return source


def dotenv_source(file: Path, plain_names: Mapping[str, SettingPath]) -> SettingSource:
    """``NAME=value`` lines. The file is ours alone, so a name nobody knows is kept, to be refused later.

    Keys of exchanges and services (``KRAKEN_API_KEY`` and their like) may stand here; nothing reads them yet.
    """
    source = SettingSource(str(file))
    for binding in parse_stream(io.StringIO(_read(file))):
        if binding.error:
            raise ConfigurationError(
                f"Line {binding.original.line} of {file} is not NAME=value.",
                "Write one NAME=value per line; put values with spaces in quotes.",
            )
        name, value = binding.key, binding.value
        if name is None or not value or (is_service_key(name) and name not in plain_names):
            continue
        path = _path_of(name) if name.upper().startswith(PREFIX) else plain_names.get(name, (name,))
        source.put(path, name, value)
    return source


def toml_source(file: Path) -> SettingSource:
    try:
        values = tomllib.loads(_read(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}.", "Correct that line.") from None
    return SettingSource(str(file), values, {path: ".".join(path) for path in _leaves(values)})


def is_service_key(name: str) -> bool:
    return name.upper().endswith(("_API_KEY", "_API_SECRET", "_API_PASSPHRASE"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to a mistyped one, if any is close."""
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def _path_of(name: str) -> SettingPath:
    return tuple(name[len(PREFIX) :].lower().split("__"))


def _leaves(values: Mapping[str, Any], above: SettingPath = ()) -> Iterable[SettingPath]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.", "Correct its permissions or encoding.") from None
