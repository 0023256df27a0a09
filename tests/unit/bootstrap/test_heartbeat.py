"""The heart of a trader beats when its engine has taken a tick, and not when one was merely offered."""

import pytest

from tradepulse.bootstrap import wallet_trader
from tradepulse.shared.clock import SystemClock


async def test_tick_when_it_is_offered_and_not_taken_then_the_heart_does_not_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wallet_trader, "TICK_SECONDS", 0)
    beats: list[str] = []
    ticks = wallet_trader._ticks(SystemClock(), lambda: beats.append("main"))
    await anext(ticks)
    assert beats == []
    await anext(ticks)
    assert beats == ["main"]
