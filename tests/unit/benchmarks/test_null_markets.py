"""Null markets keep what real candles are like and lose only what could be known about their direction."""

from collections.abc import Callable

import numpy as np
import pytest
from benchmarks.null_markets import (
    CLOSE,
    HIGH,
    KINDS,
    LOW,
    OPEN,
    Moves,
    Random,
    candles_of,
    flipped,
    market_of,
    moves_of,
    permuted,
    simulated,
)

from tradepulse.domain.market import Candles, FloatArray, Timeframe
from tradepulse.exchanges.capabilities import fits

LENGTH, SYMBOLS = 6_000, 4


def leaning() -> Moves:
    """Simulated moves with what a null must not keep: a rise of a fifth of a standard deviation per bar."""
    moves = simulated(np.random.default_rng(5), Timeframe.H1, LENGTH, SYMBOLS)
    rise = 0.2 * moves.shape[..., CLOSE].std()
    return moves._replace(shape=moves.shape + rise)


def made(kind: str, seed: int = 3) -> Moves:
    random = np.random.default_rng(seed)
    shuffle = KINDS[kind]
    return simulated(random, Timeframe.H1, LENGTH, SYMBOLS) if shuffle is None else shuffle(random, leaning())


def memory_of_size(moves: Moves, lag: int) -> float:
    """Mean autocorrelation of absolute returns, large ones cut off so that one day does not decide."""
    size = np.abs(moves.shape[..., CLOSE])
    size = np.minimum(size, np.quantile(size, 0.99, axis=1, keepdims=True))
    return float(np.mean([np.corrcoef(row[lag:], row[:-lag])[0, 1] for row in size]))


def tie_of_volume(moves: Moves) -> float:
    """Mean rank correlation of volume and the size of the move."""
    size = np.argsort(np.argsort(np.abs(moves.shape[..., CLOSE]), axis=1), axis=1)
    volume = np.argsort(np.argsort(moves.volume, axis=1), axis=1)
    return float(np.mean([np.corrcoef(*rows)[0, 1] for rows in zip(size, volume, strict=True)]))


def togetherness(moves: Moves) -> float:
    """Mean correlation of all pairs of symbols."""
    together = np.atleast_2d(np.corrcoef(moves.shape[..., CLOSE]))
    return float(together[np.triu_indices(len(together), 1)].mean())


def distance_from_zero(returns: FloatArray) -> FloatArray:
    """Mean return of each symbol in its standard errors."""
    return np.asarray(np.abs(returns.mean(axis=1)) / (returns.std(axis=1) / np.sqrt(returns.shape[1])))


every_kind = pytest.mark.parametrize("kind", KINDS)
shuffles = pytest.mark.parametrize("shuffle", [flipped, permuted])


@shuffles
@pytest.mark.parametrize("lag", [1, 6, 24])
def test_shuffled_market_when_compared_with_its_source_then_volatility_clusters_alike(
    shuffle: Callable[[Random, Moves], Moves], lag: int
) -> None:
    source = leaning()
    market = shuffle(np.random.default_rng(3), source)
    assert memory_of_size(source, lag) > 0.07
    assert memory_of_size(market, lag) == pytest.approx(memory_of_size(source, lag), abs=0.06)


@shuffles
def test_shuffled_market_when_compared_with_its_source_then_volume_and_correlation_stay(
    shuffle: Callable[[Random, Moves], Moves],
) -> None:
    source = leaning()
    market = shuffle(np.random.default_rng(3), source)
    assert tie_of_volume(market) == pytest.approx(tie_of_volume(source), abs=0.06)
    assert togetherness(market) == pytest.approx(togetherness(source), abs=0.06)


def test_simulated_market_then_volatility_clusters_volume_follows_and_symbols_move_together() -> None:
    market = made("simulated")
    assert memory_of_size(market, 1) > 0.15
    assert memory_of_size(market, 24) > 0.08
    assert tie_of_volume(market) > 0.3
    assert 0.3 < togetherness(market) < 0.8


