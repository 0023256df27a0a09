"""Observers are told in order, and one that fails harms nobody."""

import logging

import pytest
from tests.unit.core.trading import START

from tradepulse.core.event_system import EventBus
from tradepulse.domain.events import EngineEvent, OrderAccepted


def test_observer_when_it_fails_then_the_others_hear_everything_and_the_failure_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus, before, after = EventBus(), list[EngineEvent](), list[EngineEvent]()

    def failing(event: EngineEvent) -> None:
        raise ValueError(event)

    for observer in (before.append, failing, after.append):
        bus.subscribe(observer)
    events = [OrderAccepted("one", START), OrderAccepted("two", START)]
    with caplog.at_level(logging.ERROR):
        bus.tell(events)
    assert before == after == events
    assert [record.getMessage() for record in caplog.records] == ["An observer failed on OrderAccepted"] * 2
