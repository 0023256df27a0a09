"""What every ``OrderGateway`` promises, asked of the gateway of real exchanges on local ones under random commands."""

import asyncio
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.canary import no_canary_is_seen
from tests.integration.exchanges.trading_desk import Desk, desk_on, fills_in, id_of
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.domain.client_ids import IdRole
from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderFilled, OrderRejected
from tradepulse.exchanges.rate_budget import BURSTS

__all__ = ["no_canary_is_seen"]

MEMBERS = {"binance": "BTC/USDT", "okx": "BTC/USDT", "coinbase": "BTC/USD", "kraken": "BTC/USD"}
OPTIONS = {
    "okx": {"requests_per_2s": 100_000},
    "coinbase": {"requests_per_second": 100_000},
    "kraken": {"counter_limit": 1e6},
}
PRINTED = {"kraken": Decimal("0.0001")}
"""Kraken prints fees with fewer digits than it books."""
START = {"quote": Decimal(10_000), "base": Decimal(1)}
numbers, roles = st.integers(0, 4), st.sampled_from([IdRole.STOP, IdRole.TARGET, IdRole.ENTRY, IdRole.EXIT])
quantities = st.sampled_from(["0.01", "0.01", "0.02", "0.00001", "0.7"])
stops, targets = st.sampled_from(["49000", "49500", "50500"]), st.sampled_from(["50600", "51000", "48000"])
acts = st.one_of(
    st.tuples(st.just("price"), st.sampled_from(["48900", "49400", "50000", "50700", "51200"])),
    st.tuples(st.just("entry"), numbers, st.sampled_from(["0.01", "0.02"])),
    # No id names two orders: the stop of a pair is the first of its trade.
    st.tuples(st.just("stop"), numbers, quantities, stops, st.just(1)),
    st.tuples(st.just("pair"), numbers, quantities, stops, targets),
    st.tuples(st.just("exit"), numbers, quantities, st.sampled_from([None, "50600", "49000"])),
    st.tuples(st.just("cancel"), numbers, roles, st.integers(0, 1)),
    st.tuples(st.just("cancel_pair"), numbers),
    st.tuples(st.just("query"), numbers, roles, st.integers(0, 1)),
)


@pytest.mark.parametrize("exchange_id", MEMBERS)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Making a failing script smaller would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(script=st.lists(acts, min_size=6, max_size=12))
def test_gateway_when_commanded_at_random_then_idempotent_and_the_book_adds_up(
    exchange_id: str, script: list[tuple[Any, ...]]
) -> None:
    base, quote = MEMBERS[exchange_id].split("/")
    accounts = {"alice": {quote: str(START["quote"]), base: str(START["base"])}}
    markets: dict[str, dict[str, str | None]] = {MEMBERS[exchange_id]: {"largest_market_quantity": "1000000"}}
    with (
        local_exchange(
            exchange_id, seed=2, markets=markets, accounts=accounts, **OPTIONS.get(exchange_id, {})
        ) as exchange,
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as folder,
    ):
        for name in OPTIONS:
            # The rates of some exchanges would make a test as slow as life.
            patch.setitem(BURSTS, name, 1e6)
        asyncio.run(_check(exchange, MEMBERS[exchange_id], Path(folder), script))


async def _check(exchange: RunningExchange, symbol: str, folder: Path, script: list[tuple[Any, ...]]) -> None:
    answered: list[Any] = []
    async with desk_on(exchange, folder, symbol=symbol) as desk:
        for what, *arguments in script:
            if what == "price":
                exchange.price(arguments[0], symbol=symbol)
                await asyncio.sleep(0.05)
                continue
            command = getattr(desk, what)(*arguments)
            answer = await desk.execute(command)
            held = _balances(exchange, symbol)
            again = await desk.execute(command)
            assert _without_times(again) == _without_times(answer)
            assert _balances(exchange, symbol) == held
            answered += answer
        await _told_completely(desk, exchange, answered)
        _check_book(desk, exchange, answered)


def _without_times(events: list[Any]) -> list[tuple[str, str]]:
    return [(type(event).__name__, id_of(event)) for event in events]


def _balances(exchange: RunningExchange, symbol: str) -> list[Decimal]:
    return [exchange.balance(asset, kind=kind) for asset in symbol.split("/") for kind in ("total", "free")]


async def _told_completely(desk: Desk, exchange: RunningExchange, answered: list[Any]) -> None:
    """Whatever was executed is told in the end, and so is the end of every order that has ended."""

    def complete() -> bool:
        told = fills_in([*answered, *desk.heard])
        return len(told) == len(exchange.fills())

    await desk.until(complete)


def _check_book(desk: Desk, exchange: RunningExchange, answered: list[Any]) -> None:
    told = fills_in([*answered, *desk.heard])
    cash, held = START["quote"], START["base"]
    for fill in told:
        cash -= fill.side * desk.spec.money(fill.ticks * fill.lots) + fill.fee
        held += fill.side * desk.spec.quantity(fill.lots) - fill.fee_lots_base
    base, quote = desk.market.symbol.split("/")
    assert abs(exchange.balance(quote) - cash) <= PRINTED.get(exchange.reach.exchange_id, 0)
    assert exchange.balance(base) == held
    events = [*answered, *desk.heard]
    refused = {event.client_id for event in events if isinstance(event, OrderRejected)}
    taken = {id_of(event) for event in events if isinstance(event, OrderAccepted | OrderFilled)}
    assert not refused & taken
    for ended in [event for event in events if isinstance(event, OrderEnded)]:
        assert ended.filled_lots == sum(fill.lots for fill in told if fill.client_id == ended.client_id)
