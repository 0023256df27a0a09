"""Candle files of every kind, good and bad, on their way into the store."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tradepulse.domain.candle_rules import CandleRule
from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.shared.errors import RefusedError, TransientError
from tradepulse.storage.candle_files import DIFFERS, FileReport, import_files, read_candle_file
from tradepulse.storage.candle_names import series_of
from tradepulse.storage.candles import PostgresCandleStore, write_candles
from tradepulse.storage.db import Database

FIVE = 300_000
START = 1_704_067_200_000
NOW = START + 1000 * FIVE
BTC = SeriesKey("binance", "BTC/USDT", Timeframe.M5)
Rows = list[tuple[int, float, float, float, float, float]]
GOOD: Rows = [(START + n * FIVE, 10.0 + n, 12.0 + n, 9.0 + n, 11.0 + n, 1.5) for n in range(4)]
NAMES = ["open", "high", "low", "close", "volume"]


def now() -> int:
    return NOW


def table(rows: Rows, time_name: str, time_type: pa.DataType) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    times = pa.array(columns[0], pa.int64()).cast(pa.timestamp("ms")).cast(time_type)
    return pa.table({time_name: times} | {name: list(columns[place + 1]) for place, name in enumerate(NAMES)})


def parquet(folder: Path, rows: Rows) -> Path:
    path = folder / "binance__BTC-USDT__5m.parquet"
    pyarrow.parquet.write_table(table(rows, "timestamp", pa.timestamp("ms", "UTC")), path)
    return path


def feather(folder: Path, rows: Rows) -> Path:
    path = folder / "BTC_USDT-5m.feather"
    pyarrow.feather.write_feather(table(rows, "date", pa.timestamp("ns", "UTC")), path, compression="lz4")
    return path


def freqtrade_json(folder: Path, rows: Rows) -> Path:
    path = folder / "BTC_USDT-5m.json"
    path.write_text(json.dumps(rows).replace("NaN", "null"))
    return path


def gzipped_json(folder: Path, rows: Rows) -> Path:
    path = folder / "BTC_USDT-5m.json.gz"
    path.write_bytes(gzip.compress(freqtrade_json(folder, rows).read_bytes()))
    return path


def csv(folder: Path, rows: Rows, header: str, write_time: Callable[[int], object], delimiter: str = ",") -> Path:
    path = folder / "binance__BTC-USDT__5m.csv"
    lines = [delimiter.join(map(str, (write_time(row[0]), *row[1:]))) for row in rows]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")
    return path


def csv_with_dates(folder: Path, rows: Rows) -> Path:
    return csv(folder, rows, "Date;Open;High;Low;Close;Volume", lambda ms: iso(ms).replace("+00:00", ""), ";")


def csv_with_zones(folder: Path, rows: Rows) -> Path:
    return csv(folder, rows, "datetime,open,high,low,close,volume", iso)


def csv_in_seconds(folder: Path, rows: Rows) -> Path:
    return csv(folder, rows, "time,open,high,low,close,vol", lambda ms: ms // 1000 if ms % 1000 == 0 else ms / 1000)


def csv_without_header(folder: Path, rows: Rows) -> Path:
    return csv(folder, rows, "", int)


def iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def klines(rows: Rows) -> str:
    return "".join(
        f"{time * 1000},{o},{h},{low},{c},{v},{(time + FIVE) * 1000 - 1},99.5,12,0.7,49.1,0\n"
        for time, o, h, low, c, v in rows
    )


def binance_csv(folder: Path, rows: Rows) -> Path:
    path = folder / "BTCUSDT-5m-2024-01-01.csv"
    path.write_text(klines(rows))
    return path


def binance_zip(folder: Path, rows: Rows) -> Path:
    path = folder / "BTCUSDT-5m-2024-01.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-5m-2024-01.csv", klines(rows))
        archive.writestr("CHECKSUM", "of no interest")
    return path


WRITERS = [
    parquet, feather, freqtrade_json, gzipped_json, csv_with_dates, csv_with_zones, csv_in_seconds, csv_without_header,
    binance_csv, binance_zip,
]  # fmt: skip
HEADED = (csv_with_dates, csv_with_zones, csv_in_seconds)
UNFIT: dict[CandleRule, tuple[int, float, float, float, float, float]] = {
    CandleRule.NOT_A_NUMBER: (START + 4 * FIVE, float("nan"), 12, 9, 11, 1),
    CandleRule.PRICE_NOT_POSITIVE: (START + 4 * FIVE, 10, 12, 0, 11, 1),
    CandleRule.VOLUME_NEGATIVE: (START + 4 * FIVE, 10, 12, 9, 11, -1),
    CandleRule.HIGH_BELOW_LOW: (START + 4 * FIVE, 10, 9, 12, 11, 1),
    CandleRule.HIGH_TOO_LOW: (START + 4 * FIVE, 10, 10.5, 9, 11, 1),
    CandleRule.LOW_TOO_HIGH: (START + 4 * FIVE, 10, 12, 10.5, 11, 1),
    CandleRule.MISALIGNED: (START + 4 * FIVE + 60_000, 10, 12, 9, 11, 1),
    CandleRule.NOT_CLOSED: (NOW, 10, 12, 9, 11, 1),
    CandleRule.DUPLICATE: (START + FIVE, 10, 12, 9, 11, 1),
    CandleRule.NOT_ASCENDING: (START - FIVE, 10, 12, 9, 11, 1),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Named like freqtrade's: the exchange's name is the folder's."""
    folder = tmp_path / "binance"
    folder.mkdir()
    return folder


