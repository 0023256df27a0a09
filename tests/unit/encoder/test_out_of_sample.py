"""The prior earns its place where windows tell outcomes and it pays, and nowhere else."""

import json

import numpy as np
import pytest
from scipy.special import expit

from tradepulse.encoder.features import CHANNELS, HAND_FEATURES, WINDOW, Windows
from tradepulse.encoder.out_of_sample import CONTROLS, HEAD, Judgement, Samples, judge, score
from tradepulse.encoder.prior import Resolved
from tradepulse.shared.errors import ConfigurationError

HOUR = 3_600_000
COUNT, SAMPLED = 1_500, 6_500


def windows(rng: np.random.Generator, count: int) -> Windows:
    shapes = rng.normal(size=(count, WINDOW * CHANNELS)).astype(np.float32)
    return Windows(np.arange(count), shapes, rng.normal(size=(count, len(HAND_FEATURES))).astype(np.float32))


def judged(strength: float, win: float = 3.0, lose: float = -1.0, spoiled: bool = False) -> Judgement:
    """``strength``: how much the first feature by hand tells about the outcome. ``spoiled``: windows of winners pay
    little, as where a calm market makes fees a large part of the risk."""
    rng = np.random.default_rng(3)
    found, times = windows(rng, COUNT), np.arange(COUNT) * 4 * HOUR
    odds = strength * found.hand[:, 0]
    won = rng.random(COUNT) < expit(-1.2 + odds)
    r = np.where(won, win, lose)
    if spoiled:
        r = np.where(odds > 0, np.where(won, 0.3, -1.0), np.where(won, 4.0, -0.5))
    outcomes = Resolved(np.zeros((COUNT, 1), np.float32), won, r, rng.integers(0, 4, COUNT), times, times + HOUR)
    samples = Samples(windows(rng, SAMPLED), np.sort(rng.integers(0, int(times[-1]), SAMPLED)))
    return judge(score(samples, found, outcomes, 1), 1)


def test_judgement_when_windows_tell_the_outcome_then_earned_with_the_controls_beside_it() -> None:
    found = judged(1.2)
    assert found.earned, found.reasons
    assert set(CONTROLS) <= set(found.top)
    assert found.top[HEAD].precision.low > 0.1
    assert all(found.beyond[name].low > 0.1 for name in CONTROLS)
    assert found.half_below is not None
    assert found.skip_below is not None
    assert found.skip_below < found.half_below < 0
    assert found == judged(1.2), "the same data and seed, the same judgement"
    assert json.loads(json.dumps(found.to_json()))["earned"] is True


def test_judgement_when_windows_tell_nothing_then_not_earned_and_no_size_would_change() -> None:
    found = judged(0.0)
    assert not found.earned
    assert (found.half_below, found.skip_below) == (None, None)
    assert any(reason.startswith("NO: the best fifth won more often") for reason in found.reasons)


def test_judgement_when_it_wins_more_often_and_earns_less_then_not_earned() -> None:
    found = judged(1.2, spoiled=True)
    assert found.top[HEAD].precision.low > 0.1
    assert not found.earned
    assert any(reason.startswith("NO: the best fifth earned more") for reason in found.reasons)


def test_judgement_when_there_are_too_few_outcomes_then_refused_with_a_remedy() -> None:
    rng = np.random.default_rng(1)
    nothing = np.empty(0, np.int64)
    none = Resolved(np.zeros((0, 1), np.float32), nothing.astype(bool), nothing * 1.0, nothing, nothing, nothing)
    with pytest.raises(ConfigurationError, match="download-data"):
        score(Samples(windows(rng, 2_000), np.arange(2_000)), windows(rng, 0), none, 1)
