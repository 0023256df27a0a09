"""Bounds are judged as the gate publishes them: for the true precision, not for the luck of so many trades."""

import numpy as np
import pytest
from benchmarks.honesty_tables import chance_above_bound, chance_of_so_few, goal_rows
from scipy import special

from tradepulse.domain.training import JsonObject


def _row(wins: int, trades: int, precision: float = 0.5, lower: float = 0.42) -> JsonObject:
    published = {"precision": precision, "precision_lower": lower, "expectancy_r": 0.1}
    row = {"deployed": True, "published": published, "trades": trades, "wins": wins, "sum_r": 0.0, "slot": 3}
    return row | {"parent_trades": trades, "parent_sum_r": 0.0}


def test_bound_when_true_precisions_are_drawn_as_published_then_it_fails_in_about_five_of_a_hundred() -> None:
    random = np.random.default_rng(0)
    spread = (special.logit(0.5) - special.logit(0.42)) / 1.6448536
    shares = special.expit(special.logit(0.5) + spread * random.normal(size=4_000))
    rows = [_row(int(random.binomial(60, share)), 60) for share in shares]
    failed = np.mean([chance_of_so_few(row) < 0.05 for row in rows])
    assert 0.025 < failed < 0.055, "wins are whole numbers, so that it errs on the strict side at most a little"
    above = np.mean([row["wins"] / 60 >= 0.42 for row in rows])
    assert chance_above_bound(rows[0]) == pytest.approx(above, abs=0.02)


def test_bound_when_precision_is_ten_points_lower_than_published_then_it_fails_far_more_often() -> None:
    random = np.random.default_rng(1)
    rows = [_row(int(random.binomial(200, 0.38)), 200) for _ in range(400)]
    assert np.mean([chance_of_so_few(row) < 0.05 for row in rows]) > 0.4


def test_goals_when_bounds_fail_then_the_table_says_missed() -> None:
    task = {"edge": 0.3, "breadth": "broad", "costs": True, "kind": "simulated", "swap": False, "strategies": ["s"]}
    family = {"passed": True, "deployed": 1}
    outcomes = [{"task": task, "families": [family], "combinations": [_row(20, 100)]} for _ in range(3)]
    lines = {row[0]: row for row in goal_rows(outcomes)}
    bound = next(row for name, row in lines.items() if name.startswith("lower bound"))
    assert bound[2].startswith("0/3")
    assert bound[3] == "**MISSED**"
    assert lines["published precision against realised"][3] == "**MISSED**"
