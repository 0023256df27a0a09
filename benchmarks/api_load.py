"""The API under load: live sockets that all get every event, and reads beside them, while an engine commits.

    python -m benchmarks.api_load [--clients 200] [--events 50] [--reads 50] [--seconds 20]

Four processes on one machine: the database (embedded), the API, the watchers, and this one, which commits steps as an
engine does. Latency of a socket: from just before the commit to the message in the watcher's hands, wall clock of one
machine. The engine's commits are timed without and with the load, in one run: the ratio is what watching costs it.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import numpy as np
import psutil
import uvicorn
import websockets

from benchmarks.honesty_tables import table
from tradepulse import bootstrap
from tradepulse.api.app import create_app
from tradepulse.api.tokens import AccessTokens
from tradepulse.bootstrap import Application, open_application
from tradepulse.cli.running import services_of
from tradepulse.domain.events import EquityMarked, LedgerPosted
from tradepulse.domain.portfolio import LedgerEntry, LedgerKind
from tradepulse.domain.users import Note, Role, Session, User
from tradepulse.ports import StepRecord
from tradepulse.shared.passwords import hashed_password
from tradepulse.shared.settings import Settings

BOOK = "load"
PATHS = (
    "/api/portfolio/summary",
    "/api/trades/history?limit=50",
    "/api/trades/statistics",
    "/api/patterns/strategies",
    "/api/trades/logs?limit=50",
    "/api/system/status",
)
WARM_UP = 3.0
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Load:
    clients: int
    events: int
    reads: int
    seconds: float


def now_ms() -> float:
    return time.time() * 1_000


async def serve(url: str, folder: str, port: int) -> None:
    """The API as ``tradepulse up`` builds it, without a trader in its process."""
    settings = Settings.model_validate({"database": {"url": url}, "data_directory": folder})
    async with open_application(settings) as app:
        web = create_app(services_of(app), settings=settings)
        await uvicorn.Server(uvicorn.Config(web, host="127.0.0.1", port=port, log_level="warning")).serve()


async def watch(address: str, token: str, load: Load) -> None:
    """The watchers and the readers; prints one line of JSON."""
    headers = {"Authorization": f"Bearer {token}"}
    socket_latency: list[float] = []
    read_latency: list[float] = []
    dropped, failed = [0], [0]
    begun = ends = 0.0
    connected = asyncio.Semaphore(0)
    go = asyncio.Event()
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as http:
        tickets = [
            (await http.post("/api/auth/live-ticket")).raise_for_status().json()["ticket"] for _ in range(load.clients)
        ]

        async def one(ticket: str) -> int:
            count = 0
            try:
                async with websockets.connect(address.replace("http", "ws") + "/api/live", max_queue=None) as live:
                    await live.send(json.dumps({"ticket": ticket, "subscribe": ["equity"], "after": None}))
                    await live.recv()
                    connected.release()
                    await go.wait()
                    while time.monotonic() < ends:
                        with suppress(TimeoutError):
                            message = json.loads(
                                await asyncio.wait_for(live.recv(), max(0.01, ends - time.monotonic()))
                            )
                            heard = now_ms()
                            if message["topic"] == "equity" and time.monotonic() >= begun:
                                count += 1
                                socket_latency.append(heard - float(message["data"]["payload"]["time"]))
            except websockets.ConnectionClosed:
                dropped[0] += 1
            return count

        async def read() -> None:
            number = 0
            while time.monotonic() < ends:
                due = time.monotonic() + 1 / load.reads if load.reads else ends
                asking.add(task := asyncio.create_task(ask(PATHS[number % len(PATHS)])))
                task.add_done_callback(asking.discard)
                number += 1
                await asyncio.sleep(max(0.0, due - time.monotonic()))

        async def ask(path: str) -> None:
            started = time.perf_counter()
            answer = await http.get(path)
            if answer.status_code != 200:
                failed[0] += 1
            elif time.monotonic() >= begun:
                read_latency.append((time.perf_counter() - started) * 1_000)

        asking: set[asyncio.Task[None]] = set()
        watching = [asyncio.create_task(one(ticket)) for ticket in tickets]
        for _ in watching:
            await connected.acquire()
        print("ready", flush=True)
        begun = time.monotonic() + WARM_UP
        ends = begun + load.seconds
        go.set()
        await read()
        counts = await asyncio.gather(*watching)
        await asyncio.gather(*asking)
    figures: dict[str, Any] = {"least": min(counts, default=0), "most": max(counts, default=0)}
    figures |= {"dropped": dropped[0], "failed": failed[0], "reads": len(read_latency)}
    for name, values in (("socket", socket_latency), ("read", read_latency)):
        figures[name] = [float(np.quantile(values, q)) for q in (0.5, 0.99)] if values else None
    print(json.dumps(figures), flush=True)


async def commits(app: Application, first: int, per_second: int, seconds: float) -> list[float]:
    """Steps as an engine's, so many a second; milliseconds that each commit took."""
    taken = []
    started = time.monotonic()
    for number in range(round(per_second * seconds)):
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
        time_now = int(now_ms())
        marked = EquityMarked(time_now, Decimal(10_000), Decimal(10_000) + number)
        begun = time.perf_counter()
        await app.journal.commit(StepRecord(BOOK, first + number, time_now, (marked,), (), None))
        taken.append((time.perf_counter() - begun) * 1_000)
    return taken


