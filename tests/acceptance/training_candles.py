"""Hourly candle files for training: a market like any other, and those that nothing can be learned from."""

from pathlib import Path

import numpy as np
from tests.acceptance.bad_files import COLUMNS, HOUR

START = 1_672_531_200_000
"""2023-01-01 00:00 UTC."""
CANDLES = 1_600
GAP_HOURS = 20_000


def write_all(folder: Path) -> None:
    hours = np.arange(CANDLES)
    _write(folder, "WALK", hours, _walk(1), _volume(1))
    _write(folder, "TROT", hours, _walk(2), _volume(2))
    _write(folder, "SHORT", hours[:50], _walk(3)[:50], _volume(3)[:50])
    _write(folder, "FLAT", hours, np.full(CANDLES, 100.0), _volume(4))
    _write(folder, "QUIET", hours, _walk(5), np.zeros(CANDLES))
    _write(folder, "HOLE", np.where(hours < CANDLES // 2, hours, hours + GAP_HOURS), _walk(6), _volume(6))


def _walk(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    steps = np.random.default_rng(seed).standard_t(4, CANDLES) * 0.006
    return np.round(100.0 * np.exp(np.cumsum(steps)), 2)


def _volume(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.round(np.random.default_rng([seed, 7]).lognormal(3.0, 0.8, CANDLES), 3)


def _write(
    folder: Path,
    name: str,
    hours: np.ndarray[tuple[int], np.dtype[np.int64]],
    close: np.ndarray[tuple[int], np.dtype[np.float64]],
    volume: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    opened = np.concatenate((close[:1], close[:-1]))
    room = np.where(opened == close, 0.0, np.round(0.002 * close, 2))
    high, low = np.maximum(opened, close) + room, np.minimum(opened, close) - room
    rows = [COLUMNS]
    for row, hour in enumerate(hours.tolist()):
        prices = ",".join(f"{column[row]:.2f}" for column in (opened, high, low, close))
        rows.append(f"{START + hour * HOUR},{prices},{volume[row]}")
    (folder / f"binance__{name}-USDT__1h.csv").write_text("\n".join([*rows, ""]))
