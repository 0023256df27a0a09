"""``docs/research/accidents.md`` names tests; each of them exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "research" / "accidents.md"
REPORTS = 50
"""At least so many are in the table."""


def named(page: str) -> list[tuple[str, str]]:
    """Reports and tests, row by row."""
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ") and "`test_" in line]
    return [(row[1].strip(), test) for row in rows for test in re.findall(r"`(test_\w+)`", row[3])]


def written() -> set[str]:
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / "tests").rglob("test_*.py"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for tree in trees for each in tree.body if isinstance(each, functions)}


def test_page_of_accidents_when_it_names_a_test_then_there_is_one() -> None:
    tests = written()
    missing = [f"{report}: {test}" for report, test in named(PAGE.read_text(encoding="utf-8")) if test not in tests]
    assert missing == []


def test_page_of_accidents_when_read_then_every_row_names_a_test_and_no_report_is_there_twice() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| [\w.]+#\d", line)]
    assert all("`test_" in row for row in rows)
    reports = [number for row in rows for number in re.findall(r"#\d+", row.split("|")[1])]
    assert len(reports) >= REPORTS
    assert len(reports) == len(set(reports))


def test_name_that_no_test_has_is_found() -> None:
    assert named("| a#1 | it broke | `test_nothing_of_the_kind` |") == [("a#1", "test_nothing_of_the_kind")]
    assert "test_nothing_of_the_kind" not in written()
