"""Backtests: the engine replaying stored candles one by one, or the kernel over the whole history at once."""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

import tradepulse
from tradepulse.bootstrap.application import Application, risk_limits
from tradepulse.core.backtest import BacktestOutcome, backtest_history
from tradepulse.core.engine import Engine, EngineConfig
from tradepulse.core.event_system import EventBus
from tradepulse.core.protection import WORD_IS_FINAL
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.core.runner import Runner
from tradepulse.core.signal_library import Subscription
from tradepulse.domain.events import CandleClosed, EngineEvent, PositionClosed, SetupDropped, SetupEvaluated
from tradepulse.domain.market import TRADED_TIMEFRAMES, Candles, MarketKey, MarketSpec, SeriesKey, Timeframe, data_hash
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.capabilities import fitted, spec_for
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.kernels.fills import PPM
from tradepulse.kernels.metrics import trade_statistics
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.in_memory import InMemoryJournal
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, Parameters, Strategy

JsonObject = dict[str, Any]
Method = Literal["replay", "kernel"]
Progress = Callable[[int, int], None]
"""Called with candles done and candles in all."""
TRADES = TypeAdapter(list[Trade])
PROGRESS_STRIDE = 1000
LARGEST_INTEGER = 2**63 - 1
# An account may grow so many times within a backtest.
ROOM_TO_GROW = 100


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """``since`` and ``until`` are open times in UTC ms, ``until`` exclusive; ``overrides`` replace default parameters.

    ``fine``: a finer timeframe that is stored too; it decides the order of events inside a bar (kernel method).
    """

    strategy: str
    series: SeriesKey
    since: int | None = None
    until: int | None = None
    method: Method = "replay"
    fine: Timeframe | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)


def find_strategy(name: str) -> Strategy:
    try:
        return STRATEGIES[name]
    except KeyError:
        raise ConfigurationError(
            f"'{name}' is not a strategy.", f"Use one of: {', '.join(sorted(STRATEGIES))}."
        ) from None


async def run_backtest(
    app: Application, request: BacktestRequest, progress: Progress | None = None, *, backtest_id: str | None = None
) -> JsonObject:
    """Run, store and return the report; its ``id`` opens it again. ``progress`` is called from another thread.

    ``backtest_id``: store it under this id, where the first result counts.
    """
    strategy = find_strategy(request.strategy)
    if request.series.timeframe not in TRADED_TIMEFRAMES:
        raise ConfigurationError(
            f"{request.series.timeframe} is a context timeframe.", f"Trade one of: {', '.join(TRADED_TIMEFRAMES)}."
        )
    parameters = strategy.parameters(**request.overrides)
    candles = await stored_candles(app, request.series, request.since, request.until)
    spec = await market_spec(app, request.series.market, candles)
    limits, cash = risk_limits(app.settings.trading), app.settings.trading.initial_cash
    refuse_unreckonable(spec, candles, cash)
    started = time.perf_counter()
    if request.method == "kernel":
        fine = await _fine_candles(app, request, candles)
        history = MarketHistory.of(request.series, candles)
        outcome = await asyncio.to_thread(backtest_history, strategy, parameters, history, spec, limits, cash, fine)
        if progress is not None:
            progress(len(candles), len(candles))
    else:
        if request.fine is not None:
            raise ConfigurationError("Finer candles are used by the kernel method only.", "Add --method kernel.")
        outcome = await _replay_in_thread(strategy, parameters, request.series, candles, spec, limits, cash, progress)
    seconds = time.perf_counter() - started
    report = _report(request, parameters, candles, spec, outcome, app.settings.trading.initial_cash, limits, seconds)
    trades: list[JsonObject] = TRADES.dump_python(list(outcome.trades), mode="json")
    report["id"] = await app.results.save_backtest(report, trades, backtest_id=backtest_id)
    report["trades"] = trades
    return report


