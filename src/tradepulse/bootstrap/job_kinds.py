"""The kinds of background jobs: what each takes, how it is run, beside what, and how urgent it is.

A new kind is a model of parameters, a function, and an entry in ``KINDS``; training, with its units and its judgement,
has a queue of its own (``policy.training_job``).
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from time import perf_counter
from typing import Any

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import BacktestRequest, run_backtest
from tradepulse.bootstrap.data import download_data, import_data
from tradepulse.bootstrap.encoder import evaluate_encoder, run_encoder, train_encoder
from tradepulse.bootstrap.meta import run_meta
from tradepulse.bootstrap.retention import remove_what_is_old
from tradepulse.bootstrap.training import everything_trainable, walk_forward
from tradepulse.domain.jobs import Job, JobProgress, JsonObject
from tradepulse.domain.market import DAY, SeriesKey, Timeframe
from tradepulse.exchanges.backfill_ohlcv import DownloadProgress, DownloadReport
from tradepulse.policy.job_requests import (
    AuditParameters,
    BackfillParameters,
    BacktestParameters,
    EncoderEvaluationParameters,
    EncoderParameters,
    EncoderTrainingParameters,
    ImportParameters,
    JobParameters,
    MetaParameters,
    RetentionParameters,
    WalkForwardParameters,
)
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import InvariantError, RefusedError

REFUSED_SHOWN = 20


class Beside(StrEnum):
    """One worker runs one job of each of these at a time: what is short never waits for what is long."""

    SHORT = "short"
    NETWORK = "network"
    """Mostly waits for an exchange."""
    LONG = "long"
    """Minutes to hours of computing; training belongs here."""


class JobWork:
    """One attempt at a job, as the code that does it sees it. ``threads``: how many it may compute with."""

    def __init__(self, job: Job, unit: str, threads: int = 1) -> None:
        self.job = job
        self.threads = threads
        self._unit = unit
        self._told: tuple[int, int, str] = (0, 0, "")
        self._began: tuple[float, int] | None = None

    def tell(self, done: int, total: int, part: str = "") -> None:
        """How far it is. May be called from any thread."""
        if self._began is None:
            self._began = (perf_counter(), done)
        self._told = (done, total, part)

    @property
    def progress(self) -> JobProgress:
        done, total, part = self._told
        began, before = self._began or (perf_counter(), done)
        seconds = perf_counter() - began
        rate = (done - before) / seconds if seconds > 0 and done > before else None
        left = max(total - done, 0) / rate if rate else None
        return JobProgress(done, total, self._unit, rate, left, part)


Run = Callable[[Application, JobWork, Any], Awaitable[JsonObject]]


@dataclass(frozen=True, slots=True)
class JobKind:
    """``unit``: what its progress counts. ``local``: it needs files of the machine on which it was asked for."""

    name: str
    parameters: type[JobParameters]
    run: Run
    beside: Beside
    priority: int
    unit: str
    local: bool = False


async def _backtest(app: Application, work: JobWork, asked: BacktestParameters) -> JsonObject:
    """The result is stored under the job's id, so that an attempt that was killed in between leaves no second one."""
    series = SeriesKey(asked.exchange, asked.symbol, Timeframe.parse(asked.timeframe))
    request = BacktestRequest(
        strategy=asked.strategy,
        series=series,
        since=asked.since,
        until=asked.until,
        method=asked.method,
        fine=None if asked.fine is None else Timeframe.parse(asked.fine),
        overrides=asked.overrides,
    )
    report = await run_backtest(app, request, work.tell, backtest_id=work.job.job_id)
    return {
        "backtest_id": report["id"],
        "statistics": report["statistics"],
        "profit": report["profit"],
        "data_hash": report["data_hash"],
    }


async def _backfill(app: Application, work: JobWork, asked: BackfillParameters) -> JsonObject:
    """Every page is stored as it comes, so the next attempt goes on where this one stopped."""
    now = app.clock.now()
    since = now - asked.days * DAY if asked.days is not None else asked.since
    stored = {entry.series: entry for entry in await app.candles.coverage() if not entry.simulated}
    wanted = _named(asked) or [one for one in stored if asked.exchange in (None, one.exchange)]
    if not wanted:
        where = f" of {asked.exchange}" if asked.exchange else ""
        raise RefusedError(f"No candles{where} are stored that could be kept up to date.", "Name series to download.")
    meter = _BackfillMeter(work, wanted, stored, since, asked.until or now)
    reports: list[DownloadReport] = []
    for series in wanted:
        first = stored[series].first if since is None else since
        reports.append(
            await download_data(
                app, series.exchange, [series.symbol], [series.timeframe], first, asked.until, meter.tell
            )
        )
    found = [one for report in reports for one in report.series]
    return {
        "inserted": sum(one.inserted for one in found),
        "unchanged": sum(one.unchanged for one in found),
        "series": [asdict(one) | {"series": str(one.series)} for one in found],
    }


def _named(asked: BackfillParameters) -> list[SeriesKey]:
    return [
        SeriesKey(asked.exchange or "", symbol, Timeframe.parse(timeframe))
        for symbol in asked.symbols
        for timeframe in asked.timeframes
    ]


