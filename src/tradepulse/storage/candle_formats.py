"""Columns of candles out of Parquet, Feather, JSON, CSV and zip files, unchecked. pyarrow does the parsing."""

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather
import pyarrow.parquet

from tradepulse.domain.market import Candles, FloatArray, IntArray
from tradepulse.shared.errors import RefusedError

SUFFIXES = (".parquet", ".feather", ".json", ".json.gz", ".csv", ".csv.gz", ".zip")
ORDER = ("time", "open", "high", "low", "close", "volume")
# Without a header: the plain six, Kraken's with the number of trades, Binance's klines.
HEADERLESS_WIDTHS = (6, 7, 12)
NAMES = {
    "time": ("open_time", "opentime", "open time", "timestamp", "time", "date", "datetime", "unix", "ts", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
}
# Of epoch times, by size: seconds until the year 5138, milliseconds from 1973, and so on.
LARGEST_SECONDS, LARGEST_MILLISECONDS, LARGEST_MICROSECONDS = 1e11, 1e14, 1e17
UNREADABLE_TIME = -1


@dataclass(frozen=True, slots=True)
class RawCandles:
    """Columns as they stand in the file; the first of them on line (or row) ``first_line`` of it."""

    candles: Candles
    first_line: int


def read_columns(path: Path) -> RawCandles:
    """Errors: ``RefusedError`` with one clear line where the file cannot be read as candles at all."""
    name = path.name.lower()
    suffix = next((known for known in SUFFIXES if name.endswith(known)), None)
    if suffix is None:
        raise RefusedError(f"{path.name}: not a candle file.", f"Known are {', '.join(SUFFIXES)}.")
    try:
        return _read(path, suffix)
    except (pa.ArrowException, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise RefusedError(
            f"{path.name}: broken or not what its name says: {said[0]}", "Fetch it again; other files are not affected."
        ) from error
    except OSError as error:
        raise RefusedError(f"{path.name}: cannot be read: {error.strerror or error}.", "Check the path.") from error


def _read(path: Path, suffix: str) -> RawCandles:
    match suffix:
        case ".parquet":
            return RawCandles(_from_table(path, pyarrow.parquet.read_table(path)), 1)
        case ".feather":
            return RawCandles(_from_table(path, pyarrow.feather.read_table(path)), 1)
        case ".json":
            return RawCandles(_from_json(path, path.read_bytes()), 1)
        case ".json.gz":
            return RawCandles(_from_json(path, gzip.decompress(path.read_bytes())), 1)
        case ".csv":
            return _from_csv(path, path.read_bytes())
        case ".csv.gz":
            return _from_csv(path, gzip.decompress(path.read_bytes()))
        case _:
            return _from_csv(path, _only_csv_in(path))


def _only_csv_in(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
        if len(members) != 1:
            raise RefusedError(f"{path.name}: holds {len(members)} CSV files.", "An archive must hold exactly one.")
        return archive.read(members[0])


def _from_table(path: Path, table: pa.Table) -> Candles:
    columns = {name.strip().lower(): table.column(place) for place, name in enumerate(table.column_names)}
    chosen = {wanted: columns[name] for wanted, name in _choose(path, list(columns)).items()}
    return Candles(_times(chosen["time"]), *(_numbers(chosen[name]) for name in ORDER[1:]))


def _choose(path: Path, names: list[str]) -> dict[str, str]:
    chosen = {wanted: next((known for known in NAMES[wanted] if known in names), None) for wanted in ORDER}
    missing = [wanted for wanted, name in chosen.items() if name is None]
    if missing:
        raise RefusedError(
            f"{path.name}: no column for {', '.join(missing)} among {', '.join(names) or 'none'}.",
            f"Name them {', '.join(ORDER)}.",
        )
    return {wanted: name for wanted, name in chosen.items() if name is not None}


def _from_json(path: Path, data: bytes) -> Candles:
    rows = orjson.loads(data)
    if not isinstance(rows, list) or any(not isinstance(row, list) or len(row) < len(ORDER) for row in rows):
        raise RefusedError(f"{path.name}: not a list of [time, open, high, low, close, volume] rows.")
    if not rows:
        return Candles.empty()
    values = np.array([row[: len(ORDER)] for row in rows], dtype=np.float64)
    return Candles(_epoch_times(values[:, 0]), *(np.ascontiguousarray(values[:, place]) for place in range(1, 6)))


def _from_csv(path: Path, data: bytes) -> RawCandles:
    first = data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", errors="replace").strip()
    if not first:
        raise RefusedError(f"{path.name}: is empty.", "Fetch it again.")
    delimiter = max(",;\t", key=first.count)
    cells = [cell.strip().strip('"') for cell in first.split(delimiter)]
    has_header = not _is_number(cells[-1])
    if not has_header and len(cells) not in HEADERLESS_WIDTHS:
        raise RefusedError(
            f"{path.name}: {len(cells)} columns without a header.",
            f"Give a header with {', '.join(ORDER)}, or these six columns in this order.",
        )
    names = [cell.lower() for cell in cells] if has_header else [*ORDER, *map(str, range(len(ORDER), len(cells)))]
    chosen = _choose(path, names) if has_header else {wanted: wanted for wanted in ORDER}
    reading = pa_csv.ReadOptions(column_names=names, skip_rows=int(has_header))
    parsing = pa_csv.ParseOptions(delimiter=delimiter)
    wanted = [chosen[name] for name in ORDER]

    def read(price_type: pa.DataType) -> pa.Table:
        types = dict.fromkeys(wanted[1:], price_type) | {chosen["time"]: pa.string()}
        options = pa_csv.ConvertOptions(column_types=types, include_columns=wanted, strings_can_be_null=True)
        return pa_csv.read_csv(io.BytesIO(data), reading, parsing, options)

    try:
        table = read(pa.float64())
    except pa.ArrowInvalid as error:
        if "CSV conversion error" not in str(error):
            raise
        # Some cell is no number: read them as text, so that only their rows are refused.
        table = read(pa.string())
    prices = (_numbers(table.column(name)) for name in wanted[1:])
    return RawCandles(Candles(_times(table.column(chosen["time"])), *prices), 2 if has_header else 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(column: pa.ChunkedArray) -> FloatArray:
    """What is missing or no number becomes not-a-number, which the candle rules refuse."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array([_number(text) for text in column.to_pylist()], dtype=np.float64)
    numbers: FloatArray = pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan).to_numpy()
    return np.ascontiguousarray(numbers)


def _number(text: str | None) -> float:
    return float(text) if text is not None and _is_number(text) else float("nan")


def _times(column: pa.ChunkedArray) -> IntArray:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamped = pc.cast(column, pa.timestamp("ms", getattr(kind, "tz", None)), safe=False)
        return _whole(stamped)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _epoch_times(column.to_numpy())
    texts = pc.cast(column, pa.string())
    try:
        return _epoch_times(pc.cast(texts, pa.int64()).to_numpy())
    except pa.ArrowInvalid:
        return _written_times(texts)


def _written_times(texts: pa.ChunkedArray) -> IntArray:
    """ISO 8601 dates in one go; where that fails, one by one, so that only the unreadable rows are refused."""
    for zone in (None, "UTC"):
        try:
            return _whole(pc.cast(texts, pa.timestamp("ms", zone)))
        except pa.ArrowInvalid:
            continue
    return np.array([_written_time(text) for text in texts.to_pylist()], dtype=np.int64)


def _written_time(text: str | None) -> int:
    if text is None:
        return UNREADABLE_TIME
    if _is_number(text) and np.isfinite(float(text)):
        return int(_epoch_times(np.array([float(text)]))[0])
    for zone in (None, "UTC"):
        try:
            return int(pa.scalar(text).cast(pa.timestamp("ms", zone)).value)
        except pa.ArrowInvalid:
            continue
    return UNREADABLE_TIME


def _whole(column: pa.ChunkedArray) -> IntArray:
    whole = pc.fill_null(pc.cast(column, pa.int64()), UNREADABLE_TIME).to_numpy()
    return np.ascontiguousarray(whole, dtype=np.int64)


def _epoch_times(values: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> IntArray:
    """Seconds, milliseconds, microseconds or nanoseconds, told apart by size; all as milliseconds."""
    known = np.nan_to_num(values, nan=UNREADABLE_TIME) if values.dtype.kind == "f" else values
    size = np.abs(known)
    milliseconds = np.select(
        [size < LARGEST_SECONDS, size < LARGEST_MILLISECONDS, size < LARGEST_MICROSECONDS],
        [np.rint(known * 1000), known, known // 1000],
        known // 1_000_000,
    )
    return np.where(known == UNREADABLE_TIME, UNREADABLE_TIME, milliseconds).astype(np.int64)
