"""The paper venue between two candles, and by the rules of the exchange that it stands in for."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from tests.local_exchanges.driven_paper import DrivenPrices, market_of

from tradepulse.domain.commands import (
    CancelOrder,
    PlaceEntry,
    PlaceExit,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import (
    CandleClosed,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
    PriceSeen,
)
from tradepulse.domain.market import MINUTE, Candle, Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan, OrderRole, OrderStatus, ProtectionMode
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges.market_tape import resampled
from tradepulse.exchanges.order_filters import OrderFilters
from tradepulse.exchanges.paper_exchange import TOLERANCE_MS, PaperExchange
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.ports import VenueStore
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.in_memory import InMemoryVenueStore

BEGIN = 1_767_225_600_000
KEY = MarketKey("binance", "BTC/USD")
SERIES = SeriesKey("binance", "BTC/USD", Timeframe.M1)
SPEC = MarketSpec(
    key=KEY,
    base="BTC",
    quote="USD",
    kind=MarketKind.SPOT,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(1),
    maker_ppm=1_000,
    taker_ppm=2_000,
    slippage_ppm=1_000,
)
LONE = MarketRules(pairs=False)
FLAT = (100.0, 101.0, 99.0, 100.0)
CASH = {"USD": Decimal(1_000), "BTC": Decimal(1)}
LONG = Direction.LONG


class HandFeed:
    """Tells what is put into it; the history is what was put in and has closed."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._queue: asyncio.Queue[list[CandleClosed]] = asyncio.Queue()
        self.rows: list[Candle] = []
        self.kept = 10_000
        """So many candles of each timeframe are in the history."""
        self.longer: list[SeriesKey] = []

    def close(self, row: tuple[float, float, float, float] = FLAT, *, told: bool = True) -> None:
        """The next minute, told half a second after its end."""
        opens = BEGIN + len(self.rows) * MINUTE
        self.rows.append(Candle(opens, *row, 1.0))
        self._clock.advance_to(opens + MINUTE + 500)
        if told:
            longer = [CandleClosed(each, self._last(each)) for each in self.longer if self._ends(each)]
            self._queue.put_nowait([CandleClosed(SERIES, self.rows[-1]), *longer])

    def _ends(self, series: SeriesKey) -> bool:
        return (BEGIN + len(self.rows) * MINUTE) % series.timeframe.milliseconds == 0

    def _last(self, series: SeriesKey) -> Candle:
        made = resampled(Candles.from_rows(self.rows), series.timeframe)
        return made.row(len(made) - 1)

    async def rounds(self) -> AsyncGenerator[Sequence[CandleClosed], None]:
        while True:
            yield await self._queue.get()

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        made = resampled(Candles.from_rows(self.rows), series.timeframe)
        closed = [made.row(n) for n in range(len(made))]
        last = self._clock.now() - series.timeframe.milliseconds
        kept = self._clock.now() - self.kept * series.timeframe.milliseconds
        return Candles.from_rows([row for row in closed if max(since, kept) <= row.open_time <= min(until - 1, last)])

    def silent_for(self, series: SeriesKey) -> int:
        return 0


