"""Candle downloads with unmodified ccxt over TLS against local exchanges that misbehave on demand."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import aiohttp
import numpy as np
import pytest
from tests.local_exchanges import fault_rules as faults
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.running import RunningExchange, local_exchange, private_session

from tradepulse.domain.market import HOUR, MINUTE, Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.exchanges.backfill_ohlcv import DownloadProgress, DownloadReport, download
from tradepulse.exchanges.ccxt_candles import ATTEMPTS, checked_page
from tradepulse.exchanges.market_tape import resampled
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.ports import SeriesCoverage, WriteResult
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError, TransientError

BEGIN = 1_735_689_600_000
BARS = 4_000
HALF_A_MINUTE = MINUTE // 2
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
CANDLES = SimulatedMarket(5, ["BTC/USDT"], BEGIN).candles("BTC/USDT", 0, BARS - 1)
EXCHANGES = ["binance", "kraken", "coinbase"]
CANDLE_PATHS = {"binance": "klines", "kraken": "OHLC", "coinbase": "/candles"}
EMPTY_PAGES = {"binance": "[]", "coinbase": '{"candles": []}'}
FAULTS = {
    "429": faults.too_many(),
    "503": faults.unavailable(),
    "reset": faults.lost_answer(),
    "truncated": faults.truncated(),
    "half of the JSON": faults.cut_json(),
    "HTML": faults.html(),
    "empty page": faults.answers(""),
}


@dataclass
class Store:
    """A candle store in a dictionary, with the manners of the real one."""

    series: dict[SeriesKey, Candles] = field(default_factory=dict)
    specs: dict[MarketKey, MarketSpec] = field(default_factory=dict)

    async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False) -> WriteResult:
        there = self.series.get(series, Candles.empty())
        fresh = ~np.isin(candles.open_time, there.open_time)
        times = np.concatenate((there.open_time, candles.open_time[fresh]))
        order = np.argsort(times)
        merged = [np.concatenate((getattr(there, n), getattr(candles, n)[fresh]))[order] for n in COLUMNS]
        self.series[series] = Candles(*merged)
        return WriteResult(int(fresh.sum()), int((~fresh).sum()), ())

    async def read(self, series: SeriesKey, since: int | None = None, until: int | None = None) -> Candles:
        return self.series.get(series, Candles.empty()).between(since, until)

    async def tail(self, series: SeriesKey, count: int) -> Candles:
        stored = self.series.get(series, Candles.empty())
        return stored[max(0, len(stored) - count) : len(stored)]

    async def coverage(self) -> list[SeriesCoverage]:
        return [
            SeriesCoverage(key, len(stored), int(stored.open_time[0]), int(stored.open_time[-1]), 0, False)
            for key, stored in self.series.items()
        ]

    async def gaps(self, series: SeriesKey) -> list[tuple[int, int]]:
        times, step = self.series[series].open_time, series.timeframe.milliseconds
        after = np.flatnonzero(np.diff(times) > step)
        return [(int(times[row]) + step, int(times[row + 1])) for row in after]

    async def write_market(self, spec: MarketSpec) -> None:
        self.specs[spec.key] = spec

    async def read_market(self, key: MarketKey) -> MarketSpec | None:
        return self.specs.get(key)


@dataclass
class Desk:
    """One local exchange, a store, and the means to download from one into the other."""

    exchange: RunningExchange
    session: aiohttp.ClientSession
    clock: ManualClock
    store: Store = field(default_factory=Store)
    slept: list[float] = field(default_factory=list)
    told: list[DownloadProgress] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.exchange.reach.exchange_id

    @property
    def symbol(self) -> str:
        return self.exchange.reach.symbols[0]

    def series(self, timeframe: Timeframe = Timeframe.M1) -> SeriesKey:
        return SeriesKey(self.name, self.symbol, timeframe)

    def pages(self) -> list[dict[str, Any]]:
        """Requests for candles, as they came."""
        return self.exchange.requests(CANDLE_PATHS[self.name])

    def breaks(self, rule: FaultRule, *, after: int, times: int = 1) -> int:
        """So many requests for candles fail like this, after so many that are let through."""
        body = EMPTY_PAGES.get(self.name, "") if rule.broken is faults.Broken.BODY else ""
        return self.exchange.fault(replace(rule, path=CANDLE_PATHS[self.name], after=after, times=times, body=body))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def download(
        self, since: int, until: int, timeframe: Timeframe = Timeframe.M1, stop_after: int | None = None
    ) -> DownloadReport:
        def progress(told: DownloadProgress) -> None:
            self.told.append(told)
            if stop_after is not None and len(self.told) >= stop_after:
                raise KeyboardInterrupt

        return await download(
            self.name,
            [self.symbol],
            [timeframe],
            since,
            until,
            self.store,
            self.clock,
            progress,
            session=self.session,
            sleep=self.sleep,
        )


@asynccontextmanager
async def desk_of(name: str, candles: Candles = CANDLES, now: int = BEGIN + BARS * MINUTE) -> AsyncIterator[Desk]:
    with local_exchange(name, frozen_at=now) as exchange:
        exchange.history(list(zip(*(getattr(candles, name).tolist() for name in COLUMNS), strict=True)))
        async with private_session(exchange.reach) as session:
            yield Desk(exchange, session, ManualClock(now))


def equal(left: Candles, right: Candles) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in COLUMNS)


@pytest.mark.parametrize(("kind", "bars", "pages"), [("binance", 3500, 4), ("coinbase", 1000, 4)])
async def test_download_when_history_has_many_pages_then_every_candle_is_stored_once(
    kind: str, bars: int, pages: int
) -> None:
    async with desk_of(kind) as desk:
        report = await desk.download(BEGIN, BEGIN + bars * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0:bars])
        assert (report.inserted, report.series[0].pages) == (bars, pages)
        assert len(desk.pages()) == pages
        assert (desk.told[-1].rows, desk.told[-1].expected, desk.told[-1].seconds_left) == (bars, bars, 0.0)
        assert not desk.slept


async def test_download_when_timeframe_is_higher_then_the_exchange_is_asked_for_it() -> None:
    async with desk_of("binance") as desk:
        await desk.download(BEGIN, BEGIN + BARS * MINUTE, Timeframe.M15)
        stored, expected = desk.store.series[desk.series(Timeframe.M15)], resampled(CANDLES, Timeframe.M15)[0:266]
        assert np.array_equal(stored.close, expected.close)
        assert np.array_equal(stored.volume, np.round(expected.volume, 8))


async def test_download_when_exchange_keeps_only_recent_candles_then_that_is_told_plainly() -> None:
    async with desk_of("kraken") as desk:
        report = await desk.download(BEGIN, BEGIN + BARS * MINUTE)
        stored = desk.store.series[desk.series()]
        assert equal(stored, CANDLES[BARS - 720 : BARS])
        assert "gives only its latest 720 1m candles" in report.series[0].notices[0]


@pytest.mark.parametrize(
    ("kind", "maker", "taker", "tick", "lot"),
    [
        ("binance", 1000, 1000, "0.01", "0.00001"),
        ("kraken", 2500, 4000, "0.01", "0.00000001"),
        ("coinbase", 6000, 12000, "0.01", "0.00000001"),
    ],
)
async def test_download_when_done_then_the_market_is_stored_with_the_exchange_s_own_filters(
    kind: str, maker: int, taker: int, tick: str, lot: str
) -> None:
    async with desk_of(kind) as desk:
        await desk.download(BEGIN + (BARS - 100) * MINUTE, BEGIN + BARS * MINUTE)
        spec = desk.store.specs[desk.series().market]
        assert (spec.maker_ppm, spec.taker_ppm, spec.source) == (maker, taker, "exchange")
        assert (spec.tick_size, spec.lot_size) == (Decimal(tick), Decimal(lot))
        assert spec.min_notional > 0


async def test_download_when_interrupted_then_the_next_one_goes_on_and_equals_an_uninterrupted_one() -> None:
    async with desk_of("coinbase") as desk:
        with pytest.raises(KeyboardInterrupt):
            await desk.download(BEGIN, BEGIN + 2000 * MINUTE, stop_after=3)
        assert len(desk.store.series[desk.series()]) == 900
        asked = len(desk.pages())
        await desk.download(BEGIN, BEGIN + 2000 * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0:2000])
        assert int(desk.pages()[asked]["query"]["start"]) * 1000 == BEGIN + 900 * MINUTE
        asked = len(desk.pages())
        report = await desk.download(BEGIN, BEGIN + 2000 * MINUTE)
        assert (report.inserted, len(desk.pages())) == (0, asked)


async def test_download_when_earlier_candles_and_a_wide_hole_are_missing_then_only_they_are_asked_for() -> None:
    async with desk_of("binance") as desk:
        await desk.store.write(desk.series(), CANDLES[500:600])
        await desk.store.write(desk.series(), CANDLES[2000:2100])
        report = await desk.download(BEGIN, BEGIN + 2500 * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0:2500])
        assert report.inserted == 2300


@pytest.mark.parametrize("kind", EXCHANGES)
async def test_download_when_the_last_candle_is_not_closed_then_it_is_refused(kind: str) -> None:
    now = BEGIN + 300 * MINUTE + HALF_A_MINUTE
    async with desk_of(kind, now=now) as desk:
        report = await desk.download(BEGIN, BEGIN + BARS * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0:300])
        assert "last closed candle" in report.series[0].notices[-1]


async def test_download_when_the_clock_here_is_fast_then_the_exchange_s_time_decides_what_is_closed() -> None:
    async with desk_of("binance", now=BEGIN + 300 * MINUTE + HALF_A_MINUTE) as desk:
        fast = ManualClock(desk.clock.now() + MINUTE)
        await download(
            "binance",
            ["BTC/USDT"],
            [Timeframe.M1],
            BEGIN,
            BEGIN + HOUR * 10,
            desk.store,
            fast,
            session=desk.session,
            sleep=desk.sleep,
        )
        assert equal(desk.store.series[desk.series()], CANDLES[0:300])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["binance", "coinbase"])
async def test_download_when_a_request_fails_then_it_is_repeated_and_nothing_is_missing(kind: str, fault: str) -> None:
    async with desk_of(kind) as desk:
        numbers = [desk.breaks(FAULTS[fault], after=after) for after in (1, 3)]
        await desk.download(BEGIN, BEGIN + (1700 if kind == "binance" else 700) * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0 : 1700 if kind == "binance" else 700])
        assert desk.exchange.fault_hits(numbers[0]) == 1


@pytest.mark.parametrize("fault", ["503", "reset", "truncated", "HTML", "429"])
async def test_download_when_the_exchange_stays_broken_then_a_clear_error_and_what_came_is_kept(fault: str) -> None:
    async with desk_of("binance") as desk:
        # The HTTP client itself repeats a request whose connection was reset, once.
        desk.breaks(FAULTS[fault], after=1, times=2 * ATTEMPTS)
        with pytest.raises(TransientError, match=f"binance did not give 1m candles of BTC/USDT in {ATTEMPTS} attempts"):
            await desk.download(BEGIN, BEGIN + 3000 * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[0:1000])
        expected = [7.0, 7.0, 7.0, 8.0, 16.0] if fault == "429" else [1.0, 2.0, 4.0, 8.0, 16.0]
        assert desk.slept == expected


async def test_download_when_asked_to_stay_away_for_long_then_it_does() -> None:
    async with desk_of("binance") as desk:
        desk.breaks(faults.too_many(retry_after=3600), after=0)
        with pytest.raises(TransientError, match="left alone for 3600 seconds"):
            await desk.download(BEGIN, BEGIN + 100 * MINUTE)


async def test_download_when_paging_then_requests_keep_the_distance_the_exchange_asks_for() -> None:
    async with desk_of("coinbase") as desk:
        await desk.download(BEGIN, BEGIN + 2400 * MINUTE)
        times = [asked["seconds"] for asked in desk.pages()]
        assert len(times) == 8
        assert np.diff(times).mean() > 0.030, "34 ms between requests"


async def test_download_when_a_stretch_is_empty_then_it_is_doubted_once_and_passed_over() -> None:
    keep = (CANDLES.open_time < BEGIN + 100 * MINUTE) | (CANDLES.open_time >= BEGIN + 1000 * MINUTE)
    holed = Candles(*(getattr(CANDLES, name)[keep] for name in COLUMNS))
    async with desk_of("coinbase", candles=holed) as desk:
        await desk.download(BEGIN, BEGIN + 1200 * MINUTE)
        assert equal(desk.store.series[desk.series()], holed.between(None, BEGIN + 1200 * MINUTE))


async def test_download_when_the_market_began_later_then_the_first_candle_is_told() -> None:
    async with desk_of("binance", candles=CANDLES[200:BARS]) as desk:
        report = await desk.download(BEGIN, BEGIN + 400 * MINUTE)
        assert equal(desk.store.series[desk.series()], CANDLES[200:400])
        assert "the first candle binance has is of 2025-01-01 03:20 UTC" in report.series[0].notices[0]


@pytest.mark.parametrize(
    ("exchange_id", "symbol", "timeframe", "told"),
    [
        ("binanse", "BTC/USDT", Timeframe.M1, "Did you mean binance"),
        ("binance", "BTC/UDST", Timeframe.M1, "Did you mean BTC/USDT"),
        ("coinbase", "BTC/USD", Timeframe.H4, "It offers: 1m, 5m, 15m, 1h, 1d"),
    ],
)
async def test_download_when_a_name_does_not_exist_then_near_misses_and_what_there_is(
    exchange_id: str, symbol: str, timeframe: Timeframe, told: str
) -> None:
    clock = ManualClock(BEGIN + HOUR)
    with local_exchange("binance") as binance, local_exchange("coinbase") as coinbase:
        async with private_session(binance.reach, coinbase.reach) as session:
            with pytest.raises(ConfigurationError, match=told):
                await download(
                    exchange_id, [symbol], [timeframe], BEGIN, BEGIN + MINUTE, Store(), clock, session=session
                )


async def test_download_when_no_network_then_a_clear_error_and_no_connection_left_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("no such host")

    async def no_pause(_seconds: float) -> None:
        pass

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", unknown)
    clock = ManualClock(BEGIN + HOUR)
    with pytest.raises(TransientError, match="did not give its markets"):
        await download("binance", ["BTC/USDT"], [Timeframe.M1], BEGIN, BEGIN + HOUR, Store(), clock, sleep=no_pause)


async def test_private_session_when_another_host_is_asked_for_then_it_is_not_reached() -> None:
    async with desk_of("binance") as desk:
        session = desk.session
        with pytest.raises(AssertionError, match=r"api\.example\.com"):
            await session.get("https://api.example.com/")


def test_page_when_rows_are_impossible_then_they_are_refused_and_counted() -> None:
    good = [BEGIN, 10.0, 11.0, 9.0, 10.5, 1.0]
    bad: list[list[float | None]] = [
        [BEGIN + MINUTE, 10.0, 9.5, 9.0, 10.5, 1.0],
        [BEGIN + MINUTE, 10.0, 11.0, 10.2, 10.5, 1.0],
        [BEGIN + MINUTE, 10.0, 11.0, 9.0, 10.5, -1.0],
        [BEGIN + MINUTE, 10.0, float("inf"), 9.0, 10.5, 1.0],
        [BEGIN + MINUTE, 10.0, 11.0, 9.0, None, 1.0],
        [BEGIN + MINUTE, 0.0, 11.0, 0.0, 10.5, 1.0],
        [BEGIN + MINUTE + 1, 10.0, 11.0, 9.0, 10.5, 1.0],
        [None, 10.0, 11.0, 9.0, 10.5, 1.0],
        [BEGIN + MINUTE, 10.0, 11.0],
    ]
    page = checked_page([good, *bad, good], Timeframe.M1, BEGIN + HOUR)
    assert (page.candles.open_time.tolist(), page.refused) == ([BEGIN], len(bad))
    assert len(checked_page([], Timeframe.M1, BEGIN).candles) == 0
