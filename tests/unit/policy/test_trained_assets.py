"""Trained assets: what may be asked, what is put into force, what is answered, and how configurations travel."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.market import HOUR, SeriesKey, Timeframe
from tradepulse.domain.training import (
    AllowedRange,
    Answer,
    Combination,
    Configuration,
    JobState,
    JsonObject,
    Origin,
    Stage,
    StageMove,
    TrainingJob,
    TrainingRequest,
    TrainingUnit,
    regime_of,
)
from tradepulse.policy.configuration_documents import configurations_in, fingerprint, parsed_document
from tradepulse.policy.parameter_ranges import AskedRange, ParameterRanges
from tradepulse.policy.trained_assets import TrainedAssetsManager
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.storage.in_memory import InMemoryConfigurationStore, InMemoryTrainingStore
from tradepulse.storage.parameter_ranges_in_memory import InMemoryParameterRangeStore
from tradepulse.strategies import STRATEGIES

SERIES = SeriesKey("binance", "BTC/USDT", Timeframe.H1)
OF_HTF = ("BTC/USDT", "binance", "htf_sweep")
DAYS = 24 * HOUR
ME = {"by": "me", "reason": "because"}


class Hours:
    """A clock that moves on by an hour whenever somebody looks."""

    def __init__(self) -> None:
        self.time = 1_767_225_600_000

    def now(self) -> int:
        self.time += HOUR
        return self.time


def stored(series: SeriesKey, *, simulated: bool = False) -> SeriesCoverage:
    return SeriesCoverage(series, 5000, 0, 4999 * series.timeframe.milliseconds, 0, simulated)


COVERAGE = (
    stored(SERIES),
    stored(SeriesKey("binance", "BTC/USDT", Timeframe.H4)),
    stored(SeriesKey("binance", "ETH/USDT", Timeframe.H1)),
    stored(SeriesKey("simulated", "BTC/USDT", Timeframe.H1), simulated=True),
    stored(SeriesKey("kraken", "SOL/USDT", Timeframe.H1)),
)


class House:
    """The manager on stores in memory, with a planner that makes one unit per series and strategy."""

    def __init__(self, coverage: Sequence[SeriesCoverage] = COVERAGE) -> None:
        clock = Hours()
        self.training = InMemoryTrainingStore(clock)
        self.configurations = InMemoryConfigurationStore()
        self.in_force: Any = None
        self.planned: TrainingRequest | None = None
        self.ranges = ParameterRanges(InMemoryParameterRangeStore(), clock)

        async def stored_series() -> Sequence[SeriesCoverage]:
            return coverage

        self.manager = TrainedAssetsManager(
            self.training,
            self.configurations,
            clock,
            coverage=stored_series,
            plan=self._plan,
            ranges=self.ranges.of_all,
            code_version="test",
        )

    async def _plan(
        self, request: TrainingRequest, coverage: Sequence[SeriesCoverage], in_force: Any
    ) -> tuple[tuple[TrainingUnit, ...], JsonObject]:
        self.planned, self.in_force = request, in_force
        pairs = [(entry.series, name) for entry in coverage for name in request.strategies]
        units = tuple(TrainingUnit(index, series, name) for index, (series, name) in enumerate(pairs))
        return units, {"families": [], "left_out": []}

    async def start(self, **changed: Any) -> str:
        asked: dict[str, Any] = {
            "symbols": ["BTC/USDT"],
            "exchanges": ["binance"],
            "strategies": ["htf_sweep"],
            "market_regimes": ["bull", "bear", "sideways"],
            "timeframes": ["1h"],
        }
        return await self.manager.start_training(**asked | changed)

    async def finished(self, *entries: JsonObject, **report: Any) -> TrainingJob:
        """A job that ended with these judgements of its combinations, deployed as the judge does it."""
        job_id = await self.start()
        job = await self.training.job(job_id)
        assert job is not None
        family = {"strategy": "htf_sweep", "timeframe": "1h", "steps": [], "cscv": {"pbo": 0.2}, "equity": [1] * 99}
        whole = {"families": [family], "combinations": list(entries), "left_out": [], **report}
        await self.training.advance(job_id, JobState.RUNNING)
        await self.training.advance(job_id, JobState.JUDGING)
        await self.manager.deploy(job, whole)
        await self.training.save_report(job_id, whole)
        return job

    async def answer(self, regime: str | None, **allowed: Any) -> Any:
        symbol, exchange, strategy = OF_HTF
        return await self.manager.get_optimized_parameters(symbol, exchange, strategy, regime, "1h", **allowed)

    async def versions(self, regime: str) -> Sequence[Configuration]:
        return await self.manager.list(symbol="BTC/USDT", regime=regime)


def judged(regime: str, verdict: str = "deployed", **values: float) -> JsonObject:
    parameters = STRATEGIES["htf_sweep"].parameters(regime_of(regime), **values)
    return {
        "exchange": "binance",
        "symbol": "BTC/USDT",
        "timeframe": "1h",
        "strategy": "htf_sweep",
        "regime": regime,
        "verdict": verdict,
        "reason": f"{regime} {verdict} by the test",
        "steps": [{"step": "D", "title": "precision", "passed": verdict == "deployed", "reason": "", "figures": {}}],
        "origin": "tuned",
        "values": dict(parameters.values),
        "parameters_id": parameters.parameters_id,
        "training": {"trades": 90},
        "held_out": {"trades": 41, "precision": 0.6, "expectancy_r": 0.3, "standard_error": 0.2},
        "published": {"precision": 0.55, "precision_lower": 0.48, "break_even": 0.4, "expectancy_r": 0.2},
        "data": {"hash": "abc", "first": 0, "last": HOUR, "candles": 2},
    }


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"symbols": []}, "No symbol is named"),
        ({"symbols": ["BTC"]}, "'BTC' is not a symbol"),
        ({"symbols": ["BTC/USDT", "btc-usdt"]}, "'BTC/USDT' and 'btc-usdt' are the same"),
        ({"symbols": ["BTX/USDT"]}, "No candles of BTX/USDT are stored on binance. Did you mean 'BTC/USDT'?"),
        ({"symbols": ["DOGE/EUR"]}, "Stored are: BTC/USDT, ETH/USDT"),
        ({"exchanges": []}, "No exchange is named"),
        ({"exchanges": ["binanse"]}, "Stored are candles of: binance, kraken, simulated"),
        ({"exchanges": ["binance", "kraken"]}, "No candles of BTC/USDT are stored on kraken"),
        ({"exchanges": ["binance", "simulated"]}, "SIMULATED candles"),
        ({"strategies": ["htf_swep"]}, "Did you mean 'htf_sweep'?"),
        ({"strategies": ["htf_sweep", "htf_sweep"]}, "named twice"),
        ({"market_regimes": ["bul"]}, "Did you mean 'bull'?"),
        ({"market_regimes": ["any"]}, "always trained"),
        ({"market_regimes": []}, "No regime is named"),
        ({"timeframes": ["1w"]}, "context timeframe"),
        ({"timeframes": ["7m"]}, "'7m' is not a timeframe"),
        ({"timeframes": ["1h", "5m"]}, "No 5m candles of BTC/USDT"),
        ({"points": 0}, "0 points are not between 64 and 65,536"),
        ({"points": 10**9}, "1,000,000,000 points"),
        ({"seed": -1}, "seed -1"),
        ({"since": 5, "until": 5}, "The range is empty"),
    ],
)
async def test_start_training_when_something_cannot_be_trained_then_told_what_and_no_job_is_made(
    changed: dict[str, Any], says: str
) -> None:
    house = House()
    with pytest.raises(ConfigurationError) as refusal:
        await house.start(**changed)
    assert says in str(refusal.value)
    assert await house.training.jobs() == []


async def test_start_training_when_nothing_is_stored_then_told_how_to_get_candles() -> None:
    with pytest.raises(ConfigurationError, match=r"No candles are stored yet\. Use download-data"):
        await House(()).start()


async def test_start_training_when_all_is_well_then_a_job_in_unified_words_on_the_candles_there_are_now() -> None:
    house = House()
    job_id = await house.start(symbols=["eth-usdt", "BTC/USDT"], timeframes=["4h", "1h"])
    job = await house.training.job(job_id)
    assert job is not None
    assert job.request.symbols == ("BTC/USDT", "ETH/USDT")
    assert job.request.timeframes == (Timeframe.H1, Timeframe.H4)
    assert job.request.until is None
    assert {str(unit.series) for unit in job.units} == {
        "binance:BTC/USDT:1h",
        "binance:BTC/USDT:4h",
        "binance:ETH/USDT:1h",
    }
    plan = await house.training.plan(job_id)
    assert plan["until"] == 5000 * 4 * HOUR
    assert house.planned is not None
    assert house.planned.until == plan["until"]


async def test_start_training_when_the_same_is_running_then_refused_with_the_other_job_named() -> None:
    house = House()
    job_id = await house.start(strategies=["htf_sweep", "volume_breakout"])
    with pytest.raises(RefusedError, match=job_id):
        await house.start(strategies=["volume_breakout", "htf_sweep"])


async def test_start_training_when_configurations_are_in_force_then_their_values_are_tried_as_well() -> None:
    house = House()
    await house.finished(judged("bull", reward_risk=3.0), judged("bear", reward_risk=3.0))
    await house.start(strategies=["htf_sweep", "volume_breakout"])
    assert list(house.in_force) == [("htf_sweep", "1h")]
    assert [values["reward_risk"] for values in house.in_force["htf_sweep", "1h"]] == [3.0]


async def test_parameters_when_its_own_passed_the_gate_then_these_at_half_size_with_the_evidence() -> None:
    house = House()
    job = await house.finished(judged("bull", reward_risk=3.0))
    answer = await house.answer("bull")
    assert answer.answer is Answer.OWN
    assert answer.values["reward_risk"] == 3.0
    assert answer.size_share == 0.5
    assert answer.reason == "Version 1 of bull, validation, half size."
    configuration = answer.configuration
    assert (configuration.stage, configuration.origin, configuration.job_id) == ("validation", "tuned", job.job_id)
    evidence = configuration.evidence
    assert evidence["combination"]["data"]["hash"] == "abc"
    assert (evidence["pbo"], evidence["seed"]) == (0.2, 0)
    assert "equity" not in evidence["family"]
    assert [move.action for move in await house.manager.life(configuration.configuration_id)] == [
        "created",
        "activated",
    ]


async def test_parameters_when_only_the_parent_passed_then_the_parents_and_why_not_its_own() -> None:
    house = House()
    await house.finished(judged("any", reward_risk=2.0), judged("bear", "falls back"))
    answer = await house.answer("bear")
    assert answer.answer is Answer.PARENT
    assert answer.values["reward_risk"] == 2.0
    assert answer.reason.startswith("None of its own: the gate refused it: bear falls back by the test.")


async def test_parameters_when_the_gate_refused_then_do_not_trade_because_of_it_even_where_defaults_are_allowed() -> (
    None
):
    house = House()
    await house.finished(judged("bear", "not traded"))
    for allowed in (False, True):
        answer = await house.answer("bear", defaults=allowed)
        assert answer.answer is Answer.NOTHING
        assert answer.values == {}
        assert answer.size_share == 0.0
        assert answer.reason == "The gate refused it: bear not traded by the test."


async def test_parameters_when_never_trained_then_nothing_or_defaults_where_allowed() -> None:
    house = House()
    assert (await house.answer("bull")).reason == "It was never trained."
    answer = await house.answer("bull", defaults=True)
    assert answer.answer is Answer.DEFAULTS
    assert answer.values == dict(STRATEGIES["htf_sweep"].parameters().values)
    assert answer.size_share == 0.5
    assert answer.configuration is None


async def test_parameters_when_there_was_too_little_to_judge_then_that_is_the_reason() -> None:
    house = House()
    await house.finished(left_out=[{"series": str(SERIES), "strategy": "htf_sweep", "reason": "50 candles"}])
    assert (await house.answer("bull")).reason == "There was too little to judge: 50 candles."


@pytest.mark.parametrize("regime", ["bull", None])
async def test_parameters_when_quarantined_then_not_traded_although_a_parent_is_there(regime: str | None) -> None:
    house = House()
    await house.finished(judged("bull"), judged("any"))
    for configuration in await house.manager.list(active=True):
        await house.configurations.move(
            StageMove(configuration.configuration_id, 1, "quarantined", Stage.QUARANTINED, True, "reliability", "lost")
        )
    answer = await house.answer(regime)
    assert answer.answer is Answer.NOTHING
    assert "is quarantined: lost" in answer.reason


async def test_size_when_mature_then_full_until_a_warning_halves_it() -> None:
    house = House()
    await house.finished(judged("bull"))
    one = (await house.versions("bull"))[0].configuration_id
    shares = []
    for _ in range(2):
        await house.manager.promote(one, by="me", reason="40 trades as promised")
        shares.append((await house.answer("bull")).size_share)
    for action in ("halved", "restored"):
        await house.configurations.move(StageMove(one, 2, action, Stage.MATURE, True, "reliability", "told"))
        shares.append((await house.answer("bull")).size_share)
    assert shares == [0.5, 1.0, 0.5, 1.0]


async def test_deploy_when_a_later_job_finds_better_then_a_new_version_and_when_it_refuses_the_old_one_stays() -> None:
    house = House()
    await house.finished(judged("bull", reward_risk=2.0), judged("bear", reward_risk=2.0))
    await house.finished(judged("bull", reward_risk=3.0), judged("bear", "not traded", reward_risk=3.0))
    bull, bear = await house.versions("bull"), await house.versions("bear")
    assert [(one.version, one.active) for one in bull] == [(1, False), (2, True)]
    assert [(one.version, one.active) for one in bear] == [(1, True)]
    last = (await house.manager.life(bear[0].configuration_id))[-1]
    assert (last.action, last.active, last.by) == ("refused", True, "training")
    assert "bear not traded by the test" in last.reason
    answer = await house.answer("bear")
    assert answer.answer is Answer.OWN


async def test_deploy_when_it_is_repeated_then_nothing_changes() -> None:
    house = House()
    await house.finished(judged("bear"))
    job = await house.finished(judged("bull"), judged("bear", "not traded"))
    report = await house.training.report(job.job_id)
    assert report is not None

    async def state() -> list[Any]:
        every = await house.manager.list()
        return [(one, await house.manager.life(one.configuration_id)) for one in every]

    before = await state()
    await house.manager.deploy(job, report)
    assert await state() == before


async def test_deploy_when_the_same_parameters_are_found_again_then_they_keep_the_stage_they_earned() -> None:
    house = House()
    await house.finished(judged("bull"))
    first = (await house.versions("bull"))[0]
    await house.manager.promote(first.configuration_id, by="me", reason="as promised")
    await house.finished(judged("bull"))
    await house.finished(judged("bull", reward_risk=3.0))
    assert [one.stage for one in await house.versions("bull")] == [
        Stage.CONFIRMATION,
        Stage.CONFIRMATION,
        Stage.VALIDATION,
    ]


async def test_deploy_when_the_same_parameters_are_found_again_after_a_warning_then_they_stay_at_half_size() -> None:
    house = House()
    await house.finished(judged("bull"))
    one = (await house.versions("bull"))[0].configuration_id
    for _ in range(2):
        await house.manager.promote(one, by="me", reason="as promised")
    await house.configurations.move(StageMove(one, 2, "halved", Stage.MATURE, True, "reliability", "warned"))
    job = await house.finished(judged("bull"))
    answer = await house.answer("bull")
    assert (answer.configuration.version, answer.configuration.stage, answer.size_share) == (2, Stage.MATURE, 0.5)
    report = await house.training.report(job.job_id)
    assert report is not None
    await house.manager.deploy(job, report)
    actions = [move.action for move in await house.manager.life(answer.configuration.configuration_id)]
    assert actions == ["created", "halved", "activated"]


@pytest.mark.parametrize("replaced", [False, True])
async def test_deploy_when_the_same_parameters_are_in_quarantine_then_they_are_not_put_into_force(
    replaced: bool,
) -> None:
    house = House()
    await house.finished(judged("bull"))
    one = (await house.versions("bull"))[0].configuration_id
    await house.configurations.move(StageMove(one, 2, "quarantined", Stage.QUARANTINED, True, "reliability", "lost"))
    if replaced:
        await house.finished(judged("bull", reward_risk=3.0))
    in_force = [other for other in await house.versions("bull") if other.active]
    job = await house.finished(judged("bull"))
    report = await house.training.report(job.job_id)
    assert report is not None
    await house.manager.deploy(job, report)
    assert [other for other in await house.versions("bull") if other.active] == in_force
    newest = (await house.versions("bull"))[-1]
    assert (newest.job_id, newest.stage, newest.active) == (job.job_id, Stage.QUARANTINED, False)
    created, last = await house.manager.life(newest.configuration_id)
    assert (created.action, last.action, last.by) == ("created", "refused", "training")
    assert "in quarantine" in last.reason
    assert ((await house.answer("bull")).answer is Answer.OWN) is replaced


async def test_activate_when_in_quarantine_then_a_person_leads_it_out_with_a_reason_at_half_size() -> None:
    house = House()
    await house.finished(judged("bull"))
    one = (await house.versions("bull"))[0].configuration_id
    await house.configurations.move(StageMove(one, 2, "quarantined", Stage.QUARANTINED, True, "reliability", "lost"))
    with pytest.raises(ConfigurationError, match="needs a reason"):
        await house.manager.activate(one, by="me", reason=" ")
    restored = await house.manager.activate(one, by="me", reason="the exchange was down")
    assert (restored.stage, restored.active) == (Stage.VALIDATION, True)
    assert (await house.answer("bull")).size_share == 0.5
    last = (await house.manager.life(one))[-1]
    assert (last.action, last.by, last.reason) == ("restored", "me", "the exchange was down")
    await house.finished(judged("bull"))
    assert [(one.version, one.stage) for one in await house.versions("bull") if one.active] == [(2, Stage.VALIDATION)]


async def test_promote_when_there_are_no_published_figures_then_never_to_full_size() -> None:
    house = House()
    entry = judged("bull")
    await house.finished(entry | {"published": None})
    one = (await house.versions("bull"))[0]
    await house.manager.promote(one.configuration_id, by="me", reason="as promised")
    with pytest.raises(RefusedError, match="no published figures"):
        await house.manager.promote(one.configuration_id, by="me", reason="as promised")
    unheld = replace(one, stage=Stage.MATURE, active=False)
    mature = await house.configurations.add(unheld, reason="of old")
    with pytest.raises(RefusedError, match="no published figures"):
        await house.manager.activate(mature.configuration_id, **ME)
    assert (await house.answer("bull")).size_share == 0.5


async def test_retire_when_somebody_else_was_faster_then_decided_again_on_what_is_there_now() -> None:
    house = House()
    await house.finished(judged("bull"))
    stale = (await house.versions("bull"))[0]
    one = stale.configuration_id
    await house.manager.promote(one, by="me", reason="as promised")
    looks = [stale]

    async def get(configuration_id: str) -> Configuration | None:
        return looks.pop() if looks else await InMemoryConfigurationStore.get(house.configurations, configuration_id)

    house.configurations.get = get  # type: ignore[method-assign]
    assert (await house.manager.deactivate(one, **ME)).stage is Stage.CONFIRMATION
    looks.append(stale)
    with pytest.raises(RefusedError, match="changed meanwhile"):
        await house.manager.promote(one, by="me", reason="as promised")


async def test_rollback_when_repeated_then_one_version_further_back_each_time_and_never_to_a_retired_one() -> None:
    house = House()
    for reward_risk in (2.0, 2.5, 3.0, 3.5):
        await house.finished(judged("bull", reward_risk=reward_risk))
    versions = await house.versions("bull")
    await house.manager.retire(versions[1].configuration_id, **ME)
    back = await house.manager.rollback(versions[3].configuration_id, **ME)
    assert back.version == 3
    assert [one.version for one in await house.versions("bull") if one.active] == [3]
    back = await house.manager.rollback(back.configuration_id, **ME)
    assert back.version == 1
    with pytest.raises(RefusedError, match=r"No version of .* was in force before version 1"):
        await house.manager.rollback(back.configuration_id, **ME)
    with pytest.raises(RefusedError, match="not in force"):
        await house.manager.rollback(versions[3].configuration_id, **ME)


async def test_promote_when_a_stage_would_be_skipped_or_nothing_was_proven_then_refused() -> None:
    house = House()
    await house.finished(judged("bull"))
    one = (await house.versions("bull"))[0].configuration_id
    promote = house.manager.promote
    with pytest.raises(ConfigurationError, match="needs a reason"):
        await promote(one, by="me", reason=" ")
    with pytest.raises(RefusedError, match="Promote it to confirmation first"):
        await promote(one, by="me", reason="sure", to=Stage.MATURE)
    assert (await promote(one, by="me", reason="sure", to=Stage.CONFIRMATION)).stage is Stage.CONFIRMATION
    await house.manager.deactivate(one, **ME)
    with pytest.raises(RefusedError, match="not in force"):
        await promote(one, by="me", reason="sure")
    await house.manager.activate(one, **ME)
    assert (await promote(one, by="me", reason="sure")).stage is Stage.MATURE
    with pytest.raises(RefusedError, match="cannot be promoted"):
        await promote(one, by="me", reason="sure")
    await house.manager.retire(one, **ME)
    with pytest.raises(RefusedError, match="retired"):
        await house.manager.activate(one, **ME)
    assert (await house.answer("bull")).reason == "Version 1 is not in force (retired by me: because)."
    assert [move.action for move in await house.manager.life(one)] == [
        "created",
        "activated",
        "promoted",
        "deactivated",
        "activated",
        "promoted",
        "retired",
    ]


async def test_configuration_when_named_by_the_beginning_of_its_id_then_found_if_only_one_begins_so() -> None:
    house = House()
    await house.finished(judged("bull"), judged("bear"))
    whole = (await house.versions("bull"))[0].configuration_id
    assert (await house.manager.configuration(whole[:13])).configuration_id == whole
    for wrong in ("", "nothing"):
        with pytest.raises(ConfigurationError, match="list-configurations"):
            await house.manager.configuration(wrong)


async def test_matrix_when_some_is_trained_then_54_cells_each_with_a_verdict_and_a_reason() -> None:
    house = House()
    await house.finished(judged("bull"), judged("bear", "falls back"), judged("any"))
    matrix = await house.manager.matrix("btc-usdt", "Binance")
    assert (len(matrix.cells), len(matrix.parents)) == (54, 18)
    assert len({cell.combination for cell in (*matrix.cells, *matrix.parents)}) == 72
    assert all(cell.reason for cell in matrix.cells)
    by_name = {str(cell.combination): cell for cell in (*matrix.cells, *matrix.parents)}
    bull = by_name["binance:BTC/USDT:1h:htf_sweep:bull"]
    assert (bull.verdict, bull.stage, bull.origin, bull.size_share) == ("traded", "validation", "tuned", 0.5)
    assert (bull.trades, bull.precision, bull.precision_lower, bull.expectancy_r) == (41, 0.55, 0.48, 0.2)
    bear = by_name["binance:BTC/USDT:1h:htf_sweep:bear"]
    assert (bear.verdict, bear.stage) == ("falls back", "validation")
    untouched = by_name["binance:BTC/USDT:4h:htf_sweep:bear"]
    assert (untouched.verdict, untouched.reason) == ("never trained", "It was never trained.")
    assert (untouched.trades, untouched.precision, untouched.stage) == (None, None, None)


async def test_document_when_imported_elsewhere_then_inactive_in_validation_and_a_second_time_nothing() -> None:
    house, other = House(), House()
    await house.finished(judged("bull", reward_risk=3.0), judged("any"))
    text = json.dumps(await house.manager.export(await house.manager.list()))
    added = await other.manager.import_(parsed_document(text), by="a friend")
    assert {(one.origin, one.stage, one.active, one.version) for one in added} == {
        (Origin.IMPORTED, Stage.VALIDATION, False, 1)
    }
    assert await other.manager.import_(parsed_document(text), by="a friend") == ()
    again = json.dumps(await other.manager.export(added))
    for anywhere in (house, other):
        assert await anywhere.manager.import_(parsed_document(again), by="an echo") == ()
    assert (await other.answer("bull")).answer is Answer.NOTHING
    await other.manager.activate(added[0].configuration_id, by="me", reason="I trust it")
    assert [fingerprint(one) for one in await other.manager.list(active=True)] == [fingerprint(added[0])]


def rehashed(document: JsonObject) -> JsonObject:
    from tradepulse.policy import configuration_documents

    return document | {"content_hash": configuration_documents._hash(document["configurations"])}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"strategy": "martingale"}, "'martingale' is not a strategy"),
        ({"timeframe": "1w"}, "context timeframe"),
        ({"regime": "moon"}, "'moon' is not a regime"),
        ({"symbol": "BTC"}, "not a symbol"),
        ({"exchange": 7}, "exchange is 7"),
        ({"values": {"reward_risk": 99}}, "its values are not those of the strategy"),
        ({"values": None}, "values or evidence are missing"),
        ({"parameters_id": "0123456789ab"}, "not those that parameters '0123456789ab' name"),
        ({"evidence": []}, "values or evidence are missing"),
    ],
)
async def test_document_when_something_in_it_is_wrong_then_refused_whole(change: JsonObject, says: str) -> None:
    house, other = House(), House()
    await house.finished(judged("any"), judged("bull"))
    document = await house.manager.export(await house.manager.list())
    document["configurations"][-1] |= change
    with pytest.raises(ConfigurationError, match="it was changed after it was exported"):
        await other.manager.import_(document, by="a friend")
    with pytest.raises(ConfigurationError) as refusal:
        await other.manager.import_(rehashed(document), by="a friend")
    assert says in str(refusal.value)
    assert await other.manager.list() == []


async def test_document_when_a_value_is_out_of_bounds_then_refused_with_the_bounds() -> None:
    house = House()
    await house.finished(judged("any"))
    document = await house.manager.export(await house.manager.list())
    document["configurations"][0]["values"]["reward_risk"] = 99.0
    with pytest.raises(
        ConfigurationError, match=r"reward_risk = 99.0 is not allowed: it must be a number from 1.5 to 5"
    ):
        configurations_in(rehashed(document), 0)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', '{"a": 1e999}', "[" * 100_000, '{"schema": "other/9"}'])
def test_document_when_it_is_none_then_one_clear_refusal(text: str) -> None:
    with pytest.raises(ConfigurationError):
        configurations_in(parsed_document(text), 0)


acts = st.sampled_from(["deploy", "refuse", "activate", "deactivate", "rollback", "promote", "retire"])


@given(st.lists(st.tuples(acts, st.integers(0, 5)), max_size=14))
async def test_life_when_anything_is_done_in_any_order_then_at_most_one_is_in_force_and_only_that_is_traded(
    script: list[tuple[str, int]],
) -> None:
    house = House()
    for act, number in script:
        versions = await house.versions("bull")
        if act in {"deploy", "refuse"}:
            verdict = "deployed" if act == "deploy" else "not traded"
            await house.finished(judged("bull", verdict, reward_risk=2.0 + number / 4))
        elif versions:
            with suppress(RefusedError):
                await getattr(house.manager, act)(versions[number % len(versions)].configuration_id, **ME)
        now = await house.versions("bull")
        active = [one for one in now if one.active]
        answer = await house.answer("bull")
        assert len(active) <= 1
        assert answer.configuration == (active[0] if active else None)
        assert all(one.stage is not Stage.RETIRED for one in active)
        for one in now:
            last = (await house.manager.life(one.configuration_id))[-1]
            assert (last.stage, last.active) == (one.stage, one.active)
            assert one == await house.manager.configuration(one.configuration_id)


def test_combination_when_written_then_it_is_the_name_under_which_reports_are_searched() -> None:
    entry = judged("bull")
    assert (
        str(Combination(SERIES, "htf_sweep", regime_of("bull")))
        == f"{entry['exchange']}:{entry['symbol']}:{entry['timeframe']}:{entry['strategy']}:{entry['regime']}"
    )


async def test_training_when_ranges_are_set_then_the_next_one_records_those_of_its_strategies() -> None:
    house = House()
    before = await house.start()
    await house.ranges.set("htf_sweep", {"reward_risk": AskedRange(2, 3)}, by="Tom", reason="wide ones never paid")
    await house.ranges.set("volume_breakout", {"reward_risk": AskedRange(2, 4)}, by="Tom", reason="as above")
    after = await house.start()
    first, second = await house.training.job(before), await house.training.job(after)
    assert first is not None
    assert second is not None
    assert first.request.ranges == ()
    assert second.request.ranges == (AllowedRange("htf_sweep", "reward_risk", 2.0, 3.0),)
