"""Candle files with something wrong in them, and one that is right."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tradepulse.domain.signals import Regime
from tradepulse.policy.configuration_documents import SCHEMA
from tradepulse.strategies import STRATEGIES

HOUR = 3_600_000
START = 1_735_689_600_000
"""2025-01-01 00:00 UTC."""
FUTURE = 4_102_444_800_000
"""2100-01-01 00:00 UTC."""
COLUMNS = "time,open,high,low,close,volume"
Row = tuple[object, ...]


def good_rows(count: int = 5) -> list[Row]:
    return [(START + number * HOUR, 100.0, 101.0, 99.0, 100.5, 7.0) for number in range(count)]


def csv(rows: list[Row], header: str = COLUMNS) -> bytes:
    return "\n".join([header, *(",".join(map(str, row)) for row in rows), ""]).encode()


def with_row(row: Row) -> bytes:
    """Five good rows and then this one."""
    return csv([*good_rows(), row])


def parquet_bytes(rows: list[Row]) -> bytes:
    columns = list(zip(*rows, strict=True))
    table = pa.table(dict(zip(COLUMNS.split(","), map(list, columns), strict=True)))
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, content)
    return sink.getvalue()


NEXT = START + 5 * HOUR
FILES: dict[str, Callable[[], bytes]] = {
    "binance__GOOD-USDT__1h.csv": lambda: csv(good_rows()),
    "binance__CUT-USDT__1h.parquet": lambda: parquet_bytes(good_rows())[:-40],
    "binance__TEXT-USDT__1h.parquet": lambda: b"this is no parquet file at all",
    "binance__WEB-USDT__1h.csv": lambda: b"<!doctype html><html><body>404 not found</body></html>\n",
    "binance__EMPTY-USDT__1h.csv": lambda: b"",
    "binance__HEAD-USDT__1h.csv": lambda: csv([]),
    "binance__COLUMNS-USDT__1h.csv": lambda: csv([(1, 2, 3)], "date,bid,ask"),
    "binance__BINARY-USDT__1h.csv": lambda: bytes(range(256)) * 4,
    "binance__WORDS-USDT__1h.csv": lambda: csv([(START, "one", "two", "three", "four", "five")]),
    "binance__NAN-USDT__1h.csv": lambda: with_row((NEXT, "nan", 101.0, 99.0, 100.5, 7.0)),
    "binance__INF-USDT__1h.csv": lambda: with_row((NEXT, 100.0, "inf", 99.0, 100.5, 7.0)),
    "binance__HIGHLOW-USDT__1h.csv": lambda: with_row((NEXT, 100.0, 98.0, 99.0, 100.5, 7.0)),
    "binance__NEGATIVE-USDT__1h.csv": lambda: with_row((NEXT, -100.0, 101.0, -101.0, 100.5, 7.0)),
    "binance__VOLUME-USDT__1h.csv": lambda: with_row((NEXT, 100.0, 101.0, 99.0, 100.5, -7.0)),
    "binance__CROOKED-USDT__1h.csv": lambda: with_row((NEXT + 17, 100.0, 101.0, 99.0, 100.5, 7.0)),
    "binance__TWICE-USDT__1h.csv": lambda: with_row((START, 100.0, 150.0, 99.0, 120.5, 7.0)),
    "binance__FUTURE-USDT__1h.csv": lambda: with_row((FUTURE, 100.0, 101.0, 99.0, 100.5, 7.0)),
    "binance__ZIP-USDT__1h.zip": lambda: b"PK\x03\x04 and then nothing of use",
    "BTCUSDT-1h-2025-01.zip": lambda: zipped("BTCUSDT-1h-2025-01.csv", b"\x00\x01garbage"),
    "ETHUSDT-1h-2025-01.zip": lambda: zipped("readme.txt", b"hello"),
    "binance__JSON-USDT__1h.json": lambda: b'{"candles": [1, 2',
    "binance__FEATHER-USDT__1h.feather": lambda: b"ARROW1 but no more",
    "candles.csv": lambda: csv(good_rows()),
    "binance__FRAME-USDT__7h.csv": lambda: csv(good_rows()),
    "notes.txt": lambda: b"not candles",
}


def write_all(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_bytes(content())


def write_hostile_configurations(folder: Path) -> None:
    """Documents whose hash is right; the first of two entries is good, the second is not."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    hostile: dict[str, tuple[str, dict[str, Any]]] = {
        "huge_number": ("binance", {"trades": 10**30}),
        "deep": ("binance", deep),
        "surrogate": ("binance", {"note": "\ud800"}),
        "nul": ("binance", {"note": "x\0y"}),
        "escape": ("\x1b[2Jbinance", {}),
        "markup": ("binance[bold]", {}),
    }
    for name, (exchange, evidence) in hostile.items():
        entries = [_shared("binance", "bull", {}), _shared(exchange, "bear", evidence)]
        canonical = json.dumps(entries, sort_keys=True, separators=(",", ":"))
        document = {
            "schema": SCHEMA,
            "exported_at": 1,
            "code_version": "x",
            "content_hash": hashlib.sha256(canonical.encode()).hexdigest(),
            "configurations": entries,
        }
        (folder / f"{name}.json").write_text(json.dumps(document))


def _shared(exchange: str, regime: str, evidence: dict[str, Any]) -> dict[str, Any]:
    parameters = STRATEGIES["volume_breakout"].parameters(Regime(regime))
    return {
        "exchange": exchange,
        "symbol": "GOOD/USDT",
        "timeframe": "1h",
        "strategy": "volume_breakout",
        "regime": regime,
        "values": dict(parameters.values),
        "parameters_id": parameters.parameters_id,
        "evidence": evidence,
    }
