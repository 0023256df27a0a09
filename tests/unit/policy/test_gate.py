"""The gate on made-up trades: a market without edge is refused, a planted edge passes, and every reason is said."""

from functools import cache

import numpy as np
import pytest

from tradepulse.policy import gate, search
from tradepulse.policy.cross_fitting import RECENT_COLUMN, Fold, folds_of
from tradepulse.policy.evaluation import COLUMNS, SUM_R, SUM_R2, WINS, N, TimeColumns
from tradepulse.policy.gate import ANY, Candidate, Family, GateRules
from tradepulse.strategies import STRATEGIES

RULES = GateRules(draws=300)
POINTS = 256


@cache
def _design() -> search.Design:
    return search.design(STRATEGIES["volume_breakout"], POINTS)


HOUR = 3_600_000


def _folds(points: int) -> tuple[Fold, ...]:
    """Columns of a hundred hours, trades of at most ten to a hundred and fifty."""
    edges = np.arange(COLUMNS + 1, dtype=np.int64) * 100 * HOUR
    return folds_of(TimeColumns(edges, 0), np.linspace(10, 150, points).astype(np.int64) * HOUR)


def _family(
    edge: float, *, symbols: int = 6, trades: int = 240, seed: int = 0, recent_edge: float | None = None
) -> Family:
    """Each point trades at random; those near the cube's middle of the first three parameters earn ``edge`` R more.

    ``recent_edge``: what remains of it in the most recent time.
    """
    random = np.random.default_rng(seed)
    design = _design()
    near = np.exp(-(((design.cube[:, :3] - 0.5) / 0.6) ** 2).sum(axis=1))
    stats = []
    for _ in range(symbols):
        one = np.zeros((len(design.points), 4, COLUMNS, 4))
        for slot in range(4):
            count = trades if slot == ANY else trades // 3
            for column in range(COLUMNS):
                own = edge if column < RECENT_COLUMN or recent_edge is None else recent_edge
                n = random.poisson(count / COLUMNS, len(design.points))
                win = random.binomial(n, np.clip((1 + near * own) / 3, 0, 1))
                one[:, slot, column, N], one[:, slot, column, WINS] = n, win
                one[:, slot, column, SUM_R] = 2.0 * win - (n - win)
                one[:, slot, column, SUM_R2] = 4.0 * win + (n - win)
        stats.append(one.astype(np.float32))
    return Family("volume_breakout", "1h", stats, design, _folds(len(design.points)))


def _step(judgement: gate.FamilyJudgement, name: str) -> gate.Step:
    return next(step for step in judgement.steps if step.step == name)


def test_judge_family_when_an_edge_is_planted_then_the_family_passes() -> None:
    judgement = gate.judge_family(_family(0.5), RULES, seed=0, trials=POINTS)
    assert judgement.passed, judgement.reason
    assert [step.step for step in judgement.steps] == ["A", "B", "C", "G"]
    assert _step(judgement, "B").figures["p_value"] < 0.01


def test_judge_family_when_there_is_no_edge_then_it_is_rarely_passed() -> None:
    passed = [
        gate.judge_family(_family(0.0, seed=seed), RULES, seed=0, trials=POINTS, reports=False).passed
        for seed in range(12)
    ]
    assert sum(passed) <= 1


def test_judge_family_when_the_edge_has_turned_into_a_loss_then_step_c_refuses_it_for_the_most_recent_time() -> None:
    judgement = gate.judge_family(_family(0.8, recent_edge=-0.4), RULES, seed=0, trials=POINTS)
    step = _step(judgement, "C")
    assert step.figures["p_value"] < RULES.plateau_p, "over all time it still earned"
    assert step.figures["recent_mean_r"] < 0
    assert step.passed is False
    assert not judgement.passed
    assert "most recent time" in judgement.reason


def test_judge_family_when_there_are_few_trades_then_step_a_says_how_many() -> None:
    judgement = gate.judge_family(_family(0.5, symbols=1, trades=40), RULES, seed=0, trials=POINTS)
    assert judgement.point is None
    assert "100 trades" in judgement.reason
    assert _step(judgement, "B").passed is None


