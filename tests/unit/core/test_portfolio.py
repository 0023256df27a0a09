"""Money is conserved: whatever is bought and sold, the ledger's sum is the cash, and trades explain the difference."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.trading import CASH, MARKET, SERIES, START, fill, spec

from tradepulse.core.portfolio import Portfolio
from tradepulse.domain.market import HOUR, MarketKey, MarketKind
from tradepulse.domain.orders import OrderRole
from tradepulse.domain.portfolio import LedgerKind, Position
from tradepulse.domain.signals import Direction, ExitReason, Regime
from tradepulse.kernels import fills
from tradepulse.shared.errors import InvariantError


def _position(name: str, direction: Direction, lots: int, ticks: int, fee: Decimal) -> Position:
    return Position(
        name, name, "desk", "parameters", SERIES, direction, lots, ticks, START, fee, ticks - direction * 100,
        ticks + direction * 250, START + HOUR, Regime.BULL, Decimal(50),
    )  # fmt: skip


rounds = st.lists(
    st.tuples(
        st.sampled_from(list(Direction)),
        st.integers(1, 10_000),
        st.integers(1_000, 20_000),
        st.integers(1_000, 20_000),
        st.booleans(),
    ),
    max_size=8,
)


@given(kind=st.sampled_from(list(MarketKind)), trades=rounds)
def test_ledger_and_trades_account_for_every_unit_of_cash(
    kind: MarketKind, trades: list[tuple[Direction, int, int, int, bool]]
) -> None:
    market = spec(kind)
    portfolio = Portfolio({MARKET: market})
    ledger = [portfolio.deposit(CASH, START, "start")]
    profit = open_cost = Decimal(0)
    for number, (chosen, lots, bought, sold, closes) in enumerate(trades):
        direction = chosen if kind is MarketKind.SWAP else Direction.LONG
        entry = fill(market, f"{number}e", OrderRole.ENTRY, direction, bought, lots)
        position = _position(str(number), direction, lots, bought, entry.fee)
        ledger += portfolio.open(position, entry)
        if not closes:
            open_cost += entry.fee + (market.money(bought * lots) if kind is MarketKind.SPOT else 0)
            continue
        funding = market.money(
            fills.funding_units(bought * lots, market.funding_ppm, direction, START, START + 9 * HOUR)
        )
        left = fill(market, f"{number}s", OrderRole.STOP, Direction(-direction), sold, lots, funding=funding)
        ledger += portfolio.reduce(position, left)
        trade = portfolio.close(portfolio.positions[str(number)], ExitReason.STOP, left.time)
        profit += trade.profit
        assert (
            trade.profit == direction * (trade.exit_price - trade.entry_price) * trade.quantity - trade.fees - funding
        )
        assert trade.r_multiple == float(trade.profit / 50)
    assert sum(entry.cash for entry in ledger) == portfolio.cash == CASH + profit - open_cost
    held = sum(position.direction * market.quantity(position.lots) for position in portfolio.positions.values())
    assert sum(entry.quantity for entry in ledger) == held
    assert len({entry.entry_id for entry in ledger}) == len(ledger)


@pytest.mark.parametrize(("kind", "direction"), [(MarketKind.SPOT, 1), (MarketKind.SWAP, 1), (MarketKind.SWAP, -1)])
def test_equity_when_the_mark_moves_then_by_hand_computed_figures(kind: MarketKind, direction: int) -> None:
    market = spec(kind)
    portfolio = Portfolio({MARKET: market})
    portfolio.deposit(CASH, START, "start")
    side = Direction(direction)
    entry = fill(market, "e", OrderRole.ENTRY, side, 10_000, 5_000)
    portfolio.open(_position("one", side, 5_000, 10_000, entry.fee), entry)
    # Five units at 100.00 cost 500 and a fee of 0.1 %; at 103.00 they are worth 15 more, or less for a short.
    portfolio.mark(MARKET, 103.0)
    assert entry.fee == Decimal("0.5")
    assert portfolio.equity == Decimal("9999.5") + 15 * direction
    assert portfolio.free_cash == Decimal("9499.5")


def test_entry_on_its_way_holds_back_its_dearest_price_and_fee_until_released() -> None:
    portfolio = Portfolio({MARKET: spec()})
    portfolio.deposit(CASH, START, "start")
    portfolio.reserve("entry", MARKET, 10_000, 10_000, 9_800)
    # Dearest: a quarter of the distance to the stop above the plan, 100.50, for ten units and 0.1 %.
    assert CASH - portfolio.free_cash == Decimal("1006.005")
    portfolio.release("entry")
    portfolio.release("entry")
    assert portfolio.free_cash == CASH


def test_funding_is_an_entry_of_its_own() -> None:
    market = spec(MarketKind.SWAP)
    portfolio = Portfolio({MARKET: market})
    portfolio.deposit(CASH, START, "start")
    entry = fill(market, "e", OrderRole.ENTRY, Direction.SHORT, 10_000, 5_000)
    position = _position("one", Direction.SHORT, 5_000, 10_000, entry.fee)
    portfolio.open(position, entry)
    left = fill(market, "s", OrderRole.STOP, Direction.LONG, 10_100, 5_000, funding=Decimal("-0.05"))
    entries = portfolio.reduce(position, left)
    trade = portfolio.close(portfolio.positions["one"], ExitReason.STOP, left.time)
    assert [(line.kind, line.cash) for line in entries] == [
        (LedgerKind.BUY, Decimal(-5)),
        (LedgerKind.FEE, Decimal("-0.505")),
        (LedgerKind.FUNDING, Decimal("0.05")),
    ]
    assert trade.profit == Decimal(-5) - Decimal("0.5") - Decimal("0.505") + Decimal("0.05")


def test_position_when_opened_twice_or_on_an_unknown_market_then_trading_halts() -> None:
    market = spec()
    portfolio = Portfolio({MARKET: market})
    entry = fill(market, "e", OrderRole.ENTRY, Direction.LONG, 10_000, 5_000)
    position = _position("one", Direction.LONG, 5_000, 10_000, entry.fee)
    portfolio.open(position, entry)
    with pytest.raises(InvariantError, match="opened twice"):
        portfolio.open(position, entry)
    with pytest.raises(InvariantError, match="not known"):
        portfolio.open(replace(position, position_id="two"), replace(entry, market=MarketKey("desk", "XYZ/USD")))
