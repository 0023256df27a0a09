"""Decay is caught as fast, and health is doubted as rarely, as theory says; and only rules move a configuration."""

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import Combination, Configuration, JsonObject, Origin, Stage, StageMove
from tradepulse.policy.cusum import fell_short, run_length, summed, won_or_lost
from tradepulse.policy.reliability_engine import (
    Decay,
    Expectation,
    Move,
    Outcome,
    ReliabilityEngine,
    ReliabilityRules,
    Watched,
    expectation_of,
    fallback,
    rebuilt,
)

REWARD, LOSS = 1.2, -1.05
BREAK_EVEN = -LOSS / (REWARD - LOSS)
BTC, ETH = (SeriesKey("desk", symbol, Timeframe.H1) for symbol in ("BTC/USD", "ETH/USD"))
RULES = ReliabilityRules()


def expectation(precision: float = 0.6) -> Expectation:
    mean = precision * REWARD + (1.0 - precision) * LOSS
    return Expectation(precision, mean, (REWARD - LOSS) * (precision * (1.0 - precision)) ** 0.5, BREAK_EVEN)


def watched(name: str = "one", stage: Stage = Stage.MATURE, series: SeriesKey = BTC) -> Watched:
    return Watched(name, "sweep", series, f"p-{name}", stage, Origin.TUNED, expectation())


def outcome(one: Watched, won: bool, slipped: float = 0.0) -> Outcome:
    r = REWARD if won else LOSS
    return Outcome(one.key, r - slipped, r)


def outcomes(one: Watched, precision: float, trades: int, seed: int) -> list[Outcome]:
    return [outcome(one, bool(won)) for won in np.random.default_rng(seed).random(trades) < precision]


def moves_of(engine: ReliabilityEngine, trades: Iterable[Outcome]) -> list[Move]:
    return [move for trade in trades if (move := engine.learn(trade)) is not None]


# --- the cusum against theory


def _simulated(precision: float, expected: float, declined: float, alarm: float, paths: int, trades: int) -> np.ndarray:
    """Trades until the alarm of each path, by the functions that the engine uses."""
    random, ran = np.random.default_rng(0), np.full(paths, np.inf)
    ratios = {won: won_or_lost(won, expected, declined) for won in (True, False)}
    for path in range(paths):
        total = 0.0
        for trade, won in enumerate((random.random(trades) < precision).tolist(), start=1):
            total = summed(total, ratios[won], RULES.ceiling)
            if total >= alarm:
                ran[path] = trade
                break
    return ran


@pytest.mark.parametrize("expected", [0.6, 0.4])
def test_cusum_when_simulated_then_runs_as_long_as_the_markov_chain_says(expected: float) -> None:
    declined = expected - RULES.decline
    late = run_length(declined, expected, declined, RULES.alarm)
    assert _simulated(declined, expected, declined, RULES.alarm, 3_000, 1_500).mean() == pytest.approx(
        late.mean, rel=0.1
    )
    false = run_length(expected, expected, declined, RULES.alarm)
    share = (_simulated(expected, expected, declined, RULES.alarm, 8_000, 200) < np.inf).mean()
    assert share == pytest.approx(false.alarmed[200], rel=0.1)
    # The design: 7 % false alarms in 200 trades at 60 %, about 110 trades (median) to notice the fall to 50 %.
    if expected == 0.6:
        assert 0.06 < false.alarmed[200] < 0.09
        assert 100 < np.flatnonzero(late.alarmed >= 0.5)[0] < 120


def test_run_length_when_one_loss_is_enough_then_geometric() -> None:
    ratio = won_or_lost(False, 0.6, 0.5)
    run = run_length(0.7, 0.6, 0.5, ratio * 0.99, trades=10)
    assert run.mean == pytest.approx(1.0 / 0.3)
    assert run.alarmed == pytest.approx(1.0 - 0.7 ** np.arange(11))


