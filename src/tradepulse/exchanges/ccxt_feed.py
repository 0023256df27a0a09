"""Closed candles of a real exchange as they happen: the stream tells when, REST tells what.

ccxt's candle streams do not say whether a candle is closed, and a lost message leaves one that never existed. So a
candle is told when its time is over by the exchange's clock, or a later one was seen, and REST gives it: the same
values that the history has. Where the stream saw other values, REST is asked again until both agree or the candle
can no longer change. Where there are no streams, the clock alone says when.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import ccxt.pro as ccxtpro
import numpy as np

from tradepulse.domain.events import CandleClosed, MarketEvent
from tradepulse.domain.market import Candle, Candles, SeriesKey
from tradepulse.exchanges.ccxt_candles import CcxtCandles, checked_page
from tradepulse.exchanges.ccxt_exchange import PASSING, ExchangeConnection, Sleep, at_urgency, own_cancellation
from tradepulse.exchanges.rate_budget import Urgency
from tradepulse.exchanges.unified_calls import Call
from tradepulse.shared.errors import TransientError

logger = logging.getLogger(__name__)
SETTLE_MS = 300
"""After the close, before REST is asked: exchanges need a moment to finish a candle."""
UNCHANGING_MS = 3_000
"""After the close, a candle is taken as REST has it, whatever the stream saw."""
GRACE_MS = 6_000
"""How long a round waits for its slowest market before it tells the others' candles."""
RETRY_SECONDS = 0.25
LATE_RETRY_MS = 5_000
SILENT_MS = 60_000
LONGEST_PAUSE_SECONDS = 15.0
BAN_PATIENCE_MS = 60_000


@dataclass(slots=True)
class _Progress:
    """``next_open``: of the first candle not told yet. ``heard_at``: when anything new was last learned.

    ``streamed_at``: when the stream last said anything.
    """

    next_open: int
    retry_at: int = 0
    heard_at: int = 0
    streamed_at: int = 0


