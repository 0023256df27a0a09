"""The meta-controller at work: facts from stored candles and books in, a policy out, and on to the trader's inbox."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.reliability import STATE
from tradepulse.bootstrap.requests import is_traded, known_book
from tradepulse.core.runner import ADVISERS
from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import DAY, HOUR, Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.policy import Policy
from tradepulse.meta_controller.controller import Budget, MetaController
from tradepulse.meta_controller.facts import HOURS_NEEDED, Facts, StrategyFacts, facts_of
from tradepulse.meta_controller.language_model import Endpoint, LanguageModel, Tool
from tradepulse.policy.reliability_engine import AUTHOR as RELIABILITY
from tradepulse.ports import JsonObject, PolicyStore, SeriesCoverage
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import MetaSettings
from tradepulse.storage.policies import PostgresPolicyStore
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.regimes import higher_bars

logger = logging.getLogger(__name__)
AUTHOR = "meta-controller"
OUTCOME_AFTER = DAY
ROWS_TOLD = 20


def policy_store(app: Application) -> PolicyStore:
    return PostgresPolicyStore(app.database)


def controller_of(app: Application) -> MetaController:
    settings = app.settings.meta
    budget = Budget(tokens_per_day=settings.tokens_per_day)
    return MetaController(policy_store(app), tuple(STRATEGIES), language_model(settings), budget)


def language_model(settings: MetaSettings) -> LanguageModel | None:
    """None unless a model is named: a key alone, which other programs use too, sends nothing anywhere."""
    if settings.model is None:
        return None
    return LanguageModel(Endpoint(settings.base_url, settings.model, settings.api_key))


async def run_meta(
    app: Application, book: str | None = None, notes: Sequence[str] = (), controller: MetaController | None = None
) -> list[Policy]:
    """A new policy for ``book``, or for every book that is traded now, handed to its trader."""
    if book is None:
        names = [str(one["book"]) for one in await app.reader.books()]
        books = [name for name in names if await is_traded(app, name)]
    else:
        books = [await known_book(app, book)]
    return [await _decided(app, controller or controller_of(app), name, notes) for name in books]


async def roll_back(app: Application, book: str, version: int, by: str) -> Policy:
    policy = await controller_of(app).rollback(book, version, await facts_now(app, book), by=by)
    await hand_over(app, policy)
    return policy


async def _decided(app: Application, controller: MetaController, book: str, notes: Sequence[str]) -> Policy:
    store = policy_store(app)
    facts = await facts_now(app, book)
    newest = await store.history(book, limit=1)
    if newest and newest[0].holds_at(facts.time):
        # A run that was killed between the two left it stored and not handed over.
        await hand_over(app, newest[0])
    await _note_outcomes(app, store, book, facts.time)
    policy = await controller.decide(book, facts, notes=notes, tools=_tools(app, book))
    await hand_over(app, policy)
    logger.info("policy issued", extra={"book": book, "version": policy.version, "risk": policy.bounds.risk_ppm})
    return policy


async def hand_over(app: Application, policy: Policy) -> None:
    """As a command in the inbox: the runner takes it between two events. Posted again it is the same command."""
    changed = policy.changed()
    key = f"policy:{policy.book}:{policy.version}"
    payload = {"policy": asdict(changed)}
    await app.inbox.post(
        Request(policy.book, RequestKind.APPLY_POLICY, AUTHOR, changed.reason, key, app.clock.now(), payload)
    )


async def facts_now(app: Application, book: str) -> Facts:
    summary = await app.reader.summary(book)
    remembered = await app.journal.recover(book)
    if summary is None or remembered is None:
        raise ConfigurationError(f"Book '{book}' has not begun.", "Start trading it, then run this again.")
    coverage = await app.candles.coverage()
    markets = _markets(app, remembered[1], coverage)
    simulated = any(one.simulated for one in coverage if one.series.market in markets)
    # Simulated time is not ours: the book's own is.
    now = int(summary["last_event_time"]) if simulated else app.clock.now()
    hours: dict[str, Candles] = {}
    ages: dict[str, int] = {}
    for market in markets:
        of_it = [one for one in coverage if one.series.market == market]
        hours[market_name(market)] = await _hours(app, of_it, now)
        ages[market_name(market)] = max(0, now - max(one.last + one.series.timeframe.milliseconds for one in of_it))
    drawdown, strategies = _drawdown(remembered[1], summary), strategy_facts(remembered[1])
    return await asyncio.to_thread(facts_of, hours, ages, drawdown, strategies, now)


def market_name(market: MarketKey) -> str:
    return f"{market.exchange} {market.symbol}"


def _markets(app: Application, snapshot: JsonObject, coverage: Sequence[SeriesCoverage]) -> list[MarketKey]:
    """What the engine looks at and holds; where that is nothing, all that is stored of the exchange in the settings."""
    stored = {one.series.market for one in coverage}
    traded = {_market_of(key) for key in snapshot.get("sizes", {})}
    held = {
        MarketKey(str(one["series"]["exchange"]), str(one["series"]["symbol"]))
        for one in snapshot.get("positions", {}).values()
    }
    return sorted((traded | held) & stored or {one for one in stored if one.exchange == app.settings.exchange})


def _market_of(size_key: str) -> MarketKey:
    """Of ``exchange:symbol:timeframe:strategy:parameters``; a symbol may have colons of its own."""
    exchange, *symbol = size_key.split(":")[:-3]
    return MarketKey(exchange, ":".join(symbol))


async def _hours(app: Application, coverage: Sequence[SeriesCoverage], now: int) -> Candles:
    """Of the coarsest stored series that hours can be made of."""
    usable = [one.series for one in coverage if one.series.timeframe.milliseconds <= HOUR]
    if not usable:
        return Candles.empty()
    series = max(usable, key=lambda one: one.timeframe.milliseconds)
    stored = await app.candles.read(series, now - (HOURS_NEEDED + 1) * HOUR, now)
    return hourly(stored, series)


def hourly(stored: Candles, series: SeriesKey) -> Candles:
    if series.timeframe is Timeframe.H1:
        return stored
    bars = higher_bars(stored, series.timeframe, Timeframe.H1)
    return Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)


def _drawdown(snapshot: JsonObject, summary: JsonObject) -> float:
    peak = Decimal(str(snapshot.get("risk", {}).get("peak") or 0)) or Decimal(str(summary.get("peak_equity") or 0))
    equity = Decimal(str(summary.get("equity") or 0))
    return float(max(Decimal(0), 1 - equity / peak)) if peak > 0 and equity > 0 else 0.0


def strategy_facts(snapshot: JsonObject) -> list[StrategyFacts]:
    """Of each strategy as a whole, as the reliability engine wrote it down with the book's last step."""
    parents = snapshot.get(ADVISERS, {}).get(RELIABILITY, {}).get(STATE, {}).get("parents", {})
    found = []
    for strategy in STRATEGIES:
        known = parents.get(strategy, {})
        sums = known.get("sums", {})
        level = max(float(sums.get("wins", 0.0)), float(sums.get("r", 0.0)))
        found.append(StrategyFacts(strategy, level, bool(known.get("alarmed", False))))
    return found


