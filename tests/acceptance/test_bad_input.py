"""Whatever is wrong with the input: one clear line that names it and says what to do, and nothing half-written.

Every case goes through the real command line to a real database; the table below reads as a list of promises.
"""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from tests.acceptance import bad_files

from tradepulse.cli.main import run
from tradepulse.shared.settings import PLAIN_NAMES
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import sync_schema

GOOD = "binance__GOOD-USDT__1h.csv"
NOBODY = "postgresql://me:hunter2@127.0.0.1:9/tradepulse"
"""Nobody listens on the discard port."""
LIVE = {"TRADING_MODE": "live"}
BACKTEST = "backtest htf_sweep -e binance -s GOOD/USDT -t 1h"
TRAIN = "train -e binance"
WALK = "walk-forward htf_sweep -s GOOD/USDT -t 1h"


@dataclass(frozen=True)
class Case:
    """``says`` are words of the one error line; ``stored`` is how many candles may have been added."""

    name: str
    command: str
    says: tuple[str, ...]
    code: int = 2
    environment: dict[str, str] = field(default_factory=dict)
    stored: int = 0


def refused_file(name: str, file: str, *says: str) -> Case:
    return Case(name, f"import-data {file}", (file, *says), 4)


def refused_row(name: str, file: str, *says: str) -> Case:
    """Five good rows are stored, the sixth is named."""
    return Case(name, f"import-data {file}", ("1 of 6 rows were refused", file, *says), 4, stored=5)


def wrong_setting(name: str, setting: str, value: str, *says: str) -> Case:
    return Case(name, "list-data", (setting, *says), environment={setting: value})


