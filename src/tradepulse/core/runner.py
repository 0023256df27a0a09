"""The asynchronous rim of the engine: commit the step, then act, then tell. Start-up is recovery."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from tradepulse.core.engine import Engine, Step
from tradepulse.core.event_system import EventBus
from tradepulse.domain.commands import client_ids
from tradepulse.domain.events import (
    CandleClosed,
    EngineEvent,
    EngineInput,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    RequestTaken,
    SizeChanged,
    TimePassed,
)
from tradepulse.domain.market import MarketKey
from tradepulse.ports import (
    CandleFeed,
    CandleStore,
    Clock,
    CommandInbox,
    Journal,
    JsonObject,
    OrderGateway,
    StepRecord,
)
from tradepulse.shared.errors import InvariantError
from tradepulse.shared.logging import logged_with

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
# Where the memory of the advisers stands in a book's snapshot, by name.
ADVISERS = "advisers"


class Adviser(Protocol):
    """Learns from the facts of each step and may ask for other sizes, which are the engine's next input.

    No I/O and no clock: the same facts, the same advice. Its memory is written down with every step it learned from.
    """

    @property
    def name(self) -> str: ...

    @property
    def learned(self) -> bool:
        """Whether the facts of the last step have changed its memory, if only those of a candle."""
        ...

    def advise(self, events: Sequence[EngineEvent]) -> Sequence[SizeChanged]: ...

    def standing(self) -> Sequence[SizeChanged]:
        """All that holds at present; asked at every start, because advice may have been lost with the process."""
        ...

    def memory(self) -> JsonObject: ...

    def remember(self, memory: JsonObject) -> None: ...


class Runner:
    """Drives one engine over one feed and one gateway.

    Every step is committed in one transaction before any of its commands is executed, so a kill at any instant leaves
    either the intent, about which the exchange is asked, or nothing. ``ticks`` tell the time where it is real, and
    ``watch`` what entries need and may be without. ``opening`` is how that stands at the start, taken before anything
    that was missed is acted on. ``watch_prices`` hears of the markets whose bids the engine needs, when they change.
    """

    def __init__(
        self,
        engine: Engine,
        feed: CandleFeed,
        gateway: OrderGateway,
        journal: Journal,
        clock: Clock,
        candles: CandleStore | None = None,
        observers: EventBus | None = None,
        advisers: Sequence[Adviser] = (),
        ticks: AsyncIterator[TimePassed] | None = None,
        inbox: CommandInbox | None = None,
        watch: AsyncIterator[EngineInput] | None = None,
        opening: Callable[[], Sequence[EngineInput]] = lambda: (),
        watch_prices: Callable[[frozenset[MarketKey]], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self._candles = candles
        self._bus = observers or EventBus()
        self._advisers = advisers
        self._ticks = ticks
        self._inbox = inbox
        self._watch = watch
        self._opening = opening
        self._watch_prices = watch_prices
        self._priced: frozenset[MarketKey] = frozenset()
        self._sequence = 0

    async def run(self, initial_cash: Decimal, enough: Callable[[], bool] = lambda: False) -> None:
        """Until the feed ends, or ``enough`` says so: before an event, or after it and all that followed from it.

        Errors of the engine are not caught: trading halts, protections stay where they are.
        """
        await self.recover(initial_cash)
        await self.trade(enough)

    async def trade(self, enough: Callable[[], bool] = lambda: False) -> None:
        """What happens from now on; after ``recover``."""
        async with aclosing(self._between_requests(self._inputs())) as events:
            async for event in events:
                # It may have been said while we waited; what is not taken now is caught up with by the next start.
                if enough():
                    return
                await self.take(event)
                if enough():
                    return

    def _inputs(self) -> AsyncIterator[EngineInput]:
        """One stream of all that happens. An exchange that is also the feed is read once, in its own order."""
        feed: object = self._feed
        beside: list[AsyncIterator[EngineInput]] = [] if feed is self._gateway else [self._gateway.events()]
        beside += [stream for stream in (self._watch, self._ticks) if stream is not None]
        return merged(self._feed.events(), beside) if beside else self._feed.events()

    async def recover(self, initial_cash: Decimal) -> None:
        """Load the book, fill the windows, ask the exchange what became of our orders, catch up on candles."""
        remembered = await self._journal.recover(self._engine.config.book)
        if remembered is not None:
            self._sequence, snapshot = remembered
            self._engine.restore(snapshot)
            for adviser in self._advisers:
                adviser.remember(snapshot.get(ADVISERS, {}).get(adviser.name, {}))
        await self._fill_windows()
        if remembered is None:
            await self._perform(self._engine.begin(initial_cash, self._clock.now()))
        self._want_prices()
        for standing in self._opening():
            await self.take(standing)
        for adviser in self._advisers:
            for advice in adviser.standing():
                await self.take(advice)
        await self._settle_orders()
        if remembered is not None:
            # How old a missed candle is shows by the time it is now, not by when the engine last heard of anything.
            await self.take(TimePassed(self._clock.now()))
        # Before what was missed: whoever asked to halt meanwhile wants nothing of it entered.
        await self._obey_requests()
        await self._catch_up()

    async def take(self, event: EngineInput) -> None:
        """One event, and then what the advisers and the exchange answer to what it made us do."""
        await self._take_all([event])

    async def _take_all(self, events: Sequence[EngineInput]) -> None:
        """Of facts of one order in a row, all but the last are taken knowing that more is to come."""
        waiting: deque[EngineInput] = deque(events)
        while waiting:
            event = waiting.popleft()
            order = _order_of(event)
            more = bool(waiting) and order is not None and order == _order_of(waiting[0])
            waiting.extend(await self._perform(self._engine.handle(event, more=more)))

    async def _between_requests(self, feed: AsyncIterator[EngineInput]) -> AsyncGenerator[EngineInput, None]:
        """The feed as it is. Requests that come are obeyed between two of its events, also while it is silent."""
        if self._inbox is None:
            try:
                async for event in feed:
                    yield event
            finally:
                await _close(feed)
            return
        await self._obey_requests()
        news = _begun(self._inbox.news(self._engine.config.book))
        coming = _begun(_next_of(feed))
        try:
            while True:
                await asyncio.wait({news, coming}, return_when=asyncio.FIRST_COMPLETED)
                if news.done():
                    await news
                    await self._obey_requests()
                    news = _begun(self._inbox.news(self._engine.config.book))
                    continue
                told = await coming
                if told is None:
                    return
                yield told
                coming = _begun(_next_of(feed))
        finally:
            news.cancel()
            coming.cancel()
            await asyncio.gather(news, coming, return_exceptions=True)
            await _close(feed)

    async def _obey_requests(self) -> None:
        """A kill before ``finish`` gives the same request again; the engine knows its id and answers the same."""
        if self._inbox is None:
            return
        while (request := await self._inbox.take(self._engine.config.book)) is not None:
            with logged_with(command_id=request.request_id, request_id=str(request.payload.get("trace", ""))):
                await self.take(RequestTaken(request, self._clock.now()))
                logger.info("command obeyed", extra={"kind": request.kind.value, "book": request.book})
            answer = self._engine.answered
            if answer is None or answer.request_id != request.request_id:
                raise InvariantError(f"Request {request.request_id} was taken and not answered.")
            await self._inbox.finish(request.request_id, done=answer.done, outcome=answer.outcome, time=answer.time)

    async def _perform(self, step: Step) -> list[EngineInput]:
        # Before the commit, so that what an adviser learned is written down with the step it learned it from.
        answers: list[EngineInput] = [advice for adviser in self._advisers for advice in adviser.advise(step.events)]
        if step.events or step.memorable:
            self._sequence += 1
            memorable = step.memorable or any(adviser.learned for adviser in self._advisers)
            record = StepRecord(
                self._engine.config.book,
                self._sequence,
                step.time,
                step.events,
                step.commands,
                self._snapshot() if memorable else None,
            )
            await self._journal.commit(record)
        for command in step.commands:
            logger.debug("order sent", extra={"command": type(command).__name__, "orders": client_ids(command)})
            answers.extend(await self._gateway.execute(command))
        for event in step.events:
            if isinstance(event, OrderFilled):
                logger.debug("order filled", extra={"orders": [event.fill.client_id], "fill": event.fill.fill_id})
        self._want_prices()
        self._bus.tell(step.events)
        return answers

    def _want_prices(self) -> None:
        wanted = self._engine.priced_markets()
        if wanted != self._priced:
            self._priced = wanted
            self._watch_prices(wanted)

    def _snapshot(self) -> JsonObject:
        snapshot = self._engine.snapshot()
        if self._advisers:
            snapshot[ADVISERS] = {adviser.name: adviser.memory() for adviser in self._advisers}
        return snapshot

    async def _fill_windows(self) -> None:
        if self._candles is None:
            return
        for series in self._engine.data.base_series():
            wanted = self._engine.history_needed(series)
            self._engine.warm_up(series, await self._candles.tail(series, wanted))

    async def _settle_orders(self) -> None:
        answers = await self._perform(self._engine.resume(self._clock.now()))
        for answer in answers:
            logger.info("Found out after the restart: %s", answer)
        await self._take_all(answers)

    async def _catch_up(self) -> None:
        """Candles that closed between our last committed step and now, in the order of time."""
        missed: list[CandleClosed] = []
        now = self._clock.now()
        for series in self._engine.data.base_series():
            last = self._engine.data.last_open(series)
            since = self._engine.began_at if last < 0 else last + series.timeframe.milliseconds
            candles = await self._feed.history(series, since, now)
            missed += [CandleClosed(series, candles.row(row)) for row in range(len(candles))]
        for event in sorted(missed, key=_feed_order):
            await self.take(event)


async def merged(
    feed: AsyncIterator[EngineInput], beside: Iterable[AsyncIterator[EngineInput]]
) -> AsyncIterator[EngineInput]:
    """Events of all streams as they come, until the feed ends. What came at once is told in the order of the streams,
    the feed last; no stream is asked for more before its last event was taken."""
    streams = [*beside, feed]
    waiting = {asyncio.ensure_future(_next_of(stream)): stream for stream in streams}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=lambda one: streams.index(waiting[one])):
                stream, event = waiting.pop(task), await task
                if event is not None:
                    yield event
                    waiting[asyncio.ensure_future(_next_of(stream))] = stream
                elif stream is feed:
                    return
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await _close(stream)


async def _close(stream: AsyncIterator[EngineInput]) -> None:
    """At once: what it holds open, such as a connection, is not left to the garbage collector."""
    if isinstance(stream, AsyncGenerator):
        await stream.aclose()


def _begun(work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
    return asyncio.create_task(work)


async def _next_of(stream: AsyncIterator[EngineInput]) -> EngineInput | None:
    return await anext(stream, None)


def _order_of(event: EngineInput) -> str | None:
    """The order of which an event is a fact, if it may be one of several."""
    if isinstance(event, OrderFilled):
        return event.fill.client_id
    return event.client_id if isinstance(event, OrderAccepted | OrderEnded) else None


def _feed_order(event: CandleClosed) -> tuple[int, MarketKey]:
    return event.close_time, event.series.market
