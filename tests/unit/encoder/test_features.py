"""What a window says must not depend on price level, volume level, side, past or future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import Candles
from tradepulse.encoder.encoder_model import COMPONENTS, DIMENSIONS, fit_encoder
from tradepulse.encoder.features import CHANNELS, HAND_FEATURES, WINDOW, Windows, windows_of
from tradepulse.shared.errors import ConfigurationError

HOUR = 3_600_000


def random_candles(seed: int, count: int = 400) -> Candles:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(opened, close) * (1 + rng.random(count) * 0.004)
    low = np.minimum(opened, close) * (1 - rng.random(count) * 0.004)
    return Candles(np.arange(count) * HOUR, opened, high, low, close, rng.lognormal(3, 1, count))


def windows(candles: Candles, bars: list[int], side: int = 1) -> Windows:
    regime = np.zeros(len(candles), np.int8)
    return windows_of(candles, HOUR, regime, np.array(bars, np.int64), np.full(len(bars), side))


def changed(candles: Candles, **columns: np.ndarray) -> Candles:
    names = ("open_time", "open", "high", "low", "close", "volume")
    return Candles(*(columns.get(name, getattr(candles, name)) for name in names))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(WINDOW, 398), st.sampled_from((1, -1)))
def test_window_when_the_future_and_the_far_past_change_then_it_stays(seed: int, bar: int, side: int) -> None:
    candles, other = random_candles(seed), random_candles(seed + 1)
    first, last = bar - WINDOW, bar + 1
    mixed = Candles(
        candles.open_time,
        *(
            np.concatenate((theirs[:first], ours[first:last], theirs[last:]))
            for ours, theirs in (
                (getattr(candles, name), getattr(other, name)) for name in ("open", "high", "low", "close", "volume")
            )
        ),
    )
    ours, theirs = windows(candles, [bar], side), windows(mixed, [bar], side)
    assert (ours.shapes == theirs.shapes).all()
    assert (ours.hand == theirs.hand).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_window_when_price_and_volume_are_in_other_units_then_it_stays(seed: int, price: float, volume: float) -> None:
    candles = random_candles(seed)
    scaled = changed(
        candles,
        **{name: getattr(candles, name) * price for name in ("open", "high", "low", "close")},
        volume=candles.volume * volume,
    )
    ours, theirs = windows(candles, [200, 300]), windows(scaled, [200, 300])
    np.testing.assert_allclose(ours.shapes, theirs.shapes, atol=1e-4)
    np.testing.assert_allclose(ours.hand, theirs.hand, atol=1e-4)


def test_window_when_looked_at_for_a_short_then_it_is_the_mirrored_market_for_a_long() -> None:
    candles = random_candles(3)
    # Mirrored at a level far above, so that distances stay what they are.
    level = 400.0
    mirrored = changed(
        candles,
        open=level - candles.open,
        high=level - candles.low,
        low=level - candles.high,
        close=level - candles.close,
    )
    short, long = windows(candles, [150], -1), windows(mirrored, [150])
    np.testing.assert_allclose(short.shapes, long.shapes, atol=1e-5)
    signed = [HAND_FEATURES.index(name) for name in ("place_in_96", "place_in_24", "close_in_bar")]
    np.testing.assert_allclose(short.hand[:, signed], long.hand[:, signed], atol=1e-5)


def test_window_when_short_holed_or_dead_then_it_is_left_out() -> None:
    candles = random_candles(5)
    assert len(windows(candles, [WINDOW - 1])) == 0
    assert windows(candles, [10, WINDOW, 200]).rows.tolist() == [1, 2]
    times = candles.open_time.copy()
    times[150:] += HOUR
    assert windows(changed(candles, open_time=times), [149, 160, 245, 246]).rows.tolist() == [0, 3]
    assert len(windows(changed(candles, volume=np.zeros(400)), [200])) == 0
    flat = np.full(400, 7.0)
    assert len(windows(changed(candles, open=flat, high=flat, low=flat, close=flat), [200])) == 0
    assert len(windows(Candles.empty(), [])) == 0


def test_encoder_when_fitted_then_components_are_white_and_the_same_again() -> None:
    candles = random_candles(7, 2_000)
    seen = windows(candles, list(range(WINDOW, 2_000)))
    assert seen.shapes.shape == (2_000 - WINDOW, WINDOW * CHANNELS)
    model, again = fit_encoder(seen), fit_encoder(seen)
    encoded = model.encode(seen)
    assert encoded.shape == (len(seen), DIMENSIONS)
    assert np.abs(encoded[:, :COMPONENTS].std(axis=0) - 1).max() < 0.15
    assert model.version == again.version
    assert (encoded == again.encode(seen)).all()
    assert fit_encoder(windows(candles, list(range(WINDOW, 1_990)))).version != model.version


def test_encoder_when_windows_are_few_then_refused_with_the_remedy() -> None:
    candles = random_candles(7)
    with pytest.raises(ConfigurationError, match="1,000 are needed"):
        fit_encoder(windows(candles, [200]))