async def _replay_in_thread(
    strategy: Strategy,
    parameters: Parameters,
    series: SeriesKey,
    candles: Candles,
    spec: MarketSpec,
    limits: RiskLimits,
    cash: Decimal,
    progress: Progress | None,
) -> BacktestOutcome:
    """With a loop of its own, so that whoever waits for it stays alive; ends soon after it was cancelled."""
    given_up = threading.Event()

    def work() -> BacktestOutcome:
        return asyncio.run(
            replay(strategy, parameters, series, candles, spec, limits, cash, progress, enough=given_up.is_set)
        )

    try:
        return await asyncio.to_thread(work)
    finally:
        given_up.set()


async def replay(
    strategy: Strategy,
    parameters: Parameters,
    series: SeriesKey,
    candles: Candles,
    spec: MarketSpec,
    limits: RiskLimits,
    initial_cash: Decimal,
    progress: Progress | None = None,
    *,
    before: Candles | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> BacktestOutcome:
    """The whole engine over a simulated exchange that plays the candles; everything stays in memory.

    ``before``: candles of the series that came before; they are known, as after a start, and not traded. ``enough``
    breaks it off; what it then answers is worth nothing.
    """
    market = series.market
    tape = StoredTape(series.timeframe, {market: spec}, {market: candles})
    exchange = SimulatedExchange(tape, {spec.quote: initial_cash})
    engine = Engine(
        EngineConfig("backtest", limits, equity_interval=24 * 3_600_000, patience=WORD_IS_FINAL),
        {market: spec},
        {market: series.timeframe},
        [Subscription(strategy, parameters, series)],
    )
    if before is not None and len(before):
        engine.warm_up(series, before[max(0, len(before) - engine.data.history_needed(series)) :])
    collector = _Collector(len(candles), progress)
    bus = EventBus()
    bus.subscribe(collector)
    runner = Runner(engine, exchange, exchange, InMemoryJournal(), exchange.clock, observers=bus)
    await runner.run(initial_cash, enough)
    for entry in engine.execution.state.entries.values():
        collector.verdicts[entry.setup.setup_id] = Verdict.AWAITING_NEXT_BAR
    return BacktestOutcome(
        tuple(collector.trades), dict(Counter(collector.verdicts.values())), bool(engine.portfolio.positions)
    )


class _Collector:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.trades: list[Trade] = []
        self.verdicts: dict[str, Verdict] = {}
        self._seen = 0
        self._total = total
        self._progress = progress

    def __call__(self, event: EngineEvent) -> None:
        match event:
            case CandleClosed():
                self._seen += 1
                if self._progress and (self._seen % PROGRESS_STRIDE == 0 or self._seen == self._total):
                    self._progress(self._seen, self._total)
            case PositionClosed():
                self.trades.append(event.trade)
            case SetupEvaluated():
                self.verdicts[event.setup.setup_id] = event.verdict
            case SetupDropped():
                self.verdicts[event.setup_id] = event.verdict
            case _:
                pass


async def stored_candles(app: Application, series: SeriesKey, since: int | None, until: int | None) -> Candles:
    if since is not None and until is not None and since >= until:
        raise ConfigurationError("The range is empty: --since is not before --until.", "Swap or widen them.")
    candles = await app.candles.read(series, since, until)
    if len(candles):
        return candles
    stored = [str(entry.series) for entry in await app.candles.coverage()]
    near = [name for name in stored if series.symbol in name or series.exchange in name] or stored
    there = f"Stored are: {', '.join(near[:8])}." if near else "Nothing is stored yet."
    raise ConfigurationError(
        f"No candles of {series} are stored in that range.", f"{there} Use download-data or import-data."
    )


async def market_spec(app: Application, market: MarketKey, candles: Candles) -> MarketSpec:
    """The exchange's own rules where they were downloaded, else the reference table or what the candles show."""
    stored = await app.candles.read_market(market)
    # Exchanges coarsen ticks over time: today's tick may be too coarse for yesterday's prices.
    return spec_for(market, candles) if stored is None else fitted(stored, candles)


def refuse_unreckonable(spec: MarketSpec, candles: Candles, cash: Decimal) -> None:
    """Kernels reckon in 64-bit integers; an account or a price that could leave them is refused beforehand."""
    highest = int(float(candles.high.max()) / float(spec.tick_size))
    if highest * PPM > LARGEST_INTEGER:
        raise ConfigurationError(
            f"Prices of {spec.key} reach {highest:,} ticks of {spec.tick_size}, more than can be reckoned exactly.",
            "Import its candles with the decimals that the exchange prints.",
        )
    if spec.units(cash) > LARGEST_INTEGER // ROOM_TO_GROW:
        most = spec.money(LARGEST_INTEGER // ROOM_TO_GROW)
        raise ConfigurationError(
            f"Initial cash of {cash} is too much for {spec.key}, whose smallest amount of money is {spec.money_unit}.",
            f"Set trading.initial_cash to at most {most:.0f}.",
        )


async def _fine_candles(app: Application, request: BacktestRequest, candles: Candles) -> tuple[Candles, int] | None:
    if request.fine is None:
        return None
    series = SeriesKey(request.series.exchange, request.series.symbol, request.fine)
    if request.fine.milliseconds >= request.series.timeframe.milliseconds:
        raise ConfigurationError(f"{request.fine} is not finer than {request.series.timeframe}.", "Choose a finer one.")
    end = int(candles.open_time[-1]) + request.series.timeframe.milliseconds
    fine = await stored_candles(app, series, int(candles.open_time[0]), end)
    needed = len(candles) * (request.series.timeframe.milliseconds // request.fine.milliseconds)
    if len(fine) < needed:
        raise ConfigurationError(
            f"{request.fine} candles of {series.market} cover {len(fine):,} of {needed:,} bars of that range.",
            "Narrow the range to where both are stored without gaps.",
        )
    return fine, request.fine.milliseconds


@cache
def code_version() -> str:
    """Version and a hash of the package's source, so that a stored result names the code that made it."""
    root = Path(tradepulse.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(root.rglob("*.py")):
        digest.update(str(source.relative_to(root)).encode())
        digest.update(source.read_bytes())
    return f"{tradepulse.__version__}+{digest.hexdigest()[:12]}"


def _report(
    request: BacktestRequest,
    parameters: Parameters,
    candles: Candles,
    spec: MarketSpec,
    outcome: BacktestOutcome,
    initial_cash: Decimal,
    limits: RiskLimits,
    seconds: float,
) -> JsonObject:
    profits = np.array([float(trade.profit) for trade in outcome.trades])
    multiples = np.array([trade.r_multiple for trade in outcome.trades])
    statistics = trade_statistics(profits, multiples, float(initial_cash))
    profit = sum((trade.profit for trade in outcome.trades), Decimal(0))
    step = request.series.timeframe.milliseconds
    return {
        "strategy": request.strategy,
        "parameters_id": parameters.parameters_id,
        "parameters": dict(parameters.values),
        "exchange": request.series.exchange,
        "symbol": request.series.symbol,
        "timeframe": str(request.series.timeframe),
        "method": request.method,
        "fine": request.fine and str(request.fine),
        "first": int(candles.open_time[0]),
        "last": int(candles.open_time[-1]),
        "candles": len(candles),
        "missing": int((candles.open_time[-1] - candles.open_time[0]) // step) + 1 - len(candles),
        "data_hash": data_hash(candles),
        "code_version": code_version(),
        "simulated": spec.simulated,
        "market": {
            "kind": str(spec.kind),
            "tick_size": str(spec.tick_size),
            "lot_size": str(spec.lot_size),
            "min_notional": str(spec.min_notional),
            "maker_ppm": spec.maker_ppm,
            "taker_ppm": spec.taker_ppm,
            "slippage_ppm": spec.slippage_ppm,
            "source": spec.source,
        },
        "account": {
            "initial_cash": str(initial_cash),
            "risk_ppm": limits.risk_ppm,
            "max_position_ppm": limits.max_position_ppm,
            "min_confluence": limits.min_confluence,
        },
        "statistics": {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in statistics._asdict().items()
        },
        "profit": str(profit),
        "final_cash": str(initial_cash + profit),
        "left_open": outcome.left_open,
        "verdicts": {str(verdict): count for verdict, count in sorted(outcome.verdicts.items())},
        "seconds": round(seconds, 3),
    }
