"""Does training refuse to lie? Markets without edge, markets with a planted one, through the real plan and gate.

    make honesty [ARGS="--quick --output FILE --workers N --seed N"]

A null job is the three strategies on ten symbols of one market in which nobody can know the direction; a planted job
is one strategy on ten symbols in which one hidden set of its parameters earns 0.3 R or 0.14 R after costs; half of the
edges are narrow and half broad (see ``benchmarks.planted_markets``). Null markets pay the reference fees or (the
hard ones) nothing at all, so that every trade earns about zero. Half of the markets are spot, half trade both ways.
Every market is made from its own seed: the table depends on ``--seed`` only.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.honesty_tables import STRENGTHS, count_of, tables_of
from benchmarks.null_markets import KINDS, Market, Random, market_of, null_moves
from benchmarks.planted_markets import ANY, BREADTHS, planted, trader_of
from tradepulse.domain.market import Candles, FloatArray, SeriesKey, Timeframe, data_hash
from tradepulse.domain.training import JsonObject, TrainingRequest
from tradepulse.policy.evaluation import SLOTS, TimeColumns, TradesOfPoints, point_of
from tradepulse.policy.train import SeriesData, evaluate_unit, judge_job, plan_job
from tradepulse.ports import SeriesCoverage
from tradepulse.strategies import STRATEGIES, MarketHistory

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "candles"
FOLDER = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", BESIDE_THE_REPOSITORY))
TIMEFRAME = Timeframe.H1


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is judged: null jobs, planted families per strategy and strength, candles per symbol."""

    null_jobs: int
    planted_families: int
    null_candles: int
    planted_candles: int
    continuation: int
    symbols: int = 10
    points: int = 2048
    least_trades: int = 800
    """Trades of the hidden parameters over all symbols, before the continuation."""


FULL = Effort(null_jobs=300, planted_families=100, null_candles=14_000, planted_candles=42_000, continuation=16_000)
QUICK = Effort(null_jobs=30, planted_families=6, null_candles=12_000, planted_candles=30_000, continuation=16_000)


@dataclass(frozen=True, slots=True)
class Task:
    """One job. ``edge`` 0: a null market with all strategies, else one with a planted edge for ``strategies[0]``."""

    index: int
    seed: int
    kind: str
    strategies: tuple[str, ...]
    edge: float
    swap: bool
    costs: bool
    breadth: str


