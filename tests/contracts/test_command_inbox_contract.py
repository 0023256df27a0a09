"""What every command inbox promises."""

import asyncio
from dataclasses import replace

import pytest

from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.ports import CommandInbox
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.in_memory import InMemoryCommandInbox
from tradepulse.storage.inbox import PostgresCommandInbox


@pytest.fixture(params=["in memory", "postgres"])
def inbox(request: pytest.FixtureRequest) -> CommandInbox:
    if request.param == "in memory":
        return InMemoryCommandInbox()
    return PostgresCommandInbox(request.getfixturevalue("database"))


def asked(key: str, book: str = "paper", kind: RequestKind = RequestKind.HALT) -> Request:
    payload = {"position_id": "p1"} if kind is RequestKind.CLOSE_POSITION else {}
    return Request(book, kind, "Ada", "because", key, 1_700_000_000_000, payload)


async def test_post_then_the_request_is_stored_as_it_was_with_an_id(inbox: CommandInbox) -> None:
    given = asked("k1", kind=RequestKind.CLOSE_POSITION)
    posted = await inbox.post(given)
    assert posted.request_id
    assert posted == replace(given, request_id=posted.request_id)
    assert await inbox.get(posted.request_id) == posted
    assert posted.subject == "p1"


async def test_post_when_the_key_is_known_then_nothing_changes_and_the_first_is_answered(inbox: CommandInbox) -> None:
    first = await inbox.post(asked("k1"))
    again = await inbox.post(replace(asked("k1"), kind=RequestKind.RESUME, reason="other"))
    assert again == first
    assert (await inbox.take("paper")) == replace(first, status=RequestStatus.TAKEN)
    await inbox.finish(first.request_id, done=True, outcome="halted", time=5)
    assert await inbox.take("paper") is None
    assert (await inbox.post(asked("k1"))).status is RequestStatus.DONE


async def test_take_when_several_wait_then_in_the_order_of_arrival_and_of_this_book_only(inbox: CommandInbox) -> None:
    posted = [await inbox.post(asked(key, book)) for key, book in (("a", "paper"), ("b", "other"), ("c", "paper"))]
    taken = await inbox.take("paper")
    assert taken is not None
    assert taken.request_id == posted[0].request_id
    await inbox.finish(taken.request_id, done=True, outcome="", time=1)
    after = await inbox.take("paper")
    assert after is not None
    assert after.request_id == posted[2].request_id


async def test_take_when_the_last_one_was_not_finished_then_the_same_again(inbox: CommandInbox) -> None:
    await inbox.post(asked("a"))
    await inbox.post(asked("b"))
    first = await inbox.take("paper")
    assert first is not None
    assert first.key == "a"
    assert await inbox.take("paper") == first


async def test_finish_then_the_first_answer_counts(inbox: CommandInbox) -> None:
    posted = await inbox.post(asked("a"))
    await inbox.finish(posted.request_id, done=False, outcome="no such position", time=1)
    await inbox.finish(posted.request_id, done=True, outcome="closed", time=2)
    found = await inbox.get(posted.request_id)
    assert found is not None
    assert (found.status, found.outcome) == (RequestStatus.REFUSED, "no such position")
    assert await inbox.get("nobody's") is None


async def test_news_when_one_waits_already_then_at_once_and_also_one_that_was_taken(inbox: CommandInbox) -> None:
    await inbox.post(asked("a"))
    await asyncio.wait_for(inbox.news("paper"), 5)
    await inbox.take("paper")
    await asyncio.wait_for(inbox.news("paper"), 5)


async def test_news_when_nothing_waits_then_woken_by_a_request_for_this_book(inbox: CommandInbox) -> None:
    waiting = asyncio.create_task(inbox.news("paper"))
    await asyncio.sleep(0.3)
    await inbox.post(asked("a", "other"))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await inbox.post(asked("b"))
    # Far sooner than it looks again by itself.
    await asyncio.wait_for(waiting, 2)


@pytest.mark.parametrize("blank", [{"reason": "  "}, {"by": ""}])
def test_request_when_nobody_says_why_or_who_then_refused(blank: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="needs a reason and a name"):
        replace(asked("a"), **blank)  # type: ignore[arg-type]


def test_request_when_it_does_not_say_what_it_is_about_then_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs the position_id"):
        replace(asked("a"), kind=RequestKind.CLOSE_POSITION)
