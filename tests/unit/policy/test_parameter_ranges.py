"""Allowed ranges: what may be set, and that a search leaves them in no point."""

from dataclasses import replace

import numpy as np
import pytest

from tradepulse.domain.market import Timeframe
from tradepulse.domain.training import AllowedRange, TrainingRequest
from tradepulse.policy import search
from tradepulse.policy.evaluation import parameters_of, point_of
from tradepulse.policy.parameter_ranges import AskedRange, ParameterRanges, checked_ranges, is_within
from tradepulse.policy.plan import design_of
from tradepulse.ports import ChangedMeanwhileError
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.parameter_ranges_in_memory import InMemoryParameterRangeStore
from tradepulse.strategies import STRATEGIES

BREAKOUT = STRATEGIES["volume_breakout"]
RANGES = checked_ranges(
    "volume_breakout",
    {
        "reward_risk": AskedRange(3.0, 4.0),
        "max_bars_in_trade": AskedRange(high=40),
        "min_reward_risk": AskedRange(1.5, 1.5),
    },
)
REQUEST = TrainingRequest(("A/B",), ("x",), ("volume_breakout",), (), (Timeframe.H1,), points=128, ranges=RANGES)
FAMILY = {"strategy": "volume_breakout", "timeframe": "1h", "units": [0]}


def test_design_when_ranges_are_set_then_no_point_leaves_them_not_even_the_defaults() -> None:
    design = design_of(FAMILY, REQUEST)
    chosen = [parameters_of(BREAKOUT, point, None) for point in design.points]
    assert len(chosen) == 129
    assert all(is_within(one, values[one.parameter]) for values in chosen for one in RANGES)
    assert {values.number("min_reward_risk") for values in chosen} == {1.5}
    assert chosen[design.defaults].number("reward_risk") == 3.0, "its default of 2.5 is drawn to the nearest"
    assert len({values.number("reward_risk") for values in chosen}) > 100, "and what is allowed is used"
    assert (design.cube >= 0).all()
    assert (design.cube <= 1).all()
    again = search.in_units(BREAKOUT, search.in_cube(BREAKOUT, design.points, RANGES), RANGES)
    assert np.allclose(again, design.points)


def test_design_when_ranges_are_the_same_then_the_same_and_without_them_as_it_always_was() -> None:
    search_again = search.design(BREAKOUT, 128, ranges=RANGES)
    assert search_again.design_id == design_of(FAMILY, REQUEST).design_id
    assert design_of(FAMILY, replace(REQUEST, ranges=())).design_id == search.design(BREAKOUT, 128).design_id
    others = (AllowedRange("htf_sweep", "reward_risk", 2.0, 2.1),)
    assert design_of(FAMILY, replace(REQUEST, ranges=others)).design_id == search.design(BREAKOUT, 128).design_id


def test_choice_when_narrowed_then_only_what_is_allowed_is_tried() -> None:
    strategy = STRATEGIES["divergence_capitulation"]
    allowed = checked_ranges("divergence_capitulation", {"target_mode": AskedRange(choices=("reward_risk",))})
    design = search.design(strategy, 64, ranges=allowed)
    assert {parameters_of(strategy, point, None)["target_mode"] for point in design.points} == {"reward_risk"}
    extended = design.with_point(strategy, point_of(strategy, strategy.parameters(target_mode="reward_risk")))
    assert ((extended.cube >= 0) & (extended.cube <= 1)).all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"reward_rsk": AskedRange(2, 3)}, ["reward_rsk", "Did you mean 'reward_risk'?"]),
        ({"reward_risk": AskedRange(3, 2)}, ["reward_risk from 3 to 2 holds no value", "Swap"]),
        ({"reward_risk": AskedRange(0.1, 3)}, ["may not reach to 0.1", "1.5 to 5", "Choose both ends"]),
        ({"reward_risk": AskedRange(2, float("inf"))}, ["may not reach to inf"]),
        ({"reward_risk": AskedRange(float("nan"), 3)}, ["may not reach to nan"]),
        ({"max_bars_in_trade": AskedRange(10.5, 40)}, ["10.5", "whole numbers"]),
        ({"reward_risk": AskedRange(choices=("a",))}, ["is a number", "two ends"]),
        ({"target_mode": AskedRange(1, 2)}, ["is a choice", "Name some of"]),
        ({"target_mode": AskedRange(choices=())}, ["is a choice"]),
        ({"target_mode": AskedRange(choices=("moon",))}, ["cannot be 'moon'", "must be one of"]),
    ],
)
def test_range_when_absurd_then_refused_with_its_name_the_rule_and_a_remedy(
    asked: dict[str, AskedRange], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        checked_ranges("divergence_capitulation", asked)
    assert [word for word in words if word not in str(refused.value)] == []


def test_ranges_when_nothing_is_left_to_search_or_nothing_is_narrowed_then_refused_or_left_out() -> None:
    specs = BREAKOUT.parameter_specs
    whole = {spec.name: AskedRange(choices=spec.choices) if spec.choices else AskedRange() for spec in specs}
    assert checked_ranges("volume_breakout", whole) == ()
    one = {
        spec.name: AskedRange(choices=spec.choices[:1]) if spec.choices else AskedRange(spec.low, spec.low)
        for spec in specs
    }
    with pytest.raises(ConfigurationError, match="nothing to search"):
        checked_ranges("volume_breakout", one)
    with pytest.raises(ConfigurationError, match="volume_breakout"):
        checked_ranges("volume_breakot", {})


async def test_ranges_when_set_then_versioned_and_what_was_not_looked_at_is_not_overwritten() -> None:
    ranges = ParameterRanges(InMemoryParameterRangeStore(), ManualClock(5))
    assert (await ranges.in_force("volume_breakout")).version == 0
    narrow = {"reward_risk": AskedRange(2, 3)}
    first = await ranges.set("volume_breakout", narrow, by="Tom", reason="why not", follows=0)
    assert (first.version, first.set_by, first.set_at) == (1, "Tom", 5)
    assert await ranges.set("volume_breakout", narrow, by="Ada", reason="the same") == first
    with pytest.raises(ChangedMeanwhileError, match="at version 1, not 0"):
        await ranges.set("volume_breakout", {}, by="Ada", reason="all again", follows=0)
    with pytest.raises(ConfigurationError, match="needs a reason"):
        await ranges.set("volume_breakout", {}, by="Ada", reason=" ")
    assert (await ranges.set("volume_breakout", {}, by="Ada", reason="all again", follows=1)).ranges == ()
    assert [one.version for one in await ranges.history("volume_breakout")] == [2, 1]
