"""What learns and judges beside the rules: the encoder, its verdicts, and what it is allowed to do."""

from pydantic import Field

from tradepulse.api.deps import Services, ServicesDep
from tradepulse.api.models import Time, View
from tradepulse.api.routing import noun_router
from tradepulse.api.similar_windows import FIT_ONE
from tradepulse.domain.market import TRADED_TIMEFRAMES, Timeframe

router = noun_router("intelligence")


class IntervalLine(View):
    value: float
    low: float = Field(description="95 % by resampling whole weeks")
    high: float


class LiftLine(View):
    setups: int
    precision: IntervalLine = Field(description="share of wins beyond the base rates, against all held-out setups")
    r: IntervalLine


class EncoderVerdictLine(View):
    """`half_below`, `skip_below`: excess over the base rate up to which an entry is halved or left out; null: not."""

    time: Time
    earned: bool
    reasons: list[str]
    half_below: float | None
    skip_below: float | None
    setups: int = Field(description="held out, none of them seen by what scored them")
    wins: float
    weeks: int
    top: dict[str, LiftLine] = Field(description="of the best fifth by each way of scoring, controls among them")
    bottom: LiftLine = Field(description="of the head's worst fifth")


class EncoderState(View):
    timeframe: Timeframe
    model_version: str | None
    text: str
    fitted_at: Time | None = None
    explained: float | None = Field(default=None, description="share of the variance of shapes that is kept")
    setups: int = Field(default=0, description="remembered, with or without an outcome")
    series: list[str] = Field(default=[], description="on whose candles it was fitted")
    verdict: EncoderVerdictLine | None = None


@router.get("/encoder")
async def encoder(services: ServicesDep) -> list[EncoderState]:
    """Per traded timeframe: the model, and whether its prior has earned its place."""
    return [await _state(services, timeframe) for timeframe in TRADED_TIMEFRAMES]


async def _state(services: Services, timeframe: Timeframe) -> EncoderState:
    stored = await services.embeddings.newest_model(str(timeframe))
    if stored is None:
        return EncoderState(timeframe=timeframe, model_version=None, text=FIT_ONE.format(timeframe=timeframe))
    version, fitted_at, _, evidence = stored
    judged = await services.embeddings.newest_verdict(str(timeframe), version)
    verdict = None if judged is None else EncoderVerdictLine.model_validate({"time": judged.time, **judged.judgement})
    return EncoderState(
        timeframe=timeframe,
        model_version=version,
        text=_text(verdict),
        fitted_at=fitted_at,
        explained=evidence["explained"],
        setups=await services.embeddings.count(version),
        series=[one["series"] for one in evidence["series"]],
        verdict=verdict,
    )


def _text(verdict: EncoderVerdictLine | None) -> str:
    if verdict is None:
        return "Not judged yet: tradepulse encoder evaluate"
    if not verdict.earned:
        return "The prior has not earned its place: it is shown, and changes no size."
    does = "halves or leaves out" if verdict.skip_below is not None else "halves"
    return f"The prior has earned its place: it {does} entries that it gives little, and can do nothing else."
