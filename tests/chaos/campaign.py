"""One exchange, one life of the trader after the other; see the package's docstring."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from tests.chaos.audit import Ours, Theirs, differences, doubled, kept_of, unsettled
from tests.chaos.deaths import Death, Manner
from tests.chaos.life import Life
from tests.chaos.nursery import KILLED, ROOT, Nursery, environment
from tests.chaos.stopless import Cause, Course, Dust, Stretch, stretches
from tests.chaos.weather import ORDERS, Weather
from tests.live_trader.harness import LiveWallet, prepared
from tests.live_trader.launch import Launch
from tests.local_exchanges.clock import SharedClock
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.shared.clock import SystemClock

BEGIN = 1_893_456_000_000
"""2030: after every time of the machine, by which keys are checked before; Kraken wants numbers that rise."""
CASH = "100000"
SPEED = 20.0
TIMEOUT_MS = 700
"""Of the trader's requests, in the machine's time."""
STEP_SECONDS, PRICE_SECONDS = 0.01, 0.06
START_SECONDS, LIFE_SECONDS = 1.0, 3.5
FOUL_SECONDS = 2.0
"""For how long a start may be spoilt."""
SETTLE_SECONDS, BIRTH_SECONDS = 60.0, 120.0
FRESH = 25
"""Every so many-th life begins with a new interpreter."""
TROUBLE = ("TransientError", "BannedError")
"""With which a trader may end by itself: it is started again, as a supervisor does."""
ENDS_IN_A_ROW = 20
"""After so many without a recovery in between it is no passing trouble."""
RECONCILED = "reconciliation not finished"
TERMS = {"stop_share": 0.004, "reward_risk": 1.5, "max_bars_in_trade": 10, "chance": 0.6}
SETTINGS = {"risk": {"max_candle_age": 2, "price_band": 0, "max_slippage": 0, "daily_loss": 0, "entries_per_minute": 0}}
"""A day of losses would end the trading, and with it the chaos."""
FEE = "0.0002"
PRICES = {"BTC": "50000", "ETH": "3000", "LTC": "100"}
QUOTES = {"coinbase": "USD"}


class BooksDifferError(AssertionError):
    """What was lost, doubled, or left bare, with where the logs are."""


@dataclass
class Tally:
    """What came of a campaign."""

    exchange: str
    seed: int
    kills: int = 0
    manners: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    """Kills after which the book knew of orders on their way."""
    audits: int = 0
    births: list[float] = field(default_factory=list)
    settling: list[float] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    """Lives that ended by themselves, by the error."""
    weather: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    executions: int = 0
    trades: int = 0
    alarms: Counter[str] = field(default_factory=Counter)
    stretches: list[Stretch] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Trader:
    pid: int
    log: Path
    facts: "Facts"
    died: Callable[[], int | None]


class Facts:
    """What a trader has told, read bit by bit."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self.ready = False

    def look(self) -> bool:
        """Whether its book was compared with the account, and both agreed."""
        if self.ready or not self._file.exists():
            return self.ready
        with self._file.open("rb") as file:
            file.seek(self._read)
            *lines, rest = file.read().split(b"\n")
            self._read = file.tell() - len(rest)
        told = [json.loads(line) for line in lines]
        self.ready = any(one.get("type") == "Ready" and one["event"]["cause"] == RECONCILED for one in told)
        return self.ready


