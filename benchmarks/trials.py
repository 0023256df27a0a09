"""Trials: microseconds each, how well threads share them, against plain C and against the strategies' own scans.

Alone: ``python -m benchmarks.trials [--quick]``. Statistics are compared before anything is timed.
"""

import argparse
import asyncio
import cProfile
import ctypes
import hashlib
import json
import os
import pstats
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from benchmarks.honesty import coverage_in
from benchmarks.market_data import BESIDE_THE_REPOSITORY, LONG_AFTER, Market, market_of
from benchmarks.measuring import Table, ratios, side_by_side, spread
from tradepulse.domain.market import TRADED_TIMEFRAMES, Candles, FloatArray, SeriesKey, Timeframe, data_hash
from tradepulse.domain.training import TrainingRequest
from tradepulse.exchanges.capabilities import spec_for
from tradepulse.kernels import trials, trials_breakout
from tradepulse.policy import evaluation
from tradepulse.policy.evaluation import COLUMNS, TimeColumns, trial_stats
from tradepulse.policy.train import SeriesData, evaluate_unit, judge_job, plan_job
from tradepulse.storage.candle_files import read_candle_file
from tradepulse.strategies import STRATEGIES, MarketHistory, Strategy
from tradepulse.strategies.base_strategy import higher_bars

SOURCE = Path(__file__).with_name("trials.c")
# Contraction off: a fused multiply-add rounds once where two operations round twice.
FLAGS = ("-O2", "-ffp-contract=off", "-shared", "-fPIC")
YEAR = "bitfinex__BTC-USD__1m.parquet"
YEARS_EXCHANGE, YEARS_SYMBOL = "bitfinex", "BTC/USD"
MINUTES_OF_A_YEAR = 525_600
EMBARGO_BARS = 50
PLAIN_POINTS = 16


def trial_tables(candles: int, points: int, rounds: int, folder: Path, whole_job: bool) -> Iterator[Table]:
    market = market_of(candles)
    yield speed_table(market, points, rounds)
    yield native_trial_table(market, points, rounds, folder)
    if whole_job:
        yield from job_tables(points=2048)


def design(strategy: Strategy, count: int) -> FloatArray:
    specs = strategy.parameter_specs
    low = np.array([0.0 if spec.kind == "choice" else spec.low for spec in specs])
    high = np.array([len(spec.choices) - 1.0 if spec.kind == "choice" else spec.high for spec in specs])
    cube = qmc.Sobol(len(specs), seed=0).random_base2(int(np.ceil(np.log2(count))))[:count]
    points: FloatArray = low + cube * (high - low)
    return points


def setting(market: Market) -> tuple[MarketHistory, TimeColumns]:
    history = MarketHistory.of(market.series, market.candles)
    duration = market.series.timeframe.milliseconds
    return history, TimeColumns.over([market.candles.open_time], duration, EMBARGO_BARS)


def wall(work: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken


def speed_table(market: Market, count: int, rounds: int) -> Table:
    history, columns = setting(market)
    rows = [_speed_row(strategy, market, history, columns, count, rounds) for strategy in STRATEGIES.values()]
    return Table(
        f"Trials: {market.label}, {count:,} points, {rounds} rounds, microseconds of wall time per trial",
        ("strategy", "1 thread", "2 threads", "efficiency", "plain scan", "plain / 1 thread", "trades", "equal"),
        rows,
        [
            "A trial is one parameter set over the whole history, all regimes and columns of time, preparation shared.",
            f"Plain scan: Strategy.scan and the same walk, {PLAIN_POINTS} points. Equal: statistics to the last bit.",
        ],
    )


def _speed_row(
    strategy: Strategy, market: Market, history: MarketHistory, columns: TimeColumns, count: int, rounds: int
) -> tuple[str, ...]:
    points, few = design(strategy, count), design(strategy, PLAIN_POINTS)
    plain = evaluation.PlainTrials(strategy, history, evaluation.shared_market(history, market.spec, columns))
    expected = np.zeros((PLAIN_POINTS, trials.SLOT_COUNT, COLUMNS, trials.FIGURES), np.float32)

    def ours(threads: int) -> Callable[[], evaluation.Statistics]:
        return lambda: trial_stats(strategy, history, market.spec, points, columns, threads=threads)

    def scans() -> None:
        plain.run(evaluation.checked_points(strategy, few), 0, PLAIN_POINTS, expected)

    found = ours(1)()
    scans()
    equal = np.array_equal(found[:PLAIN_POINTS], expected) and np.array_equal(found, ours(2)())
    one, two, slow = wall(ours(1), rounds), wall(ours(2), rounds), wall(scans, rounds)
    micro, plain_micro = 1e6 / count, 1e6 / PLAIN_POINTS
    return (
        strategy.strategy_id,
        spread([seconds * micro for seconds in one]),
        spread([seconds * micro for seconds in two]),
        spread([single / (2.0 * double) for single, double in zip(one, two, strict=True)], ".2f"),
        f"{statistics.median(slow) * plain_micro:,.0f}",
        f"{statistics.median(slow) * plain_micro / (statistics.median(one) * micro):.0f}",
        f"{found[:, trials.ANY, :, trials.N].sum() / count:.0f}",
        "yes" if equal else "NO",
    )


class _CMarket(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("open_time", "open", "high", "low", "close")),
        *((name, ctypes.c_int64) for name in ("count", "duration")),
        *((name, ctypes.c_void_p) for name in ("slot", "column", "segment")),
        ("tick_size", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("maker", "taker", "slippage", "funding", "shorts", "columns")),
    )


