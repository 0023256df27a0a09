"""Every limit, tripped on the whole way from a candle to an order, and again with a kill at every write.

A tick is 0.05 and a lot 0.001, so an equity of 10,000 is 200,000,000 money units. A long at 100 (2,000 ticks) is
planned at 2,001 and, with its stop at 90, fills at 2,051 at most. A quarter of the equity are 24,987 lots, for which
51,248,337 units are held back; filled and at 100 they are worth 49,974,000.
"""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.engine.planned import LIMITS, Life, Scene, Wish, lived, taking
from tests.integration.engine.scripted import CASH, MARKET, OTHER, START, ScriptedStrategy, rough_candles, series, spec

from tradepulse.core.engine import Engine, EngineConfig, Step
from tradepulse.core.exposure import exposures
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.commands import PlaceEntry, PlaceProtection, QueryOrder
from tradepulse.domain.events import (
    DrawdownWarned,
    EngineInput,
    EntriesLocked,
    EntryPlanned,
    OrderAccepted,
    PositionClosed,
    PositionOpened,
    PriceSeen,
    RiskStateChanged,
    SetupDropped,
    TradingDayBegan,
)
from tradepulse.domain.market import HOUR, MINUTE, MarketKey, MarketKind, Timeframe
from tradepulse.domain.orders import OrderRole
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.risk import (
    AccountLimits,
    CorrelationRule,
    HaltTrading,
    HoldCause,
    Protection,
    ResumeTrading,
    RiskState,
)
from tradepulse.domain.signals import ExitReason, Verdict
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.storage.in_memory import InMemoryJournal

SAME_BASE = MarketKey("replay", "ABC/USDX")
ELSEWHERE = MarketKey("second", "XYZ/USD")
FLAT = [100.0] * 8
ACCEPTED = [Verdict.ACCEPTED]


def lots(life: Life) -> list[int]:
    return [event.lots for event in life.journal.told if isinstance(event, EntryPlanned)]


def states(life: Life) -> list[tuple[RiskState, int]]:
    return [(event.state, event.time) for event in life.told if isinstance(event, RiskStateChanged)]


def trades(life: Life) -> list[Trade]:
    return [event.trade for event in life.told if isinstance(event, PositionClosed)]


# --- exposure: two setups in the same instant

EXPOSURES = [
    ("symbol_ppm", MARKET, 1, Verdict.SYMBOL_LIMIT),
    ("base_asset_ppm", SAME_BASE, 0, Verdict.BASE_ASSET_LIMIT),
    ("exchange_ppm", OTHER, 0, Verdict.EXCHANGE_LIMIT),
    ("total_ppm", ELSEWHERE, 0, Verdict.TOTAL_LIMIT),
]


def together(limits: AccountLimits, other: MarketKey, strategy: int) -> Scene:
    return Scene(limits, dict.fromkeys((MARKET, other), FLAT), [Wish(MARKET, 2), Wish(other, 2, strategy=strategy)])


@pytest.mark.parametrize(("limit", "other", "strategy", "_verdict"), EXPOSURES)
async def test_two_setups_in_one_instant_when_both_would_exceed_a_limit_then_the_second_is_cut_to_what_is_left(
    limit: str, other: MarketKey, strategy: int, _verdict: Verdict
) -> None:
    # 30 %: 60,000,000 - 51,248,337 = 8,751,663, by 2,051 a lot.
    limits = replace(AccountLimits(), **{limit: 300_000})
    assert lots(await lived(together(limits, other, strategy))) == [24_987, 4_267]
    assert lots(await Life(together(AccountLimits(), other, strategy)).live()) == [24_987, 24_987]


@pytest.mark.parametrize(("limit", "other", "strategy", "verdict"), EXPOSURES)
async def test_two_setups_in_one_instant_when_the_first_leaves_nothing_then_the_second_is_denied_by_that_limit(
    limit: str, other: MarketKey, strategy: int, verdict: Verdict
) -> None:
    # 25.6242 %: 51,248,400 - 51,248,337 = 63 units.
    life = await lived(together(replace(AccountLimits(), **{limit: 256_242}), other, strategy))
    assert lots(life) == [24_987]
    judged = [found for verdicts in life.verdicts().values() for found in verdicts]
    assert judged == [Verdict.ACCEPTED, verdict]


