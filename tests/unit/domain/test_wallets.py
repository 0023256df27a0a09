"""What a key's permissions mean, what silence means, and when a wallet enters nothing more."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.wallets import (
    ASKED_AGAIN_AFTER,
    BELIEVED_FOR,
    CHECKED_EVERY,
    KeyAnswer,
    KeyPermissions,
    KeyState,
    KeyVerdict,
    after_check,
    judge_answer,
    judge_key,
)

NOW = 1_767_225_600_000
GOOD = KeyPermissions(trade=True, read=True, withdraw=False, ip_restricted=True)
STATE = KeyState("main", "binance", "wxyz", KeyVerdict.VERIFIED, "", GOOD, NOW, NOW, NOW)
SILENCE = KeyAnswer(None, "binance gave no answer")
yes_no_silent = st.sampled_from([True, False, None])
permissions = st.builds(
    KeyPermissions,
    trade=yes_no_silent,
    read=yes_no_silent,
    withdraw=yes_no_silent,
    ip_restricted=yes_no_silent,
    expires_at=st.none() | st.integers(NOW - 10, NOW + 10**10),
)
answers = st.builds(lambda found: KeyAnswer(found), permissions) | st.sampled_from(
    [SILENCE, KeyAnswer(None, "invalid key", refused=True)]
)


@given(permissions)
def test_key_when_judged_then_verified_only_where_every_question_has_the_right_answer(found: KeyPermissions) -> None:
    alive = found.expires_at is None or found.expires_at > NOW
    right = (found.trade, found.read, found.withdraw) == (True, True, False) and alive
    wrong = found.withdraw is True or found.trade is False or found.read is False or not alive
    verdict = judge_key(found, NOW).verdict
    assert (verdict is KeyVerdict.VERIFIED) == right
    assert (verdict is KeyVerdict.REFUSED) == wrong


def test_key_when_it_works_from_everywhere_or_expires_soon_then_warned() -> None:
    told = judge_key(replace(GOOD, ip_restricted=False, expires_at=NOW + CHECKED_EVERY), NOW)
    assert told.verdict is KeyVerdict.VERIFIED
    assert len(told.warnings) == 2


@given(st.lists(st.tuples(answers, st.integers(1, 5 * CHECKED_EVERY)), max_size=12))
def test_checks_when_in_any_order_then_an_alarm_ends_only_by_a_good_answer(
    story: list[tuple[KeyAnswer, int]],
) -> None:
    state, now = STATE, NOW
    for answer, later in story:
        now += later
        before, state = state, after_check(state, answer, now)
        if before.verdict is KeyVerdict.REFUSED and state.verdict is not KeyVerdict.REFUSED:
            assert judge_answer(answer, now).verdict is not KeyVerdict.REFUSED
            assert answer.permissions is not None
        if state.verdict is KeyVerdict.REFUSED:
            assert state.reason
            assert state.entries_refused(now) is not None
        assert state.due(now) is False


def test_key_when_it_may_withdraw_at_a_later_check_then_its_wallet_enters_nothing_and_silence_does_not_lift_that() -> (
    None
):
    alarmed = after_check(STATE, KeyAnswer(replace(GOOD, withdraw=True)), NOW + CHECKED_EVERY)
    silent = after_check(alarmed, SILENCE, NOW + 2 * CHECKED_EVERY)
    for state in (alarmed, silent):
        halt = state.halt(NOW)
        assert halt is not None
        assert "it may withdraw" in halt.reason
    assert after_check(silent, KeyAnswer(GOOD), NOW + 3 * CHECKED_EVERY).halt(NOW + 3 * CHECKED_EVERY) is None


def test_silence_when_short_then_the_key_is_believed_and_when_long_then_not() -> None:
    silent = after_check(STATE, SILENCE, NOW + CHECKED_EVERY)
    assert silent.entries_refused(NOW + BELIEVED_FOR - 1) is None
    assert "not verified" in str(silent.entries_refused(NOW + BELIEVED_FOR))


def test_unverified_key_when_somebody_consents_then_it_trades_but_not_when_refused_or_expired() -> None:
    unverified = replace(STATE, verdict=KeyVerdict.UNVERIFIED, verified_at=None, reason="it does not say")
    assert unverified.entries_refused(NOW) is not None
    accepted = replace(unverified, consent_by="ann")
    assert accepted.entries_refused(NOW) is None
    assert replace(accepted, verdict=KeyVerdict.REFUSED).entries_refused(NOW) is not None
    assert replace(accepted, permissions=replace(GOOD, expires_at=NOW)).entries_refused(NOW) is not None


def test_key_when_answered_then_due_a_day_later_and_when_silent_then_an_hour_later() -> None:
    assert not STATE.due(NOW + CHECKED_EVERY - 1)
    assert STATE.due(NOW + CHECKED_EVERY)
    silent = after_check(STATE, SILENCE, NOW + CHECKED_EVERY)
    assert not silent.due(NOW + CHECKED_EVERY + ASKED_AGAIN_AFTER - 1)
    assert silent.due(NOW + CHECKED_EVERY + ASKED_AGAIN_AFTER)
