"""Training through the real command line and a real database: a whole job, its matrix, its report, and its refusals."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.acceptance import training_candles

from tradepulse import bootstrap
from tradepulse.bootstrap.training import trained_assets
from tradepulse.cli.main import run
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import Configuration, TrainingJob, TrainingRequest, regime_of
from tradepulse.shared.settings import PLAIN_NAMES, load_settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema
from tradepulse.strategies import STRATEGIES

ALL_OF_IT = "train -s WALK/USDT,TROT-USDT -t 1h,4h --points 64 --threads 1 --json"
ONE = SeriesKey("binance", "WALK/USDT", Timeframe.H1)


@pytest.fixture(scope="module")
def url(postgres_server: EmbeddedServer) -> str:
    create_database(postgres_server.url("postgres"), "training_commands")
    sync_schema(postgres_server.url("training_commands"))
    return postgres_server.url("training_commands")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, url: str) -> Path:
    folder = tmp_path_factory.mktemp("candles")
    training_candles.write_all(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        assert run(["import-data", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def surroundings(folder: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in PLAIN_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    def answered(command: str, code: int = 0) -> Any:
        capsys.readouterr()
        found = run(command.split())
        said = capsys.readouterr()
        assert found == code, said.err
        if code:
            lines = said.err.strip().splitlines()
            assert len(lines) == 1, said.err
            return lines[0]
        return json.loads(said.out) if "--json" in command else said.out

    return answered


@pytest.fixture(scope="module")
def trained(folder: Path, url: str) -> str:
    """The id of a finished job."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        assert run([*ALL_OF_IT.split(), "--detach"]) == 0
        assert run(["train", "--resume", _newest(url), "--threads", "1", "--json"]) == 0
    return _newest(url)


def _newest(url: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute('select job_id from training_jobs order by "row" desc limit 1').fetchone()
    assert row is not None
    return str(row[0])


def _count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def test_train_when_started_detached_then_resumed_then_one_report_of_every_combination(
    trained: str, ask: Any, url: str
) -> None:
    jobs = ask("training-jobs --json")
    assert [(job["job"], job["state"]) for job in jobs][-1] == (trained, "finished")
    assert jobs[-1]["units"] == jobs[-1]["units_done"] == 2 * 1 * 3
    report = ask(f"training-report {trained[:9]} --json")
    assert report["job"]["id"] == trained
    assert len(report["combinations"]) == 2 * 3 * 4
    assert {entry["verdict"] for entry in report["combinations"]} <= {"deployed", "falls back", "not traded"}
    left_out = {entry["series"]: entry["reason"] for entry in report["left_out"]}
    assert set(left_out) == {"binance:WALK/USDT:4h", "binance:TROT/USDT:4h"}
    assert "at least 1,000 are needed" in left_out["binance:WALK/USDT:4h"]
    assert ask(f"train --resume {trained} --json") == report
    assert _count(url, "training_reports") == 1


def test_train_when_repeated_then_the_same_verdicts_and_figures(trained: str, ask: Any) -> None:
    first = ask(f"training-report {trained} --json")
    second = ask(ALL_OF_IT.replace("--threads 1", "--threads 2"))
    assert second["job"]["id"] != trained
    for part in ("families", "combinations", "left_out", "honesty", "summary"):
        assert second[part] == first[part]


def test_matrix_when_trained_then_54_cells_and_each_says_why(trained: str, ask: Any) -> None:
    (matrix,) = ask("matrix walk-usdt --json")
    assert len(matrix["cells"]) == 54
    assert len({(cell["strategy"], cell["regime"], cell["timeframe"]) for cell in matrix["cells"]}) == 54
    verdicts = {cell["timeframe"]: cell["verdict"] for cell in matrix["cells"] if cell["strategy"] == "htf_sweep"}
    assert verdicts["4h"] == "left out"
    assert verdicts["1d"] == "never trained"
    assert verdicts["1h"] in {"traded", "falls back", "not traded"}
    assert all(cell["reason"].endswith(".") for cell in matrix["cells"])
    shown = ask("matrix WALK/USDT").splitlines()
    assert sum("never trained" in line for line in shown) >= 36
    assert "\x1b" not in "".join(shown)


def test_report_when_written_then_one_page_and_never_over_a_file_that_is_there(
    trained: str, ask: Any, tmp_path: Path
) -> None:
    ask(f"training-report {trained} --output report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "WALK/USDT" in page
    assert "is there already" in ask(f"training-report {trained} --output report.html", 2)
    assert "cannot be written" in ask(f"training-report {trained} --output nowhere/report.html", 2)


def test_walk_forward_when_asked_then_every_fold_is_chosen_before_it_is_traded_and_it_is_stored(
    ask: Any, url: str
) -> None:
    before = _count(url, "backtests")
    found = ask("walk-forward volume_breakout -s WALK/USDT,TROT/USDT -t 1h --points 64 --folds 3 --json")
    assert found["series"] == ["binance:TROT/USDT:1h", "binance:WALK/USDT:1h"]
    assert len(found["folds"]) == 3
    assert all(fold["from"] < fold["until"] for fold in found["folds"])
    assert [fold["from"] for fold in found["folds"][1:]] == [fold["until"] for fold in found["folds"][:-1]]
    assert found["id"]
    assert _count(url, "backtests") == before + 1


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("SHORT/USDT", "50 candles are stored, at least 1,000 are needed"),
        ("FLAT/USDT", "the price never moves from 100"),
        ("QUIET/USDT", "there is no volume in any candle"),
        ("HOLE/USDT", "candles cover only"),
    ],
)
def test_train_when_nothing_can_be_learned_then_the_reason_is_named_and_no_job_is_made(
    symbol: str, says: str, ask: Any, url: str
) -> None:
    before = _count(url, "training_jobs")
    line = ask(f"train -s {symbol} -t 1h --points 64", 2)
    assert line.startswith(f"error: Nothing can be trained: binance:{symbol}:1h: {says}")
    assert _count(url, "training_jobs") == before
    assert "tradepulse" in ask("list-configurations")


