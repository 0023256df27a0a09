"""Local exchanges that run: in a thread of the test's process, or in a process of their own, with the same handle."""

import asyncio
import http.client
import importlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import trustme
from aiohttp import web
from tests.local_exchanges.control import Control
from tests.local_exchanges.fault_rules import FaultRule
from tests.local_exchanges.network import LoopbackResolver, PatientConnector
from tests.local_exchanges.protection_timeline import Cover, Uncovered, longest_uncovered, uncovered
from tests.local_exchanges.venue import Keys, Setup, Venue

ROOT = Path(__file__).resolve().parents[2]
ORPHAN_CHECK_SECONDS = 0.5
TICK_SECONDS = 0.1
ISSUED: list[Keys] = []
"""All keys that exchanges gave out to tests of this process, for who looks where they get to."""


@dataclass(frozen=True)
class Reach:
    """How to reach a running exchange, as plain JSON: from another process, ``Reach.of`` and ``private_session``."""

    exchange_id: str
    hosts: tuple[str, ...]
    symbols: tuple[str, ...]
    port: int
    control_port: int
    authority: str
    """The certificate that vouches for it, as PEM."""
    keys: dict[str, dict[str, str]]
    options: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return vars(self) | {"hosts": list(self.hosts), "symbols": list(self.symbols)}

    @classmethod
    def of(cls, sent: dict[str, Any]) -> "Reach":
        return cls(**{**sent, "hosts": tuple(sent["hosts"]), "symbols": tuple(sent["symbols"])})


