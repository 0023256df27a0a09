import json
from typing import get_args

from tradepulse.api.live import QUEUE_LIMIT, TOPIC_OF_KIND, TRY_AGAIN_LATER, Client, event_message, kind_in_words
from tradepulse.api.models import LiveMessage, Topic
from tradepulse.domain.events import EngineEvent, EntriesLocked, RiskStateChanged
from tradepulse.domain.market import MarketKey
from tradepulse.domain.risk import Hold, HoldCause, Lock, LockCause, RiskState
from tradepulse.storage.projections import event_json


def candle() -> LiveMessage:
    return LiveMessage(topic=Topic.CANDLES, sequence=None, data={})


def event(sequence: int) -> LiveMessage:
    return event_message({"sequence": sequence, "book": "b", "kind": "PositionClosed", "time": 1, "data": {}})


def test_client_when_slow_then_dropped_and_what_waited_is_let_go() -> None:
    client = Client(topics=frozenset({"candles"}), seen=0)
    for _ in range(QUEUE_LIMIT + 5):
        client.offer(candle())
    assert client.close_code == TRY_AGAIN_LATER
    assert client.queue.get_nowait() is None
    assert client.queue.empty()


def test_client_when_an_event_came_by_replay_then_not_wanted_again() -> None:
    client = Client(topics=frozenset({"trades"}), seen=10)
    assert [client.wants(event(sequence)) for sequence in (9, 10, 11, 11, 12)] == [False, False, True, False, True]


def test_client_when_the_topic_is_not_subscribed_then_not_wanted_but_seen() -> None:
    client = Client(topics=frozenset({"candles"}), seen=0)
    assert not client.wants(event(5))
    assert client.seen == 5
    assert client.wants(candle())


def test_topics_cover_every_event_of_the_engine() -> None:
    assert {kind_in_words(kind.__name__) for kind in get_args(EngineEvent)} == set(TOPIC_OF_KIND)


def test_changes_of_the_risk_state_and_locks_are_told_under_their_own_topic_with_their_reasons() -> None:
    hold = Hold(HoldCause.DAILY_LOSS, RiskState.REDUCING, "500 of the day's 10000 were lost", 1, 2)
    lock = Lock(LockCause.COOL_DOWN, MarketKey("replay", "ABC/USD"), "a trade closed", 1, 2)
    facts = RiskStateChanged(RiskState.REDUCING, hold.reason, (hold,), 1), EntriesLocked(lock, 1)
    messages = [
        event_message(
            {"sequence": 1, "book": "b", "kind": type(fact).__name__, "time": 1, "data": json.loads(event_json(fact))}
        )
        for fact in facts
    ]
    assert {message.topic for message in messages} == {Topic.RISK}
    assert messages[0].data["payload"]["holds"] == [
        {"cause": "daily loss", "state": "reducing", "reason": hold.reason, "since": 1, "until": 2}
    ]
    assert messages[1].data["payload"]["lock"]["reason"] == "a trade closed"
