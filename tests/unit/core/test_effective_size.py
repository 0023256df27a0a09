"""Nothing can loosen: every voice takes away or is silent, and no order of them makes a difference."""

from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.core.effective_size import (
    FULL_SIZE,
    Opinion,
    Voice,
    effective_size,
    opinion_of,
    raised_confluence,
)
from tradepulse.domain.policy import PolicyChanged
from tradepulse.domain.signals import Verdict
from tradepulse.kernels.fills import PPM
from tradepulse.shared.errors import ConfigurationError

# What a voice may be in: silent, all, half, a lot, nothing, and what no voice should ever say.
STATES = (None, PPM, PPM // 2, 1, 0, 7 * PPM, -PPM)
VOICES = tuple(voice for voice in Voice if voice is not Voice.RULES)
SHARES = st.integers(-10 * PPM, 10 * PPM)


def opinions(states: tuple[int | None, ...]) -> list[Opinion]:
    return [Opinion(voice, share) for voice, share in zip(VOICES, states, strict=True) if share is not None]


def test_every_combination_of_states_is_the_least_of_them_and_names_who_said_it() -> None:
    combinations = list(product(STATES, repeat=len(VOICES)))
    assert len(combinations) == 7**4
    for states in combinations:
        said = opinions(states)
        size = effective_size(said)
        assert size.share_ppm == min([PPM, *(max(0, one.share_ppm) for one in said)])
        if size.share_ppm < PPM:
            assert max(0, next(one for one in said if one.voice is size.limited_by).share_ppm) == size.share_ppm
            assert str(size.limited_by) in size.story
        else:
            assert (size, size.story) == (FULL_SIZE, "")


@given(said=st.lists(st.builds(Opinion, st.sampled_from(Voice), SHARES), max_size=6), more=st.data())
def test_one_more_voice_never_loosens_and_one_voice_less_never_tightens(
    said: list[Opinion], more: st.DataObject
) -> None:
    before = effective_size(said)
    after = effective_size([*said, more.draw(st.builds(Opinion, st.sampled_from(Voice), SHARES))])
    assert 0 <= after.share_ppm <= before.share_ppm <= PPM
    for order in permutations(said, len(said)) if len(said) <= 4 else [said[::-1]]:
        assert effective_size(order).share_ppm == before.share_ppm


@given(
    said=st.lists(st.builds(Opinion, st.sampled_from(Voice), st.integers(0, PPM)), min_size=1, max_size=6),
    place=st.integers(0, 5),
    cut=st.integers(0, PPM),
)
def test_a_voice_that_says_less_is_never_answered_with_more(said: list[Opinion], place: int, cut: int) -> None:
    less = list(said)
    chosen = less[place % len(less)]
    less[place % len(less)] = Opinion(chosen.voice, chosen.share_ppm - cut)
    assert effective_size(less).share_ppm <= effective_size(said).share_ppm


def test_what_reliability_refuses_stays_in_quarantine_whoever_else_refuses_it() -> None:
    everybody = [Opinion(voice, 0) for voice in reversed(Voice) if voice is not Voice.RULES]
    assert effective_size(everybody).refusal is Verdict.QUARANTINED


@given(
    risk=st.integers(0, PPM),
    bump=st.integers(0, PPM),
    pauses=st.booleans(),
    until=st.integers(0, 200),
    now=st.integers(0, 200),
    usual=st.floats(0.01, 1.0),
)
def test_policy_takes_away_while_it_holds_and_is_silent_afterwards(
    risk: int, bump: int, pauses: bool, until: int, now: int, usual: float
) -> None:
    policy = PolicyChanged(1, risk, ("desk",) if pauses else (), bump, until, "because", 0)
    opinion, asked = opinion_of(policy, "desk", now), raised_confluence(usual, policy, now)
    assert usual <= asked <= 1.0
    if now >= until:
        assert (opinion, asked) == (None, usual)
    else:
        assert opinion is not None
        assert opinion.share_ppm == (0 if pauses else risk)


@pytest.mark.parametrize(("risk", "bump"), [(PPM + 1, 0), (-1, 0), (0, -1), (0, PPM + 1)])
def test_policy_out_of_bounds_cannot_be_said(risk: int, bump: int) -> None:
    with pytest.raises(ConfigurationError, match="can only take away"):
        PolicyChanged(1, risk, (), bump, 1, "because", 0)
