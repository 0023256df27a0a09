"""The edge of the command line: every error becomes one line and a documented exit code."""

import json

import pytest

from tradepulse.cli import installation, main
from tradepulse.shared.errors import (
    ConfigurationError,
    InvariantError,
    RefusedError,
    TradePulseError,
    TransientError,
)


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise error

    monkeypatch.setattr(main, "_invoke", lambda arguments: failing())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("Wrong.", "Correct it."), 2),
        (TransientError("Away.", "Try again."), 3),
        (RefusedError("No.", "Leave it."), 4),
        (InvariantError("Impossible.", "Stop."), 5),
        (TradePulseError("Something."), 1),
        (ZeroDivisionError("by zero\nin two lines"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_run_when_something_fails_then_one_line_and_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(error, monkeypatch)
    assert main.run(["anything"]) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: ")


def test_run_when_debugging_then_the_traceback_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(ZeroDivisionError(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main.run(["anything", "--debug"])


def test_run_when_an_error_holds_a_password_then_it_is_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(RuntimeError("cannot reach postgresql://me:hunter2@here/db"), monkeypatch)
    main.run(["anything"])
    assert "hunter2" not in capsys.readouterr().err


def test_version_when_asked_as_json_then_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"tradepulse", "python"}


def test_version_when_asked_as_an_option_then_the_same_as_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["version"]) == main.run(["--version"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_help_when_asked_then_every_command_and_the_exit_codes_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    said = capsys.readouterr().out
    commands = ("up", "backtest", "lookahead-analysis", "download-data", "import-data", "list-data", "list-backtests")
    for command in (*commands, "show-backtest", "db", "ledger", "doctor", "show-config", "version"):
        assert f"  {command} " in said
    assert "130 interrupted" in said


def test_doctor_when_something_fails_then_it_is_named_and_the_exit_code_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def findings() -> list[installation.Finding]:
        state = installation.State
        return [
            installation.Finding(state.OK, "Python", "3.11"),
            installation.Finding(state.FAIL, "port", "taken", "Choose another one."),
        ]

    monkeypatch.setattr(installation, "examine", findings)
    assert main.run(["doctor", "--json"]) == 2
    said = capsys.readouterr()
    assert [finding["state"] for finding in json.loads(said.out)] == ["ok", "fail"]
    assert "These checks failed: port." in said.err