def tasks_of(effort: Effort, seed: int, kinds: Sequence[str]) -> list[Task]:
    """Null jobs and planted families in turns, so that a run that is cut short has seen some of all."""
    variants, planted_variants = list(product(kinds, (True, False), (False, True))), list(product((False, True), kinds))
    rows = []
    for index in range(effort.null_jobs):
        kind, costs, swap = variants[index % len(variants)]
        rows.append((index / effort.null_jobs, kind, tuple(STRATEGIES), 0.0, swap, costs, ""))
    for index, strategy, edge in product(range(effort.planted_families), STRATEGIES, STRENGTHS.values()):
        swap, kind = planted_variants[index // len(BREADTHS) % len(planted_variants)]
        breadth = BREADTHS[index % len(BREADTHS)]
        rows.append((index / effort.planted_families, kind, (strategy,), edge, swap, True, breadth))
    rows.sort(key=lambda row: row[0])
    return [Task(number, seed * 1_000_003 + number, *row[1:]) for number, row in enumerate(rows)]


def judge_market(
    candles: Mapping[str, Candles], market: Market, strategies: Sequence[str], points: int
) -> tuple[JsonObject, dict[SeriesKey, SeriesData]]:
    """The real job, in memory: plan, every unit, judgement; without the engine's replay, which is tested elsewhere."""
    data = {}
    for symbol, rows in candles.items():
        series = SeriesKey(market.specs[symbol].key.exchange, symbol, TIMEFRAME)
        data[series] = SeriesData(MarketHistory.of(series, rows), market.specs[symbol], data_hash(rows))
    exchanges = tuple({series.exchange for series in data})
    request = TrainingRequest(tuple(candles), exchanges, tuple(strategies), (), (TIMEFRAME,), points=points)

    async def load(series: SeriesKey) -> SeriesData:
        return data[series]

    units, plan = asyncio.run(plan_job(request, coverage_in(data), load))
    results = {unit.index: evaluate_unit(unit, data[unit.series], request, plan) for unit in units}
    report = judge_job(request, plan, units, results.__getitem__, data.__getitem__, replay=None, reports=False)
    return report, data


def coverage_in(data: Mapping[SeriesKey, SeriesData]) -> list[SeriesCoverage]:
    """What a candle store that holds these histories would say of them."""
    opened = {series: found.history.candles.open_time for series, found in data.items()}
    return [
        SeriesCoverage(series, len(times), int(times[0]), int(times[-1]), 0, simulated=True)
        for series, times in opened.items()
    ]


def work_on(job: tuple[Task, Effort]) -> JsonObject:
    """One job from its seed to what the table needs."""
    task, effort = job
    started = time.process_time()
    random = np.random.default_rng(task.seed)
    outcome: JsonObject = {"task": asdict(task)}
    if task.edge == 0.0:
        moves = null_moves(random, task.kind, FOLDER, TIMEFRAME, effort.null_candles, effort.symbols)
        market = market_of(task.kind, task.seed, moves, swap=task.swap, costs=task.costs)
        report, _ = judge_market(market.candles, market, task.strategies, effort.points)
    else:
        report = _planted_job(random, task, effort, outcome)
    outcome["families"] = [_family_line(report, family) for family in report["families"]]
    outcome["seconds"] = time.process_time() - started
    return outcome


def _family_line(report: JsonObject, family: JsonObject) -> JsonObject:
    own = [row for row in report["combinations"] if row["strategy"] == family["strategy"]]
    steps = {step["step"]: step for step in family["steps"]}
    return {
        "strategy": family["strategy"],
        "passed": family["verdict"] == "traded",
        "deployed": sum(row["verdict"] == "deployed" for row in own),
        "refused_by": next((step["step"] for step in family["steps"] if step["passed"] is False), None),
        "eligible": steps["A"]["figures"].get("eligible_points", 0),
        "p": {name: steps[name]["figures"].get("p_value") for name in ("B", "C")},
        "mean_r": {name: family["plateau"][name]["expectancy_r"] if family["plateau"] else None for name in PARTS},
        "cell_refusals": count_of(row.get("refused_by") or "none" for row in own),
    }


PARTS = ("training", "held_out")


def _planted_job(random: Random, task: Task, effort: Effort, outcome: JsonObject) -> JsonObject:
    strategy = STRATEGIES[task.strategies[0]]
    length = effort.planted_candles + effort.continuation
    moves = null_moves(random, task.kind, FOLDER, TIMEFRAME, length, effort.symbols)
    found = planted(
        random,
        strategy,
        moves,
        TIMEFRAME,
        task.edge,
        kind=task.kind,
        seed=task.seed,
        swap=task.swap,
        training=effort.planted_candles,
        least_trades=effort.least_trades,
        breadth=task.breadth,
    )
    until = int(moves.open_time[effort.planted_candles])
    candles = {symbol: rows.between(None, until) for symbol, rows in found.market.candles.items()}
    report, _ = judge_market(candles, found.market, task.strategies, effort.points)
    outcome["planted"] = {
        "expectancy": found.expectancy,
        "drift": found.drift,
        "trades": found.trades_before,
        "oracle_p": _oracle(found.market, strategy.strategy_id, found.point, report),
    }
    outcome["combinations"] = _continued(report, found.market, until)
    return report


def _oracle(market: Market, strategy: str, point: FloatArray, report: JsonObject) -> float:
    """One-sided p-value of the hidden parameters themselves, which nobody chose: no choice can be surer than this."""
    begin, end = report["families"][0]["first"], report["families"][0]["last"]
    results = []
    for symbol, candles in market.candles.items():
        found = trader_of(STRATEGIES[strategy], candles, market.specs[symbol], TIMEFRAME)(point, ANY)
        results.append(found.r[(found.entry_time >= begin) & (found.exit_time < end)])
    whole = np.concatenate(results)
    if len(whole) < 3:
        return 1.0
    return float(stats.ttest_1samp(whole, 0.0, alternative="greater").pvalue)


def _continued(report: JsonObject, market: Market, since: int) -> list[JsonObject]:
    """What every combination's parameters made on the candles after those that were judged."""
    rows = []
    traders: dict[str, TradesOfPoints] = {}
    of_all = {row["symbol"]: row["values"] for row in report["combinations"] if row["regime"] == SLOTS[ANY]}
    for combination in report["combinations"]:
        symbol = combination["symbol"]
        strategy = STRATEGIES[combination["strategy"]]
        if symbol not in traders:
            series = SeriesKey(combination["exchange"], symbol, TIMEFRAME)
            history = MarketHistory.of(series, market.candles[symbol])
            columns = TimeColumns.over([history.candles.open_time], TIMEFRAME.milliseconds, 0)
            traders[symbol] = TradesOfPoints(strategy, history, market.specs[symbol], columns)
        point, parent = (
            point_of(strategy, strategy.parameters(None, **values))
            for values in (combination["values"], of_all[symbol])
        )
        slot = SLOTS.index(combination["regime"])
        realised, of_parent = (
            trades.r[trades.entry_time >= since]
            for trades in (traders[symbol](point, slot), traders[symbol](parent, slot))
        )
        rows.append(
            {
                "symbol": symbol,
                "slot": slot,
                "deployed": combination["verdict"] == "deployed",
                "published": combination["published"],
                "trades": len(realised),
                "wins": int((realised > 0).sum()),
                "sum_r": float(realised.sum()),
                "parent_trades": len(of_parent),
                "parent_sum_r": float(of_parent.sum()),
            }
        )
    return rows


def outcomes_of(tasks: Sequence[Task], effort: Effort, workers: int) -> Iterator[JsonObject]:
    jobs = [(task, effort) for task in tasks]
    if workers == 1:
        yield from map(work_on, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(work_on, jobs)


def main() -> None:
    options = argparse.ArgumentParser(prog="make honesty", description=__doc__)
    options.add_argument("--quick", action="store_true", help="about a tenth, a few minutes")
    options.add_argument("--output", type=Path, help="write the tables into this file too")
    options.add_argument(
        "--raw", type=Path, help="append each job's outcome to this file; jobs it holds are not run again"
    )
    options.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--jobs", type=int, help="only the first so many jobs")
    chosen = options.parse_args()
    effort = QUICK if chosen.quick else FULL
    kinds = tuple(KINDS) if FOLDER.is_dir() else ("simulated",)
    tasks = tasks_of(effort, chosen.seed, kinds)[: chosen.jobs]
    started = time.perf_counter()
    outcomes = _known(chosen.raw, tasks)
    done = {outcome["task"]["index"] for outcome in outcomes}
    for outcome in outcomes_of([task for task in tasks if task.index not in done], effort, chosen.workers):
        outcomes.append(outcome)
        if chosen.raw is not None:
            with chosen.raw.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome) + "\n")
    outcomes.sort(key=lambda outcome: int(outcome["task"]["index"]))
    text = _heading(effort, kinds, len(outcomes), time.perf_counter() - started, chosen) + tables_of(outcomes)
    print(text)
    if chosen.output is not None:
        chosen.output.write_text(text, encoding="utf-8")


def _known(raw: Path | None, tasks: Sequence[Task]) -> list[JsonObject]:
    """Outcomes of the same tasks from an earlier run that was cut short."""
    if raw is None or not raw.is_file():
        return []
    wanted = {task.index: asdict(task) for task in tasks}
    rows = (json.loads(line) for line in raw.read_text(encoding="utf-8").splitlines())
    same = (row for row in rows if json.loads(json.dumps(wanted.get(row["task"]["index"]))) == row["task"])
    return list({row["task"]["index"]: row for row in same}.values())


def _heading(effort: Effort, kinds: Sequence[str], jobs: int, taken: float, chosen: argparse.Namespace) -> str:
    return (
        f"{jobs} jobs on {', '.join(kinds)} candles of {TIMEFRAME}, {effort.symbols} symbols, {effort.null_candles:,} "
        f"(null) and {effort.planted_candles:,} (planted) candles each, {effort.points:,} trials a family and symbol, "
        f"seed {chosen.seed}; {taken / 60:.0f} minutes on {chosen.workers} processes.\n\n"
    )


if __name__ == "__main__":
    main()
