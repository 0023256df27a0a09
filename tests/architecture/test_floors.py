"""The floors of the house hold, and the guard that says so would notice a breach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check_contracts(root: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because the linter imports the package that it looks at."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_contracts_when_checked_on_the_tree_then_all_are_kept() -> None:
    answer = check_contracts(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("domain/market.py", "import tradepulse.core.engine", "floors"),
        ("core/engine.py", "import tradepulse.storage.db", "floors"),
        ("core/engine.py", "import asyncio", "the core does not wait"),
        ("bootstrap/paper.py", "import ccxt", "ccxt only in exchanges"),
        ("exchanges/simulated_exchange.py", "import psycopg", "the database driver only in storage"),
        ("cli/main.py", "import tradepulse.storage.db", "adapters are built by bootstrap only"),
        ("kernels/fills.py", "import tradepulse.shared.errors", "kernels import nothing of ours"),
        ("strategies/htf_sweep.py", "import tradepulse.strategies.volume_breakout", "strategies are islands"),
    ],
)
def test_contracts_when_a_forbidden_import_is_planted_then_it_is_caught(
    module: str, line: str, contract: str, planted: Path
) -> None:
    file = planted / "src" / "tradepulse" / module
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    answer = check_contracts(planted)
    assert answer.returncode != 0
    assert any(contract in row and "BROKEN" in row for row in answer.stdout.splitlines()), answer.stdout


def test_floors_when_a_new_room_appears_then_it_must_be_given_a_floor(planted: Path) -> None:
    (planted / "src/tradepulse/attic.py").write_text("")
    assert check_contracts(planted).returncode != 0
