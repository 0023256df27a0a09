"""A copy of the package in which a test may plant a violation."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tradepulse"


@pytest.fixture
def package() -> Path:
    return PACKAGE


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """The project copied: sources and contracts, nothing that was built."""
    ignored = shutil.ignore_patterns("__pycache__", "static", "*.nbi", "*.nbc")
    shutil.copytree(PACKAGE, tmp_path / "src" / "tradepulse", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path