def test_train_when_the_same_job_is_unfinished_then_refused_until_that_one_is_cancelled(ask: Any, url: str) -> None:
    command = "train -s WALK/USDT -t 1h --strategy htf_sweep --points 64"
    first = ask(f"{command} --detach --json")
    assert first["state"] == "queued"
    assert first["job"] in ask(command, 4)
    (cancelled,) = ask(f"training-jobs --cancel {first['job'][:13]} --json")
    assert (cancelled["job"], cancelled["state"]) == (first["job"], "cancelled")
    assert "has ended already" in ask(f"training-jobs --cancel {first['job']}", 4)
    assert "has been cancelled" in ask(f"train --resume {first['job']}", 4)
    assert "has no report" in ask(f"training-report {first['job']}", 2)
    again = ask(f"{command} --detach --json")
    assert again["job"] != first["job"]
    ask(f"training-jobs --cancel {again['job']} --json")


def deployed(*rewards: float) -> list[Configuration]:
    """Versions as a judge puts them into force, one job after the other."""

    async def work() -> list[Configuration]:
        async with bootstrap.open_application(load_settings()) as app:
            manager = trained_assets(app)
            for number, reward_risk in enumerate(rewards):
                request = TrainingRequest((ONE.symbol,), (ONE.exchange,), ("htf_sweep",), (), (ONE.timeframe,))
                job = TrainingJob(f"job {reward_risk} {number}", request, "judging", "a test", 0)  # type: ignore[arg-type]
                await manager.deploy(job, {"families": [], "combinations": [_passed("bull", reward_risk)]})
            return list(await manager.list(symbol=ONE.symbol, strategy="htf_sweep", regime="bull"))

    return asyncio.run(work())


def _passed(regime: str, reward_risk: float) -> dict[str, Any]:
    parameters = STRATEGIES["htf_sweep"].parameters(regime_of(regime), reward_risk=reward_risk)
    figures = {"trades": 40, "precision": 0.6, "precision_lower": 0.5, "break_even": 0.4, "expectancy_r": 0.3}
    return {
        "exchange": ONE.exchange,
        "symbol": ONE.symbol,
        "timeframe": str(ONE.timeframe),
        "strategy": "htf_sweep",
        "regime": regime,
        "verdict": "deployed",
        "reason": "it passed",
        "steps": [{"step": "D", "title": "Precision", "passed": True, "reason": "enough", "figures": {}}],
        "origin": "tuned",
        "values": dict(parameters.values),
        "parameters_id": parameters.parameters_id,
        "training": figures,
        "held_out": figures,
        "published": {**figures, "effective_trades": 55.0},
        "data": {"hash": "feed", "first": 0, "last": 1, "candles": 2},
    }