@pytest.fixture
def store(database: Database) -> PostgresCandleStore:
    return PostgresCandleStore(database)


def columns(rows: Rows) -> Candles:
    times, *prices = zip(*rows, strict=True)
    return Candles(np.array(times), *(np.array(price, dtype=np.float64) for price in prices))


@pytest.mark.parametrize("write", WRITERS)
def test_file_when_good_then_read_exactly_and_its_series_is_told_by_its_name(
    folder: Path, write: Callable[[Path, Rows], Path]
) -> None:
    read = read_candle_file(write(folder, GOOD), NOW)
    assert read.series == BTC
    assert read.bad == ()
    expected = columns(GOOD)
    for name in ("open_time", *NAMES):
        column = getattr(read.good, name)
        assert column.tolist() == getattr(expected, name).tolist()
        assert column.dtype == getattr(expected, name).dtype


@pytest.mark.parametrize("rule", UNFIT)
@pytest.mark.parametrize("write", WRITERS)
def test_bad_row_when_in_any_kind_of_file_then_refused_by_line_and_rule_and_the_rest_is_good(
    folder: Path, write: Callable[[Path, Rows], Path], rule: CandleRule
) -> None:
    if rule is CandleRule.NOT_ASCENDING:
        rows = [GOOD[0], GOOD[1], UNFIT[rule], GOOD[2]]
    else:
        rows = [GOOD[0], GOOD[1], UNFIT[rule], *([] if rule is CandleRule.DUPLICATE else [GOOD[2]])]
    read = read_candle_file(write(folder, rows), NOW)
    lines = [(read.first_line + bad.row, bad.rule) for bad in read.bad]
    assert lines == [(4 if write in HEADED else 3, rule)]
    assert len(read.good) == len(rows) - 1


async def test_import_when_done_twice_then_the_second_adds_nothing(folder: Path, store: PostgresCandleStore) -> None:
    feather(folder, [*GOOD, GOOD[3]])
    seen: list[tuple[int, int, FileReport]] = []
    first = await import_files([folder], store, now, progress=lambda *told: seen.append(told))
    assert (first.rows, first.inserted, first.unchanged, first.refused, first.errors) == (5, 4, 1, 0, [])
    assert seen == [(1, 1, first.files[0])]
    second = await import_files([folder], store, now)
    assert (second.inserted, second.unchanged, second.refused) == (0, 5, 0)
    assert (await store.read(BTC)).close.tolist() == columns(GOOD).close.tolist()