def test_likelihood_ratios_when_computed_by_hand_then_the_same() -> None:
    assert won_or_lost(True, 0.6, 0.5) == pytest.approx(np.log(0.5 / 0.6))
    assert won_or_lost(False, 0.6, 0.5) == pytest.approx(np.log(0.5 / 0.4))
    density = -((1.3 - 0.1) ** 2) / (2 * 4.0) + (1.3 - 0.5) ** 2 / (2 * 4.0)
    assert fell_short(1.3, 0.5, 0.1, 2.0) == pytest.approx(density)


# --- moves


def test_mature_configuration_when_its_wins_stop_then_halved_first_and_quarantined_later() -> None:
    one = watched()
    engine = ReliabilityEngine([one])
    moves = moves_of(engine, [outcome(one, False)] * 60)
    assert [(move.action, move.stage) for move in moves] == [
        ("halved", Stage.MATURE),
        ("quarantined", Stage.QUARANTINED),
    ]
    assert moves[1].after_trades - moves[0].after_trades == RULES.between_changes
    assert moves[1].decay is Decay.MODEL
    assert "evidence" in moves[1].reason
    assert moves[1].figures["published_precision"] == 0.6
    assert engine.size_ppm(one.key) == 0


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), precision=st.floats(0.2, 0.8), stage=st.sampled_from(list(Stage)[:3]))
def test_moves_are_never_closer_than_the_rule_allows_and_sizes_never_above_whole(
    seed: int, precision: float, stage: Stage
) -> None:
    one = watched(stage=stage)
    engine = ReliabilityEngine([one])
    sizes, moved = set(), []
    for trade in outcomes(one, precision, 300, seed):
        move = engine.learn(trade)
        moved += [move.after_trades] if move else []
        sizes.add(engine.size_ppm(one.key))
    assert sizes <= {0, 500_000, 1_000_000}
    assert all(later - earlier >= RULES.between_changes for earlier, later in pairwise(moved))


def test_thousand_healthy_configurations_of_200_trades_then_few_moves_and_no_flapping() -> None:
    counts, quarantined = [], 0
    for seed in range(1_000):
        one = watched()
        moves = moves_of(ReliabilityEngine([one]), outcomes(one, 0.6, 200, seed))
        counts.append(len(moves))
        quarantined += any(move.action == "quarantined" for move in moves)
    assert max(counts) <= 5
    assert np.mean(counts) < 0.7
    assert np.mean(np.array(counts) <= 2) > 0.95
    assert quarantined <= 90


def test_edge_when_there_is_none_then_rarely_confirmed_and_when_there_is_then_mostly() -> None:
    def confirmed(precision: float, paths: int) -> float:
        found = 0
        for seed in range(paths):
            one = watched(stage=Stage.VALIDATION)
            engine = ReliabilityEngine([one], replace(RULES, alarm=np.inf, warning=np.inf))
            found += any(move.action == "promoted" for move in moves_of(engine, outcomes(one, precision, 400, seed)))
        return found / paths

    assert confirmed(BREAK_EVEN, 400) < 0.075
    assert confirmed(0.6, 100) > 0.9


def test_promotion_when_paper_is_all_there_is_then_not_beyond_live_confirmation() -> None:
    one = watched(stage=Stage.VALIDATION)
    trades = [outcome(one, won) for won in [True, True, False] * 200]
    on_paper = moves_of(ReliabilityEngine([one], highest=Stage.CONFIRMATION), trades)
    assert [move.stage for move in on_paper] == [Stage.CONFIRMATION]
    assert [move.stage for move in moves_of(ReliabilityEngine([one]), trades)] == [Stage.CONFIRMATION, Stage.MATURE]


