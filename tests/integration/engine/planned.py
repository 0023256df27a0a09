"""Setups where a test wants them, candles of given closes, and a trader that may be killed at any write."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tests.integration.engine.scripted import CASH, START, ScriptedStrategy, spec
from tests.integration.engine.test_recovery import Fuse, FusedJournal, FusedVenueStore, Killed

from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.setup_prior import SetupPrior
from tradepulse.core.signal_library import Subscription
from tradepulse.core.wallets import Wallets
from tradepulse.domain.events import (
    CandleClosed,
    DrawdownWarned,
    EngineEvent,
    EngineInput,
    EntriesLocked,
    PositionClosed,
    RequestAnswered,
    RiskStateChanged,
    SetupDropped,
    SetupEvaluated,
    TradingDayBegan,
)
from tradepulse.domain.inbox import Request
from tradepulse.domain.market import Candles, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.risk import AccountLimits, NotReady, Ready
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.storage.in_memory import InMemoryCommandInbox
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters

# A quarter of the equity is what binds: a stop at 90 for an entry at 100 would allow almost all of it.
LIMITS = RiskLimits(risk_ppm=100_000, max_position_ppm=250_000, min_confluence=0.1)
BOOK = "book"
TOLD = (
    SetupEvaluated, SetupDropped, PositionClosed, RiskStateChanged, EntriesLocked, TradingDayBegan, DrawdownWarned,
    RequestAnswered, NotReady, Ready,
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """A setup on the candle of this number; ``stop`` says which way it points (candles close around 100)."""

    market: MarketKey
    bar: int
    stop: float = 90.0
    strategy: int = 0


class PlannedStrategy(ScriptedStrategy):
    def __init__(self, times: Mapping[tuple[MarketKey, int], float]) -> None:
        self._times = times

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        rows = []
        for bar in range(first, len(history)):
            stop = self._times.get((history.series.market, int(history.candles.open_time[bar])))
            if stop is not None:
                rows.append((bar, 1 if stop < history.candles.close[bar] else -1, stop))
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        bars, nothing = table[:, 0].astype(np.int64), np.full(len(table), np.nan)
        return Found(bars, table[:, 1].astype(np.int64), table[:, 2], nothing, np.full((len(table), 1), 7.0), bars)


class SecondStrategy(PlannedStrategy):
    strategy_id = "second"


STRATEGIES = (PlannedStrategy, SecondStrategy)


def closes(prices: Sequence[float], step: int) -> Candles:
    """Each candle opens where the last one closed."""
    close = np.array(prices, dtype=np.float64)
    opened = np.concatenate((close[:1], close[:-1]))
    times = START + step * np.arange(len(close), dtype=np.int64)
    return Candles(times, opened, np.maximum(opened, close), np.minimum(opened, close), close, np.ones(len(close)))


@dataclass(frozen=True)
class Scene:
    """Markets with the closes of their candles, what is wished for, and what the account allows."""

    account: AccountLimits
    prices: Mapping[MarketKey, Sequence[float]]
    wishes: Sequence[Wish]
    timeframe: Timeframe = Timeframe.M5
    kind: MarketKind = MarketKind.SPOT
    max_bars: int = 400
    runner: type[Runner] = field(default=Runner)
    requests: Mapping[int, Sequence[Request]] = field(default_factory=dict)
    """Posted by other processes while the candles of this close time arrive."""
    book: str = BOOK
    wallets: Wallets | None = None
    prior: SetupPrior | None = None

    def tape(self, bars: int | None = None) -> StoredTape:
        specs = {market: spec(self.kind, market) for market in self.prices}
        step = self.timeframe.milliseconds
        candles = {market: closes(prices, step)[:bars] for market, prices in self.prices.items()}
        return StoredTape(self.timeframe, specs, candles)

    def time(self, bar: int) -> int:
        """When the candle of this number closes."""
        return START + (bar + 1) * self.timeframe.milliseconds

    def engine(self) -> Engine:
        tape = self.tape()
        subscriptions = [
            Subscription(strategy, strategy.parameters(max_bars_in_trade=self.max_bars), self._series(market))
            for market in self.prices
            for strategy in self._strategies()
        ]
        config = EngineConfig(self.book, LIMITS, account=self.account, patience=WORD_IS_FINAL)
        bases = dict.fromkeys(tape.specs, self.timeframe)
        return Engine(config, tape.specs, bases, subscriptions, wallets=self.wallets, prior=self.prior)

    def _series(self, market: MarketKey) -> SeriesKey:
        return SeriesKey(market.exchange, market.symbol, self.timeframe)

    def _strategies(self) -> list[PlannedStrategy]:
        step = self.timeframe.milliseconds
        return [
            strategy({(w.market, START + w.bar * step): w.stop for w in self.wishes if w.strategy == number})
            for number, strategy in enumerate(STRATEGIES)
        ]


class Life:
    """One book on one scene, over as many starts as it takes; journal and exchange outlive each of them."""

    def __init__(self, scene: Scene, kills: Sequence[int] = ()) -> None:
        self.scene = scene
        self.fuse = Fuse(kills)
        self.journal = FusedJournal(self.fuse)
        self.store = FusedVenueStore(self.fuse, self.journal)
        self.inbox = FusedInbox(self.fuse)
        self.engine = scene.engine()

    async def start(self, *, bars: int | None = None, remembers_candles: bool = True) -> None:
        """Run to the end of the tape, of which only so many bars are there."""
        exchange = self.venue(bars)
        self.engine = self.scene.engine()
        await exchange.recover()
        candles = self.journal if remembers_candles else None
        if self.scene.requests:
            asking = type("Asked", (AskedInBetween, self.scene.runner), {"requests": self.scene.requests})
            await asking(self.engine, exchange, exchange, self.journal, exchange.clock, candles, inbox=self.inbox).run(
                CASH
            )
            return
        runner = self.scene.runner(self.engine, exchange, exchange, self.journal, exchange.clock, candles)
        await runner.run(CASH)

    async def live(self) -> "Life":
        while True:
            try:
                await self.start()
            except Killed:
                continue
            return self

    def venue(self, bars: int | None = None) -> SimulatedExchange:
        return SimulatedExchange(self.scene.tape(bars), {"USD": CASH}, store=self.store, venue=BOOK)

    @property
    def told(self) -> list[EngineEvent]:
        return [event for event in self.journal.told if isinstance(event, TOLD)]

    def verdicts(self) -> dict[tuple[str, int], list[Verdict]]:
        """By symbol and number of the candle, in the order of judgement."""
        found: dict[tuple[str, int], list[Verdict]] = {}
        for event in self.told:
            if isinstance(event, SetupEvaluated):
                bar = (event.setup.bar_time - START) // self.scene.timeframe.milliseconds
                found.setdefault((event.setup.series.symbol, bar), []).append(event.verdict)
        return found


async def lived(scene: Scene, every: int = 3) -> Life:
    """Without a kill; and a kill before or after a write, every third by default, tells, judges and trades the same."""
    undisturbed = await Life(scene).live()
    for moment in range(1, undisturbed.fuse.ticks + 1, every):
        again = await Life(scene, [moment]).live()
        assert again.told == undisturbed.told, f"killed at write {moment}"
        assert again.engine.risk.memory == undisturbed.engine.risk.memory, f"killed at write {moment}"
    return undisturbed


class FusedInbox(InMemoryCommandInbox):
    def __init__(self, fuse: Fuse) -> None:
        numbers = itertools.count(1)
        super().__init__(lambda: f"request {next(numbers)}")
        self._fuse = fuse

    async def take(self, book: str) -> Request | None:
        if self._first(book) is None:
            return None
        taken: list[Request | None] = []

        async def write() -> None:
            taken.append(await super(FusedInbox, self).take(book))

        await self._fuse.around(write)
        return taken[0]

    async def finish(self, request_id: str, *, done: bool, outcome: str, time: int) -> None:
        async def write() -> None:
            await super(FusedInbox, self).finish(request_id, done=done, outcome=outcome, time=time)

        await self._fuse.around(write)


class AskedInBetween(Runner):
    """Requests arrive before the candle is written down, so that a kill cannot lose them with the one who asks."""

    requests: Mapping[int, Sequence[Request]] = {}

    async def take(self, event: EngineInput) -> None:
        asked = self.requests.get(event.close_time, ()) if isinstance(event, CandleClosed) else ()
        assert self._inbox is not None
        for request in asked:
            await self._inbox.post(request)
        await super().take(event)
        # As long as another process needs to be heard.
        for _ in range(5 if asked else 0):
            await asyncio.sleep(0)


class TakesOrders(Runner):
    """Takes a person's orders right after the first market's candle of a given close time."""

    orders: Mapping[int, EngineInput] = {}

    async def take(self, event: EngineInput) -> None:
        await super().take(event)
        if isinstance(event, CandleClosed) and event.close_time in self.orders:
            await super().take(self.orders[event.close_time])


def taking(orders: Mapping[int, EngineInput]) -> type[Runner]:
    return type("TakesTheseOrders", (TakesOrders,), {"orders": orders})
