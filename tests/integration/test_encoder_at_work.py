"""Fitted, run and judged on stored candles: the same from the same, nothing missed, nothing known too early."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.integration.test_installation import settings_in

from tradepulse.bootstrap import Application, open_application, setup_windows
from tradepulse.bootstrap.encoder import evaluate_encoder, kept_model, run_encoder, train_encoder
from tradepulse.bootstrap.job_kinds import KINDS, JobWork
from tradepulse.bootstrap.jobs import order_for
from tradepulse.bootstrap.prior import open_prior, verdicts_in_force
from tradepulse.bootstrap.training import SeriesLoader
from tradepulse.cli import main
from tradepulse.domain.embeddings import EncoderVerdict
from tradepulse.domain.jobs import JsonObject
from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.encoder.encoder_model import DIMENSIONS
from tradepulse.encoder.out_of_sample import CONTROLS
from tradepulse.policy.job_requests import checked
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError

HOUR = 3_600_000
START = 1_700_000_000_000 // HOUR * HOUR
HOURLY = ("1h",)
SERIES = SeriesKey("binance", "BTC/USDT", Timeframe.H1)
BARS, TRAINED = 5_000, 4_600


def market(bars: int = BARS) -> Candles:
    """A random walk whose volatility and volume come in bursts, with wicks: some of every setup."""
    rng = np.random.default_rng(7)
    step = 0.006 * np.repeat(rng.lognormal(0, 0.6, bars // 20 + 1), 20)[:bars]
    close = np.round(30_000 * np.exp(np.cumsum(rng.normal(0, 1, bars) * step)), 2)
    opened = np.concatenate(([30_000.0], close[:-1]))
    wick = np.abs(rng.normal(0, 0.7, (2, bars))) * step * close
    high = np.round(np.maximum(opened, close) + wick[0], 2)
    low = np.round(np.minimum(opened, close) - wick[1], 2)
    volume = np.round(rng.lognormal(3, 0.6, bars) * step / 0.006, 3)
    return Candles(START + HOUR * np.arange(bars), opened, high, low, close, volume)


@pytest.fixture
async def app(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Application]:
    """Half a year of hours is stored, and it is the end of it."""
    monkeypatch.setattr(setup_windows, "POINTS", 8)
    monkeypatch.setattr(setup_windows, "POINTS_LOOKED_AT", 24)
    monkeypatch.setattr(setup_windows, "SAMPLED", 7_000)
    async with open_application(settings_in(tmp_path, database_url)) as opened:
        await opened.candles.write(SERIES, market()[:TRAINED])
        yield replace(opened, clock=ManualClock(START + TRAINED * HOUR))


Row = tuple[int, int | None, bool | None, float | None, float | None]


async def remembered(app: Application) -> dict[str, Row]:
    """By setup: when it was found, when and how it ended, and what the prior had said."""
    async with app.database.transaction() as connection:
        rows = await connection.execute("select setup_id, found_at, resolved_at, won, r, prior from setup_embeddings")
        return {row[0]: row[1:] for row in await rows.fetchall()}


async def test_training_when_repeated_on_the_same_candles_then_the_same_bytes_and_no_setup_twice(
    app: Application,
) -> None:
    first = (await train_encoder(app, HOURLY))["1h"]
    stored = await app.embeddings.newest_model("1h")
    setups = await remembered(app)
    assert first["setups_stored"] == len(setups) > 200
    assert set(CONTROLS) <= set(first["top"])
    again = (await train_encoder(app, HOURLY))["1h"]
    assert stored is not None
    assert await app.embeddings.newest_model("1h") == stored
    assert again == first
    assert await remembered(app) == setups
    other = (await train_encoder(app, HOURLY, seed=1))["1h"]
    assert other["model"] != first["model"]
    assert (other["setups_of_other_models_dropped"], len(await remembered(app))) == (len(setups), len(setups))
    judged = (await evaluate_encoder(app, HOURLY, seed=1))["1h"]
    assert {name: judged[name] for name in judged} == {name: other[name] for name in judged}


async def test_run_when_candles_go_on_then_it_remembers_what_looking_at_all_of_them_at_once_finds(
    app: Application,
) -> None:
    assert "encoder train" in (await run_encoder(app, HOURLY))["state"]
    await train_encoder(app, HOURLY)
    trained = await remembered(app)
    assert any(resolved is None for _, resolved, *_ in trained.values())
    for until in (TRAINED + 150, TRAINED + 151, BARS):
        await app.candles.write(SERIES, market()[:until])
        answer = (await run_encoder(app, HOURLY))["1h"]
        assert (answer["series"], answer["left_out"]) == (1, [])
    kept = await kept_model(app, Timeframe.H1)
    assert kept is not None
    data = await SeriesLoader(app, None, None)(SERIES)
    whole = setup_windows.setups_found(data.history, data.spec, kept.parameters, 0)
    ends = zip(whole.known, whole.resolved_at.tolist(), whole.won.tolist(), whole.r.tolist(), strict=True)
    told = [end if known else (None, None, None) for known, *end in ends]
    run = await remembered(app)
    assert len(run) > len(trained)
    assert {name: row[:4] for name, row in run.items()} == {
        name: (found_at, *end)
        for name, found_at, end in zip(whole.setup_id, whole.found_at.tolist(), told, strict=True)
    }
    later = {name for name, (found_at, *_) in run.items() if found_at > kept.fitted_at}
    assert later == {name for name, row in run.items() if row[4] is not None}, "no prior of what it was fitted on"
    assert later
    current = await app.embeddings.current("binance", "BTC/USDT", "1h")
    assert current is not None
    assert (current.bar_time, current.model_version) == (START + (BARS - 1) * HOUR, kept.version)


async def test_memory_when_asked_as_of_a_time_then_nothing_that_ended_later_is_among_the_answers(
    app: Application,
) -> None:
    version = (await train_encoder(app, HOURLY))["1h"]["model"]
    facts = await remembered(app)
    before = int(np.median([resolved for _, resolved, *_ in facts.values() if resolved is not None]))
    asked = np.random.default_rng(1).normal(size=DIMENSIONS).astype(np.float32)
    found = await app.embeddings.similar(version, asked, before, count=10_000)
    known = {name for name, (_, resolved, *_) in facts.items() if resolved is not None and resolved < before}
    assert {one.setup_id for one in found} == known


async def test_prior_when_its_verdict_is_anything_but_earned_or_its_model_is_not_whole_then_not_heard(
    app: Application,
) -> None:
    assert await open_prior(app, [SERIES]) is None
    told = (await train_encoder(app, HOURLY))["1h"]
    assert not told["earned"], "a random walk teaches nothing"
    assert await open_prior(app, [SERIES]) is None
    heard = await verdicts_in_force(app, [SERIES])
    earned = told | {"earned": True, "half_below": -0.02, "skip_below": None}
    await app.embeddings.add_verdict(EncoderVerdict("1h", told["model"], app.clock.now() + 1, True, earned))
    prior = await open_prior(app, [SERIES])
    assert prior is not None
    assert (prior.models[Timeframe.H1].half_below, prior.models[Timeframe.H1].exchanges) == (-0.02, {"binance"})
    assert await verdicts_in_force(app, [SERIES]) != heard
    assert await open_prior(app, [SeriesKey("binance", "BTC/USDT", Timeframe.H4)]) is None
    stored = await app.embeddings.newest_model("1h")
    assert stored is not None
    # A training that was killed before it had judged.
    await app.embeddings.save_model("not judged", "1h", 0, stored[2], stored[3])
    assert await open_prior(app, [SERIES]) is None
    await app.embeddings.save_model("damaged", "1h", 0, b"damaged", {})
    await app.embeddings.add_verdict(EncoderVerdict("1h", "damaged", app.clock.now() + 2, True, earned))
    assert await open_prior(app, [SERIES]) is None


async def test_training_when_nothing_long_enough_is_stored_then_it_says_what_to_do(app: Application) -> None:
    with pytest.raises(ConfigurationError, match="download-data"):
        await train_encoder(app, timeframes=["1h"], symbols=["ETH/USDT"])
    with pytest.raises(ConfigurationError, match="encoder train"):
        await evaluate_encoder(app)


async def test_jobs_of_each_kind_when_a_worker_runs_them_then_as_the_commands_do(app: Application) -> None:
    async def ran(kind: str, **given: object) -> JsonObject:
        order = order_for(kind, {"timeframes": ["1h"], **given}, by="me")
        work = JobWork(await app.jobs.create(order), KINDS[kind].unit)
        answer = await KINDS[kind].run(app, work, checked(KINDS[kind].parameters, kind, order.parameters))
        assert kind == "encoder" or work.progress.total == 1
        return answer

    assert "encoder train" in (await ran("encoder"))["state"]
    trained = await ran("encoder-train", exchanges=["binance"], symbols=["BTC/USDT"])
    assert (await ran("encoder-evaluate"))["1h"]["reasons"] == trained["1h"]["reasons"]
    with pytest.raises(ConfigurationError, match="did you mean 'timeframes'"):
        order_for("encoder", {"timeframe": "1h"}, by="me")


async def test_commands_when_asked_then_they_tell_the_verdict_with_its_controls(
    app: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = app.settings.database.url
    assert url is not None
    monkeypatch.setenv("TRADEPULSE__DATABASE__URL", url.get_secret_value())
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(app.settings.data_directory))

    async def said(words: str, code: int = 0) -> str:
        assert await asyncio.to_thread(main.run, words.split()) == code, words
        told = capsys.readouterr()
        return told.err if code else told.out

    assert "tradepulse encoder train" in await said("encoder run")
    assert "tradepulse encoder train" in await said("encoder evaluate", 2)
    shown = await said("encoder train -t 1h")
    assert all(name in shown for name in (*CONTROLS, "WORST fifth", "has NOT earned its place"))
    assert json.loads(await said("encoder run --json"))["1h"]["series"] == 1
    job = json.loads(await said("encoder train -t 1h --seed 3 --background --json"))
    assert (job["kind"], job["parameters"]["seed"]) == ("encoder-train", 3)
