"""What followed on setups whose windows looked alike, as it was known at the time the question is about."""

import asyncio
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from tradepulse.api.candle_source import newest_candles, regimes_of_candles
from tradepulse.api.models import SetupRow, Side, Time, View
from tradepulse.domain.embeddings import Embedding, SimilarWindow
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Direction
from tradepulse.encoder.features import WINDOW, windows_of
from tradepulse.encoder.fitted_model import FittedModel, PriorOpinion, planned_reward_risk
from tradepulse.encoder.out_of_sample import NEIGHBOURS
from tradepulse.ports import CandleStore, EmbeddingStore

EXAMPLES = 5
FIT_ONE = "No model yet for {timeframe}. Fit one: tradepulse encoder train --timeframe {timeframe}"
NO_WINDOW = "The {bars} candles up to this one are not stored without a hole. Complete them: tradepulse download-data"


class CandlePlace(View):
    """Where an example's candles are: `GET /api/analytics/candles` with these, `until` the last and `limit` of them."""

    exchange: str
    symbol: str
    timeframe: Timeframe
    since: Time = Field(description="open time of the window's first candle")
    until: Time = Field(description="when the outcome was known")


class SimilarLine(View):
    setup_id: str
    strategy: str
    direction: Side
    found_at: Time
    resolved_at: Time
    won: bool = Field(description="target before stop")
    r: float = Field(description="after costs, in units of the risk")
    likeness: float = Field(description="cosine; 1 is the same")
    candles: CandlePlace


class SimilarAnswer(View):
    """`state` other than `answered`: `text` says what to do, and there are no figures."""

    state: Literal["answered", "no model", "no window"]
    text: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Side
    bar_time: Time | None = Field(description="of the window's last candle")
    before: Time = Field(description="only what had ended before is counted")
    model_version: str | None = None
    earned: bool | None = Field(
        default=None, description="whether the prior has earned its place on this timeframe; null: not judged"
    )
    prior: float | None = Field(default=None, description="P(target before stop) of this setup; null: of no setup")
    base: float | None = Field(default=None, description="what is usual for its strategy and reward to risk")
    found: int = Field(default=0, description="most alike that were looked at, 100 where so many had ended")
    won: int = 0
    mean_r: float | None = None
    examples: list[SimilarLine] = Field(default=[], description="the five most alike")


@dataclass(frozen=True, slots=True)
class Asked:
    """A window by its last candle. ``before``: the time the question is asked at; what ended later is not seen."""

    series: SeriesKey
    direction: Direction
    bar_time: int | None
    before: int
    setup: SetupRow | None = None


@dataclass(frozen=True, slots=True)
class SimilarWindows:
    candles: CandleStore
    embeddings: EmbeddingStore

    async def of_setup(self, row: SetupRow) -> SimilarAnswer:
        """As it was known when the setup was found."""
        series = SeriesKey(row.exchange, row.symbol, row.timeframe)
        return await self.answer(Asked(series, Direction[row.direction.upper()], row.bar_time, row.found_at, row))

    async def answer(self, asked: Asked) -> SimilarAnswer:
        name = str(asked.series.timeframe)
        stored = await self.embeddings.newest_model(name)
        if stored is None:
            return _answer(asked, "no model", FIT_ONE.format(timeframe=name))
        version, model = stored[0], FittedModel.from_bytes(stored[2])
        window = await self._window(asked, version, model)
        if window is None:
            return _answer(asked, "no window", NO_WINDOW.format(bars=WINDOW + 1))
        bar_time, embedding = window
        strategy = None if asked.setup is None else asked.setup.strategy
        alike = await self.embeddings.similar(version, embedding, asked.before, count=NEIGHBOURS, strategy=strategy)
        verdict = await self.embeddings.newest_verdict(name, version)
        prior = None if asked.setup is None else _prior(model, embedding, asked.setup)
        won = sum(one.won for one in alike)
        return _answer(
            asked,
            "answered",
            _in_words(len(alike), won),
            bar_time=bar_time,
            model_version=version,
            earned=None if verdict is None else verdict.earned,
            prior=None if prior is None else prior.probability,
            base=None if prior is None else prior.base,
            found=len(alike),
            won=won,
            mean_r=float(np.mean([one.r for one in alike])) if alike else None,
            examples=[_line(one) for one in alike[:EXAMPLES]],
        )

    async def _window(self, asked: Asked, version: str, model: FittedModel) -> tuple[int, Embedding] | None:
        series = asked.series
        if asked.bar_time is None and asked.direction is Direction.LONG:
            kept = await self.embeddings.current(series.exchange, series.symbol, str(series.timeframe))
            if kept is not None and kept.model_version == version:
                return kept.bar_time, kept.embedding
        step = series.timeframe.milliseconds
        until = None if asked.bar_time is None else asked.bar_time + step
        shown = await newest_candles(self.candles, series, WINDOW + 1, until)
        if len(shown) <= WINDOW or (until is not None and int(shown.open_time[-1]) != asked.bar_time):
            return None
        regime = await regimes_of_candles(self.candles, series, shown)
        last, side = np.array([len(shown) - 1]), np.array([int(asked.direction)])
        windows = await asyncio.to_thread(windows_of, shown, step, regime, last, side)
        return (int(shown.open_time[-1]), model.encoder.encode(windows)[0]) if len(windows) else None


def _prior(model: FittedModel, embedding: Embedding, setup: SetupRow) -> PriorOpinion | None:
    if setup.close is None or setup.stop is None or setup.reward_risk is None:
        return None
    target = np.nan if setup.target is None else float(setup.target)
    close, stop, aim = np.array([[float(setup.close)], [float(setup.stop)], [target]])
    planned = float(planned_reward_risk(close, stop, aim, setup.reward_risk)[0])
    return model.opinion(embedding, setup.strategy, planned)


def _in_words(found: int, won: int) -> str:
    if not found:
        return "No setup that looked alike had ended by then."
    return f"Of the {found} most similar setups that had ended by then {won} won."


def _answer(
    asked: Asked, state: Literal["answered", "no model", "no window"], text: str, **told: object
) -> SimilarAnswer:
    series = asked.series
    place = {"exchange": series.exchange, "symbol": series.symbol, "timeframe": series.timeframe}
    facts = {"direction": asked.direction, "bar_time": asked.bar_time, "before": asked.before}
    return SimilarAnswer.model_validate({"state": state, "text": text, **place, **facts, **told})


def _line(one: SimilarWindow) -> SimilarLine:
    timeframe = Timeframe.parse(one.timeframe)
    place = CandlePlace(
        exchange=one.exchange,
        symbol=one.symbol,
        timeframe=timeframe,
        since=one.found_at - WINDOW * timeframe.milliseconds,
        until=one.resolved_at,
    )
    return SimilarLine(
        setup_id=one.setup_id,
        strategy=one.strategy,
        direction=Direction(one.direction),
        found_at=one.found_at,
        resolved_at=one.resolved_at,
        won=one.won,
        r=one.r,
        likeness=one.likeness,
        candles=place,
    )
