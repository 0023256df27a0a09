"""Users and the audit log from the terminal."""

import io
import json
from pathlib import Path

import psycopg
import pytest

from tradepulse.cli import main

PASSWORD = "four random words"


def test_users_and_the_audit_log_from_the_terminal(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.chdir(tmp_path)

    def do(*arguments: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = main.run(arguments)
        return (code, *capsys.readouterr())

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
