"""Candles in PostgreSQL's binary formats, made and read by numpy without a loop over rows.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS: a signature, flags and an extension length;
then per row the number of fields and per field its length and its value in network byte order; then -1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import Candles, IntArray
from tradepulse.shared.errors import InvariantError

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")

_VALUE_TYPES = {"open_time": ">i8"} | dict.fromkeys(COLUMNS[1:], ">f8")
_CANDLE_FIELDS = [field for name in COLUMNS for field in ((f"{name}_length", ">i4"), (name, _VALUE_TYPES[name]))]
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


def decode_columns(arrays: Sequence[bytes]) -> Candles:
    """Arrays as ``array_send`` writes them: int8[] open times, then five float8[], none of them with a null."""
    prices = (_decode_array(array, name) for array, name in zip(arrays[1:], COLUMNS[1:], strict=True))
    return Candles(decode_times(arrays[0]), *(price.astype(np.float64) for price in prices))


def decode_times(array: bytes) -> IntArray:
    return _decode_array(array, "open_time").astype(np.int64)


def _decode_array(data: bytes, name: str) -> npt.NDArray[Any]:
    """20 bytes (dimensions, null flag, element type, length, lower bound), then each length and value."""
    has_nulls = int.from_bytes(data[4:8], "big")
    if has_nulls:
        raise InvariantError(f"A stored candle has no {name}.", "Run 'tradepulse db sync'; restore from a backup.")
    element = np.dtype([("length", ">i4"), ("value", _VALUE_TYPES[name])])
    values: npt.NDArray[Any] = np.frombuffer(data, dtype=element, offset=20)["value"]
    return values
