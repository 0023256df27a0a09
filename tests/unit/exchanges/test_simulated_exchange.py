"""The simulated exchange: phases of a bar, fills, locks, filters, and what a repeated command does."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np
import pytest

from tradepulse.domain.commands import CancelProtection, Command, PlaceEntry, PlaceExit, PlaceProtection, QueryOrder
from tradepulse.domain.events import (
    CandleClosed,
    MarketEvent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderNotFound,
    OrderRejected,
)
from tradepulse.domain.market import MINUTE, Candle, Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import EntryPlan, OrderRole
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange, paced
from tradepulse.shared.errors import ConfigurationError

KEY = MarketKey("simulated", "BTC/USDT")
START = 1_700_000_040_000
Row = tuple[float, float, float, float]


def spec(kind: MarketKind = MarketKind.SPOT, key: MarketKey = KEY, **changes: object) -> MarketSpec:
    values: dict[str, object] = {
        "key": key,
        "base": key.symbol.split("/")[0],
        "quote": "USDT",
        "kind": kind,
        "tick_size": Decimal("0.01"),
        "lot_size": Decimal("0.001"),
        "min_notional": Decimal(10),
        "maker_ppm": 1000,
        "taker_ppm": 1000,
        "slippage_ppm": 200,
        "simulated": True,
    }
    return MarketSpec(**(values | changes))  # type: ignore[arg-type]


def tape(rows: Sequence[Row], market: MarketSpec | None = None, missing: Sequence[int] = ()) -> StoredTape:
    market = market or spec()
    candles = [Candle(START + bar * MINUTE, *row, volume=1.0) for bar, row in enumerate(rows) if bar not in missing]
    return StoredTape(Timeframe.M1, {market.key: market}, {market.key: Candles.from_rows(candles)})


def entry(
    bar: int,
    *,
    stop: int = 9900,
    target: int = 0,
    direction: Direction = Direction.LONG,
    lots: int = 1000,
    client_id: str = "e",
) -> PlaceEntry:
    plan = EntryPlan(10_000, stop, target, 2.0, 0.5, START + bar * MINUTE)
    return PlaceEntry(client_id, KEY, direction, lots, plan)


def pair(stop: int, target: int, direction: Direction = Direction.LONG, lots: int = 1000) -> PlaceProtection:
    return PlaceProtection("s", "t", KEY, direction, lots, stop, target)


async def played(
    exchange: SimulatedExchange, commands: dict[object, Command | Callable[[], Command]]
) -> list[MarketEvent]:
    """All events; a command is executed right after the close of bar n (key n) or the fill of an order (key its id)."""
    told: list[MarketEvent] = []
    async for event in exchange.events():
        told.append(event)
        key: object = None
        if isinstance(event, CandleClosed):
            key = (event.candle.open_time - START) // MINUTE
        elif isinstance(event, OrderFilled):
            key = event.fill.client_id
        if key in commands:
            command = commands[key]
            told.extend(await exchange.execute(command() if callable(command) else command))
    return told


def fills_of(events: list[MarketEvent]) -> list[tuple[str, int, int, Decimal]]:
    return [
        (event.fill.client_id, event.fill.ticks, (event.fill.time - START) // MINUTE, event.fill.fee)
        for event in events
        if isinstance(event, OrderFilled)
    ]


FLAT: Row = (100.0, 100.2, 99.8, 100.0)


async def test_entry_when_next_bar_opens_then_fills_there_worsened_with_taker_fee() -> None:
    exchange = SimulatedExchange(tape([FLAT, FLAT]), {"USDT": Decimal(1000)})
    events = await played(exchange, {0: entry(1)})
    assert events[1] == OrderAccepted("e", START + MINUTE)
    assert fills_of(events) == [("e", 10_002, 1, Decimal("0.10002"))]
    assert exchange.balances()["USDT"] == (Decimal("899.87998"), Decimal("899.87998"))
    assert exchange.balances()["BTC"] == (Decimal(1), Decimal(1))


async def test_pair_when_placed_in_answer_to_the_entry_then_meets_the_range_of_the_entry_bar() -> None:
    exchange = SimulatedExchange(tape([FLAT, (100.0, 100.5, 98.9, 99.5)]), {"USDT": Decimal(1000)})
    events = await played(exchange, {0: entry(1), "e": pair(9900, 10_300)})
    assert fills_of(events)[1] == ("s", 9898, 2, Decimal("0.09898"))
    ended = [event for event in events if isinstance(event, OrderEnded)]
    assert ended == [OrderEnded("t", None, "sibling filled", START + 2 * MINUTE)]
    assert exchange.balances()["BTC"] == (Decimal(0), Decimal(0))


async def test_pair_when_bar_touches_both_levels_then_the_stop_is_taken() -> None:
    exchange = SimulatedExchange(tape([FLAT, FLAT, (100.0, 104.0, 98.0, 100.0)]), {"USDT": Decimal(1000)})
    assert fills_of(await played(exchange, {0: entry(1), "e": pair(9900, 10_300)}))[1][0] == "s"


async def test_pair_when_bar_gaps_beyond_a_level_then_fills_at_the_open() -> None:
    for opened, expected in ((98.0, ("s", 9798, 2, Decimal("0.09798"))), (104.0, ("t", 10_400, 2, Decimal("0.104")))):
        rows = [FLAT, FLAT, (opened, opened, opened, opened)]
        exchange = SimulatedExchange(tape(rows), {"USDT": Decimal(1000)})
        assert fills_of(await played(exchange, {0: entry(1), "e": pair(9900, 10_300)}))[1] == expected


async def test_pair_when_target_is_reached_then_maker_fee_at_the_level() -> None:
    market = spec(maker_ppm=400)
    exchange = SimulatedExchange(tape([FLAT, FLAT, (100.0, 103.5, 99.5, 103.0)], market), {"USDT": Decimal(1000)})
    assert fills_of(await played(exchange, {0: entry(1), "e": pair(9900, 10_300)}))[1] == (
        "t",
        10_300,
        3,
        Decimal("0.0412"),
    )


async def test_exit_when_pair_is_cancelled_then_fills_at_the_next_open_and_before_a_new_entry() -> None:
    exchange = SimulatedExchange(tape([FLAT] * 4), {"USDT": Decimal(1000)})
    told: list[MarketEvent] = []
    async for event in exchange.events():
        told.append(event)
        if isinstance(event, CandleClosed) and event.candle.open_time == START:
            await exchange.execute(entry(1))
        if isinstance(event, OrderFilled) and event.fill.client_id == "e":
            await exchange.execute(pair(9900, 10_300))
        if isinstance(event, CandleClosed) and event.candle.open_time == START + MINUTE:
            cancelled = await exchange.execute(CancelProtection("s", "t", KEY))
            assert cancelled == [OrderEnded(leg, None, "cancelled", START + 2 * MINUTE) for leg in ("s", "t")]
            assert await exchange.execute(CancelProtection("s", "t", KEY)) == cancelled
            await exchange.execute(entry(2, client_id="e2", lots=900))
            await exchange.execute(PlaceExit("x", KEY, Direction.LONG, 1000))
    assert [fill[:3] for fill in fills_of(told)] == [("e", 10_002, 1), ("x", 9998, 2), ("e2", 10_002, 2)]


async def test_entry_when_its_candle_is_missing_then_ended_when_the_next_one_opens() -> None:
    exchange = SimulatedExchange(tape([FLAT] * 4, missing=[1, 2]), {"USDT": Decimal(1000)})
    events = await played(exchange, {0: entry(1)})
    ended = next(event for event in events if isinstance(event, OrderEnded))
    assert (ended.verdict, ended.time) == (Verdict.NEXT_BAR_MISSING, START + 3 * MINUTE)
    assert exchange.balances()["USDT"] == (Decimal(1000), Decimal(1000))


@pytest.mark.parametrize(
    ("opened", "verdict"),
    [
        (98.9, Verdict.PRICE_BEYOND_STOP),
        (103.1, Verdict.PRICE_BEYOND_TARGET),
        (100.9, Verdict.PRICE_RAN_AWAY),
        (100.2, Verdict.REWARD_RISK_TOO_LOW),
    ],
)
async def test_entry_when_the_open_is_not_worth_it_then_ended_with_the_reason(opened: float, verdict: Verdict) -> None:
    target = 10_060 if verdict is Verdict.REWARD_RISK_TOO_LOW else 10_300
    exchange = SimulatedExchange(tape([FLAT, (opened,) * 4]), {"USDT": Decimal(1000)})
    events = await played(exchange, {0: entry(1, target=target)})
    assert [event.verdict for event in events if isinstance(event, OrderEnded)] == [verdict]


async def test_filters_when_broken_then_rejected_with_the_reason() -> None:
    exchange = SimulatedExchange(tape([FLAT]), {"USDT": Decimal(1000)})
    refused: list[tuple[Command, str]] = [
        (entry(1, lots=0, client_id="a"), "one lot"),
        (entry(1, lots=50, client_id="b"), "minimum"),
        (entry(1, lots=10_000, client_id="c"), "insufficient balance"),
        (entry(1, direction=Direction.SHORT, stop=10_100, client_id="d"), "spot market"),
        (entry(1, stop=10_100, client_id="f"), "wrong side"),
        (PlaceExit("g", KEY, Direction.LONG, 1), "insufficient balance"),
        (PlaceExit("h", MarketKey("simulated", "XXX/USDT"), Direction.LONG, 1), "not listed"),
    ]
    for command, reason in refused:
        answer = (await exchange.execute(command))[0]
        assert isinstance(answer, OrderRejected)
        assert reason in answer.reason
        assert await exchange.execute(QueryOrder(answer.client_id, KEY)) == [answer]
    assert exchange.balances()["USDT"] == (Decimal(1000), Decimal(1000))


async def test_locks_when_entry_rests_then_the_dearest_fill_and_its_fee_are_held_and_base_is_locked_once() -> None:
    exchange = SimulatedExchange(tape([FLAT, FLAT]), {"USDT": Decimal(1000)})
    held: list[Decimal] = []
    async for event in exchange.events():
        if isinstance(event, CandleClosed) and event.candle.open_time == START:
            await exchange.execute(entry(1))
            held.append(exchange.balances()["USDT"][1])
        if isinstance(event, OrderFilled):
            await exchange.execute(pair(9900, 10_300))
            assert exchange.balances()["BTC"] == (Decimal(1), Decimal(0))
            second = await exchange.execute(PlaceExit("x", KEY, Direction.LONG, 1))
            assert isinstance(second[0], OrderRejected)
    assert held == [Decimal(1000) - Decimal("100.25") - Decimal("0.10025")]


async def test_command_when_sent_twice_then_same_answer_and_no_effect() -> None:
    exchange = SimulatedExchange(tape([FLAT] * 3), {"USDT": Decimal(1000)})
    told: list[MarketEvent] = []
    async for event in exchange.events():
        told.append(event)
        if isinstance(event, CandleClosed):
            answer = await exchange.execute(entry(1))
            assert answer == [OrderAccepted("e", START + MINUTE)]
        if isinstance(event, OrderFilled):
            first = await exchange.execute(pair(9900, 10_300))
            assert await exchange.execute(pair(9900, 10_300)) == first
    assert len(fills_of(told)) == 1
    asked = [(await exchange.execute(QueryOrder(client_id, KEY)))[0] for client_id in ("e", "s", "nobody")]
    assert [type(event) for event in asked] == [OrderFilled, OrderAccepted, OrderNotFound]
    assert isinstance(asked[0], OrderFilled)
    assert asked[0].fill.fill_id == "e-1"


async def test_swap_when_short_is_closed_then_profit_margin_and_funding_are_exact() -> None:
    market = spec(MarketKind.SWAP, funding_ppm=100)
    eight_hours = 8 * 60
    rows = [FLAT] * (eight_hours + 3)
    exchange = SimulatedExchange(tape(rows, market), {"USDT": Decimal(1000)})
    events = await played(
        exchange,
        {
            0: entry(1, direction=Direction.SHORT, stop=10_100, client_id="e"),
            "e": pair(10_100, 9700, Direction.SHORT),
            eight_hours: CancelProtection("s", "t", KEY),
            eight_hours + 1: PlaceExit("x", KEY, Direction.SHORT, 1000),
        },
    )
    fills = [event.fill for event in events if isinstance(event, OrderFilled)]
    assert [(fill.role, fill.side, fill.ticks) for fill in fills] == [
        (OrderRole.ENTRY, Direction.SHORT, 9998),
        (OrderRole.EXIT, Direction.LONG, 10_002),
    ]
    # 99.98 of notional at 100 ppm, rounded up to the money unit of 0.00001; the short receives it.
    assert fills[1].funding == Decimal("-0.01000")
    total = Decimal(1000) - Decimal("0.04") - fills[0].fee - fills[1].fee - fills[1].funding
    assert exchange.balances()["USDT"] == (total, total)


async def test_events_when_several_markets_then_phases_run_over_all_of_them_in_key_order() -> None:
    other = MarketKey("simulated", "ETH/USDT")
    specs = {KEY: spec(), other: spec(key=other)}
    candles = Candles.from_rows([Candle(START + bar * MINUTE, *FLAT, volume=1.0) for bar in range(3)])
    both = StoredTape(Timeframe.M1, specs, {other: candles, KEY: candles[0:2]})
    exchange = SimulatedExchange(both, {"USDT": Decimal(1000)})
    told = []
    async for event in exchange.events():
        if isinstance(event, OrderFilled):
            told.append((event.fill.market.symbol, "filled"))
        if isinstance(event, CandleClosed):
            told.append((event.series.symbol, (event.candle.open_time - START) // MINUTE))
            if told[-1] == ("ETH/USDT", 0):
                plan = entry(1).plan
                await exchange.execute(PlaceEntry("2", other, Direction.LONG, 200, plan))
                await exchange.execute(PlaceEntry("1", KEY, Direction.LONG, 200, plan))
    assert told == [
        ("BTC/USDT", 0),
        ("ETH/USDT", 0),
        ("BTC/USDT", "filled"),
        ("ETH/USDT", "filled"),
        ("BTC/USDT", 1),
        ("ETH/USDT", 1),
        ("ETH/USDT", 2),
    ]


async def test_history_when_asked_then_only_bars_closed_by_the_clock_and_aligned_to_the_calendar() -> None:
    rows: list[Row] = [(100.0 + bar, 100.5 + bar, 99.5 + bar, 100.2 + bar) for bar in range(30)]
    exchange = SimulatedExchange(tape(rows), {"USDT": Decimal(1000)})
    series = SeriesKey("simulated", "BTC/USDT", Timeframe.M5)
    closes = 0
    async for _ in exchange.events():
        closes += 1
        if closes == 13:
            break
    bars = await exchange.history(series, 0, 2 * START)
    # The tape begins at minute 14 of the hour; thirteen minutes later the bars of :15 and :20 are closed.
    assert np.array_equal(bars.open_time, [START + MINUTE, START + 6 * MINUTE])
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0], bars.volume[0]) == (101.0, 105.5, 100.5, 105.2, 5.0)
    with pytest.raises(ConfigurationError, match="not on this exchange"):
        await exchange.history(SeriesKey("simulated", "DOGE/USDT", Timeframe.M5), 0, START)


async def test_pace_when_given_then_awaited_between_open_and_close_and_what_arrives_meanwhile_takes_part() -> None:
    passed: list[int] = []

    async def pace(close_time: int) -> None:
        passed.append(close_time)
        if len(passed) == 3:
            assert exchange.clock.now() == START + 2 * MINUTE
            await exchange.execute(pair(9900, 10_300))

    rows = [FLAT, FLAT, (100.0, 100.5, 98.9, 99.5)]
    exchange = SimulatedExchange(tape(rows), {"USDT": Decimal(1000)}, pace=pace)
    events = await played(exchange, {0: entry(1)})
    assert passed == [START + bar * MINUTE for bar in (1, 2, 3)]
    assert [fill[:3] for fill in fills_of(events)] == [("e", 10_002, 1), ("s", 9898, 3)]


async def test_pair_when_it_arrives_after_the_open_went_beyond_its_stop_then_it_does_not_get_the_stop_s_price() -> None:
    async def pace(close_time: int) -> None:
        if close_time == START + 3 * MINUTE:
            await exchange.execute(pair(9900, 10_300))

    rows = [FLAT, FLAT, (97.0, 97.5, 96.9, 97.2)]
    exchange = SimulatedExchange(tape(rows), {"USDT": Decimal(1000)}, pace=pace)
    assert fills_of(await played(exchange, {0: entry(1)}))[1][:3] == ("s", 9698, 3)


async def test_paced_when_so_many_minutes_per_second_then_sleeps_the_share_of_a_bar() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await paced(4.0, sleep, 5 * MINUTE)(START)
    assert slept == [1.25]


async def test_swap_when_two_positions_are_held_then_an_exit_settles_the_one_of_its_own_size() -> None:
    dearer: Row = (101.0, 101.2, 100.8, 101.0)
    exchange = SimulatedExchange(tape([FLAT, FLAT, dearer, FLAT], spec(MarketKind.SWAP)), {"USDT": Decimal(1000)})
    later = PlaceEntry("e2", KEY, Direction.LONG, 900, EntryPlan(10_100, 9900, 0, 2.0, 0.5, START + 2 * MINUTE))
    commands: dict[object, Command | Callable[[], Command]] = {
        0: entry(1),
        1: later,
        2: PlaceExit("x", KEY, Direction.LONG, 900),
    }
    events = await played(exchange, commands)
    fees = sum(fill[3] for fill in fills_of(events))
    total, free = exchange.balances()["USDT"]
    # Bought 0.9 at 101.03, sold at 99.98; the other position, 1 at 100.02, is still held.
    assert total == Decimal(1000) - fees - Decimal("0.9") * (Decimal("101.03") - Decimal("99.98"))
    assert total - free == Decimal("100.02")
