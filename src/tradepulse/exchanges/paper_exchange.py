"""Paper trading: a venue of our own on the candles and prices of a real exchange, with that exchange's rules.

Each candle that closed is played like a bar of the simulated exchange: what rests meets its open, then its range, then
the candle is told. What is decided at a close therefore meets the next candle's open, as in a backtest, and is told
when that candle has closed. Where bids are watched, stops and exits meet them as they come, and at a candle's close
once more what was not seen of it.

A command given while a candle was just told belongs to its moment in the market; later it belongs to the time it is,
and nothing that was before touches it. So a stop that rested while the program was down is filled from the history, and
what is commanded afterwards is not. Where the exchange does not keep candles of a minute for so long, longer ones are
played in their place.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol

from tradepulse.domain.commands import Command, PlaceEntry, PlaceExit, Placement
from tradepulse.domain.events import CandleClosed, MarketEvent, OrderEvent, PriceSeen
from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import (
    AccountView,
    OrderRole,
    OrderStatus,
    ProtectionMode,
    RestingOrder,
)
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges.kept_book import KeptBook
from tradepulse.exchanges.order_intents import GatewayMarket, intent_of
from tradepulse.exchanges.simulated_exchange import Phase
from tradepulse.exchanges.venue_book import MarketRules, VenueBook, client_ids
from tradepulse.exchanges.venue_orders import VenueOrder
from tradepulse.kernels import fills
from tradepulse.ports import Clock, JsonObject, VenueStore
from tradepulse.shared.errors import ConfigurationError, RefusedError

TOLERANCE_MS = 10_000
"""How long after its moment in the market a command still belongs to it: feeds wait for their slowest market."""
KEPT_MS = 3_600_000
"""A hole longer than this at the beginning of the history is one that longer candles may fill."""
FRESH_MS = 5_000
"""For how long a bid is good to sell at."""


def played_series(series: SeriesKey) -> SeriesKey:
    """What is played where ``series`` is told: the finest candles, which show the order of things best."""
    return SeriesKey(series.exchange, series.symbol, Timeframe.M1)


class CandleRounds(Protocol):
    """A feed whose candles come together where they closed together."""

    def rounds(self) -> AsyncGenerator[Sequence[CandleClosed], None]: ...

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles: ...

    def silent_for(self, series: SeriesKey) -> int: ...


class Prices(Protocol):
    """The last bids of the markets that are wanted."""

    def want(self, markets: Iterable[MarketKey]) -> None: ...

    def take(self) -> PriceSeen | None: ...

    def tasks(self) -> list[asyncio.Task[None]]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A candle that moves what rests, or is told, or both."""

    event: CandleClosed
    moves: bool
    told: bool


Bar = list[Turn]
"""What closed at one time."""
PricesFor = Callable[[Callable[[], None]], Prices]
"""Makes the prices; the argument is called when there is one to be taken."""


@dataclass(slots=True)
class Progress:
    """Where a market stands: the first bar that was not played to its end, and, inside it, the arrival number that
    separates the orders that take part from those that came during the phase."""

    open_time: int
    phase: Phase = Phase.OPEN
    arrived: int | None = None


