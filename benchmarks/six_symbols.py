"""Tables of a finished training job, from its JSON: ``tradepulse train ... --json > job.json``, then

python -m benchmarks.six_symbols job.json [--replay N]

``--replay`` also runs the N combinations nearest to passing through kernel and engine over their whole histories, read
from the data directory of the job; where a trade differs, the exit code is 1.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report_replay import Compared, name_of, nearest, replayed

TIMEFRAMES = ("1m", "5m", "15m", "1h", "4h", "1d")
FAMILY = ("strategy", "timeframe", "series", "candles", "recent from", "B: p", "plateau, training R", "held out R",
          "trades", "C: p", "PBO", "verdict")  # fmt: skip
REPLAYED = ("combination", "candles", "counted by the gate", "trades of the kernel", "trades of the engine", "result",
            "seconds")  # fmt: skip
GOOD_ENOUGH = 12


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.six_symbols", description=__doc__)
    options.add_argument("report", type=Path, help="what tradepulse train --json has printed")
    options.add_argument("--replay", type=int, metavar="N", help="so many combinations through kernel and engine")
    chosen = options.parse_args()
    report = json.loads(chosen.report.read_text(encoding="utf-8"))
    for line in tables(report):
        print(line)
    if chosen.replay is None:
        return 0
    rows = nearest(report)[: max(0, chosen.replay)]
    if not rows:
        options.error("there is no combination to replay")
    print()
    return show(replayed(report, rows))


def show(comparisons: Iterable[Compared]) -> int:
    """Prints each as soon as it is known; 1 where kernel and engine differ, else 0."""
    done: list[Compared] = []

    def cells() -> Iterator[list[str]]:
        for compared in comparisons:
            done.append(compared)
            yield _compared(compared)

    for line in _table(REPLAYED, cells()):
        print(line, flush=True)
    different = sum(compared.problem is not None for compared in done)
    trades = sum(compared.engine for compared in done)
    print(f"\n- {len(done)} combinations, {trades:,} trades of the engine, {different} combinations different")
    return int(different > 0)


def tables(report: dict[str, Any]) -> Iterator[str]:
    yield from _table(FAMILY, (_family(row) for row in _ordered(report["families"])))
    yield ""
    refused = Counter((row["strategy"], row["refused_by"] or row["verdict"]) for row in report["combinations"])
    steps = sorted({step for _, step in refused})
    strategies = sorted({strategy for strategy, _ in refused})
    rows = ([strategy, *(str(refused[strategy, step]) for step in steps)] for strategy in strategies)
    yield from _table(("combinations first refused by", *steps), rows)
    yield ""
    names = ("combination", "held out", "precision", "at least", "break-even", "R", "P(above)", "refused by")
    yield from _table(names, (_combination(row) for row in nearest(report)[:GOOD_ENOUGH]))
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


def _combination(row: dict[str, Any]) -> list[str]:
    published = row["published"]
    return [
        name_of(row),
        str(row["held_out"]["trades"]),
        f"{published['precision']:.1%}",
        f"{published['precision_lower']:.1%}",
        f"{published['break_even']:.1%}",
        f"{published['expectancy_r']:+.3f}",
        f"{published['probability_above_break_even']:.2f}",
        row["refused_by"] or "deployed",
    ]


def _compared(compared: Compared) -> list[str]:
    counts = (compared.candles, compared.counted, compared.kernel, compared.engine)
    figures = [f"{count:,}" for count in counts]
    return [compared.combination, *figures, compared.problem or "equal", f"{compared.seconds:.0f}"]


def _number(value: float | None, pattern: str) -> str:
    return "–" if value is None else format(value, pattern)


def _table(columns: tuple[str, ...], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
