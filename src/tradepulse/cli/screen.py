"""How results, progress and errors look. The only place that writes to the terminal."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

JsonValue = Any


class Advance(Protocol):
    def __call__(self, done: int, total: int, part: str = "") -> None:
        """How much is done, how much there is in all, and which part of the work it is."""


WIDTH_OF_PIPES = 200


def results() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_OF_PIPES)


def messages() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: JsonValue) -> None:
    results().print_json(json.dumps(value, default=str)) if results().is_terminal else _plain_json(value)


def _plain_json(value: JsonValue) -> None:
    results().out(json.dumps(value, default=str, indent=2), highlight=False)


def show_line(text: str) -> None:
    results().print(_shown(text), soft_wrap=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Columns whose name ends in ``#`` hold numbers and are aligned to the right."""
    table = Table(title=_shown(title) or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.rstrip("#").strip(), justify="right" if column.endswith("#") else "left")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _shown(str(cell)) for cell in row))
    results().print(table)


def show_facts(facts: Iterable[tuple[str, object]], *, title: str = "") -> None:
    table = Table(title=_shown(title) or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in facts:
        table.add_row(Text(name, style="bold"), _shown(str(value)))
    results().print(table)


def _shown(text: str) -> str:
    """Stored names may come from elsewhere: neither markup nor what would steer a terminal goes through."""
    return escape("".join(_visible(letter) for letter in text))


def _visible(letter: str) -> str:
    return letter if letter == "\n" or letter.isprintable() else letter.encode("unicode_escape").decode()


def tell(text: str) -> None:
    """News beside the result, for a person only."""
    messages().print(_shown(text))


def show_error(problem: str) -> None:
    line = "".join(map(_visible, " ".join(problem.split())))
    messages().print(Text.assemble(("error:", "bold red"), f" {line}"), soft_wrap=True)


def utc(time: int | None) -> str:
    """UTC milliseconds as a person reads them."""
    return "-" if time is None else datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M")


class RateColumn(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else f"- {self._unit}/s", style="progress.data.speed")


@contextmanager
def progress(title: str, unit: str, *, shown: bool = True) -> Iterator[Advance]:
    """A bar with rate and time left on a terminal; nothing where nobody watches."""
    console = messages()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        RateColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(escape(title), total=1)

        def advance(done: int, total: int, part: str = "") -> None:
            bar.update(task, completed=done, total=max(total, 1), description=escape(f"{title} {part}".strip()))

        yield advance