async def _note_outcomes(app: Application, store: PolicyStore, book: str, now: int) -> None:
    """What followed within a day of each policy that is a day old."""
    for policy in await store.unresolved(book, now - OUTCOME_AFTER):
        since, until = policy.issued_at, policy.issued_at + OUTCOME_AFTER
        marks = [one for one in await app.reader.equity(book, since=since) if int(one["time"]) < until]
        trades = await app.reader.trades(book, limit=1000, since=since, until=until)
        first, last = (Decimal(str(marks[place]["equity"])) for place in (-1, 0)) if marks else (Decimal(0), Decimal(0))
        outcome = {
            "hours": OUTCOME_AFTER // HOUR,
            "equity_change": float(last / first - 1) if first > 0 else None,
            "trades": len(trades),
            "sum_r": round(sum(float(one["r_multiple"] or 0) for one in trades), 3),
        }
        await store.resolve(book, policy.version, outcome, now)


def _tools(app: Application, book: str) -> Mapping[str, Tool]:
    """All that a language model may read: rows of this book, few columns, nothing that a stranger wrote."""

    async def recent_trades(limit: int) -> list[dict[str, Any]]:
        rows = await app.reader.trades(book, limit=min(limit, ROWS_TOLD))
        return [_of(row, "strategy", "symbol", "exit_time", "exit_reason", "r_multiple") for row in rows]

    async def recent_equity(limit: int) -> list[dict[str, Any]]:
        rows = await app.reader.equity(book, limit=min(limit, ROWS_TOLD))
        return [_of(row, "time", "equity") for row in rows]

    async def recent_policies(limit: int) -> list[dict[str, Any]]:
        found = await policy_store(app).history(book, limit=min(limit, ROWS_TOLD))
        return [{"version": one.version, "time": one.issued_at, "risk": one.bounds.risk_ppm / 1e6} for one in found]

    return {"recent_trades": recent_trades, "recent_equity": recent_equity, "recent_policies": recent_policies}


def _of(row: JsonObject, *names: str) -> JsonObject:
    return {name: row.get(name) for name in names}