class Venue:
    def __init__(
        self,
        rules: MarketRules = LONE,
        *,
        clock: ManualClock | None = None,
        feed: HandFeed | None = None,
        store: VenueStore | None = None,
        filters: OrderFilters | None = None,
        spec: MarketSpec = SPEC,
        told: SeriesKey = SERIES,
    ) -> None:
        self.clock = clock or ManualClock(BEGIN)
        self.feed = feed or HandFeed(self.clock)
        self.heard: list[Any] = []
        stops = not rules.stop_depth_ppm
        self.paper = PaperExchange(
            {KEY: market_of(spec, pairs=rules.pairs, filters=filters, market_stops=stops)},
            {KEY: rules},
            [told],
            self.feed,
            self.clock,
            CASH,
            prices=self._made,
            store=store,
            coarser=[Timeframe.M15, Timeframe.H1],
        )

    def _made(self, told: Any) -> DrivenPrices:
        self.prices = DrivenPrices(told)
        return self.prices

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async def listen() -> None:
            async for event in self.paper.events():
                self.heard.append(event)

        reading = asyncio.create_task(listen())
        await self.settled()
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def settled(self) -> None:
        for _ in range(60):
            await asyncio.sleep(0)

    async def candle(self, row: tuple[float, float, float, float] = FLAT) -> list[Any]:
        before = len(self.heard)
        self.feed.close(row)
        await self.settled()
        return self.heard[before:]

    async def price(self, price: float, after: int = 1_000) -> list[Any]:
        """``after`` so many milliseconds the bid is this."""
        before = len(self.heard)
        self.clock.advance_to(self.clock.now() + after)
        self.prices.tell(PriceSeen(KEY, ticks(price), self.clock.now()))
        await self.settled()
        return self.heard[before:]

    async def execute(self, command: Any) -> list[Any]:
        return list(await self.paper.execute(command))


def ticks(price: float) -> int:
    return round(price * 10)


def stop(level: float = 98.0, client_id: str = "stop", lots: int = 1_000) -> PlaceStop:
    return PlaceStop(client_id, KEY, LONG, lots, ticks(level))


def pair(level: float = 98.0, target: float = 103.0) -> PlaceProtection:
    return PlaceProtection("stop", "target", KEY, LONG, 1_000, ticks(level), ticks(target))


def leave(limit: float | None = None, lots: int = 1_000) -> PlaceExit:
    return PlaceExit("exit", KEY, LONG, lots, None if limit is None else ticks(limit))


def entry(valid_for_open: int, lots: int = 1_000) -> PlaceEntry:
    return PlaceEntry("entry", KEY, LONG, lots, EntryPlan(ticks(100), ticks(98), 0, 2.0, -9.0, valid_for_open))


def fill_in(events: Sequence[Any]) -> Any:
    return next(event.fill for event in events if isinstance(event, OrderFilled))


# --- prices between two candles


async def test_stop_when_a_bid_goes_through_it_then_filled_at_once_at_the_bid_less_slippage() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
        await venue.price(99.0)
        assert venue.prices.wanted == {KEY}
        told = await venue.price(97.0)
    assert fill_in(told).ticks == ticks(97.0) - 1
    assert fill_in(told).time == venue.clock.now()
    assert isinstance(told[-1], PriceSeen)


async def test_target_when_watched_then_the_stop_is_cancelled_and_the_coins_sold_at_the_bid_that_was_seen() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
        await venue.price(103.5)
        assert (await venue.execute(leave(103.0)))[0].free_lots == 0, "the stop locks the coins"
        assert isinstance((await venue.execute(CancelOrder("stop", KEY)))[0], OrderEnded)
        sold = await venue.execute(PlaceExit("again", KEY, LONG, 1_000, ticks(103.0)))
    assert [type(event) for event in sold] == [OrderAccepted, OrderFilled]
    assert ticks(103.0) <= fill_in(sold).ticks <= ticks(103.5)


async def test_exit_when_no_bid_is_known_then_it_waits_for_the_next_one() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        venue.clock.advance_to(venue.clock.now() + 20_000)
        assert [type(event) for event in await venue.execute(leave())] == [OrderAccepted]
        assert await venue.price(100.2) != []
        again = await venue.execute(QueryOrder("exit", KEY))
    assert fill_in(venue.heard).ticks == fill_in(again).ticks == ticks(100.2) - 2


async def test_exit_when_a_bid_is_old_then_it_does_not_sell_at_it() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(90.0, lots=1))
        await venue.price(100.2, after=15_000)
        venue.clock.advance_to(venue.clock.now() + 6_000)
        assert [type(event) for event in await venue.execute(leave(lots=10))] == [OrderAccepted]


async def test_stop_when_placed_between_candles_then_what_went_before_does_not_touch_it() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        venue.clock.advance_to(venue.clock.now() + TOLERANCE_MS + 5_000)
        await venue.execute(stop(98.0))
        assert not [e for e in await venue.candle((100.0, 101.0, 95.0, 100.0)) if isinstance(e, OrderFilled)]
        told = await venue.candle((100.0, 101.0, 95.0, 100.0))
    assert fill_in(told).ticks == ticks(98.0) - 1