async def test_exposure_of_a_position_that_closed_is_free_again() -> None:
    prices = [100.0, 100, 100, 100, 89, 100, 100, 100]
    wishes = [Wish(MARKET, 1), Wish(MARKET, 3, strategy=1), Wish(MARKET, 5, strategy=1)]
    life = await lived(Scene(AccountLimits(symbol_ppm=250_000), {MARKET: prices}, wishes))
    # 50,000,000 / 2,051 lots. Filled, they are worth 48,756,000; slippage and fee took 24,378 + 34,147. A quarter of
    # the 199,941,475 that are left leaves 1,229,368 for the second. Both are stopped out: 4,989,203 and 122,593 are
    # lost, and a quarter of 194,888,204 is there for the third.
    assert lots(life) == [24_378, 599, 23_755]


async def test_most_positions_when_open_or_on_their_way_then_the_next_is_denied() -> None:
    wishes = [Wish(MARKET, 2), Wish(OTHER, 2), Wish(OTHER, 4)]
    life = await lived(Scene(AccountLimits(positions=1), dict.fromkeys((MARKET, OTHER), FLAT), wishes))
    assert life.verdicts() == {
        ("ABC/USD", 2): ACCEPTED,
        ("XYZ/USD", 2): [Verdict.TOO_MANY_POSITIONS],
        ("XYZ/USD", 4): [Verdict.TOO_MANY_POSITIONS],
    }


# --- daily loss

# One hour a candle. In at 19:00; at 22:00 24.987 x (100.05 - 91) = 226.13 are lost and a fee of 1.75: more than 2 %.
# Stopped out on the next day, from 91 to 89.95: 26.2, and a fee.
DOWN = [*[100.0] * 21, 91, 91, 91, 91, 89, 89, 89, 89]
ASIDE = [100.0] * len(DOWN)
ONE_DAY = Scene(
    AccountLimits(daily_loss_ppm=20_000),
    {MARKET: DOWN, OTHER: ASIDE},
    [Wish(MARKET, 18), Wish(OTHER, 20), Wish(OTHER, 21), Wish(OTHER, 22, strategy=1), Wish(OTHER, 23, strategy=1)],
    Timeframe.H1,
)


async def test_daily_loss_stops_entries_until_midnight_and_a_kill_at_any_write_changes_nothing() -> None:
    life = await lived(ONE_DAY, every=1)
    assert states(life) == [(RiskState.REDUCING, START + 22 * HOUR), (RiskState.ACTIVE, START + 24 * HOUR)]
    assert life.verdicts() == {
        ("ABC/USD", 18): ACCEPTED,
        ("XYZ/USD", 20): ACCEPTED,
        ("XYZ/USD", 21): [Verdict.POSITION_OPEN],
        ("XYZ/USD", 22): [Verdict.DAILY_LOSS_LIMIT],
        ("XYZ/USD", 23): ACCEPTED,
    }
    days = [event.equity for event in life.told if isinstance(event, TradingDayBegan)]
    assert days[0] == CASH
    assert 9_760 < days[-1] < 9_775
    assert [trade.exit_reason for trade in trades(life)] == [ExitReason.STOP]


@pytest.mark.parametrize("seen", [22, 23])
async def test_daily_loss_when_nobody_was_there_at_midnight_then_caught_up_with_candle_by_candle(seen: int) -> None:
    """The exchange plays on until 01:00 while the trader is away; the stop still rests then."""
    wishes = [Wish(MARKET, 18), Wish(OTHER, 22), Wish(OTHER, 27)]
    life = Life(replace(ONE_DAY, wishes=wishes))
    await life.start(bars=seen)
    assert life.engine.risk.state is RiskState.REDUCING
    async for _ in life.venue(25).events():
        pass
    await life.start()
    there_all_along = await Life(replace(ONE_DAY, wishes=wishes)).live()
    assert life.told == there_all_along.told
    assert life.verdicts()["XYZ/USD", 22] == [Verdict.DAILY_LOSS_LIMIT]
    assert states(life) == [(RiskState.REDUCING, START + 22 * HOUR), (RiskState.ACTIVE, START + 24 * HOUR)]


async def test_daily_loss_when_a_stop_was_hit_meanwhile_then_the_new_day_begins_with_what_was_known_before() -> None:
    life = Life(replace(ONE_DAY, wishes=[Wish(MARKET, 18), Wish(OTHER, 27)]))
    await life.start(bars=22)
    known = life.engine.portfolio.equity
    async for _ in life.venue(27).events():
        pass
    await life.start()
    days = [event.equity for event in life.told if isinstance(event, TradingDayBegan)]
    assert days == [CASH, known]
    assert life.verdicts()["XYZ/USD", 27] == ACCEPTED
    assert life.engine.risk.state is RiskState.ACTIVE


