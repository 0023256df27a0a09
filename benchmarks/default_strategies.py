"""The three strategies with default parameters over candles of real exchanges, as tables in Markdown.

    python benchmarks/default_strategies.py --candles FOLDER [--data-directory FOLDER] [--output FILE]

FOLDER holds candle files named ``<exchange>__<BASE>-<QUOTE>__<timeframe>.parquet`` (any format that
``tradepulse import-data`` reads). Everything runs through the command line of the product, in a data directory of its
own: the import, then each backtest by both methods, which must agree trade by trade. Takes about ten minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import stdev
from typing import Any

JsonObject = dict[str, Any]
STRATEGIES = ("volume_breakout", "htf_sweep", "divergence_capitulation")
METHODS = ("replay", "kernel")
MUST_AGREE = ("verdicts", "left_open", "data_hash", "statistics", "parameters_id")
# The same amount may be written with more or fewer zeros.
AMOUNTS = ("quantity", "entry_price", "exit_price", "fees", "funding", "profit", "risk", "stop_price", "target_price")


@dataclass(frozen=True, slots=True)
class Series:
    exchange: str
    symbol: str
    timeframe: str
    since: str | None = None

    @property
    def arguments(self) -> list[str]:
        named = ["--symbol", self.symbol, "--timeframe", self.timeframe, "--exchange", self.exchange]
        return named if self.since is None else [*named, "--since", self.since]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"


SERIES = (
    Series("binance", "BTC/USDT", "5m", "2022-08-01"),
    Series("binance", "BTC/USDT", "15m", "2023-01-01"),
    Series("binance", "BTC/USDT", "1h"),
    Series("binance", "BTC/USDT", "4h"),
    Series("binance", "BTC/USDT", "1d"),
    Series("kraken", "BTC/USD", "1h"),
)
SHORTEST = Series("binance", "BTC/USDT", "1d")


@dataclass(frozen=True, slots=True)
class Pair:
    """One strategy on one series, by both methods."""

    series: Series
    replay: JsonObject
    kernel: JsonObject

    @property
    def agree(self) -> bool:
        same = all(self.replay[name] == self.kernel[name] for name in MUST_AGREE)
        return same and trades_by_value(self.replay) == trades_by_value(self.kernel)


def trades_by_value(report: JsonObject) -> list[JsonObject]:
    return [trade | {name: Decimal(trade[name]) for name in AMOUNTS} for trade in report["trades"]]


def tradepulse(arguments: Sequence[str], data_directory: Path) -> JsonObject:
    """Run one command with ``--json``. Its errors go to the screen and end the study."""
    environment = os.environ | {"TRADEPULSE__DATA_DIRECTORY": str(data_directory)}
    command = [sys.executable, "-m", "tradepulse", *arguments, "--json"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    answer: JsonObject = json.loads(done.stdout)
    return answer


def study(data_directory: Path) -> dict[str, list[Pair]]:
    """Each kernel is compiled once, and kept on disk, before anything is timed."""
    found: dict[str, list[Pair]] = {}
    for strategy in STRATEGIES:
        tradepulse(["backtest", strategy, *SHORTEST.arguments], data_directory)
        tradepulse(["backtest", strategy, *SHORTEST.arguments, "--method", "kernel"], data_directory)
    for strategy in STRATEGIES:
        for series in SERIES:
            replay, kernel = (
                tradepulse(["backtest", strategy, *series.arguments, "--method", method], data_directory)
                for method in METHODS
            )
            pair = Pair(series, replay, kernel)
            found.setdefault(strategy, []).append(pair)
            print(f"{strategy} on {series}: {'agree' if pair.agree else 'DIFFER'}", file=sys.stderr)
    return found


def import_line(report: JsonObject) -> str:
    rows = sum(file["rows"] for file in report["files"])
    return (
        f"{len(report['files'])} files, {rows:,} rows read, {report['inserted']:,} stored, "
        f"{report['unchanged']:,} there already, {report['refused']:,} refused, "
        f"in {report['seconds']:.1f} s: {report['rows_per_second']:,} rows/s."
    )


def figures_table(pairs: Iterable[Pair]) -> list[str]:
    header = (
        "series", "from", "to", "candles", "missing", "setups", "trades", "precision", "at least", "expectancy R",
        "profit %", "max drawdown %", "fees", "left open", "data", "replay s", "kernel s", "agree",
    )  # fmt: skip
    return markdown(header, (figures(pair) for pair in pairs))


def figures(pair: Pair) -> tuple[object, ...]:
    report = pair.replay
    statistics = report["statistics"]
    cash = Decimal(report["account"]["initial_cash"])
    fees = sum((Decimal(trade["fees"]) for trade in report["trades"]), Decimal(0))
    some = statistics["trades"] > 0
    return (
        pair.series,
        day(report["first"]),
        day(report["last"]),
        f"{report['candles']:,}",
        f"{report['missing']:,}",
        f"{sum(report['verdicts'].values()):,}",
        statistics["trades"],
        f"{statistics['precision']:.1%}" if some else "–",
        f"{statistics['precision_lower']:.1%}" if some else "–",
        f"{statistics['expectancy_r']:+.3f} {uncertainty(report)}" if some else "–",
        f"{100 * Decimal(report['profit']) / cash:+.2f}",
        f"{100 * statistics['max_drawdown']:.2f}",
        f"{fees:,.2f}",
        "yes" if report["left_open"] else "no",
        f"`{report['data_hash'][:12]}`",
        f"{report['seconds']:.2f}",
        f"{pair.kernel['seconds']:.3f}",
        "yes" if pair.agree else "NO",
    )


def uncertainty(report: JsonObject) -> str:
    """The standard error of the mean R, which two trades at least are needed for."""
    multiples = [trade["r_multiple"] for trade in report["trades"]]
    return f"± {stdev(multiples) / len(multiples) ** 0.5:.3f}" if len(multiples) > 1 else "± ?"


def verdict_table(found: dict[str, list[Pair]]) -> list[str]:
    pairs = [(strategy, pair) for strategy, of_one in found.items() for pair in of_one]
    verdicts = sorted({verdict for _, pair in pairs for verdict in pair.replay["verdicts"]})
    rows = (
        (strategy, pair.series, *(f"{pair.replay['verdicts'].get(verdict, 0):,}" for verdict in verdicts))
        for strategy, pair in pairs
    )
    return markdown(("strategy", "series", *(verdict.replace("_", " ") for verdict in verdicts)), rows)


def data_table(pairs: Iterable[Pair]) -> list[str]:
    header = ("series", "SHA-256 of the candles", "maker ppm", "taker ppm", "slippage ppm", "tick", "lot", "rules from")
    rows = []
    for pair in pairs:
        market = pair.replay["market"]
        costs = (market["maker_ppm"], market["taker_ppm"], market["slippage_ppm"])
        rows.append(
            (
                pair.series,
                f"`{pair.replay['data_hash']}`",
                *costs,
                market["tick_size"],
                market["lot_size"],
                market["source"],
            )
        )
    return markdown(header, rows)


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return lines


def day(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d")


def document(imported: JsonObject, found: dict[str, list[Pair]]) -> str:
    first = next(iter(found.values()))
    lines = ["### Import", "", import_line(imported), ""]
    for strategy, pairs in found.items():
        lines += [f"### {strategy}", "", *figures_table(pairs), ""]
    lines += ["### What became of the setups", "", *verdict_table(found), ""]
    lines += ["### Candles and costs", "", *data_table(first), ""]
    account = first[0].replay["account"]
    circumstances = (
        f"Start {account['initial_cash']}, risk per trade {account['risk_ppm']} ppm, largest position "
        f"{account['max_position_ppm']} ppm, least confluence {account['min_confluence']}. "
        f"Code {first[0].replay['code_version']}."
    )
    lines += [circumstances, ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candles", type=Path, required=True, help="folder of candle files to import")
    parser.add_argument("--data-directory", type=Path, help="keep the database here; else it is thrown away")
    parser.add_argument("--output", type=Path, help="write the tables here instead of printing them")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tradepulse-study-") as scratch:
        data_directory = chosen.data_directory or Path(scratch)
        imported = tradepulse(["import-data", str(chosen.candles)], data_directory)
        found = study(data_directory)
    text = document(imported, found)
    if chosen.output is None:
        print(text)
    else:
        chosen.output.write_text(text, encoding="utf-8")
    return 0 if all(pair.agree for pairs in found.values() for pair in pairs) else 1


if __name__ == "__main__":
    raise SystemExit(main())
