"""What every ``OrderGateway`` promises, asked of every member under random commands."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.local_exchanges.driven_paper import paper_on

from tradepulse.domain.commands import (
    CancelProtection,
    Command,
    PlaceEntry,
    PlaceExit,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import CandleClosed, OrderAccepted, OrderEnded, OrderFilled, OrderNotFound, OrderRejected
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind
from tradepulse.domain.orders import EntryPlan, OrderRole
from tradepulse.domain.signals import Direction
from tradepulse.exchanges.paper_exchange import PaperExchange
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.storage.in_memory import InMemoryVenueStore

BEGIN = 1_735_689_600_000
KEY = MarketKey("simulated", "SOL/USDT")
START = {"USDT": Decimal(5_000)}
MARKET = SimulatedMarket(2, ["SOL/USDT"], BEGIN)
CANDLES = MARKET.candles("SOL/USDT", 0, 40)
PRICE = round(CANDLES.close[0] * 100)


Gateway = SimulatedExchange | PaperExchange


def member(kind: MarketKind, stored: bool) -> Callable[[], SimulatedExchange]:
    spec = replace(MARKET.specs[KEY], kind=kind, funding_ppm=100 if kind is MarketKind.SWAP else 0)

    def build() -> SimulatedExchange:
        tape = StoredTape(MARKET.timeframe, {KEY: spec}, {KEY: CANDLES})
        return SimulatedExchange(tape, START, store=InMemoryVenueStore() if stored else None)

    return build


def paper(exchange: str, rules: MarketRules, *, stored: bool = False) -> Callable[[], PaperExchange]:
    key = MarketKey(exchange, KEY.symbol)
    spec = replace(MARKET.specs[KEY], key=key)

    def build() -> PaperExchange:
        tape = StoredTape(MARKET.timeframe, {key: spec}, {key: CANDLES})
        return paper_on(tape, START, rules=rules, store=InMemoryVenueStore() if stored else None)

    return build


MEMBERS: dict[str, Callable[[], Gateway]] = {
    "spot": member(MarketKind.SPOT, stored=False),
    "swap": member(MarketKind.SWAP, stored=False),
    "spot with a store": member(MarketKind.SPOT, stored=True),
    "paper with pairs, fees in coins": paper("binance", MarketRules(fee_in_base=True), stored=True),
    "paper with lone stops": paper("kraken", MarketRules(pairs=False)),
    "paper with stops that lock nothing": paper("bybit", MarketRules(pairs=False, stops_lock=False)),
    "paper with stop-limits": paper("kucoin", MarketRules(stop_depth_ppm=200, pair_depth_ppm=200), stored=True),
}
directions = st.sampled_from([Direction.LONG, Direction.LONG, Direction.SHORT])
lots = st.sampled_from([0, 1, 100, 1_000, 1_000, 1_000, 40_000])
numbers = st.integers(0, 9)
offsets = st.integers(-10, 120)


@st.composite
def commands(draw: st.DrawFn, bar: int) -> Command:
    number, direction, kind = draw(numbers), draw(directions), draw(st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4]))
    if kind == 0:
        plan = EntryPlan(PRICE, PRICE - direction * draw(offsets), 0, 2.0, -9.0, BEGIN + (bar + 1) * MINUTE)
        return PlaceEntry(f"e{number}", KEY, direction, draw(lots), plan)
    if kind == 1:
        stop, target = PRICE - direction * draw(offsets), PRICE + direction * draw(offsets)
        return PlaceProtection(f"s{number}", f"t{number}", KEY, direction, draw(lots), stop, target)
    if kind == 2:
        return CancelProtection(f"s{number}", f"t{number}", KEY)
    if kind == 3:
        return PlaceStop(f"a{number}", KEY, direction, draw(lots), PRICE - direction * draw(offsets))
    return PlaceExit(f"x{number}", KEY, direction, draw(lots))


scripts = st.tuples(*(st.lists(commands(bar), min_size=1, max_size=3) for bar in range(30)))


@pytest.mark.parametrize("name", MEMBERS)
@settings(max_examples=60, deadline=None)
@given(script=scripts)
def test_gateway_when_commanded_at_random_then_idempotent_and_the_book_adds_up(
    name: str, script: tuple[list[Command], ...]
) -> None:
    asyncio.run(_check(MEMBERS[name](), script))


async def _check(gateway: Gateway, script: tuple[list[Command], ...]) -> None:
    fills: list[OrderFilled] = []
    ids: set[str] = set()
    key = next(iter(await gateway.markets()))
    async for event in gateway.events():
        if isinstance(event, OrderFilled):
            fills.append(event)
        if not isinstance(event, CandleClosed):
            continue
        for command in (
            script[(event.candle.open_time - BEGIN) // MINUTE] if event.close_time <= BEGIN + 30 * MINUTE else []
        ):
            command = replace(command, market=key)
            answer = await gateway.execute(command)
            before = gateway.balances()
            assert await gateway.execute(command) == answer
            assert gateway.balances() == before
            assert all(
                isinstance(a, OrderAccepted | OrderRejected | OrderEnded | OrderFilled | OrderNotFound) for a in answer
            )
            ids |= {a.fill.client_id if isinstance(a, OrderFilled) else a.client_id for a in answer}
        for currency, (total, free) in gateway.balances().items():
            assert total >= free, currency
            assert free >= 0 or "swap" in str((await gateway.markets())[key].kind), currency
    await _check_book(gateway, fills, ids)


async def _check_book(gateway: Gateway, fills: list[OrderFilled], ids: set[str]) -> None:
    spec = next(iter((await gateway.markets()).values()))
    assert len({event.fill.fill_id for event in fills}) == len(fills)
    told = {client_id: (await gateway.execute(QueryOrder(client_id, KEY)))[0] for client_id in [*ids, "never sent"]}
    assert isinstance(told.pop("never sent"), OrderNotFound)
    for event in fills:
        assert told[event.fill.client_id] == event
    filled = {client_id for client_id, event in told.items() if isinstance(event, OrderFilled)}
    assert filled == {event.fill.client_id for event in fills}
    cash, base = START["USDT"], Decimal(0)
    for fill in (event.fill for event in fills):
        cash -= fill.side * spec.money(fill.ticks * fill.lots) + fill.fee + fill.funding
        base += fill.side * spec.quantity(fill.lots) - fill.fee_lots_base
    if spec.kind is MarketKind.SPOT:
        assert gateway.balances()["USDT"][0] == cash
        assert gateway.balances().get(spec.base, (Decimal(0),))[0] == base
    elif base == 0 and not _both_ways(fills):
        assert gateway.balances()["USDT"][0] == cash


def _both_ways(fills: list[OrderFilled]) -> bool:
    """Whether long and short positions may still stand against each other."""
    opened = sum(f.fill.lots for f in fills if f.fill.role is OrderRole.ENTRY)
    return opened != sum(f.fill.lots for f in fills if f.fill.role is not OrderRole.ENTRY)