async def test_import_when_some_files_are_broken_then_each_has_one_clear_line_and_the_others_go_in(
    folder: Path, store: PostgresCandleStore
) -> None:
    csv_with_zones(folder, [*GOOD, UNFIT[CandleRule.HIGH_BELOW_LOW]])
    whole = binance_zip(folder, GOOD).read_bytes()
    broken = {
        "ETHUSDT-5m-2024-01.zip": whole[: len(whole) // 2],
        "binance__ETH-USDT__5m.parquet": b"PAR1 cut off",
        "ETH_USDT-5m.feather": b"not feather",
        "ETH_USDT-5m.json": b'{"code": -1121}',
        "ETH_USDT-15m.json": b'[[1704067200000, 1, 2, "x", 1, 1]]',
        "ETHUSDT-5m-2024-02.csv": b"1704067200000,1,2\n1704067500000,1,2\n",
        "ETHUSDT-5m-2024-03.csv": b"",
        "ETHUSDT-5m-2024-04.csv": b"time,open,high,low,close,volume\n1704067200000,1,2,1,1,1\n17040675",
        "ETHUSDT-5m-2024-05.csv": b"when,price\n1704067200000,1\n",
        "ETHUSDT-7m-2024-05.csv": klines(GOOD).encode(),
        "letter.csv": klines(GOOD).encode(),
    }
    for name, data in broken.items():
        (folder / name).write_bytes(data)
    report = await import_files([folder, folder / "absent.csv", folder / "notes.txt"], store, now)
    assert len(report.errors) == len(broken) + 2
    for error in report.errors:
        assert "\n" not in error
    for name in [*broken, "absent.csv", "notes.txt"]:
        assert len([error for error in report.errors if error.startswith(f"{name}: ")]) == 1
    assert (report.inserted, report.unchanged, report.refused) == (4, 4, 1)
    (refused,) = [row for file in report.files for row in file.refused_rows]
    assert (Path(refused.file).name, refused.line) == ("binance__BTC-USDT__5m.csv", 6)
    assert [line.series for line in await store.coverage()] == [BTC]


async def test_import_when_a_cell_is_no_number_then_only_its_row_is_refused(
    folder: Path, store: PostgresCandleStore
) -> None:
    path = csv_without_header(folder, GOOD)
    text = path.read_text().replace("11.0,13.0", "11.0,n/a", 1)
    path.write_text(text.replace(str(GOOD[2][0]), "someday"))
    report = await import_files([path], store, now)
    assert [(row.line, row.rule) for row in report.files[0].refused_rows] == [
        (2, CandleRule.NOT_A_NUMBER),
        (3, CandleRule.NOT_A_NUMBER),
    ]
    assert report.inserted == 2


async def test_import_when_values_differ_from_the_stored_ones_then_these_stay_and_the_row_is_reported(
    folder: Path, store: PostgresCandleStore
) -> None:
    await import_files([parquet(folder, GOOD[:2])], store, now)
    changed = [GOOD[0], (GOOD[1][0], 10.0, 99.0, 9.0, 11.0, 1.5), *GOOD[2:]]
    report = await import_files([parquet(folder, changed)], store, now)
    assert (report.inserted, report.unchanged, report.refused) == (2, 1, 1)
    assert [(row.open_time, row.rule) for row in report.files[0].refused_rows] == [(GOOD[1][0], DIFFERS)]
    assert (await store.read(BTC)).high.tolist() == columns(GOOD).high.tolist()


async def test_import_when_the_series_is_simulated_then_the_file_is_refused(
    folder: Path, store: PostgresCandleStore
) -> None:
    await store.write(BTC, columns(GOOD[:1]), simulated=True)
    report = await import_files([parquet(folder, GOOD)], store, now)
    assert len(report.errors) == 1
    assert len(await store.read(BTC)) == 1


async def test_import_when_the_connection_dies_in_the_middle_then_nothing_is_half_written_and_a_repeat_mends_it(
    folder: Path, store: PostgresCandleStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = START + np.arange(50_000) * FIVE
    price = np.full(50_000, 10.0)
    rows = Candles(times, price, price, price, price, price)

    class Dying(PostgresCandleStore):
        async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False):
            async with database.transaction() as connection:
                await write_candles(connection, series, candles, simulated=simulated)
                with psycopg.connect(database.url, autocommit=True) as killer:
                    killer.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
                await connection.execute("select 1")

    path = folder / "binance__BTC-USDT__5m.parquet"
    pyarrow.parquet.write_table(pa.table({"time": rows.open_time} | dict.fromkeys(NAMES, price)), path)

    def late() -> int:
        return NOW + 50_000 * FIVE

    with pytest.raises(TransientError):
        await import_files([path], Dying(database), late)
    assert len(await store.read(BTC)) == 0
    assert await store.coverage() == []
    assert (await import_files([path], store, late)).inserted == 50_000


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("kraken__ETH-USD__1h__20210902_20211202.parquet", SeriesKey("kraken", "ETH/USD", Timeframe.H1)),
        ("okx/BTC_USDT_USDT-4h-futures.feather", SeriesKey("okx", "BTC/USDT:USDT", Timeframe.H4)),
        ("bybit/futures/ETH_USDT_USDT-1d-futures.feather", SeriesKey("bybit", "ETH/USDT:USDT", Timeframe.D1)),
        ("BTCFDUSD-1m-2024-01-31.zip", SeriesKey("binance", "BTC/FDUSD", Timeframe.M1)),
        ("ETHBTC-1w-2024-01.csv", SeriesKey("binance", "ETH/BTC", Timeframe.W1)),
    ],
)
def test_series_when_the_name_tells_it_then_known_but_what_is_given_wins(name: str, series: SeriesKey) -> None:
    assert series_of(Path(name)) == series
    assert series_of(Path(name), "kucoin", "A-B", Timeframe.D1) == SeriesKey("kucoin", "A/B", Timeframe.D1)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("BTC_USDT-5m.feather", "the exchange"),
        ("candles.csv", "the exchange and the symbol and the timeframe"),
        ("ZZZZZZ-1d-2024-01.csv", "the symbol"),
        ("ETHBTC-7m-2024-01.csv", "'7m' is not a timeframe"),
    ],
)
def test_series_when_the_name_does_not_tell_it_then_said_what_to_give(name: str, missing: str) -> None:
    with pytest.raises(RefusedError, match=missing):
        series_of(Path(name))
