import numpy as np

from tradepulse.domain.market import Candle, Candles
from tradepulse.storage.copy_format import HEADER, TRAILER, decode_columns, encode_candles


def array_send(values: np.ndarray) -> bytes:
    """An array as the server sends it: dimensions, null flag, element type, length, lower bound, elements."""
    kind, oid = (">i8", 20) if values.dtype == np.int64 else (">f8", 701)
    head = np.array([1, 0, oid, len(values), 1], dtype=">i4").tobytes()
    return head + b"".join(b"\0\0\0\x08" + np.array([value], dtype=kind).tobytes() for value in values)


def test_encoded_row_when_compared_with_the_documented_layout_then_byte_for_byte_the_same() -> None:
    encoded = encode_candles(7, Candles.from_rows([Candle(1, 1.0, 2.0, 0.5, 1.5, 0.0)]))
    row = bytes.fromhex(
        "0007 00000004 00000007 00000008 0000000000000001 00000008 3ff0000000000000 00000008 4000000000000000"
        "00000008 3fe0000000000000 00000008 3ff8000000000000 00000008 0000000000000000"
    )
    assert encoded == HEADER + row + TRAILER


def test_decoded_columns_then_native_contiguous_and_exact() -> None:
    times = np.array([0, 60_000, 2**40], dtype=np.int64)
    price = np.array([0.1 + 0.2, 1e-8, 1e12])
    candles = decode_columns([array_send(times), *[array_send(price)] * 5])
    assert candles.open_time.tolist() == times.tolist()
    assert candles.open_time.dtype == np.dtype(np.int64)
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        assert column.tolist() == price.tolist()
        assert column.dtype == np.dtype(np.float64)
        assert column.flags.c_contiguous
