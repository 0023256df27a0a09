from tradepulse.api import throttle
from tradepulse.api.throttle import LoginThrottle, Throttle
from tradepulse.shared.clock import ManualClock


def test_wait_doubles_with_every_failure_after_the_free_ones_and_ends_by_itself() -> None:
    clock = ManualClock()
    guard = Throttle(clock, free=2, longest=10)
    waits = []
    for _ in range(7):
        guard.failed("a")
        waits.append(guard.seconds_left("a"))
    assert waits == [0, 0, 1, 2, 4, 8, 10]
    clock.advance_to(9_999)
    assert guard.seconds_left("a") == 1
    clock.advance_to(10_000)
    assert guard.seconds_left("a") == 0


def test_failures_when_one_succeeds_or_an_hour_passes_then_forgotten() -> None:
    clock = ManualClock()
    guard = Throttle(clock, free=0, longest=10)
    guard.failed("a")
    guard.succeeded("a")
    assert guard.seconds_left("a") == 0
    guard.failed("a")
    guard.failed("a")
    clock.advance_to(throttle.FORGOTTEN_MS + 1)
    guard.failed("a")
    assert guard.seconds_left("a") == 1


def test_memory_when_many_names_are_tried_then_bounded() -> None:
    guard = Throttle(ManualClock(), free=0, longest=10)
    for number in range(throttle.MOST_KEYS + 10):
        guard.failed(str(number))
    assert guard.seconds_left("0") == 0
    assert guard.seconds_left(str(throttle.MOST_KEYS + 9)) == 1


def test_guessing_at_one_account_holds_up_neither_another_account_nor_its_owner_elsewhere() -> None:
    guard = LoginThrottle(ManualClock())
    for _ in range(20):
        if not guard.seconds_left("ada", "10.0.0.1"):
            guard.failed("ada", "10.0.0.1")
    assert guard.seconds_left("ada", "10.0.0.1") == 1
    assert guard.seconds_left("tom", "10.0.0.1") == 0
    assert guard.seconds_left("ada", "10.0.0.2") == 0


def test_guessing_at_many_accounts_from_one_address_holds_up_that_address() -> None:
    guard = LoginThrottle(ManualClock())
    for number in range(31):
        guard.failed(f"user {number}", "10.0.0.1")
    assert guard.seconds_left("tom", "10.0.0.1") == 1
    assert guard.seconds_left("tom", "10.0.0.2") == 0
