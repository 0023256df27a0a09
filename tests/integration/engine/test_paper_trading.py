"""The engine on paper: as in a backtest while it runs, as on an exchange while it is down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.scripted import CASH, ScriptedStrategy, rough_candles, series, spec
from tests.integration.engine.test_recovery import LIMITS, TIMEFRAMES, Fuse, FusedJournal, FusedVenueStore, Killed
from tests.local_exchanges.driven_paper import paper_on

from tradepulse.bootstrap.backtests import replay
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import LedgerPosted, OrderFilled, PositionClosed, ProtectionPlaced
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind, Timeframe
from tradepulse.domain.orders import Fill, OrderRole
from tradepulse.domain.portfolio import Trade
from tradepulse.exchanges.paper_exchange import PaperExchange
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.venue_book import MarketRules
from tradepulse.shared.clock import ManualClock

MARKETS = (MarketKey("binance", "ABC/USD"), MarketKey("binance", "XYZ/USD"))
STRATEGY = ScriptedStrategy()
PARAMETERS = STRATEGY.parameters(max_bars_in_trade=10)


def tape_of(seed: int, bars: int, markets: Sequence[MarketKey] = MARKETS) -> StoredTape:
    specs = {market: spec(MarketKind.SPOT, market) for market in markets}
    return StoredTape(
        Timeframe.M1, specs, {market: rough_candles(seed + n, bars, MINUTE) for n, market in enumerate(specs)}
    )


@dataclass
class Lives:
    """One book on paper, killed at the given counts of writes and down for so many minutes each time."""

    tape: StoredTape
    kills: Sequence[int] = ()
    down: int = 0
    rules: MarketRules = field(default_factory=MarketRules)
    timeframes: tuple[Timeframe, ...] = TIMEFRAMES

    async def live(self) -> None:
        self.fuse = Fuse(self.kills)
        self.journal = FusedJournal(self.fuse)
        store = FusedVenueStore(self.fuse, self.journal)
        self.clock = ManualClock(self.tape.begin)
        self.deaths: list[int] = []
        while True:
            self.exchange = paper_on(self.tape, {"USD": CASH}, clock=self.clock, rules=self.rules, store=store)
            self.engine = self._engine(self.exchange)
            runner = Runner(self.engine, self.exchange, self.exchange, self.journal, self.clock, self.journal)  # type: ignore[arg-type]
            try:
                await runner.run(CASH)
            except Killed:
                self.deaths.append(self.clock.now())
                self.clock.advance_to(self.clock.now() + self.down * MINUTE)
                continue
            return

    def _engine(self, exchange: PaperExchange) -> Engine:
        config = EngineConfig("book", LIMITS, modes=exchange.modes(), patience=WORD_IS_FINAL)
        subscriptions = [
            Subscription(STRATEGY, PARAMETERS, series(timeframe, market))
            for market in self.tape.specs
            for timeframe in self.timeframes
        ]
        return Engine(config, self.tape.specs, dict.fromkeys(self.tape.specs, Timeframe.M1), subscriptions)

    def trades(self) -> list[Trade]:
        return [event.trade for event in self.journal.told if isinstance(event, PositionClosed)]

    def fills(self) -> list[Fill]:
        return [event.fill for event in self.journal.told if isinstance(event, OrderFilled)]

    def cash(self) -> Decimal:
        entries = [entry for event in self.journal.told if isinstance(event, LedgerPosted) for entry in event.entries]
        assert len({entry.entry_id for entry in entries}) == len(entries)
        return sum((entry.cash for entry in entries), Decimal(0))


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
async def test_paper_when_candles_come_in_time_then_the_trades_are_those_of_the_backtest(seed: int) -> None:
    market = MARKETS[0]
    tape = tape_of(seed, 300, [market])
    lives = Lives(tape, timeframes=(Timeframe.M1,))
    await lives.live()
    candles = tape.between(market, tape.begin, tape.end or 0)
    backtest = await replay(
        STRATEGY, PARAMETERS, series(Timeframe.M1, market), candles, tape.specs[market], LIMITS, CASH
    )
    assert lives.trades() == list(backtest.trades)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), kill_seed=st.integers(0, 10**6), kills=st.integers(1, 25))
async def test_paper_when_killed_and_started_at_once_then_the_same_trades_and_books(
    seed: int, kill_seed: int, kills: int
) -> None:
    once = Lives(tape_of(seed, 100))
    await once.live()
    moments = np.random.default_rng(kill_seed).choice(np.arange(1, once.fuse.ticks), kills, replace=False)
    again = Lives(once.tape, [int(moment) for moment in moments])
    await again.live()
    assert again.trades() == once.trades()
    assert again.cash() == once.cash() == again.engine.portfolio.cash
    assert again.exchange.balances() == once.exchange.balances()


RULES = {
    "pairs": MarketRules(),
    "pairs, fees in coins": MarketRules(fee_in_base=True),
    "lone stops": MarketRules(pairs=False),
    "stops that lock nothing": MarketRules(pairs=False, stops_lock=False),
    "stop-limits": MarketRules(stop_depth_ppm=2_000, pair_depth_ppm=2_000),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@settings(max_examples=4)
@given(seed=st.integers(0, 10**6), kill_seed=st.integers(0, 10**6), down=st.integers(0, 25))
async def test_paper_when_down_for_a_while_then_nothing_is_made_lost_or_known_too_early(
    rules: MarketRules, seed: int, kill_seed: int, down: int
) -> None:
    tape = tape_of(seed, 150)
    moments = [int(moment) for moment in np.random.default_rng(kill_seed).choice(np.arange(1, 400), 6, replace=False)]
    lives = Lives(tape, moments, down, rules)
    await lives.live()
    _add_up(lives)
    _never_oversold(lives)
    _not_known_too_early(lives)
    _no_stop_skipped(lives)


def _add_up(lives: Lives) -> None:
    """Start, fills and fees make the venue's balances and our cash, to the last unit."""
    cash, coins = CASH, dict.fromkeys((s.base for s in lives.tape.specs.values()), Decimal(0))
    for fill in lives.fills():
        market = lives.tape.specs[fill.market]
        cash -= fill.side * market.money(fill.ticks * fill.lots) + fill.fee
        coins[market.base] += fill.side * market.quantity(fill.lots) - fill.fee_lots_base
    held = {currency: total for currency, (total, _) in lives.exchange.balances().items()}
    assert held.get("USD") == cash
    assert {base: held.get(base, Decimal(0)) for base in coins} == coins
    if not lives.rules.fee_in_base:
        # Dust of a fee in coins is written off by the book.
        assert lives.cash() == cash