async def test_daily_loss_when_it_holds_then_a_position_whose_time_is_over_is_left_all_the_same() -> None:
    scene = Scene(AccountLimits(daily_loss_ppm=20_000), {MARKET: [100.0] * 4 + [91.0] * 16}, [Wish(MARKET, 1)])
    life = await lived(replace(scene, max_bars=10))
    assert life.engine.risk.state is RiskState.REDUCING
    assert [trade.exit_reason for trade in trades(life)] == [ExitReason.TIME]


# --- drawdown

TIERS = AccountLimits(drawdown_warn_ppm=10_000, drawdown_reduce_ppm=20_000, drawdown_halt_ppm=30_000)


async def test_drawdown_warns_reduces_and_halts_for_good() -> None:
    # Each point is 24.987 of 10,000: 1 % are lost at 96, 2 % at 91 and 3 % at 86.
    both = [*[100.0] * 4, 96, 91, 91, 86, 100, 120, 120, 120]
    wishes = [Wish(MARKET, 1, stop=80), Wish(OTHER, 5), Wish(OTHER, 7), Wish(OTHER, 10)]
    life = await lived(Scene(TIERS, {MARKET: both, OTHER: [100.0] * len(both)}, wishes))
    assert [event.time for event in life.told if isinstance(event, DrawdownWarned)] == [life.scene.time(4)]
    assert states(life) == [(RiskState.REDUCING, life.scene.time(5)), (RiskState.HALTED, life.scene.time(7))]
    denied = [Verdict.DRAWDOWN_LIMIT]
    assert life.verdicts() == {
        ("ABC/USD", 1): ACCEPTED, ("XYZ/USD", 5): denied, ("XYZ/USD", 7): denied, ("XYZ/USD", 10): denied
    }  # fmt: skip
    assert life.engine.risk.state is RiskState.HALTED


async def test_peak_that_only_prices_made_is_remembered_over_a_restart() -> None:
    # 24.987 x (120 - 100.05) were won at the peak; ten points of it lost again are 2.4 % of 10,497.
    prices = [100.0, 100, 100, 100, 110, 120, 110, 110]
    life = Life(Scene(TIERS, {MARKET: prices}, [Wish(MARKET, 1, stop=80)]))
    await life.start(bars=6)
    peak = life.engine.risk.memory.peak
    assert 10_495 < peak < 10_500
    await life.start()
    assert life.engine.risk.memory.peak == peak
    assert states(life) == [(RiskState.REDUCING, life.scene.time(6))]


async def test_drawdown_when_a_person_resumes_then_measured_from_there_and_remembered() -> None:
    both = [*[100.0] * 4, 91, 91, 91, 91, 91, 91]
    wishes = [Wish(MARKET, 1, stop=80), Wish(OTHER, 4), Wish(OTHER, 7)]
    scene = Scene(TIERS, {MARKET: both, OTHER: [100.0] * len(both)}, wishes)
    when = scene.time(5)
    life = await Life(replace(scene, runner=taking({when: ResumeTrading("understood", "Ada", when)}))).live()
    assert states(life) == [(RiskState.REDUCING, scene.time(4)), (RiskState.ACTIVE, when)]
    assert life.verdicts()["XYZ/USD", 7] == ACCEPTED
    remembered = await life.journal.recover("book")
    assert remembered is not None
    again = scene.engine()
    again.restore(remembered[1])
    assert again.risk.memory.peak < 9_800


# --- locks

# In at 100 on bar 2 and on bar 5, each time stopped out by the next bar, at the close of bars 3 and 6.
TWO_STOPS = [100.0, 100, 100, 89, 100, 100, 89, 100, 100, 100, 100, 100, 100, 100]
AGAIN_AND_AGAIN = [Wish(MARKET, bar) for bar in (1, 4, 7, 8, 9, 10)] + [Wish(OTHER, 9)]
LOCKED = {
    ("ABC/USD", 1): ACCEPTED,
    ("ABC/USD", 4): ACCEPTED,
}