async def test_price_when_its_candle_is_still_to_come_then_the_candle_goes_first() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
        venue.clock.advance_to(BEGIN + 2 * MINUTE)
        assert await venue.price(104.0, after=200) == []
        told = await venue.candle((100.0, 105.0, 97.0, 104.0))
    assert [type(event) for event in told] == [OrderFilled, CandleClosed, PriceSeen]
    assert fill_in(told).ticks == ticks(98.0) - 1


async def test_prices_when_nothing_needs_them_then_none_are_wanted() -> None:
    venue = Venue(MarketRules())
    async with venue.listening():
        await venue.candle()
        await venue.execute(pair())
        await venue.candle()
        assert venue.prices.wanted == frozenset()
        venue.paper.watch_prices([KEY])
        await venue.settled()
        assert venue.prices.wanted == {KEY}


# --- the candle


async def test_pair_when_a_candle_touches_both_then_the_stop_is_taken_and_the_target_ends() -> None:
    venue = Venue(MarketRules())
    async with venue.listening():
        await venue.candle()
        await venue.execute(pair())
        told = await venue.candle((100.0, 104.0, 97.0, 100.0))
    assert fill_in(told).role is OrderRole.STOP
    assert told[1].client_id == "target"
    assert told[1].status is OrderStatus.CANCELLED


async def test_stop_when_a_candle_opens_below_it_then_filled_at_the_open() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
        told = await venue.candle((90.0, 100.0, 89.0, 99.0))
    assert fill_in(told).ticks == ticks(90.0) - 1
    assert fill_in(told).time == BEGIN + MINUTE


async def test_candles_when_told_again_or_missed_before_the_stream_then_each_is_played_once() -> None:
    venue = Venue()
    venue.feed.close(told=False)
    async with venue.listening():
        venue.feed.close(told=False)
        await venue.candle()
        venue.feed._queue.put_nowait([CandleClosed(SERIES, venue.feed.rows[0])])
        await venue.candle()
    opened = [event.candle.open_time for event in venue.heard if isinstance(event, CandleClosed)]
    assert opened == [BEGIN + n * MINUTE for n in (1, 2, 3)]


# --- entries


async def test_entry_when_decided_at_the_close_then_filled_at_the_next_open_with_the_fee_of_the_exchange() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        assert [type(event) for event in await venue.execute(entry(BEGIN + MINUTE))] == [OrderAccepted]
        told = await venue.candle((100.2, 101.0, 99.0, 100.0))
    assert fill_in(told).ticks == ticks(100.2) + 2
    assert fill_in(told).fee == Decimal("0.2008")
    assert venue.paper.balances()["USD"][0] == 1_000 - Decimal("100.4") - Decimal("0.2008")


async def test_entry_when_the_exchange_keeps_its_fee_in_coins_then_fewer_coins_arrive() -> None:
    venue = Venue(MarketRules(fee_in_base=True))
    async with venue.listening():
        await venue.candle()
        await venue.execute(entry(BEGIN + MINUTE))
        fill = fill_in(await venue.candle())
    assert (fill.fee, fill.fee_lots_base) == (0, Decimal("0.002"))
    assert venue.paper.balances()["BTC"][0] == 1 + Decimal("0.998")


@pytest.mark.parametrize("late", [TOLERANCE_MS + 1_000, MINUTE + 1_000])
async def test_entry_when_it_comes_too_late_for_its_candle_then_it_ends_without_a_fill(late: int) -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        venue.clock.advance_to(BEGIN + MINUTE + late)
        answer = await venue.execute(entry(BEGIN + MINUTE))
        assert await venue.execute(entry(BEGIN + MINUTE)) == answer
    assert isinstance(answer[-1], OrderEnded)
    assert answer[-1].verdict is Verdict.NEXT_BAR_MISSING


# --- the exchange's rules


