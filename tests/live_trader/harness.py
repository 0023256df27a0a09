"""Starting and killing the live trader, storing what it needs, and asking its database what it believes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live_trader.launch import Launch, outside_of
from tests.live_trader.steady import SteadyStrategy
from tests.local_exchanges.running import ROOT, RunningExchange

from tradepulse.bootstrap import Application, add_key, keys_of, open_application
from tradepulse.domain.market import MarketKind, SeriesKey, Timeframe
from tradepulse.domain.risk import UNLIMITED
from tradepulse.domain.training import Combination, Configuration, Origin, Stage
from tradepulse.domain.wallets import Assignment, KeyAnswer, KeyPermissions, Wallet, WalletMode
from tradepulse.shared.secrets import Credentials
from tradepulse.shared.settings import Settings


@dataclass(frozen=True)
class LiveWallet:
    """A wallet of the wallets file. ``terms``: parameters of the steady strategy, as far as they differ."""

    name: str
    exchange: RunningExchange
    symbols: tuple[str, ...] = ("BTC/USDT",)
    timeframe: str = "1m"
    account: str = "alice"
    limits: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, float | str] = field(default_factory=dict)
    with_key: bool = True
    mode: WalletMode = WalletMode.LIVE

    @property
    def exchange_id(self) -> str:
        return self.exchange.reach.exchange_id

    def series(self) -> list[SeriesKey]:
        return [SeriesKey(self.exchange_id, one, Timeframe.parse(self.timeframe)) for one in self.symbols]

    def as_wallet(self) -> Wallet:
        currency = self.symbols[0].split("/")[1]
        traded = tuple(Assignment(SteadyStrategy.strategy_id, series) for series in self.series())
        return Wallet(
            self.name, self.exchange_id, MarketKind.SPOT, WalletMode.LIVE, currency, self.name, traded, UNLIMITED
        )

    def as_entry(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "exchange": self.exchange_id,
            "mode": str(self.mode),
            "base_currency": self.symbols[0].split("/")[1],
            "book": self.name,
            "trades": [
                {"strategies": ["steady"], "symbols": list(self.symbols), "timeframes": [self.timeframe]},
            ],
            "limits": dict(self.limits),
        }


async def prepared(
    folder: Path,
    wallets: Sequence[LiveWallet],
    *,
    totals: Mapping[str, float] | None = None,
    database_url: str | None = None,
    clock: str = "",
    clock_file: str = "",
    speed: float = 10.0,
    settings: Mapping[str, Any] | None = None,
) -> Launch:
    """A wallets file, the wallets' keys, and configurations in force; what is to be launched.

    Without a URL the trader has an embedded PostgreSQL in ``folder``, started by whoever comes first.
    """
    file = folder / "wallets.json"
    file.write_text(json.dumps({"totals": dict(totals or {}), "wallets": [one.as_entry() for one in wallets]}))
    launch = Launch(
        settings={
            "data_directory": str(folder / "data"),
            "wallets_file": str(file),
            "database": {} if database_url is None else {"url": database_url},
            "trading": {"min_confluence": 0.1},
            "risk": {"max_candle_age": 2, "price_band": 0, "max_slippage": 0},
            **(settings or {}),
        },
        reaches=[one.exchange.reach.as_json() for one in {id(w.exchange): w for w in wallets}.values()],
        clock=clock,
        clock_file=clock_file,
        bursts={one.exchange_id: 1e6 for one in wallets} if clock else {},
        speed=speed,
        mode=str(wallets[0].mode),
    )
    async with opened(launch) as app:
        keys = keys_of(app)
        for series, terms in [
            (series, one.terms) for one in wallets if launch.mode == "paper" for series in one.series()
        ]:
            await _put_into_force(app, series, terms)
        for one in [each for each in wallets if each.with_key and launch.mode == "live"]:
            wallet = one.as_wallet()
            credentials = one.exchange.keys(one.account).credentials()
            # An exchange whose time stands still refuses what was signed at ours.
            ask = _good if clock else outside_of(launch).ask_permissions
            state, _ = await add_key(keys, wallet, credentials, app.clock.now(), consent_by="test", ask=ask)
            assert state.entries_refused(app.clock.now()) is None
            for series in one.series():
                await _put_into_force(app, series, one.terms)
    return launch


async def _good(exchange: str, kind: MarketKind, credentials: Credentials) -> KeyAnswer:
    return KeyAnswer(KeyPermissions(trade=True, read=True, withdraw=False, ip_restricted=True))


async def _put_into_force(app: Application, series: SeriesKey, terms: Mapping[str, float | str]) -> None:
    now, parameters = app.clock.now(), SteadyStrategy().parameters(**dict(terms))
    await app.configurations.add(
        Configuration(
            configuration_id="",
            combination=Combination(series, SteadyStrategy.strategy_id, None),
            version=0,
            values=dict(parameters.values),
            parameters_id=parameters.parameters_id,
            origin=Origin.TUNED,
            stage=Stage.MATURE,
            active=True,
            evidence={},
            job_id=None,
            created_at=now,
            activated_at=now,
            activated_by="a person",
        ),
        reason="for a test",
    )


@asynccontextmanager
async def opened(launch: Launch) -> AsyncIterator[Application]:
    """The trader's own database, beside it or after it."""
    async with open_application(Settings(**launch.settings)) as app:
        yield app


class RunningTrader:
    """``lines``: everything it has said since it was started, read beside."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        told = [one for one in list(self.lines) if one["kind"] == "event"]
        return [one["event"] for one in told if kind in ("", one["type"])]

    def states(self) -> list[str]:
        return [one["text"] for one in list(self.lines) if one["kind"] == "state"]

    async def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert self.process.poll() is None, f"it ended:\n{self.said()}"
            if time.monotonic() >= deadline:
                self.process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(1)
                raise AssertionError(f"it did not happen:\n{self.said()}")
            await asyncio.sleep(0.02)

    def said(self) -> str:
        last = [json.dumps(one)[:600] for one in self.lines[-30:]]
        return "\n".join([*last, self.log.read_text()[-12000:]])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(10)

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code


@contextmanager
def running_trader(launch: Launch, folder: Path) -> Iterator[RunningTrader]:
    """A process of its own; killed at the end if it is still there."""
    file, log = folder / "launch.json", folder / "trader.log"
    file.write_text(launch.as_json())
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.live_trader.launcher", str(file)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    trader = RunningTrader(process, log)
    try:
        yield trader
    finally:
        trader.kill()
        assert process.stdout is not None
        process.stdout.close()


async def ready(trader: RunningTrader, wallets: int = 1) -> None:
    """They have begun, and their books were found to agree with their accounts."""

    def told() -> bool:
        return sum(one["cause"] == "reconciliation not finished" for one in trader.events("Ready")) >= wallets

    await trader.until(told, 90)
