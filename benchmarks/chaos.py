"""Kill the live trader with SIGKILL, over and over, on exchanges that fail: nothing may be lost, nothing doubled.

Four local exchanges in processes of their own, a real PostgreSQL, ccxt as it is. After every restart the trader's book
must equal the exchange's ledger, and what is held must have a stop. See docs/research/chaos.md.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from tests.chaos.campaign import Campaign, Tally
from tests.chaos.deaths import Manner
from tests.chaos.nursery import nursery
from tests.chaos.stopless import Cause, median_and_longest

from benchmarks.__main__ import WIDTH_OF_PIPES, circumstances, show
from benchmarks.measuring import Table
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

EXCHANGES = ("binance", "okx", "coinbase", "kraken")
BOUND_SECONDS = 1.0


def campaigns(kills: int, seed: int, exchanges: Sequence[str], folder: Path, bound: float) -> list[Tally]:
    """All exchanges at once; every one has its share of the kills."""
    shares = [kills // len(exchanges) + (place < kills % len(exchanges)) for place in range(len(exchanges))]
    with database_server(folder) as server, nursery() as births, ThreadPoolExecutor(len(exchanges)) as threads:
        urls = [_database(server, name) for name in exchanges]
        begun = [
            threads.submit(Campaign(name, seed, folder, url, births, bound).run, share)
            for name, url, share in zip(exchanges, urls, shares, strict=True)
        ]
        return [each.result() for each in begun]


@contextmanager
def database_server(folder: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder / "postgres")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _database(server: EmbeddedServer, name: str) -> str:
    create_database(server.url("postgres"), name)
    sync_schema(server.url(name))
    return server.url(name)


def tables(tallies: Sequence[Tally]) -> Iterator[Table]:
    yield Table(
        "Kills, and what was found after each restart",
        ("exchange", "kills", "orders on their way", "audits", "differences", "orders", "executions", "trades closed",
         "start, ms", "until equal, ms", "ended by itself"),
        [*(_row(each) for each in tallies), _row(total(tallies))],
        [
            "'orders on their way': kills after which the book itself had orders of which the end was not known.",
            "'start' is from birth to the reconciled book, 'until equal' from calm to book = ledger; medians.",
        ],
    )  # fmt: skip
    yield Table(
        "Kills by their moment",
        ("exchange", *(str(manner) for manner in Manner)),
        [(each.exchange, *(str(each.manners[manner]) for manner in Manner)) for each in (*tallies, total(tallies))],
    )
    yield Table(
        "Time without a stop by the exchange's own timeline, ms: stretches, median, longest",
        ("exchange", *(str(cause) for cause in Cause)),
        [(each.exchange, *(_stopless(each, cause) for cause in Cause)) for each in (*tallies, total(tallies))],
    )
    yield Table(
        "Faults drawn, alarms told, lives that ended by themselves",
        ("what", "times"),
        [(name, str(count)) for name, count in _happened(total(tallies))],
    )


def _row(tally: Tally) -> tuple[str, ...]:
    def median(values: Sequence[float]) -> str:
        return f"{1000 * statistics.median(values):.0f}" if values else "-"

    counts = (tally.kills, tally.in_flight, tally.audits, len(tally.problems), tally.orders, tally.executions)
    return (
        tally.exchange,
        *map(str, counts),
        str(tally.trades),
        median(tally.births),
        median(tally.settling),
        str(tally.ended.total()),
    )


def _stopless(tally: Tally, cause: Cause) -> str:
    found = [each for each in tally.stretches if each.cause is cause]
    middle, longest = median_and_longest(found)
    return f"{len(found)}: {middle:.0f}, {longest:.0f}" if found else "none"


def _happened(tally: Tally) -> Iterator[tuple[str, int]]:
    yield from sorted(tally.weather.items())
    yield from ((f"alarm: {name}", count) for name, count in sorted(tally.alarms.items()))
    yield from ((f"ended: {name[:100]}", count) for name, count in sorted(tally.ended.items()))


def total(tallies: Sequence[Tally]) -> Tally:
    whole = Tally("in all", tallies[0].seed)
    for each in tallies:
        for name in ("kills", "in_flight", "audits", "orders", "executions", "trades"):
            setattr(whole, name, getattr(whole, name) + getattr(each, name))
        for name in ("manners", "ended", "weather", "alarms"):
            getattr(whole, name).update(getattr(each, name))
        for name in ("births", "settling", "stretches", "problems"):
            getattr(whole, name).extend(getattr(each, name))
    return whole


def problems(tallies: Sequence[Tally]) -> list[str]:
    """Of all campaigns; what had no stop for longer than the bound without a reason is one."""
    bare = Counter(each.exchange for each in tallies for one in each.stretches if one.cause is Cause.ELSE)
    return [
        *(problem for each in tallies for problem in each.problems),
        *(f"{name}: {count} times without a stop and without a reason" for name, count in bare.items()),
    ]


def main() -> None:
    options = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    options.add_argument("--kills", type=int, default=1000, help="in all, over all exchanges")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--exchanges", default=",".join(EXCHANGES), help="comma separated")
    options.add_argument(
        "--bound", type=float, default=BOUND_SECONDS, help="seconds without a stop that need no reason"
    )
    options.add_argument("--keep", type=Path, help="keep logs and database in this folder")
    chosen = options.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_OF_PIPES)
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="tradepulse-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    console.print(f"Seed {chosen.seed}; logs in {folder}. {circumstances()}\n")
    began = time.monotonic()
    tallies = campaigns(chosen.kills, chosen.seed, chosen.exchanges.split(","), folder, chosen.bound)
    for table in tables(tallies):
        show(console, table)
    found = problems(tallies)
    for problem in found:
        console.print(f"FOUND: {problem}", markup=False)
    console.print(f"{time.monotonic() - began:.0f} s. {circumstances()}")
    if found:
        console.print(f"Seed {chosen.seed} again: make chaos N={chosen.kills} SEED={chosen.seed}. Logs: {folder}")
        raise SystemExit(1)
    if chosen.keep is None:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