def test_judge_family_when_nothing_ever_traded_then_it_is_refused_without_an_error() -> None:
    family = _family(0.5, symbols=1, trades=4)
    empty = Family(family.strategy, family.timeframe, [np.zeros_like(family.stats[0])], family.design, family.folds)
    judgement = gate.judge_family(empty, RULES, seed=0, trials=POINTS)
    assert not judgement.passed
    choices = gate.choose_cells(empty, judgement, RULES)
    assert all(choice.thin for choice in choices[0])


@pytest.mark.parametrize("fold", [0, 3, 7])
def test_judge_family_when_a_fold_and_what_could_last_into_it_are_changed_then_the_choice_without_it_stays(
    fold: int,
) -> None:
    family = _family(0.3)
    before = gate.judge_family(family, RULES, seed=0, trials=POINTS, reports=False)
    cells = _chosen_without(family, before, fold)
    chosen = family.folds[fold]
    for stats in family.stats:
        for point, (left, right) in enumerate(zip(chosen.before, chosen.after, strict=True)):
            stats[point, :, left:right, SUM_R] *= -1
            stats[point, :, left:right, WINS] = 0
    after = gate.judge_family(family, RULES, seed=0, trials=POINTS, reports=False)
    assert after.chosen_without[fold] == before.chosen_without[fold]
    assert _chosen_without(family, after, fold) == cells
    assert after.held_out[chosen.first : chosen.end, SUM_R].sum() != pytest.approx(
        before.held_out[chosen.first : chosen.end, SUM_R].sum()
    )
    assert after.chosen_without != before.chosen_without, "the others have seen the change"


def _chosen_without(family: Family, judgement: gate.FamilyJudgement, fold: int) -> list[list[int | None]]:
    return [[choice.without[fold] for choice in row] for row in gate.choose_cells(family, judgement, RULES)]


def test_choose_cells_when_symbols_are_alike_then_most_share_the_family_s_plateau() -> None:
    family = _family(0.4)
    judgement = gate.judge_family(family, RULES, seed=0, trials=POINTS, reports=False)
    chosen = [choice.point for row in gate.choose_cells(family, judgement, RULES) for choice in row]
    middle = np.abs(family.design.cube[chosen][:, :3] - 0.5).mean()
    assert middle < np.abs(family.design.cube[:, :3] - 0.5).mean()


def test_families_when_many_are_looked_at_then_a_p_value_that_one_would_pass_with_is_not_enough() -> None:
    assert gate.of_all_families([0.04], RULES).tolist() == [True]
    assert gate.of_all_families([0.04, 0.6, 0.9, None], RULES).tolist() == [False, False, False, False]
    assert gate.of_all_families([0.004, 0.02, 0.9, None], RULES).tolist() == [True, True, False, False]
    assert gate.of_all_families([None], RULES).tolist() == [False]


def test_families_when_none_has_an_edge_then_one_is_found_in_at_most_one_job_of_twenty() -> None:
    random = np.random.default_rng(0)
    jobs = [gate.of_all_families(list(random.random(18)), RULES).any() for _ in range(2_000)]
    assert np.mean(jobs) < 0.065


def test_family_when_refused_among_many_then_its_step_b_says_among_how_many() -> None:
    judgement = gate.judge_family(_family(0.5), RULES, seed=0, trials=POINTS)
    refused = gate.refused_among_many(judgement, 18, RULES)
    step = _step(refused, "B")
    assert not refused.passed
    assert step.passed is False
    assert "not enough among 18 families at 5%" in step.reason
    assert refused.reason == step.reason
    assert _step(refused, "C") == _step(judgement, "C")


def test_overfitting_when_nothing_is_there_then_it_is_more_likely_than_where_an_edge_is_shared() -> None:
    found = [
        np.mean(
            [
                _step(gate.judge_family(_family(edge, seed=seed), RULES, seed=0, trials=POINTS), "G").figures["pbo"]
                for seed in range(4)
            ]
        )
        for edge in (0.0, 0.5)
    ]
    assert found[0] > 0.3
    assert found[1] < 0.1


def _sums(trades: int, wins: int, reward: float = 2.0) -> np.ndarray:
    return np.array([trades, wins, reward * wins - (trades - wins), reward**2 * wins + (trades - wins)], dtype=float)


def _candidate(trades: int, wins: int, symbol: str) -> Candidate:
    return Candidate(_sums(trades, wins), 1 / 3, {"symbol": symbol, "strategy": "s"})