CASES = [
    refused_file("truncated parquet", "binance__CUT-USDT__1h.parquet"),
    refused_file("text named parquet", "binance__TEXT-USDT__1h.parquet"),
    refused_file("web page named csv", "binance__WEB-USDT__1h.csv"),
    refused_file("empty file", "binance__EMPTY-USDT__1h.csv"),
    refused_file("header without rows", "binance__HEAD-USDT__1h.csv", "no candle inside"),
    refused_file("wrong columns", "binance__COLUMNS-USDT__1h.csv", "column"),
    refused_file("binary named csv", "binance__BINARY-USDT__1h.csv"),
    refused_file("words instead of numbers", "binance__WORDS-USDT__1h.csv"),
    refused_file("zip that is none", "binance__ZIP-USDT__1h.zip"),
    refused_file("zip with garbage", "BTCUSDT-1h-2025-01.zip"),
    refused_file("zip without candles", "ETHUSDT-1h-2025-01.zip"),
    refused_file("truncated json", "binance__JSON-USDT__1h.json"),
    refused_file("truncated feather", "binance__FEATHER-USDT__1h.feather"),
    refused_file("file name tells nothing", "candles.csv", "--exchange", "--symbol", "--timeframe"),
    refused_file("unknown timeframe in a file name", "binance__FRAME-USDT__7h.csv", "7h"),
    refused_file("not a candle file", "notes.txt"),
    refused_row("not a number", "binance__NAN-USDT__1h.csv", "line 7"),
    refused_row("infinite price", "binance__INF-USDT__1h.csv", "line 7"),
    refused_row("high below low", "binance__HIGHLOW-USDT__1h.csv", "line 7"),
    refused_row("negative price", "binance__NEGATIVE-USDT__1h.csv", "line 7"),
    refused_row("negative volume", "binance__VOLUME-USDT__1h.csv", "line 7"),
    refused_row("misaligned open time", "binance__CROOKED-USDT__1h.csv", "line 7"),
    refused_row("candle of the future", "binance__FUTURE-USDT__1h.csv", "line 7"),
    Case("same time, other values", "import-data binance__TWICE-USDT__1h.csv", ("refused", "TWICE"), 4, stored=5),
    Case("missing file", "import-data nowhere.csv", ("nowhere.csv", "Correct the path.")),
    Case("folder without candles", "import-data empty_folder", ("No candle file",)),
    Case("unknown timeframe", "backtest htf_sweep -s BTC/USDT -t 7m", ("'7m' is not a timeframe", "15m")),
    Case("unknown symbol", "backtest htf_sweep -e binance -s BTX/USDT -t 1h", ("BTX/USDT", "download-data")),
    Case("not a symbol", "backtest htf_sweep -s BTC -t 1h", ("'BTC' is not a symbol", "BTC/USDT")),
    Case("unknown strategy", "backtest htf_swep -s BTC/USDT -t 1h", ("'htf_swep' is not", "Did you mean 'htf_sweep'?")),
    Case("unknown parameter", f"{BACKTEST} --set reward_rsk=2", ("reward_rsk", "reward_risk")),
    Case("parameter out of bounds", f"{BACKTEST} --set reward_risk=99", ("reward_risk", "99", "5")),
    Case("parameter that is no number", f"{BACKTEST} --set reward_risk=much", ("reward_risk", "much")),
    Case("parameter without value", f"{BACKTEST} --set reward_risk", ("name=value",)),
    Case("context timeframe is not traded", "backtest htf_sweep -s BTC/USDT -t 1w", ("1w", "Trade one of")),
    Case("since after until", f"{BACKTEST} --since 2025-02-01 --until 2025-01-01", ("2025-02-01", "not before")),
    Case("since is no date", f"{BACKTEST} --since yesterday", ("yesterday", "2025-01-31")),
    Case("nothing in that range", f"{BACKTEST} --since 2030-01-01", ("GOOD/USDT", "download-data")),
    Case("fine timeframe is not finer", f"{BACKTEST} --method kernel --fine 4h", ("4h", "finer")),
    Case("finer candles are not stored", f"{BACKTEST} --method kernel --fine 1m", ("1m",)),
    Case("unknown backtest", "show-backtest nope", ("'nope'", "list-backtests")),
    Case(
        "train on an unknown symbol", f"{TRAIN} -s GOOP/USDT", ("GOOP/USDT", "Did you mean 'GOOD/USDT'?", "Stored are")
    ),
    Case("train on an unknown exchange", "train -e binanse", ("'binanse'", "Stored are candles of: binance")),
    Case(
        "train a timeframe without candles", f"{TRAIN} -s GOOD/USDT -t 5m", ("No 5m candles of GOOD/USDT", "There are")
    ),
    Case("train a context timeframe", f"{TRAIN} -s GOOD/USDT -t 1w", ("1w is a context timeframe", "Trade one of")),
    Case("train an unknown strategy", f"{TRAIN} --strategy htf_swep", ("'htf_swep'", "Did you mean 'htf_sweep'?")),
    Case("train an unknown regime", f"{TRAIN} --regime bulll", ("'bulll' is not a regime", "Did you mean 'bull'?")),
    Case("train a symbol twice", f"{TRAIN} -s GOOD/USDT,good-usdt", ("are the same", "Name it once")),
    Case("train on five candles", f"{TRAIN} -s GOOD/USDT -t 1h", ("5 candles are stored, at least 1,000",)),
    Case("train in an empty range", f"{TRAIN} -s GOOD/USDT -t 1h --since 2030-01-01", ("in that range", "2025-01-01")),
    Case("train without points", f"{TRAIN} -s GOOD/USDT -t 1h --points 0", ("0 points", "64", "65,536")),
    Case("train a billion points", f"{TRAIN} -s GOOD/USDT -t 1h --points 1000000000", ("1,000,000,000", "65,536")),
    Case("points that are no number", f"{TRAIN} --points many", ("--points", "integer")),
    Case("a negative seed", f"{TRAIN} -s GOOD/USDT -t 1h --seed -1", ("-1",)),
    Case("train on no engine", f"{TRAIN} --engine moon", ("'moon' is not an engine", "workers")),
    Case("more threads than any machine", f"{TRAIN} --threads 5000", ("5000", "1024")),
    Case("resume an unknown job", "train --resume nope", ("'nope' is no training job", "training-jobs")),
    Case("resume and change the job", "train --resume nope -s GOOD/USDT", ("--resume", "Leave out")),
    Case("cancel an unknown job", "training-jobs --cancel nope", ("'nope'", "training-jobs")),
    Case("report of an unknown job", "training-report nope", ("'nope'", "training-jobs")),
    Case("matrix of an unknown symbol", "matrix GOOP/USDT", ("GOOP/USDT", "Did you mean 'GOOD/USDT'?")),
    Case("matrix of no symbol", "matrix GOOD", ("'GOOD' is not a symbol", "BTC/USDT")),
    Case("matrix of another exchange", "matrix GOOD/USDT -e kraken", ("'kraken'", "It is on: binance")),
    Case("walk forward in too many folds", f"{WALK} --folds 99", ("99",)),
    Case("walk forward on five candles", WALK, ("5 candles are stored, at least 1,000",)),
    Case("show an unknown configuration", "show-configuration nope", ("'nope'", "list-configurations")),
    Case("promote an unknown configuration", "promote nope --reason sure", ("'nope'", "list-configurations")),
    Case("promote without a reason", "promote nope", ("--reason",)),
    Case("promote to no stage", "promote nope --reason sure --to riches", ("riches", "mature")),
    Case("activate an unknown configuration", "activate nope", ("'nope'", "list-configurations")),
    Case("list an unknown strategy", "list-configurations --strategy htf_swep", ("Did you mean 'htf_sweep'?",)),
    Case("list an unknown regime", "list-configurations --regime moon", ("'moon' is not a regime", "bull")),
    Case("export nothing", "export-configurations --output shared.json", ("no such configuration",)),
    Case("import a missing document", "import-configurations nowhere.json", ("nowhere.json", "Correct the path")),
    Case("import a binary file", "import-configurations binance__BINARY-USDT__1h.csv", ("BINARY", "not a text")),
    Case("import what is no JSON", "import-configurations binance__JSON-USDT__1h.json", ("not JSON",)),
    Case("import a web page", "import-configurations binance__WEB-USDT__1h.csv", ("not JSON",)),
    Case("import a number beyond 64 bits", "import-configurations huge_number.json", ("64 bits", "evidence.trades")),
    Case("import deep nesting", "import-configurations deep.json", ("deeper than 32",)),
    Case("import half a character", "import-configurations surrogate.json", ("U+D800", "evidence")),
    Case("import a NUL", "import-configurations nul.json", ("U+0000", "evidence")),
    Case("import a name that steers terminals", "import-configurations escape.json", ("U+001B", "exchange")),
    Case("import a name with markup", "import-configurations markup.json", ("'binance[bold]'", "a-z")),
    Case("no book yet", "ledger", ("No book", "tradepulse up")),
    Case(
        "unknown exchange",
        "download-data -e binanse -s BTC/USDT -t 1h --since 2025-01-01",
        ("binanse", "Did you mean", "binance"),
    ),
    Case("unknown command", "bakctest", ("bakctest", "Did you mean 'backtest'")),
    Case("unknown option", "list-data --jsn", ("--jsn",)),
    Case("missing option", "backtest htf_sweep", ("--symbol", "--help")),
    Case("port out of range on the command line", "up --port 99999", ("99999", "65535")),
    Case("address of another machine", "up --host 203.0.113.1", ("203.0.113.1", "127.0.0.1")),
    wrong_setting("port out of range", "TRADEPULSE__API__PORT", "99999", "99999", "65535"),
    wrong_setting("unknown setting", "TRADEPULSE__API__PROT", "1", "Did you mean 'TRADEPULSE__API__PORT'?"),
    wrong_setting("negative risk", "RISK_PER_TRADE", "-0.01", "-0.01", "greater than 0"),
    wrong_setting("risk of half the account", "RISK_PER_TRADE", "0.5", "0.5", "less than or equal to 0.1"),
    wrong_setting("cash that is no number", "TRADEPULSE__TRADING__INITIAL_CASH", "lots", "lots"),
    wrong_setting("infinite cash", "TRADEPULSE__TRADING__INITIAL_CASH", "inf", "inf"),
    wrong_setting("unknown log level", "LOG_LEVEL", "LOUD", "LOUD", "DEBUG"),
    wrong_setting("no point to train", "TRADEPULSE__TRAINING__POINTS", "0", "0", "greater than or equal to 64"),
    Case("paper trading with the settings of live", "up", ("TRADING_MODE=live", "trade --mode live"), 2, LIVE),
    wrong_setting("database URL of another kind", "DATABASE_URL", "mysql://me:hunter2@here/db", "postgresql://"),
    wrong_setting("database URL with a port out of range", "DATABASE_URL", "postgresql://me@here:99999/db", "ort"),
    Case("database is down", "list-data", ("does not answer", "127.0.0.1:9"), 3, {"DATABASE_URL": NOBODY}),
    Case(
        "database host does not exist",
        "list-data",
        ("does not answer", "no-such-host.invalid"),
        3,
        {"DATABASE_URL": "postgresql://me@no-such-host.invalid/tradepulse"},
    ),
    Case("port zero on the command line", "up --port 0", ("--port 0", "65535")),
]


