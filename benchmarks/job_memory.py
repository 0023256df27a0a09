"""Memory of a whole training job by the product's own path: import, database, threads, gate, report.

``python -m benchmarks.job_memory [--symbols 10] [--points 2048]``. The symbols are copies of one year of 1m candles
under other names: what a job holds depends on the number of candles, not on their prices. It takes minutes, so
``make bench`` leaves it out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as parquet

from benchmarks.market_data import BESIDE_THE_REPOSITORY
from benchmarks.trials import MINUTES_OF_A_YEAR, YEAR

SAMPLE_SECONDS = 0.1
MEGABYTE = 1024


def write_symbols(folder: Path, symbols: int) -> None:
    source = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", BESIDE_THE_REPOSITORY)) / YEAR
    if not source.is_file():
        sys.exit(f"error: {YEAR} is not at hand (set TRADEPULSE_TEST_CANDLES)")
    table = parquet.read_table(source)
    year = table.slice(max(0, len(table) - MINUTES_OF_A_YEAR))
    for number in range(symbols):
        parquet.write_table(year, folder / f"bitfinex__COPY{number}-USD__1m.parquet")


def tree(root: int) -> list[int]:
    """The process and everything that it has started."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, open_ = [], [root]
    while open_:
        found.append(open_.pop())
        open_ += parents.get(found[-1], [])
    return found


def megabytes(process: int, file: str, field: str) -> float:
    try:
        lines = (Path("/proc") / str(process) / file).read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) / MEGABYTE


def watched(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Seconds, and the peaks of the process alone (resident) and with its children (proportional share of pages)."""
    started, alone, together = time.perf_counter(), 0.0, 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            processes = tree(running.pid)
            alone = max(alone, megabytes(running.pid, "status", "VmHWM:"))
            together = max(together, sum(megabytes(one, "smaps_rollup", "Pss:") for one in processes))
            time.sleep(SAMPLE_SECONDS)
    if running.returncode:
        sys.exit(f"error: {' '.join(command)} ended with {running.returncode}")
    return time.perf_counter() - started, alone, together


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.job_memory", description=__doc__)
    options.add_argument("--symbols", type=int, default=10)
    options.add_argument("--points", type=int, default=2048)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "candles"
        folder.mkdir()
        write_symbols(folder, chosen.symbols)
        environment = {**os.environ, "TRADEPULSE__DATA_DIRECTORY": str(Path(scratch) / "data")}
        program = [sys.executable, "-c", "import sys; from tradepulse.cli.main import run; sys.exit(run(sys.argv[1:]))"]
        print(f"{chosen.symbols} symbols x {MINUTES_OF_A_YEAR:,} candles of 1m, {chosen.points} points")
        for name, arguments in (
            ("import-data", ["import-data", str(folder)]),
            ("train", ["train", "--points", str(chosen.points), "--threads", str(chosen.threads), "--json"]),
        ):
            seconds, alone, together = watched([*program, *arguments], environment)
            print(
                f"{name}: {seconds:.0f} s, peak of the process {alone:,.0f} MB, with the database {together:,.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
