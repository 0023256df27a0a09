"""Paper trading on the simulated exchange: history, training, then the engine, paced by the simulated clock."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from tradepulse.bootstrap.application import Application, account_limits, risk_limits, stop_rules
from tradepulse.bootstrap.backtests import code_version
from tradepulse.bootstrap.desk import Desk, covering_job, open_desk, versions_in_force
from tradepulse.bootstrap.prior import EarnedPrior, Heard, open_prior, verdicts_in_force
from tradepulse.bootstrap.reliability import ReliabilityAdviser, write_moves
from tradepulse.bootstrap.tasks import end_all
from tradepulse.bootstrap.training import cancel_training, run_training, trained_assets
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus, Observer
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.runner import Runner
from tradepulse.domain.events import DrawdownWarned, EngineEvent, EntriesLocked, RequestAnswered, RiskStateChanged
from tradepulse.domain.market import DAY, MINUTE, TRADED_TIMEFRAMES, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.risk import NotReady, Ready
from tradepulse.domain.signals import Regime
from tradepulse.domain.trading_state import Phase, TradingState
from tradepulse.domain.training import Combination, JobState, Stage, TrainingJob
from tradepulse.exchanges.simulated_exchange import SimulatedExchange, paced
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.policy.reliability_engine import AUTHOR, ReliabilityEngine
from tradepulse.policy.training_job import TrainingProgress
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.settings import Settings
from tradepulse.storage.db import held_alone
from tradepulse.strategies import STRATEGIES

logger = logging.getLogger(__name__)

# Monday 2024-01-01 00:00 UTC. Fixed, so that the same seed gives the same market on every machine.
GENESIS = 1_704_067_200_000
SIMULATED = "simulated"
MAIN_JOB = "the main job"
SECONDS_BETWEEN_LOOKS = 2.0
UNFINISHED = tuple(state for state in JobState if not state.ended)
Sleep = Callable[[float], Awaitable[None]]
Told = Callable[[TradingState], None]


def paper_book(app: Application) -> str:
    return f"paper-{SIMULATED}-{app.settings.simulated.seed}"


def tell_nobody(_: TradingState) -> None:
    """For callers that do not look."""


async def run_paper(
    app: Application,
    *observers: Observer,
    sleep: Sleep = asyncio.sleep,
    told: Told = tell_nobody,
    train: bool | None = None,
) -> None:
    """Train where nothing was trained yet, then trade on paper until cancelled, going on from the stored state.

    ``train``: ``True`` trains again, ``False`` never. ``told`` hears what the trader is doing. The simulated exchange
    keeps its own book beside ours, as a real one would; at start-up ours is reconciled with it.
    """
    refuse_other_exchanges(app.settings)
    async with held_alone(app.database, paper_book(app)):
        await _PaperTrader(app, observers, sleep, told).work(train)


class _PaperTrader:
    def __init__(self, app: Application, observers: Iterable[Observer], sleep: Sleep, told: Told) -> None:
        self._app = app
        self._told = told
        self._market = _simulated_market(app)
        self._start = _end_of_history(app)
        self._series = _traded_series(app, self._market)
        self._exchange = self._venue(sleep)
        self._problems: dict[str, str] = {}
        """Why training that is ours came to nothing, by job or by who asked for it."""
        self._bus = EventBus()
        self._bus.subscribe(_log_risk)
        for observer in observers:
            self._bus.subscribe(observer)

    async def work(self, train: bool | None) -> None:
        await store_simulated_history(self._app)
        renewed = await self._renew_jobs_of_other_code({AUTHOR} if train is False else {AUTHOR, MAIN_JOB})
        if train is not False:
            await self._train(again=bool(train) or renewed)
        await self._exchange.recover()
        while True:
            desk = await open_desk(self._app, self._series)
            self._tell_desk(desk)
            heard = await verdicts_in_force(self._app, self._series)
            if not await self._trade(desk, await open_prior(self._app, self._series), heard):
                return

    async def _trade(self, desk: Desk, prior: EarnedPrior | None, heard: Heard) -> bool:
        """Until other configurations, or another verdict about the prior, are in force (``True``), or the market ends.

        The change is taken between two candles and in the way of a restart, which has been proved to change nothing
        else: open positions keep the levels they were opened with.
        """
        # Live confirmation cannot be earned on paper.
        reliability = ReliabilityEngine(desk.watched, highest=Stage.CONFIRMATION)
        adviser = ReliabilityAdviser(reliability, self._market.specs)
        changed = asyncio.Event()
        app, exchange = self._app, self._exchange
        engine = self._engine(desk, prior)
        runner = Runner(
            engine,
            exchange,
            exchange,
            app.journal,
            exchange.clock,
            app.candles,
            self._bus,
            advisers=[adviser],
            inbox=app.inbox,
        )
        beside = [
            asyncio.create_task(write_moves(app.configurations, app.clock, adviser, self._ask_for_training)),
            asyncio.create_task(self._look_for_changes(adviser, heard, changed)),
            asyncio.create_task(self._train_what_decayed()),
        ]
        trading = asyncio.create_task(runner.run(app.settings.trading.initial_cash, changed.is_set))
        try:
            await asyncio.wait({trading, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done():
                    await task
            await trading
        finally:
            await end_all((trading, *beside))
        return changed.is_set()

    async def _look_for_changes(self, adviser: ReliabilityAdviser, heard: Heard, changed: asyncio.Event) -> None:
        """Our own moves change sizes and are told; what others decide, or a fallback, asks for a restart."""
        known = adviser.engine.versions()
        while not changed.is_set():
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            await adviser.moves.join()
            found = await versions_in_force(self._app, self._series)
            # A trade may have closed while we read.
            others = adviser.moves.empty() and found != adviser.engine.versions()
            if others or heard != await verdicts_in_force(self._app, self._series):
                changed.set()
            elif found != known:
                known = found
                self._tell_desk(await open_desk(self._app, self._series))
        await asyncio.Event().wait()

    async def _ask_for_training(self, combination: Combination, reason: str) -> None:
        series = combination.series
        job_id = await self._start_training([combination.strategy], [series.timeframe], AUTHOR)
        logger.warning("Training job %s waits because of %s: %s", job_id, combination, reason)

    async def _train_what_decayed(self) -> None:
        """Beside trading, on one core; what is left unfinished is found again after a restart."""
        while True:
            for job in await self._unfinished({AUTHOR}):
                if job.job_id in self._problems:
                    continue
                try:
                    await run_training(self._app, job.job_id, threads=1)
                except (ConfigurationError, RefusedError) as error:
                    self._note(job.job_id, f"training job {job.job_id} came to nothing: {error}")
                    self._tell_desk(await open_desk(self._app, self._series))
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _renew_jobs_of_other_code(self, asked_by: set[str]) -> bool:
        """Cancel what another version of the program began for us, because results do not mix; ask anew for the rest.

        ``True`` where the main job's own training is to be started anew.
        """
        renewed = False
        for job in await self._unfinished(asked_by):
            if job.code_version == code_version():
                continue
            try:
                await cancel_training(self._app, job.job_id)
                logger.warning("Training job %s of %s is started anew by this version", job.job_id, job.code_version)
                if job.requested_by == AUTHOR:
                    await self._start_training(job.request.strategies, job.request.timeframes, AUTHOR)
                renewed |= job.requested_by == MAIN_JOB
            except (ConfigurationError, RefusedError) as error:
                self._note(job.job_id, f"training job {job.job_id} of another version cannot be started anew: {error}")
        return renewed

    async def _unfinished(self, asked_by: set[str]) -> list[TrainingJob]:
        return [
            job
            for job in await self._app.training.jobs(limit=1000)
            if job.state in UNFINISHED and job.requested_by in asked_by and SIMULATED in job.request.exchanges
        ]

    async def _train(self, *, again: bool) -> None:
        """Work on what an earlier start left unfinished; else train anew where nothing was, or where asked to."""
        app = self._app
        begun = await covering_job(app, self._series, UNFINISHED, code_version())
        if begun is None and not again and await covering_job(app, self._series, (JobState.FINISHED,)):
            return
        try:
            if begun is None:
                timeframes = sorted({one.timeframe for one in self._series}, key=lambda one: one.milliseconds)
                job_id = await self._start_training(list(STRATEGIES), timeframes, MAIN_JOB)
            else:
                job_id = begun.job_id
            self._told(TradingState(Phase.TRAINING, f"Training on the stored history (job {job_id})."))
            await run_training(app, job_id, threads=app.settings.training.threads, progress=self._tell_progress)
        except (ConfigurationError, RefusedError) as error:
            self._note(MAIN_JOB, f"training was not possible: {error}")

    def _note(self, what: str, problem: str) -> None:
        self._problems[what] = problem
        logger.warning("%s", problem)

    def _tell_desk(self, desk: Desk) -> None:
        problems = tuple(self._problems.values())
        said = "".join(f" {problem[0].upper()}{problem[1:]}" for problem in problems)
        state = desk.state
        self._told(replace(state, text=state.text + said, reasons=(*problems, *state.reasons)))

    async def _start_training(self, strategies: Sequence[str], timeframes: Sequence[Timeframe], by: str) -> str:
        training = self._app.settings.training
        return await trained_assets(self._app).start_training(
            sorted({one.symbol for one in self._series}),
            [SIMULATED],
            strategies,
            [str(regime) for regime in Regime],
            [str(timeframe) for timeframe in timeframes],
            points=training.points,
            seed=training.seed,
            by=by,
        )

    def _tell_progress(self, progress: TrainingProgress) -> None:
        text = f"Training: {progress.units_done} of {progress.units} parts done"
        left = f", about {progress.seconds_left:.0f} s left" if progress.seconds_left is not None else ""
        self._told(TradingState(Phase.TRAINING, f"{text}{left}."))

    def _venue(self, sleep: Sleep) -> SimulatedExchange:
        quotes = {spec.quote for spec in self._market.specs.values()}
        if len(quotes) != 1:
            raise ConfigurationError(
                f"The simulated symbols are quoted in {', '.join(sorted(quotes))}.", "Use one quote currency for all."
            )
        return SimulatedExchange(
            self._market,
            {quotes.pop(): self._app.settings.trading.initial_cash},
            start=self._start,
            store=self._app.venues,
            venue=paper_book(self._app),
            pace=paced(self._app.settings.simulated.minutes_per_second, sleep, MINUTE),
        )

    def _engine(self, desk: Desk, prior: EarnedPrior | None) -> Engine:
        bases: dict[MarketKey, Timeframe] = dict.fromkeys(sorted(self._market.specs), Timeframe.M1)
        settings = self._app.settings
        if stop_rules(settings.risk).moves:
            logger.warning("Stops are moved by risk.break_even_at or risk.trail_from; what was judged are fixed ones")
        config = EngineConfig(
            paper_book(self._app),
            risk_limits(settings.trading),
            account=account_limits(settings.risk),
            patience=WORD_IS_FINAL,
        )
        return Engine(config, self._market.specs, bases, desk.subscriptions, self._series, prior=prior)


def _traded_series(app: Application, market: SimulatedMarket) -> tuple[SeriesKey, ...]:
    timeframes = [Timeframe.parse(text) for text in app.settings.simulated.timeframes]
    for timeframe in timeframes:
        if timeframe not in TRADED_TIMEFRAMES:
            raise ConfigurationError(
                f"{timeframe} is a context timeframe.", f"Trade one of: {', '.join(TRADED_TIMEFRAMES)}."
            )
    return tuple(
        SeriesKey(key.exchange, key.symbol, timeframe) for key in sorted(market.specs) for timeframe in timeframes
    )


def _simulated_market(app: Application) -> SimulatedMarket:
    return SimulatedMarket(app.settings.simulated.seed, app.settings.simulated.symbols, GENESIS)


def _end_of_history(app: Application) -> int:
    return GENESIS + app.settings.simulated.history_days * DAY


async def store_simulated_history(app: Application) -> None:
    """Past candles of the simulated market, written once; what is stored already must be the same market."""
    market, until = _simulated_market(app), _end_of_history(app)
    for key, spec in market.specs.items():
        await app.candles.write_market(spec)
        series = SeriesKey(key.exchange, key.symbol, Timeframe.M1)
        stored = await app.candles.read(series, GENESIS, GENESIS + DAY)
        expected = market.between(key, GENESIS, GENESIS + DAY)
        if len(stored) and not (len(stored) == len(expected) and (stored.close == expected.close).all()):
            raise ConfigurationError(
                f"The stored SIMULATED candles of {key.symbol} come from another market than seed "
                f"{app.settings.simulated.seed} makes.",
                "Set the seed they were made with, or use another data directory.",
            )
        if not len(stored):
            logger.info("Writing %s days of simulated history of %s", app.settings.simulated.history_days, key.symbol)
            await app.candles.write(series, market.between(key, GENESIS, until), simulated=True)


def refuse_other_exchanges(settings: Settings) -> None:
    """Before anything is begun."""
    if settings.exchange != SIMULATED:
        raise ConfigurationError(
            f"'up' trades the simulated exchange, the settings say EXCHANGE={settings.exchange}.",
            f"Set EXCHANGE=simulated; or name {settings.exchange} in a wallet with mode paper in "
            f"{settings.wallets_file}, and trade it with: tradepulse trade --mode paper --wallet NAME",
        )


def _log_risk(event: EngineEvent) -> None:
    match event:
        case RiskStateChanged(state, reason):
            logger.warning("Trading is %s: %s", state, reason)
        case DrawdownWarned(peak, equity):
            logger.warning("The equity fell from its peak of %s to %s", peak, equity)
        case EntriesLocked(lock):
            where = lock.market or "all markets"
            logger.warning("No entries on %s until %s (%s: %s)", where, lock.until, lock.cause, lock.reason)
        case NotReady(cause, _, reason):
            logger.warning("No entries while not ready (%s: %s)", cause, reason)
        case Ready(cause):
            logger.warning("Ready again: %s", cause)
        case RequestAnswered(_, kind, by, reason, _, outcome):
            logger.warning("%s asked to %s (%s): %s", by, kind, reason, outcome)
        case _:
            pass
