"""From stored candles and a book to a policy that its trader obeys: by the job, killed in between, or not at all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.integration.engine.planned import Scene
from tests.integration.engine.scripted import MARKET
from tests.integration.storage.trading_day import TradingDay
from tests.unit.meta_controller.hours import candles

from tradepulse.bootstrap import Application, open_application
from tradepulse.bootstrap.job_kinds import KINDS, JobWork
from tradepulse.bootstrap.jobs import jobs_of
from tradepulse.bootstrap.meta import language_model, policy_store, roll_back, run_meta
from tradepulse.bootstrap.schedules import schedules_of
from tradepulse.core.signal_library import size_key
from tradepulse.domain.events import EquityMarked, RequestTaken
from tradepulse.domain.inbox import Request
from tradepulse.domain.market import DAY, HOUR, SeriesKey, Timeframe
from tradepulse.domain.policy import MarketState
from tradepulse.domain.risk import AccountLimits
from tradepulse.ports import StepRecord
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.shared.settings import DatabaseSettings, MetaSettings, Settings
from tradepulse.storage.db import held_alone

BTC = SeriesKey("simulated", "BTC/USDT", Timeframe.H1)
# A Wednesday at noon.
NOW = 1_767_787_200_000 // DAY * DAY + DAY // 2


@pytest.fixture
async def app(database_url: str, tmp_path: Path) -> AsyncIterator[Application]:
    settings = Settings(data_directory=tmp_path, database=DatabaseSettings(url=database_url))
    async with open_application(settings) as opened:
        await opened.candles.write(BTC, candles(5, 2_300, until=NOW), simulated=True)
        yield opened


async def lived(app: Application, day: TradingDay, equity: Decimal, at: int, **memory: object) -> None:
    """The book's equity at a time, and what its engine remembers then."""
    day.sequence += 1
    marked = EquityMarked(at, equity, equity)
    state = {"cash": str(equity), "risk": {"peak": "10000"}, **memory}
    await app.journal.commit(StepRecord(day.book, day.sequence, at, (marked,), (), state))


async def begun(app: Application, equity: str = "10000", **memory: object) -> TradingDay:
    day = TradingDay(time=NOW - DAY)
    await app.journal.commit(day.begin())
    await lived(app, day, Decimal(equity), NOW, **memory)
    return day


async def commands(app: Application) -> list[Request]:
    """What waits for the trader, taken as it would take it."""
    found = []
    while (request := await app.inbox.take("paper")) is not None:
        found.append(request)
        await app.inbox.finish(request.request_id, done=True, outcome="taken", time=NOW)
    return found


async def test_policy_of_stored_facts_reaches_an_engine_that_obeys_it(app: Application) -> None:
    decay = {
        "advisers": {"reliability": {"state": {"parents": {"htf_sweep": {"sums": {"wins": 4.0}, "alarmed": True}}}}}
    }
    await begun(app, "8900", **decay)
    (issued,) = await run_meta(app, "paper")
    assert issued.rules.state is not MarketState.UNKNOWN
    assert (issued.bounds.risk_ppm, issued.bounds.confluence_bump_ppm) == (500_000, 100_000)
    assert "drawdown of 11.0%" in issued.reasons
    assert "cusum of htf_sweep at 4.0" in issued.reasons
    assert issued.consulted == {"status": "not asked", "problem": "no language model is set up", "effect": "none"}
    (request,) = await commands(app)
    engine = Scene(AccountLimits(), {MARKET: [100.0]}, ()).engine()
    step = engine.handle(RequestTaken(request, NOW))
    assert engine.policy == issued.changed()
    assert engine.answered is not None
    assert engine.answered.done
    assert step.memorable


