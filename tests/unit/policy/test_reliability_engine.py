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
    held_by_a_person,
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


# --- out of quarantine


def shadow(one: Watched, won: bool) -> Outcome:
    return replace(outcome(one, won), shadow=True)


def quarantined(*others: Watched) -> tuple[ReliabilityEngine, Watched]:
    """A configuration whose wins have stopped, beside others."""
    one = watched()
    engine = ReliabilityEngine([one, *others])
    assert moves_of(engine, [outcome(one, False)] * 60)[-1].action == "quarantined"
    return engine, one


def lived(one: Watched, chances: Iterable[float], seed: int) -> tuple[ReliabilityEngine, list[Move]]:
    """Trades with money where there is a size and without where there is none, until it is retired."""
    engine, random, moves = ReliabilityEngine([one]), np.random.default_rng(seed), list[Move]()
    for chance in chances:
        made = outcome(one, bool(random.random() < chance))
        move = engine.learn(replace(made, shadow=engine.follows(one.key)))
        moves += [move] if move else []
        if move and move.action == "retired":
            break
    return engine, moves


def test_quarantined_when_its_shadow_trades_win_again_then_back_at_half_size_with_the_numbers() -> None:
    engine, one = quarantined()
    before = engine.reliability(one.key)
    moves = [move for won in [True, True, True, False] * 30 if (move := engine.learn(shadow(one, won)))]
    came_back = moves[0]
    assert (came_back.action, came_back.stage) == ("restored", Stage.VALIDATION)
    assert engine.size_ppm(one.key) == 500_000
    after = engine.reliability(one.key)
    assert (after.trades, after.precision, after.shadow_trades) == (before.trades, before.precision, 0)
    assert after.warning_level <= RULES.calm
    figures = came_back.figures
    assert figures["shadow_trades"] >= RULES.between_changes
    assert figures["shadow_wins"] > 0.7 * figures["shadow_trades"]
    assert figures["shadow_e_value"] >= RULES.confirmed
    assert figures["money_trades"] + figures["shadow_trades"] == figures["after_trades"] == came_back.after_trades
    assert f"came back after {figures['shadow_trades']} shadow trades" in came_back.reason
    assert "e-value" in engine.reason(one.key)
    # In validation shadow trades count no longer.
    assert not engine.follows(one.key)
    assert engine.learn(shadow(one, False)) is None
    assert engine.reliability(one.key).warning_level == after.warning_level


def test_quarantined_when_only_a_few_shadow_trades_win_then_it_waits_for_twenty() -> None:
    engine, one = quarantined()
    plain = replace(one, configuration_id="two")
    easy = ReliabilityEngine([plain], replace(RULES, calm=10.0, confirmed=1.01))
    moves_of(easy, [outcome(plain, False)] * 60)
    assert [easy.learn(shadow(plain, True)) is not None for _ in range(21)] == [False] * 19 + [True, False]
    assert moves_of(engine, [shadow(one, True)] * 19) == []


def test_quarantined_when_its_shadow_trades_go_on_losing_then_retired_after_a_hundred() -> None:
    engine, one = quarantined()
    moves = moves_of(engine, [shadow(one, False)] * 150)
    assert [(move.action, move.stage) for move in moves] == [("retired", Stage.RETIRED)]
    assert moves[0].figures["shadow_trades"] == RULES.given_up
    assert "given up after 100 shadow trades, 0 won" in moves[0].reason
    assert engine.size_ppm(one.key) == 0
    assert moves_of(engine, [shadow(one, True)] * 200) == []


def test_quarantined_by_a_person_then_followed_and_never_moved() -> None:
    held = replace(watched(stage=Stage.QUARANTINED), held=True)
    for won in ([True] * 200, [False] * 200):
        engine = ReliabilityEngine([held])
        assert moves_of(engine, [shadow(held, one) for one in won]) == []
        assert engine.reliability(held.key).shadow_trades == 200
    free = replace(held, held=False)
    assert [move.action for move in moves_of(ReliabilityEngine([free]), [shadow(free, True)] * 200)] == ["restored"]


def test_quarantined_for_its_execution_then_shadow_trades_cannot_bring_it_back() -> None:
    one = watched()
    engine = ReliabilityEngine([one])
    wins = [True, True, True, False, False] * 30
    assert moves_of(engine, [outcome(one, won, slipped=0.4) for won in wins])[-1].decay is Decay.EXECUTION
    assert moves_of(engine, [shadow(one, won) for won in [True, True, True, False] * 100]) == []
    assert engine.reliability(one.key).warning_level <= RULES.calm


def test_parents_alarm_when_siblings_trade_then_it_holds_the_quarantined_back_and_only_money_ends_it() -> None:
    sibling = watched("sibling", series=ETH)
    engine, one = quarantined(sibling)
    good = [shadow(one, won) for won in [True, True, True, False] * 60]
    assert moves_of(engine, good) == []
    assert engine.reliability(one.key).parents_alarmed == ("sweep:1h", "sweep")
    moves_of(engine, [outcome(sibling, won) for won in [True, True, True, False] * 40])
    assert engine.reliability(one.key).parents_alarmed == ()
    assert [move.action for move in moves_of(engine, good[:4])] == ["restored"]


def test_parents_alarm_when_nothing_below_is_traded_then_shadow_trades_end_it() -> None:
    engine, one = quarantined()
    assert engine.reliability(one.key).parents_alarmed
    assert moves_of(engine, [shadow(one, won) for won in [True, True, True, False] * 60])
    assert engine.reliability(one.key).parents_alarmed == ()


