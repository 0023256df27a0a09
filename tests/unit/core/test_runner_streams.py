"""Candles, what the exchange tells by itself, and the time: one stream, taken one by one."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.unit.core.trading import MARKET

from tradepulse.core.runner import merged
from tradepulse.domain.events import MarketEvent, OrderAccepted, PriceSeen, TimePassed


async def _stream(events: Sequence[MarketEvent | int], asked: list[str], name: str) -> AsyncIterator[MarketEvent]:
    """A number gives way to the others so many times."""
    for event in events:
        if isinstance(event, int):
            for _ in range(event):
                await asyncio.sleep(0)
            continue
        yield event
        asked.append(name)


@pytest.mark.parametrize("_again", range(3))
async def test_streams_when_events_come_at_once_then_in_their_order_and_none_runs_ahead(_again: int) -> None:
    asked: list[str] = []
    exchange = _stream([OrderAccepted("a", 1), OrderAccepted("b", 2)], asked, "exchange")
    ticks = _stream([TimePassed(1), TimePassed(2), TimePassed(3)], asked, "ticks")
    feed = _stream([PriceSeen(MARKET, 1, 1), PriceSeen(MARKET, 2, 2), 20], asked, "feed")
    told: list[str] = []
    async for event in merged(feed, [exchange, ticks]):
        told.append(type(event).__name__)
        assert len(asked) < len(told)
    assert told == ["OrderAccepted", "TimePassed", "PriceSeen"] * 2 + ["TimePassed"]


async def test_streams_when_the_feed_ends_then_the_others_are_closed() -> None:
    async def forever() -> AsyncIterator[MarketEvent]:
        try:
            await asyncio.Event().wait()
            yield TimePassed(0)
        finally:
            closed.append(True)

    closed: list[bool] = []
    feed = _stream([TimePassed(1)], [], "feed")
    assert [event async for event in merged(feed, [forever()])] == [TimePassed(1)]
    assert closed == [True]


async def test_streams_when_one_fails_then_the_runner_hears_of_it() -> None:
    async def broken() -> AsyncIterator[MarketEvent]:
        yield TimePassed(1)
        raise ConnectionError("gone")

    async def forever() -> AsyncIterator[MarketEvent]:
        await asyncio.Event().wait()
        yield TimePassed(0)

    with pytest.raises(ConnectionError, match="gone"):
        _ = [event async for event in merged(forever(), [broken()])]
