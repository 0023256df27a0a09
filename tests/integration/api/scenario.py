"""A deterministic day of a paper book, told through the ports the API reads: what the tests look at."""

import asyncio
import itertools
import math
import random
import threading
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from tests.unit.meta_controller.hours import facts

from tradepulse.api.deps import Services
from tradepulse.bootstrap.jobs import BackgroundJobs
from tradepulse.bootstrap.schedules import Schedules
from tradepulse.bootstrap.training import trainable
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.policy import Policy
from tradepulse.domain.training import TrainingRequest, TrainingUnit
from tradepulse.meta_controller.controller import MetaController
from tradepulse.policy.parameter_ranges import ParameterRanges
from tradepulse.policy.trained_assets import TrainedAssetsManager
from tradepulse.ports import JsonObject, LedgerCheck, SeriesCoverage, WriteResult
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import RefusedError
from tradepulse.shared.secrets import Credentials
from tradepulse.storage.embeddings_in_memory import InMemoryEmbeddingStore
from tradepulse.storage.in_memory import InMemoryCommandInbox, InMemoryConfigurationStore, InMemoryTrainingStore
from tradepulse.storage.in_memory_jobs import InMemoryJobStore, InMemoryResultStore, InMemoryScheduleStore
from tradepulse.storage.in_memory_users import InMemoryAccounts, InMemoryAnswers
from tradepulse.storage.parameter_ranges_in_memory import InMemoryParameterRangeStore
from tradepulse.storage.policies_in_memory import InMemoryPolicyStore
from tradepulse.strategies import STRATEGIES as KNOWN_STRATEGIES

BOOK = "paper"
EXCHANGE = "simulated"
BTC = SeriesKey(EXCHANGE, "BTC/USDT", Timeframe.M1)
ETH = SeriesKey(EXCHANGE, "ETH/USDT", Timeframe.M1)
BTC_5M = SeriesKey(EXCHANGE, "BTC/USDT", Timeframe.M5)
SOL_WITH_GAP = SeriesKey(EXCHANGE, "SOL/USDT", Timeframe.M15)
START = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""
CANDLE_COUNT = 30 * 1440
LAST_DAY = CANDLE_COUNT - 1440
SIGNING_KEY = bytes(range(32))
STRATEGIES = ("htf_sweep", "volume_breakout", "divergence_capitulation")


def walk(seed: int, count: int, price: float, step: int, digits: int) -> list[Candle]:
    """Prices in waves, so that all three regimes come by; a pure function of its arguments, walked once."""
    return list(_walked(seed, count, price, step, digits))


@cache
def _walked(seed: int, count: int, price: float, step: int, digits: int) -> tuple[Candle, ...]:
    chance = random.Random(seed)  # noqa: S311 - a picture, not a secret
    rows = []
    for index in range(count):
        drift = math.sin(index / 900) * 0.00012
        close = price * math.exp(drift + chance.gauss(0, 0.0007))
        high = max(price, close) * (1 + abs(chance.gauss(0, 0.0004)))
        low = min(price, close) * (1 - abs(chance.gauss(0, 0.0004)))
        volume = abs(chance.gauss(12, 4)) * (1 + 8 * abs(close / price - 1) * 100)
        rows.append(
            Candle(
                START + index * step,
                round(price, digits),
                round(high, digits),
                round(low, digits),
                round(close, digits),
                round(volume, 4),
            )
        )
        price = close
    return tuple(rows)


def joined(rows: list[Candle], count: int) -> list[Candle]:
    """Every ``count`` candles as one."""
    groups = [rows[start : start + count] for start in range(0, len(rows), count)]
    return [
        Candle(
            group[0].open_time,
            group[0].open,
            max(row.high for row in group),
            min(row.low for row in group),
            group[-1].close,
            sum(row.volume for row in group),
        )
        for group in groups
    ]


