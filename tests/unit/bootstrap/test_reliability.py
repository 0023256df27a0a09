"""What reliability writes into lives that people change at the same time, and what it follows without money."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.core.trading import MARKET, setup, spec

from tradepulse.bootstrap.reliability import ReliabilityAdviser, write_move
from tradepulse.domain.events import SetupEvaluated
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Verdict
from tradepulse.domain.training import Combination, Configuration, Origin, Stage, StageMove
from tradepulse.policy.reliability_engine import AUTHOR, Move, ReliabilityEngine, Watched
from tradepulse.storage.in_memory import InMemoryConfigurationStore

COMBINATION = Combination(SeriesKey("desk", "BTC/USD", Timeframe.H1), "htf_sweep", None)
IN_FORCE = Configuration("", COMBINATION, 0, {}, "p", Origin.TUNED, Stage.VALIDATION, True, {}, "job", 0)


class SeenTooEarly(InMemoryConfigurationStore):
    """Answers the first look with what was there before."""

    before: Configuration | None = None

    async def get(self, configuration_id: str) -> Configuration | None:
        if self.before is not None:
            before, self.before = self.before, None
            return before
        return await super().get(configuration_id)


async def no_training(combination: Combination, reason: str) -> None:
    raise AssertionError("nothing decayed")


async def test_write_move_when_a_person_was_faster_then_it_only_notes_that_it_came_too_late() -> None:
    store = SeenTooEarly()
    seen = await store.add(IN_FORCE, reason="passed")
    one = seen.configuration_id
    await store.move(StageMove(one, 5, "promoted", Stage.MATURE, False, "me", "sure"))
    store.before = seen
    move = Move(one, "promoted", Stage.CONFIRMATION, 30, "proved", {"after_trades": 30})
    await write_move(store, move, 6, no_training)
    kept = await store.get(one)
    assert kept is not None
    assert (kept.stage, kept.active) == (Stage.MATURE, False)
    last = (await store.moves(one))[-1]
    assert (last.action, last.stage, last.active, last.by) == ("refused", Stage.MATURE, False, AUTHOR)
    assert last.figures == {"after_trades": 30}


async def test_write_move_when_retired_meanwhile_then_nothing_is_written() -> None:
    store = SeenTooEarly()
    store.before = await store.add(IN_FORCE, reason="passed")
    one = store.before.configuration_id
    await store.move(StageMove(one, 5, "retired", Stage.RETIRED, False, "me", "it loses"))
    await write_move(store, Move(one, "promoted", Stage.CONFIRMATION, 30, "proved", {}), 6, no_training)
    assert [move.action for move in await store.moves(one)] == ["created", "retired"]


def back(configuration_id: str) -> Move:
    return Move(configuration_id, "restored", Stage.VALIDATION, 90, "came back", {"after_trades": 90})


def given_up(configuration_id: str) -> Move:
    return Move(configuration_id, "retired", Stage.RETIRED, 190, "given up", {"after_trades": 190})


async def in_quarantine(store: InMemoryConfigurationStore, by: str = AUTHOR) -> str:
    added = await store.add(IN_FORCE, reason="passed")
    await store.move(StageMove(added.configuration_id, 1, "quarantined", Stage.QUARANTINED, True, by, "it lost"))
    return added.configuration_id


async def test_write_move_out_of_quarantine_then_in_force_again_or_retired_and_out_of_force() -> None:
    for made, stage, active in ((back, Stage.VALIDATION, True), (given_up, Stage.RETIRED, False)):
        store = InMemoryConfigurationStore()
        one = await in_quarantine(store)
        await write_move(store, made(one), 6, no_training)
        kept = await store.get(one)
        assert kept is not None
        assert (kept.stage, kept.active) == (stage, active)
        assert (await store.moves(one))[-1].figures == made(one).figures


@pytest.mark.parametrize("made", [back, given_up])
@pytest.mark.parametrize(
    ("action", "stage", "active", "why"),
    [
        ("deactivated", Stage.QUARANTINED, False, "out of force"),
        ("quarantined", Stage.QUARANTINED, True, "a person had put it into quarantine"),
        ("restored", Stage.VALIDATION, True, "it was validation"),
    ],
)
async def test_write_move_out_of_quarantine_when_a_person_decided_otherwise_then_only_noted(
    made: Callable[[str], Move], action: str, stage: Stage, active: bool, why: str
) -> None:
    store = InMemoryConfigurationStore()
    one = await in_quarantine(store)
    await store.move(StageMove(one, 5, action, stage, active, "me", "I know better"))
    await write_move(store, made(one), 6, no_training)
    kept = await store.get(one)
    assert kept is not None
    assert (kept.stage, kept.active) == (stage, active)
    last = (await store.moves(one))[-1]
    assert (last.action, last.by) == ("refused", AUTHOR)
    assert why in last.reason


def adviser(stage: Stage) -> ReliabilityAdviser:
    found = setup()
    watched = Watched("one", found.strategy, found.series, found.parameters_id, stage, Origin.TUNED, None)
    return ReliabilityAdviser(ReliabilityEngine([watched]), {MARKET: spec()})


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_what_nothing_but_the_quarantine_kept_from_being_entered_is_followed(verdict: Verdict) -> None:
    for stage in Stage:
        one = adviser(stage)
        one.advise([SetupEvaluated(setup(), verdict)])
        is_followed = verdict is Verdict.QUARANTINED and stage is Stage.QUARANTINED
        assert one.learned is bool(one.shadows.trades) is is_followed
        one.advise([SetupEvaluated(replace(setup(), parameters_id="of nobody"), verdict)])
        assert one.learned is False


def test_memory_of_a_shadow_trade_is_kept_while_it_is_asked_for() -> None:
    one = adviser(Stage.QUARANTINED)
    one.advise([SetupEvaluated(setup(), Verdict.QUARANTINED)])
    memory = json.loads(json.dumps(one.memory()))
    same, led_out = adviser(Stage.QUARANTINED), adviser(Stage.VALIDATION)
    same.remember(memory)
    led_out.remember(memory)
    assert same.memory() == memory
    assert led_out.shadows.trades == {}
    before = adviser(Stage.QUARANTINED)
    before.remember({"state": memory["state"]})
    assert before.shadows.trades == {}
