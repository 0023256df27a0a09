"""Every limit on the whole way: candles of the simulated exchange, engine, runner, and a real PostgreSQL.

Each one is tripped, is stored with the verdict that names it, and lets pass what is just below it. The figures are
those of ``test_risk_limits``: an entry of a quarter holds back 51,248,337 of 200,000,000 units, and risks 251 ticks
on each of 24,987 lots, which is 3.136 % of the equity.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from tests.integration.engine.planned import BOOK, Scene, Wish, taking
from tests.integration.engine.scripted import CASH, MARKET, OTHER
from tests.integration.engine.test_correlation_limits import wiggle
from tests.integration.engine.test_risk_limits import AGAIN_AND_AGAIN, ELSEWHERE, ONE_DAY, SAME_BASE, TWO_STOPS

from tradepulse.bootstrap.risk_usage import limits_in_use
from tradepulse.core.engine import Engine
from tradepulse.core.exposure import exposures
from tradepulse.core.limit_usage import limit_usage
from tradepulse.core.wallets import Wallets
from tradepulse.domain.events import PriceSeen
from tradepulse.domain.inbox import Request, RequestKind, RequestStatus
from tradepulse.domain.market import HOUR, MINUTE, MarketKey, Timeframe
from tradepulse.domain.risk import (
    AccountLimits,
    CorrelationRule,
    NotReady,
    NotReadyCause,
    Protection,
    Ready,
    WalletLimits,
)
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database
from tradepulse.storage.inbox import PostgresCommandInbox
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.venues import PostgresVenueStore

FLAT = [100.0] * 8
NOTHING = AccountLimits()


@dataclass
class Program:
    """Starts as often as it is told on one database."""

    database: Database

    async def start(self, scene: Scene, bars: int | None = None) -> Engine:
        candles, inbox = PostgresCandleStore(self.database), PostgresCommandInbox(self.database)
        tape = scene.tape(bars)
        for spec in tape.specs.values():
            await candles.write_market(spec)
        store = PostgresVenueStore(self.database)
        exchange = SimulatedExchange(tape, {"USD": CASH}, store=store, venue=scene.book)
        await exchange.recover()
        engine = scene.engine()
        journal = PostgresJournal(self.database)
        runner = scene.runner(engine, exchange, exchange, journal, exchange.clock, candles, inbox=inbox)
        await runner.run(CASH)
        return engine

    async def judged(self, scene: Scene, wish: Wish) -> tuple[str, str]:
        """Verdict and reason of the setup that was wished for, as they are stored."""
        strategy = ("scripted", "second")[wish.strategy]
        stored = await PostgresBookReader(self.database).setups(scene.book, limit=100)
        for row in stored:
            at = row["bar_time"] + scene.timeframe.milliseconds
            found = (row["strategy"], row["symbol"], row["exchange"], at)
            if found == (strategy, wish.market.symbol, wish.market.exchange, scene.time(wish.bar)):
                return row["verdict"], row["reason"]
        raise AssertionError(f"{wish} was never judged")


@pytest.fixture
def program(database: Database) -> Program:
    return Program(database)


def beside(other: MarketKey, strategy: int = 0) -> tuple[Scene, Wish]:
    wish = Wish(other, 2, strategy=strategy)
    return Scene(NOTHING, dict.fromkeys((MARKET, other), FLAT), [Wish(MARKET, 2), wish]), wish


def alone() -> tuple[Scene, Wish]:
    wish = Wish(MARKET, 2)
    return Scene(NOTHING, {MARKET: FLAT}, [wish]), wish


def at_a_wrong_price() -> tuple[Scene, Wish]:
    """The plan follows from a close that is a tenth above the one before."""
    wish = Wish(MARKET, 2)
    return Scene(NOTHING, {MARKET: [100.0, 100.0, 110.0, *[110.0] * 6]}, [wish]), wish


def quoted() -> tuple[Scene, Wish]:
    """Bid at 1,995 ticks and asked at 2,005, which is half a percent, while the setup's candle is open."""
    scene, wish = alone()
    opened = scene.time(1)
    return replace(scene, runner=taking({opened: PriceSeen(MARKET, 1_995, opened, 2_005)})), wish


def falling() -> tuple[Scene, Wish]:
    """2.28 % are lost at 91."""
    prices = [*[100.0] * 4, 91, 91, 91, 91]
    wish = Wish(OTHER, 5)
    return Scene(NOTHING, {MARKET: prices, OTHER: FLAT}, [Wish(MARKET, 1, stop=80), wish]), wish