async def test_order_when_the_exchange_would_refuse_it_then_refused_with_the_same_reason() -> None:
    filters = OrderFilters(min_cost=Decimal(50), max_amount=Decimal(5), buy_up=Decimal("1.001"))
    venue = Venue(filters=filters)
    async with venue.listening():
        await venue.candle()
        small = await venue.execute(stop(98.0, client_id="one", lots=100))
        dear = await venue.execute(entry(BEGIN + MINUTE))
        poor = await venue.execute(stop(98.0, client_id="two", lots=2_000))
        paired = await venue.execute(pair())
    assert small[0].reason == "a value of 9.8 is below the minimum of 50"
    assert dear[0].reason == "a price of 100.5 is more than 1.001 times the market's 100.0"
    assert (poor[0].reason, poor[0].free_lots) == ("insufficient balance: 2.000 BTC wanted, 1 free", 1_000)
    assert [type(event) for event in paired] == [OrderRejected, OrderRejected]
    assert paired[0].reason.startswith("there are no pairs on this market")


async def test_stop_when_a_gap_goes_beyond_its_limit_then_the_target_ends_and_it_sells_at_its_limit_later() -> None:
    venue = Venue(MarketRules(stop_depth_ppm=50_000, pair_depth_ppm=50_000))
    async with venue.listening():
        await venue.candle()
        await venue.execute(pair(98.0))
        told = await venue.candle((90.0, 91.0, 89.0, 90.0))
        assert [(e.client_id, e.reason) for e in told if isinstance(e, OrderEnded)] == [("target", "sibling triggered")]
        assert not [event for event in told if isinstance(event, OrderFilled)]
        assert venue.paper.balances()["BTC"] == (1, 0)
        told = await venue.candle((90.0, 95.0, 89.0, 94.0))
    assert fill_in(told).ticks == ticks(93.1)


async def test_stop_when_it_locks_nothing_and_the_coins_are_gone_then_it_expires_as_it_triggers() -> None:
    venue = Venue(MarketRules(pairs=False, stops_lock=False))
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
        await venue.execute(leave())
        await venue.candle()
        told = await venue.candle((100.0, 100.0, 97.0, 99.0))
    assert fill_in(venue.heard).client_id == "exit"
    assert (told[0].status, told[0].reason) == (OrderStatus.EXPIRED, "insufficient balance when it triggered")


async def test_modes_when_the_market_has_no_pairs_then_emulated() -> None:
    assert Venue().paper.modes() == {KEY: ProtectionMode.EMULATED}
    assert Venue(MarketRules()).paper.modes() == {KEY: ProtectionMode.NATIVE}


# --- memory


async def test_restart_when_a_stop_was_hit_meanwhile_then_filled_from_the_history_before_its_candle() -> None:
    store = InMemoryVenueStore()
    venue = Venue(store=store)
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
    for row in (FLAT, (100.0, 100.0, 97.0, 99.0), (120.0, 121.0, 119.0, 120.0)):
        venue.feed.close(row, told=False)
    again = Venue(store=store, clock=venue.clock, feed=venue.feed)
    known = await again.execute(stop(98.0))
    assert [type(event) for event in known] == [OrderAccepted]
    async with again.listening():
        assert [type(event) for event in again.heard] == [CandleClosed, OrderFilled, CandleClosed, CandleClosed]
        assert fill_in(again.heard).time == BEGIN + 3 * MINUTE
        assert [type(event) for event in await again.execute(stop(98.0))] == [OrderAccepted, OrderFilled]
        assert isinstance((await again.execute(QueryOrder("never", KEY)))[0], OrderNotFound)


async def test_restart_when_commanded_while_history_is_caught_up_with_then_the_past_does_not_answer() -> None:
    store = InMemoryVenueStore()
    venue = Venue(store=store)
    async with venue.listening():
        await venue.candle()
    for row in (FLAT, FLAT, (50.0, 51.0, 49.0, 50.0)):
        venue.feed.close(row, told=False)
    again = Venue(store=store, clock=venue.clock, feed=venue.feed)
    await again.execute(stop(98.0))
    async with again.listening():
        assert not [event for event in again.heard if isinstance(event, OrderFilled)]
        told = await again.candle((50.0, 51.0, 49.0, 50.0))
        assert not [event for event in told if isinstance(event, OrderFilled)], "it came inside this candle"