async def begin(app: Application) -> str:
    """A book and somebody to look at it; the access token."""
    clock_now = app.clock.now()
    entry = LedgerEntry("deposit", clock_now, LedgerKind.DEPOSIT, None, Decimal(10_000), Decimal(0), "start")
    await app.journal.commit(StepRecord(BOOK, 1, clock_now, (LedgerPosted((entry,)),), (), {"cash": "10000"}))
    user = User("load", "load", Role.VIEWER, hashed_password("a long enough password"), clock_now)
    await app.accounts.add_user(user, Note(clock_now, "benchmark", "user added", "load"))
    session = Session("load", "load", "127.0.0.1", "benchmark", clock_now, clock_now, clock_now + HOUR)
    await app.accounts.begin_session(session, "none", Note(clock_now, "load", "logged in"))
    tokens = AccessTokens(bootstrap.signing_key(app.settings), app.clock, app.settings.api.access_minutes)
    return tokens.issue(user, session).text


async def measured(load: Load) -> str:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        settings = Settings.model_validate({"data_directory": folder})
        async with open_application(settings) as app:
            token = await begin(app)
            me = [sys.executable, "-m", "benchmarks.api_load"]
            server = await asyncio.create_subprocess_exec(*me, "--serve", app.database.url, folder, str(port))
            try:
                address = f"http://127.0.0.1:{port}"
                await _until_up(address, server)
                alone = await commits(app, 10, load.events, load.seconds / 2)
                before = psutil.Process(server.pid).memory_info().rss
                asked = (str(value) for value in (load.clients, load.events, load.reads, load.seconds))
                watcher = await asyncio.create_subprocess_exec(
                    *me, "--watch", address, token, *asked, stdout=asyncio.subprocess.PIPE
                )
                await asyncio.wait_for(_first_line(watcher), 120)
                beside = await commits(app, 1_000_000, load.events, load.seconds + WARM_UP)
                said, _ = await watcher.communicate()
                after = psutil.Process(server.pid).memory_info().rss
            finally:
                server.terminate()
                await server.wait()
    return _told(load, json.loads(said), alone, beside, before, after)


async def _first_line(process: asyncio.subprocess.Process) -> bytes:
    return b"" if process.stdout is None else await process.stdout.readline()


async def _until_up(address: str, server: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient() as http:
        while True:
            if server.returncode is not None:
                raise SystemExit("The API ended before it had started.")
            with suppress(httpx.HTTPError):
                await http.get(f"{address}/health")
                return
            await asyncio.sleep(0.1)


def _told(load: Load, found: dict[str, Any], alone: list[float], beside: list[float], before: int, after: int) -> str:
    def pair(values: list[float]) -> tuple[str, str]:
        return f"{np.median(values):.1f}", f"{np.quantile(values, 0.99):.1f}"

    rows = [
        ("event to watcher", *(f"{value:.1f}" for value in found["socket"])),
        (f"read ({found['reads']:,} of them)", *(f"{value:.1f}" for value in found["read"])),
        ("engine's commit, nobody watches", *pair(alone)),
        ("engine's commit, under load", *pair(beside)),
    ]
    title = f"{load.clients} watchers at {load.events} events/s each, {load.reads} reads/s, {load.seconds:.0f} s"
    return table(title, ("milliseconds", "p50", "p99"), rows) + (
        f"\nEach watcher heard {found['least']:,} to {found['most']:,} events "
        f"({load.events * load.seconds:,.0f} were due); {found['dropped']} were dropped, "
        f"{found['failed']} reads failed. "
        f"Commit under load over alone: {np.median(beside) / np.median(alone):.2f} (median). "
        f"API process: {before / 2**20:.0f} MiB before, {after / 2**20:.0f} MiB after. {os.cpu_count()} cores, "
        f"load of the machine {os.getloadavg()[0]:.1f}.\n"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=200)
    options.add_argument("--events", type=int, default=50, help="a second")
    options.add_argument("--reads", type=int, default=50, help="a second")
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options.add_argument("--watch", nargs=6, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.serve[0], chosen.serve[1], int(chosen.serve[2])))
    elif chosen.watch:
        address, token, clients, events, reads, seconds = chosen.watch
        asyncio.run(watch(address, token, Load(int(clients), int(events), int(reads), float(seconds))))
    else:
        print(asyncio.run(measured(Load(chosen.clients, chosen.events, chosen.reads, chosen.seconds))))


if __name__ == "__main__":
    main()
