"""Candles in PostgreSQL's binary COPY format, made and read by numpy without a loop over rows.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS: a signature, flags and an extension length;
then per row the number of fields and per field its length and its value in network byte order; then -1.
"""

import numpy as np

from tradepulse.domain.market import Candles
from tradepulse.shared.errors import InvariantError

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")

_VALUE_TYPES = {"open_time": ">i8"} | dict.fromkeys(COLUMNS[1:], ">f8")
_CANDLE_FIELDS = [field for name in COLUMNS for field in ((f"{name}_length", ">i4"), (name, _VALUE_TYPES[name]))]
CANDLE_ROW = np.dtype([("fields", ">i2"), *_CANDLE_FIELDS])
STORED_ROW = np.dtype([("fields", ">i2"), ("series_length", ">i4"), ("series_id", ">i4"), *_CANDLE_FIELDS])


def encode_candles(series_id: int, candles: Candles) -> bytes:
    """Rows of (series_id int4, open_time int8, open, high, low, close, volume float8)."""
    rows = np.empty(len(candles), dtype=STORED_ROW)
    rows["fields"] = 7
    rows["series_length"] = 4
    rows["series_id"] = series_id
    for name in COLUMNS:
        rows[f"{name}_length"] = 8
        rows[name] = getattr(candles, name)
    return HEADER + rows.tobytes() + TRAILER


def decode_candles(data: bytes | bytearray) -> Candles:
    """Rows of (open_time int8, open, high, low, close, volume float8), none of them null."""
    body = memoryview(data)[len(HEADER) : len(data) - len(TRAILER)]
    if not data.startswith(HEADER[:11]) or len(body) % CANDLE_ROW.itemsize:
        raise InvariantError("The database answered candles in an unknown layout.", "Run 'tradepulse db sync'.")
    rows = np.frombuffer(body, dtype=CANDLE_ROW)
    prices = [rows[name].astype(np.float64) for name in COLUMNS[1:]]
    return Candles(rows["open_time"].astype(np.int64), *prices)