class _CMemo(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("high", "low", "close", "bar", "direction", "beyond")),
        ("candidates", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("volume", "average_range", "width", "tops", "bottoms")),
        *((name, ctypes.c_int64) for name in ("least_atr", "least_volume")),
    )


def native_trial_table(market: Market, count: int, rounds: int, folder: Path) -> Table:
    title = f"The volume breakout's trials against plain C: {market.label}, {count:,} points, {rounds} rounds"
    columns = ("trials", "microseconds per trial", "times C", "trades", "equal")
    compiler = shutil.which("gcc")
    if compiler is None:
        return Table(title, columns, [], ["Not measured: there is no gcc on this machine."])
    library = folder / "trials.so"
    subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(library), "-lm"], check=True)
    ours, twin, split, found, expected = _contenders(market, count, ctypes.CDLL(str(library)).run_trials)
    ours()
    twin()
    equal = np.array_equal(found, expected)
    taken = side_by_side({"numba": ours, "C": twin}, rounds)
    on_one, on_two = wall(twin, rounds), wall(split, rounds)
    ceiling = spread([single / (2.0 * double) for single, double in zip(on_one, on_two, strict=True)], ".2f")
    rows = [
        (
            name, spread([seconds * 1e6 / count for seconds in taken[key]]),
            spread(ratios(taken[key], taken["C"]), ".2f"), f"{stats[:, trials.ANY, :, trials.N].sum():,.0f}",
            "yes" if equal else "NO",
        )
        for key, name, stats in (("numba", "kernel (numba)", found), ("C", "C (gcc -O2)", expected))
    ]  # fmt: skip
    notes = [
        "One core, preparation apart. Equal: all statistics, to the last bit.",
        f"C on two threads, half of the points each: efficiency {ceiling}. What this machine's second core is worth.",
    ]
    return Table(title, columns, rows, notes)


Work = Callable[[], None]


