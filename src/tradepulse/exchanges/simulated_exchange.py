"""An exchange inside the process: plays a market tape, takes orders, and survives a kill like a real one.

Each bar has three phases over all markets in the order of their keys. OPEN: exits, pairs and entries meet the opening
price. RANGE: resting pairs meet high and low, those placed in answer to an entry fill just before too. CLOSE: the
candles are told. With a store, every change is saved before it is told or answered, so that a new object on the same
store goes on where the old one stopped: no fill twice, none skipped. Candles that were saved as told but never
arrived are found in ``history``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np

from tradepulse.domain.commands import Command
from tradepulse.domain.events import CandleClosed, MarketEvent, OrderEvent
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketSpec, SeriesKey
from tradepulse.domain.orders import OrderStatus
from tradepulse.exchanges.kept_book import KeptBook
from tradepulse.exchanges.market_tape import MarketTape, resampled
from tradepulse.exchanges.venue_book import MarketRules, VenueBook
from tradepulse.exchanges.venue_orders import VenueOrder
from tradepulse.kernels import fills
from tradepulse.ports import JsonObject, VenueStore
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError, InvariantError

BLOCK_BARS = 4096
Pace = Callable[[int], Awaitable[None]]
"""Awaited once per bar, between its open and its close, with the close time."""


class Phase(StrEnum):
    OPEN = "open"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the venue stands: before anything of ``market`` in this phase (``None``: of any) has happened, or inside
    it. ``arrived`` is the arrival number that separates orders taking part from those that came during the stage."""

    open_time: int
    phase: Phase = Phase.OPEN
    market: MarketKey | None = None
    arrived: int | None = None


@dataclass(frozen=True, slots=True)
class _Bar:
    open_time: int
    candles: list[tuple[SeriesKey, Candle]]