def test_two_hundred_stationary_paths_then_the_dead_are_retired_the_healthy_come_back_and_nothing_flaps() -> None:
    lives: dict[float, list[list[Move]]] = {}
    for precision in (0.6, BREAK_EVEN, 0.4):
        lives[precision] = [lived(watched(), [precision] * 1_000, seed)[1] for seed in range(200)]
        for moves in lives[precision]:
            assert all(later.after_trades - earlier.after_trades >= 20 for earlier, later in pairwise(moves))
            assert len(moves) <= 15
    last = {precision: [moves[-1].action if moves else "none" for moves in every] for precision, every in lives.items()}
    assert last[0.4] == ["retired"] * 200
    assert last[BREAK_EVEN].count("retired") >= 190
    came_back = {
        precision: sum(any(move.stage is Stage.VALIDATION for move in moves) for moves in every)
        for precision, every in lives.items()
    }
    assert came_back[0.4] == 0
    assert came_back[BREAK_EVEN] <= 10
    doubted = [moves for moves in lives[0.6] if any(move.action == "quarantined" for move in moves)]
    assert sum(any(move.stage is Stage.VALIDATION for move in moves) for moves in doubted) >= 0.7 * len(doubted) > 40
    assert last[0.6].count("retired") <= 0.1 * len(doubted)


def test_recovery_after_a_decay_then_most_come_back() -> None:
    back = 0
    for seed in range(60):
        one = watched()
        chances = [0.6] * 50 + [0.2] * 60 + [0.65] * 500
        _, moves = lived(one, chances, seed)
        actions = [move.action for move in moves]
        assert "quarantined" in actions
        back += any(move.stage is Stage.VALIDATION and move.action == "restored" for move in moves)
    assert back >= 45


# --- memory


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 500))
def test_engine_when_restored_or_rebuilt_from_trades_then_moves_as_the_one_that_lived_on(seed: int, cut: int) -> None:
    both = [watched("one"), watched("two", Stage.VALIDATION, ETH)]
    random = np.random.default_rng(seed)
    chosen = [(both[int(random.integers(2))], bool(random.random() < 0.5)) for _ in range(250)]
    # Those without money count in quarantine only.
    trades = [each for one, won in chosen for each in (outcome(one, won), shadow(one, won))]
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


def test_restored_when_retired_parameters_are_in_force_again_then_they_begin_anew() -> None:
    engine, one = quarantined()
    retired = moves_of(engine, [shadow(one, False)] * 120)
    assert retired[-1].stage is Stage.RETIRED
    found_again = replace(one, configuration_id="a later version", stage=Stage.VALIDATION)
    again = ReliabilityEngine([found_again])
    again.restore(engine.to_json())
    assert again.size_ppm(one.key) == 500_000
    assert again.reliability(one.key).warning_level == 0.0
    assert moves_of(again, [outcome(found_again, False)] * 2) == []


def test_restored_when_a_quarantine_began_or_ended_meanwhile_then_shadow_trades_begin_anew() -> None:
    engine, one = quarantined()
    moves_of(engine, [shadow(one, True)] * 10)
    written = frozenset(move.after_trades for move in moves_of(ReliabilityEngine([one]), [outcome(one, False)] * 60))
    kept = ReliabilityEngine([replace(one, stage=Stage.QUARANTINED, written=written)])
    kept.restore(json.loads(json.dumps(engine.to_json())))
    assert kept.reliability(one.key).shadow_trades == 10
    led_out = ReliabilityEngine([replace(one, stage=Stage.VALIDATION, written=written)])
    led_out.restore(kept.to_json())
    put_back = ReliabilityEngine([replace(one, stage=Stage.QUARANTINED, written=written)])
    put_back.restore(led_out.to_json())
    assert put_back.reliability(one.key).shadow_trades == 0


def test_memory_written_before_shadow_trades_were_known_is_taken_over() -> None:
    engine, one = quarantined()
    state = engine.to_json()
    for record in state["records"].values():
        del record["followed"], record["shadow"]
    again = ReliabilityEngine([one])
    again.restore(state)
    assert again.follows(one.key)
    assert again.to_json() == engine.to_json()


@pytest.mark.parametrize(
    ("moves", "held"),
    [
        ([("created", "validation", "training"), ("quarantined", "quarantined", "reliability")], False),
        ([("quarantined", "quarantined", "me")], True),
        ([("quarantined", "quarantined", "me"), ("refused", "quarantined", "reliability")], True),
        ([("quarantined", "quarantined", "reliability"), ("quarantined", "quarantined", "me")], True),
        (
            [
                ("quarantined", "quarantined", "me"),
                ("restored", "validation", "me"),
                ("quarantined", "quarantined", "reliability"),
            ],
            False,
        ),
    ],
)
def test_held_by_a_person_is_who_put_it_into_the_quarantine_it_is_in(
    moves: list[tuple[str, str, str]], held: bool
) -> None:
    rows = [StageMove("one", 0, action, Stage(stage), True, by, "why") for action, stage, by in moves]
    assert held_by_a_person(rows) is held


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
    note = StageMove("p", 6, "refused", Stage.VALIDATION, False, "reliability", "came too late")
    assert (fallback(tuned, [plateau], {"p": [taken_out, note]}) == plateau) is comes_back


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
