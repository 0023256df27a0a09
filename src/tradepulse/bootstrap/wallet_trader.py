"""One wallet trading, with real money or on paper: from its key and its exchange to the engine, life after life."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from tradepulse.bootstrap.application import Application, risk_limits
from tradepulse.bootstrap.desk import Desk, open_desk, versions_in_force
from tradepulse.bootstrap.exchange_access import (
    ExchangeAccess,
    Outside,
    base_series,
    open_access,
    open_paper_access,
)
from tradepulse.bootstrap.heartbeat import Heartbeats
from tradepulse.bootstrap.prior import EarnedPrior, Heard, open_prior, verdicts_in_force
from tradepulse.bootstrap.readiness import ExchangeWatch, KeyWatch, Readiness, Reconciler
from tradepulse.bootstrap.reliability import ReliabilityAdviser, write_moves
from tradepulse.bootstrap.tasks import until_one_ends
from tradepulse.bootstrap.training import trained_assets
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus, Observer
from tradepulse.core.runner import Runner
from tradepulse.core.wallets import Wallets
from tradepulse.domain.events import TimePassed
from tradepulse.domain.market import SeriesKey
from tradepulse.domain.risk import NotReadyCause
from tradepulse.domain.signals import Regime
from tradepulse.domain.trading_state import TradingState
from tradepulse.domain.training import Combination, Stage
from tradepulse.domain.wallets import Wallet, WalletMode
from tradepulse.policy.reliability_engine import AUTHOR, ReliabilityEngine
from tradepulse.ports import Clock
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError
from tradepulse.storage.db import BookHold, held_alone
from tradepulse.storage.exchange_keys import ExchangeKeys
from tradepulse.storage.inbox import PatientInbox
from tradepulse.storage.lasting_journal import LastingJournal
from tradepulse.storage.step_file import StepFile

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LOOKS = 2.0
TICK_SECONDS = 1.0
HISTORY_PAGE = 300
"""Candles; no exchange gives fewer at once."""
Told = Callable[[Wallet, TradingState], None]
Halted = Callable[[Wallet, str], None]


def nobody_is_told(_: Wallet, __: str) -> None:
    """Where nobody but the log is told that a wallet was halted."""


@dataclass(frozen=True, slots=True)
class WalletDesk:
    """What all wallets of the process share: stores, keys, limits, the world outside, and who is told."""

    app: Application
    keys: ExchangeKeys
    outside: Outside
    shared: Wallets | None
    observers: Sequence[Observer]
    told: Told
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    halted: Halted = nobody_is_told


async def trade_wallet(desk: WalletDesk, wallet: Wallet) -> None:
    """One life, from a connection to its end: cancelled, broken, or because other configurations are in force now.

    Nobody else trades its book meanwhile. What a life leaves behind the next one finds: on the exchange and in the
    database.
    """
    app = desk.app
    try:
        async with held_alone(app.database, wallet.book) as hold, await _access(desk, wallet) as access:
            await _Life(desk, wallet, access, hold).live()
    finally:
        desk.heartbeats.ended(wallet.book)


async def _access(desk: WalletDesk, wallet: Wallet) -> AbstractAsyncContextManager[ExchangeAccess]:
    """The one place that decides what stands behind a wallet."""
    settings = desk.app.settings
    budgets = settings.data_directory / "budgets"
    if wallet.mode is WalletMode.PAPER:
        return open_paper_access(wallet, desk.outside, budgets, desk.app.venues, settings.trading.initial_cash)
    await _refuse_without_good_key(desk, wallet)
    return open_access(wallet, await desk.keys.credentials(wallet.name), desk.outside, budgets)


async def _refuse_without_good_key(desk: WalletDesk, wallet: Wallet) -> None:
    """Nothing is begun with a key that may enter nothing. Positions that are there are looked after all the same."""
    state = await desk.keys.state(wallet.name)
    if state is None:
        raise ConfigurationError(
            f"The wallet '{wallet.name}' has no stored key.", f"Store one: tradepulse keys add --wallet {wallet.name}"
        )
    refused = state.entries_refused(desk.app.clock.now())
    if refused is not None and not await desk.app.reader.positions(wallet.book):
        raise RefusedError(
            f"Nothing is traded: {refused}.", "Store another key, or accept this one with keys add --accept-unverified."
        )


class _Life:
    def __init__(self, desk: WalletDesk, wallet: Wallet, access: ExchangeAccess, hold: BookHold) -> None:
        self._desk = desk
        self._app = desk.app
        self._wallet = wallet
        self._access = access
        self._series = tuple(dict.fromkeys(one.series for one in wallet.assignments))
        self._assignments = frozenset(wallet.assignments)
        self._on_paper = wallet.mode is WalletMode.PAPER
        self._readiness = Readiness(access.clock)
        file = StepFile(desk.app.settings.data_directory / "steps" / f"{wallet.book}.jsonl")
        self._journal = LastingJournal(desk.app.journal, file, hold.renew, self._database_told)
        self._fetched_beside: list[tuple[SeriesKey, int, int]] = []
        self._bus = EventBus()
        for observer in desk.observers:
            self._bus.subscribe(observer)

    async def live(self) -> None:
        app, access, sleep = self._app, self._access, self._desk.outside.sleep
        desk = await self._open_desk()
        self._tell(desk)
        heard = await verdicts_in_force(app, self._series)
        engine = self._engine(desk, await open_prior(app, self._series))
        await self._store_history(engine)
        # Live confirmation cannot be earned on paper.
        highest = Stage.CONFIRMATION if self._on_paper else Stage.MATURE
        adviser = ReliabilityAdviser(ReliabilityEngine(desk.watched, highest=highest), access.markets)
        self._readiness.tell(NotReadyCause.RECONCILING, "the account has not been compared yet")
        watch = ExchangeWatch(access, engine, self._readiness, sleep)
        keys = KeyWatch(self._key_refused, self._readiness, sleep)
        reconciler = Reconciler(access, engine, self._readiness, sleep)
        watch.look()
        await keys.look()
        changed = asyncio.Event()
        runner = Runner(
            engine,
            access.feed,
            access.gateway,
            self._journal,
            access.clock,
            app.candles,
            self._bus,
            advisers=[adviser],
            ticks=_ticks(access.clock, partial(self._desk.heartbeats.beat, self._wallet.book)),
            inbox=PatientInbox(app.inbox),
            watch=self._readiness.inputs(),
            opening=self._readiness.opening,
            watch_prices=access.watch_prices,
        )
        await runner.recover(await self._first_cash(engine))
        await until_one_ends(
            runner.trade(changed.is_set),
            self._journal.keep(),
            watch.run(),
            keys.run(),
            reconciler.run(),
            write_moves(app.configurations, app.clock, adviser, self._ask_for_training),
            self._look_for_changes(adviser, heard, changed),
            self._fetch_beside(),
        )

    async def _open_desk(self) -> Desk:
        return await open_desk(self._app, self._series, self._assignments, defaults_allowed=self._on_paper)

    def _database_told(self, problem: str) -> None:
        self._readiness.tell(NotReadyCause.DATABASE, problem)

    def _engine(self, desk: Desk, prior: EarnedPrior | None) -> Engine:
        wallet, access = self._wallet, self._access
        config = EngineConfig(
            wallet.book,
            risk_limits(self._app.settings.trading),
            account=wallet.limits,
            modes=access.modes,
            patience=access.patience,
        )
        bases = {one.market: one.timeframe for one in base_series(wallet)}
        return Engine(config, access.markets, bases, desk.subscriptions, self._series, self._desk.shared, prior)

    async def _first_cash(self, engine: Engine) -> Decimal:
        """A book begins with the money that its account has; later it goes by its own reckoning."""
        if await self._journal.recover(engine.config.book) is not None:
            return Decimal(0)
        account = await self._access.account()
        cash = account.totals.get(self._wallet.base_currency, Decimal(0))
        if not cash:
            raise ConfigurationError(
                f"The account of wallet '{self._wallet.name}' has no {self._wallet.base_currency}.",
                "Deposit some, or set the wallet's base_currency to what it has.",
            )
        return cash

    async def _store_history(self, engine: Engine) -> None:
        """What the windows need and the store lacks.

        A book that has begun goes on with what the store has, and catches up with what closed since: nobody looks after
        its positions before. What lies further back is fetched beside.
        """
        now, begun = self._access.clock.now(), await self._journal.recover(engine.config.book) is not None
        for series in engine.data.base_series():
            await self._store_market(series)
            wanted, step = engine.history_needed(series), series.timeframe.milliseconds
            since = series.timeframe.open_time_of(now) - wanted * step
            stored = await self._app.candles.tail(series, wanted)
            missing = (series, since, int(stored.open_time[0]) if len(stored) else now)
            if begun:
                self._fetched_beside.append(missing)
                continue
            await self._fetch_older(*missing)
            if len(stored):
                await self._fetch(series, max(since, int(stored.open_time[-1]) + step), now)

    async def _fetch_beside(self) -> None:
        """For the next life; this one has its windows already."""
        for missing in self._fetched_beside:
            with suppress(TransientError):
                await self._fetch_older(*missing)
        await asyncio.Event().wait()

    async def _fetch_older(self, series: SeriesKey, since: int, until: int) -> None:
        """Backwards, until the exchange has no more: what it does not keep is not asked for again at every start."""
        span = HISTORY_PAGE * series.timeframe.milliseconds
        while since < until:
            begin = max(since, until - span)
            if not await self._fetch(series, begin, until):
                return
            until = begin

    async def _fetch(self, series: SeriesKey, since: int, until: int) -> int:
        """How many candles there were."""
        if since >= until:
            return 0
        found = await self._access.feed.history(series, since, until)
        if len(found):
            written = await self._app.candles.write(series, found)
            logger.info("Stored %s candles of %s from the exchange", written.inserted, series)
        return len(found)

    async def _store_market(self, series: SeriesKey) -> None:
        """By the rules that orders are made by now. A finer tick, by which older candles are whole, is kept."""
        spec, stored = self._access.markets[series.market], await self._app.candles.read_market(series.market)
        if stored is not None and stored.tick_size < spec.tick_size:
            spec = replace(spec, tick_size=stored.tick_size, lot_size=stored.lot_size, source=stored.source)
        await self._app.candles.write_market(spec)

    async def _key_refused(self) -> str | None:
        if self._on_paper:
            return None
        state = await self._desk.keys.state(self._wallet.name)
        if state is None:
            return f"the wallet '{self._wallet.name}' has no stored key any more"
        return state.entries_refused(self._app.clock.now())

    async def _look_for_changes(self, adviser: ReliabilityAdviser, heard: Heard, changed: asyncio.Event) -> None:
        """Our own moves change sizes and are told; what others decide, a fallback, or another verdict about the prior,
        asks for a new life."""
        known = adviser.engine.versions()
        while not changed.is_set():
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await adviser.moves.join()
            with suppress(TransientError):
                found = await versions_in_force(self._app, self._series, self._assignments)
                # A trade may have closed while we read.
                others = adviser.moves.empty() and found != adviser.engine.versions()
                if others or heard != await verdicts_in_force(self._app, self._series):
                    changed.set()
                elif found != known:
                    known = found
                    self._tell(await self._open_desk())

    async def _ask_for_training(self, combination: Combination, reason: str) -> None:
        series, training = combination.series, self._app.settings.training
        job_id = await trained_assets(self._app).start_training(
            [series.symbol],
            [series.exchange],
            [combination.strategy],
            [str(regime) for regime in Regime],
            [str(series.timeframe)],
            points=training.points,
            seed=training.seed,
            by=AUTHOR,
        )
        logger.warning("Training job %s waits for a worker because of %s: %s", job_id, combination, reason)

    def _tell(self, desk: Desk) -> None:
        self._desk.told(self._wallet, desk.state)


async def _ticks(clock: Clock, taken: Callable[[], None]) -> AsyncIterator[TimePassed]:
    """``taken`` is called when the engine has taken one: nothing is asked for before."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        yield TimePassed(clock.now())
        taken()