def _never_oversold(lives: Lives) -> None:
    held = {market: Decimal(0) for market in lives.tape.specs}
    for fill in lives.fills():
        held[fill.market] += fill.side * lives.tape.specs[fill.market].quantity(fill.lots) - fill.fee_lots_base
        assert held[fill.market] >= 0
    for total, free in lives.exchange.balances().values():
        assert total >= free >= 0


def _not_known_too_early(lives: Lives) -> None:
    """No fill before its time, none at a price of a candle that was over when the order was made."""
    stood: dict[str, int] = {}
    for event in lives.journal.told:
        if isinstance(event, ProtectionPlaced):
            stood[event.stop_client_id] = stood[event.target_client_id] = event.time
        if isinstance(event, OrderFilled):
            fill = event.fill
            assert fill.time <= lives.clock.now()
            assert fill.time >= stood.get(fill.client_id, 0)


def _no_stop_skipped(lives: Lives) -> None:
    """Nothing that rests at the end has a stop that a candle after its placing went through."""
    placed = {event.stop_client_id: event for event in lives.journal.told if isinstance(event, ProtectionPlaced)}
    ended = {fill.client_id for fill in lives.fills()}
    for trade in lives.engine.execution.state.trades.values():
        event = placed.get(trade.stop_client_id)
        if event is None or trade.stop_client_id in ended or lives.rules.stop_depth_ppm:
            continue
        market = trade.guard.market
        first = -(-event.time // MINUTE) * MINUTE
        after = lives.tape.between(market, first, lives.tape.end or 0)
        assert np.all(np.rint(after.low / float(lives.tape.specs[market].tick_size)) > event.stop_ticks)


async def test_the_lives_above_have_trades_of_every_kind_and_stops_filled_while_down() -> None:
    """Guards the properties against markets on which nothing happens."""
    roles, filled_while_down = set(), 0
    for seed in range(5):
        lives = Lives(tape_of(seed, 150), [40, 90, 140, 190, 240], 20)
        await lives.live()
        roles |= {fill.role for fill in lives.fills()}
        nights = [(death, death + 20 * MINUTE) for death in lives.deaths]
        filled_while_down += sum(
            fill.role is OrderRole.STOP and any(begin < fill.time <= end for begin, end in nights)
            for fill in lives.fills()
        )
    assert roles == {OrderRole.ENTRY, OrderRole.STOP, OrderRole.TARGET, OrderRole.EXIT}
    assert filled_while_down >= 2