@asynccontextmanager
async def private_session(*reaches: Reach) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session that reaches these exchanges under their real names, and nothing else."""
    trusting = ssl.create_default_context()
    ports: dict[str, int] = {}
    for reach in reaches:
        trusting.load_verify_locations(cadata=reach.authority)
        ports |= dict.fromkeys(reach.hosts, reach.port)
    connector = PatientConnector(resolver=LoopbackResolver(ports), ssl=trusting)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


class RunningExchange:
    """A handle on a local exchange. Prices and amounts go in as decimal strings; without a symbol, the first is meant.

    Every method is synchronous and returns when the exchange has done it.
    """

    def __init__(self, reach: Reach, process: subprocess.Popen[str] | None = None) -> None:
        self.reach = reach
        self.process = process
        ISSUED.extend(Keys(**keys) for keys in reach.keys.values())

    # Reaching it.

    def keys(self, account: str = "alice") -> Keys:
        return Keys(**self.reach.keys[account])

    def config(self, account: str | None = "alice") -> dict[str, Any]:
        """What a ccxt client of this account is made with, apart from its session."""
        keys = {} if account is None else self.reach.keys[account]
        named = {"apiKey": "api_key", "secret": "secret", "password": "password"}
        return {
            **{theirs: keys[ours] for theirs, ours in named.items() if keys},
            "enableRateLimit": False,
            "timeout": 5_000,
            "timeout_on_exit": 0,
            "options": dict(self.reach.options),
        }

    @asynccontextmanager
    async def client(self, account: str | None = "alice", **config: Any) -> AsyncIterator[Any]:
        """An unmodified ccxt.pro client (which is ccxt's async client too), closed at the end."""
        async with private_session(self.reach) as session:
            options = self.config(account)["options"] | config.pop("options", {})
            merged = {**self.config(account), "session": session, **config, "options": options}
            client = getattr(ccxt.pro, self.reach.exchange_id)(merged)
            try:
                yield client
            finally:
                await client.close()

    # The market.

    def price(self, last: str, symbol: str = "", **terms: Any) -> None:
        """A trade at this price, and bid and ask (the same unless given) as quoted from now on.

        ``depth``: how much can be traded until the next price. ``largest_trade``: executions come in such pieces.
        """
        self._ask("price", symbol=symbol, last=last, **terms)

    def path(self, *prices: str, symbol: str = "") -> None:
        for price in prices:
            self.price(price, symbol)

    def trade(self, price: str, quantity: str, symbol: str = "") -> None:
        """A trade between others, with the quotes as they are."""
        self._ask("trade", symbol=symbol, price=price, quantity=quantity)

    def candle(self, *prices: str, volume: str = "1", symbol: str = "") -> None:
        """Trades at these prices, and the minute is over. For clocks that stand still."""
        self._ask("candle", symbol=symbol, prices=prices, volume=volume)

    def history(self, rows: Sequence[Sequence[Any]], symbol: str = "") -> None:
        self._ask("history", symbol=symbol, rows=[list(row) for row in rows])

    def market_status(self, status: str, symbol: str = "") -> None:
        """TRADING again, or HALT, BREAK and what else an exchange says."""
        self._ask("market_status", symbol=symbol, status=status)

    def instrument(self, symbol: str = "", **terms: Any) -> None:
        self._ask("instrument", symbol=symbol, terms=terms)

    def clock(self, **changes: int) -> int:
        """``now``, ``advance`` or ``skew``, in milliseconds. Returns the exchange's time."""
        return int(self._ask("clock", **changes))

    # What others do.

    def deposit(self, asset: str, amount: str, account: str = "alice") -> None:
        self._ask("deposit", account=account, asset=asset, amount=amount)

    def fill(self, order: str, quantity: str, price: str | None = None, account: str = "alice") -> None:
        """So much of this order (its id or client id) trades, whatever is quoted."""
        self._ask("fill", account=account, order=order, quantity=quantity, price=price)

    def cancel(self, order: str, account: str = "alice", reason: str = "USER") -> None:
        self._ask("cancel", account=account, order=order, reason=reason)

    def place(self, side: str, quantity: str, account: str = "alice", symbol: str = "", **terms: Any) -> Any:
        """By hand, on the website."""
        return self._ask("place", account=account, symbol=symbol, side=side, quantity=quantity, **terms)

    # Faults.

    def fault(self, rule: FaultRule) -> int:
        return int(self._ask("fault", rule=rule.as_json()))

    def fault_hits(self, number: int) -> int:
        return int(self._ask("fault_hits", number=number))

    def clear_faults(self) -> None:
        self._ask("clear_faults")

    def stream_faults(self, **faults: Any) -> None:
        """The fields of ``StreamFaults``; without any, streams are well again."""
        self._ask("stream_faults", **faults)

    def close_streams(self, code: int = 1001, path: str = "") -> int:
        return int(self._ask("close_streams", code=code, path=path))

    def cut_streams(self, path: str = "") -> int:
        return int(self._ask("cut_streams", path=path))

    def venue(self, name: str, **arguments: Any) -> Any:
        """What only this exchange can do."""
        return self._ask("venue", name=name, **arguments)

    # Questions.

    def balance(self, asset: str, account: str = "alice", kind: str = "total") -> Decimal:
        """``kind``: free, locked or total."""
        return Decimal(self._ask("balances", account=account).get(asset, {}).get(kind, "0"))

    def orders(self, account: str = "alice", *, open_only: bool = False) -> list[dict[str, Any]]:
        orders: list[dict[str, Any]] = self._ask("orders", account=account, open_only=open_only)
        return orders

    def order(self, named: str, account: str = "alice") -> dict[str, Any]:
        """The latest with this id or client id."""
        return next(each for each in reversed(self.orders(account)) if named in (each["id"], each["client_id"]))

    def fills(self, account: str = "alice") -> list[dict[str, Any]]:
        fills: list[dict[str, Any]] = self._ask("fills", account=account)
        return fills

    def statement(self, account: str = "alice", since: int = 0) -> dict[str, Any]:
        """Balances, resting orders and the executions from number ``since`` on, all of one moment."""
        told: dict[str, Any] = self._ask("statement", account=account, since=since)
        return told

    def covers(self, account: str = "alice", symbol: str = "") -> list[Cover]:
        told = self._ask("covers", account=account, symbol=symbol)
        amounts = ("held", "stopped")
        return [Cover(**{**each, **{name: Decimal(each[name]) for name in amounts}}) for each in told]

    def postings(self, account: str = "alice") -> list[dict[str, Any]]:
        postings: list[dict[str, Any]] = self._ask("postings", account=account)
        return postings

    def uncovered(self, account: str = "alice", symbol: str = "", tolerance: str = "0.00001") -> list[Uncovered]:
        """When more was held than resting stops would sell. ``tolerance``: dust that no stop can sell."""
        return uncovered(self.covers(account, symbol), Decimal(tolerance))

    def longest_uncovered(self, account: str = "alice", symbol: str = "", tolerance: str = "0.00001") -> int:
        """Milliseconds of the exchange's clock."""
        return longest_uncovered(self.uncovered(account, symbol, tolerance), self.clock())

    def requests(self, path: str = "", method: str = "", since: int = 0) -> list[dict[str, Any]]:
        """``since``: without the first so many that ever came."""
        asked = self._ask("requests", since=since)
        return [each for each in asked if path in each["path"] and method in ("", each["method"])]

    def closings(self, symbol: str = "") -> list[dict[str, Any]]:
        """Open time of every candle that was told as closed, and when, in seconds of the monotonic clock."""
        told: list[dict[str, Any]] = self._ask("closings", symbol=symbol)
        return told

    def streams(self) -> dict[str, Any]:
        told: dict[str, Any] = self._ask("streams")
        return told

    def _ask(self, action: str, /, **arguments: Any) -> Any:
        if arguments.get("symbol") == "":
            arguments["symbol"] = self.reach.symbols[0]
        connection = http.client.HTTPConnection("127.0.0.1", self.reach.control_port, timeout=30)
        try:
            connection.request("POST", f"/{action}", json.dumps(arguments))
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{self.reach.exchange_id} refused {action}: {told['error']}")
        return told


def venue_of(setup: Setup) -> Venue:
    """Every exchange's module names its class ``VENUE``."""
    kind: type[Venue] = importlib.import_module(f"tests.local_exchanges.{setup.exchange}").VENUE
    return kind(setup)


@contextmanager
def local_exchange(
    exchange: str,
    *,
    seed: int = 0,
    frozen_at: int | None = None,
    clock_file: Path | None = None,
    markets: dict[str, dict[str, str | None]] | None = None,
    accounts: dict[str, dict[str, str]] | None = None,
    own_process: bool = False,
    **options: Any,
) -> Iterator[RunningExchange]:
    """``markets`` and ``accounts``: see ``Setup``; otherwise BTC against the exchange's usual quote at 50000, and
    alice with 10000 of it. ``own_process``: survives whatever happens to the processes that trade on it, and ends
    with this one. ``frozen_at``: the exchange's clock stands still there until it is moved; ``clock_file``: of a
    ``SharedClock``, which is the exchange's.
    """
    file = None if clock_file is None else str(clock_file)
    setup = Setup(exchange, seed, frozen_at, file, markets or {}, accounts or {}, options)
    with _process(setup) if own_process else _thread(setup) as running:
        yield running


@asynccontextmanager
async def served(venue: Venue) -> AsyncIterator[Reach]:
    """Serve it in this event loop, on loopback, with a certificate of an authority of its own."""
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*venue.hosts).configure_cert(serving)
    async with AsyncExitStack() as stack:
        port = await _listening(stack, venue.application(), serving)
        control_port = await _listening(stack, Control(venue).application(), None)
        ticking = asyncio.create_task(_tick(venue))
        stack.callback(ticking.cancel)
        stack.callback(venue.closing.set)
        stack.push_async_callback(venue.streams.close)
        keys = {account: vars(each) for account, each in venue.keys.items()}
        pem = authority.cert_pem.bytes().decode()
        symbols = tuple(venue.spot.markets)
        yield Reach(venue.exchange_id, venue.hosts, symbols, port, control_port, pem, keys, venue.client_options())


