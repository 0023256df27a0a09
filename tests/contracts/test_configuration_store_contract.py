"""What every store of configurations promises."""

import asyncio
from dataclasses import replace

import pytest

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import Combination, Configuration, Origin, Stage, StageMove
from tradepulse.ports import ChangedMeanwhileError, ConfigurationStore
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.configurations import PostgresConfigurationStore
from tradepulse.storage.in_memory import InMemoryConfigurationStore

BULL = Combination(SeriesKey("kraken", "BTC/USDT", Timeframe.H1), "htf_sweep", Regime.BULL)
FIRST = Configuration(
    configuration_id="",
    combination=BULL,
    version=0,
    values={"lookback": 20, "ratio": 0.1 + 0.2, "side": "long"},
    parameters_id="p1",
    origin=Origin.TUNED,
    stage=Stage.VALIDATION,
    active=False,
    evidence={"steps": [{"passed": True, "figures": {"t": 2.5}}]},
    job_id="j1",
    created_at=100,
)


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> ConfigurationStore:
    if request.param == "in memory":
        return InMemoryConfigurationStore()
    return PostgresConfigurationStore(request.getfixturevalue("database"))


def activation(configuration: Configuration, time: int = 200) -> StageMove:
    return StageMove(configuration.configuration_id, time, "activated", Stage.VALIDATION, True, "me", "I trust it")


async def test_add_when_stored_then_it_is_told_to_the_last_bit_with_its_first_move(store: ConfigurationStore) -> None:
    added = await store.add(FIRST, reason="passed")
    assert added == replace(FIRST, configuration_id=added.configuration_id, version=1)
    assert added.configuration_id != ""
    assert await store.get(added.configuration_id) == added
    moves = await store.moves(added.configuration_id)
    assert [(move.action, move.time, move.stage, move.active, move.reason) for move in moves] == [
        ("created", 100, Stage.VALIDATION, False, "passed")
    ]
    assert await store.get("unknown") is None
    assert await store.active(BULL) is None
    assert await store.moves("unknown") == []


async def test_add_when_many_come_at_once_then_versions_have_no_holes_and_one_is_active(
    store: ConfigurationStore,
) -> None:
    active = replace(FIRST, active=True, activated_at=100, activated_by="gate")
    added = await asyncio.gather(*(store.add(active, reason="passed") for _ in range(6)))
    assert sorted(one.version for one in added) == [1, 2, 3, 4, 5, 6]
    assert len({one.configuration_id for one in added}) == 6
    assert [one.version for one in await store.find(active=True)] == [6]
    other = await store.add(replace(FIRST, combination=BULL.parent), reason="passed")
    assert other.version == 1


async def test_activate_when_another_is_in_force_then_it_is_deactivated_with_a_row_of_its_own(
    store: ConfigurationStore,
) -> None:
    old, new = await store.add(FIRST, reason="one"), await store.add(FIRST, reason="two")
    await store.move(activation(old))
    parent = await store.add(replace(FIRST, combination=BULL.parent), reason="three")
    await store.move(activation(parent))
    moved = await store.move(activation(new, 300))
    assert moved == replace(new, active=True, activated_at=300, activated_by="me")
    assert await store.active(BULL) == moved
    assert (await store.active(BULL.parent)) is not None
    last = (await store.moves(old.configuration_id))[-1]
    assert (last.action, last.active, last.time, last.by) == ("deactivated", False, 300, "me")
    kept = await store.get(old.configuration_id)
    assert kept is not None
    assert (kept.active, kept.activated_at) == (False, 200)


async def test_activate_when_two_are_activated_at_once_then_one_is_in_force(store: ConfigurationStore) -> None:
    added = [await store.add(FIRST, reason=str(number)) for number in range(4)]
    await asyncio.gather(*(store.move(activation(one)) for one in added))
    in_force = await store.find(active=True)
    assert len(in_force) == 1
    ends = [(await store.moves(one.configuration_id))[-1] for one in added]
    assert sorted(move.active for move in ends) == [False, False, False, True]


