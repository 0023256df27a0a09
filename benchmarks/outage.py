"""Stop PostgreSQL for half a minute while the live trader trades on exchanges: entries must stop, and nothing be lost.

The same traders, exchanges and audit as `make chaos` (see docs/research/chaos.md), with one outage of the database
instead of kills, and twenty minutes of the exchange for every minute of the machine.
"""

import argparse
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from tests.chaos.campaign import SPEED, Campaign, Trader
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.stopless import Cause, median_and_longest

from benchmarks.__main__ import WIDTH_OF_PIPES, circumstances, show
from benchmarks.chaos import EXCHANGES, database_server
from benchmarks.measuring import Table
from tradepulse.domain.risk import NotReadyCause
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

BEFORE_SECONDS, AFTER_SECONDS = 20.0, 10.0
ON_ITS_WAY_MS = 2_000
"""Of the exchange's time: what was written down just before the database went may still arrive."""
BACK_SECONDS = 60.0


@dataclass
class Outage:
    """The database that all traders share. Each of them says when it is where all must be."""

    server: EmbeddedServer
    seconds: float
    traders: int

    def __post_init__(self) -> None:
        # Halted with a client at work, which the server's own ``stop`` would wait for.
        self._begin = threading.Barrier(self.traders, self.server._halt)  # noqa: SLF001
        self._end = threading.Barrier(self.traders, self.server._launch)  # noqa: SLF001

    def begin(self) -> None:
        self._begin.wait()

    def end(self) -> None:
        self._end.wait()


@dataclass
class Found:
    """Of one exchange. ``entries``: orders to buy that reached the exchange while the database was away."""

    exchange: str
    entries: int = 0
    exits: int = 0
    protections: int = 0
    steps: int = 0
    back: float = 0.0
    equal: float = 0.0
    uncovered: str = ""
    orders: int = 0
    trades: int = 0


class OutageCampaign(Campaign):
    def __init__(self, name: str, folder: Path, url: str, births: Nursery, bound: float, outage: Outage) -> None:
        super().__init__(name, 1, folder, url, births, bound)
        self._url, self._outage, self.found = url, outage, Found(name)

    def _lives(self, _: int) -> None:
        trader = self._born()
        self._recovered(trader)
        self._go_on(BEFORE_SECONDS, trader)
        self._audit(trader)
        # Something is held and something on its way when it goes.
        self._go_on(2.0, trader)
        self._outage.begin()
        since = self._clock.now()
        self._go_on(self._outage.seconds, trader)
        self._look(since, self._clock.now())
        self._outage.end()
        launched = time.monotonic()
        self._until_back(trader, launched)
        self.found.back = time.monotonic() - launched
        self._ours.database = psycopg.connect(self._url, autocommit=True)
        self._audit(trader)
        self.found.equal = time.monotonic() - launched
        self._go_on(AFTER_SECONDS, trader)
        self._audit(trader)
        os.kill(trader.pid, signal.SIGKILL)
        self._wait_for_the_end(trader)

    def _look(self, since: int, until: int) -> None:
        orders = self._exchange.orders()
        placed = [each for each in orders if since + ON_ITS_WAY_MS <= each["placed_at"] <= until]
        self.found.entries = sum(each["side"] == "buy" for each in placed)
        self.found.protections = sum(each["stop"] is not None for each in placed)
        fills = self._exchange.fills()
        self.found.exits = len({f["order"] for f in fills if f["side"] == "sell" and since <= f["time"] <= until})
        steps = self.folder / "data" / "steps" / f"{self._book}.jsonl"
        self.found.steps = len(steps.read_bytes().splitlines()) if steps.exists() else 0

    def _until_back(self, trader: Trader, launched: float) -> None:
        """Until it says itself that its database is there again."""
        while self._last_told(trader) != "Ready":
            if time.monotonic() - launched > BACK_SECONDS:
                self._fail("It has not noticed that its database is back", trader)
            self._go_on(0.05, trader)

    def _last_told(self, trader: Trader) -> str:
        told = [json.loads(line) for line in trader.log.with_suffix(".facts").read_bytes().splitlines()[:-1]]
        of_database = [one["type"] for one in told if _gate(one) == NotReadyCause.DATABASE]
        if not of_database:
            self._fail("It has not noticed that its database was away", trader)
        return str(of_database[-1])

    def _close(self) -> None:
        super()._close()
        bare = [each for each in self.tally.stretches if each.cause is not Cause.DEAD]
        median, longest = median_and_longest(bare)
        self.found.uncovered = f"{len(bare)}: {median:.0f}, {longest:.0f}" if bare else "none"
        self.found.orders, self.found.trades = self.tally.orders, self.tally.trades
        if self.found.entries:
            self.tally.problems.append(f"{self.found.entries} entries were sent without a database")


def _gate(told: dict[str, Any]) -> str:
    return str(told["event"]["cause"]) if told.get("type") in ("Ready", "NotReady") else ""


def outages(seconds: float, exchanges: Sequence[str], folder: Path, bound: float) -> list[OutageCampaign]:
    with database_server(folder) as server, nursery() as births, ThreadPoolExecutor(len(exchanges)) as threads:
        outage, campaigns = Outage(server, seconds, len(exchanges)), []
        for name in exchanges:
            create_database(server.url("postgres"), name)
            sync_schema(server.url(name))
            campaigns.append(OutageCampaign(name, folder, server.url(name), births, bound, outage))
        for running in [threads.submit(each.run, 0) for each in campaigns]:
            running.result()
    return campaigns


def table(found: Sequence[Found], seconds: float) -> Table:
    return Table(
        f"PostgreSQL away for {seconds:.0f} s, {SPEED * seconds / 60:.0f} minutes of the exchange, three markets each",
        ("exchange", "entries sent", "exits", "stops placed", "steps kept in the file", "back after, ms",
         "book = ledger after, ms", "without a stop, ms", "orders", "trades closed"),
        [(each.exchange, str(each.entries), str(each.exits), str(each.protections), str(each.steps),
          f"{1000 * each.back:.0f}", f"{1000 * each.equal:.0f}", each.uncovered, str(each.orders), str(each.trades))
         for each in found],
        ["'without a stop': stretches of the whole run, their median and the longest, by the machine's time."],
    )  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--exchanges", default=",".join(EXCHANGES), help="comma separated")
    options.add_argument("--bound", type=float, default=1.0, help="seconds without a stop that need no reason")
    options.add_argument("--keep", type=Path, help="keep logs and database in this folder")
    chosen = options.parse_args()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH_OF_PIPES)
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="tradepulse-outage-"))
    folder.mkdir(parents=True, exist_ok=True)
    campaigns = outages(chosen.seconds, chosen.exchanges.split(","), folder, chosen.bound)
    show(console, table([each.found for each in campaigns], chosen.seconds))
    problems = [problem for each in campaigns for problem in each.tally.problems]
    for problem in problems:
        console.print(f"FOUND: {problem}", markup=False)
    console.print(circumstances())
    if problems:
        console.print(f"Logs: {folder}")
        raise SystemExit(1)
    if chosen.keep is None:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