class Campaign:
    def __init__(
        self, exchange_id: str, seed: int, folder: Path, database: str, nursery: Nursery, bound: float
    ) -> None:
        self.folder = folder / exchange_id
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tally = Tally(exchange_id, seed)
        self._id, self._seed, self._database, self._nursery, self._bound = exchange_id, seed, database, nursery, bound
        self._chance = random.Random(f"{seed} {exchange_id}")  # noqa: S311
        now = SystemClock().now()
        self._clock = SharedClock(self.folder / "exchange.clock", now)
        self._theirs_clock = SharedClock(self.folder / "trader.clock", now)
        self._dead: list[tuple[float, float]] = []
        self._dust: dict[str, list[Dust]] = {}
        self._births = 0
        self._ends_in_a_row = 0
        self._prices: dict[str, float] = {}
        self._moved_at = self._stepped_at = 0.0

    # --- the whole of it

    def run(self, kills: int) -> Tally:
        quote = QUOTES.get(self._id, "USDT")
        markets: dict[str, dict[str, str | None]] = {
            f"{base}/{quote}": {"last": last, "largest_market_quantity": "1000000", "maker": FEE, "taker": FEE}
            for base, last in PRICES.items()
        }
        began = time.monotonic()
        with (
            psycopg.connect(self._database, autocommit=True) as connection,
            local_exchange(
                self._id,
                seed=self._seed,
                clock_file=self.folder / "exchange.clock",
                markets=markets,
                accounts={"alice": {quote: CASH}},
                own_process=True,
                **_options(self._id, list(markets)),
            ) as exchange,
        ):
            self._open(exchange, connection, markets)
            with self._by_the_machines_time():
                self._launch = asyncio.run(self._prepared(exchange, tuple(markets)))
            self._clock.set(BEGIN)
            try:
                self._lives(kills)
                self._close()
            except BooksDifferError as error:
                self.tally.problems.append(str(error))
            self.tally.seconds = time.monotonic() - began
        return self.tally

    def _open(self, exchange: RunningExchange, connection: Any, markets: dict[str, Any]) -> None:
        self._exchange = exchange
        self._book = self._id
        self._theirs, self._ours = Theirs(exchange), Ours(connection, self._book)
        self._weather = Weather(exchange, self._chance)
        self._prices = {symbol: float(terms["last"]) for symbol, terms in markets.items()}
        self._dust = {symbol: [] for symbol in markets}

    @contextmanager
    def _by_the_machines_time(self) -> Iterator[None]:
        """Keys are checked by it."""
        checked = threading.Event()

        def keep() -> None:
            while not checked.wait(0.1):
                self._clock.set(SystemClock().now())

        keeping = threading.Thread(target=keep)
        keeping.start()
        try:
            yield
        finally:
            checked.set()
            keeping.join()

    async def _prepared(self, exchange: RunningExchange, symbols: tuple[str, ...]) -> Launch:
        wallet = LiveWallet(self._id, exchange, symbols, terms=TERMS)
        clock = str(self.folder / "trader.clock")
        launch = await prepared(
            self.folder, [wallet], database_url=self._database, clock_file=clock, speed=SPEED, settings=SETTINGS
        )
        return replace(launch, timeout_ms=TIMEOUT_MS)

    def _lives(self, kills: int) -> None:
        trader = self._born()
        while self.tally.kills < kills:
            death = Death.drawn(self._chance, START_SECONDS, LIFE_SECONDS)
            trader = self._lived(trader, death)
        self._weather.clear()
        self._recovered(trader)
        self._audit(trader)
        os.kill(trader.pid, signal.SIGKILL)
        self._wait_for_the_end(trader)

    def _lived(self, trader: Trader, death: Death) -> Trader:
        """To its death, and the next one is born."""
        if death.manner is Manner.STARTING:
            return self._killed(trader, death, self._go_on(death.after, trader))
        if not self._recovered(trader):
            return self._after_an_end(trader)
        self._audit(trader)
        rule = death.rule(trader.pid, ORDERS[self._id])
        if rule is not None:
            self._exchange.fault(rule)
        self._weather.spoil()
        return self._killed(trader, death, self._go_on(death.after, trader))

    def _killed(self, trader: Trader, death: Death, ended: int | None) -> Trader:
        if ended is None:
            os.kill(trader.pid, signal.SIGKILL)
            ended = self._wait_for_the_end(trader)
        if ended != KILLED:
            return self._after_an_end(trader)
        now = time.monotonic()
        self._dead.append((now, now))
        self.tally.kills += 1
        self.tally.manners[death.manner] += 1
        self._ours.read()
        self.tally.in_flight += bool(self._ours.snapshot) and bool(unsettled(self._ours))
        self._weather.clear()
        if self._chance.random() < 0.35:
            self._weather.spoil()
        self._pass_time(self._chance.choice((0.0, 0.0, 0.05, 0.4)))
        return self._born()

    def _after_an_end(self, trader: Trader) -> Trader:
        """It has ended by itself: an engine in trouble halts and is started again."""
        error = _last_error(trader.log)
        self.tally.ended[error] += 1
        if not error.startswith(TROUBLE):
            self._fail(f"The trader ended by itself: {error}", trader)
        self._ends_in_a_row += 1
        if self._ends_in_a_row == ENDS_IN_A_ROW:
            self._fail(f"The trader ended by itself {ENDS_IN_A_ROW} times in a row: {error}", trader)
        now = time.monotonic()
        self._dead.append((now, now))
        self._weather.clear()
        return self._born()

    # --- birth and recovery

    def _born(self) -> Trader:
        self._births += 1
        self._weather.skew = 0
        log, facts = (self.folder / f"life-{self._births:04d}.{kind}" for kind in ("log", "facts"))
        life = Life(asdict(self._launch), str(facts), str(log))
        self._born_at = time.monotonic()
        if self._births % FRESH == 0:
            return self._fresh(life)
        pid = self._nursery.born(life.as_json())
        return Trader(pid, log, Facts(facts), lambda: self._nursery.died(pid))

    def _fresh(self, life: Life) -> Trader:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.trader"], cwd=ROOT, env=environment(), stdin=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(life.as_json() + "\n")
        process.stdin.close()
        return Trader(process.pid, Path(life.log), Facts(Path(life.facts)), process.poll)

    def _recovered(self, trader: Trader) -> bool:
        """Until its recovery is over and its book reconciled; ``False`` when it has ended instead."""
        while not trader.facts.look():
            lived = time.monotonic() - self._born_at
            if trader.died() is not None:
                return False
            if lived > BIRTH_SECONDS:
                self._fail(f"The trader has not recovered in {lived:.0f} s", trader)
            if lived > FOUL_SECONDS:
                self._weather.clear()
            self._go_on(0.03, trader)
        now = time.monotonic()
        self.tally.births.append(now - self._born_at)
        self._ends_in_a_row = 0
        self._dead[-1:] = [(since, now) for since, _ in self._dead[-1:]]
        return True

    # --- time and prices

    def _go_on(self, seconds: float, trader: Trader) -> int | None:
        """So many seconds of the market, or until the trader ends: how."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if (ended := trader.died()) is not None:
                return ended
            self._step()
            self._move()
        return trader.died()

    def _pass_time(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._step()
            self._move()

    def _step(self) -> None:
        """The clock follows the machine's, twenty times as fast, and never by more than a few steps at once."""
        time.sleep(STEP_SECONDS)
        now = time.monotonic()
        passed = min(now - self._stepped_at, 5 * STEP_SECONDS)
        self._stepped_at = now
        self._clock.advance(round(1000 * SPEED * passed))
        self._theirs_clock.set(self._clock.now() + self._weather.skew)

    def _move(self) -> None:
        now = time.monotonic()
        if now - self._moved_at < PRICE_SECONDS:
            return
        self._moved_at = now
        symbol = self._chance.choice(list(self._prices))
        # Drawn back to where it began, so that it stays a price.
        home = float(PRICES[symbol.split("/")[0]])
        self._prices[symbol] *= 1 + self._chance.gauss(0, 0.0015) + 0.002 * (home / self._prices[symbol] - 1)
        price = self._prices[symbol]
        depth, largest = self._chance.choice((0.3, 3.0)) * home, self._chance.choice((0.01, 0.2)) * home
        self._exchange.price(
            f"{price:.2f}", symbol, depth=f"{10 * depth / price:.5f}", largest_trade=f"{100 * largest / price:.5f}"
        )

    def _offer(self) -> None:
        """There are buyers and sellers again at the same prices: who is leaving a position cannot without."""
        now = time.monotonic()
        if now - self._moved_at < PRICE_SECONDS:
            return
        self._moved_at = now
        for symbol, price in self._prices.items():
            self._exchange.price(f"{price:.2f}", symbol)

    # --- the audit

    def _audit(self, trader: Trader) -> None:
        """All is well and no price moves; then book and ledger must soon be the same, and all that is held covered."""
        self._weather.clear()
        began = time.monotonic()
        while problems := self._problems():
            if trader.died() is not None:
                self._fail(f"The trader ended by itself: {_last_error(trader.log)}", trader)
            if time.monotonic() - began > SETTLE_SECONDS:
                self._fail("; ".join(problems), trader)
            for _ in range(3):
                self._step()
            self._offer()
        now = time.monotonic()
        self.tally.audits += 1
        self.tally.settling.append(now - began)
        for symbol, moments in self._dust.items():
            moments.append(Dust(now, kept_of(self._theirs, self._ours, symbol)))

    def _problems(self) -> list[str]:
        self._theirs.read()
        self._ours.read()
        return unsettled(self._ours) or differences(self._theirs, self._ours)

    def _wait_for_the_end(self, trader: Trader) -> int:
        until = time.monotonic() + 20
        while (ended := trader.died()) is None:
            if time.monotonic() > until:
                self._fail("The trader does not die", trader)
            time.sleep(0.002)
        return ended

    def _fail(self, problem: str, trader: Trader) -> None:
        with suppress(ProcessLookupError):
            os.kill(trader.pid, signal.SIGUSR1)
            time.sleep(0.3)
            os.kill(trader.pid, signal.SIGKILL)
        (self.folder / "requests.json").write_text(json.dumps(self._exchange.requests()[-400:], indent=1))
        (self.folder / "orders.json").write_text(json.dumps(self._exchange.orders()[-60:], indent=1))
        (self.folder / "snapshot.json").write_text(json.dumps(self._ours.snapshot, indent=1))
        raise BooksDifferError(
            f"{self._id}, seed {self._seed}, after {self.tally.kills} kills: {problem}. See {trader.log} and beside it."
        )

    # --- the end

    def _close(self) -> None:
        tally, orders = self.tally, self._exchange.orders()
        rows = self._ours.database.execute(
            "select client_id, lots * lot_size from orders join markets using (exchange, symbol) where book = %s",
            (self._book,),
        )
        tally.problems += doubled(orders, dict(rows.fetchall()))
        tally.orders, tally.executions, tally.trades = len(orders), self._theirs.executions, self._ours.trades
        tally.alarms, tally.weather = Counter(self._ours.alarms), Counter(self._weather.drawn)
        tally.problems += [f"alarm '{name}'" for name in ("oversold", "taken") if tally.alarms[name]]
        course = self._course()
        for symbol, dust in self._dust.items():
            covers, lot = self._exchange.covers(symbol=symbol), self._ours.lots[symbol]
            tally.stretches += stretches(covers, dust, lot, course, time.monotonic())
        bare = [vars(each) for each in tally.stretches if each.cause is Cause.ELSE]
        if bare:
            (self.folder / "without-a-stop.json").write_text(json.dumps(bare, indent=1, default=str))
            (self.folder / "requests.json").write_text(json.dumps(self._exchange.requests(), indent=1))

    def _course(self) -> Course:
        asked = self._exchange.requests()
        hit = [(each["seconds"], each["seconds"]) for each in asked if each["fault"] is not None]
        orders = [each["seconds"] for each in asked if self._is_order(each)]
        faults = sorted([*hit, *((since, until) for since, until, _ in self._weather.active)])
        return Course(self._dead, faults, sorted(orders), self._bound)

    def _is_order(self, asked: dict[str, Any]) -> bool:
        return asked["method"] != "GET" and re.search(ORDERS[self._id], asked["path"]) is not None


def _options(exchange: str, symbols: list[str]) -> dict[str, Any]:
    """What an exchange counts by the machine's time passes as fast as everything else."""
    if exchange == "kraken":
        return {"counter_decay": 0.5 * SPEED, "order_decay": 2.34 * SPEED}
    return {"brackets": symbols} if exchange == "coinbase" else {}


def _last_error(log: Path) -> str:
    """What the last traceback ends with, without where the error was defined."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    raised = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception)\b.*)$", text, re.MULTILINE)
    return str(raised[-1]) if raised else "it said nothing"