class PaperExchange:
    """``CandleFeed`` and ``OrderGateway`` of one wallet. ``series`` are told, one per market; its minutes are played.

    Without a store nothing survives, and without prices only candles move what rests. ``clock`` is the exchange's, and
    ``coarser`` the longer candles that it has, the shortest first.
    """

    def __init__(
        self,
        markets: Mapping[MarketKey, GatewayMarket],
        rules: Mapping[MarketKey, MarketRules],
        series: Sequence[SeriesKey],
        feed: CandleRounds,
        clock: Clock,
        balances: Mapping[str, Decimal],
        *,
        prices: PricesFor | None = None,
        store: VenueStore | None = None,
        venue: str = "paper",
        coarser: Sequence[Timeframe] = (),
    ) -> None:
        self._markets = dict(markets)
        self._base = {one.market: one for one in sorted(series)}
        self._played = {one.market: played_series(one) for one in sorted(series)}
        self._coarser = tuple(coarser)
        self._feed = feed
        self.clock = clock
        self._book = VenueBook({key: market.spec for key, market in markets.items()}, balances, rules)
        self._kept = KeptBook(self._book, store, venue)
        self._progress: dict[MarketKey, Progress] = {}
        self._next_told: dict[MarketKey, int] = {}
        """Open time of the first candle that is still to be told."""
        self._elsewhere: list[list[Any]] = []
        """What is remembered of markets that are not traded any more."""
        self._recovering = asyncio.Lock()
        self._news = asyncio.Event()
        self._prices = None if prices is None else prices(self._news.set)
        self._watched: frozenset[MarketKey] = frozenset()
        self._seen: dict[MarketKey, PriceSeen] = {}
        self._held: dict[MarketKey, PriceSeen] = {}
        """Prices that came while the candle before them was not told yet."""

    # --- what happens

    async def events(self) -> AsyncIterator[MarketEvent]:
        await self.recover()
        async with aclosing(self._rounds()) as rounds:
            async for bars in rounds:
                for bar in bars:
                    async with aclosing(self._play(bar)) as told:
                        async for event in told:
                            yield event
                async with aclosing(self._met_prices()) as met:
                    async for event in met:
                        yield event

    async def _rounds(self) -> AsyncGenerator[list[Bar], None]:
        """First the bars that were missed, then what comes; a round without bars is for prices alone."""
        # The exchange may have closed another candle while those before it were played.
        while missed := await self._missed():
            yield missed
        rounds = self._feed.rounds()
        coming = asyncio.ensure_future(anext(rounds, None))
        try:
            while True:
                await self._woken_by(coming)
                if not coming.done():
                    yield []
                    continue
                told = await coming
                if told is None:
                    return
                yield await self._bars(told)
                coming = asyncio.ensure_future(anext(rounds, None))
        finally:
            await self._end(coming, rounds)

    async def _woken_by(self, coming: asyncio.Task[Any]) -> None:
        news, watching = asyncio.ensure_future(self._news.wait()), self._price_tasks()
        try:
            await asyncio.wait({news, coming, *watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        self._news.clear()
        for task in watching:
            if task.done() and not task.cancelled():
                task.result()

    async def _end(self, coming: asyncio.Task[Any], rounds: AsyncGenerator[Any, None]) -> None:
        tasks = [coming]
        if self._prices is not None:
            tasks += self._prices.tasks()
            self._prices.want(())
            self._prices.tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await rounds.aclose()

    async def _missed(self) -> list[Bar]:
        """Bars that closed while nobody looked, in order."""
        found, now = list[Turn](), self.clock.now()
        for market, series in self._played.items():
            found += await self._played_past(series, self._progress[market].open_time, now)
            base = self._base[market]
            if base != series:
                found += [Turn(event, False, True) for event in await self._past(base, self._next_told[market], now)]
        return _together(found)

    async def _past(self, series: SeriesKey, since: int, until: int) -> list[CandleClosed]:
        candles = await self._feed.history(series, since, until)
        return [CandleClosed(series, candles.row(row)) for row in range(len(candles))]

    async def _played_past(self, series: SeriesKey, since: int, until: int) -> list[Turn]:
        """With longer candles for what the exchange does not keep any more. One that began before ``since`` does no
        harm: what rested all through it was not touched until then."""
        fine = await self._past(series, since, until)
        begins = fine[0].candle.open_time if fine else until
        longest: list[CandleClosed] = []
        for timeframe in self._coarser:
            covered = longest[0].candle.open_time if longest else begins
            if covered - since < KEPT_MS:
                break
            coarse = SeriesKey(series.exchange, series.symbol, timeframe)
            longest = await self._past(coarse, timeframe.open_time_of(since), begins) or longest
        ended = longest[-1].close_time if longest else since
        told = series == self._base[series.market]
        later = [Turn(event, event.candle.open_time >= ended, told) for event in fine]
        return [*(Turn(event, True, False) for event in longest), *later]

    async def _bars(self, told: Sequence[CandleClosed]) -> list[Bar]:
        """The feed's candles without those that were told, and with those that closed before it began."""
        fresh: list[Turn] = []
        for event in told:
            series, opens = event.series, event.candle.open_time
            played = series == self._played[series.market]
            expected = self._progress[series.market].open_time if played else self._next_told[series.market]
            if opens < expected:
                continue
            if opens > expected and not any(each.event.series == series for each in fresh):
                if played:
                    fresh += await self._played_past(series, expected, opens)
                else:
                    fresh += [Turn(each, False, True) for each in await self._past(series, expected, opens)]
            fresh.append(Turn(event, played, series == self._base[series.market]))
        return _together(fresh)

    async def _play(self, bar: Bar) -> AsyncGenerator[MarketEvent, None]:
        moving = [turn.event for turn in bar if turn.moves]
        for phase in Phase:
            for event in moving:
                async with aclosing(self._phase(event, phase)) as told:
                    async for fact in told:
                        yield fact
        for event in moving:
            self._progress[event.series.market] = Progress(event.close_time)
            market = self._markets[event.series.market]
            market.bid = market.spec.price(self._ticks(event, event.candle.close))
        if moving:
            await self._save()
        for turn in bar:
            if turn.told:
                self._next_told[turn.event.series.market] = turn.event.close_time
                yield turn.event

    async def _phase(self, event: CandleClosed, phase: Phase) -> AsyncGenerator[OrderEvent, None]:
        """One market's part of a phase, going on inside it after a kill."""
        market, candle = event.series.market, event.candle
        progress = self._progress[market]
        if progress.open_time != candle.open_time:
            progress = self._progress[market] = Progress(candle.open_time)
        if progress.phase is Phase.RANGE and phase is Phase.OPEN:
            return
        if progress.phase is not phase:
            progress.phase, progress.arrived = phase, None
        if progress.arrived is None:
            progress.arrived = self._book.sequence
        for order in self._book.resting(market, progress.arrived):
            if order.status is not OrderStatus.OPEN or order.placed_at > candle.open_time:
                continue
            facts = self._meet(order, phase, event)
            if facts:
                await self._save()
            for fact in facts:
                yield fact

    def _meet(self, order: VenueOrder, phase: Phase, event: CandleClosed) -> list[OrderEvent]:
        candle = event.candle
        opened, high, low = (self._ticks(event, price) for price in (candle.open, candle.high, candle.low))
        if phase is Phase.OPEN:
            return self._book.meet_open(order, candle.open_time, opened)
        return self._book.meet_range(order, opened, high, low, event.close_time)

    def _ticks(self, event: CandleClosed, price: float) -> int:
        return fills.to_ticks(price, float(self._markets[event.series.market].spec.tick_size))

    # --- prices

    def watch_prices(self, markets: Iterable[MarketKey]) -> None:
        """From now on the bids of these markets are told, and of those where a stop rests alone, and of no others."""
        self._watched = frozenset(market for market in markets if market in self._markets)
        self._news.set()

    def _price_tasks(self) -> list[asyncio.Task[None]]:
        """What watches the prices that are wanted now. An exit between two candles waits for a price as well."""
        if self._prices is None:
            return []
        waiting = {
            order.market
            for resting in self._book.open.values()
            for order in resting.values()
            if (order.role is OrderRole.STOP and not order.sibling)
            or (order.role is OrderRole.EXIT and order.placed_at % self._step(order.market))
        }
        self._prices.want(self._watched | waiting)
        return self._prices.tasks()

    async def _met_prices(self) -> AsyncGenerator[MarketEvent, None]:
        while self._prices is not None and (price := self._prices.take()) is not None:
            self._held[price.market] = price
        for price in list(self._held.values()):
            if self._before_its_candle(price):
                continue
            del self._held[price.market]
            self._seen[price.market] = price
            for order in self._book.resting(price.market, self._book.sequence):
                if order.status is OrderStatus.OPEN and order.placed_at <= price.time:
                    facts = self._book.meet_price(order, price.time, price.ticks)
                    if facts:
                        await self._save()
                    for fact in facts:
                        yield fact
            yield price

    def _before_its_candle(self, price: PriceSeen) -> bool:
        """Whether a candle is about to come that closed before this price was seen."""
        closes = self._progress[price.market].open_time + self._step(price.market)
        return closes <= price.time and self.clock.now() - closes < TOLERANCE_MS

    # --- commands

    async def execute(self, command: Command) -> Sequence[OrderEvent]:
        """Everything known of the command's orders afterwards; the same command again changes nothing."""
        await self.recover()
        await self._kept.recall(command)
        answers = self._answer(command)
        if self._book.touched:
            await self._save()
        return answers

    def _answer(self, command: Command) -> list[OrderEvent]:
        if not isinstance(command, Placement):
            return self._book.execute(command, self._market_time(command.market))
        if client_ids(command)[0] not in self._book.orders:
            self._place(command)
        return [fact for client_id in client_ids(command) for fact in _told(self._book.orders[client_id])]

    def _crowded(self, key: MarketKey) -> str:
        """Why one more trade with its protection would be too many orders at once; '' where it is not."""
        market, resting = self._markets[key], self._book.open.get(key, {}).values()
        stops = sum(order.role is OrderRole.STOP for order in resting)
        targets = sum(order.role is OrderRole.TARGET for order in resting)
        legs = 2 if market.pairs and market.separate_legs else 1
        pairs = targets + 1 if market.pairs else 0
        return market.filters.room_refusal(len(resting) + legs, stops + 1, pairs)

    def _place(self, command: Placement) -> None:
        time = self._market_time(command.market)
        market = self._markets.get(command.market)
        if market is None:
            self._book.execute(command, time)
            return
        intent = intent_of(command, market, self.clock.now(), market.obstacle, self._crowded(command.market))
        if isinstance(command, PlaceEntry) and (intent.stale or time > command.plan.valid_for_open):
            self._book.drop(command, Verdict.NEXT_BAR_MISSING, time)
            return
        try:
            # What would be sent says whether it could be.
            intent.build()
        except RefusedError as refusal:
            self._book.refuse(command, str(refusal), time)
            return
        if intent.refusal:
            self._book.refuse(command, intent.refusal, time)
            return
        self._book.execute(command, time)
        price = self._seen.get(command.market)
        if isinstance(command, PlaceExit) and price is not None and self.clock.now() - price.time <= FRESH_MS:
            self._sell_at(self._book.orders[command.client_id], price)

    def _sell_at(self, order: VenueOrder, price: PriceSeen) -> None:
        if order.status is OrderStatus.OPEN:
            self._book.meet_price(order, self.clock.now(), price.ticks)

    def _market_time(self, market: MarketKey) -> int:
        """The moment in the market that a command belongs to: that of the bar being told, unless it is long past."""
        now, progress = self.clock.now(), self._progress.get(market)
        if progress is None or market not in self._played:
            return now
        step = self._step(market)
        ended = progress.open_time + step
        moment = ended if progress.phase is Phase.RANGE else progress.open_time
        known_at = progress.open_time if progress.arrived is None else ended
        return moment if now - known_at <= TOLERANCE_MS else now

    def _step(self, market: MarketKey) -> int:
        return self._played[market].timeframe.milliseconds

    # --- what may be asked

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        """Candles that were told; what was not is an event still."""
        await self.recover()
        if series.market not in self._played:
            listed = ", ".join(str(key) for key in self._played)
            raise ConfigurationError(f"{series.market} is not traded on paper.", f"These are: {listed}.")
        told = self._progress[series.market].open_time - series.timeframe.milliseconds + 1
        return await self._feed.history(series, since, min(until, told))

    def silent_for(self, series: SeriesKey) -> int:
        return self._feed.silent_for(series)

    async def markets(self) -> dict[MarketKey, MarketSpec]:
        return {key: market.spec for key, market in self._markets.items()}

    def modes(self) -> dict[MarketKey, ProtectionMode]:
        modes = {True: ProtectionMode.NATIVE, False: ProtectionMode.EMULATED}
        return {key: modes[market.pairs] for key, market in self._markets.items()}

    def obstacle(self, market: MarketKey) -> str:
        """Why no entry is taken on this market now, '' when there is no reason."""
        return self._markets[market].obstacle

    def balances(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Total and free amount per currency."""
        return {currency: (total, self._book.free(currency)) for currency, total in self._book.total.items()}

    async def account(self) -> AccountView:
        await self.recover()
        exchange = next(iter(self._played)).exchange
        totals = {currency: total for currency, (total, _) in self.balances().items()}
        free = {currency: free for currency, (_, free) in self.balances().items()}
        return AccountView(exchange, totals, free, tuple(self._resting()), self.clock.now())

    def _resting(self) -> Iterator[RestingOrder]:
        for market, resting in self._book.open.items():
            for order in resting.values():
                buys = (order.direction is Direction.LONG) == (order.role is OrderRole.ENTRY)
                quantity = self._book.specs[market].quantity(order.lots)
                yield RestingOrder(market, str(order.sequence), order.client_id, buys, quantity)

    # --- memory

    async def recover(self) -> None:
        """Take up what the store remembers of this venue; the first call of anything does it."""
        async with self._recovering:
            if self._progress:
                return
            state = await self._kept.load()
            if state is not None:
                self._book.restore(state["book"])
            began = self.clock.now()
            progress = {} if state is None else self._remembered(state)
            for market, series in self._played.items():
                progress.setdefault(market, Progress(series.timeframe.open_time_of(began)))
                told = self._base[market].timeframe.open_time_of(progress[market].open_time)
                self._next_told[market] = told
            self._progress = progress

    def _remembered(self, state: JsonObject) -> dict[MarketKey, Progress]:
        progress = {}
        for row in state["markets"]:
            exchange, symbol, *shape, open_time, phase, arrived = row
            key = MarketKey(exchange, symbol)
            if key not in self._played:
                self._elsewhere.append(row)
                continue
            self._refuse_another(key, shape)
            progress[key] = Progress(open_time, Phase(phase), arrived)
        return progress

    def _refuse_another(self, key: MarketKey, known: list[str]) -> None:
        """What rests is written in ticks and lots, and its progress in bars."""
        if key in self._book.open and known != self._shape(key):
            raise ConfigurationError(
                f"{key} was traded with timeframe, tick and lot {', '.join(known)}, which now are "
                f"{', '.join(self._shape(key))}, while orders of it rest on paper.",
                "Trade it with the former timeframe until nothing rests, or give the wallet another book.",
            )

    def _shape(self, key: MarketKey) -> list[str]:
        spec = self._markets[key].spec
        return [str(self._played[key].timeframe), str(spec.tick_size), str(spec.lot_size)]

    async def _save(self) -> None:
        await self._kept.save(self._as_json)

    def _as_json(self) -> JsonObject:
        rows: list[list[Any]] = [
            [key.exchange, key.symbol, *self._shape(key), each.open_time, str(each.phase), each.arrived]
            for key, each in self._progress.items()
        ]
        return {"markets": rows + self._elsewhere, "book": self._book.as_json()}


def _told(order: VenueOrder) -> list[OrderEvent]:
    if order.status is OrderStatus.OPEN or not order.accepted:
        return [order.answer()]
    return [order.answer(), order.outcome()]


def _together(turns: Iterable[Turn]) -> list[Bar]:
    """By close time, markets in the order of their keys."""
    ordered = sorted(turns, key=lambda turn: (turn.event.close_time, turn.event.series))
    return [list(bar) for _, bar in groupby(ordered, key=lambda turn: turn.event.close_time)]