async def test_move_when_the_stage_changes_then_activation_is_untouched_and_figures_are_kept(
    store: ConfigurationStore,
) -> None:
    added = await store.add(FIRST, reason="passed")
    await store.move(activation(added))
    promoted = StageMove(
        added.configuration_id, 400, "promoted", Stage.CONFIRMATION, True, "rule", "30 trades", {"n": 30}
    )
    moved = await store.move(promoted)
    assert (moved.stage, moved.active, moved.activated_at, moved.activated_by) == (Stage.CONFIRMATION, True, 200, "me")
    assert (await store.moves(added.configuration_id))[-1] == promoted
    with pytest.raises(ConfigurationError, match="unknown"):
        await store.move(replace(promoted, configuration_id="unknown"))


async def test_move_when_the_configuration_is_not_as_expected_then_refused_and_nothing_is_written(
    store: ConfigurationStore,
) -> None:
    added = await store.add(FIRST, reason="passed")
    await store.move(StageMove(added.configuration_id, 200, "retired", Stage.RETIRED, False, "me", "it loses"))
    stale = replace(activation(added, 300), expected=(Stage.VALIDATION, False))
    with pytest.raises(ChangedMeanwhileError, match="changed meanwhile: it is retired and not in force"):
        await store.move(stale)
    assert [move.action for move in await store.moves(added.configuration_id)] == ["created", "retired"]
    assert await store.active(BULL) is None
    kept = await store.move(replace(stale, expected=(Stage.RETIRED, False), active=False))
    assert kept.stage is Stage.VALIDATION
    assert (await store.moves(added.configuration_id))[-1].expected is None


async def test_move_when_many_saw_the_same_then_only_the_first_is_carried_out(store: ConfigurationStore) -> None:
    added = await store.add(FIRST, reason="passed")
    same = [replace(activation(added, 200 + n), expected=(Stage.VALIDATION, False)) for n in range(4)]
    told = await asyncio.gather(*(store.move(move) for move in same), return_exceptions=True)
    assert sorted(isinstance(one, ChangedMeanwhileError) for one in told) == [False, True, True, True]
    assert len(await store.moves(added.configuration_id)) == 2


async def test_note_when_the_stage_has_changed_meanwhile_then_it_changes_nothing(store: ConfigurationStore) -> None:
    old, new = await store.add(FIRST, reason="one"), await store.add(FIRST, reason="two")
    await store.move(activation(new))
    retired = await store.move(StageMove(old.configuration_id, 210, "retired", Stage.RETIRED, False, "me", "loses"))
    note = StageMove(old.configuration_id, 220, "refused", Stage.VALIDATION, True, "training", "refused again")
    assert await store.move(note) == retired
    last = (await store.moves(old.configuration_id))[-1]
    assert (last.action, last.stage, last.active) == ("refused", Stage.RETIRED, False)
    in_force = await store.active(BULL)
    assert in_force is not None
    assert in_force.configuration_id == new.configuration_id


async def test_find_when_narrowed_then_in_the_order_of_combination_and_version(store: ConfigurationStore) -> None:
    eth = Combination(SeriesKey("kraken", "ETH/USDT", Timeframe.H1), "htf_sweep", None)
    for combination in (eth, BULL, BULL, BULL.parent):
        await store.add(replace(FIRST, combination=combination), reason="passed")

    async def names(**wanted: str | bool) -> list[str]:
        return [f"{one.combination} {one.version}" for one in await store.find(**wanted)]  # type: ignore[arg-type]

    btc = "kraken:BTC/USDT:1h:htf_sweep"
    everything = [f"{btc}:any 1", f"{btc}:bull 1", f"{btc}:bull 2", "kraken:ETH/USDT:1h:htf_sweep:any 1"]
    assert await names() == everything
    assert await names(symbol="BTC/USDT", regime="bull") == everything[1:3]
    assert await names(regime="any", timeframe="1h", exchange="kraken", strategy="htf_sweep") == everything[::3]
    assert await names(active=True) == await names(exchange="binance") == []