class _BackfillMeter:
    """Candles of all series together: estimated until a series says how many it lacks."""

    def __init__(
        self,
        work: JobWork,
        wanted: list[SeriesKey],
        stored: dict[SeriesKey, SeriesCoverage],
        since: int | None,
        until: int,
    ) -> None:
        self._work = work
        self._done = dict.fromkeys(wanted, 0)
        self._expected: dict[SeriesKey, int] = {}
        for series in wanted:
            entry = stored.get(series)
            first = since if since is not None else entry.first if entry else until
            self._expected[series] = max(
                (until - first) // series.timeframe.milliseconds - (entry.rows if entry else 0), 0
            )

    def tell(self, news: DownloadProgress) -> None:
        self._done[news.series], self._expected[news.series] = news.rows, news.expected
        self._work.tell(sum(self._done.values()), sum(self._expected.values()), str(news.series))


async def _import(app: Application, work: JobWork, asked: ImportParameters) -> JsonObject:
    """Rows that are stored already change nothing, so a second attempt adds only what the first had not reached."""
    report = await import_data(
        app,
        asked.paths,
        exchange=asked.exchange,
        symbol=asked.symbol,
        timeframe=None if asked.timeframe is None else Timeframe.parse(asked.timeframe),
        progress=lambda done, total, file: work.tell(done, total, file.file),
    )
    if not report.files:
        raise RefusedError("No candle file is there.", "Name CSV, Parquet, feather, JSON or zip files.")
    refused = [row for file in report.files for row in file.refused_rows]
    return {
        "rows": report.rows,
        "inserted": report.inserted,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "errors": report.errors[:REFUSED_SHOWN],
        "refused_rows": [asdict(row) for row in refused[:REFUSED_SHOWN]],
    }


async def _walk_forward(app: Application, work: JobWork, asked: WalkForwardParameters) -> JsonObject:
    symbols, exchanges, _ = await everything_trainable(app.candles, asked.symbols, asked.exchanges, [asked.timeframe])
    return await walk_forward(
        app,
        asked.strategy,
        symbols,
        exchanges,
        asked.timeframe,
        since=asked.since,
        until=asked.until,
        points=asked.points,
        seed=asked.seed,
        folds=asked.folds,
        threads=work.threads,
        progress=work.tell,
        walk_forward_id=work.job.job_id,
    )


async def _audit(app: Application, work: JobWork, _: AuditParameters) -> JsonObject:
    """Money in, trades, fees and what is held must add up to the last unit in every book."""
    books = [str(book["book"]) for book in await app.reader.books()]
    found: dict[str, str] = {}
    for place, book in enumerate(books):
        found[book] = str((await app.reader.ledger_check(book)).difference)
        work.tell(place + 1, len(books), book)
    wrong = [f"{book} by {difference}" for book, difference in found.items() if float(difference)]
    if wrong:
        raise InvariantError(f"A ledger does not add up: {', '.join(wrong)}.", "Stop trading the book and look at it.")
    return {"books": found}


async def _retention(app: Application, work: JobWork, _: RetentionParameters) -> JsonObject:
    gone = await remove_what_is_old(app)
    work.tell(sum(gone.values()), sum(gone.values()))
    return {"removed": gone}


async def _meta(app: Application, work: JobWork, asked: MetaParameters) -> JsonObject:
    """Killed in between, the next attempt first hands over what was stored, then judges once more."""
    issued = await run_meta(app, asked.book, asked.notes)
    work.tell(len(issued), len(issued))
    return {
        "policies": [
            {"book": one.book, "version": one.version, "risk": one.bounds.risk_ppm / 1e6, "reasons": list(one.reasons)}
            for one in issued
        ]
    }


async def _encoder(app: Application, work: JobWork, asked: EncoderParameters) -> JsonObject:
    """What is stored already changes nothing, so a second attempt adds only what the first had not reached."""
    return await run_encoder(app, asked.timeframes, work.tell)


async def _encoder_training(app: Application, work: JobWork, asked: EncoderTrainingParameters) -> JsonObject:
    return await train_encoder(app, asked.timeframes, asked.symbols, asked.exchanges, asked.seed, work.tell)


async def _encoder_evaluation(app: Application, work: JobWork, asked: EncoderEvaluationParameters) -> JsonObject:
    return await evaluate_encoder(app, asked.timeframes, asked.seed, work.tell)


KINDS: dict[str, JobKind] = {
    kind.name: kind
    for kind in (
        JobKind("audit", AuditParameters, _audit, Beside.SHORT, 30, "books"),
        JobKind("backtest", BacktestParameters, _backtest, Beside.SHORT, 20, "candles"),
        JobKind("encoder", EncoderParameters, _encoder, Beside.SHORT, 15, "series"),
        JobKind("encoder-train", EncoderTrainingParameters, _encoder_training, Beside.LONG, 0, "timeframes"),
        JobKind("encoder-evaluate", EncoderEvaluationParameters, _encoder_evaluation, Beside.LONG, 0, "timeframes"),
        JobKind("import", ImportParameters, _import, Beside.SHORT, 10, "files", local=True),
        JobKind("backfill", BackfillParameters, _backfill, Beside.NETWORK, 0, "candles"),
        # Seconds, and hourly: never behind a backfill of hours.
        JobKind("meta", MetaParameters, _meta, Beside.SHORT, 40, "books"),
        JobKind("retention", RetentionParameters, _retention, Beside.SHORT, 5, "rows"),
        JobKind("walk-forward", WalkForwardParameters, _walk_forward, Beside.LONG, 0, "trials"),
    )
}