class StoredCandles:
    """A ``CandleStore`` in memory."""

    def __init__(self, rows: dict[SeriesKey, list[Candle]]) -> None:
        self.rows = rows
        self.markets = {
            series.market: MarketSpec(
                key=series.market,
                base=series.symbol.split("/")[0],
                quote="USDT",
                kind=MarketKind.SPOT,
                tick_size=Decimal("0.1") if series.symbol == "BTC/USDT" else Decimal("0.01"),
                lot_size=Decimal("0.00001"),
                min_notional=Decimal(5),
                maker_ppm=1000,
                taker_ppm=1000,
                slippage_ppm=100,
                simulated=True,
                source="simulated exchange",
            )
            for series in rows
        }

    async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False) -> WriteResult:
        raise NotImplementedError

    async def read(self, series: SeriesKey, since: int | None = None, until: int | None = None) -> Candles:
        return Candles.from_rows(self.rows.get(series, [])).between(since, until)

    async def tail(self, series: SeriesKey, count: int) -> Candles:
        return Candles.from_rows(self.rows.get(series, [])[-count:])

    async def coverage(self) -> list[SeriesCoverage]:
        return [
            SeriesCoverage(
                series,
                len(rows),
                rows[0].open_time,
                rows[-1].open_time,
                (rows[-1].open_time - rows[0].open_time) // series.timeframe.milliseconds + 1 - len(rows),
                True,
            )
            for series, rows in self.rows.items()
        ]

    async def gaps(self, series: SeriesKey) -> list[tuple[int, int]]:
        rows, step = self.rows.get(series, []), series.timeframe.milliseconds
        return [
            (before.open_time + step, after.open_time)
            for before, after in itertools.pairwise(rows)
            if after.open_time - before.open_time > step
        ]

    async def write_market(self, spec: MarketSpec) -> None:
        raise NotImplementedError

    async def read_market(self, key: MarketKey) -> MarketSpec | None:
        return self.markets.get(key)


