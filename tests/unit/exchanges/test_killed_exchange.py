"""A simulated exchange that is killed anywhere and built again has the same book as one that never was."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.local_exchanges.mortal_trader import lifetime, two_market_tape


async def test_exchange_when_never_killed_then_the_trader_has_trades_of_every_kind() -> None:
    trader, exchange = await lifetime(two_market_tape(), [])
    roles = {(fill.market, fill.role, fill.side) for fill in trader.fills.values()}
    assert len({role for _, role, _ in roles}) == 4
    assert len(trader.fills) > 30
    free = exchange.balances()
    assert all(total >= 0 for total, _ in free.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=400), max_size=12))
async def test_exchange_when_killed_anywhere_then_fills_and_balances_equal_an_uninterrupted_run(
    kills: list[int],
) -> None:
    tape = two_market_tape()
    trader, exchange = await lifetime(tape, [])
    survivor, rebuilt = await lifetime(tape, list(kills))
    assert survivor.fills == trader.fills
    assert rebuilt.balances() == exchange.balances()


async def test_exchange_when_killed_at_every_single_moment_then_nothing_is_lost_or_doubled() -> None:
    tape = two_market_tape()
    trader, exchange = await lifetime(tape, [])
    for moment in range(1, 1500, 7):
        survivor, rebuilt = await lifetime(tape, [moment])
        assert survivor.fills == trader.fills, moment
        assert rebuilt.balances() == exchange.balances(), moment
