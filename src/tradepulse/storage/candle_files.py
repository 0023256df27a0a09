"""Import of candle files: bad rows are refused one by one, bad files file by file, good rows go in once."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tradepulse.domain.candle_rules import BadRow, CandleRule, check_candles
from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.ports import CandleStore
from tradepulse.shared.errors import RefusedError
from tradepulse.storage.candle_formats import SUFFIXES, RawCandles, read_columns
from tradepulse.storage.candle_names import series_of

# Listed one by one; what is beyond is counted.
LISTED_ROWS = 1000
DIFFERS = "a stored candle keeps its values"


@dataclass(frozen=True, slots=True)
class CandleFile:
    """A file read and checked, nothing stored yet. ``first_line`` is where its first row stands."""

    path: Path
    series: SeriesKey
    good: Candles
    bad: tuple[BadRow, ...]
    merged: int
    first_line: int


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """``line`` counts from 1: the line of a text file, the row of any other; ``None`` for a row in conflict with
    the stored candle of its open time."""

    file: str
    line: int | None
    open_time: int
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class FileReport:
    """``error`` says why nothing of the file went in."""

    file: str
    series: SeriesKey | None
    rows: int = 0
    inserted: int = 0
    unchanged: int = 0
    refused: int = 0
    refused_rows: tuple[RefusedRow, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """``unchanged`` counts rows that were stored already, and exact repetitions within a file."""

    files: tuple[FileReport, ...]
    seconds: float
    rows: int = field(init=False)
    inserted: int = field(init=False)
    unchanged: int = field(init=False)
    refused: int = field(init=False)

    def __post_init__(self) -> None:
        for name in ("rows", "inserted", "unchanged", "refused"):
            object.__setattr__(self, name, sum(getattr(file, name) for file in self.files))

    @property
    def errors(self) -> list[str]:
        return [file.error for file in self.files if file.error]

    @property
    def rows_per_second(self) -> float:
        return self.rows / max(self.seconds, 0.001)


Progress = Callable[[int, int, FileReport], None]


def read_candle_file(
    path: Path,
    now: int,
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    timeframe: Timeframe | None = None,
) -> CandleFile:
    """One file, read and checked. Errors: ``RefusedError`` where nothing of it can be used."""
    series = series_of(path, exchange, symbol, timeframe)
    raw: RawCandles = read_columns(path)
    checked = check_candles(raw.candles, series.timeframe, now)
    return CandleFile(path, series, checked.good, checked.bad, checked.merged, raw.first_line)


async def import_files(
    paths: Iterable[Path],
    store: CandleStore,
    clock_now: Callable[[], int],
    *,
    exchange: str | None = None,
    symbol: str | None = None,
    timeframe: Timeframe | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Every candle file of ``paths`` (folders are searched), one transaction per file; a second import adds nothing.

    ``clock_now`` is the present in UTC ms: candles that have not closed by then are refused. The next file is read
    while one is written. ``progress`` is told (files done, files in all, what became of the file).
    """
    started = clock_now()
    files = find_candle_files(paths)
    reports: list[FileReport] = []

    def read(path: Path) -> CandleFile | FileReport:
        try:
            return read_candle_file(path, started, exchange=exchange, symbol=symbol, timeframe=timeframe)
        except RefusedError as error:
            return FileReport(str(path), None, error=str(error))

    following = asyncio.create_task(asyncio.to_thread(read, files[0])) if files else None
    try:
        for place in range(len(files)):
            found = await following if following is not None else None
            upcoming = files[place + 1 : place + 2]
            following = asyncio.create_task(asyncio.to_thread(read, upcoming[0])) if upcoming else None
            if found is None:
                continue
            report = found if isinstance(found, FileReport) else await _store(found, store)
            reports.append(report)
            if progress is not None:
                progress(place + 1, len(files), report)
    finally:
        if following is not None:
            following.cancel()
    return ImportReport(tuple(reports), (clock_now() - started) / 1000)


def find_candle_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named; of folders, every file with a known suffix, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(SUFFIXES))
        else:
            found.append(path)
    return found


async def _store(file: CandleFile, store: CandleStore) -> FileReport:
    try:
        written = await store.write(file.series, file.good)
    except RefusedError as error:
        return FileReport(str(file.path), file.series, error=f"{file.path.name}: {error}")
    refused = _bad_rows(file) + _conflicts(file, written.conflicting)
    return FileReport(
        file=str(file.path),
        series=file.series,
        rows=len(file.good) + len(file.bad) + file.merged,
        inserted=written.inserted,
        unchanged=written.unchanged + file.merged,
        refused=len(file.bad) + len(written.conflicting),
        refused_rows=tuple(refused[:LISTED_ROWS]),
    )


def _bad_rows(file: CandleFile) -> list[RefusedRow]:
    return [
        RefusedRow(str(file.path), file.first_line + bad.row, bad.open_time, bad.rule.value, bad.detail)
        for bad in file.bad[:LISTED_ROWS]
    ]


def _conflicts(file: CandleFile, open_times: Sequence[int]) -> list[RefusedRow]:
    return [
        RefusedRow(str(file.path), None, time, DIFFERS, f"open time {time} is stored with other values")
        for time in open_times[:LISTED_ROWS]
    ]


__all__ = [
    "CandleFile",
    "CandleRule",
    "FileReport",
    "ImportReport",
    "RefusedRow",
    "find_candle_files",
    "import_files",
    "read_candle_file",
]