class SimulatedExchange:
    """``CandleFeed`` and ``OrderGateway`` over one tape.

    ``start`` is the first open time to play (default: the tape's first). ``venue`` names the book in the store.
    Without ``pairs`` it takes single stops only, as many exchanges do.
    Without a store nothing is saved, and without a pace the tape runs as fast as its consumer.
    """

    def __init__(
        self,
        tape: MarketTape,
        balances: Mapping[str, Decimal],
        *,
        start: int | None = None,
        store: VenueStore | None = None,
        venue: str = "simulated",
        pace: Pace | None = None,
        pairs: bool = True,
    ) -> None:
        first = tape.begin if start is None else max(start, tape.begin)
        # A remembered venue may stand before ``start``: the clock cannot go back to it afterwards.
        self.clock = ManualClock(first if store is None else tape.begin)
        self._first = first
        self._tape = tape
        self._book = VenueBook(tape.specs, balances, dict.fromkeys(tape.specs, MarketRules(pairs=pairs)))
        self._kept = KeptBook(self._book, store, venue)
        self._series = {key: SeriesKey(key.exchange, key.symbol, tape.timeframe) for key in sorted(tape.specs)}
        self._tick = {key: float(spec.tick_size) for key, spec in tape.specs.items()}
        self._step = tape.timeframe.milliseconds
        self._cursor = Cursor(-(-first // self._step) * self._step)
        self._store = store
        self._venue = venue
        self._pace = pace
        self._recovered = store is None

    # --- the feed

    async def events(self) -> AsyncIterator[MarketEvent]:
        await self.recover()
        book, clock, step = self._book, self.clock, self._step
        for bar in self._bars():
            if self._cursor.open_time != bar.open_time:
                self._cursor = Cursor(bar.open_time)
            clock.advance_to(bar.open_time)
            if book.open and self._cursor.phase is Phase.OPEN:
                async for event in self._play(bar, Phase.OPEN):
                    yield event
            if self._cursor.phase is Phase.OPEN:
                self._cursor = Cursor(bar.open_time, Phase.RANGE)
            if self._pace is not None:
                await self._pace(bar.open_time + step)
            clock.advance_to(bar.open_time + step)
            if book.open:
                async for event in self._play(bar, Phase.RANGE):
                    yield event
            self._cursor = Cursor(bar.open_time + step)
            if self._store is not None:
                await self._save()
            for series, candle in bar.candles:
                yield CandleClosed(series, candle)

    async def _play(self, bar: _Bar, phase: Phase) -> AsyncIterator[OrderEvent]:
        """One phase of a bar over its markets, going on inside it where the cursor says so."""
        for series, candle in bar.candles:
            market = series.market
            resumed = self._cursor.market
            if resumed is not None and market < resumed:
                continue
            if market != resumed or self._cursor.arrived is None:
                if market not in self._book.open:
                    continue
                self._cursor = Cursor(bar.open_time, phase, market, self._book.sequence)
            for order in self._book.resting(market, self._cursor.arrived or 0):
                if order.status is not OrderStatus.OPEN:
                    continue
                events = self._meet(order, phase, candle)
                if not events:
                    continue
                await self._save()
                for event in events:
                    yield event

    def _meet(self, order: VenueOrder, phase: Phase, candle: Candle) -> list[OrderEvent]:
        tick = self._tick[order.market]
        if phase is Phase.OPEN:
            return self._book.meet_open(order, candle.open_time, fills.to_ticks(candle.open, tick))
        opened, high, low = (fills.to_ticks(price, tick) for price in (candle.open, candle.high, candle.low))
        return self._book.meet_range(order, opened, high, low, candle.open_time + self._step)

    def _bars(self) -> Iterator[_Bar]:
        """Bars from the cursor on, in blocks; times at which no market has a row do not occur."""
        since = self._cursor.open_time
        while self._tape.end is None or since < self._tape.end:
            until = since + BLOCK_BARS * self._step
            yield from _merged(
                [(series, self._tape.between(key, since, until)) for key, series in self._series.items()]
            )
            since = until

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        """Candles of any timeframe, resampled from the tape; a bar that began before its market did is left out."""
        await self.recover()
        if series.market not in self._series:
            listed = ", ".join(str(key) for key in self._series)
            raise ConfigurationError(f"{series.market} is not on this exchange.", f"It lists: {listed}.")
        if series.timeframe.milliseconds % self._step != 0:
            raise ConfigurationError(
                f"{series.timeframe} candles cannot be made from {self._tape.timeframe} ones.",
                f"Ask for {self._tape.timeframe} or a multiple of it.",
            )
        duration = series.timeframe.milliseconds
        # The cursor, not the clock: while pairs meet a bar's range, its candle is not yet told.
        last = min(until - 1, self._cursor.open_time - duration)
        first = max(series.timeframe.open_time_of(since + duration - 1), self._tape.begin_of(series.market))
        finer = self._tape.between(series.market, first, series.timeframe.open_time_of(last) + duration)
        return resampled(finer, series.timeframe).between(first, last + 1)

    # --- the gateway

    async def execute(self, command: Command) -> Sequence[OrderEvent]:
        await self.recover()
        answers = await self._kept.execute(command, self.clock.now())
        if self._book.touched:
            await self._save()
        return answers

    async def markets(self) -> dict[MarketKey, MarketSpec]:
        return dict(self._tape.specs)

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Total and free amount per currency."""
        return {currency: (total, self._book.free(currency)) for currency, total in self._book.total.items()}

    # --- memory

    async def recover(self) -> None:
        """Take up what the store remembers of this venue; the first call of anything does it."""
        if self._recovered or self._store is None:
            return
        state = await self._kept.load()
        # Another caller may have recovered, and gone on, while this one waited.
        if state is not None and not self._has_recovered():
            self._restore(state)
        if state is None:
            self.clock.advance_to(self._first)
        self._recovered = True

    def _has_recovered(self) -> bool:
        return self._recovered

    def _restore(self, state: JsonObject) -> None:
        if state["timeframe"] != str(self._tape.timeframe):
            raise InvariantError(
                f"Venue '{self._venue}' was played on {state['timeframe']} candles, not {self._tape.timeframe}.",
                "Give the new tape a venue name of its own.",
            )
        self._book.restore(state["book"])
        open_time, phase, market, arrived = state["cursor"]
        self._cursor = Cursor(open_time, Phase(phase), MarketKey(*market) if market else None, arrived)
        self.clock.advance_to(state["now"])

    async def _save(self) -> None:
        await self._kept.save(self._as_json)

    def _as_json(self) -> JsonObject:
        cursor = self._cursor
        market = cursor.market and [cursor.market.exchange, cursor.market.symbol]
        return {
            "timeframe": str(self._tape.timeframe),
            "now": self.clock.now(),
            "cursor": [cursor.open_time, str(cursor.phase), market, cursor.arrived],
            "book": self._book.as_json(),
        }


def paced(minutes_per_second: float, sleep: Callable[[float], Awaitable[None]], step: int) -> Pace:
    """A pace of so many simulated minutes per second of real time; ``step`` is the bar's length in ms."""
    seconds = step / 60_000 / minutes_per_second

    async def pace(_close_time: int) -> None:
        await sleep(seconds)

    return pace


def _merged(columns: list[tuple[SeriesKey, Candles]]) -> Iterator[_Bar]:
    """Rows of all markets by open time, markets in the given order."""
    filled = [(series, candles) for series, candles in columns if len(candles)]
    if len(filled) == 1:
        series, candles = filled[0]
        for candle in _rows(candles):
            yield _Bar(candle.open_time, [(series, candle)])
        return
    if not filled:
        return
    times = np.unique(np.concatenate([candles.open_time for _, candles in filled]))
    pending = [(series, _rows(candles)) for series, candles in filled]
    heads = [next(rows, None) for _, rows in pending]
    for time in times.tolist():
        present: list[tuple[SeriesKey, Candle]] = []
        for position, (series, rows) in enumerate(pending):
            head = heads[position]
            if head is not None and head.open_time == time:
                present.append((series, head))
                heads[position] = next(rows, None)
        yield _Bar(time, present)


def _rows(candles: Candles) -> Iterator[Candle]:
    return map(
        Candle,
        candles.open_time.tolist(),
        candles.open.tolist(),
        candles.high.tolist(),
        candles.low.tolist(),
        candles.close.tolist(),
        candles.volume.tolist(),
    )
