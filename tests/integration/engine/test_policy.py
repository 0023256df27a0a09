"""A policy reaches the engine as a request, takes away for its time, survives every kill, and is named in the story."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.planned import BOOK, Life, Scene, Wish, lived, taking
from tests.integration.engine.scripted import MARKET, OTHER

from tradepulse.domain.events import EntryPlanned, PolicyChanged, RequestAnswered, SetupEvaluated, SizeChanged
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Verdict
from tradepulse.kernels.fills import PPM

FLAT = [100.0] * 12
WISHES = (Wish(MARKET, 3), Wish(OTHER, 3), Wish(MARKET, 8, strategy=1))
PLAIN = Scene(AccountLimits(), {MARKET: FLAT, OTHER: FLAT}, WISHES)


def policy(version: int = 1, bar: int = 1, until: int = 20, **said: Any) -> PolicyChanged:
    values: dict[str, Any] = {"risk_ppm": PPM, "paused": (), "confluence_bump_ppm": 0, "reason": "the rules"} | said
    return PolicyChanged(version=version, valid_until=PLAIN.time(until), time=PLAIN.time(bar), **values)


def asked(one: PolicyChanged | dict[str, Any], key: str = "policy") -> Request:
    said = one if isinstance(one, dict) else asdict(one)
    return Request(BOOK, RequestKind.APPLY_POLICY, "meta", "hourly", key, 0, {"policy": said})


def told(*policies: PolicyChanged) -> Scene:
    requests = {
        one.time: [asked(same, f"policy {same.version}") for same in policies if same.time == one.time]
        for one in policies
    }
    return replace(PLAIN, requests=requests)


def planned(life: Life) -> dict[str, int]:
    return {event.setup_id: event.lots for event in life.journal.told if isinstance(event, EntryPlanned)}


def stories(life: Life) -> dict[tuple[str, str, int], tuple[Verdict, str]]:
    step = PLAIN.timeframe.milliseconds
    return {
        (one.setup.strategy, one.setup.series.symbol, (one.setup.bar_time - PLAIN.time(-1)) // step): (
            one.verdict, one.reason,
        )
        for one in life.told
        if isinstance(one, SetupEvaluated)
    }  # fmt: skip


async def test_policy_halves_pauses_and_is_named_and_is_in_force_once_whenever_it_is_killed() -> None:
    scene = told(policy(risk_ppm=500_000, paused=("second",), reason="drawdown of 12 %"))
    life, plain = await lived(scene, every=1), await Life(PLAIN).live()
    usual = planned(plain)
    assert len(usual) == 3
    found = planned(life)
    assert len(found) == 2
    assert all(lots == usual[name] // 2 for name, lots in found.items())
    assert stories(life)["scripted", "ABC/USD", 3] == (
        Verdict.ACCEPTED, "50 % of the usual size by the meta-controller (policy 1: drawdown of 12 %)",
    )  # fmt: skip
    assert stories(life)["second", "ABC/USD", 8] == (
        Verdict.POLICY_PAUSED,
        "0 % of the usual size by the meta-controller (policy 1 pauses second: drawdown of 12 %)",
    )
    assert sum(isinstance(event, PolicyChanged) for event in life.journal.told) == 1


async def test_policy_whose_time_is_over_says_nothing_and_a_later_one_is_not_undone_by_an_earlier() -> None:
    scene = told(policy(2, risk_ppm=0, until=5), policy(1, bar=2, risk_ppm=PPM), policy(3, bar=6, until=6))
    life, alone = await lived(scene, every=4), await Life(replace(PLAIN, wishes=WISHES[2:])).live()
    assert [one.version for one in life.journal.told if isinstance(one, PolicyChanged)] == [2]
    refused = [one.outcome for one in life.told if isinstance(one, RequestAnswered) and not one.done]
    assert refused == ["policy 2 is in force already", "the time of policy 3 is over"]
    assert stories(life)["scripted", "ABC/USD", 3][0] is Verdict.POLICY_PAUSED
    # What comes after its time is as large as if there had been no policy.
    assert planned(life) == planned(alone)
    assert len(planned(life)) == 1


async def test_more_confluence_is_asked_for_and_the_story_says_by_whom() -> None:
    # Of these setups half of the conditions hold; a tenth is asked for.
    as_much = await Life(told(policy(confluence_bump_ppm=400_000))).live()
    assert planned(as_much) == planned(await Life(PLAIN).live())
    more = await Life(told(policy(confluence_bump_ppm=PPM))).live()
    assert set(stories(more).values()) == {
        (Verdict.CONFLUENCE_TOO_LOW, "meta-controller asks for 1.00 instead of 0.10")
    }


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"version": 1},
        asdict(policy()) | {"risk_ppm": 1_000_001},
        asdict(policy()) | {"confluence_bump_ppm": -1},
        asdict(policy()) | {"risk_ppm": "much"},
        {"policy": asdict(policy())},
    ],
)
async def test_policy_that_cannot_be_read_is_refused_and_nothing_changes(said: dict[str, Any]) -> None:
    life = await Life(replace(PLAIN, requests={PLAIN.time(1): [asked(said)]})).live()
    (answer,) = [one for one in life.told if isinstance(one, RequestAnswered)]
    assert not answer.done
    assert "the policy cannot be read" in answer.outcome
    assert planned(life) == planned(await Life(PLAIN).live())


@settings(max_examples=25)
@given(
    risk=st.integers(0, PPM),
    bump=st.integers(0, PPM),
    pauses=st.lists(st.sampled_from(["scripted", "second"]), unique=True),
    until=st.integers(2, 12),
    size=st.integers(0, PPM),
)
async def test_no_policy_makes_anything_larger_whatever_reliability_says(
    risk: int, bump: int, pauses: list[str], until: int, size: int
) -> None:
    said = policy(risk_ppm=risk, confluence_bump_ppm=bump, paused=tuple(pauses), until=until)
    watched = next(one for one in PLAIN.engine().signals.subscriptions if one.series.symbol == MARKET.symbol)
    change = SizeChanged("scripted", watched.series, watched.parameters.parameters_id, size, "decay", PLAIN.time(0))
    halved = taking({PLAIN.time(0): change})
    # One setup alone: what is not entered today leaves more money for tomorrow.
    alone = replace(PLAIN, runner=halved, wishes=WISHES[:1])
    found = planned(await Life(replace(alone, requests=told(said).requests)).live())
    without = planned(await Life(alone).live())
    assert set(found) <= set(without)
    assert all(lots <= without[name] for name, lots in found.items())
