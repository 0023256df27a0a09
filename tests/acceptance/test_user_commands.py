"""Users and the audit log from the terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

PASSWORD = "four random words"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def told(home: Path, database_url: str, *arguments: str, given: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tradepulse", *arguments],
        env={
            "HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "DATABASE_URL": database_url,
        },
        input=given, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_users_and_the_audit_log_from_the_terminal(home: Path, database_url: str) -> None:
    def do(*arguments: str, given: str = "") -> tuple[int, str, str]:
        return told(home, database_url, *arguments, given=given)

    assert do("users", "add", "Ada", "--role", "admin", given=f"{PASSWORD}\n")[:2] == (0, "Ada (admin) added.\n")
    code, _, problem = do("users", "add", "ada", given=f"{PASSWORD}\n")
    assert (code, "There is a user 'ada' already." in problem) == (4, True)
    code, _, problem = do("users", "add", "Tom", given="short\n")
    assert (code, "The password has 5 characters" in problem) == (2, True)
    code, _, problem = do("users", "disable", "ADA")
    assert (code, "Nobody would be left who may administer." in problem) == (4, True)
    assert do("users", "password", "ada", given=f"other {PASSWORD}\n")[0] == 0
    listed = json.loads(do("users", "list", "--json")[1])
    assert [(user["name"], user["role"], user["disabled"]) for user in listed] == [("Ada", "admin", False)]
    report = json.loads(do("audit", "verify", "--json")[1])
    assert (report["entries"], report["problem"]) == (2, "")
    known = f"{report['entries']}:{report['head']}"
    assert do("audit", "verify", "--known", known)[0] == 0

    with psycopg.connect(database_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("update audit_log set actor = 'Eve' where number = 1")
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute("delete from audit_log")
        connection.execute("alter table audit_log disable trigger all")
        connection.execute("delete from audit_log where number = 2")
    assert do("audit", "verify")[0] == 0, "a chain cut at its end looks whole by itself"
    code, _, problem = do("audit", "verify", "--known", known)
    assert (code, "entry 2 is missing" in problem) == (5, True)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update audit_log set actor = 'Eve' where number = 1")
    code, _, problem = do("audit", "verify")
    assert (code, "entry 1 is not what was written there" in problem) == (5, True)
