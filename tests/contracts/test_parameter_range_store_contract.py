"""What every store of allowed ranges promises."""

import asyncio
from dataclasses import replace

import pytest

from tradepulse.domain.training import AllowedRange, RangesVersion
from tradepulse.ports import ChangedMeanwhileError, ParameterRangeStore
from tradepulse.storage.parameter_ranges import PostgresParameterRangeStore
from tradepulse.storage.parameter_ranges_in_memory import InMemoryParameterRangeStore

NARROW = (
    AllowedRange("htf_sweep", "reward_risk", 2.0, 2.5),
    AllowedRange("htf_sweep", "target_mode", choices=("fixed", "opposite")),
)
FIRST = RangesVersion("htf_sweep", 1, NARROW, "Tom", 1_000, "wide targets never paid")


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> ParameterRangeStore:
    if request.param == "in memory":
        return InMemoryParameterRangeStore()
    return PostgresParameterRangeStore(request.getfixturevalue("database"))


async def test_versions_come_back_whole_newest_first_and_by_strategy(store: ParameterRangeStore) -> None:
    assert await store.newest("htf_sweep") is None
    second = replace(FIRST, version=2, ranges=(), set_by="Ada", reason="all again")
    for version in (FIRST, second, replace(FIRST, strategy="volume_breakout")):
        assert await store.add(version) == version
    assert await store.newest("htf_sweep") == second
    assert await store.history("htf_sweep") == [second, FIRST]
    assert await store.history("htf_sweep", limit=1) == [second]
    assert await store.history("htf_sweep", before=2) == [FIRST]


async def test_version_when_it_is_not_the_next_one_then_refused_and_of_two_at_once_one_counts(
    store: ParameterRangeStore,
) -> None:
    with pytest.raises(ChangedMeanwhileError, match="htf_sweep were set by somebody else"):
        await store.add(replace(FIRST, version=2))
    answers = await asyncio.gather(store.add(FIRST), store.add(FIRST), return_exceptions=True)
    assert {type(one) for one in answers} == {RangesVersion, ChangedMeanwhileError}
    assert await store.history("htf_sweep") == [FIRST]
