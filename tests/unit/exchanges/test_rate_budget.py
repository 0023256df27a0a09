"""The budget of requests that wallets and processes share."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.exchanges.rate_budget import SHARE, BannedError, RateBudget, Urgency, retry_after_ms
from tradepulse.shared.clock import ManualClock

BEGIN = 1_767_225_600_000


class Sleeper:
    """Time passes only where somebody waits."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept = 0.0

    async def __call__(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.advance_to(self.clock.now() + max(1, round(seconds * 1000)))
        await asyncio.sleep(0)


def budget(folder: Path, per_second: float = 10.0, capacity: float | None = None) -> tuple[RateBudget, Sleeper]:
    clock = ManualClock(BEGIN)
    sleeper = Sleeper(clock)
    return RateBudget("binance", folder / "binance.json", per_second / SHARE, clock, sleeper, capacity), sleeper


async def test_take_when_the_bucket_is_full_then_nobody_waits_and_then_at_the_rate(tmp_path: Path) -> None:
    rate, sleeper = budget(tmp_path, per_second=10.0, capacity=20.0)
    for _ in range(20):
        await rate.take(1.0, Urgency.ORDERS)
    assert sleeper.slept == 0.0
    for _ in range(10):
        await rate.take(1.0, Urgency.ORDERS)
    assert sleeper.slept == pytest.approx(1.0, abs=0.05)


async def test_take_when_history_has_used_its_share_then_orders_still_go_at_once(tmp_path: Path) -> None:
    rate, sleeper = budget(tmp_path, capacity=20.0)
    for _ in range(30):
        await rate.take(1.0, Urgency.HISTORY)
    waited = sleeper.slept
    assert waited > 0
    for _ in range(8):
        await rate.take(1.0, Urgency.ORDERS)
    assert sleeper.slept == waited


@settings(max_examples=50, deadline=None)
@given(costs=st.lists(st.tuples(st.floats(0.1, 30.0), st.sampled_from(Urgency)), min_size=1, max_size=40))
def test_take_when_two_wallets_ask_at_random_then_together_never_more_than_the_rate(
    costs: list[tuple[float, Urgency]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("budget")
    clock = ManualClock(BEGIN)
    sleeper = Sleeper(clock)
    wallets = [RateBudget("x", folder / "x.json", 5.0, clock, sleeper, 20.0) for _ in range(2)]

    async def spend() -> float:
        for number, (cost, urgency) in enumerate(costs):
            await wallets[number % 2].take(cost, urgency)
        return sum(min(cost, 20.0) for cost, _ in costs)

    spent = asyncio.run(spend())
    assert spent <= 20.0 + (clock.now() - BEGIN) / 1000 * 5.0 + 1e-3


async def test_ban_when_one_wallet_is_told_then_no_other_sends(tmp_path: Path) -> None:
    first, sleeper = budget(tmp_path)
    second = RateBudget("binance", tmp_path / "binance.json", 10.0, sleeper.clock, sleeper)
    assert first.note_refusal({"Retry-After": "7"}, "429") == BEGIN + 7_000
    with pytest.raises(BannedError) as refused:
        await second.take(1.0, Urgency.ORDERS)
    assert refused.value.until == BEGIN + 7_000 == second.banned_until
    await second.take(1.0, Urgency.ORDERS, patience_ms=10_000)
    assert sleeper.clock.now() >= BEGIN + 7_000
    assert second.banned_until == 0


def test_ban_when_the_text_names_its_end_then_that_goes_before_the_header(tmp_path: Path) -> None:
    rate, _ = budget(tmp_path)
    text = f'{{"code":-1003,"msg":"Way too much request weight used; IP banned until {BEGIN + 120_000}."}}'
    assert rate.note_refusal({"Retry-After": "1"}, text) == BEGIN + 120_000
    assert rate.note_refusal({}, "no time is named") == BEGIN + 5_000
    assert rate.banned_until == BEGIN + 120_000


def test_ban_when_another_process_was_told_then_it_holds_here(tmp_path: Path) -> None:
    rate, _ = budget(tmp_path)
    code = (
        "import sys; from pathlib import Path; from tradepulse.exchanges.rate_budget import RateBudget; "
        "from tradepulse.shared.clock import ManualClock; "
        f"rate = RateBudget('binance', Path(sys.argv[1]), 10.0, ManualClock({BEGIN})); "
        "rate.note_refusal({'retry-after': '60'}, '')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "binance.json")], check=True)
    assert rate.banned_until == BEGIN + 60_000


@pytest.mark.parametrize("content", ["", "[1, 2", "{}", "[1, 2, null]", "nonsense" * 50])
async def test_take_when_the_file_is_damaged_then_it_begins_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "binance.json").write_text(content)
    rate, sleeper = budget(tmp_path)
    await rate.take(1.0)
    assert sleeper.slept == 0.0
    level, _, banned = json.loads((tmp_path / "binance.json").read_text()[:120])
    assert (level, banned) == (rate.capacity - 1.0, 0)


async def test_take_when_the_clock_was_set_back_then_the_bucket_goes_on_filling(tmp_path: Path) -> None:
    ahead = RateBudget("binance", tmp_path / "binance.json", 10.0, ManualClock(BEGIN + 3_600_000), capacity=10.0)
    for _ in range(10):
        await ahead.take(1.0, Urgency.ORDERS)
    rate, sleeper = budget(tmp_path, capacity=10.0)
    await rate.take(5.0, Urgency.ORDERS)
    assert sleeper.slept == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3_000),
        ({"retry-after": "0.5"}, 500),
        ({"Retry-After": "-2"}, 0),
        ({"Retry-After": "Thu, 01 Jan 2026 00:00:10 GMT"}, 10_000),
        ({"Retry-After": "soon"}, None),
    ],
)
def test_retry_after_when_given_in_seconds_or_as_a_date_then_milliseconds(
    headers: dict[str, str], expected: int | None
) -> None:
    assert retry_after_ms(headers, BEGIN) == expected
