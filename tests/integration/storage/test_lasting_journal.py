"""A database that goes away, says nothing, or does not say that it did what it did; and a process that is killed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.storage.trading_day import SPOT, TradingDay

from tradepulse.domain.events import SetupEvaluated
from tradepulse.domain.orders import OrderRole
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.shared.errors import ConfigurationError, InvariantError, TransientError
from tradepulse.storage import lasting_journal
from tradepulse.storage.in_memory import InMemoryJournal
from tradepulse.storage.lasting_journal import LastingJournal
from tradepulse.storage.step_file import StepFile


class Fate(Enum):
    WELL = auto()
    AWAY = auto()
    UNSAID = auto()
    """It is written, and the answer is lost."""
    HANGS = auto()
    KILLED = auto()
    """The process, before this step: a new one starts with what is on the disk."""


class Failing(InMemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.fate = Fate.WELL
        self.written: list[StepRecord] = []

    async def commit(self, record: StepRecord) -> None:
        if self.fate is Fate.AWAY:
            raise TransientError("The database does not answer.")
        if self.fate is Fate.HANGS:
            await asyncio.sleep(60)
        await super().commit(record)
        self.written.append(record)
        if self.fate is Fate.UNSAID:
            raise TransientError("The connection broke.")

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        if self.fate is not Fate.WELL:
            raise TransientError("The database does not answer.")
        return await super().recover(book)


async def free() -> None:
    """Nobody else has taken the book."""


def day() -> list[StepRecord]:
    written = TradingDay()
    return [
        written.begin(),
        written.candle(50_000.5),
        *written.enter(SPOT, "one", 5_000_000, 200),
        written.candle(50_100.25),
        *written.leave("one", 5_000_100, OrderRole.EXIT),
        written.candle(50_200.0),
    ]


def test_step_when_written_and_read_then_the_same(tmp_path: Path) -> None:
    file, steps = StepFile(tmp_path / "folder" / "steps.jsonl"), day()
    for step in steps:
        file.append(step)
    assert [_comparable(one) for one in file.records()] == [_comparable(one) for one in steps]
    assert file.path.stat().st_mode & 0o077 == 0
    with file.path.open("ab") as cut_off:
        cut_off.write(b'{"book":"paper","sequ')
    assert len(file.records()) == len(steps)
    file.clear()
    assert file.records() == []


def test_step_when_written_by_another_version_then_refused_with_the_line(tmp_path: Path) -> None:
    file = StepFile(tmp_path / "steps.jsonl")
    file.path.write_text('{"book":"paper"}\n')
    with pytest.raises(ConfigurationError, match=r"Line 1 of .*steps\.jsonl is not a step"):
        file.records()


def _comparable(step: StepRecord) -> StepRecord:
    """A value that is not a number equals nothing, itself included."""
    events = [
        replace(event, setup=replace(event.setup, conditions=tuple(str(one) for one in event.setup.conditions)))
        if isinstance(event, SetupEvaluated)
        else event
        for event in step.events
    ]
    return replace(step, events=tuple(events))


@settings(max_examples=60)
@given(st.lists(st.sampled_from(list(Fate)), min_size=8, max_size=14))
def test_steps_when_the_database_fails_in_any_way_then_each_is_in_it_once_and_in_order(fates: Sequence[Fate]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lasting_journal, "COMMIT_SECONDS", 0.005)
        asyncio.run(_lives(fates, StepFile(Path(folder) / "steps.jsonl")))


async def _lives(fates: Sequence[Fate], file: StepFile) -> None:
    below, steps, told = Failing(), day(), list[str]()
    journal = LastingJournal(below, file, free, told.append)
    for step, fate in zip(steps, [*fates, *[Fate.WELL] * len(steps)], strict=False):
        if fate is Fate.KILLED:
            journal = LastingJournal(below, file, free, told.append)
            below.fate = Fate.WELL
            await journal.recover(step.book)
            assert file.records() == []
        below.fate = fate
        await journal.commit(step)
        # Whatever is not in the database is on the disk, before anything is sent.
        known = {one.sequence for one in (*below.written, *file.records())}
        assert step.sequence in known
    below.fate = Fate.WELL
    await journal.recover(steps[0].book)
    assert [one.sequence for one in below.written] == [one.sequence for one in steps]
    assert file.records() == []
    assert not told or told[-1] == ""


async def test_steps_when_the_database_is_back_then_they_are_brought_in_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting_journal, "FIRST_PAUSE", 0.01)
    below, told, steps = Failing(), list[str](), day()
    journal = LastingJournal(below, StepFile(tmp_path / "steps.jsonl"), free, told.append)
    keeping = asyncio.create_task(journal.keep())
    below.fate = Fate.AWAY
    for step in steps[:4]:
        await journal.commit(step)
    await asyncio.sleep(0.1)
    assert below.written == []
    below.fate = Fate.WELL
    for _ in range(500):
        if told[-1] == "":
            break
        await asyncio.sleep(0.01)
    await journal.commit(steps[4])
    assert [one.sequence for one in below.written] == [1, 2, 3, 4, 5]
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_steps_when_another_program_has_traded_the_book_meanwhile_then_nothing_of_either_is_lost(
    tmp_path: Path,
) -> None:
    below, file, steps = Failing(), StepFile(tmp_path / "steps.jsonl"), day()
    journal = LastingJournal(below, file, free, lambda _: None)
    await journal.commit(steps[0])
    below.fate = Fate.AWAY
    await journal.commit(steps[1])
    await journal.commit(replace(steps[2], snapshot={"ours": 1}))
    below.fate = Fate.WELL
    for other in (steps[1], replace(steps[2], snapshot={"theirs": 1})):
        await below.commit(other)
    with pytest.raises(InvariantError, match="traded by another program"):
        await journal.recover(steps[0].book)
    assert len(file.records()) == 2
    assert len(below.written) == 3
