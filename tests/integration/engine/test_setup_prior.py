"""The prior is one voice about the size: it takes away, it is named, and nothing depends on its being there."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from tests.integration.engine.planned import Life, Scene, Wish, lived
from tests.integration.engine.scripted import MARKET, OTHER

from tradepulse.bootstrap.prior import EarnedModel, EarnedPrior
from tradepulse.core.effective_size import Opinion, Voice
from tradepulse.domain.events import EngineEvent, EntryPlanned, SetupEvaluated
from tradepulse.domain.market import Timeframe
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Setup, Verdict
from tradepulse.encoder.encoder_model import COMPONENTS, DIMENSIONS, EncoderModel
from tradepulse.encoder.features import CHANNELS, HAND_FEATURES, WINDOW
from tradepulse.encoder.fitted_model import FittedModel
from tradepulse.encoder.prior import BaseRates, PriorHead
from tradepulse.kernels.fills import PPM
from tradepulse.strategies.base_strategy import MarketHistory

BARS = 120
PRICES = [100.0 + 0.2 * np.sin(bar) for bar in range(BARS)]
PLAIN = Scene(AccountLimits(), {MARKET: PRICES, OTHER: PRICES}, (Wish(MARKET, 105), Wish(OTHER, 105)))


@dataclass(frozen=True)
class Says:
    """A prior that says what a test wants, and remembers what it was shown."""

    answer: Callable[[Setup], Opinion | None]
    bars: int = 40
    shown: list[MarketHistory] = field(default_factory=list)

    def opinion(self, setup: Setup, window: MarketHistory) -> Opinion | None:
        self.shown.append(window)
        return self.answer(setup)


def lots(life: Life) -> dict[str, int]:
    return {event.setup_id: event.lots for event in life.journal.told if isinstance(event, EntryPlanned)}


def judged(life: Life, symbol: str) -> tuple[Verdict, str]:
    (found,) = [one for one in life.told if isinstance(one, SetupEvaluated) and one.setup.series.symbol == symbol]
    return found.verdict, found.reason


async def test_prior_halves_and_skips_is_named_and_says_the_same_whenever_it_is_killed() -> None:
    share = {MARKET.symbol: PPM // 2, OTHER.symbol: 0}
    prior = Says(lambda setup: Opinion(Voice.ENCODER, share[setup.series.symbol], "12 % against 20 %"))
    life, plain = await lived(replace(PLAIN, prior=prior), every=40), await Life(PLAIN).live()
    (name,) = lots(life)
    assert lots(life)[name] == lots(plain)[name] // 2
    assert judged(life, MARKET.symbol) == (
        Verdict.ACCEPTED,
        "50 % of the usual size by the encoder prior (12 % against 20 %)",
    )
    assert judged(life, OTHER.symbol)[0] is Verdict.PRIOR_TOO_LOW
    windows = {(len(window), int(window.candles.open_time[-1])) for window in prior.shown}
    assert windows == {(40, PLAIN.time(104))}, "the candle of the setup is the last it sees"


def raises(_: Setup) -> Opinion:
    raise RuntimeError("the encoder is broken")


@pytest.mark.parametrize(
    "answer",
    [raises, lambda _: None, lambda _: Opinion(Voice.ENCODER, PPM), lambda _: Opinion(Voice.ENCODER, 9 * PPM)],
    ids=["raises", "silent", "likes it", "likes it very much"],
)
async def test_decisions_when_the_prior_has_nothing_to_take_away_then_as_without_one(
    answer: Callable[[Setup], Opinion | None],
) -> None:
    with_it, without = await Life(replace(PLAIN, prior=Says(answer))).live(), await Life(PLAIN).live()
    told: list[EngineEvent] = without.journal.told
    assert len(lots(without)) == 2
    assert with_it.journal.told == told


def pessimistic_model(*strategies: str) -> FittedModel:
    """It finds every setup much worse than usual."""
    flat = np.zeros((WINDOW * CHANNELS, COMPONENTS))
    ones = np.ones(len(HAND_FEATURES))
    encoder = EncoderModel("m", np.zeros(WINDOW * CHANNELS), flat, -5 * ones, ones, 1.0)
    head = PriorHead(np.full(DIMENSIONS, -0.1), BaseRates(0.4, {}), 1.0)
    return FittedModel(encoder, head, strategies)


def pessimist(exchange: str, half_below: float, skip_below: float | None) -> EarnedPrior:
    model = pessimistic_model("scripted", "second")
    return EarnedPrior({Timeframe.M5: EarnedModel(model, frozenset({exchange}), half_below, skip_below)})


async def test_earned_prior_when_it_gives_little_then_the_story_tells_the_chances() -> None:
    life, plain = await Life(replace(PLAIN, prior=pessimist("replay", -0.05, None))).live(), await Life(PLAIN).live()
    assert lots(life) == {name: usual // 2 for name, usual in lots(plain).items()}
    verdict, reason = judged(life, MARKET.symbol)
    assert verdict is Verdict.ACCEPTED
    assert "encoder prior" in reason
    assert "40.0% is usual" in reason
    skipped = await Life(replace(PLAIN, prior=pessimist("replay", -0.05, -0.1))).live()
    assert judged(skipped, MARKET.symbol)[0] is Verdict.PRIOR_TOO_LOW


async def test_earned_prior_on_an_exchange_it_was_not_judged_on_then_silent() -> None:
    life, plain = await Life(replace(PLAIN, prior=pessimist("binance", -0.05, 0.0))).live(), await Life(PLAIN).live()
    assert life.journal.told == plain.journal.told
