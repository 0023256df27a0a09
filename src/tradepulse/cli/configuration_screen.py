"""How trained assets look on the screen and as JSON: the matrix, a configuration's evidence and its life."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tradepulse.cli.screen import show_facts, show_line, show_table, utc
from tradepulse.cli.training_screen import in_r, percent, verdict_text, with_bound
from tradepulse.domain.training import Configuration, StageMove, regime_word

if TYPE_CHECKING:
    from tradepulse.policy.trained_assets import Matrix, MatrixCell

JsonObject = dict[str, Any]
LATEST = 253_402_300_800_000
"""The year 10000: what no calendar can show is not shown."""
ID_SHOWN = 13
"""Of an id in lists; unique but for a chance in a trillion, and the beginning is enough everywhere."""


def show_matrix(found: "Matrix") -> None:
    title = f"{found.symbol} on {found.exchange}"
    columns = ["strategy", "timeframe", "regime", "verdict", "stage", "trades#", "precision (at least)#"]
    columns += ["expectancy#", "because"]
    show_table(columns, map(_cell_row, found.cells), title=title)
    parents = [cell for cell in found.parents if cell.verdict not in ("never trained", "left out")]
    if parents:
        show_line("")
        show_table(columns, map(_cell_row, parents), title=f"{title}, all regimes: what the regimes fall back to")
    counts = Counter(cell.verdict for cell in found.cells)
    show_line("")
    show_line(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


def _cell_row(cell: "MatrixCell") -> tuple[object, ...]:
    combination = cell.combination
    return (
        combination.strategy,
        combination.series.timeframe,
        regime_word(combination.regime),
        verdict_text(cell.verdict),
        cell.stage or "-",
        "-" if cell.trades is None else cell.trades,
        with_bound(cell.precision, cell.precision_lower),
        in_r(cell.expectancy_r),
        cell.reason,
    )


def matrix_json(found: "Matrix") -> JsonObject:
    return {
        "symbol": found.symbol,
        "exchange": found.exchange,
        "cells": [_cell_json(cell) for cell in found.cells],
        "parents": [_cell_json(cell) for cell in found.parents],
    }


def _cell_json(cell: "MatrixCell") -> JsonObject:
    combination = cell.combination
    named = {
        "strategy": combination.strategy,
        "regime": regime_word(combination.regime),
        "timeframe": str(combination.series.timeframe),
    }
    return {**named, **{name: value for name, value in asdict(cell).items() if name != "combination"}}


def configuration_row(found: Configuration) -> tuple[object, ...]:
    figures = _part(_part(found.evidence, "combination"), "published")
    return (
        short_id(found),
        found.combination,
        found.version,
        found.stage,
        Text("yes", style="green") if found.active else "no",
        found.origin,
        _part(_part(found.evidence, "combination"), "held_out").get("trades", "-"),
        with_bound(figures.get("precision"), figures.get("precision_lower")),
        in_r(figures.get("expectancy_r")),
    )


def show_evidence(found: Configuration, life: Iterable[StageMove]) -> None:
    combination = _part(found.evidence, "combination")
    family, data = _part(found.evidence, "family"), _part(combination, "data")
    design = _part(family, "design")
    show_facts(
        [
            ("id", found.configuration_id),
            ("stage", f"{found.stage}, {'in force' if found.active else 'not in force'}"),
            ("origin", found.origin),
            ("parameters", ", ".join(f"{name}={value}" for name, value in found.values.items())),
            ("candles", f"{_moment(data.get('first'))} to {_moment(data.get('last'))}, {data.get('hash', '-')}"),
            ("recent from", _moment(family.get("recent_from"))),
            ("design and seed", f"{design.get('id', '-')}, {found.evidence.get('seed', '-')}"),
            ("overfitting (PBO)", percent(found.evidence.get("pbo"))),
            ("job and code", f"{found.evidence.get('job_id', '-')}, {found.evidence.get('code_version', '-')}"),
        ],
        title=f"{found.combination}, version {found.version}",
    )
    _show_figures(combination)
    _show_steps(combination.get("steps"))
    show_line("")
    rows = [(utc(move.time), move.action, move.stage, _yes(move.active), move.by, move.reason) for move in life]
    show_table(["when (UTC)", "what", "stage", "in force", "by", "because"], rows, title="Life")


def _show_figures(combination: Mapping[str, Any]) -> None:
    before, held_out = _part(combination, "training"), _part(combination, "held_out")
    published = _part(combination, "published")
    trades = (before.get("trades", "-"), held_out.get("trades", "-"), _whole(published.get("effective_trades")))
    rows = [
        ("trades", *trades),
        *(
            (title, *(shown(figures.get(name)) for figures in (before, held_out, published)))
            for title, name, shown in (
                ("precision", "precision", percent),
                ("precision, at least (95 %)", "precision_lower", percent),
                ("break-even precision", "break_even", percent),
                ("expectancy", "expectancy_r", in_r),
                ("expectancy, at least (95 %)", "expectancy_lower", in_r),
            )
        ),
    ]
    show_line("")
    columns = ["", "in sample#", "held out#", "published (pooled)#"]
    show_table(columns, rows, title="What chose it, and what it did afterwards")


def _show_steps(steps: object) -> None:
    known = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    rows = [
        (step.get("step", "-"), step.get("title", "-"), _passed(step.get("passed")), step.get("reason", ""))
        for step in known
    ]
    if rows:
        show_line("")
        show_table(["step", "of the gate", "verdict", "because"], rows)


def configuration_json(found: Configuration) -> JsonObject:
    series = found.combination.series
    return {
        "configuration_id": found.configuration_id,
        "exchange": series.exchange,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "strategy": found.combination.strategy,
        "regime": regime_word(found.combination.regime),
        "version": found.version,
        "stage": str(found.stage),
        "active": found.active,
        "origin": str(found.origin),
        "values": found.values,
        "parameters_id": found.parameters_id,
        "job_id": found.job_id,
        "created_at": found.created_at,
        "activated_at": found.activated_at,
        "activated_by": found.activated_by,
    }


def move_json(move: StageMove) -> JsonObject:
    return {name: value for name, value in asdict(move).items() if name != "configuration_id"}


def short_id(found: Configuration) -> str:
    return found.configuration_id[:ID_SHOWN]


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Evidence may come from another machine: what is not there, or of another shape, shows as nothing."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def _passed(value: object) -> Text:
    if not isinstance(value, bool):
        return Text("-", style="dim")
    return Text("passed", style="green") if value else Text("refused", style="red")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _whole(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else "-"


def _moment(value: object) -> str:
    return utc(value if isinstance(value, int) and 0 <= value < LATEST else None)
