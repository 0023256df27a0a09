"""The encoder's prior as a voice in the engine: only where its verdict is that it has earned its place."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.encoder import kept_model
from tradepulse.core.effective_size import Opinion, Voice
from tradepulse.domain.embeddings import EncoderVerdict
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Setup
from tradepulse.encoder.features import WINDOW, windows_of
from tradepulse.encoder.fitted_model import FittedModel, PriorOpinion, planned_reward_risk
from tradepulse.encoder.prior import size_by_prior
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies.base_strategy import MarketHistory

logger = logging.getLogger(__name__)
Heard = frozenset[tuple[str, str, int]]


@dataclass(frozen=True, slots=True, eq=False)
class EarnedModel:
    """``exchanges``: on which it was judged; on others it says nothing."""

    model: FittedModel
    exchanges: frozenset[str]
    half_below: float
    skip_below: float | None


@dataclass(frozen=True, slots=True, eq=False)
class EarnedPrior:
    """The ``SetupPrior`` of the engine."""

    models: Mapping[Timeframe, EarnedModel]

    @property
    def bars(self) -> int:
        return WINDOW + 1

    def opinion(self, setup: Setup, window: MarketHistory) -> Opinion | None:
        earned = self.models.get(setup.series.timeframe)
        if earned is None or setup.series.exchange not in earned.exchanges:
            return None
        said = prior_of(earned.model, setup, window)
        if said is None:
            return None
        share = size_by_prior(said.excess, earned.half_below, earned.skip_below)
        told = f"{said.probability:.1%} for the target before the stop, {said.base:.1%} is usual"
        return Opinion(Voice.ENCODER, share, told if share < PPM else "")


def prior_of(model: FittedModel, setup: Setup, window: MarketHistory) -> PriorOpinion | None:
    """``None`` where the window is too short or has a hole."""
    last, side = np.array([len(window) - 1]), np.array([int(setup.direction)])
    found = windows_of(window.candles, setup.series.timeframe.milliseconds, window.regime, last, side)
    if not len(found):
        return None
    target = np.nan if setup.target is None else setup.target
    close, stop, aim = np.array([[setup.close], [setup.stop], [target]])
    planned = float(planned_reward_risk(close, stop, aim, setup.reward_risk)[0])
    return model.opinion(model.encoder.encode(found)[0], setup.strategy, planned)


async def open_prior(app: Application, series: Collection[SeriesKey]) -> EarnedPrior | None:
    """``None`` where no timeframe of these has a prior that has earned its place: then nothing is asked at all."""
    models = {}
    for timeframe in {one.timeframe for one in series}:
        try:
            kept = await kept_model(app, timeframe)
        except ConfigurationError as error:
            logger.error("The prior of %s is not heard: %s", timeframe, error)
            continue
        verdict = await app.embeddings.newest_verdict(str(timeframe), kept.version) if kept else None
        earned = _earned(kept.model, kept.evidence["exchanges"], verdict) if kept and verdict else None
        if earned is not None:
            models[timeframe] = earned
    return EarnedPrior(models) if models else None


def _earned(model: FittedModel, exchanges: Sequence[str], verdict: EncoderVerdict) -> EarnedModel | None:
    half = verdict.judgement.get("half_below")
    if not verdict.earned or half is None:
        return None
    return EarnedModel(model, frozenset(exchanges), half, verdict.judgement.get("skip_below"))


async def verdicts_in_force(app: Application, series: Collection[SeriesKey]) -> Heard:
    """What ``open_prior`` would go by; when it is another, a new life has to begin to hear it."""
    found = [await app.embeddings.newest_verdict(name) for name in sorted({str(one.timeframe) for one in series})]
    return frozenset((one.timeframe, one.model_version, one.time) for one in found if one is not None)