class CcxtFeed:
    """``CandleFeed`` over one connection. Candles of one close time come together, ordered by market.

    A market without a trade in a minute has no candle of it on some exchanges: after the grace the others are told,
    and what comes later is told later, still in order within its series. Nothing is told twice and nothing invented.
    """

    def __init__(
        self, connection: ExchangeConnection, series: Sequence[SeriesKey], sleep: Sleep = asyncio.sleep
    ) -> None:
        self._connection = connection
        self._series = tuple(sorted(series))
        self._sleep = sleep
        self._source = CcxtCandles(connection.client, connection, sleep)
        self._source.require({one.symbol for one in series}, {one.timeframe for one in series})
        self._progress: dict[SeriesKey, _Progress] = {}
        self._moved = asyncio.Event()

    # --- the past

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        """Page by page. Where the exchange keeps only its latest candles, the older ones stay missing."""
        step = series.timeframe.milliseconds
        window = self._source.page_size * step
        until = min(until, series.timeframe.open_time_of(self._connection.now()))
        cursor = series.timeframe.open_time_of(since + step - 1)
        pages: list[Candles] = []
        while cursor < until:
            # A ban that is over soon must not end a recovery: the next one would only ask more.
            with at_urgency(Urgency.HISTORY, BAN_PATIENCE_MS):
                page = (await self._source.page(series.symbol, series.timeframe, cursor)).candles.between(cursor, until)
            pages.append(page)
            cursor = int(page.open_time[-1]) + step if len(page) else cursor + window
        found = _joined(pages)
        self._remember_history(series, found)
        return found

    def _remember_history(self, series: SeriesKey, found: Candles) -> None:
        """Candles that were given as history need not be told as events: those that follow them are."""
        if series not in self._progress and len(found):
            step = series.timeframe.milliseconds
            if int(found.open_time[-1]) + 3 * step >= self._connection.now():
                self._progress[series] = _Progress(int(found.open_time[-1]) + step)

    # --- the present

    async def events(self) -> AsyncIterator[MarketEvent]:
        async with aclosing(self.rounds()) as rounds:
            async for told in rounds:
                for event in told:
                    yield event

    async def rounds(self) -> AsyncGenerator[Sequence[CandleClosed], None]:
        """The events, those that came together at once."""
        for series in self._series:
            begin = series.timeframe.open_time_of(self._connection.now())
            progress = self._progress.setdefault(series, _Progress(begin))
            progress.heard_at = progress.streamed_at = self._connection.now()
        watching = [asyncio.create_task(self._watch(series)) for series in self._series] if self._streams else []
        try:
            while True:
                await self._until_due()
                if told := await self._round():
                    yield told
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def silent_for(self, series: SeriesKey) -> int:
        """Milliseconds since anything new was learned of a series; the guard against stale data asks this."""
        progress = self._progress.get(series)
        return 0 if progress is None else max(0, self._connection.now() - progress.heard_at)

    @property
    def _streams(self) -> bool:
        return bool(self._connection.client.has.get("watchOHLCV"))

    async def _until_due(self) -> None:
        while True:
            now = self._connection.now()
            due = min(self._due_at(series) for series in self._series)
            if due <= now:
                return
            self._connection.drop_streams("no candle and no answer to a ping", SILENT_MS)
            await self._pause(min((due - now) / 1000, LONGEST_PAUSE_SECONDS))

    def _due_at(self, series: SeriesKey) -> int:
        progress = self._progress[series]
        closes = progress.next_open + series.timeframe.milliseconds
        if self._later_seen(series) >= closes:
            return progress.retry_at
        return max(closes + SETTLE_MS, progress.retry_at)

    async def _round(self) -> list[CandleClosed]:
        """Ask for every candle that is due, for as long as the grace allows, and tell what was found by close time."""
        began = self._connection.now()
        waiting = [series for series in self._series if self._due_at(series) <= began]
        found: dict[SeriesKey, list[Candle]] = {}
        while waiting:
            answers = await asyncio.gather(*(self._closed(series) for series in waiting))
            found |= {series: candles for series, candles in zip(waiting, answers, strict=True) if candles}
            waiting = [series for series in waiting if not self._complete(series, found.get(series, ()))]
            if waiting and self._connection.now() - began >= GRACE_MS:
                break
            if waiting:
                await self._pause(RETRY_SECONDS)
        for series in waiting:
            self._progress[series].retry_at = self._connection.now() + LATE_RETRY_MS
        return self._told(found)

    def _told(self, found: dict[SeriesKey, list[Candle]]) -> list[CandleClosed]:
        for series, candles in found.items():
            progress = self._progress[series]
            progress.next_open = candles[-1].open_time + series.timeframe.milliseconds
            progress.heard_at = self._connection.now()
            if self._streams and candles[-1].volume and progress.heard_at - progress.streamed_at > SILENT_MS:
                progress.streamed_at = progress.heard_at
                self._connection.drop_streams(f"candles of {series} come only when asked for")
        events = [CandleClosed(series, candle) for series, candles in found.items() for candle in candles]
        return sorted(events, key=lambda event: (event.close_time, event.series))

    def _complete(self, series: SeriesKey, candles: Sequence[Candle]) -> bool:
        """Whether the newest candle that has closed is among them."""
        step = series.timeframe.milliseconds
        newest = series.timeframe.open_time_of(max(self._connection.now(), self._later_seen(series))) - step
        return bool(candles) and candles[-1].open_time >= newest

    async def _closed(self, series: SeriesKey) -> list[Candle]:
        """Candles after the last one told that are closed and will not change; none when the exchange does not say."""
        since = self._progress[series].next_open
        now = max(self._connection.now(), self._later_seen(series))
        step = series.timeframe.milliseconds
        limit = min(self._source.page_size, (now - since) // step + 2)
        try:
            call = Call("fetch_ohlcv", (series.symbol, series.timeframe.value, since, limit))
            rows = await self._connection.call(call, Urgency.QUESTIONS)
            page = checked_page(rows, series.timeframe, now).candles.between(since, None)
        except (*PASSING, ccxtpro.BaseError, TransientError) as error:
            logger.info("No candles of %s for now: %s", series, type(error).__name__)
            return []
        candles = [page.row(row) for row in range(len(page))]
        later = max((int(row[0]) for row in rows if row and row[0] is not None), default=0)
        if candles and not self._final(series, candles[-1], later):
            candles.pop()
        return candles

    def _final(self, series: SeriesKey, candle: Candle, newest_told: int) -> bool:
        """Whether REST has gone on to a later candle, or agrees with the stream, or cannot change any more."""
        closes = candle.open_time + series.timeframe.milliseconds
        seen = self._seen(series, candle.open_time)
        if seen is None or seen == candle:
            return newest_told >= closes or seen is not None or self._connection.now() >= closes + UNCHANGING_MS
        return self._connection.now() >= closes + UNCHANGING_MS

    # --- the streams

    async def _watch(self, series: SeriesKey) -> None:
        """Keep ccxt's cache of the stream filled; when the stream breaks, REST goes on alone until it is back."""
        client, pause = self._connection.client, RETRY_SECONDS
        while True:
            try:
                with own_cancellation():
                    await client.watch_ohlcv(series.symbol, series.timeframe.value)
                pause = RETRY_SECONDS
                self._progress[series].heard_at = self._progress[series].streamed_at = self._connection.now()
                if self._later_seen(series) > self._progress[series].next_open:
                    self._moved.set()
            except (ccxtpro.NotSupported, ccxtpro.ExchangeClosedByUser):
                return
            except (*PASSING, ccxtpro.BaseError) as error:
                logger.info("The candle stream of %s broke: %s", series, type(error).__name__)
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _rows(self, series: SeriesKey) -> list[Sequence[float]]:
        """What the stream has told, the latest first."""
        frames = (self._connection.client.ohlcvs or {}).get(series.symbol) or {}
        return list(reversed(list(frames.get(series.timeframe.value) or ())))

    def _later_seen(self, series: SeriesKey) -> int:
        """Open time of the newest candle that the stream has begun."""
        return int(next((row[0] for row in self._rows(series)), 0))

    def _seen(self, series: SeriesKey, open_time: int) -> Candle | None:
        row = next((row for row in self._rows(series) if row[0] == open_time), None)
        return None if row is None else Candle(open_time, *[float(value) for value in row[1:6]])

    async def _pause(self, seconds: float) -> None:
        """Until the time has passed or a stream has moved on."""
        self._moved.clear()
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._moved.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _joined(pages: Sequence[Candles]) -> Candles:
    if not pages:
        return Candles.empty()
    columns = ("open_time", "open", "high", "low", "close", "volume")
    return Candles(*(np.concatenate([getattr(page, name) for page in pages]) for name in columns))