async def test_restart_when_the_exchange_forgot_the_minutes_then_longer_candles_show_that_the_stop_was_hit() -> None:
    store = InMemoryVenueStore()
    venue = Venue(store=store)
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
    for minute in range(300):
        venue.feed.close((100.0, 100.0, 97.0, 99.0) if minute == 40 else FLAT, told=False)
    venue.feed.kept = 100
    again = Venue(store=store, clock=venue.clock, feed=venue.feed)
    async with again.listening():
        fill = fill_in(again.heard)
        assert fill.ticks == ticks(98.0) - 1
        assert fill.time == BEGIN + 45 * MINUTE, "when the candle that shows it closed"
        closed = [event.candle.open_time for event in again.heard if isinstance(event, CandleClosed)]
        assert closed == [BEGIN + n * MINUTE for n in range(202, 301)], "nothing is invented"


@pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.M15])
async def test_longer_series_when_traded_then_its_candles_are_told_and_the_minutes_move_what_rests(
    timeframe: Timeframe,
) -> None:
    told = SeriesKey("binance", "BTC/USD", timeframe)
    store, step = InMemoryVenueStore(), timeframe.milliseconds
    venue = Venue(told=told, store=store)
    venue.feed.longer = [told]
    async with venue.listening():
        for _ in range(step // MINUTE):
            await venue.candle()
        assert [(event.series, event.candle.open_time) for event in venue.heard] == [(told, BEGIN)]
        await venue.execute(entry(BEGIN + step))
        assert [type(event) for event in await venue.candle()] == [OrderFilled]
        await venue.execute(stop(98.0))
        hit = await venue.candle((100.0, 100.0, 97.0, 99.0))
        assert [type(event) for event in hit] == [OrderFilled]
    for _ in range(2 * step // MINUTE):
        venue.feed.close(told=False)
    again = Venue(told=told, store=store, clock=venue.clock, feed=venue.feed)
    async with again.listening():
        assert [(event.series, event.candle.open_time) for event in again.heard] == [
            (told, BEGIN + step),
            (told, BEGIN + 2 * step),
        ]


async def test_history_when_asked_then_it_ends_with_the_last_candle_that_was_told() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        venue.feed.close(told=False)
        found = await venue.paper.history(SERIES, BEGIN, venue.clock.now())
        assert found.open_time.tolist() == [BEGIN]
    with pytest.raises(ConfigurationError, match="not traded on paper"):
        await venue.paper.history(SeriesKey("binance", "ETH/USD", Timeframe.M1), BEGIN, BEGIN)


async def test_restart_when_the_tick_has_changed_while_something_rests_then_refused() -> None:
    store = InMemoryVenueStore()
    venue = Venue(store=store)
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0))
    coarser = MarketSpec(**{name: getattr(SPEC, name) for name in SPEC.__slots__} | {"tick_size": Decimal("0.5")})
    with pytest.raises(ConfigurationError, match=r"1m, 0\.1, 0\.001, which now are 1m, 0\.5, 0\.001"):
        await Venue(store=store, clock=venue.clock, feed=venue.feed, spec=coarser).paper.recover()


async def test_account_when_orders_rest_then_told_with_what_is_free() -> None:
    venue = Venue()
    async with venue.listening():
        await venue.candle()
        await venue.execute(stop(98.0, lots=400))
        await venue.execute(entry(BEGIN + MINUTE, lots=100))
        view = await venue.paper.account()
    assert [(each.client_id, each.buys, each.quantity) for each in view.resting] == [
        ("stop", False, Decimal("0.400")),
        ("entry", True, Decimal("0.100")),
    ]
    assert view.free["BTC"] == Decimal("0.6")
    assert view.free["USD"] < 1_000 == view.totals["USD"]