def _contenders(market: Market, count: int, function: Any) -> tuple[Work, Work, Work, Any, Any]:
    """The kernel, its twin in C on one thread and on two, and the arrays that each writes its statistics into."""
    history, columns = setting(market)
    strategy = STRATEGIES["volume_breakout"]
    shared = evaluation.shared_market(history, market.spec, columns)
    prepared = evaluation.trials_on(strategy, history, shared)
    if not isinstance(prepared, evaluation.CompiledTrials):
        raise TypeError("The volume breakout has lost its kernel.")
    memo = prepared.memo
    points = evaluation.checked_points(strategy, design(strategy, count))
    shape = (count, trials.SLOT_COUNT, COLUMNS, trials.FIGURES)
    found, expected = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    bars, candidates = shared.bars, memo.candidates
    c_market = _CMarket(
        *(_at(column) for column in bars[:5]), len(bars.open), bars.duration, _at(shared.slot), _at(shared.column),
        _at(shared.segment), shared.tick_size, shared.maker_ppm, shared.taker_ppm, shared.slippage_ppm,
        shared.funding_ppm, int(shared.shorts), COLUMNS,
    )  # fmt: skip
    c_memo = _CMemo(
        _at(memo.high), _at(memo.low), _at(memo.close), *(_at(column) for column in candidates[:3]),
        len(candidates.bar), _at(candidates.volume), _at(memo.average_range), _at(memo.width), _at(memo.tops),
        _at(memo.bottoms), memo.least_atr, memo.least_volume,
    )  # fmt: skip
    function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2
    function.restype = None

    def ours() -> None:
        for first in range(0, count, evaluation.BATCH):
            trials_breakout.run(memo, shared, points, first, min(first + evaluation.BATCH, count), found)

    def run_twin(first: int, last: int) -> None:
        sums = np.empty((evaluation.BATCH, *shape[1:]))
        function(
            ctypes.byref(c_memo), ctypes.byref(c_market), _at(points[first:last]), last - first, points.shape[1],
            _at(sums), _at(expected[first:last]),
        )  # fmt: skip

    def split() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run_twin, (0, count // 2), (count // 2, count)))

    return ours, lambda: run_twin(0, count), split, found, expected


def _at(array: Any) -> int:
    return int(array.ctypes.data)


def job_tables(points: int, keep: Path | None = None, same_as: Path | None = None) -> Iterator[Table]:
    """One symbol, one year of minutes, every timeframe and strategy, judged: what its 54 combinations cost.

    The report is written to ``keep``, and compared with that in ``same_as``: a faster gate must find the same.
    """
    title = f"54 combinations x {points + 1:,} trials, one symbol, one year of 1m candles, 2 threads, gate included"
    path = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", BESIDE_THE_REPOSITORY)) / YEAR
    columns = ("timeframe", "candles", *STRATEGIES, "seconds")
    if not path.is_file():
        yield Table(title, columns, [], [f"Not measured: {YEAR} is not at hand."])
        return
    minutes = read_candle_file(path, LONG_AFTER).good[-MINUTES_OF_A_YEAR:]
    data = dict(_year_of(minutes))
    request = TrainingRequest(
        (YEARS_SYMBOL,), (YEARS_EXCHANGE,), tuple(STRATEGIES), (), TRADED_TIMEFRAMES, points=points
    )

    async def load(series: SeriesKey) -> SeriesData:
        return data[series]

    started = time.perf_counter()
    units, plan = asyncio.run(plan_job(request, coverage_in(data), load))
    taken, results = {}, {}
    for unit in units:
        began = time.perf_counter()
        results[unit.index] = evaluate_unit(unit, data[unit.series], request, plan, threads=2)
        taken[unit.series.timeframe, unit.strategy] = time.perf_counter() - began
    began = time.perf_counter()
    report = judge_job(request, plan, units, results.__getitem__, data.__getitem__, threads=2)
    judging, whole = time.perf_counter() - began, time.perf_counter() - started
    rows = []
    for series, found in data.items():
        seconds = [taken.get((series.timeframe, name)) for name in STRATEGIES]
        cells = ("left out" if one is None else f"{one:.2f}" for one in seconds)
        rows.append((series.timeframe, f"{len(found.history):,}", *cells, f"{sum(filter(None, seconds)):.2f}"))
    rows.append((f"gate, {len(report['combinations'])} combinations", "", *[""] * len(STRATEGIES), f"{judging:.2f}"))
    rows.append(("all", "", *[""] * len(STRATEGIES), f"{whole:.2f}"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    notes = [
        f"Wall time, preparation included, kernels compiled before. Peak memory of this process: {peak:,.0f} MB.",
        f"The report's fingerprint: {hashlib.sha256(_as_text(report)).hexdigest()[:16]}.",
    ]
    if keep is not None:
        keep.write_bytes(_as_text(report))
    if same_as is not None:
        same = same_as.read_bytes() == _as_text(report)
        notes.append(f"The report {'is equal to' if same else 'DIFFERS from'} that in {same_as}.")
    yield Table(title, columns, rows, notes)
    profile = cProfile.Profile()
    profile.runcall(judge_job, request, plan, units, results.__getitem__, data.__getitem__)
    yield _gate_table(profile)


def _as_text(report: Any) -> bytes:
    return json.dumps(report, sort_keys=True).encode()


PARTS_OF_THE_GATE = {
    "_plateau_of": "C: plateaus of all time and without each fold",
    "_cscv": "G: every halving of the blocks",
    "_step_b": "B: the bootstrap over the whole design",
    "choose_cells": "D: choosing for every combination",
    "_cell": "A, E: the trades of every combination",
    "_family_report": "the report of a family",
    "_judge_precision": "D: the pooled model",
    "judge_job": "all",
}


def _gate_table(profile: cProfile.Profile) -> Table:
    found = {
        function: figures[3]
        for (_, _, function), figures in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
    }
    rows = [(words, f"{found.get(name, 0.0):.2f}") for name, words in PARTS_OF_THE_GATE.items()]
    return Table(
        "Where the gate's time goes, one thread", ("part", "seconds"), rows, ["Under a profiler, which adds some."]
    )


def _year_of(minutes: Candles) -> Iterator[tuple[SeriesKey, SeriesData]]:
    for timeframe in TRADED_TIMEFRAMES:
        candles = minutes if timeframe is Timeframe.M1 else _resampled(minutes, timeframe)
        series = SeriesKey(YEARS_EXCHANGE, YEARS_SYMBOL, timeframe)
        spec = replace(market_of(10).spec, tick_size=spec_for(series.market, minutes).tick_size, key=series.market)
        yield series, SeriesData(MarketHistory.of(series, candles), spec, data_hash(candles))


def _resampled(minutes: Candles, timeframe: Timeframe) -> Candles:
    bars = higher_bars(minutes, Timeframe.M1, timeframe)
    return Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)


def main() -> None:
    from rich.console import Console

    from benchmarks.__main__ import circumstances, scratch, show

    options = argparse.ArgumentParser(prog="python -m benchmarks.trials", description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer candles, points and rounds; not the whole job")
    options.add_argument("--job", action="store_true", help="only the whole job of one symbol")
    options.add_argument("--keep", type=Path, metavar="FILE", help="with --job: write the job's report as JSON")
    options.add_argument("--same-as", type=Path, metavar="FILE", help="with --job: is the report that in FILE?")
    chosen = options.parse_args()
    console = Console(highlight=False, width=190)
    console.print(circumstances())
    with scratch() as folder:
        size = (20_000, 128, 3) if chosen.quick else (100_000, 1_000, 5)
        if chosen.job:
            tables = job_tables(2048, chosen.keep, chosen.same_as)
        else:
            tables = trial_tables(*size, folder, whole_job=not chosen.quick)
        for table in tables:
            show(console, table)
    console.print(circumstances())


if __name__ == "__main__":
    main()