def stopped_twice(limits: AccountLimits) -> Scene:
    return Scene(limits, {MARKET: TWO_STOPS, OTHER: [100.0] * len(TWO_STOPS)}, AGAIN_AND_AGAIN)


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        (AccountLimits(stop_guard=Protection(2, 20 * MINUTE, HOUR)), Verdict.STOP_GUARD),
        (AccountLimits(loss_streak=Protection(2, 20 * MINUTE)), Verdict.LOSS_STREAK),
    ],
)
@pytest.mark.parametrize("everywhere", [False, True])
async def test_stops_or_losses_in_a_row_lock_the_market_or_all_of_them_for_a_while(
    limits: AccountLimits, verdict: Verdict, everywhere: bool
) -> None:
    limits = replace(
        limits,
        stop_guard=replace(limits.stop_guard, everywhere=everywhere),
        loss_streak=replace(limits.loss_streak, everywhere=everywhere),
    )
    life = await lived(stopped_twice(limits))
    # Stopped out at 35 minutes past, locked until 55 minutes past: that is where bar 10 closes.
    assert [event.lock.until for event in life.told if isinstance(event, EntriesLocked)] == [life.scene.time(10)]
    assert life.verdicts() == LOCKED | {
        ("ABC/USD", 7): [verdict],
        ("ABC/USD", 8): [verdict],
        ("ABC/USD", 9): [verdict],
        ("XYZ/USD", 9): [verdict] if everywhere else ACCEPTED,
        ("ABC/USD", 10): ACCEPTED,
    }


async def test_cool_down_after_a_trade_locks_its_market_only() -> None:
    life = await lived(stopped_twice(AccountLimits(cool_down_ms=6 * MINUTE)))
    # Closed at 20 minutes past: locked until 26, rounded up to 30; the setups of 25 are denied. The same again at 35.
    assert life.verdicts() == {
        ("ABC/USD", 1): ACCEPTED,
        ("ABC/USD", 4): [Verdict.COOL_DOWN],
        ("ABC/USD", 7): ACCEPTED,
        ("ABC/USD", 8): [Verdict.POSITION_OPEN],
        ("ABC/USD", 9): [Verdict.POSITION_OPEN],
        ("XYZ/USD", 9): ACCEPTED,
        ("ABC/USD", 10): [Verdict.POSITION_OPEN],
    }


# --- rate and duplicates


async def test_entries_of_a_minute_when_as_many_as_allowed_then_the_next_waits_for_another_candle() -> None:
    wishes = [Wish(MARKET, 2), Wish(OTHER, 2), Wish(OTHER, 3)]
    life = await lived(Scene(AccountLimits(entries_per_minute=1), dict.fromkeys((MARKET, OTHER), FLAT), wishes))
    assert life.verdicts() == {
        ("ABC/USD", 2): ACCEPTED,
        ("XYZ/USD", 2): [Verdict.TOO_MANY_ENTRIES],
        ("XYZ/USD", 3): ACCEPTED,
    }


async def test_orders_of_a_minute_when_an_exit_uses_them_up_then_it_is_placed_and_an_entry_is_not() -> None:
    # In at 10 minutes past; ten candles later its time is over, and its exit is the one order of that minute.
    flat = [100.0] * 16
    scene = Scene(AccountLimits(orders_per_minute=1), {MARKET: flat, OTHER: flat}, [], max_bars=10)
    life = await lived(replace(scene, wishes=[Wish(MARKET, 1), Wish(OTHER, 11), Wish(OTHER, 12)]), every=5)
    assert [(trade.exit_reason, trade.exit_time) for trade in trades(life)] == [(ExitReason.TIME, scene.time(11))]
    assert life.verdicts() == {
        ("ABC/USD", 1): ACCEPTED,
        ("XYZ/USD", 11): [Verdict.TOO_MANY_ORDERS],
        ("XYZ/USD", 12): ACCEPTED,
    }
    # Each was protected by a pair, although that were two orders more.
    assert all(trade.guard.live(OrderRole.STOP) for trade in life.engine.execution.state.trades.values())
    assert len(life.engine.execution.state.trades) == 1


async def test_spread_that_was_seen_before_the_candle_opened_says_nothing() -> None:
    scene = Scene(AccountLimits(spread_ppm=1), {MARKET: FLAT}, [Wish(MARKET, 3)])
    early, only_bid = PriceSeen(MARKET, 1_000, scene.time(1), 3_000), PriceSeen(MARKET, 1_000, scene.time(2))
    for quote in (early, only_bid):
        life = await Life(replace(scene, runner=taking({quote.time: quote}))).live()
        assert life.verdicts() == {("ABC/USD", 3): ACCEPTED}


# --- limits that were changed between two starts


