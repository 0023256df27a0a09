"""House rules on the sources. Every rule is shown a planted breach first, so that silence means something."""

import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.architecture import source_rules

Rule = Callable[[Path], Iterator[source_rules.Breach]]
MOST_MODULES = 320
ROOT = Path(__file__).resolve().parents[2]

PLANTS: list[tuple[Rule, str, str]] = [
    (source_rules.run_mode_conditions, "core/planted.py", "def f(mode):\n    return 1 if mode == 'live' else 2\n"),
    (source_rules.run_mode_conditions, "api/planted.py", "def f(mode):\n    return mode in ('paper', 'x')\n"),
    (source_rules.run_mode_conditions, "core/planted.py", "match m:\n    case 'backtest':\n        pass\n"),
    (source_rules.run_mode_conditions, "core/planted.py", "def f(m):\n    return {'paper': 1, 'live': 2}[m]\n"),
    (source_rules.run_mode_conditions, "core/planted.py", "if settings.trading.mode:\n    pass\n"),
    (source_rules.ambient_readings, "core/planted.py", "import os\nx = os.environ['A']\n"),
    (source_rules.ambient_readings, "core/planted.py", "from os import getenv\nx = getenv('A')\n"),
    (source_rules.ambient_readings, "core/planted.py", "import time as t\nx = t.time()\n"),
    (source_rules.ambient_readings, "core/planted.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)\n"),
    (source_rules.ambient_readings, "core/planted.py", "import random\nx = random.random()\n"),
    (source_rules.ambient_readings, "core/planted.py", "import numpy as np\nx = np.random.default_rng()\n"),
    (source_rules.ambient_readings, "core/planted.py", "import numpy as np\nx = np.random.normal(0, 1)\n"),
    (source_rules.prints, "core/planted.py", "print('here')\n"),
    (source_rules.nameless_modules, "core/order_utils.py", ""),
    (source_rules.nameless_modules, "core/engine_v2.py", ""),
    (source_rules.private_names_borrowed, "core/planted.py", "from tradepulse.storage.db import _pool\n"),
    (source_rules.left_over_notes, "core/planted.py", "# " + "TODO later\n"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in PLANTS))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sources_when_walked_then_nothing_breaks_the_rule(rule: Rule, package: Path) -> None:
    assert [str(breach) for breach in rule(package)] == []


@pytest.mark.parametrize(("rule", "module", "source"), PLANTS, ids=lambda value: getattr(value, "__name__", None))
def test_rule_when_a_breach_is_planted_then_it_is_caught(rule: Rule, module: str, source: str, tmp_path: Path) -> None:
    (tmp_path / module).parent.mkdir()
    (tmp_path / module).write_text(source)
    assert [breach.module for breach in rule(tmp_path)] != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("bootstrap/paper.py", "def f(mode):\n    return mode == 'live'\n"),
        ("shared/settings.py", "import os\nx = os.environ\n"),
        ("shared/clock.py", "import time\nx = time.time_ns()\n"),
        ("core/planted.py", "import random\nimport numpy as np\nx = random.Random(7)\ny = np.random.default_rng(7)\n"),
        ("core/planted.py", "def f(rng, now):\n    return rng.random() + now\n"),
    ],
)
def test_rules_when_the_owner_or_a_seed_is_at_work_then_they_are_silent(
    module: str, source: str, tmp_path: Path
) -> None:
    (tmp_path / module).parent.mkdir(exist_ok=True)
    (tmp_path / module).write_text(source)
    assert [str(breach) for rule in RULES for breach in rule(tmp_path)] == []


def test_doors_when_a_package_names_its_door_then_everything_named_is_there(package: Path) -> None:
    for door in package.rglob("__init__.py"):
        room = ".".join(("tradepulse", *door.parent.relative_to(package).parts))
        offered = importlib.import_module(room)
        assert [name for name in getattr(offered, "__all__", ()) if not hasattr(offered, name)] == [], room


def test_modules_when_counted_then_the_house_stays_small(package: Path) -> None:
    named = [
        file for file in package.rglob("*.py") if not file.name.startswith("__") and "migrations" not in file.parts
    ]
    assert len(named) < MOST_MODULES


def test_imports_when_third_party_then_declared_as_a_dependency(package: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        _canonical(re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0]) for requirement in project["dependencies"]
    }
    owners = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for name in source_rules.third_party_imports(package)
        if not declared & {_canonical(owner) for owner in owners.get(name, [name])}
    }
    # Starlette is FastAPI's own ground and comes with it in the version it wants.
    assert undeclared - {"starlette", "pydantic_core"} == set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


IMPORT_EVERYTHING = """
import importlib, pkgutil, sys, threading
import tradepulse
seen = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system"):
        seen.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if "__pycache__" not in str(arguments[0]):
            seen.append(f"open {arguments[0]} {arguments[1]}")
names = [m.name for m in pkgutil.walk_packages(tradepulse.__path__, "tradepulse.") if not m.name.endswith("__main__")]
sys.addaudithook(watch)
for name in names:
    if ".migrations.versions" not in name and not name.endswith("migrations.env"):
        importlib.import_module(name)
assert not seen, seen
assert threading.active_count() == 1, threading.enumerate()
"""


def test_import_when_every_module_is_imported_then_nothing_is_opened_or_started(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", IMPORT_EVERYTHING]
    answer = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    assert list(tmp_path.iterdir()) == []
