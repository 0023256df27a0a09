"""What may be asked of each kind of background job, checked when it is asked for and when it is begun."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from tradepulse.domain.market import Timeframe
from tradepulse.domain.training import JsonObject
from tradepulse.policy.training_requests import known_strategy, traded_timeframe, unified_symbol
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import nearest
from tradepulse.strategies import STRATEGIES

Parameters = TypeVar("Parameters", bound="JobParameters")
LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def _in_our_words(read: Any) -> AfterValidator:
    def checked(text: str) -> str:
        try:
            return str(read(text))
        except ConfigurationError as error:
            raise PydanticCustomError("name", "{problem}", {"problem": str(error)}) from None

    return AfterValidator(checked)


def _exchange(text: str) -> str:
    return text.strip().lower()


Symbol = Annotated[str, Field(max_length=60), _in_our_words(unified_symbol)]
Exchange = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_]+$"), AfterValidator(_exchange)]
TradedTimeframe = Annotated[str, _in_our_words(traded_timeframe)]
AnyTimeframe = Annotated[str, _in_our_words(Timeframe.parse)]
StrategyName = Annotated[str, _in_our_words(known_strategy)]
Moment = Annotated[int, Field(ge=0, le=LATEST, description="UTC milliseconds")]


class JobParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Range(JobParameters):
    since: Moment | None = None
    until: Moment | None = Field(default=None, description="UTC milliseconds, exclusive")

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise PydanticCustomError("range", "since should be before until")
        return self


class BacktestParameters(_Range):
    """One strategy over stored candles. ``overrides`` replace its default parameters."""

    strategy: StrategyName
    exchange: Exchange
    symbol: Symbol
    timeframe: TradedTimeframe
    method: Literal["replay", "kernel"] = "replay"
    fine: AnyTimeframe | None = Field(default=None, description="a finer stored timeframe (kernel only)")
    overrides: dict[str, bool | int | float | str] = Field(default_factory=dict, max_length=50)

    @model_validator(mode="after")
    def _overrides_are_parameters(self) -> Self:
        try:
            STRATEGIES[self.strategy].parameters(**self.overrides)
        except ConfigurationError as error:
            raise PydanticCustomError("overrides", "{problem}", {"problem": str(error)}) from None
        if self.fine is not None and self.method != "kernel":
            raise PydanticCustomError("fine", "finer candles are used by the kernel method only")
        return self


class BackfillParameters(_Range):
    """Candles of real exchanges. Without ``exchange`` and names: every real series that is stored, kept up to date.

    ``since``, or ``days`` counted back from when it runs; without either what is stored is completed and brought up
    to now.
    """

    exchange: Exchange | None = None
    symbols: tuple[Symbol, ...] = Field(default=(), max_length=500)
    timeframes: tuple[AnyTimeframe, ...] = Field(default=(), max_length=20)
    days: int | None = Field(default=None, ge=1, le=3650)

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        named = (self.exchange is not None, bool(self.symbols), bool(self.timeframes))
        if any(named[1:]) and not all(named):
            raise PydanticCustomError("series", "exchange, symbols and timeframes belong together")
        if self.since is not None and self.days is not None:
            raise PydanticCustomError("since", "give since or days, not both")
        if self.symbols and self.since is None and self.days is None:
            raise PydanticCustomError("since", "say from when: since or days")
        return self


class ImportParameters(JobParameters):
    """Candle files and folders of the machine that was asked; their names say the series unless it is given."""

    paths: tuple[Path, ...] = Field(min_length=1, max_length=1000)
    exchange: Exchange | None = None
    symbol: Symbol | None = None
    timeframe: AnyTimeframe | None = None

    @model_validator(mode="after")
    def _are_absolute(self) -> Self:
        relative = [str(path) for path in self.paths if not path.is_absolute()]
        if relative:
            raise PydanticCustomError("paths", "'{path}' should be an absolute path", {"path": relative[0]})
        return self


class WalkForwardParameters(_Range):
    """Choosing parameters again and again, each time on the past only. Empty names: all that can be trained."""

    strategy: StrategyName
    timeframe: TradedTimeframe
    symbols: tuple[Symbol, ...] = Field(default=(), max_length=500)
    exchanges: tuple[Exchange, ...] = Field(default=(), max_length=50)
    points: int = Field(default=2048, ge=64, le=65_536)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    folds: int = Field(default=5, ge=1, le=8)


class EncoderParameters(JobParameters):
    """Embed what is new under the models there are. Without ``timeframes``: of all."""

    timeframes: tuple[TradedTimeframe, ...] = Field(default=(), max_length=20)


class EncoderEvaluationParameters(EncoderParameters):
    """Judge the models there are on the candles that are stored by now."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1)


class EncoderTrainingParameters(EncoderEvaluationParameters):
    """Fit and judge anew. Empty names: all that is stored, real candles where there are any."""

    symbols: tuple[Symbol, ...] = Field(default=(), max_length=500)
    exchanges: tuple[Exchange, ...] = Field(default=(), max_length=50)


class AuditParameters(JobParameters):
    """Does every book add up? Nothing is to be chosen."""


class RetentionParameters(JobParameters):
    """Remove what is older than the settings keep it. Nothing is to be chosen."""


class MetaParameters(JobParameters):
    """A policy for ``book``, or for every book that is traded. ``notes``: news as data, for the language model only."""

    book: str | None = Field(default=None, min_length=1, max_length=100)
    notes: tuple[Annotated[str, Field(max_length=2_000)], ...] = Field(default=(), max_length=5)


def checked(model: type[Parameters], kind: str, given: JsonObject) -> Parameters:
    """The parameters of a job, or ``ConfigurationError`` naming each that is wrong, the rule and the remedy."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        problems = [_explained(detail["loc"], detail["msg"], detail["type"], model) for detail in error.errors()]
        raise ConfigurationError(
            f"This {kind} cannot be run: {'; '.join(problems)}.",
            f"It takes: {', '.join(sorted(model.model_fields))}.",
        ) from None


def _explained(place: tuple[int | str, ...], message: str, problem: str, model: type[JobParameters]) -> str:
    name = ".".join(map(str, place))
    if problem == "extra_forbidden":
        near = nearest(name, model.model_fields)
        return f"'{name}' is not one of its parameters" + (f", did you mean '{near}'?" if near else "")
    return f"{name}: {message}" if name else message