def test_family_in_alarm_then_promotions_below_wait_and_sizes_are_halved_until_it_is_calm() -> None:
    ill, well = watched("ill"), watched("well", series=ETH)
    candidate = watched("candidate", Stage.VALIDATION, ETH)
    engine = ReliabilityEngine([ill, well, candidate])
    moves_of(engine, [outcome(ill, False)] * 40)
    assert engine.reliability(well.key).parents_alarmed == ("sweep:1h", "sweep")
    assert engine.size_ppm(well.key) == 500_000
    good = [outcome(candidate, won) for won in [True, True, False] * 60]
    promoted = moves_of(engine, good)
    alone = ReliabilityEngine([candidate])
    assert promoted[0].after_trades > moves_of(alone, good)[0].after_trades
    assert promoted[0].figures["parents_alarmed"] == []
    assert engine.size_ppm(well.key) == 1_000_000


def test_decay_when_only_the_fills_got_worse_then_named_execution_and_else_model() -> None:
    one = watched()
    wins = [True, True, True, False, False] * 30
    engine = ReliabilityEngine([one])
    moves = moves_of(engine, [outcome(one, won, slipped=0.4) for won in wins])
    assert moves[-1].action == "quarantined"
    assert moves[-1].decay is Decay.EXECUTION
    assert moves_of(ReliabilityEngine([one]), [outcome(one, won) for won in wins]) == []
    both = moves_of(ReliabilityEngine([one]), [outcome(one, False)] * 60)
    assert both[-1].decay is Decay.MODEL


def test_configuration_without_published_figures_is_counted_and_never_moved() -> None:
    one = replace(watched(stage=Stage.VALIDATION), expectation=None)
    engine = ReliabilityEngine([one])
    assert moves_of(engine, [outcome(one, False)] * 300) == []
    record = engine.reliability(one.key)
    assert (record.trades, record.size_ppm) == (300, 500_000)
    assert record.upper < 0.01
    assert engine.learn(Outcome("of nobody", 1.0, 1.0)) is None


# --- memory


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 250))
def test_engine_when_restored_or_rebuilt_from_trades_then_moves_as_the_one_that_lived_on(seed: int, cut: int) -> None:
    both = [watched("one"), watched("two", Stage.VALIDATION, ETH)]
    random = np.random.default_rng(seed)
    trades = [outcome(both[int(random.integers(2))], bool(random.random() < 0.5)) for _ in range(250)]
    lived = ReliabilityEngine(both)
    before = moves_of(lived, trades[:cut])
    own = {one.key: [move for move in before if move.configuration_id == one.configuration_id] for one in both}
    written = [
        replace(
            one,
            stage=lived.reliability(one.key).stage,
            halved=bool(own[one.key]) and own[one.key][-1].action == "halved",
            written=frozenset(move.after_trades for move in own[one.key]),
        )
        for one in both
    ]
    restored = ReliabilityEngine(written)
    restored.restore(json.loads(json.dumps(lived.to_json())))
    assert restored.unwritten() == []
    remade = rebuilt(both, trades[:cut])
    rest = moves_of(lived, trades[cut:])
    assert moves_of(restored, trades[cut:]) == moves_of(remade, trades[cut:]) == rest
    assert restored.to_json() == remade.to_json() == lived.to_json()


def test_restored_when_the_store_misses_the_last_move_then_it_is_written_and_not_undone() -> None:
    one = watched()
    engine = ReliabilityEngine([one])
    moves = moves_of(engine, [outcome(one, False)] * 60)
    again = ReliabilityEngine([replace(one, written=frozenset({moves[0].after_trades}), halved=True)])
    again.restore(engine.to_json())
    assert again.unwritten() == moves[1:]
    assert again.size_ppm(one.key) == 0


def test_restored_when_a_person_let_it_trade_again_then_it_begins_anew() -> None:
    one = watched()
    engine = ReliabilityEngine([one])
    moves = moves_of(engine, [outcome(one, False)] * 60)
    written = frozenset(move.after_trades for move in moves)
    again = ReliabilityEngine([replace(one, stage=Stage.VALIDATION, written=written)])
    again.restore(engine.to_json())
    assert again.size_ppm(one.key) == 500_000
    assert again.reliability(one.key).warning_level == 0.0
    assert moves_of(again, [outcome(one, False)] * 2) == []