@pytest.fixture(scope="module")
def shared_url(postgres_server: EmbeddedServer) -> str:
    create_database(postgres_server.url("postgres"), "bad_input")
    sync_schema(postgres_server.url("bad_input"))
    return postgres_server.url("bad_input")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_url: str) -> Path:
    folder = tmp_path_factory.mktemp("files")
    bad_files.write_all(folder)
    bad_files.write_hostile_configurations(folder)
    (folder / "empty_folder").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", shared_url)
        assert run(["import-data", str(folder / GOOD)]) == 0
    return folder


@pytest.fixture(autouse=True)
def surroundings(folder: Path, shared_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in PLAIN_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", shared_url)
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.chdir(folder)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def rows_by_table(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        names = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        counted = {
            name: connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(name))).fetchone()
            for (name,) in names
        }
    return {name: row[0] for name, row in counted.items() if row is not None}


def error_line(said: str) -> str:
    """The one line of the error stream; more, or a traceback, is a failure."""
    lines = said.strip().splitlines()
    assert len(lines) == 1, said
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_command_when_the_input_is_bad_then_one_clear_line_and_nothing_half_written(
    case: Case, shared_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in case.environment.items():
        monkeypatch.setenv(name, value)
    before = rows_by_table(shared_url)
    code = run(case.command.split())
    line = error_line(capsys.readouterr().err)
    assert code == case.code, line
    for words in case.says:
        assert words in line
    assert "hunter2" not in line
    after = rows_by_table(shared_url)
    added = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert added.pop("candles", 0) == case.stored
    assert set(added) <= {"series"}


def test_cases_when_counted_then_there_are_at_least_thirty_of_them_each_with_its_own_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 30


def test_import_when_one_file_of_three_is_broken_then_the_others_are_stored_and_it_is_named(
    tmp_path: Path, shared_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "binance__AAA-USDT__1h.csv").write_bytes(bad_files.csv(bad_files.good_rows(3)))
    (tmp_path / "binance__BBB-USDT__1h.csv").write_bytes(b"")
    (tmp_path / "binance__CCC-USDT__1h.csv").write_bytes(bad_files.csv(bad_files.good_rows(4)))
    before = rows_by_table(shared_url)["candles"]
    assert run(["import-data", str(tmp_path)]) == 4
    assert "BBB" in error_line(capsys.readouterr().err)
    assert rows_by_table(shared_url)["candles"] - before == 7


def test_database_when_the_password_is_wrong_then_told_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server_that_answers(PASSWORD_REFUSED) as port:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://me:hunter2@127.0.0.1:{port}/db?sslmode=disable")
        assert run(["list-data"]) == 2
    line = error_line(capsys.readouterr().err)
    assert "refused the user or the password" in line
    assert "hunter2" not in line


def test_database_when_another_program_answers_there_then_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server_that_answers(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://me@127.0.0.1:{port}/db?sslmode=disable")
        assert run(["list-data"]) in (2, 3)
    assert str(port) in error_line(capsys.readouterr().err)


def test_up_when_the_port_is_taken_then_nothing_is_started(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(["up", "--port", str(port)]) == 2
    line = error_line(capsys.readouterr().err)
    assert f"Port {port} on 127.0.0.1 is taken" in line
    assert f"--port {port + 1}" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["list-data", "backtest htf_sweep -s BTC/USDT -t 1h", "up --port 18763"])
def test_data_directory_when_it_is_a_file_then_one_line_names_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path / "file"))
    assert run(command.split()) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Starting")]
    assert str(tmp_path / "file") in error_line("\n".join(said))
    assert (tmp_path / "file").read_text() == "not a folder"


