"""Training over the API: jobs, what is traded where, configurations with their evidence, and the regimes of now."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.integration.api.scenario import Scenario

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import Combination, Configuration, JobState, Origin, Stage
from tradepulse.policy.configuration_documents import document_of
from tradepulse.strategies import STRATEGIES

Json = dict[str, Any]
START: Json = {
    "symbols": ["BTC-USDT"],
    "exchanges": ["simulated"],
    "strategies": ["volume_breakout"],
    "timeframes": ["1m", "5m"],
}
PARAMETERS = STRATEGIES["volume_breakout"].parameters()
CONFIGURATION = Configuration(
    configuration_id="",
    combination=Combination(SeriesKey("simulated", "BTC/USDT", Timeframe.M5), "volume_breakout", None),
    version=0,
    values=dict(PARAMETERS.values),
    parameters_id=PARAMETERS.parameters_id,
    origin=Origin.PLATEAU,
    stage=Stage.VALIDATION,
    active=False,
    evidence={"combination": {"published": {"trades": 40, "precision": 0.6}}},
    job_id=None,
    created_at=5,
)


@pytest.fixture
def scenario(scenario: Scenario) -> Scenario:
    scenario.begin_without_work()
    return scenario


@pytest.fixture
async def job_id(trader: httpx.AsyncClient) -> str:
    return str((await trader.post("/api/training/start-multi-dimensional", json=START)).json()["job_id"])


@pytest.fixture
async def configuration(scenario: Scenario) -> str:
    return (await scenario.configurations.add(CONFIGURATION, reason="for the test")).configuration_id


async def test_start_when_asked_for_then_accepted_with_every_dimension_and_told_part_by_part(
    trader: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    answer = await trader.post("/api/training/start-multi-dimensional", json=START)
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert (job["state"], job["symbols"], job["market_regimes"]) == (
        "queued",
        ["BTC/USDT"],
        ["bear", "bull", "sideways"],
    )
    assert (job["units"], job["units_done"], job["requested_by"]) == (2, 0, "Tom")
    story = (await client.get(f"/api/training/jobs/{job['job_id']}")).json()
    assert [(part["timeframe"], part["state"]) for part in story["parts"]] == [("1m", "queued"), ("5m", "queued")]
    listed = (await client.get("/api/training/jobs")).json()["items"]
    assert [line["job_id"] for line in listed] == [job["job_id"]]
    assert (await client.get(f"/api/jobs/{job['job_id']}")).json()["kind"] == "training"
    again = await trader.post("/api/training/start-multi-dimensional", json=START)
    assert (again.status_code, job["job_id"] in again.json()["detail"]) == (409, True)


async def test_start_when_only_symbols_and_exchanges_are_named_then_all_that_can_be_trained(
    trader: httpx.AsyncClient,
) -> None:
    asked = {"symbols": ["BTC/USDT"], "exchanges": ["simulated"]}
    job = (await trader.post("/api/training/start-multi-dimensional", json=asked)).json()
    assert job["timeframes"] == ["1m", "5m", "15m", "1h", "4h", "1d"]
    assert sorted(job["strategies"]) == sorted(STRATEGIES)


@pytest.mark.parametrize(
    ("change", "status", "problem"),
    [
        ({"symbols": []}, 422, "symbols"),
        ({"symbols": ["DOGE/USDT"]}, 400, "DOGE/USDT"),
        ({"strategies": ["volume_breakot"]}, 400, "volume_breakout"),
        ({"market_regimes": ["bulll"]}, 400, "bull"),
        ({"timeframes": ["1w"]}, 400, "1w"),
        ({"points": 3}, 400, "64"),
        ({"pionts": 3}, 422, "pionts"),
    ],
)
async def test_start_when_something_is_wrong_then_refused_naming_it(
    trader: httpx.AsyncClient, scenario: Scenario, change: Json, status: int, problem: str
) -> None:
    answer = await trader.post("/api/training/start-multi-dimensional", json=START | change)
    assert answer.status_code == status, answer.text
    assert problem in answer.text
    assert await scenario.training.jobs() == []


async def test_training_job_when_cancelled_then_over_and_neither_cancelled_nor_resumed_again(
    trader: httpx.AsyncClient, job_id: str
) -> None:
    resumed = await trader.post(f"/api/training/jobs/{job_id}/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")
    assert (await trader.delete(f"/api/training/jobs/{job_id}")).json()["state"] == "cancelled"
    assert (await trader.delete(f"/api/training/jobs/{job_id}")).status_code == 409
    assert (await trader.post(f"/api/training/jobs/{job_id}/resume")).status_code == 409
    for method, path in (("GET", ""), ("GET", "/results"), ("DELETE", ""), ("POST", "/resume")):
        assert (await trader.request(method, f"/api/training/jobs/unknown{path}")).status_code == 404


async def test_results_when_the_job_has_been_judged_then_its_report_and_before_that_not_found(
    client: httpx.AsyncClient, scenario: Scenario, job_id: str
) -> None:
    before = await client.get(f"/api/training/jobs/{job_id}/results")
    assert (before.status_code, "is queued" in before.json()["detail"]) == (404, True)
    await scenario.training.save_report(job_id, {"families": [], "combinations": [{"verdict": "not traded"}]})
    report = (await client.get(f"/api/training/jobs/{job_id}/results")).json()
    assert report["combinations"] == [{"verdict": "not traded"}]
    assert (await client.get(f"/api/training/jobs/{job_id}")).json()["state"] == JobState.FINISHED


async def test_system_status_when_work_goes_on_then_who_does_what(
    trader: httpx.AsyncClient, scenario: Scenario, job_id: str, configuration: str
) -> None:
    await scenario.training.take(job_id, "worker-1")
    await trader.post("/api/data/backfill", json={"exchange": "binance"})
    await scenario.jobs.take("worker-2", ["backfill"], "here")
    await trader.post(f"/api/training/configurations/{configuration}/activate", json={"reason": "a test"})
    status = (await trader.get("/api/training/system-status")).json()
    assert (status["jobs"], status["background"]) == ({"running": 1}, {"running": 1})
    assert {line["worker"] for line in status["workers"]} == {"worker-1", "worker-2"}
    assert (status["trials_evaluated"], status["in_force"]) == (0, {"validation": 1})


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC-USDT", "BTC%2FUSDT", "BTC%252FUSDT"])
async def test_strategy_parameters_when_the_symbol_is_written_in_any_of_its_ways_then_the_same_answer(
    trader: httpx.AsyncClient, configuration: str, symbol: str
) -> None:
    await trader.post(f"/api/training/configurations/{configuration}/activate", json={})
    path = f"/api/training/strategy-parameters/{symbol}/simulated/volume_breakout"
    answer = await trader.get(path)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["symbol"], len(told["parameters"])) == ("BTC/USDT", 24)
    (bull,) = (await trader.get(f"{path}?regime=bull&timeframe=5m")).json()["parameters"]
    assert (bull["answer"], bull["configuration_id"], bull["values"]) == (
        "parent",
        configuration,
        CONFIGURATION.values,
    )
    assert bull["size_share"] == 0.5
    (hour,) = (await trader.get(f"{path}?regime=bull&timeframe=1h")).json()["parameters"]
    assert (hour["answer"], hour["values"]) == ("do not trade", {})
    assert hour["reason"] != ""


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("BTC/simulated/volume_breakout", "not a symbol"),
        ("BTC-USDT/simulated/volume_breakot", "volume_breakout"),
        ("BTC-USDT/simulated/volume_breakout?regime=bulll", "bull"),
        ("BTC-USDT/simulated/volume_breakout?timeframe=1w", "1w"),
    ],
)
async def test_strategy_parameters_when_a_name_is_wrong_then_refused_naming_it(
    client: httpx.AsyncClient, path: str, problem: str
) -> None:
    answer = await client.get(f"/api/training/strategy-parameters/{path}")
    assert (answer.status_code, problem in answer.text) == (400, True), answer.text


async def test_configuration_when_activated_and_deactivated_then_its_life_and_the_audit_log_tell_who(
    trader: httpx.AsyncClient, admin: httpx.AsyncClient, configuration: str
) -> None:
    path = f"/api/training/configurations/{configuration}"
    activated = (await trader.post(f"{path}/activate", json={"reason": "it convinced me"})).json()
    assert (activated["active"], activated["activated_by"]) == (True, "Tom")
    listed = (await trader.get("/api/training/configurations?symbol=BTC-USDT&active=true")).json()["items"]
    assert [line["configuration_id"] for line in listed] == [configuration]
    deactivated = (await trader.post(f"{path}/deactivate", json={"reason": "not any more"})).json()
    assert deactivated["active"] is False
    assert (await trader.get("/api/training/configurations?active=true")).json()["items"] == []
    story = (await trader.get(path)).json()
    assert story["evidence"] == CONFIGURATION.evidence
    assert [move["action"] for move in story["life"]] == ["created", "activated", "deactivated"]
    assert story["life"][1]["reason"] == "it convinced me"
    noted = [line for line in (await admin.get("/api/auth/audit")).json()["items"] if line["subject"] == configuration]
    assert [(line["actor"], line["action"]) for line in noted] == [
        ("Tom", "configuration deactivated"),
        ("Tom", "configuration activated"),
    ]


async def test_configuration_when_rolled_back_then_the_version_before_is_in_force_and_the_audit_log_tells_who(
    trader: httpx.AsyncClient,
    client: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    scenario: Scenario,
    configuration: str,
) -> None:
    later = (await scenario.configurations.add(CONFIGURATION, reason="for the test")).configuration_id
    path = "/api/training/configurations"
    for one in (configuration, later):
        await trader.post(f"{path}/{one}/activate", json={"reason": "a test"})
    assert (await client.post(f"{path}/{later}/rollback", json={})).status_code == 403
    moved = (await trader.post(f"{path}/{later}/rollback", json={"reason": "it was better"})).json()
    assert (moved["configuration_id"], moved["active"]) == (configuration, True)
    in_force = (await trader.get(f"{path}?active=true")).json()["items"]
    assert [line["configuration_id"] for line in in_force] == [configuration]
    assert (await trader.post(f"{path}/{later}/rollback", json={})).status_code == 409
    assert (await trader.post(f"{path}/unknown/rollback", json={})).status_code == 404
    audit = (await admin.get("/api/auth/audit")).json()["items"]
    assert ("Tom", "configuration rolled back", configuration) in {
        (line["actor"], line["action"], line["subject"]) for line in audit
    }


async def test_configurations_when_imported_then_inactive_once_and_exported_as_they_came(
    trader: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    path = "/api/training/configuration-documents"
    assert (await client.get(path)).status_code == 404
    sent = replace(CONFIGURATION, configuration_id="elsewhere", version=3, stage=Stage.MATURE)
    text = json.dumps(document_of([sent], 5, "another version"))
    changed = await trader.post(path, json={"text": text.replace("mature", "confirmation")})
    assert (changed.status_code, "hash" in changed.json()["detail"]) == (400, True), changed.text
    assert (await client.post(path, json={"text": text})).status_code == 403
    added = (await trader.post(path, json={"text": text})).json()["items"]
    assert [(line["active"], line["stage"], line["origin"]) for line in added] == [(False, "validation", "imported")]
    assert (await trader.post(path, json={"text": text})).json() == {"items": []}
    exported = (await client.get(f"{path}?symbol=BTC-USDT")).json()["document"]
    assert [entry["values"] for entry in exported["configurations"]] == [dict(CONFIGURATION.values)]


async def test_configuration_when_it_is_unknown_retired_or_asked_for_by_a_viewer_then_refused(
    trader: httpx.AsyncClient, client: httpx.AsyncClient, scenario: Scenario, configuration: str
) -> None:
    retired = await scenario.configurations.add(replace(CONFIGURATION, stage=Stage.RETIRED), reason="for the test")
    for act in ("activate", "deactivate"):
        assert (await trader.post(f"/api/training/configurations/unknown/{act}", json={})).status_code == 404
        assert (await client.post(f"/api/training/configurations/{configuration}/{act}", json={})).status_code == 403
    refused = await trader.post(f"/api/training/configurations/{retired.configuration_id}/activate", json={})
    assert (refused.status_code, "retired" in refused.json()["detail"]) == (409, True)
    assert (await client.get("/api/training/configurations/unknown")).status_code == 404
    assert (await client.get("/api/training/configurations?regime=bulll")).status_code == 400
    assert (await client.post("/api/training/start-multi-dimensional", json=START)).status_code == 403


async def test_matrix_when_asked_for_then_all_54_combinations_with_a_reason_each(
    trader: httpx.AsyncClient, client: httpx.AsyncClient, configuration: str
) -> None:
    await trader.post(f"/api/training/configurations/{configuration}/activate", json={})
    matrix = (await client.get("/api/training/matrix?symbol=BTC-USDT&exchange=simulated")).json()
    assert (len(matrix["cells"]), len(matrix["parents"])) == (54, 18)
    assert all(cell["reason"] for cell in matrix["cells"])
    falling = [cell for cell in matrix["cells"] if cell["verdict"] == "falls back"]
    assert {(cell["strategy"], cell["timeframe"]) for cell in falling} == {("volume_breakout", "5m")}
    assert (await client.get("/api/training/matrix?symbol=BTC&exchange=simulated")).status_code == 400
    assert (await client.get("/api/training/matrix?symbol=BTC-USDT")).status_code == 422


async def test_market_regimes_when_asked_for_then_one_per_market_as_the_chart_shows_it(
    client: httpx.AsyncClient,
) -> None:
    found = (await client.get("/api/training/market-regimes?timeframe=1m")).json()["items"]
    assert [line["symbol"] for line in found] == ["BTC/USDT", "ETH/USDT"]
    chart = await client.get("/api/analytics/candles?exchange=simulated&symbol=BTC-USDT&timeframe=1m&limit=200")
    bars = chart.json()["candles"]
    assert (found[0]["regime"], found[0]["time"]) == (bars[-1]["regime"], bars[-1]["time"])
    same = [bar["regime"] == found[0]["regime"] for bar in bars]
    began = None if all(same) else bars[len(same) - same[::-1].index(False)]["time"]
    assert found[0]["since"] == began
    assert (await client.get("/api/training/market-regimes?symbol=DOGE-USDT")).json()["items"] == []
    assert (await client.get("/api/training/market-regimes?timeframe=7m")).status_code == 400


async def test_ranges_when_set_then_shown_kept_with_who_and_why_and_recorded_by_the_next_training(
    trader: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    path = "/api/patterns/volume_breakout/parameters"
    body = {"ranges": {"reward_risk": {"low": 2, "high": 3}}, "reason": "wide ones never paid", "version": 0}
    told = (await trader.put(path, json=body)).json()
    assert (told["version"], told["set_by"]) == (1, "Tom")
    shown = {line["name"]: line for line in (await trader.get(path)).json()}
    assert shown["reward_risk"]["allowed"] == {"low": 2.0, "high": 3.0, "choices": []}
    assert (shown["reward_risk"]["low"], shown["min_reward_risk"]["allowed"]) == (1.5, None)
    late = await trader.put(path, json=body)
    assert (late.status_code, late.json()["code"]) == (409, "changed_meanwhile")
    job = (await trader.post("/api/training/start-multi-dimensional", json=START)).json()
    assert job["ranges"] == [
        {"strategy": "volume_breakout", "parameter": "reward_risk", "low": 2.0, "high": 3.0, "choices": []}
    ]
    await trader.put(path, json=body | {"ranges": {}, "version": 1})
    assert (await trader.get(f"/api/training/jobs/{job['job_id']}")).json()["ranges"] == job["ranges"]
    versions = (await trader.get(f"{path}/versions?limit=1")).json()
    assert ([one["version"] for one in versions["items"]], versions["next_cursor"]) == ([2], 2)
    noted = (await admin.get("/api/auth/audit?limit=2")).json()["items"]
    assert [(line["actor"], line["action"], line["facts"]["version"]) for line in noted] == [
        ("Tom", "ranges of parameters set", 2),
        ("Tom", "ranges of parameters set", 1),
    ]


@pytest.mark.parametrize(
    ("ranges", "status", "problem"),
    [
        ({"reward_risk": {"low": 0.1}}, 400, "may not reach to 0.1"),
        ({"reward_risk": {"low": 3, "high": 2}}, 400, "holds no value"),
        ({"reward_rsk": {"low": 2}}, 400, "reward_risk"),
        ({"reward_risk": {"lo": 2}}, 422, "lo"),
    ],
)
async def test_ranges_when_absurd_then_refused_naming_the_rule_and_none_is_set(
    trader: httpx.AsyncClient, scenario: Scenario, ranges: Json, status: int, problem: str
) -> None:
    answer = await trader.put("/api/patterns/volume_breakout/parameters", json={"ranges": ranges, "reason": "a test"})
    assert (answer.status_code, problem in answer.text) == (status, True), answer.text
    assert (await scenario.ranges.in_force("volume_breakout")).version == 0
