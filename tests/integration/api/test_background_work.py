"""Backtests, backfills, imports and schedules over the API: 202 with a job, and what becomes of it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.people import caller, token_for
from tests.integration.api.scenario import Scenario

from tradepulse.api.app import create_app
from tradepulse.domain.users import Role
from tradepulse.shared.settings import Settings

Json = dict[str, Any]
BACKTEST: Json = {"strategy": "volume_breakout", "exchange": "simulated", "symbol": "BTC-USDT", "timeframe": "1m"}
BACKFILL: Json = {"exchange": "binance", "symbols": ["BTC/USDT"], "timeframes": ["1h"], "days": 30}
REPORT: Json = {"strategy": "volume_breakout", "account": {"initial_cash": "10000"}, "profit": "15.5"}
TRADES: list[Json] = [
    {"trade_id": str(number), "exit_time": 1_000 * number, "profit": profit}
    for number, profit in enumerate(["10.25", "-4.75", "10"])
]


@pytest.fixture
def scenario(scenario: Scenario) -> Scenario:
    scenario.begin_without_work()
    return scenario


async def done(scenario: Scenario, job_id: str, result: Json) -> None:
    taken = await scenario.jobs.take("w", ["backtest", "backfill", "import", "audit"], "here")
    assert taken is not None
    assert taken.job_id == job_id
    assert await scenario.jobs.finish(job_id, "w", result)


async def test_backtest_when_asked_for_then_accepted_and_found_under_the_id_of_its_job(
    trader: httpx.AsyncClient, client: httpx.AsyncClient, scenario: Scenario
) -> None:
    answer = await trader.post("/api/backtests", json=BACKTEST)
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job['job_id']}")
    assert (job["kind"], job["state"], job["requested_by"]) == ("backtest", "queued", "Tom")
    assert job["parameters"]["symbol"] == "BTC/USDT"
    unfinished = await client.get(f"/api/backtests/{job['job_id']}")
    assert (unfinished.status_code, "is queued" in unfinished.json()["detail"]) == (404, True)
    await scenario.results.save_backtest(REPORT, TRADES, backtest_id=job["job_id"])
    await done(scenario, job["job_id"], {"backtest_id": job["job_id"]})
    told = (await client.get(f"/api/jobs/{job['job_id']}")).json()
    assert (told["state"], told["result"]) == ("finished", {"backtest_id": job["job_id"]})
    report = (await client.get(f"/api/backtests/{job['job_id']}")).json()
    assert (report["profit"], len(report["trades"])) == ("15.5", 3)
    equity = (await client.get(f"/api/backtests/{job['job_id']}/equity")).json()
    assert equity["initial_cash"] == "10000"
    assert [point["equity"] for point in equity["points"]] == ["10010.25", "10005.50", "10015.50"]


async def test_backtests_when_listed_page_by_page_then_each_comes_once_and_the_trades_likewise(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    for name in ("a", "b", "c"):
        await scenario.results.save_backtest(REPORT, TRADES, backtest_id=name)
    seen, cursor = [], None
    for _ in range(3):
        page = (await client.get("/api/backtests", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [row["backtest_id"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["c", "b", "a"]
    assert "trades" not in page["items"][0]
    first = (await client.get("/api/backtests/a/trades?limit=2")).json()
    rest = (await client.get(f"/api/backtests/a/trades?limit=2&cursor={first['next_cursor']}")).json()
    assert [trade["trade_id"] for trade in first["items"] + rest["items"]] == ["0", "1", "2"]
    assert rest["next_cursor"] is None


async def test_backtest_when_deleted_then_gone_and_a_second_time_not_found(
    trader: httpx.AsyncClient, scenario: Scenario
) -> None:
    await scenario.results.save_backtest(REPORT, TRADES, backtest_id="a")
    assert (await trader.delete("/api/backtests/a")).status_code == 204
    assert (await trader.delete("/api/backtests/a")).status_code == 404
    for path in ("", "/trades", "/equity"):
        assert (await trader.get(f"/api/backtests/a{path}")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "problem"),
    [
        ("/api/backtests", BACKTEST | {"strategy": "volume_breakot"}, 422, "volume_breakot"),
        ("/api/backtests", BACKTEST | {"timeframe": "1w"}, 422, "1w"),
        ("/api/backtests", BACKTEST | {"overrides": {"reward_risk": -1}}, 422, "reward_risk"),
        ("/api/backtests", BACKTEST | {"since": 5, "until": 5}, 422, "since should be before until"),
        ("/api/backtests", BACKTEST | {"stratgy": "x"}, 422, "stratgy"),
        ("/api/backtests", {}, 422, "strategy"),
        ("/api/data/backfill", {"symbols": ["BTC/USDT"]}, 422, "belong together"),
        ("/api/data/backfill", BACKFILL | {"days": 0}, 422, "days"),
        ("/api/data/import", {"files": []}, 422, "files"),
        ("/api/data/import", {"files": ["../secrets.csv"]}, 400, "lies outside"),
        ("/api/data/import", {"files": ["/etc/passwd"]}, 400, "lies outside"),
        ("/api/data/import", {"files": ["nothing.csv"]}, 400, "There is no file or folder 'nothing.csv'"),
        ("/api/data/import", {"files": ["."], "timeframe": "7m"}, 400, "7m"),
        ("/api/jobs/unknown/resume", {}, 404, "There is no job 'unknown'"),
        ("/api/jobs/schedules/unknown/run", {}, 404, "There is no schedule 'unknown'"),
    ],
)
async def test_work_when_it_is_asked_for_wrongly_then_refused_naming_what_is_wrong(
    scenario: Scenario, tmp_path: Path, path: str, body: Json, status: int, problem: str
) -> None:
    (tmp_path / "import").mkdir()
    app = create_app(scenario.services, settings=Settings(data_directory=tmp_path), static=tmp_path)
    async with caller(app, await token_for(app, Role.TRADER)) as trader:
        answer = await trader.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert problem in answer.text
    assert await scenario.jobs.jobs() == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/backtests", BACKTEST),
        ("DELETE", "/api/backtests/a", None),
        ("POST", "/api/data/backfill", BACKFILL),
        ("POST", "/api/data/import", {"files": ["a"]}),
        ("DELETE", "/api/jobs/a", None),
        ("POST", "/api/jobs/a/resume", None),
        ("PATCH", "/api/jobs/schedules/daily-audit", {"enabled": False}),
        ("POST", "/api/jobs/schedules/daily-audit/run", None),
    ],
)
async def test_work_when_a_viewer_or_nobody_asks_for_it_then_forbidden_and_nothing_is_left(
    app: FastAPI, client: httpx.AsyncClient, nobody: httpx.AsyncClient, method: str, path: str, body: Json | None
) -> None:
    assert (await client.request(method, path, json=body)).status_code == 403
    assert (await nobody.request(method, path, json=body)).status_code == 401
    assert (await client.get("/api/jobs")).json()["items"] == []


async def test_backfill_when_the_same_is_open_then_conflict_and_under_the_same_key_the_same_job(
    trader: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "once"}
    first = await trader.post("/api/data/backfill", json=BACKFILL, headers=key)
    again = await trader.post("/api/data/backfill", json=BACKFILL, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    refused = await trader.post("/api/data/backfill", json=BACKFILL)
    assert refused.status_code == 409
    assert first.json()["job_id"] in refused.json()["detail"]


async def test_import_when_files_lie_in_the_import_folder_then_left_for_a_worker_of_this_machine(
    scenario: Scenario, tmp_path: Path
) -> None:
    (tmp_path / "import").mkdir()
    (tmp_path / "import" / "a.csv").write_text("")
    app = create_app(scenario.services, settings=Settings(data_directory=tmp_path), static=tmp_path)
    async with caller(app, await token_for(app, Role.TRADER)) as trader:
        answer = await trader.post("/api/data/import", json={"files": ["a.csv"], "symbol": "BTC-USDT"})
    assert answer.status_code == 202, answer.text
    (job,) = await scenario.jobs.jobs()
    assert (job.parameters["paths"], job.parameters["symbol"]) == ([str(tmp_path / "import" / "a.csv")], "BTC/USDT")
    assert job.machine is not None


async def test_job_when_cancelled_and_resumed_then_its_state_follows_and_what_is_over_is_refused(
    trader: httpx.AsyncClient, scenario: Scenario
) -> None:
    job_id = (await trader.post("/api/data/backfill", json=BACKFILL)).json()["job_id"]
    assert (await trader.post(f"/api/jobs/{job_id}/resume")).status_code == 409
    assert (await trader.delete(f"/api/jobs/{job_id}")).json()["state"] == "cancelled"
    assert (await trader.delete(f"/api/jobs/{job_id}")).status_code == 409
    resumed = await trader.post(f"/api/jobs/{job_id}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")
    await done(scenario, job_id, {"inserted": 5})
    assert (await trader.post(f"/api/jobs/{job_id}/resume")).status_code == 409
    assert [job["job_id"] for job in (await trader.get("/api/jobs?ended=true&kind=backfill")).json()["items"]] == [
        job_id
    ]
    assert (await trader.get("/api/jobs?ended=false")).json()["items"] == []
    assert (await trader.get("/api/jobs/unknown")).status_code == 404
    assert (await trader.delete("/api/jobs/unknown")).status_code == 404


async def test_schedules_when_switched_and_run_then_the_next_run_shows(
    trader: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    listed = {line["name"]: line for line in (await client.get("/api/jobs/schedules")).json()}
    assert (listed["nightly-backfill"]["enabled"], listed["nightly-backfill"]["next_run"]) == (False, None)
    switched = (await trader.patch("/api/jobs/schedules/nightly-backfill", json={"enabled": True})).json()
    assert switched["next_run"] > 0
    run = await trader.post("/api/jobs/schedules/nightly-backfill/run")
    assert (run.status_code, run.json()["schedule"]) == (202, "nightly-backfill")
    assert (await trader.patch("/api/jobs/schedules/unknown", json={"enabled": True})).status_code == 404
    assert (await trader.patch("/api/jobs/schedules/nightly-backfill", json={"on": True})).status_code == 422
