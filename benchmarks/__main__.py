"""How fast this machine works, as ratios of what was measured side by side in this very run. Nothing is promised.

Figures are medians over rounds with the lowest and highest in brackets; a ratio is taken round by round. Candles are
real where a folder of them is at hand (TRADEPULSE_TEST_CANDLES), else simulated. Nothing is written unless asked.
"""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from benchmarks import latency
from benchmarks.candle_store import candle_table
from benchmarks.engine import journal_table, latency_table
from benchmarks.market_data import market_of
from benchmarks.measuring import Table
from benchmarks.native import native_table
from benchmarks.strategies import detection_table, strategy_table
from benchmarks.trials import trial_tables
from tradepulse.storage.db import open_database

WIDTH_OF_PIPES = 190


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: candles of each table and rounds."""

    rows_imported: int
    replayed: int
    scanned: int
    detections: int
    steps: int
    rounds: int
    tried: int
    points: int
    closings: int


FULL = Effort(
    rows_imported=250_000,
    replayed=40_000,
    scanned=250_000,
    detections=3_000,
    steps=3_000,
    rounds=7,
    tried=100_000,
    points=1_000,
    closings=latency.FULL,
)
QUICK = Effort(
    rows_imported=60_000,
    replayed=8_000,
    scanned=100_000,
    detections=1_000,
    steps=800,
    rounds=3,
    tried=20_000,
    points=128,
    closings=latency.QUICK,
)


def measured(effort: Effort) -> Iterator[Table]:
    replayed, scanned = market_of(effort.replayed), market_of(effort.scanned)
    with scratch() as folder:
        yield native_table(scanned, folder, 3 * effort.rounds)
        yield strategy_table(replayed, effort.rounds)
        yield detection_table(replayed, effort.detections)
        yield latency_table(replayed)
        yield from trial_tables(effort.tried, effort.points, effort.rounds, folder, whole_job=effort is FULL)
        yield from asyncio.run(stored(effort, folder))
    with scratch() as folder:
        yield latency.order_latency_table(effort.closings, folder)


async def stored(effort: Effort, folder: Path) -> list[Table]:
    """On a database of its own, durable as in use, thrown away afterwards."""
    async with open_database(None, folder) as database:
        return [
            await candle_table(database, market_of(effort.rows_imported), folder, effort.rounds),
            await journal_table(database, market_of(effort.steps + 7_000), effort.steps),
        ]


@contextmanager
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tradepulse-bench-") as folder:
        yield Path(folder)


def show(console: Console, table: Table) -> None:
    console.print(escape(table.title), style="italic")
    grid = Grid(header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(table.columns):
        grid.add_column(column, justify="left" if place == 0 else "right")
    for row in table.rows:
        grid.add_row(*map(escape, row))
    console.print(grid)
    for note in table.notes:
        console.print(f"  {escape(note)}", style="dim")
    console.print()


def circumstances() -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, "
        f"numba {numba.__version__}; load of the last 1, 5 and 15 minutes: {load}"
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer candles and rounds, under a minute")
    options.add_argument("--output", type=Path, help="also write what is printed into this file")
    chosen = options.parse_args()
    console = Console(highlight=False, record=chosen.output is not None)
    if not console.is_terminal:
        console = Console(highlight=False, record=chosen.output is not None, width=WIDTH_OF_PIPES)
    started = time.perf_counter()
    console.print(circumstances())
    console.print("Median (lowest – highest); what only computes is timed by the processor.\n")
    for table in measured(QUICK if chosen.quick else FULL):
        show(console, table)
    console.print(f"{time.perf_counter() - started:.0f} s. {circumstances()}")
    if chosen.output is not None:
        chosen.output.write_text(console.export_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
