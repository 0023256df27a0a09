"""The server's half of a deployment, with a stand-in for the program: what is done in which order, and undone."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

OPS = Path(__file__).parents[2] / "ops"
PROGRAM = """#!/bin/sh
# Version, folder of the deployment, and whether it can run come from where it lies.
release=$(cd -P "$(dirname "$0")/../.." && pwd)
dest=$(cd -P "$release/../.." && pwd)
name=$(basename "$release")
echo "$name $*" >>"$dest/calls"
case "$*" in
    --version) echo "$name" ;;
    "db revision") cat "$dest/revision" 2>/dev/null || echo none ;;
    "db backup"*) mkdir -p "$dest/backups/tradepulse-20300101T000000Z" ;;
    "db restore --check"*) [ ! -f "$release/cannot-check" ] ;;
    "db restore"*) echo old >"$dest/revision" ;;
    "db sync"*) cat "$release/makes" >"$dest/revision" ;;
    up)
        exit_code=$(cat "$release/ends-with" 2>/dev/null) && exit "$exit_code"
        touch "$dest/answers"
        trap 'rm -f "$dest/answers"; exit 0' TERM
        while :; do sleep 0.1; done
        ;;
esac
"""
CURL = """#!/bin/sh
[ -f "$DEST/answers" ] || exit 7
echo '{"ready":true}'
case "$*" in *write-out*) echo 200 ;; esac
"""


class Server:
    def __init__(self, folder: Path) -> None:
        self.dest = folder / "tradepulse"
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._write(self._programs / "curl", CURL)

    def release(self, name: str, *, revision: str, **facts: str) -> None:
        folder = self.dest / "releases" / name
        (folder / "venv" / "bin").mkdir(parents=True)
        (folder / "ops").mkdir()
        (folder / "ops" / "scripts").symlink_to(OPS / "scripts")
        self._write(folder / "venv" / "bin" / "tradepulse", PROGRAM)
        (folder / ".installed").touch()
        (folder / "makes").write_text(revision)
        for fact, value in facts.items():
            (folder / fact.replace("_", "-")).write_text(value)

    def install(self, name: str) -> subprocess.CompletedProcess[str]:
        return self._sh("install_release.sh", str(self.dest), name)

    def supervise(self, word: str) -> subprocess.CompletedProcess[str]:
        return self._sh("supervise.sh", word, str(self.dest))

    def in_force(self) -> str:
        return (self.dest / "current").readlink().name

    def revision(self) -> str:
        return (self.dest / "revision").read_text().strip()

    def calls(self) -> list[str]:
        return (self.dest / "calls").read_text().splitlines()

    def _sh(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        surroundings = {
            "PATH": f"{self._programs}:{os.environ['PATH']}",
            "SUPERVISOR": "plain",
            "READY_SECONDS": "1",
            "DEST": str(self.dest),
        }
        command = ["sh", str(OPS / "scripts" / script), *arguments]
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=60)

    @staticmethod
    def _write(file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o755)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    pid = running.dest / "run" / "supervisor.pid"
    if pid.exists():
        with suppress(ProcessLookupError):
            os.killpg(int(pid.read_text()), signal.SIGKILL)


def test_upgrade_when_it_becomes_ready_then_backup_before_migration_and_the_link_after_it(server: Server) -> None:
    server.release("1", revision="old")
    server.release("2", revision="new")
    assert server.install("1").returncode == 0
    upgraded = server.install("2")
    assert upgraded.returncode == 0, upgraded.stderr
    assert (server.in_force(), server.revision()) == ("2", "new")
    backup = f"{server.dest}/backups/tradepulse-20300101T000000Z"
    assert [call for call in server.calls() if call.split()[1] in ("db", "up")] == [
        "1 db sync --migrations-only",
        "1 up",
        "1 db revision",
        f"1 db backup {server.dest}/backups --keep 14",
        f"1 db restore --check {backup}",
        "2 db sync --migrations-only",
        "2 up",
    ]


def test_upgrade_when_it_does_not_become_ready_then_program_and_database_are_back_and_it_says_so(
    server: Server,
) -> None:
    server.release("1", revision="old")
    server.release("2", revision="new", ends_with="5")
    server.install("1")
    failed = server.install("2")
    assert failed.returncode == 1
    assert "1 runs again" in failed.stderr
    assert (server.in_force(), server.revision()) == ("1", "old")
    assert server.calls()[-2:] == [f"1 db restore {server.dest}/backups/tradepulse-20300101T000000Z", "1 up"]
    assert (server.dest / "answers").exists()


def test_upgrade_when_the_backup_proves_nothing_then_nothing_is_migrated(server: Server) -> None:
    server.release("1", revision="old", cannot_check="")
    server.release("2", revision="new")
    server.install("1")
    assert server.install("2").returncode == 1
    assert (server.in_force(), server.revision()) == ("1", "old")
    assert not [call for call in server.calls() if call.startswith("2 db sync")]


def test_first_installation_when_it_does_not_become_ready_then_nothing_is_left_in_force(server: Server) -> None:
    server.release("1", revision="old", ends_with="2")
    assert server.install("1").returncode == 1
    assert not (server.dest / "current").exists()
    assert server.supervise("status").returncode == 3
    assert server.calls().count("1 up") == 1


def test_program_when_it_crashes_then_it_is_started_again_until_it_ends_with_a_code_that_would_repeat(
    server: Server,
) -> None:
    server.release("1", revision="old", ends_with="1")
    server.install("1")
    (server.dest / "current").symlink_to("releases/1")
    crashed = server.calls().count("1 up")
    assert crashed >= 1
    (server.dest / "calls").write_text("")
    (server.dest / "releases" / "1" / "ends-with").write_text("5")
    server.supervise("start")
    for _ in range(100):
        if server.supervise("status").returncode == 3:
            break
    assert server.calls() == ["1 up"]
    assert "exit code 5" in (server.dest / "log" / "tradepulse.log").read_text()
