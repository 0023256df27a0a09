"""Tables of a finished training job, from its JSON: ``tradepulse train ... --json > job.json``, then

python -m benchmarks.six_symbols job.json
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
FAMILY = ("strategy", "timeframe", "series", "candles", "recent from", "B: p", "plateau, training R", "held out R",
          "trades", "C: p", "PBO", "verdict")  # fmt: skip
GOOD_ENOUGH = 12


def main(path: str) -> None:
    report = json.loads(Path(path).read_text(encoding="utf-8"))
    for line in tables(report):
        print(line)


def tables(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(FAMILY, (_family(row) for row in _ordered(report["families"])))
    yield ""
    refused = Counter((row["strategy"], row["refused_by"] or row["verdict"]) for row in report["combinations"])
    steps = sorted({step for _, step in refused})
    strategies = sorted({strategy for strategy, _ in refused})
    rows = ([strategy, *(str(refused[strategy, step]) for step in steps)] for strategy in strategies)
    yield from _table(("combinations first refused by", *steps), rows)
    yield ""
    judged = [row for row in report["combinations"] if row["published"]]
    judged.sort(key=lambda row: -row["published"]["probability_above_break_even"])
    names = ("combination", "held out", "precision", "at least", "break-even", "R", "P(above)", "refused by")
    yield from _table(names, (_combination(row) for row in judged[:GOOD_ENOUGH]))
    yield ""
    left_out = dict.fromkeys(f"{row['series']}: {row['reason']}" for row in report["left_out"])
    yield from (f"- left out: {line}" for line in left_out)
    yield f"- {json.dumps(report['summary'])}, {report['honesty']['trials']:,} trials"


def _ordered(families: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(families, key=lambda row: (row["strategy"], TIMEFRAMES.index(row["timeframe"])))


def _family(row: Mapping[str, Any]) -> list[str]:
    figures = {step["step"]: step["figures"] for step in row["steps"]}
    plateau = row["plateau"] or {"training": {}, "held_out": {}}
    return [
        row["strategy"],
        row["timeframe"],
        str(len(row["series"])),
        f"{row['candles']:,}",
        datetime.fromtimestamp(row["recent_from"] / 1000, UTC).date().isoformat(),
        _number(figures["B"].get("p_value"), ".3f"),
        _number(plateau["training"].get("expectancy_r"), "+.3f"),
        _number(plateau["held_out"].get("expectancy_r"), "+.3f"),
        str(plateau["held_out"].get("trades", "–")),
        _number(figures["C"].get("p_value"), ".3f"),
        _number(figures["G"].get("pbo"), ".2f"),
        row["verdict"],
    ]


def _combination(row: Mapping[str, Any]) -> list[str]:
    published = row["published"]
    return [
        f"{row['symbol']} {row['timeframe']} {row['strategy']} {row['regime']}",
        str(row["held_out"]["trades"]),
        f"{published['precision']:.1%}",
        f"{published['precision_lower']:.1%}",
        f"{published['break_even']:.1%}",
        f"{published['expectancy_r']:+.3f}",
        f"{published['probability_above_break_even']:.2f}",
        row["refused_by"] or "deployed",
    ]


def _number(value: float | None, pattern: str) -> str:
    return "–" if value is None else format(value, pattern)


def _table(columns: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


if __name__ == "__main__":
    main(sys.argv[1])
