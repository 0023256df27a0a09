"""Paper trading on candles and prices that a test drives: the venue is the real one, the exchange behind it a tape."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from tradepulse.domain.events import CandleClosed, PriceSeen
from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey
from tradepulse.exchanges.market_tape import MarketTape, resampled
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.order_filters import OrderFilters
from tradepulse.exchanges.order_intents import GatewayMarket
from tradepulse.exchanges.paper_exchange import PaperExchange, Prices
from tradepulse.exchanges.unified_calls import TradedMarket
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.ports import VenueStore
from tradepulse.shared.clock import ManualClock

SETTLED_MS = 500
"""After its close, when a candle is told."""


class DrivenFeed:
    """Tells the tape's candles as time passes; with ``clock`` standing anywhere it goes on from there."""

    def __init__(self, tape: MarketTape, clock: ManualClock, gate: Callable[[int], object] = lambda _: None) -> None:
        self._tape = tape
        self._clock = clock
        self._gate = gate
        self._series = [SeriesKey(key.exchange, key.symbol, tape.timeframe) for key in sorted(tape.specs)]

    async def rounds(self) -> AsyncGenerator[Sequence[CandleClosed], None]:
        step = self._tape.timeframe.milliseconds
        opens = self._tape.timeframe.open_time_of(self._clock.now())
        while self._tape.end is None or opens < self._tape.end:
            told = [
                CandleClosed(series, candles.row(row))
                for series in self._series
                for candles in [self._tape.between(series.market, opens, opens + step)]
                for row in range(len(candles))
            ]
            self._gate(opens)
            self._clock.advance_to(opens + step + SETTLED_MS)
            if told:
                yield told
            opens += step

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        step = series.timeframe.milliseconds
        closed = self._clock.now() - step + 1
        first, last = series.timeframe.open_time_of(since), series.timeframe.open_time_of(until - 1) + step
        finer = self._tape.between(series.market, max(first, self._tape.begin_of(series.market)), last)
        return resampled(finer, series.timeframe).between(since, min(until, closed))

    def silent_for(self, series: SeriesKey) -> int:
        del series
        return 0


class DrivenPrices:
    """Prices are told when the test says so."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._waiting: list[PriceSeen] = []
        self.wanted: frozenset[MarketKey] = frozenset()

    def tell(self, price: PriceSeen) -> None:
        self._waiting.append(price)
        self._told()

    def want(self, markets: Iterable[MarketKey]) -> None:
        self.wanted = frozenset(markets)

    def take(self) -> PriceSeen | None:
        return self._waiting.pop(0) if self._waiting else None

    def tasks(self) -> list[asyncio.Task[None]]:
        return []


def market_of(
    spec: MarketSpec, *, pairs: bool = True, filters: OrderFilters | None = None, market_stops: bool = True
) -> GatewayMarket:
    types = ["LIMIT", "MARKET", "STOP_LOSS_LIMIT", *(["STOP_LOSS"] if market_stops else [])]
    traded = TradedMarket(spec, spec.key.symbol.replace("/", ""), {"orderTypes": types, "ocoAllowed": pairs})
    return GatewayMarket(spec, order_calls(traded), filters or OrderFilters(), pairs, market_stops, market_stops, pairs)


def paper_on(
    tape: MarketTape,
    balances: Mapping[str, Decimal],
    *,
    clock: ManualClock | None = None,
    rules: MarketRules | None = None,
    filters: OrderFilters | None = None,
    store: VenueStore | None = None,
    prices: Callable[[Callable[[], None]], Prices] | None = None,
    gate: Callable[[int], object] = lambda _: None,
) -> PaperExchange:
    clock, rules = clock or ManualClock(tape.begin), rules or MarketRules()
    series = [SeriesKey(key.exchange, key.symbol, tape.timeframe) for key in sorted(tape.specs)]
    stops = rules.stop_depth_ppm == rules.pair_depth_ppm == 0
    return PaperExchange(
        {key: market_of(s, pairs=rules.pairs, filters=filters, market_stops=stops) for key, s in tape.specs.items()},
        dict.fromkeys(tape.specs, rules),
        series,
        DrivenFeed(tape, clock, gate),
        clock,
        balances,
        prices=prices,
        store=store,
    )