def test_life_when_commanded_then_every_step_is_kept_with_its_reason_and_shown(ask: Any) -> None:
    first, second = (one.configuration_id for one in deployed(2.0, 3.0))
    assert "next stage" in ask(f"promote {second} --reason sure --to mature", 4)
    assert ask(f"promote {second} --reason forty_trades --json")["stage"] == "confirmation"
    assert ask(f"rollback {second} --reason worse --json")["configuration_id"] == first
    assert "not in force" in ask(f"promote {second} --reason sure", 4)
    assert ask(f"activate {second[:13]} --json")["active"] is True
    assert ask(f"deactivate {second} --reason holiday --json")["active"] is False
    assert ask(f"retire {first} --reason over --json")["stage"] == "retired"
    assert "retired" in ask(f"activate {first}", 4)
    life = ask(f"show-configuration {second} --json")["life"]
    assert [(move["action"], move["reason"]) for move in life][2:] == [
        ("promoted", "forty_trades"),
        ("deactivated", "Another version of binance:WALK/USDT:1h:htf_sweep:bull is in force now: worse"),
        ("activated", "no reason given"),
        ("deactivated", "holiday"),
    ]
    shown = ask(f"show-configuration {second}")
    for words in ("in sample", "held out", "reward_risk=3.0", "60.0%", "+0.30 R", "Precision", "passed", "holiday"):
        assert words in shown
    listed = ask("list-configurations --regime bull --json")
    assert {one["configuration_id"] for one in listed} == {first, second}
    (matrix,) = ask("matrix WALK/USDT --json")
    cell = next(
        cell
        for cell in matrix["cells"]
        if (cell["strategy"], cell["regime"], cell["timeframe"]) == ("htf_sweep", str(Regime.BULL), "1h")
    )
    assert cell["verdict"] != "traded"


def test_configurations_when_exported_and_imported_then_the_same_document_is_nothing_new_and_a_changed_one_refused(
    ask: Any, tmp_path: Path
) -> None:
    versions = deployed(2.5)
    told = ask("export-configurations --output shared.json --json")
    assert told["configurations"] >= len(versions)
    assert "cannot be written" in ask("export-configurations --output shared.json", 2)
    assert ask("import-configurations shared.json --json") == []
    text = (tmp_path / "shared.json").read_text()
    (tmp_path / "better.json").write_text(text.replace('"precision": 0.6', '"precision": 0.9'))
    assert "it was changed after it was exported" in ask("import-configurations better.json", 2)
    (tmp_path / "page.json").write_text("<html>")
    assert "not JSON" in ask("import-configurations page.json", 2)
    assert "cannot be read" in ask("import-configurations nothing.json", 2)


def test_ranges_when_set_then_the_next_training_finds_nothing_outside_of_them(ask: Any, folder: Path) -> None:
    told = ask("parameters htf_sweep --allow reward_risk=2.8..3 --allow max_bars_in_trade=..40 --reason dear --json")
    assert told["version"] == 1
    assert "2.8 to 3" in ask("parameters htf_sweep")
    assert "'reward_risk=2' is not a range" in ask("parameters htf_sweep --allow reward_risk=2 --reason x", code=2)
    assert "needs a reason" in ask("parameters htf_sweep --free reward_risk", code=2)
    asked = "train -s WALK/USDT -t 1h --strategy htf_sweep --points 64 --threads 1 --seed 5 --json"
    report, again = ask(asked), ask(asked)
    assert report["job"]["request"]["ranges"][0]["parameter"] == "max_bars_in_trade"
    found = [entry["values"] for entry in report["combinations"] if entry["values"]]
    assert found
    for values in found:
        assert 2.8 <= values["reward_risk"] <= 3.0
        assert 10 <= values["max_bars_in_trade"] <= 40
    assert [entry["values"] for entry in again["combinations"] if entry["values"]] == found
    assert ask("parameters htf_sweep --free reward_risk --free max_bars_in_trade --reason over --json")["version"] == 2
