"""What every policy store promises."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.meta_controller.hours import NOON, facts

from tradepulse.domain.market import DAY, HOUR
from tradepulse.domain.policy import Bounds, Policy
from tradepulse.meta_controller.llm_memory import embedded
from tradepulse.meta_controller.rules import judge, state_hash
from tradepulse.ports import PolicyStore
from tradepulse.storage.policies import PostgresPolicyStore
from tradepulse.storage.policies_in_memory import InMemoryPolicyStore


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> PolicyStore:
    if request.param == "in memory":
        return InMemoryPolicyStore()
    return PostgresPolicyStore(request.getfixturevalue("database"))


def policy(book: str = "book", time: int = NOON, tokens: int = 0) -> Policy:
    rules = judge(facts(htf_sweep=3.6))
    bounds = Bounds(250_000, frozenset({"htf_sweep", "volume_breakout"}), 50_000)
    told = {"status": "answered", "output": 'it said "{}" \\u0000 ✓', "tokens": tokens}
    return Policy(
        book, 0, time, time + HOUR, bounds, rules, "rules", state_hash(rules), {"drawdown": 0.1}, ("because",), told
    )


async def test_versions_are_numbered_by_book_and_come_back_whole_newest_first(store: PolicyStore) -> None:
    first, other = await store.add(policy(), "a", embedded("a")), await store.add(policy("other"), "a", embedded("a"))
    second = await store.add(policy(time=NOON + HOUR), "b", embedded("b"))
    assert (first.version, other.version, second.version) == (1, 1, 2)
    assert await store.get("book", 2) == second
    assert await store.get("book", 3) is None
    assert await store.history("book") == [second, first]
    assert await store.history("book", limit=1) == [second]
    assert await store.history("book", before=2) == [first]
    assert await store.history("nobody's") == []


async def test_versions_added_at_once_each_have_their_own_number(store: PolicyStore) -> None:
    added = await asyncio.gather(*(store.add(policy(), "a", embedded("a")) for _ in range(5)))
    assert sorted(one.version for one in added) == [1, 2, 3, 4, 5]


async def test_tokens_of_all_books_count_from_a_time_on(store: PolicyStore) -> None:
    for book, time, tokens in (("a", NOON - DAY, 1), ("a", NOON, 20), ("b", NOON + 1, 300)):
        await store.add(policy(book, time, tokens), "a", embedded("a"))
    assert await store.tokens_since(NOON) == 320
    assert await store.tokens_since(NOON + 2) == 0


async def test_outcome_is_noted_once_and_only_known_outcomes_are_remembered(store: PolicyStore) -> None:
    words = ["calm and quiet", "storm and fear", "storm and hope"]
    for place, told in enumerate(words):
        await store.add(policy(time=NOON + place * HOUR), told, embedded(told))
    assert [one.version for one in await store.unresolved("book", NOON + HOUR)] == [1, 2]
    await store.resolve("book", 1, {"sum_r": -1.5}, NOON + DAY)
    await store.resolve("book", 1, {"sum_r": 9.0}, NOON + 2 * DAY)
    await store.resolve("book", 2, {"sum_r": 0.5}, NOON + 2 * DAY)
    assert [one.version for one in await store.unresolved("book", NOON + HOUR)] == []
    asked = embedded("storm and fear")
    # What was resolved later than asked is not known, however alike it is.
    known = await store.alike("book", asked, NOON + 2 * DAY)
    assert [(one.version, one.outcome) for one in known] == [(1, {"sum_r": -1.5})]
    later = await store.alike("book", asked, NOON + 3 * DAY)
    assert [one.version for one in later] == [2, 1]
    assert [one.version for one in await store.alike("book", asked, NOON + 3 * DAY, count=1)] == [2]
    assert await store.alike("other", asked, NOON + 3 * DAY) == []
    resolved = await store.get("book", 1)
    assert resolved is not None
    assert resolved == replace(policy(), version=1, outcome={"sum_r": -1.5}, resolved_at=NOON + DAY)