def test_judge_combinations_when_one_is_clearly_above_break_even_then_it_passes() -> None:
    crowd = [_candidate(60, 20, f"c{row}") for row in range(10)]
    found = gate.judge_combinations([[*crowd, _candidate(400, 200, "good")]], RULES)[0]
    assert found[-1].passed
    assert not any(judgement.passed for judgement in found[:-1])


def test_judge_combinations_when_a_lucky_one_stands_in_a_crowd_then_its_claim_is_drawn_back() -> None:
    crowd = [_candidate(60, 20, f"c{row}") for row in range(30)]
    lucky = gate.judge_combinations([[*crowd, _candidate(20, 12, "lucky")]], RULES)[0][-1]
    assert lucky.precision < 0.45
    assert lucky.precision_lower < 1 / 3


def test_judge_combinations_when_targets_differ_then_only_the_distance_from_break_even_is_pooled() -> None:
    small = [Candidate(_sums(200, 80, 1.5), 0.4, {"symbol": f"a{row}", "strategy": "s"}) for row in range(8)]
    large = [Candidate(_sums(200, 40, 4.0), 0.2, {"symbol": f"b{row}", "strategy": "s"}) for row in range(8)]
    for judgement, wanted in zip(
        gate.judge_combinations([[*small, *large]], RULES)[0], [0.4] * 8 + [0.2] * 8, strict=True
    ):
        assert judgement.precision == pytest.approx(wanted, abs=0.02)
        assert not judgement.passed


def test_better_than_defaults_when_the_defaults_do_as_well_then_they_are_judged_instead() -> None:
    probability, step = gate.better_than_defaults(_sums(100, 40), _sums(100, 41), RULES)
    assert probability is not None
    assert probability < 0.5
    assert step.passed is False
    assert "defaults are judged instead" in step.reason


def test_better_than_defaults_when_the_defaults_hardly_trade_then_there_is_nothing_to_compare() -> None:
    probability, step = gate.better_than_defaults(_sums(100, 40), _sums(3, 1), RULES)
    assert probability is None
    assert step.passed


def test_regime_when_its_own_parameters_prove_nothing_then_those_of_all_regimes_are_judged() -> None:
    assert gate.better_than_parent(_sums(200, 110), _sums(200, 60), RULES).passed
    doubtful = gate.better_than_parent(_sums(60, 24), _sums(60, 22), RULES)
    assert doubtful.passed is False
    assert "those of all regimes are judged instead" in doubtful.reason
    thin = gate.better_than_parent(_sums(1, 1), _sums(60, 20), RULES)
    assert thin.passed is False, "one trade proves nothing"
    assert "too few trades" in thin.reason


@pytest.mark.parametrize(
    ("positive", "dearer", "later", "difference", "words"),
    [
        (0.5, 0.1, 0.1, None, "neighbouring"),
        (0.9, -0.1, 0.1, None, "1.5 times the costs"),
        (0.9, 0.1, -0.1, None, "one bar later"),
        (0.9, None, 0.1, None, "too few trades"),
        (0.9, 0.1, 0.1, "trade 3 ends earlier", "trade 3 ends earlier"),
    ],
)
def test_robustness_when_anything_breaks_it_then_it_refuses_and_says_what(
    positive: float, dearer: float | None, later: float, difference: str | None, words: str
) -> None:
    step = gate.robustness(positive, lambda factor, delay: later if delay else dearer, difference, RULES)
    assert step.passed is False
    assert words in step.reason


def test_robustness_when_everything_holds_then_it_passes() -> None:
    assert gate.robustness(0.8, lambda factor, delay: 0.1, None, RULES).passed


def test_payoff_of_when_wins_are_twice_the_losses_then_break_even_is_a_third() -> None:
    payoff, break_even = gate.payoff_of(np.array([2.0, 2.0, -1.0, -1.0, -1.0]))
    assert payoff == pytest.approx(2.0)
    assert break_even == pytest.approx(1 / 3)
    assert gate.payoff_of(np.array([1.0])) == (None, None)


def test_plain_when_a_figure_is_not_finite_then_it_is_null() -> None:
    assert gate.plain(float("nan")) is None
    assert gate.plain(np.float64(0.1234567891)) == 0.123457
    assert gate.plain(np.bool_(True)) is True
