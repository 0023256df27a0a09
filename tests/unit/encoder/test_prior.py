"""The prior knows what is there, and nothing where nothing is."""

import numpy as np
from scipy.special import expit

from tradepulse.encoder.prior import BaseRates, Resolved, concatenated, fit_prior, nearest_share

HOUR = 3_600_000


def outcomes(seed: int, count: int, strength: float, dimensions: int = 20) -> Resolved:
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(count, dimensions)).astype(np.float32)
    group = rng.integers(0, 3, count)
    odds = np.array([-1.5, -0.5, 0.5])[group] + strength * embedding[:, 0]
    won = rng.random(count) < expit(odds)
    found = np.arange(count) * HOUR
    return Resolved(embedding, won, np.where(won, 2.0, -1.0), group, found, found + 5 * HOUR)


def test_prior_when_the_window_tells_the_outcome_then_it_is_found() -> None:
    head = fit_prior(outcomes(1, 3_000, 1.0))
    assert head is not None
    unseen = outcomes(2, 3_000, 1.0)
    excess = head.probability(unseen.embedding, unseen.group) - head.rates.at(unseen.group)
    best = excess >= np.quantile(excess, 0.8)
    assert unseen.won[best].mean() > unseen.won.mean() + 0.2


def test_prior_when_the_window_tells_nothing_then_it_answers_the_base_rate() -> None:
    spread = []
    for seed in range(5):
        seen = outcomes(seed, 2_000, 0.0)
        head = fit_prior(seen)
        assert head is not None
        spread.append(np.abs(head.probability(seen.embedding, seen.group) - head.rates.at(seen.group)).mean())
    assert np.median(spread) < 0.02


def test_prior_when_few_outcomes_are_known_then_there_is_none() -> None:
    assert fit_prior(outcomes(1, 199, 1.0)) is None


def test_base_rate_when_a_combination_has_few_setups_then_it_is_near_that_of_all() -> None:
    seen = outcomes(1, 1_000, 0.0)
    one_win = Resolved(
        np.zeros((1, 20), np.float32), np.array([True]), np.ones(1), np.array([9]), np.zeros(1, int), np.ones(1, int)
    )
    rates = BaseRates.of(concatenated([seen, one_win]))
    assert abs(rates.at(np.array([9]))[0] - rates.overall) < 0.05
    assert rates.at(np.array([77]))[0] == rates.overall


def test_most_alike_when_the_future_is_planted_then_it_is_not_seen() -> None:
    """Copies of the question that won, but were resolved only after it was asked, must not be among the answers."""
    seen = outcomes(4, 500, 0.0)
    asked, asked_at = seen.embedding[:1], np.array([200 * HOUR])
    copies = 300
    planted = Resolved(
        np.repeat(asked, copies, axis=0),
        np.ones(copies, dtype=bool),
        np.ones(copies),
        np.zeros(copies, int),
        np.full(copies, 199 * HOUR),
        np.full(copies, 200 * HOUR),
    )
    honest, _ = nearest_share(seen, asked, asked_at, 100)
    tempted, _ = nearest_share(concatenated([seen, planted]), asked, asked_at, 100)
    assert honest == tempted
    later, _ = nearest_share(concatenated([seen, planted]), asked, asked_at + 1, 100)
    assert later[0] == 1.0