@pytest.mark.parametrize(
    ("changed", "dropped"),
    [
        (AccountLimits(symbol_ppm=200_000), 1),
        (AccountLimits(order_value=Decimal(1_000)), 1),
        (AccountLimits(correlation=CorrelationRule(heat_ppm=20_000)), 1),
        (AccountLimits(symbol_ppm=300_000), 0),
        (AccountLimits(), 0),
    ],
)
async def test_entry_on_its_way_when_started_with_limits_it_does_not_fit_then_withdrawn_before_it_fills(
    changed: AccountLimits, dropped: int
) -> None:
    life = Life(Scene(AccountLimits(symbol_ppm=260_000), {MARKET: FLAT}, [Wish(MARKET, 3)]))
    await life.start(bars=4)
    assert len(life.engine.execution.state.entries) == 1
    life.scene = replace(life.scene, account=changed)
    await life.start()
    verdicts = [event.verdict for event in life.told if isinstance(event, SetupDropped)]
    assert verdicts == [Verdict.WITHDRAWN] * dropped
    assert len(life.engine.portfolio.positions) == 1 - dropped
    assert not life.engine.portfolio.reserved


async def test_two_entries_on_their_way_when_only_one_fits_any_more_then_the_later_one_is_withdrawn() -> None:
    scene = Scene(AccountLimits(total_ppm=600_000), {MARKET: FLAT, OTHER: FLAT}, [Wish(MARKET, 3), Wish(OTHER, 3)])
    life = Life(scene)
    await life.start(bars=4)
    life.scene = replace(scene, account=AccountLimits(total_ppm=400_000))
    await life.start()
    assert [trade.position.series.market for trade in life.engine.execution.state.trades.values()] == [MARKET]


async def test_candles_that_come_a_second_time_after_a_restart_are_not_acted_on_again() -> None:
    scene = Scene(AccountLimits(), {MARKET: TWO_STOPS}, [Wish(MARKET, 1), Wish(MARKET, 12)])
    life = Life(scene)
    await life.start(bars=8)
    # Without a memory of candles every one since the book began counts as missed.
    await life.start(remembers_candles=False)
    assert life.verdicts() == {
        ("ABC/USD", 1): [Verdict.ACCEPTED, Verdict.DUPLICATE_SIGNAL],
        ("ABC/USD", 12): ACCEPTED,
    }
    assert len(trades(life)) == 1


# --- the kill switch

RISES = [100.0, 100, 100, 100, 101, 102, 110, 126, 126, 126, 126]
FALLS = [100.0, 100, 100, 100, 99, 98, 97, 89, 89, 89, 89]


@pytest.mark.parametrize(("prices", "reason"), [(RISES, ExitReason.TARGET), (FALLS, ExitReason.STOP)])
async def test_kill_switch_when_a_position_is_open_then_its_pair_stays_and_closes_it_and_nothing_new_is_entered(
    prices: list[float], reason: ExitReason
) -> None:
    wishes = [Wish(MARKET, 1), Wish(OTHER, 4), Wish(OTHER, 6), Wish(OTHER, 8), Wish(OTHER, 9)]
    scene = Scene(AccountLimits(), {MARKET: prices, OTHER: [100.0] * len(prices)}, wishes)
    halted, resumed = scene.time(4), scene.time(8)
    orders: dict[int, EngineInput] = {
        halted: HaltTrading("news", "Ada", halted),
        resumed: ResumeTrading("read them", "Ada", resumed),
    }
    life = Life(replace(scene, runner=taking(orders)))
    await life.start(bars=5)
    assert life.engine.risk.state is RiskState.HALTED
    (trade,) = life.engine.execution.state.trades.values()
    for client_id in (trade.stop_client_id, trade.target_client_id):
        (told,) = await life.venue(5).execute(QueryOrder(client_id, MARKET))
        assert isinstance(told, OrderAccepted)
    await life.start()
    denied = [Verdict.HALTED_BY_HAND]
    # The second market's candle comes after the order that was taken with the first one's.
    assert life.verdicts() == {
        ("ABC/USD", 1): ACCEPTED,
        ("XYZ/USD", 4): denied,
        ("XYZ/USD", 6): denied,
        ("XYZ/USD", 8): ACCEPTED,
        ("XYZ/USD", 9): [Verdict.POSITION_OPEN],
    }
    assert [trade.exit_reason for trade in trades(life)] == [reason]
    changes = [event for event in life.told if isinstance(event, RiskStateChanged)]
    assert [(event.state, event.reason) for event in changes] == [
        (RiskState.HALTED, "halted by Ada: news"),
        (RiskState.ACTIVE, "resumed by Ada: read them"),
    ]
    assert [hold.cause for hold in changes[0].holds] == [HoldCause.BY_HAND]


