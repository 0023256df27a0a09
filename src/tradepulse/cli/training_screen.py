"""How training, its verdicts and its figures look on the screen."""

from collections.abc import Iterable
from typing import Any

from rich.text import Text

from tradepulse.cli.screen import show_line, show_table, utc

JsonObject = dict[str, Any]
VERDICT_COLOURS = {
    "deployed": "green",
    "traded": "green",
    "falls back": "yellow",
    "not traded": "red",
    "left out": "dim",
    "never trained": "dim",
}


def show_report(report: JsonObject) -> None:
    summary = report["summary"]
    show_table(
        ["strategy", "timeframe", "verdict", "symbols#", "trades held out#", "expectancy held out#", "because"],
        (_family_row(family) for family in report["families"]),
        title=f"Job {report['job']['id']}",
    )
    deployed = [entry for entry in report["combinations"] if entry["verdict"] == "deployed"]
    show_line("")
    if deployed:
        columns = [
            "combination",
            "origin",
            "trades#",
            "precision (at least)#",
            "break-even#",
            "expectancy#",
            "published",
        ]
        show_table(columns[:-1], map(_deployed_row, deployed), title="In force now, in validation, at half size")
        show_line("")
    for row in _grouped_left_out(report["left_out"]):
        show_line(f"Left out: {row}")
    passed, judged = summary["deployed"], summary["judged"]
    families = summary.get("families", len(report["families"]))
    said = f"{passed} of {judged} combinations passed the gate ({summary['families_passed']} of {families} families)."
    show_line(said if passed else f"{said} Nothing is traded because of this job: that is an answer, not an error.")
    show_line(f"Every figure: tradepulse training-report {report['job']['id']} --output report.html")


def _family_row(family: JsonObject) -> tuple[object, ...]:
    held_out = (family.get("plateau") or {}).get("held_out") or {}
    return (
        family["strategy"],
        family["timeframe"],
        verdict_text(family["verdict"]),
        len(family["series"]),
        held_out.get("trades", "-"),
        in_r(held_out.get("expectancy_r")),
        family["reason"],
    )


def _deployed_row(entry: JsonObject) -> tuple[object, ...]:
    figures = entry.get("published") or {}
    return (
        f"{entry['exchange']}:{entry['symbol']}:{entry['timeframe']} {entry['strategy']} {entry['regime']}",
        entry["origin"],
        (entry.get("held_out") or {}).get("trades", "-"),
        with_bound(figures.get("precision"), figures.get("precision_lower")),
        percent(figures.get("break_even")),
        in_r(figures.get("expectancy_r")),
    )


def _grouped_left_out(rows: Iterable[JsonObject]) -> list[str]:
    return list(dict.fromkeys(f"{row['series']}: {row['reason']}." for row in rows))


def show_walk(found: JsonObject) -> None:
    rows = [
        (
            f"{utc(fold['from'])} to {utc(fold['until'])}",
            *_walk_figures(fold.get("in_sample")),
            *_walk_figures(fold.get("out_of_sample")),
            in_r((fold.get("defaults") or {}).get("expectancy_r")),
        )
        for fold in found["folds"]
    ]
    columns = ["traded (UTC)", "trades before#", "expectancy before#", "trades#", "expectancy#", "of the defaults#"]
    title = f"{found['strategy']} on {found['timeframe']}, {len(found['series'])} series"
    show_table(columns, rows, title=title)
    for row in _grouped_left_out(found["left_out"]):
        show_line(f"Left out: {row}")
    made = [fold["out_of_sample"] for fold in found["folds"] if fold.get("out_of_sample")]
    trades = sum(figures["trades"] for figures in made)
    total = sum(figures["trades"] * (figures["expectancy_r"] or 0.0) for figures in made)
    show_line("")
    show_line(f"Out of sample, all folds: {trades} trades, {in_r(total / trades if trades else None)} per trade.")


def _walk_figures(figures: JsonObject | None) -> tuple[object, object]:
    return ("-", "-") if figures is None else (figures["trades"], in_r(figures["expectancy_r"]))


def verdict_text(verdict: str) -> Text:
    return Text(verdict, style=VERDICT_COLOURS.get(verdict, ""))


def percent(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "-"


def with_bound(value: object, lower: object) -> str:
    return f"{percent(value)} ({percent(lower)})" if isinstance(value, int | float) else "-"


def in_r(value: object) -> str:
    return f"{value:+.2f} R" if isinstance(value, int | float) else "-"