async def test_markets_are_those_that_the_engine_looks_at_or_holds_whatever_else_is_stored(app: Application) -> None:
    swap = SeriesKey("simulated", "ETH/USDT:USDT", Timeframe.H1)
    long_ago = SeriesKey("simulated", "OLD/USDT", Timeframe.H1)
    await app.candles.write(swap, candles(6, 2_300, until=NOW - 3 * HOUR), simulated=True)
    await app.candles.write(long_ago, candles(7, 50, until=NOW - 9 * DAY), simulated=True)
    looked_at = {size_key("htf_sweep", BTC, "p1"): 1_000_000}
    held = {"one": {"series": {"exchange": "simulated", "symbol": "ETH/USDT:USDT", "timeframe": "5m"}}}
    day = await begun(app, sizes=looked_at, positions=held)
    (issued,) = await run_meta(app, "paper")
    assert [one["market"] for one in issued.facts["markets"]] == ["simulated BTC/USDT", "simulated ETH/USDT:USDT"]
    assert "newest candle of a market is 3.0 h old" in issued.reasons
    # Looked at no longer, its age is nobody's business.
    await lived(app, day, Decimal(10_000), NOW, sizes={size_key("htf_sweep", swap, "p2"): 0})
    (issued,) = await run_meta(app, "paper")
    assert [one["market"] for one in issued.facts["markets"]] == ["simulated ETH/USDT:USDT"]


async def test_run_that_is_killed_before_it_handed_over_is_made_up_by_the_next_and_nothing_is_done_twice(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = await begun(app)
    post = app.inbox.post

    async def killed(_: Request) -> Request:
        raise TransientError("The process ended here.", "Begin again.")

    monkeypatch.setattr(app.inbox, "post", killed)
    with pytest.raises(TransientError):
        await run_meta(app, "paper")
    monkeypatch.setattr(app.inbox, "post", post)
    assert await commands(app) == []
    await lived(app, day, Decimal(9_400), NOW + HOUR // 2)
    await run_meta(app, "paper")
    assert [one.payload["policy"]["version"] for one in await commands(app)] == [1, 2]
    # The second is handed over once more at the next run, and is the same command.
    await run_meta(app, "paper")
    assert [one.payload["policy"]["version"] for one in await commands(app)] == [3]


async def test_books_that_nobody_trades_get_no_policy_unless_named(app: Application) -> None:
    await begun(app)
    assert await run_meta(app) == []
    assert await commands(app) == []
    async with held_alone(app.database, "paper"):
        assert [one.version for one in await run_meta(app)] == [1]
    with pytest.raises(ConfigurationError, match="There is no book 'other'"):
        await run_meta(app, "other")


async def test_what_followed_is_noted_a_day_later(app: Application) -> None:
    day = await begun(app)
    await run_meta(app, "paper")
    await lived(app, day, Decimal(9_900), NOW + 20 * HOUR)
    await lived(app, day, Decimal(9_000), NOW + 25 * HOUR)
    await run_meta(app, "paper")
    first = await policy_store(app).get("paper", 1)
    assert first is not None
    assert first.outcome == {"hours": 24, "equity_change": pytest.approx(-0.01), "trades": 0, "sum_r": 0.0}
    second = await policy_store(app).get("paper", 2)
    assert second is not None
    assert second.outcome == {}


async def test_rollback_is_handed_over_like_any_policy(app: Application) -> None:
    day = await begun(app, "9400")
    await run_meta(app, "paper")
    await lived(app, day, Decimal(10_000), NOW + HOUR // 2)
    await run_meta(app, "paper")
    back = await roll_back(app, "paper", 1, "Ada")
    assert (back.version, back.bounds.risk_ppm, back.author) == (3, 750_000, "Ada")
    assert [one.payload["policy"]["risk_ppm"] for one in await commands(app)][-1] == 750_000


async def test_job_of_the_kind_tells_what_was_issued_and_its_schedule_is_off_until_somebody_wants_it(
    app: Application,
) -> None:
    await begun(app)
    job = await jobs_of(app).submit("meta", {"book": "paper", "notes": ["an exchange is down"]}, by="me")
    kind = KINDS["meta"]
    result = await kind.run(app, JobWork(job, kind.unit), kind.parameters.model_validate(job.parameters))
    assert [(one["book"], one["version"]) for one in result["policies"]] == [("paper", 1)]
    assert not (await schedules_of(app).find("hourly-policy")).enabled


async def test_language_model_is_there_only_where_one_is_named() -> None:
    assert language_model(MetaSettings.model_validate({"api_key": "k" * 20})) is None
    local = language_model(MetaSettings(model="small", base_url="http://127.0.0.1:1/v1"))
    assert local is not None
    assert replace(local.endpoint, model="other").base_url == "http://127.0.0.1:1/v1"