def test_up_when_the_exchange_cannot_be_traded_on_paper_then_everything_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shared_url: str
) -> None:
    monkeypatch.setenv("EXCHANGE", "kraken")
    before = rows_by_table(shared_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert run(["up", "--port", str(port)]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Starting")]
    line = error_line("\n".join(said))
    assert "kraken" in line
    assert "EXCHANGE=simulated" in line
    assert rows_by_table(shared_url) == before


DISK_FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
from tradepulse.cli.main import run
sys.exit(run(["list-data"]))
"""


def test_disk_when_nothing_more_can_be_written_then_one_line_and_no_half_made_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on the size of files stands for a full disk: every write beyond it fails."""
    monkeypatch.delenv("DATABASE_URL")
    answer = subprocess.run([sys.executable, "-c", DISK_FULL], capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode in (2, 3), answer.stderr
    assert "Traceback" not in answer.stderr
    assert str(tmp_path) in error_line(answer.stderr)
    assert run(["list-data"]) == 0, "after space was made the same directory works"


def test_data_directory_when_nobody_may_write_there_then_one_line_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("TRADEPULSE__DATA_DIRECTORY", "/proc/tradepulse")
    assert run(["list-data"]) == 2
    assert "/proc/tradepulse" in error_line(capsys.readouterr().err)


PASSWORD_REFUSED = b"".join(
    (
        b"E",
        (4 + len(message := b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "me"\0\0')).to_bytes(4),
        message,
    )
)


class server_that_answers:  # noqa: N801 - reads as a phrase
    """Listens on a free port and gives everybody the same answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with caller:
                caller.recv(4096)
                caller.sendall(self._answer)
