"""What keeps entries away, from what is watched to the word for the engine."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from tradepulse.bootstrap.exchange_access import ExchangeAccess
from tradepulse.bootstrap.readiness import LOOKS_IN_VAIN, ExchangeWatch, KeyWatch, Readiness, Reconciler
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.commands import CancelOrder, Command
from tradepulse.domain.events import EngineInput, OrderEnded, OrderEvent
from tradepulse.domain.market import Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.orders import AccountView, ProtectionMode, RestingOrder
from tradepulse.domain.risk import NotReady, NotReadyCause, Ready
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import TransientError

NOW = 1_767_225_600_000
BTC, ETH = MarketKey("binance", "BTC/USDT"), MarketKey("binance", "ETH/USDT")
ORPHAN = "abcdefghijklmne000"


def spec(market: MarketKey) -> MarketSpec:
    return MarketSpec(
        market,
        market.symbol[:3],
        "USDT",
        MarketKind.SPOT,
        Decimal("0.01"),
        Decimal("0.00001"),
        Decimal(5),
        1000,
        1000,
        0,
    )


@dataclass
class Venue:
    """An exchange as its access shows it, set by the test."""

    totals: dict[str, Decimal] = field(default_factory=lambda: {"USDT": Decimal(1000)})
    resting: tuple[RestingOrder, ...] = ()
    silent: int = 0
    skew: int = 0
    obstacles: dict[MarketKey, str] = field(default_factory=dict)
    executed: list[Command] = field(default_factory=list)
    silence: bool = False

    def events(self) -> object:
        raise AssertionError("nobody listens here")

    async def history(self, series: SeriesKey, since: int, until: int) -> Candles:
        return Candles.empty()

    async def execute(self, command: Command) -> Sequence[OrderEvent]:
        self.executed.append(command)
        assert isinstance(command, CancelOrder)
        return [OrderEnded(command.client_id, None, "cancelled", NOW)]

    async def markets(self) -> dict[MarketKey, MarketSpec]:
        return {market: spec(market) for market in (BTC, ETH)}

    async def account(self) -> AccountView:
        if self.silence:
            raise TransientError("no answer")
        return AccountView("binance", self.totals, self.totals, self.resting, NOW)

    def access(self) -> ExchangeAccess:
        return ExchangeAccess(
            feed=self,  # type: ignore[arg-type]
            gateway=self,  # type: ignore[arg-type]
            clock=ManualClock(NOW),
            markets={market: spec(market) for market in (BTC, ETH)},
            modes=dict.fromkeys((BTC, ETH), ProtectionMode.NATIVE),
            account=self.account,
            watch_prices=lambda _: None,
            silent_for=lambda _: self.silent,
            obstacle=lambda market: self.obstacles.get(market, ""),
            skew_ms=lambda: self.skew,
        )


def engine() -> Engine:
    bases = dict.fromkeys((BTC, ETH), Timeframe.M1)
    series = [SeriesKey(one.exchange, one.symbol, Timeframe.M1) for one in bases]
    made = Engine(
        EngineConfig("book", RiskLimits(10_000, 250_000, 0.5)), {one: spec(one) for one in bases}, bases, [], series
    )
    made.begin(Decimal(1000), NOW)
    return made


async def heard(readiness: Readiness) -> list[EngineInput]:
    """What waits to be told."""
    told: list[EngineInput] = []
    stream = readiness.inputs()
    with suppress(TimeoutError):
        while True:
            told.append(await asyncio.wait_for(anext(stream), 0.01))
    return told


async def test_readiness_when_it_opens_then_every_cause_is_told_of_and_changes_once() -> None:
    readiness = Readiness(ManualClock(NOW))
    readiness.tell(NotReadyCause.RECONCILING, "not yet")
    opening = readiness.opening()
    assert {one.cause for one in opening if isinstance(one, Ready)} == set(NotReadyCause) - {NotReadyCause.RECONCILING}
    assert [one.cause for one in opening if isinstance(one, NotReady)] == [NotReadyCause.RECONCILING]
    for reason in ("still not", "", "", "again"):
        readiness.tell(NotReadyCause.RECONCILING, reason)
    assert [type(one) for one in await heard(readiness)] == [Ready, NotReady]


@pytest.mark.parametrize(
    ("wrong", "right", "cause"),
    [
        ({"silent": 121_000}, {"silent": 119_000}, NotReadyCause.FEED_STALE),
        ({"skew": -1_001}, {"skew": -1_000}, NotReadyCause.CLOCK_SKEW),
        ({"obstacles": {BTC: "halted", ETH: "halted"}}, {"obstacles": {BTC: "halted"}}, NotReadyCause.MAINTENANCE),
    ],
)
async def test_exchange_when_something_is_wrong_then_not_ready_until_it_is_right(
    wrong: dict[str, object], right: dict[str, object], cause: NotReadyCause
) -> None:
    venue, readiness = Venue(**wrong), Readiness(ManualClock(NOW))  # type: ignore[arg-type]
    watch = ExchangeWatch(venue.access(), engine(), readiness, asyncio.sleep)
    watch.look()
    assert list(readiness.lacking) == [cause]
    for name, value in right.items():
        setattr(venue, name, value)
    watch.look()
    assert [type(one) for one in await heard(readiness)] == [NotReady, Ready]


async def test_key_when_refused_then_alarm_and_silence_of_the_database_changes_nothing() -> None:
    answers: list[str | TransientError | None] = ["it may withdraw", TransientError("away"), None]
    readiness = Readiness(ManualClock(NOW))

    async def refused() -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, TransientError):
            raise answer
        return answer

    watch, lacking = KeyWatch(refused, readiness, asyncio.sleep), []
    for _ in range(3):
        await watch.look()
        lacking.append(dict(readiness.lacking))
    alarm = {NotReadyCause.KEY_ALARM: "it may withdraw"}
    assert lacking == [alarm, alarm, {}]


def reconciling(venue: Venue) -> tuple[Reconciler, Readiness]:
    readiness = Readiness(ManualClock(NOW))
    readiness.tell(NotReadyCause.RECONCILING, "not yet")
    return Reconciler(venue.access(), engine(), readiness, asyncio.sleep), readiness


async def test_books_when_they_agree_then_entries_begin_at_the_first_look() -> None:
    reconciler, readiness = reconciling(Venue())
    assert await reconciler.look()
    assert readiness.lacking == {}


async def test_books_when_money_is_missing_twice_then_no_entries_until_it_is_back() -> None:
    venue = Venue()
    reconciler, readiness = reconciling(venue)
    await reconciler.look()
    venue.totals = {"USDT": Decimal(900)}
    assert not await reconciler.look()
    assert readiness.lacking == {}, "a single look may have come between a fill and its word"
    assert await reconciler.look()
    assert "900 is held where the book says 1000" in readiness.lacking[NotReadyCause.RECONCILING]
    venue.totals = {"USDT": Decimal(996)}
    assert await reconciler.look()
    assert readiness.lacking == {}, "what no order could trade is no difference"


async def test_books_when_an_order_without_a_trade_rests_then_cancelled_and_the_engine_hears_of_it() -> None:
    venue = Venue(resting=(RestingOrder(BTC, "7", ORPHAN, buys=False, quantity=Decimal(1)),))
    reconciler, readiness = reconciling(venue)
    await reconciler.look()
    assert venue.executed == []
    await reconciler.look()
    assert venue.executed == [CancelOrder(ORPHAN, BTC)]
    assert any(isinstance(event, OrderEnded) for event in await heard(readiness))
    assert readiness.lacking == {}


async def test_books_when_the_account_cannot_be_read_for_long_then_no_entries() -> None:
    venue = Venue()
    reconciler, readiness = reconciling(venue)
    await reconciler.look()
    venue.silence = True
    for _ in range(LOOKS_IN_VAIN):
        assert readiness.lacking == {}
        assert not await reconciler.look()
    assert NotReadyCause.RECONCILING in readiness.lacking
    venue.silence = False
    await reconciler.look()
    assert readiness.lacking == {}