# --- what takes its place, and what was published


def configuration(name: str, origin: Origin, stage: Stage = Stage.VALIDATION, version: int = 1) -> Configuration:
    combination = Combination(BTC, "sweep", Regime.BULL)
    return Configuration(name, combination, version, {}, name, origin, stage, False, evidence(), "job", 0)


def evidence() -> JsonObject:
    entry = {
        "published": {"precision": 0.4, "expectancy_r": 0.2, "break_even": 0.3},
        "held_out": {"trades": 100, "standard_error": 0.15},
    }
    return {"combination": entry}


def test_fallback_goes_from_tuned_to_plateau_to_defaults_to_nothing() -> None:
    tuned, plateau = configuration("t", Origin.TUNED), configuration("p", Origin.PLATEAU, version=2)
    defaults, old = configuration("d", Origin.DEFAULTS), configuration("q", Origin.PLATEAU, Stage.QUARANTINED)
    every = [tuned, plateau, defaults, old]
    assert fallback(tuned, every, {}) == plateau
    assert fallback(plateau, every, {}) == defaults
    assert fallback(defaults, every, {}) is None
    assert fallback(tuned, [tuned, old], {}) is None
    elsewhere = replace(plateau, combination=Combination(ETH, "sweep", Regime.BULL))
    assert fallback(tuned, [elsewhere], {}) is None


def test_fallback_when_nobody_here_put_it_to_the_test_then_it_stays_out_of_force() -> None:
    tuned, plateau = configuration("t", Origin.TUNED), configuration("p", Origin.PLATEAU)
    assert fallback(tuned, [plateau], {}) == plateau
    for other in (
        replace(plateau, origin=Origin.IMPORTED),
        replace(plateau, job_id=None),
        replace(plateau, evidence={}),
    ):
        assert fallback(tuned, [other], {}) is None
    assert fallback(replace(tuned, origin=Origin.IMPORTED), [plateau], {}) == plateau
    doubted = replace(plateau, configuration_id="older", stage=Stage.QUARANTINED)
    assert fallback(tuned, [plateau, doubted], {}) is None


@pytest.mark.parametrize(("by", "comes_back"), [("the command line", False), ("training", True), ("reliability", True)])
def test_fallback_when_a_person_took_it_out_of_force_then_it_stays_out(by: str, comes_back: bool) -> None:
    tuned, plateau = configuration("t", Origin.TUNED), configuration("p", Origin.PLATEAU)
    taken_out = StageMove("p", 5, "deactivated", Stage.VALIDATION, False, by, "no longer")
    assert (fallback(tuned, [plateau], {"p": [taken_out]}) == plateau) is comes_back


def test_e_value_when_no_number_could_hold_it_then_it_is_still_told() -> None:
    one = replace(watched(), expectation=replace(expectation(0.9), break_even=0.001))
    engine = ReliabilityEngine([one])
    moves_of(engine, [outcome(one, True)] * 200)
    assert 1e290 < engine.reliability(one.key).e_value < float("inf")


def test_expectation_when_evidence_is_whole_then_read_and_else_none() -> None:
    entry = {
        "published": {"precision": 0.4, "expectancy_r": 0.2, "break_even": 0.3},
        "held_out": {"trades": 100, "standard_error": 0.15},
    }
    assert expectation_of({"combination": entry}) == Expectation(0.4, 0.2, pytest.approx(1.5), 0.3)
    assert expectation_of({}) is None
    assert expectation_of({"combination": entry | {"published": None}}) is None
    assert expectation_of({"combination": entry | {"held_out": {"trades": 100, "standard_error": None}}}) is None
    certain = {"precision": 1.0, "expectancy_r": 0.2, "break_even": 0.3}
    assert expectation_of({"combination": entry | {"published": certain}}) is None