async def _listening(stack: AsyncExitStack, application: web.Application, tls: ssl.SSLContext | None) -> int:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port: int = runner.addresses[0][1]
    return port


async def _tick(venue: Venue) -> None:
    """Minutes of a running clock end even when nobody asks anything."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        venue.spot.pass_time()
        venue.on_tick()


@contextmanager
def _thread(setup: Setup) -> Iterator[RunningExchange]:
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()
    told: list[Reach | BaseException] = []

    async def serve() -> None:
        async with served(venue_of(setup)) as reach:
            told.append(reach)
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            # Raised again by whoever waits for the server in the other thread.
            if ready.is_set():
                raise
            told.append(error)
            ready.set()

    thread = threading.Thread(target=run, name=f"local {setup.exchange}")
    thread.start()
    try:
        ready.wait()
        if isinstance(told[0], BaseException):
            raise told[0]
        yield RunningExchange(told[0])
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@contextmanager
def _process(setup: Setup) -> Iterator[RunningExchange]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.local_exchanges.running"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(setup.as_json()) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"The local {setup.exchange} did not start: see its error output.")
        yield RunningExchange(Reach.of(json.loads(line)), process)
    finally:
        _end(process)
        process.stdin.close()
        process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    """With its goodbyes, unless somebody who was killed does not hear them."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _serve_until_orphaned(setup: Setup, parent: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with served(venue_of(setup)) as reach:
        sys.stdout.write(json.dumps(reach.as_json()) + "\n")
        sys.stdout.flush()
        while os.getppid() == parent and not stopped.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), ORPHAN_CHECK_SECONDS)


if __name__ == "__main__":
    asyncio.run(_serve_until_orphaned(Setup(**json.loads(sys.stdin.readline())), os.getppid()))
