"""Download the candle history of any exchange into the candle store, page by page, going on where it stopped."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp

from tradepulse.domain.market import Candles, MarketSpec, SeriesKey, Timeframe
from tradepulse.exchanges.capabilities import fitted
from tradepulse.exchanges.ccxt_candles import CcxtCandles, Sleep, opened_exchange
from tradepulse.ports import CandleStore, Clock
from tradepulse.shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """Of one series: candles done and expected, the rate since the start, and an estimate of what is left."""

    series: SeriesKey
    rows: int
    expected: int
    rows_per_second: float
    seconds_left: float


@dataclass(slots=True)
class SeriesReport:
    """What a download did for one series. ``notices`` say plainly what is missing and why."""

    series: SeriesKey
    inserted: int = 0
    unchanged: int = 0
    conflicting: list[int] = field(default_factory=list)
    refused: int = 0
    pages: int = 0
    first: int | None = None
    last: int | None = None
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DownloadReport:
    exchange: str
    series: tuple[SeriesReport, ...]

    @property
    def inserted(self) -> int:
        return sum(report.inserted for report in self.series)


Progress = Callable[[DownloadProgress], None]


async def download(
    exchange_id: str,
    symbols: Sequence[str],
    timeframes: Sequence[Timeframe],
    since: int,
    until: int,
    store: CandleStore,
    clock: Clock,
    progress: Progress | None = None,
    *,
    session: aiohttp.ClientSession | None = None,
    sleep: Sleep = asyncio.sleep,
) -> DownloadReport:
    """Closed candles with ``since <= open_time < until`` (UTC ms) that the store does not have yet.

    Every page is stored before the next is asked for, so an interrupted download goes on where it stopped. Errors:
    ``ConfigurationError`` for an exchange, symbol or timeframe that does not exist; ``TransientError`` when the
    exchange stays out of reach after bounded back-off.
    """
    if until <= since:
        raise ConfigurationError(f"The end {_day(until)} is not after the start {_day(since)}.", "Swap the dates.")
    derivatives = any(":" in symbol for symbol in symbols)
    async with opened_exchange(exchange_id, clock, derivatives=derivatives, session=session, sleep=sleep) as source:
        source.require(symbols, timeframes)
        reports = [
            await _SeriesDownload(source, SeriesKey(exchange_id, symbol, timeframe), store, clock, progress).run(
                since, until
            )
            for symbol in symbols
            for timeframe in timeframes
        ]
    return DownloadReport(exchange_id, tuple(reports))


class _SeriesDownload:
    def __init__(
        self, source: CcxtCandles, series: SeriesKey, store: CandleStore, clock: Clock, progress: Progress | None
    ) -> None:
        self._source = source
        self._series = series
        self._store = store
        self._clock = clock
        self._progress = progress
        self._report = SeriesReport(series)
        self._step = series.timeframe.milliseconds
        self._window = source.page_size * self._step
        self._spec: MarketSpec | None = None
        self._began = clock.now()
        self._done = 0
        self._expected = 0

    async def run(self, since: int, until: int) -> SeriesReport:
        first = self._series.timeframe.open_time_of(since + self._step - 1)
        closed = self._series.timeframe.open_time_of(self._source.now())
        stretches = await self._missing(first, min(until, closed))
        self._expected = sum(-(-(end - start) // self._step) for start, end in stretches)
        for start, end in stretches:
            await self._fetch(start, end)
        if until > closed:
            self._report.notices.append(f"Ends with the last closed candle, before {_moment(closed)}.")
        if self._report.refused:
            self._report.notices.append(f"{self._report.refused} impossible or misplaced rows were refused.")
        if self._report.conflicting:
            self._report.notices.append(
                f"{len(self._report.conflicting)} candles differ from the stored ones, which were kept."
            )
        return self._report

    async def _missing(self, since: int, until: int) -> list[tuple[int, int]]:
        """What to ask for: before the stored candles, holes of more than a page inside, and after them."""
        stored = next((entry for entry in await self._store.coverage() if entry.series == self._series), None)
        if stored is None:
            return [(since, until)] if since < until else []
        wide = [hole for hole in await self._store.gaps(self._series) if hole[1] - hole[0] > self._window]
        asked = [(since, stored.first), *wide, (stored.last + self._step, until)]
        clipped = [(max(start, since), min(end, until)) for start, end in asked]
        return [(start, end) for start, end in clipped if start < end]

    async def _fetch(self, since: int, until: int) -> None:
        cursor, doubted, found = since, False, False
        while cursor < until:
            page = await self._source.page(self._series.symbol, self._series.timeframe, cursor)
            self._report.pages += 1
            candles = page.candles.between(cursor, None)
            if len(candles) == 0:
                # Asked once more: an exchange under load answers with nothing too.
                cursor, doubted = (cursor + self._window, False) if doubted else (cursor, True)
                continue
            doubted = False
            if not found:
                self._note_late_start(cursor, candles)
                found = True
            self._report.refused += page.refused
            await self._keep(candles.between(None, until))
            self._done += (min(int(candles.open_time[-1]) + self._step, until) - cursor) // self._step
            cursor = int(candles.open_time[-1]) + self._step
            self._tell()
        if not found:
            self._report.notices.append(
                f"{self._series.exchange} has no candles from {_moment(since)} to {_moment(until)}."
            )

    async def _keep(self, candles: Candles) -> None:
        if len(candles) == 0:
            return
        await self._keep_market(candles)
        written = await self._store.write(self._series, candles)
        self._report.inserted += written.inserted
        self._report.unchanged += written.unchanged
        self._report.conflicting.extend(written.conflicting)
        first, last = int(candles.open_time[0]), int(candles.open_time[-1])
        self._report.first = first if self._report.first is None else min(first, self._report.first)
        self._report.last = last if self._report.last is None else max(last, self._report.last)

    async def _keep_market(self, candles: Candles) -> None:
        """Store the market's filters, with a tick under which all its stored history is whole."""
        if self._spec is None:
            spec = self._source.spec(self._series.symbol, candles)
            stored = await self._store.read_market(spec.key)
            if stored is not None and stored.tick_size < spec.tick_size:
                spec = replace(spec, tick_size=stored.tick_size, lot_size=stored.lot_size, source=stored.source)
        else:
            spec = fitted(self._spec, candles)
        if spec != self._spec:
            await self._store.write_market(spec)
            self._spec = spec

    def _note_late_start(self, asked: int, candles: Candles) -> None:
        first, last = int(candles.open_time[0]), int(candles.open_time[-1])
        if first - asked <= self._step:
            return
        recent = last + 2 * self._step >= self._source.now()
        if recent and len(candles) >= self._source.page_size - 2:
            self._report.notices.append(
                f"{self._series.exchange} gives only its latest {self._source.page_size} {self._series.timeframe} "
                f"candles: asked from {_moment(asked)}, got from {_moment(first)} on. Download often enough to keep "
                "up, use a higher timeframe, or take the older history from another exchange."
            )
        else:
            self._report.notices.append(
                f"Asked from {_moment(asked)}; the first candle {self._series.exchange} has is of {_moment(first)}."
            )

    def _tell(self) -> None:
        if self._progress is None:
            return
        seconds = max(self._clock.now() - self._began, 1) / 1000
        rate = self._done / seconds
        left = max(self._expected - self._done, 0)
        self._progress(
            DownloadProgress(self._series, self._done, self._expected, rate, left / rate if rate else float("inf"))
        )


def _moment(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _day(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d}"
