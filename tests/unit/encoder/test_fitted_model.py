"""A fitted model is its bytes: the same ones from the same data, and read back as they were."""

import numpy as np
import pytest
from scipy.special import expit

from tradepulse.encoder.encoder_model import COMPONENTS, DIMENSIONS, fit_encoder
from tradepulse.encoder.features import CHANNELS, HAND_FEATURES, WINDOW, Windows
from tradepulse.encoder.fitted_model import FittedModel, groups_of, planned_reward_risk
from tradepulse.encoder.prior import Resolved, fit_prior, size_by_prior
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import ConfigurationError

HOUR = 3_600_000


def model(seed: int = 1) -> FittedModel:
    rng = np.random.default_rng(seed)
    shapes = rng.normal(size=(1_200, WINDOW * CHANNELS)).astype(np.float32)
    hand = rng.normal(size=(1_200, len(HAND_FEATURES))).astype(np.float32)
    windows = Windows(np.arange(1_200), shapes, hand)
    encoder = fit_encoder(windows)
    embedding = encoder.encode(windows)
    won = rng.random(1_200) < expit(-1 + embedding[:, COMPONENTS])
    times = np.arange(1_200) * HOUR
    seen = Resolved(embedding, won, np.where(won, 2.0, -1.0), rng.integers(0, 12, 1_200), times, times + HOUR)
    return FittedModel(encoder, fit_prior(seen), ("a", "b", "c"))


def test_model_when_fitted_again_on_the_same_then_the_same_bytes_and_on_other_data_another_version() -> None:
    first, again, other = model(), model(), model(2)
    assert first.to_bytes() == again.to_bytes()
    assert first.version == again.version != other.version


def test_model_when_read_back_then_it_says_the_same() -> None:
    fitted = model()
    read = FittedModel.from_bytes(fitted.to_bytes())
    embedding = np.random.default_rng(5).normal(size=DIMENSIONS).astype(np.float32)
    assert read.version == fitted.version
    assert read.encoder.version == fitted.encoder.version
    assert read.opinion(embedding, "b", 2.5) == fitted.opinion(embedding, "b", 2.5)
    assert read.opinion(embedding, "unknown", 2.5) is None


@pytest.mark.parametrize("damage", [b"", b"not json\n", b"[1]\n", model().to_bytes()[:-8]])
def test_model_when_its_bytes_are_damaged_then_refused_with_a_remedy(damage: bytes) -> None:
    with pytest.raises(ConfigurationError, match="encoder train"):
        FittedModel.from_bytes(damage)


def test_group_when_the_target_is_farther_then_another_base_rate() -> None:
    bands = groups_of(1, np.array([1.5, 2.0, 2.9, 3.5, 9.0])).tolist()
    assert bands == [4, 5, 5, 6, 7]
    planned = planned_reward_risk(np.array([100.0, 100.0]), np.array([90.0, 105.0]), np.array([130.0, np.nan]), 2.5)
    assert planned.tolist() == [3.0, 2.5]


def test_size_by_prior_when_something_was_not_earned_then_it_takes_nothing_away() -> None:
    assert [size_by_prior(excess, -0.02, -0.05) for excess in (0.5, 0.0, -0.02, -0.05, -0.9)] == [
        PPM, PPM, PPM // 2, 0, 0,
    ]  # fmt: skip
    assert size_by_prior(-0.9, None, None) == PPM
    assert size_by_prior(-0.9, -0.02, None) == PPM // 2
    assert size_by_prior(float("nan"), -0.02, -0.05) == PPM
