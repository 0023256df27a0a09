"""A whole job in memory, from candles to verdicts: with a planted edge, without one, and with a challenger."""

import asyncio
from dataclasses import replace
from functools import cache

import numpy as np
from benchmarks.null_markets import Market, market_of, simulated
from benchmarks.planted_markets import planted

from tradepulse.domain.market import SeriesKey, Timeframe, data_hash
from tradepulse.domain.training import JsonObject, TrainingRequest, TrainingUnit
from tradepulse.policy.plan import SeriesData, plan_job
from tradepulse.policy.train import evaluate_unit, judge_job, walk_forward
from tradepulse.ports import SeriesCoverage, UnitResult
from tradepulse.strategies import STRATEGIES, MarketHistory

TIMEFRAME = Timeframe.H1
STRATEGY = STRATEGIES["volume_breakout"]
SYMBOLS, BARS = 4, 9_000


class Job:
    def __init__(self, market: Market, strategies: tuple[str, ...] = (STRATEGY.strategy_id,)) -> None:
        self.market = market
        self.data = {}
        for symbol, candles in market.candles.items():
            series = SeriesKey("null", symbol, TIMEFRAME)
            spec = market.specs[symbol]
            self.data[series] = SeriesData(MarketHistory.of(series, candles), spec, data_hash(candles))
        coverage = [SeriesCoverage(series, BARS, 0, 0, 0, simulated=True) for series in self.data]
        symbols = tuple(market.candles)
        self.request = TrainingRequest(symbols, ("null",), strategies, (), (TIMEFRAME,), points=256)
        self.units: tuple[TrainingUnit, ...]
        self.plan: JsonObject
        self.units, self.plan = asyncio.run(plan_job(self.request, coverage, self._load))
        self.results: dict[int, UnitResult] = {
            unit.index: evaluate_unit(unit, self.data[unit.series], self.request, self.plan) for unit in self.units
        }

    async def _load(self, series: SeriesKey) -> SeriesData:
        return self.data[series]

    def report(
        self, *, challenger: bool = False, replay: str | None = None, threads: int = 1, evaluated: int | None = None
    ) -> JsonObject:
        request = replace(self.request, challenger=challenger)
        return judge_job(
            request,
            self.plan,
            self.units,
            self.results.__getitem__,
            self.data.__getitem__,
            replay=None if replay is None else lambda *_: replay,
            threads=threads,
            evaluated=None if evaluated is None else lambda *_: evaluated,
        )


@cache
def with_edge() -> Job:
    random = np.random.default_rng(5)
    moves = simulated(random, TIMEFRAME, BARS + 10, SYMBOLS)
    found = planted(
        random, STRATEGY, moves, TIMEFRAME, 1.0, kind="simulated", seed=5, swap=True, training=BARS, least_trades=600,
        breadth="broad",
    )  # fmt: skip
    return Job(found.market)


@cache
def without_edge() -> Job:
    moves = simulated(np.random.default_rng(6), TIMEFRAME, BARS, SYMBOLS)
    return Job(market_of("simulated", 6, moves, swap=True, costs=True))


def test_judge_job_when_a_large_edge_is_planted_then_it_is_deployed_with_figures_of_held_out_trades_only() -> None:
    report = with_edge().report()
    family = report["families"][0]
    assert family["verdict"] == "traded", family["reason"]
    deployed = [row for row in report["combinations"] if row["verdict"] == "deployed"]
    assert deployed
    for row in deployed:
        steps = {step["step"]: step["passed"] for step in row["steps"]}
        assert all(steps[name] is True for name in "ABCDFG")
        assert row["held_out"]["trades"] >= 15
        assert row["published"]["precision_lower"] < row["published"]["precision"] < 1
        assert row["published"]["precision"] > row["published"]["break_even"]
    fallen = [row for row in report["combinations"] if row["verdict"] == "falls back"]
    assert all(row["falls_back_to"] == "any" for row in fallen)


def test_judge_job_when_the_replay_differs_then_nothing_is_deployed_and_the_difference_is_named() -> None:
    report = with_edge().report(replay="trade 7 ends one bar earlier")
    assert report["summary"]["deployed"] == 0
    assert any("trade 7 ends one bar earlier" in row["reason"] for row in report["combinations"])


def test_judge_job_when_there_is_no_edge_then_nothing_is_deployed_and_every_combination_says_why() -> None:
    report = without_edge().report()
    assert report["summary"]["deployed"] == 0
    assert all(row["reason"] and row["refused_by"] for row in report["combinations"])


def test_judge_job_when_a_regime_has_no_better_parameters_of_its_own_then_it_is_judged_by_those_of_all() -> None:
    report = with_edge().report()
    of_all = {row["symbol"]: row for row in report["combinations"] if row["regime"] == "any"}
    asked = 0
    for row in report["combinations"]:
        step = next((one for one in row["steps"] if one["title"] == "Better than one set for all regimes"), None)
        if row["regime"] == "any":
            assert step is None
        elif step is not None:
            asked += 1
            parent = of_all[row["symbol"]]
            judged_by_defaults = "defaults" in (row["origin"], parent["origin"])
            assert step["passed"] or judged_by_defaults or row["without"] == parent["without"]
    assert asked > 0


def test_judge_job_when_run_twice_then_the_reports_are_equal() -> None:
    assert with_edge().report() == with_edge().report()


def test_judge_job_when_several_threads_judge_its_families_then_the_report_is_the_same() -> None:
    job = Job(with_edge().market, tuple(STRATEGIES))
    report = job.report()
    assert [family["strategy"] for family in report["families"]] == list(STRATEGIES)
    assert job.report(threads=3) == report


def test_judge_job_when_other_trials_were_made_before_then_the_deflated_sharpe_ratio_reckons_with_them() -> None:
    def step_g(report: JsonObject) -> JsonObject:
        return next(step["figures"] for step in report["families"][0]["steps"] if step["step"] == "G")

    alone, after_many = step_g(without_edge().report()), step_g(without_edge().report(evaluated=50_000))
    assert alone["trials"] == 257
    assert after_many["trials"] == 50_000
    assert after_many["effective_trials"] > alone["effective_trials"]
    assert after_many["deflated_sharpe"] < alone["deflated_sharpe"]
    assert step_g(without_edge().report(evaluated=10)) == alone


def test_judge_job_when_a_challenger_is_asked_for_then_its_trials_are_counted_and_its_fate_is_told() -> None:
    plain, challenged = with_edge().report(), with_edge().report(challenger=True)
    assert challenged["honesty"]["trials"] > plain["honesty"]["trials"]
    step = challenged["families"][0]["challenger"]
    assert step["figures"]["trials"] > 0
    assert ("takes its place" in step["reason"]) is step["passed"]
    if not step["passed"]:
        assert challenged["families"][0]["plateau"] == plain["families"][0]["plateau"]


def test_walk_forward_when_an_edge_persists_then_most_folds_earn_on_candles_after_their_choice() -> None:
    job = with_edge()
    folds = walk_forward(job.request, job.plan["families"][0], job.results.__getitem__)
    assert [fold["until"] for fold in folds[:-1]] == [fold["from"] for fold in folds[1:]]
    earned = [fold["out_of_sample"]["expectancy_r"] > 0 for fold in folds if fold["point"] is not None]
    assert sum(earned) > len(earned) / 2
