"""What every account store promises."""

from dataclasses import replace

import pytest

from tradepulse.domain.users import ApiKey, Note, Role, Scope, Session, User, verify_chain
from tradepulse.ports import AccountStore, AnswerStore, LastAdminError, NameTakenError, StoredAnswer
from tradepulse.storage.answers import ABANDONED_MS, KEPT_MS, PostgresAnswers
from tradepulse.storage.in_memory_users import InMemoryAccounts, InMemoryAnswers
from tradepulse.storage.users import PostgresAccounts

NOW = 1_700_000_000_000
IDLE = 1000
MEMBERS = ["in memory", "postgres"]


@pytest.fixture(params=MEMBERS)
def store(request: pytest.FixtureRequest) -> AccountStore:
    if request.param == "in memory":
        return InMemoryAccounts()
    return PostgresAccounts(request.getfixturevalue("database"))


@pytest.fixture(params=MEMBERS)
def answers(request: pytest.FixtureRequest) -> AnswerStore:
    if request.param == "in memory":
        return InMemoryAnswers()
    return PostgresAnswers(request.getfixturevalue("database"))


def note(action: str = "did", time: int = NOW) -> Note:
    return Note(time, "Ada", action, "something", "127.0.0.1", {"role": "admin", "n": [1, None]})


def user(name: str, role: Role = Role.ADMIN) -> User:
    return User(f"id-{name.lower()}", name, role, "hash", NOW)


def session(name: str, number: int = 1) -> Session:
    return Session(f"s{number}-{name}", f"id-{name.lower()}", "127.0.0.1", "browser", NOW + number, NOW, NOW + 10_000)


async def told(store: AccountStore) -> list[str]:
    return [entry.note.action async for entry in store.chain()]


async def test_user_when_added_then_found_by_id_and_by_name_in_any_case(store: AccountStore) -> None:
    ada, tom = user("Ada"), user("tom", Role.TRADER)
    await store.add_user(tom, note())
    await store.add_user(ada, note())
    assert await store.user("id-ada") == await store.user_named("ADA") == ada
    assert await store.users() == [ada, tom]
    with pytest.raises(NameTakenError):
        await store.add_user(replace(ada, user_id="other", name="aDa"), note("refused"))
    with pytest.raises(NameTakenError):
        await store.save_user(replace(tom, name="Ada"), note("refused"), end_sessions=False)
    assert "refused" not in await told(store)


async def test_last_admin_when_demoted_disabled_or_removed_then_refused_and_nothing_changes(
    store: AccountStore,
) -> None:
    ada = user("Ada")
    await store.add_user(ada, note())
    await store.add_user(replace(user("Eve"), disabled=True), note())
    for changed in (replace(ada, role=Role.TRADER), replace(ada, disabled=True)):
        with pytest.raises(LastAdminError):
            await store.save_user(changed, note("refused"), end_sessions=True)
    with pytest.raises(LastAdminError):
        await store.remove_user(ada.user_id, note("refused"))
    assert await store.user(ada.user_id) == ada
    assert await store.remove_user("nobody", note("refused")) is False
    assert await store.remove_user("id-eve", note("removed")) is True
    assert await told(store) == ["did", "did", "removed"]


async def test_set_up_token_is_good_once_in_time_and_only_while_there_is_no_user(store: AccountStore) -> None:
    assert await store.offer_set_up("old", NOW + 5)
    assert await store.offer_set_up("t", NOW + 5)
    assert not await store.set_up("old", user("Ada"), note())
    assert not await store.set_up("t", user("Ada"), note(time=NOW + 5))
    assert await store.offer_set_up("t", NOW + 5)
    assert await store.set_up("t", user("Ada"), note("set up"))
    assert not await store.set_up("t", user("Eve"), note())
    assert not await store.offer_set_up("u", NOW + 5)
    assert [one.name for one in await store.users()] == ["Ada"]
    assert await told(store) == ["set up"]


async def test_refresh_token_when_used_twice_then_the_whole_session_ends(store: AccountStore) -> None:
    await store.add_user(user("Ada"), note())
    await store.begin_session(session("Ada"), "r1", note())
    assert (await store.rotate("r1", "r2", note("never told"), idle_ms=IDLE)).session == session("Ada")
    assert (await store.rotate("r2", "r3", note("never told"), idle_ms=IDLE)).session == session("Ada")
    reused = await store.rotate("r1", "r4", note("reuse"), idle_ms=IDLE)
    assert (reused.session, reused.reused) == (session("Ada"), True)
    assert await store.active("s1-Ada", NOW) is None
    assert (await store.rotate("r3", "r5", note("never told"), idle_ms=IDLE)).session is None
    assert (await store.rotate("unknown", "r6", note("never told"), idle_ms=IDLE)).session is None
    assert await told(store) == ["did", "did", "reuse"]


