"""What every journal promises."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradepulse.domain.events import EquityMarked
from tradepulse.ports import Journal, StepRecord
from tradepulse.shared.errors import InvariantError
from tradepulse.storage.in_memory import InMemoryJournal
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.lasting_journal import LastingJournal
from tradepulse.storage.step_file import StepFile


async def nothing() -> None:
    """Nobody else trades here."""


@pytest.fixture(params=["in memory", "postgres", "lasting"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    if request.param == "in memory":
        return InMemoryJournal()
    if request.param == "lasting":
        return LastingJournal(InMemoryJournal(), StepFile(tmp_path / "steps.jsonl"), nothing, lambda _: None)
    return PostgresJournal(request.getfixturevalue("database"))


def step(sequence: int, snapshot: dict[str, Any] | None, book: str = "paper") -> StepRecord:
    return StepRecord(book, sequence, sequence * 1000, (EquityMarked(sequence, Decimal(1), Decimal(1)),), (), snapshot)


async def test_recover_when_nothing_was_committed_then_none(journal: Journal) -> None:
    assert await journal.recover("paper") is None


async def test_recover_when_steps_were_committed_then_the_last_sequence_and_snapshot(journal: Journal) -> None:
    await journal.commit(step(1, {"cash": "10.50", "exact": 0.1 + 0.2}))
    await journal.commit(step(2, None))
    assert await journal.recover("paper") == (2, {"cash": "10.50", "exact": 0.1 + 0.2})
    assert await journal.recover("other") is None


@pytest.mark.parametrize("again", [3, 2])
async def test_commit_when_the_sequence_is_not_after_the_last_then_refused_and_nothing_changes(
    journal: Journal, again: int
) -> None:
    await journal.commit(step(3, {"state": 1}))
    with pytest.raises(InvariantError, match=f"Step {again} of book 'paper'"):
        await journal.commit(step(again, {"state": 2}))
    assert await journal.recover("paper") == (3, {"state": 1})
    await journal.commit(step(3, {"state": 3}, book="another"))
    await journal.commit(step(4, {"state": 4}))
    assert await journal.recover("paper") == (4, {"state": 4})


async def test_snapshot_when_the_caller_changes_it_afterwards_then_what_was_committed_stays(journal: Journal) -> None:
    snapshot = {"open": [1]}
    await journal.commit(step(1, snapshot))
    snapshot["open"].append(2)
    assert await journal.recover("paper") == (1, {"open": [1]})
