"""The volume breakout's scan against its twin in C, compiled on the spot."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.market_data import Market
from benchmarks.measuring import Table, rate, ratios, side_by_side, spread
from tradepulse.kernels.setups_breakout import find_breakouts
from tradepulse.strategies.volume_breakout import VolumeBreakout

SOURCE = Path(__file__).with_name("breakout.c")
# Contraction off: a fused multiply-add rounds once where two operations round twice.
FLAGS = ("-O2", "-ffp-contract=off", "-shared", "-fPIC")
Scan = Callable[[], tuple[Any, ...]]


def native_table(market: Market, folder: Path, rounds: int) -> Table:
    title = f"The volume breakout's scan against plain C: {market.label}, {rounds} rounds"
    columns = ("scan", "seconds", "candles/s", "times C", "setups", "equal")
    compiler = shutil.which("gcc")
    if compiler is None:
        return Table(title, columns, [], ["Not measured: there is no gcc on this machine."])
    ours, twin = kernel_scan(market), c_scan(market, compiled_twin(compiler, folder))
    found, expected = ours(), twin()
    equal = all(np.array_equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))
    taken = side_by_side({"numba": ours, "C": twin}, rounds, times=5)
    count = len(market.candles)
    rows = [
        (
            name, spread(taken[key]), rate(count, taken[key]), spread(ratios(taken[key], taken["C"]), ".2f"),
            f"{len(setups[0]):,}", "yes" if equal else "NO",
        )
        for key, name, setups in (("numba", "kernel (numba)", found), ("C", "C (gcc -O2)", expected))
    ]  # fmt: skip
    return Table(title, columns, rows, ["Equal: bars, sides, stops and measured values, to the last bit."])


def parameters() -> tuple[int, float, int, int, float]:
    chosen = VolumeBreakout().parameters()
    return (
        chosen.integer("consolidation_bars"),
        chosen.number("atr_threshold"),
        chosen.integer("atr_period"),
        chosen.integer("volume_period"),
        chosen.number("stop_fraction"),
    )


def kernel_scan(market: Market) -> Scan:
    candles, chosen = market.candles, parameters()
    return lambda: find_breakouts(candles.high, candles.low, candles.close, candles.volume, 0, *chosen)


def compiled_twin(compiler: str, folder: Path) -> Any:
    library = folder / "breakout.so"
    subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(library), "-lm"], check=True)
    function = ctypes.CDLL(str(library)).find_breakouts
    whole: Any = ctypes.c_int64
    number: Any = ctypes.c_double
    array: Any = ctypes.c_void_p
    function.argtypes = [array] * 4 + [whole] * 3 + [number, whole, whole, number] + [array] * 4
    function.restype = whole
    return function


def c_scan(market: Market, function: Any) -> Scan:
    candles = market.candles
    count = len(candles)
    columns = [np.ascontiguousarray(getattr(candles, name)) for name in ("high", "low", "close", "volume")]
    bars, atr_threshold, atr_period, volume_period, stop_fraction = parameters()

    def scan() -> tuple[Any, ...]:
        index, direction = np.empty(count, np.int64), np.empty(count, np.int64)
        stop, values = np.empty(count), np.empty((count, 3))
        found = function(
            *(column.ctypes.data for column in columns), count, 0, bars, atr_threshold, atr_period, volume_period,
            stop_fraction, *(array.ctypes.data for array in (index, direction, stop, values)),
        )  # fmt: skip
        if found < 0:
            raise MemoryError("The C scan found no memory.")
        return index[:found], direction[:found], stop[:found], values[:found]

    return scan
