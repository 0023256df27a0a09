"""What the pages tell somebody to type exists: commands, their options, targets of make, scripts."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from tests.documentation.pages import PAGES, ROOT, blocks_of

from tradepulse.cli.main import DEBUG, app

PROGRAM: Any = typer.main.get_command(app)
SPAN = re.compile(r"(?<!`)`(tradepulse [^`]+)`(?!`)")
PLACEHOLDER = re.compile(r"[\[\]…]|<\w+>")
ENDS_A_COMMAND = set("|;&()<>")
BEFORE_A_COMMAND = re.compile(r"\w+=.*|\$|exec|then|do")


def commands_in(line: str) -> Iterator[list[str]]:
    """The arguments of each ``tradepulse`` in a line of the shell, where a command may stand."""
    words = shlex.shlex(PLACEHOLDER.sub(" ", line), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if not set(word) <= ENDS_A_COMMAND:
            command += [word] if command or not BEFORE_A_COMMAND.fullmatch(word) else []
            continue
        if command and re.fullmatch(r"(.*/)?bin/tradepulse|tradepulse", command[0]):
            yield command[1:]
        command = []


def typed_in(page: Path) -> Iterator[tuple[str, str]]:
    for block in blocks_of(page):
        if block.language in ("", "sh"):
            yield from ((f"{block} {line}", line) for line in block.text.splitlines() if "tradepulse " in line)
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for span in SPAN.findall(text):
        yield f"{page.name} `{span}`", span


def unknown_in(arguments: list[str]) -> str | None:
    command: Any = PROGRAM
    for word in arguments:
        below = getattr(command, "commands", None)
        if below is not None and not word.startswith("-"):
            found = below.get(word)
            if found is None and word.startswith("$"):
                return None
            if found is None:
                return f"there is no command '{word}'"
            command = found
        elif word.startswith("-") and word != DEBUG and not _has(command, word.split("=", 1)[0]):
            return f"'{command.name}' has no option '{word}'"
    return None


def _has(command: Any, option: str) -> bool:
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return option in known | {"--help"} or re.fullmatch(r"-\d+(\.\d+)?", option) is not None


def test_commands_when_named_by_a_page_then_they_and_their_options_exist() -> None:
    wrong = []
    for place, line in (found for page in PAGES for found in typed_in(page)):
        try:
            wrong += [f"{place}: {unknown}" for typed in commands_in(line) if (unknown := unknown_in(typed))]
        except ValueError as error:
            wrong.append(f"{place}: cannot be read: {error}")
    assert wrong == []


def test_a_command_when_it_or_its_option_does_not_exist_then_it_is_noticed() -> None:
    line = "A=b .venv/bin/tradepulse db sync --drop && make run; (tradepulse db synch); $ tradepulse db sync --dropp"
    assert [unknown_in(arguments) for arguments in commands_in(line)] == [
        None,
        "there is no command 'synch'",
        "'sync' has no option '--dropp'",
    ]


def test_commands_when_the_program_has_them_then_the_readme_names_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z-]+)", "".join(re.findall(r"^\| `.*$", readme, re.MULTILINE))))
    assert set(PROGRAM.commands) - named == set()


def test_targets_and_scripts_when_named_by_a_page_then_they_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    missing = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        typed = "\n".join([block.text for block in blocks_of(page)] + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text))
        missing += [
            f"{page}: make {name}"
            for name in re.findall(r"^make ([a-z-]+)", typed, re.MULTILINE)
            if name not in targets
        ]
        scripts = re.findall(r"(?<![\w/])ops/[\w/.-]+\.(?:sh|py)", typed)
        missing += [f"{page}: {script}" for script in scripts if not (ROOT / script).exists()]
    assert missing == []