async def test_session_when_idle_expired_ended_or_of_a_disabled_user_then_not_active(store: AccountStore) -> None:
    ada = user("Ada")
    await store.add_user(ada, note())
    await store.add_user(user("Eve"), note())
    await store.begin_session(session("Ada", 1), "r1", note())
    await store.begin_session(session("Ada", 2), "r2", note())
    await store.begin_session(session("Eve", 3), "r3", note())
    assert await store.active("s1-Ada", NOW) == (ada, session("Ada", 1))
    assert [one.session_id for one in await store.sessions(ada.user_id, NOW)] == ["s2-Ada", "s1-Ada"]
    assert (await store.rotate("r1", "x", note(time=NOW + IDLE), idle_ms=IDLE)).session is None
    assert await store.active("s1-Ada", NOW + 10_000) is None
    assert await store.end_sessions("id-eve", note("refused"), "s1-Ada") == 0
    await store.confirm("s1-Ada", NOW + 7)
    found = await store.active("s1-Ada", NOW)
    assert found is not None
    assert found[1].confirmed_at == NOW + 7
    await store.save_user(ada, note(), end_sessions=True, but="s2-Ada")
    assert await store.active_sessions(["s1-Ada", "s2-Ada", "s3-Eve", "s4"], NOW) == {"s2-Ada", "s3-Eve"}
    await store.save_user(replace(ada, disabled=True), note(), end_sessions=False)
    assert await store.active("s2-Ada", NOW) is None
    assert "refused" not in await told(store)


async def test_key_belongs_to_its_user_and_is_marked_when_used(store: AccountStore) -> None:
    ada = user("Ada")
    await store.add_user(ada, note())
    await store.add_user(user("Eve"), note())
    key = ApiKey("k1", ada.user_id, "script", frozenset({Scope.READ, Scope.METRICS}), "hash", NOW, NOW + 10)
    await store.add_key(key, note())
    with pytest.raises(NameTakenError):
        await store.add_key(replace(key, key_id="k2"), note())
    await store.add_key(replace(key, key_id="k3", user_id="id-eve"), note())
    assert await store.key_owner("k1", NOW + 3) == (ada, key)
    await store.key_used("k1", NOW + 3)
    assert await store.key_owner("k1", NOW + 4) == (ada, replace(key, last_used_at=NOW + 3))
    assert await store.key_owner("k1", NOW + 10) is None
    assert await store.key_owner("k9", NOW) is None
    assert await store.keys(ada.user_id) == [replace(key, last_used_at=NOW + 3)]
    assert await store.remove_key("id-eve", "k1", note("refused")) is False
    assert await store.remove_key(ada.user_id, "k1", note("removed")) is True
    assert await store.keys(ada.user_id) == []
    await store.remove_user("id-eve", note())
    assert await store.key_owner("k3", NOW) is None


async def test_ticket_is_good_once_and_in_time(store: AccountStore) -> None:
    grant = {"session_id": "s1", "key_id": None}
    await store.add_ticket("t1", grant, NOW + 5)
    await store.add_ticket("t2", grant, NOW + 5)
    assert await store.take_ticket("t1", NOW) == grant
    assert await store.take_ticket("t1", NOW) is None
    assert await store.take_ticket("t2", NOW + 5) is None


async def test_audit_log_is_a_chain_and_paged_newest_first(store: AccountStore) -> None:
    for number in range(5):
        await store.note(note(f"step {number}"))
    entries = [entry async for entry in store.chain()]
    report = verify_chain(entries)
    assert (report.entries, report.head, report.problem) == (5, entries[-1].hash, "")
    assert [entry.number for entry in await store.notes(limit=2)] == [5, 4]
    assert [entry.number for entry in await store.notes(limit=9, before=3)] == [2, 1]


async def test_answer_is_kept_for_its_owner_and_key_until_it_is_old(answers: AnswerStore) -> None:
    assert await answers.begin("ada", "k", "h", NOW) is None
    assert await answers.begin("ada", "k", "h", NOW + 1) == StoredAnswer("h")
    assert await answers.begin("eve", "k", "h", NOW) is None
    await answers.finish("ada", "k", 201, b"{}")
    assert await answers.begin("ada", "k", "other", NOW + ABANDONED_MS + 1) == StoredAnswer("h", 201, b"{}")
    assert await answers.begin("ada", "k", "h", NOW + KEPT_MS + 1) is None


async def test_answer_when_the_first_request_failed_or_was_lost_then_the_next_is_the_first(
    answers: AnswerStore,
) -> None:
    assert await answers.begin("ada", "k", "h", NOW) is None
    await answers.forget("ada", "k")
    assert await answers.begin("ada", "k", "h2", NOW) is None
    assert await answers.begin("ada", "k", "h2", NOW + ABANDONED_MS) == StoredAnswer("h2")
    assert await answers.begin("ada", "k", "h3", NOW + ABANDONED_MS + 1) is None
