"""Whatever a language model writes, what is in force is at most what the rules leave."""

import json
import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.meta_controller.hours import STRATEGIES, reply

from tradepulse.domain.policy import PPM, Bounds
from tradepulse.meta_controller.answers import (
    LONGEST_NOTE,
    LONGEST_REPLY,
    UnusableReplyError,
    effective_bounds,
    plain,
    quoted_notes,
    read_reply,
    reasons_of,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(STRATEGIES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "risk": st.floats(-1, 3) | st.integers(-2, 2) | ANYTHING,
        "paused": st.lists(st.sampled_from([*STRATEGIES, "all", "*"]), max_size=12) | ANYTHING,
        "confluence_bump": st.floats(-1, 1) | ANYTHING,
        "reasons": st.lists(st.text(max_size=250), max_size=7) | ANYTHING,
        "risk_limit": st.floats(0, 9),
    },
)
GOOD = st.fixed_dictionaries(
    {
        "risk": st.floats(0, 1) | st.integers(0, 1),
        "paused": st.lists(st.sampled_from(STRATEGIES), max_size=4),
        "confluence_bump": st.floats(0, 0.25),
        "reasons": st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=5),
    }
)
WRITTEN = (GOOD | NEARLY | ANYTHING).map(json.dumps)
REPLIES = (
    WRITTEN
    | st.text(max_size=200)
    | WRITTEN.map(lambda text: f"```json\n{text}\n```")
    | WRITTEN.map(lambda text: text[: len(text) // 2])
    | st.tuples(WRITTEN, WRITTEN).map("".join)
)
NUMBERS = (0, 0.2, 0.25, 1, 1, 0.999, 1.0001, -0.1, 1e308, -1e308, float("nan"), float("inf"), True, None, "1", [1])
SHARES = (0, 0.2, 0.25, 1, 0.7)
NAMES = [*STRATEGIES, "all"]
KEYS = ("risk_limit", "rules", "valid_until", "risk ", "Risk", "__class__")
PIECES = ("", '"', "}", "{", ",", ":", "1", "e9", "-", "\\u0000", "\x00", "null", "\ud800", "risk", "//", "[[[[")
RULES = st.builds(
    Bounds, st.integers(0, PPM), st.sets(st.sampled_from(STRATEGIES)).map(frozenset), st.integers(0, PPM // 4)
)


@settings(max_examples=300)
@given(text=REPLIES, rules=RULES)
def test_no_reply_loosens_what_the_rules_leave(text: str, rules: Bounds) -> None:
    heard(text, rules)


def test_ten_thousand_damaged_replies_and_none_loosens_what_the_rules_leave() -> None:
    dice = random.Random(44)  # noqa: S311 - the same damage on every run
    usable = 0
    for _ in range(10_000):
        said = {
            "risk": dice.choice(NUMBERS if dice.random() < 0.3 else SHARES),
            "paused": dice.sample(NAMES, dice.randrange(3)),
            "confluence_bump": dice.choice(NUMBERS if dice.random() < 0.3 else SHARES[:3]),
            "reasons": ["because " * dice.randrange(1, 30)] * dice.randrange(1, 7),
        }
        text = json.dumps(said if dice.random() < 0.7 else said | {dice.choice(KEYS): dice.choice(NUMBERS)})
        for _ in range(dice.choice((0, 0, 1, 3))):
            place = dice.randrange(len(text))
            text = text[:place] + dice.choice(PIECES) + text[place + dice.randrange(4) :]
        paused = frozenset(dice.sample(STRATEGIES, dice.randrange(3)))
        usable += heard(text, Bounds(dice.randrange(PPM + 1), paused, dice.randrange(PPM // 4 + 1)))
    # Not so damaged that nothing is left to be wrong.
    assert 500 < usable < 9_500


def heard(text: str, rules: Bounds) -> bool:
    try:
        said = read_reply(text, STRATEGIES)
    except UnusableReplyError:
        assert effective_bounds(rules, None) == rules
        return False
    found = effective_bounds(rules, said)
    assert found.is_within(rules)
    assert 0 <= found.risk_ppm <= rules.risk_ppm
    assert found.confluence_bump_ppm <= max(rules.confluence_bump_ppm, PPM // 4)
    assert found.paused <= rules.paused | set(STRATEGIES)
    assert all(len(told) <= LONGEST_NOTE for told in reasons_of(said))
    return True


def test_reply_that_is_as_asked_for_is_heard() -> None:
    said = read_reply(reply(risk=0.25, paused=["htf_sweep"], confluence_bump=0.1), STRATEGIES)
    assert effective_bounds(Bounds(500_000), said) == Bounds(250_000, frozenset({"htf_sweep"}), 100_000)
    assert effective_bounds(Bounds(100_000), read_reply(reply(risk=1), STRATEGIES)).risk_ppm == 100_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "sure, here it is: " + reply(),
        reply()[:-1],
        reply() + reply(),
        reply(risk=1.01),
        reply(risk=-0.01),
        reply(risk="0.5"),
        reply(risk=True),
        reply(risk=None),
        reply(risk=float("nan")),
        reply(risk=float("inf")),
        reply(confluence_bump=0.3),
        reply(confluence_bump=-0.1),
        reply(paused=["everything"]),
        reply(paused="htf_sweep"),
        reply(reasons=[]),
        reply(reasons=["x" * 201]),
        reply(more=1),
        reply(valid_until=9_999_999_999_999),
        json.dumps({"risk": 0.5}),
        "[" * 100_000,
        " " * LONGEST_REPLY + reply(),
    ],
)
def test_reply_that_is_not_exactly_as_asked_for_is_none(text: str) -> None:
    with pytest.raises(UnusableReplyError):
        read_reply(text, STRATEGIES)


@given(st.text(max_size=600))
def test_notes_are_one_short_line_of_plain_words(text: str) -> None:
    told = plain(text)
    assert len(told) <= LONGEST_NOTE
    assert not any(unicodedata.category(letter)[0] == "C" or letter in "<>`{}[]|#*\n" for letter in told)
    assert plain(told) == told or "://" in unicodedata.normalize("NFKC", text)
    assert len(quoted_notes([text] * 9)) <= 5
