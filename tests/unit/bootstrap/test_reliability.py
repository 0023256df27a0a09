"""What reliability writes into lives that people change at the same time."""

from tradepulse.bootstrap.reliability import write_move
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import Combination, Configuration, Origin, Stage, StageMove
from tradepulse.policy.reliability_engine import AUTHOR, Move
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