def stopped(bar: int = 7) -> tuple[Scene, Wish]:
    aside = [100.0] * len(TWO_STOPS)
    return Scene(NOTHING, {MARKET: TWO_STOPS, OTHER: aside}, AGAIN_AND_AGAIN), Wish(MARKET, bar)


def one_day() -> tuple[Scene, Wish]:
    return ONE_DAY, Wish(OTHER, 22, strategy=1)


HALF_AN_HOUR = 30 * MINUTE
CASES = {
    "symbol": (beside(MARKET, 1), {"symbol_ppm": 256_242}, {"symbol_ppm": 257_000}, Verdict.SYMBOL_LIMIT),
    "base asset": (
        beside(SAME_BASE), {"base_asset_ppm": 256_242}, {"base_asset_ppm": 257_000}, Verdict.BASE_ASSET_LIMIT
    ),
    "exchange": (beside(OTHER), {"exchange_ppm": 256_242}, {"exchange_ppm": 257_000}, Verdict.EXCHANGE_LIMIT),
    "total": (beside(ELSEWHERE), {"total_ppm": 256_242}, {"total_ppm": 257_000}, Verdict.TOTAL_LIMIT),
    "positions": (beside(OTHER), {"positions": 1}, {"positions": 2}, Verdict.TOO_MANY_POSITIONS),
    "entries per minute": (
        beside(OTHER), {"entries_per_minute": 1}, {"entries_per_minute": 2}, Verdict.TOO_MANY_ENTRIES
    ),
    "orders per minute": (
        beside(OTHER), {"orders_per_minute": 1}, {"orders_per_minute": 2}, Verdict.TOO_MANY_ORDERS
    ),
    "spread": (quoted(), {"spread_ppm": 4_999}, {"spread_ppm": 5_000}, Verdict.SPREAD_LIMIT),
    "daily loss": (one_day(), {"daily_loss_ppm": 22_700}, {"daily_loss_ppm": 25_000}, Verdict.DAILY_LOSS_LIMIT),
    "drawdown to reduce at": (
        falling(), {"drawdown_reduce_ppm": 22_700}, {"drawdown_reduce_ppm": 23_000}, Verdict.DRAWDOWN_LIMIT
    ),
    "drawdown to halt at": (
        falling(), {"drawdown_halt_ppm": 22_700}, {"drawdown_halt_ppm": 23_000}, Verdict.DRAWDOWN_LIMIT
    ),
    "stop guard": (
        stopped(), {"stop_guard": Protection(2, HALF_AN_HOUR, HOUR)}, {"stop_guard": Protection(3, HALF_AN_HOUR, HOUR)},
        Verdict.STOP_GUARD,
    ),
    "loss streak": (
        stopped(), {"loss_streak": Protection(2, HALF_AN_HOUR)}, {"loss_streak": Protection(3, HALF_AN_HOUR)},
        Verdict.LOSS_STREAK,
    ),
    "cool-down": (stopped(4), {"cool_down_ms": 6 * MINUTE}, {"cool_down_ms": 5 * MINUTE}, Verdict.COOL_DOWN),
    "price band": (alone(), {"price_band_ppm": 499}, {"price_band_ppm": 500}, Verdict.PRICE_BAND),
    "wrong price": (at_a_wrong_price(), {"price_band_ppm": 100_000}, {"price_band_ppm": 101_000}, Verdict.PRICE_BAND),
    "slippage": (alone(), {"slippage_ppm": 25_499}, {"slippage_ppm": 25_500}, Verdict.SLIPPAGE_LIMIT),
    "order value": (
        alone(), {"order_value": Decimal(4)}, {"order_value": Decimal(10)}, Verdict.ORDER_VALUE_LIMIT
    ),
    # Eight candles say nothing about correlation: the two markets count as one.
    "correlation": (
        beside(OTHER), {"correlation": CorrelationRule(limit_ppm=999_999)},
        {"correlation": CorrelationRule(limit_ppm=1_000_000)}, Verdict.CORRELATED,
    ),
    "cluster": (
        beside(OTHER), {"correlation": CorrelationRule(cluster_ppm=256_242)},
        {"correlation": CorrelationRule(cluster_ppm=257_000)}, Verdict.CLUSTER_LIMIT,
    ),
    "heat": (
        beside(OTHER), {"correlation": CorrelationRule(heat_ppm=31_400)},
        {"correlation": CorrelationRule(heat_ppm=32_000)}, Verdict.HEAT_LIMIT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_limit_when_reached_then_stored_with_its_verdict(
    case: tuple[tuple[Scene, Wish], dict[str, object], dict[str, object], Verdict], program: Program
) -> None:
    (scene, wish), tripped, _, verdict = case
    await program.start(replace(scene, account=replace(NOTHING, **tripped)))  # type: ignore[arg-type]
    assert (await program.judged(scene, wish))[0] == verdict


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_limit_when_just_kept_then_the_entry_passes(
    case: tuple[tuple[Scene, Wish], dict[str, object], dict[str, object], Verdict], program: Program
) -> None:
    (scene, wish), _, below, _ = case
    await program.start(replace(scene, account=replace(NOTHING, **below)))  # type: ignore[arg-type]
    assert (await program.judged(scene, wish))[0] == Verdict.ACCEPTED


async def test_halt_by_hand_holds_over_a_restart_until_a_person_resumes(program: Program) -> None:
    scene, _ = beside(OTHER)
    scene = replace(scene, wishes=[Wish(MARKET, 2), Wish(MARKET, 4), Wish(MARKET, 6)])
    inbox = PostgresCommandInbox(program.database)
    asked = await inbox.post(Request(BOOK, RequestKind.HALT, "Ada", "news", "1", 0))
    await program.start(scene, bars=4)
    answered = await inbox.get(asked.request_id)
    assert answered is not None
    assert (answered.status, answered.outcome) == (RequestStatus.DONE, "trading is halted")
    assert await program.judged(scene, Wish(MARKET, 2)) == (Verdict.HALTED_BY_HAND, "halted by Ada: news")
    await program.start(scene, bars=6)
    assert (await program.judged(scene, Wish(MARKET, 4)))[0] == Verdict.HALTED_BY_HAND
    await inbox.post(Request(BOOK, RequestKind.RESUME, "Ada", "read them", "2", 0))
    await program.start(scene)
    assert (await program.judged(scene, Wish(MARKET, 6)))[0] == Verdict.ACCEPTED


async def test_cause_that_is_not_ready_stops_entries_by_name_and_lets_exits_pass(program: Program) -> None:
    prices = [100.0, 100, 100, 100, 89, 100, 100, 100, 100]
    flat = [100.0] * len(prices)
    wishes = [Wish(MARKET, 1), Wish(OTHER, 4), Wish(OTHER, 7)]
    scene = Scene(NOTHING, {MARKET: prices, OTHER: flat}, wishes)
    told = {
        scene.time(3): NotReady(NotReadyCause.CLOCK_SKEW, scene.time(3), "1.4 s ahead of the exchange"),
        scene.time(5): Ready(NotReadyCause.CLOCK_SKEW, scene.time(5)),
    }
    engine = await program.start(replace(scene, runner=taking(told)))
    assert await program.judged(scene, Wish(OTHER, 4)) == (
        Verdict.NOT_READY, "clock skew: 1.4 s ahead of the exchange"
    )  # fmt: skip
    assert (await program.judged(scene, Wish(OTHER, 7)))[0] == Verdict.ACCEPTED
    (trade,) = await PostgresBookReader(program.database).trades(BOOK, limit=10)
    assert trade["exit_reason"] == "stop"
    assert not engine.risk.memory.not_ready


async def test_cause_that_is_not_ready_is_remembered_over_a_restart(program: Program) -> None:
    scene = Scene(NOTHING, {MARKET: FLAT}, [Wish(MARKET, 6)])
    told = {scene.time(2): NotReady(NotReadyCause.KEY_ALARM, scene.time(2), "the key may withdraw")}
    await program.start(replace(scene, runner=taking(told)), bars=4)
    await program.start(scene)
    assert (await program.judged(scene, Wish(MARKET, 6)))[0] == Verdict.NOT_READY


@pytest.mark.parametrize(("bar", "verdict"), [(8, Verdict.STALE_CANDLES), (9, Verdict.ACCEPTED)])
async def test_candle_that_was_missed_is_acted_on_only_while_it_is_fresh(
    bar: int, verdict: Verdict, program: Program
) -> None:
    """The exchange plays on until the end of bar 11; that a pair still rests is found out before the candles."""
    scene = Scene(
        AccountLimits(candle_age=2), dict.fromkeys((MARKET, OTHER), [100.0] * 14), [Wish(MARKET, 1), Wish(OTHER, bar)]
    )
    await program.start(scene, bars=6)
    store = PostgresVenueStore(program.database)
    away = SimulatedExchange(scene.tape(12), {"USD": CASH}, store=store, venue=scene.book)
    async for _ in away.events():
        pass
    await program.start(scene)
    found = await program.judged(scene, Wish(OTHER, bar))
    # What passes is too late for the next open all the same, and the exchange says so.
    assert found[0] == (verdict if verdict is Verdict.STALE_CANDLES else Verdict.NEXT_BAR_MISSING)


# --- several wallets


def wallets(limits: WalletLimits, last: float) -> tuple[Scene, Scene]:
    """The first one buys at 2, the second one would buy at 6, when the first one's market stands at ``last``."""
    shared = Wallets(limits)
    one = Scene(NOTHING, {MARKET: [*[100.0] * 5, *[last] * 5]}, [Wish(MARKET, 2, stop=80)], book="one", wallets=shared)
    two = Scene(NOTHING, {OTHER: [100.0] * 10}, [Wish(OTHER, 6)], book="two", wallets=shared)
    return one, two


@pytest.mark.parametrize(
    ("limits", "last", "verdict"),
    [
        # The first one is cut to 2,300 of 20,000: 21,894 lots at 105.05. At 106 they are worth 2,320.8, more than
        # 11.5 % of 20,128.8; at 104 32 are left of 2,309.8.
        (WalletLimits(total_ppm=115_000), 106, Verdict.WALLETS_LIMIT),
        (WalletLimits(total_ppm=115_000), 104, Verdict.ACCEPTED),
        # 227.88 of 20,000 are lost.
        (WalletLimits(daily_loss_ppm=11_394), 91, Verdict.WALLETS_DAILY_LOSS),
        (WalletLimits(daily_loss_ppm=11_395), 91, Verdict.ACCEPTED),
    ],
)
async def test_wallets_together_reach_a_limit_that_each_of_them_keeps(
    limits: WalletLimits, last: float, verdict: Verdict, program: Program
) -> None:
    one, two = wallets(limits, last)
    await program.start(two, bars=2)
    await program.start(one)
    await program.start(two)
    assert (await program.judged(one, Wish(MARKET, 2)))[0] == Verdict.ACCEPTED
    assert (await program.judged(two, Wish(OTHER, 6)))[0] == verdict


async def test_wallets_after_a_restart_wait_for_each_other_and_then_know_what_all_of_them_hold(
    program: Program,
) -> None:
    limits = WalletLimits(total_ppm=115_000)
    one, two = wallets(limits, 106)
    await program.start(two, bars=2)
    await program.start(one)
    one, two = wallets(limits, 106)
    # The first one has joined and has not got its memory back.
    one.engine()
    early = replace(two, wishes=[Wish(OTHER, 4)])
    await program.start(early, bars=5)
    told = (Verdict.NOT_READY, "wallets that are not loaded yet: one")
    assert await program.judged(early, Wish(OTHER, 4)) == told
    await program.start(one)
    await program.start(two)
    assert (await program.judged(two, Wish(OTHER, 6)))[0] == Verdict.WALLETS_LIMIT


async def test_wallets_that_trade_against_different_currencies_are_refused() -> None:
    one, _ = wallets(WalletLimits(total_ppm=1), 100)
    one.engine()
    assert one.wallets is not None
    with pytest.raises(ConfigurationError, match="against EUR, other wallets against USD"):
        one.wallets.join("three", ["EUR"], one.engine().wallet)


async def test_use_of_the_limits_read_from_the_database_is_what_the_engine_decides_by(program: Program) -> None:
    """Two positions and an entry on its way, whose markets moved apart for long enough to be known."""
    rule = CorrelationRule(cluster_ppm=500_000, heat_ppm=200_000, timeframe=Timeframe.M5, bars=25, least=20)
    limits = AccountLimits(symbol_ppm=500_000, total_ppm=900_000, positions=5, daily_loss_ppm=50_000, correlation=rule)
    prices = {MARKET: wiggle(1), OTHER: wiggle(2)}
    scene = Scene(limits, prices, [Wish(MARKET, 26), Wish(OTHER, 27), Wish(MARKET, 30, strategy=1)])
    engine = await program.start(scene, bars=31)
    remembered = await PostgresJournal(program.database).recover(BOOK)
    assert remembered is not None
    memory, now = engine.risk.memory, scene.time(30)
    found = await limits_in_use(PostgresCandleStore(program.database), remembered[1], memory, limits, now)
    held = exposures(engine.portfolio, engine.execution.state.entries.values())
    assert len(held) == 3
    assert found == limit_usage(limits, held, engine.portfolio.equity, memory, engine.correlations, now)
    assert found is not None
    assert {one.about for one in found if one.limit == "max_cluster"} == {"replay:ABC/USD", "replay:XYZ/USD"}
    assert all(0 < one.share < 1 for one in found if one.limit.startswith("max_"))
