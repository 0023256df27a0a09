"""How training and trained assets look: figures that are missing, of another shape, or too large never break a page."""

from typing import Any

import pytest

from tradepulse.cli import main
from tradepulse.cli.configuration_screen import configuration_json, configuration_row, show_evidence, show_matrix
from tradepulse.cli.training_screen import in_r, percent, show_report, show_walk, with_bound
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import Combination, Configuration, Origin, Stage, StageMove
from tradepulse.policy.answers import Matrix, MatrixCell

COMBINATION = Combination(SeriesKey("binance", "BTC/USDT", Timeframe.H1), "htf_sweep", Regime.BULL)
COMMANDS = ("train", "training-jobs", "training-report", "walk-forward", "matrix", "list-configurations")
COMMANDS += ("show-configuration", "promote", "retire", "activate", "deactivate", "rollback")
COMMANDS += ("export-configurations", "import-configurations")
STRANGE: list[Any] = [
    {},
    {"combination": None, "family": [], "pbo": "low"},
    {"combination": {"training": 7, "held_out": {"trades": "[bold]many[/nonsense]"}, "steps": {"D": 1}}},
    {"combination": {"steps": [1, {"step": [], "passed": {}, "reason": None}], "data": {"first": 10**30, "hash": {}}}},
    {"combination": {"published": {"precision": "0.9", "expectancy_r": [], "effective_trades": {}}}, "seed": {}},
]


def configuration(evidence: Any) -> Configuration:
    known = ("0123456789abcdef", COMBINATION, 3, {"reward_risk": 2.5}, "p", Origin.IMPORTED, Stage.VALIDATION)
    return Configuration(*known, True, evidence, None, 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_when_asked_then_json_is_offered(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("evidence", STRANGE)
def test_evidence_when_it_comes_from_a_stranger_then_shown_as_far_as_it_makes_sense(
    evidence: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    found = configuration(evidence)
    move = StageMove(found.configuration_id, 0, "created", Stage.VALIDATION, True, "me", "[red]because[/nonsense]")
    show_evidence(found, [move])
    said = capsys.readouterr().out
    assert "version 3" in said
    assert "[red]because[/nonsense]" in said
    assert len(configuration_row(found)) == 9
    assert configuration_json(found)["regime"] == "bull"


def test_figures_when_there_are_none_then_a_dash_instead_of_a_zero() -> None:
    assert (percent(None), with_bound(None, 0.5), in_r(None)) == ("-", "-", "-")
    assert (percent(0.5), with_bound(0.5, None), in_r(-0.25)) == ("50.0%", "50.0% (-)", "-0.25 R")


def test_matrix_when_shown_then_every_cell_with_its_reason_and_parents_only_where_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    empty = (None,) * 3
    cell = MatrixCell(COMBINATION, "not traded", "The gate: no.", *empty, None, 0.0, 12, 0.5, 0.3, *([None] * 6))
    parent = MatrixCell(COMBINATION.parent, "never trained", "Never.", *empty, None, 0.0, *([None] * 9))
    show_matrix(Matrix("BTC/USDT", "binance", (cell,), (parent,)))
    said = capsys.readouterr().out
    assert "50.0% (30.0%)" in said
    assert "The gate: no." in said
    assert "fall back to" not in said
    assert "1 not traded" in said


def test_report_when_nothing_passed_then_said_to_be_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    family = {"strategy": "htf_sweep", "timeframe": "1h", "verdict": "not traded", "series": ["a"], "reason": "luck"}
    left_out = [{"series": "binance:BTC/USDT:1d", "strategy": name, "reason": "short"} for name in ("one", "two")]
    show_report(
        {
            "job": {"id": "7"},
            "families": [{**family, "plateau": None}],
            "combinations": [],
            "left_out": left_out,
            "summary": {"deployed": 0, "judged": 4, "families_passed": 0},
        }
    )
    said = capsys.readouterr().out
    assert said.count("Left out: binance:BTC/USDT:1d: short.") == 1
    assert "0 of 4 combinations passed the gate (0 of 1 families). Nothing is traded" in said


def test_walk_when_a_fold_found_no_parameters_then_a_dash_and_it_counts_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = {"from": 0, "until": 1, "in_sample": {"trades": 50, "expectancy_r": 0.4}}
    made = {"out_of_sample": {"trades": 4, "expectancy_r": -0.5}, "defaults": {"expectancy_r": None}}
    folds = [{"from": 0, "until": 1, "point": None}, {**chosen, **made}]
    show_walk({"strategy": "htf_sweep", "timeframe": "1h", "series": ["a"], "left_out": [], "folds": folds})
    assert "4 trades, -0.50 R per trade" in capsys.readouterr().out
