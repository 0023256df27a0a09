"""What is told when: levels, quiet hours, and no flood."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from tradepulse.core.notices import Level, Notice, NoticePolicy, QuietHours

BERLIN = QuietHours(time(22), time(7), ZoneInfo("Europe/Berlin"))
WARNING = Notice(Level.WARNING, "Drawdown", "equity 90")
ALARM = Notice(Level.CRITICAL, "A position is without its stop")


def at(hour: int, minute: int = 0, *, day: int = 1) -> int:
    return int(datetime(2027, 7, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"), [(19, 59, False), (20, 0, True), (2, 0, True), (4, 59, True), (5, 0, False)]
)
def test_quiet_hours_when_they_go_over_midnight_then_by_the_clock_of_their_zone(
    hour: int, minute: int, quiet: bool
) -> None:
    assert BERLIN.holds_at(at(hour, minute)) is quiet


def test_notice_when_it_is_quiet_then_what_is_critical_passes_and_the_rest_comes_in_one_digest_afterwards() -> None:
    policy = NoticePolicy(Level.INFO, per_minute=10, quiet=BERLIN)
    assert policy.admit(ALARM, at(23))
    assert not policy.admit(WARNING, at(23))
    assert not policy.admit(Notice(Level.INFO, "Closed BTC/USDT"), at(23, 5))
    assert policy.digest(at(4)) is None
    assert policy.digest(at(5)) == Notice(
        Level.WARNING, "2 notices were held back", "Drawdown: equity 90\nClosed BTC/USDT"
    )
    assert policy.digest(at(6)) is None


def test_notice_when_below_the_level_then_nobody_hears_of_it_later_either() -> None:
    policy = NoticePolicy(Level.WARNING, per_minute=10)
    assert not policy.admit(Notice(Level.INFO, "Opened BTC/USDT"), at(12))
    assert policy.digest(at(13)) is None


def test_notices_when_they_flood_then_the_rest_comes_in_a_digest_and_alarms_have_room_of_their_own() -> None:
    policy = NoticePolicy(Level.INFO, per_minute=3)
    assert [policy.admit(WARNING, at(12)) for _ in range(30)] == [True] * 3 + [False] * 27
    assert [policy.admit(ALARM, at(12)) for _ in range(4)] == [True] * 3 + [False]
    assert policy.digest(at(12)) is None
    digest = policy.digest(at(12, 1))
    assert digest is not None
    assert digest.level is Level.CRITICAL
    assert digest.title == "28 notices were held back"
    assert digest.text.endswith("and 8 before these")