class PaperBook:
    """A ``BookReader`` in memory whose day can go on: ``close_candle``, ``evaluate``, ``open`` and ``close``."""

    def __init__(self, candles: StoredCandles, clock: ManualClock) -> None:
        self.candles, self.clock = candles, clock
        self.setup_rows: list[JsonObject] = []
        self.trade_rows: list[JsonObject] = []
        self.position_rows: list[JsonObject] = []
        self.equity_rows: list[JsonObject] = []
        self.events: list[JsonObject] = []
        self.begun = True
        self.fault: Exception | None = None
        self._watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[JsonObject]]] = set()
        self._lock = threading.Lock()

    # --- the port

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def books(self) -> list[JsonObject]:
        self._check()
        if not self.begun:
            return []
        last = self.events[-1]["time"] if self.events else None
        return [{"book": BOOK, "last_event_time": last}]

    async def summary(self, book: str) -> JsonObject | None:
        self._check()
        equity = self.equity_rows[-1]
        return {
            "book": book,
            "quote": "USDT",
            "time": equity["time"],
            "start": "10000",
            "cash": equity["cash"],
            "equity": equity["equity"],
            "realised_profit": str(sum((Decimal(row["profit"]) for row in self.trade_rows), Decimal(0))),
            "fees": str(sum((Decimal(row["fees"]) for row in self.trade_rows), Decimal(0))),
            "open_positions": len(self.position_rows),
            "trades": len(self.trade_rows),
        }

    async def positions(self, book: str) -> list[JsonObject]:
        self._check()
        return list(self.position_rows)

    async def trades(
        self,
        book: str,
        *,
        limit: int,
        before: int | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> list[JsonObject]:
        self._check()
        chosen = [
            row
            for row in self.trade_rows
            if symbol in (None, row["symbol"])
            and strategy in (None, row["strategy"])
            and (since is None or row["exit_time"] >= since)
            and (until is None or row["exit_time"] < until)
        ]
        return _page(chosen, limit, before)

    async def setup_counts(self, book: str) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for row in self.setup_rows:
            of_strategy = counts.setdefault(row["strategy"], {})
            of_strategy[row["verdict"]] = of_strategy.get(row["verdict"], 0) + 1
        return counts

    async def holdings(self, book: str) -> list[JsonObject]:
        return [
            {"exchange": row["exchange"], "symbol": row["symbol"], "base": "BTC", "quantity": row["quantity"]}
            for row in self.position_rows
        ]

    async def resting_orders(self, book: str) -> list[JsonObject]:
        return [
            {
                **row,
                "client_id": f"{row['position_id']}-{role}",
                "role": role,
                "status": "open",
                "price": row[f"{role}_price"],
                "intended_at": row["entry_time"],
                "updated": row["entry_time"],
            }
            for row in self.position_rows
            for role in ("stop", "target")
        ]

    async def events_before(
        self, book: str, *, limit: int, before: int | None = None, kinds: Sequence[str] = ()
    ) -> list[JsonObject]:
        told = [
            {**event, "step": 1, "cursor": event["sequence"]}
            for event in self.events
            if not kinds or event["kind"] in kinds
        ]
        return _page(told, limit, before)

    async def trade(self, book: str, trade_id: str) -> JsonObject | None:
        for row in self.trade_rows:
            if row["trade_id"] == trade_id:
                return {**row, **self._story(row)}
        return None

    def _story(self, row: JsonObject) -> JsonObject:
        setup = next((line for line in self.setup_rows if line["setup_id"] == row["setup_id"]), None)
        order = {"client_id": f"{row['trade_id']}-entry", "role": "entry", "side": 1, "quantity": row["quantity"]}
        fill = {"fill_id": "f1", "price": row["entry_price"], "fee": "0.5", "funding": "0"}
        return {
            "setup": setup,
            "orders": [
                {
                    **order,
                    "status": "filled",
                    "price": row["entry_price"],
                    "intended_at": row["entry_time"],
                    "updated": row["entry_time"],
                }
            ],
            "fills": [{**order, **fill, "time": row["entry_time"]}],
            "ledger": [
                {
                    "entry_id": "l1",
                    "time": row["entry_time"],
                    "kind": "fee",
                    "cash": "-0.5",
                    "quantity": "0",
                    "reference": "f1",
                }
            ],
        }

    async def setups(
        self, book: str, *, limit: int, before: int | None = None, taken: bool | None = None, symbol: str | None = None
    ) -> list[JsonObject]:
        self._check()
        rows = [
            row
            for row in self.setup_rows
            if (taken is None or row["taken"] is taken) and symbol in (None, row["symbol"])
        ]
        return _page(rows, limit, before)

    async def setup(self, book: str, setup_id: str) -> JsonObject | None:
        return next((row for row in self.setup_rows if row["setup_id"] == setup_id), None)

    async def equity(self, book: str, *, since: int | None = None, limit: int = 5000) -> list[JsonObject]:
        self._check()
        return [row for row in reversed(self.equity_rows) if since is None or row["time"] >= since][:limit]

    async def ledger_check(self, book: str) -> LedgerCheck:
        raise NotImplementedError

    async def events_since(self, sequence: int, *, limit: int = 1000) -> list[JsonObject]:
        self._check()
        return [event for event in self.events if event["sequence"] > sequence][:limit]

    async def last_sequence(self) -> int:
        self._check()
        return int(self.events[-1]["sequence"]) if self.events else 0

    async def changes(self) -> AsyncIterator[JsonObject]:
        watcher = (asyncio.get_running_loop(), asyncio.Queue[JsonObject]())
        with self._lock:
            self._watchers.add(watcher)
        try:
            while True:
                change = await watcher[1].get()
                self._check()
                yield change
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    # --- the day goes on (may be called from any thread)

    def _wake(self, change: JsonObject) -> None:
        with self._lock:
            for loop, queue in self._watchers:
                loop.call_soon_threadsafe(queue.put_nowait, change)

    def log(self, kind: str, time: int, data: JsonObject) -> int:
        sequence = (self.events[-1]["sequence"] if self.events else 0) + 3
        self.events.append({"sequence": sequence, "book": BOOK, "kind": kind, "time": time, "data": data})
        self._wake({"kind": "events", "sequence": sequence})
        return sequence

    def close_candle(self, series: SeriesKey, close: float) -> Candle:
        last = self.candles.rows[series][-1]
        opened = last.open_time + series.timeframe.milliseconds
        candle = Candle(opened, last.close, max(last.close, close), min(last.close, close), close, 10.0)
        self.candles.rows[series].append(candle)
        self.clock.advance_to(opened + series.timeframe.milliseconds)
        self._wake(
            {
                "kind": "candle",
                "exchange": series.exchange,
                "symbol": series.symbol,
                "timeframe": str(series.timeframe),
                "open_time": candle.open_time,
                "open": candle.open,
                "high": candle.high,
                "low": candle.low,
                "close": candle.close,
                "volume": candle.volume,
            }
        )
        return candle

    def evaluate(self, number: int, series: SeriesKey, bar: int, verdict: str, *, logged: bool = True) -> JsonObject:
        row = setup_row(number, series, self.candles.rows[series][bar], verdict)
        self.setup_rows.append({**row, "cursor": number})
        if logged:
            self.log("SetupEvaluated", row["found_at"], row)
        return row

    def open(self, setup: JsonObject, *, logged: bool = True) -> JsonObject:
        row = position_row(setup)
        self.position_rows.append(row)
        if logged:
            self.log("PositionOpened", row["entry_time"], row)
        return row

    def close(self, position: JsonObject, price: float, time: int, reason: str, *, logged: bool = True) -> JsonObject:
        self.position_rows = [row for row in self.position_rows if row is not position]
        row = {**trade_row(position, price, time, reason), "cursor": len(self.trade_rows) + 1}
        self.trade_rows.append(row)
        equity = (
            Decimal(self.equity_rows[-1]["equity"]) + Decimal(row["profit"]) if self.equity_rows else Decimal(10_000)
        )
        self.equity_rows.append({"time": time, "cash": str(equity), "equity": str(equity)})
        if logged:
            self.log("PositionClosed", time, row)
            self.log("EquityMarked", time, self.equity_rows[-1])
        return row


def _page(rows: Sequence[JsonObject], limit: int, before: int | None) -> list[JsonObject]:
    newest_first = sorted(rows, key=lambda row: int(row["cursor"]), reverse=True)
    return [row for row in newest_first if before is None or row["cursor"] < before][:limit]


def setup_row(number: int, series: SeriesKey, bar: Candle, verdict: str) -> JsonObject:
    direction = 1 if number % 4 else -1
    risk = bar.close * 0.004
    held = verdict != "confluence too low"
    conditions: list[dict[str, Any]] = [
        {"name": "range height (ATR)", "value": 3.1, "comparison": "<=", "threshold": 4.0, "passed": True},
        {"name": "consolidation bars", "value": 14.0, "comparison": ">=", "threshold": 10.0, "passed": True},
        {
            "name": "volume / average volume",
            "value": 3.42 if held else 1.83,
            "comparison": ">=",
            "threshold": 2.5,
            "passed": held,
        },
        {"name": "close beyond the edge (ATR)", "value": 0.41, "comparison": ">=", "threshold": 0.0, "passed": True},
    ]
    context = {"name": "regime agrees", "value": 1.0, "comparison": ">=", "threshold": 1.0, "passed": True}
    return {
        "setup_id": f"setup-{number}",
        "strategy": STRATEGIES[number % 3],
        "parameters_id": "default",
        "exchange": series.exchange,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "bar_time": bar.open_time,
        "found_at": bar.open_time + series.timeframe.milliseconds,
        "direction": direction,
        "close": bar.close,
        "stop": bar.close - direction * risk,
        "target": bar.close + direction * risk * 2.5 if number % 2 else None,
        "reward_risk": 2.5,
        "min_reward_risk": 1.2,
        "max_bars_in_trade": 100,
        "regime": ("bull", "bear", "sideways")[number % 3],
        "conditions": [{**row, "required": True} for row in conditions] + [{**context, "required": False}],
        "valid": held,
        "confluence": 1.0 if held else 0.8,
        "verdict": verdict,
        "reason": "",
        "taken": verdict == "accepted",
    }


def position_row(setup: JsonObject) -> JsonObject:
    sign = int(setup["direction"])
    risk = abs(setup["close"] - setup["stop"])
    quantity = round(100 / risk, 5)
    return {
        "position_id": setup["setup_id"].replace("setup", "trade"),
        "setup_id": setup["setup_id"],
        "strategy": setup["strategy"],
        "parameters_id": setup["parameters_id"],
        "exchange": setup["exchange"],
        "symbol": setup["symbol"],
        "timeframe": setup["timeframe"],
        "direction": sign,
        "quantity": str(quantity),
        "entry_price": f"{setup['close']:.1f}",
        "entry_time": setup["found_at"],
        "entry_fee": f"{quantity * setup['close'] * 0.001:.4f}",
        "stop_price": f"{setup['stop']:.1f}",
        "target_price": f"{setup['close'] + sign * 2.5 * risk:.1f}",
        "close_after": setup["found_at"] + 100 * 60_000,
        "regime": setup["regime"],
        "risk": "100",
    }


def trade_row(position: JsonObject, price: float, time: int, reason: str) -> JsonObject:
    moved = (Decimal(f"{price:.1f}") - Decimal(position["entry_price"])) * int(position["direction"])
    fees = Decimal(position["entry_fee"]) * 2
    profit = moved * Decimal(position["quantity"]) - fees
    taken = {name: value for name, value in position.items() if name not in ("position_id", "entry_fee", "close_after")}
    return {
        **taken,
        "trade_id": position["position_id"],
        "exit_price": f"{price:.1f}",
        "exit_time": time,
        "exit_reason": reason,
        "fees": str(fees),
        "funding": "0",
        "profit": str(profit),
        "r_multiple": float(profit / Decimal(position["risk"])),
    }


def risk_of(book: str | None, holds: list[JsonObject]) -> JsonObject:
    state = "halted" if holds else "active"
    free = {"book": book, "traded": False, "begun": True, "time": START, "state": state, "holds": holds, "locks": []}
    daily_loss = {"limit": "daily_loss", "about": "", "used": "150", "allowed": "460", "share": 0.326087}
    equity = {"day_began_with": "9200", "peak": "10000", "equity": "9050"}
    return free | equity | {"not_ready": [], "limits": [daily_loss]}


class Hall:
    """An ``Installation`` of one wallet, whose exchange takes every key but those that may withdraw."""

    def __init__(self) -> None:
        self.keys: dict[str, JsonObject] = {}
        self.mode = "live"

    async def wallets(self) -> list[JsonObject]:
        trades = [{"strategy": "htf_sweep", "symbol": "BTC/USDT", "timeframe": "1h"}]
        wallet = {"name": "main", "mode": self.mode, "exchange": "binance", "market": "spot", "base_currency": "USDT"}
        return [{**wallet, "book": BOOK, "trades": trades}]

    async def connections(self) -> list[JsonObject]:
        facts = {"wallet": "main", "exchange": "binance", "mode": "live", "market": "spot", "entries_refused": None}
        return [{**facts, "key": self.keys.get("main")}]

    async def add_key(self, wallet: str, credentials: Credentials, *, consent_by: str | None) -> JsonObject:
        if credentials.api_key.get_secret_value().startswith("withdraw"):
            raise RefusedError(f"The key of wallet '{wallet}' was not stored: it may withdraw.", "Make another one.")
        self.keys[wallet] = {
            "wallet": wallet,
            "exchange": "binance",
            "last_four": credentials.last_four,
            "state": "verified",
            "reason": "",
            "may_trade": True,
            "may_read": True,
            "may_withdraw": False,
            "ip_restricted": True,
            "expires_at": None,
            "checked_at": START,
            "consent_by": consent_by,
        }
        return {**self.keys[wallet], "warnings": ["it works from every address"]}

    async def remove_key(self, wallet: str) -> bool:
        return self.keys.pop(wallet, None) is not None

    async def check_key(self, wallet: str) -> JsonObject:
        if wallet not in self.keys:
            raise RefusedError(f"The wallet '{wallet}' has no stored key.", "Add one first.")
        return self.keys[wallet]

    def exchanges(self) -> list[JsonObject]:
        facts = {"protection": "native", "protection_why": "it has pairs", "stop_types": ["market"], "locks_once": True}
        rest = {"stop_expires_after": None, "probe": "", "quirks": []}
        return [{"exchange": "binance", "market": "spot", **facts, **rest}]

    def configuration(self) -> list[JsonObject]:
        return [{"name": "database.url", "value": "**********", "source": "environment"}]


class Scenario:
    """The whole day: three strategies on BTC, some setups taken, one position open at the end."""

    def __init__(self) -> None:
        self.clock = ManualClock(START + CANDLE_COUNT * 60_000)
        bitcoin = walk(1, CANDLE_COUNT, 97_000, 60_000, 1)
        sol = walk(3, 200, 190, 900_000, 2)
        self.candles = StoredCandles(
            {
                BTC: bitcoin,
                BTC_5M: joined(bitcoin, 5),
                ETH: walk(2, 1440, 3_400, 60_000, 2),
                SOL_WITH_GAP: sol[:80] + sol[84:],
            }
        )
        self.book = PaperBook(self.candles, self.clock)
        self.hall = Hall()
        self.holds: list[JsonObject] = []
        self._live_through_the_day()
        self.begin_without_work()

    def begin_without_work(self) -> None:
        """The day stays; users, answers and everything asked for in the background begin anew."""
        self.accounts = InMemoryAccounts()
        self.inbox = InMemoryCommandInbox()
        self.results = InMemoryResultStore(self.clock)
        self.embeddings = InMemoryEmbeddingStore()
        self.jobs = jobs = InMemoryJobStore(self.clock)
        self.training, self.configurations = InMemoryTrainingStore(self.clock), InMemoryConfigurationStore()
        self.policies = InMemoryPolicyStore()
        self.ranges = ParameterRanges(InMemoryParameterRangeStore(), self.clock)
        self.services = Services(
            self.book,
            self.candles,
            self.results,
            self.clock,
            "in memory",
            accounts=self.accounts,
            answers=InMemoryAnswers(),
            inbox=self.inbox,
            jobs=BackgroundJobs(jobs, self.training),
            schedules=Schedules(InMemoryScheduleStore(jobs), jobs, self.clock),
            trained=self._trained(),
            embeddings=self.embeddings,
            signing_key=SIGNING_KEY,
            installation=self.hall,
            policies=self.policies,
            ranges=self.ranges,
            roll_back=self._rolled_back,
            risk_report=self._risk,
            strategies=tuple(KNOWN_STRATEGIES.values()),
        )

    async def judge(self, drawdown: float) -> Policy:
        """A policy of this hour, as the hourly run would issue it."""
        hour = facts(self.clock.now(), drawdown)
        return await MetaController(self.policies, tuple(KNOWN_STRATEGIES)).decide("paper", hour)

    async def _rolled_back(self, book: str, version: int, by: str) -> Policy:
        controller = MetaController(self.policies, tuple(KNOWN_STRATEGIES))
        return await controller.rollback(book, version, facts(self.clock.now()), by=by)

    async def _risk(self, book: str | None) -> JsonObject:
        return risk_of(book, self.holds)

    def _trained(self) -> TrainedAssetsManager:
        async def plan(
            request: TrainingRequest, coverage: Sequence[SeriesCoverage], _: object
        ) -> tuple[tuple[TrainingUnit, ...], JsonObject]:
            named = [(entry.series, strategy) for entry in coverage for strategy in request.strategies]
            units = [TrainingUnit(index, *one, candles=1440) for index, one in enumerate(named)]
            return tuple(units), {"families": []}

        return TrainedAssetsManager(
            self.training,
            self.configurations,
            self.clock,
            coverage=lambda: trainable(self.candles),
            plan=plan,
            ranges=self.ranges.of_all,
            code_version="1+test",
        )

    def _live_through_the_day(self) -> None:
        chance = random.Random(11)  # noqa: S311 - a picture, not a secret
        self.book.equity_rows.append(
            {"time": self.candles.rows[BTC][LAST_DAY].open_time, "cash": "10000", "equity": "10000"}
        )
        verdicts = ("accepted", "confluence too low", "a position of this strategy is open", "accepted")
        bars = 1440 // 45
        for number in range(1, bars):
            setup = self.book.evaluate(number, BTC, LAST_DAY + number * 45, verdicts[number % 4], logged=False)
            if setup["verdict"] == "accepted" and number < bars - 1:
                self._trade(setup, LAST_DAY + number * 45, chance)
        last = self.book.evaluate(bars + 1, BTC, CANDLE_COUNT - 25, "accepted")
        self.position = self.book.open(last)

    def _trade(self, setup: JsonObject, bar: int, chance: random.Random) -> None:
        position = self.book.open(setup, logged=False)
        reason, side = chance.choice((("target", 2.5), ("stop", -1.0), ("target", 2.5), ("stop", -1.0), ("time", 0.6)))
        price = setup["close"] + setup["direction"] * side * abs(setup["close"] - setup["stop"])
        self.book.close(position, price, self.candles.rows[BTC][bar + 30].open_time, reason, logged=False)