# --- whatever happens

MARKETS = (MARKET, OTHER, ELSEWHERE)
SHARES = st.integers(20_000, 400_000)
ACCOUNTS = st.builds(
    AccountLimits,
    symbol_ppm=SHARES,
    base_asset_ppm=SHARES,
    exchange_ppm=SHARES,
    total_ppm=SHARES,
    positions=st.integers(1, 5),
    daily_loss_ppm=st.integers(1_000, 20_000),
    drawdown_reduce_ppm=st.integers(2_000, 30_000),
    drawdown_halt_ppm=st.integers(30_000, 60_000),
)


class Watched(Engine):
    """Checks at each step that nothing was entered beyond a limit or in a state that forbids it."""

    entered = 0

    def handle(self, event: EngineInput, *, more: bool = False) -> Step:
        before = self.risk.state
        step = super().handle(event, more=more)
        entries = [command for command in step.commands if isinstance(command, PlaceEntry)]
        if entries:
            assert self.risk.state is RiskState.ACTIVE, before
            self._check_exposure({command.client_id for command in entries})
        self.entered += len(entries)
        opened = [fact for fact in step.events if isinstance(fact, PositionOpened)]
        assert sum(isinstance(command, PlaceProtection) for command in step.commands) == len(opened)
        return step

    def _check_exposure(self, entered: set[str]) -> None:
        """Of what was just entered: what was before may have outgrown its limit since, because the equity fell."""
        held = exposures(self.portfolio, self.execution.state.entries.values())
        account, equity = self.config.account, self.portfolio.equity
        assert len(held) <= account.positions
        for share, name in (
            (account.symbol_ppm, lambda one: one.market.key.symbol),
            (account.base_asset_ppm, lambda one: one.market.base),
            (account.exchange_ppm, lambda one: one.market.key.exchange),
            (account.total_ppm, lambda _: ""),
        ):
            if not share:
                continue
            for entry in (self.execution.state.entries[client_id] for client_id in entered):
                mine = name(replace(held[0], market=self.portfolio.spec(entry.setup.series.market)))
                total = sum(one.value for one in held if name(one) == mine)
                assert total * 1_000_000 <= equity * share


async def _played(
    seed: int, kind: MarketKind, account: AccountLimits, orders: dict[int, EngineInput]
) -> tuple[Watched, list[Trade]]:
    specs = {market: spec(kind, market) for market in MARKETS}
    candles = {market: rough_candles(seed + n, 240, 60_000) for n, market in enumerate(MARKETS)}
    tape = StoredTape(Timeframe.M1, specs, candles)
    exchange = SimulatedExchange(tape, {"USD": CASH})
    strategy = ScriptedStrategy()
    subscriptions = [
        Subscription(strategy, strategy.parameters(max_bars_in_trade=10), series(timeframe, market))
        for market in MARKETS
        for timeframe in (Timeframe.M1, Timeframe.M5)
    ]
    config = EngineConfig("book", replace(LIMITS, risk_ppm=10_000), account=account, patience=WORD_IS_FINAL)
    engine = Watched(config, specs, dict.fromkeys(specs, Timeframe.M1), subscriptions)
    journal = InMemoryJournal()
    runner: type[Runner] = taking(orders)
    await runner(engine, exchange, exchange, journal, exchange.clock).run(CASH)
    told = [event for record in journal.records for event in record.events]
    return engine, [event.trade for event in told if isinstance(event, PositionClosed)]


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(MarketKind)), account=ACCOUNTS)
async def test_exposure_with_reservations_never_exceeds_a_limit_and_nothing_is_entered_unless_active(
    seed: int, kind: MarketKind, account: AccountLimits
) -> None:
    engine, _ = await _played(seed, kind, account, {})
    assert engine.entered


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(MarketKind)), minute=st.integers(5, 200))
async def test_halting_at_any_moment_changes_no_exit_of_what_was_open(seed: int, kind: MarketKind, minute: int) -> None:
    when = START + minute * MINUTE
    _, free = await _played(seed, kind, AccountLimits(positions=100), {})
    halt: dict[int, EngineInput] = {when: HaltTrading("enough", "Ada", when)}
    _, held = await _played(seed, kind, AccountLimits(positions=100), halt)
    assert [trade for trade in held if trade.entry_time < when] == [trade for trade in free if trade.entry_time < when]
    assert not [trade for trade in held if trade.entry_time > when]