def test_leaning_source_then_it_does_rise() -> None:
    assert distance_from_zero(leaning().shape[..., CLOSE]).min() > 8.0


@every_kind
def test_null_market_then_prices_rise_no_more_than_chance_lets_them(kind: str) -> None:
    seeds = range(6)
    assert max(distance_from_zero(made(kind, seed).shape[..., CLOSE]).mean() for seed in seeds) < 3.0


@every_kind
@pytest.mark.parametrize("bars", [1, 4, 12])
def test_null_market_when_the_last_bars_rose_then_the_next_ones_do_not_know_it(kind: str, bars: int) -> None:
    """Sign against sign over many seeds: no momentum and no reversal; one source of moves per seed is one sample."""
    found = []
    for seed in range(12):
        returns = made(kind, seed).shape[..., CLOSE].mean(axis=0)
        sums = np.convolve(returns, np.ones(bars), "valid")[::bars]
        found.append(float(np.mean(np.sign(sums[1:]) * np.sign(sums[:-1])) * np.sqrt(len(sums))))
    # Blocks of some bars stay together in a permuted market: a simulated source has no memory to leave in them.
    assert abs(np.mean(found)) < 4.0 / np.sqrt(len(found))


@every_kind
def test_null_market_then_candles_are_valid_and_on_the_grid(kind: str) -> None:
    market = market_of(kind, 3, made(kind), swap=True, costs=True)
    for symbol, candles in market.candles.items():
        assert fits(market.specs[symbol].tick_size, candles)
        assert (candles.low > 0).all()
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        assert (candles.volume >= 0).all()
        assert (np.diff(candles.open_time) > 0).all()


def test_flipped_market_when_no_bar_is_turned_over_then_the_source_itself() -> None:
    class Never:
        def random(self, count: int) -> FloatArray:
            return np.ones(count)

    source = leaning()
    np.testing.assert_array_equal(flipped(Never(), source).shape, source.shape)  # type: ignore[arg-type]


def test_flipped_market_when_a_bar_is_turned_over_then_mirrored_around_the_close_before() -> None:
    source = leaning()
    market = flipped(np.random.default_rng(3), source)
    turned = np.flatnonzero(market.shape[0, :, CLOSE] != source.shape[0, :, CLOSE])
    assert 0.4 < len(turned) / LENGTH < 0.6
    np.testing.assert_array_equal(market.shape[:, turned][..., HIGH], -source.shape[:, turned][..., LOW])
    np.testing.assert_array_equal(market.shape[:, turned][..., OPEN], -source.shape[:, turned][..., OPEN])


def test_moves_when_laid_out_as_candles_and_read_back_then_the_same_to_a_tick() -> None:
    source = simulated(np.random.default_rng(5), Timeframe.H1, 500, 1)
    candles, tick = candles_of(source.open_time, source.shape[0], source.volume[0])
    again = moves_of({"A": candles})
    np.testing.assert_allclose(again.shape[0], source.shape[0, 1:], atol=4 * float(tick) / float(candles.low.min()))


def test_moves_when_symbols_have_different_holes_then_only_common_times() -> None:
    source = simulated(np.random.default_rng(5), Timeframe.H1, 60, 2)
    both = [candles_of(source.open_time, source.shape[row], source.volume[row])[0] for row in range(2)]
    holed = [without(both[0], 20), without(both[1], 40)]
    times = moves_of({"A": holed[0], "B": holed[1]}).open_time
    assert len(times) == 57
    assert not np.isin(source.open_time[[20, 40]], times).any()


def without(candles: Candles, row: int) -> Candles:
    keep = np.arange(len(candles)) != row
    columns = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    return Candles(candles.open_time[keep], *(column[keep] for column in columns))


@every_kind
def test_null_market_when_made_again_from_its_seed_then_the_same(kind: str) -> None:
    np.testing.assert_array_equal(made(kind).shape, made(kind).shape)
