"""Configurations put into force, moved or taken out of force while the trader runs take effect without a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.integration.engine.test_setup_prior import pessimistic_model

from tradepulse.bootstrap import Application, open_application, paper_book, run_paper
from tradepulse.bootstrap.desk import open_desk
from tradepulse.bootstrap.training import trained_assets
from tradepulse.domain.embeddings import EncoderVerdict
from tradepulse.domain.events import EngineEvent, SetupEvaluated, SizeChanged
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime, Verdict
from tradepulse.domain.trading_state import Phase, TradingState
from tradepulse.domain.training import Combination, Configuration, JobState, Origin, Stage, StageMove
from tradepulse.policy.reliability_engine import AUTHOR
from tradepulse.shared.settings import DatabaseSettings, Settings, SimulatedSettings, TradingSettings
from tradepulse.strategies import STRATEGIES

SERIES = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)
STRATEGY = STRATEGIES["volume_breakout"]
PARAMETERS = STRATEGY.parameters(consolidation_bars=5, volume_multiple=1.2)
SECONDS = 120


class Trader:
    """The paper trader of one symbol on one timeframe, and what it told."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.states: list[TradingState] = []
        self.told: list[EngineEvent] = []
        self.task = asyncio.create_task(
            run_paper(app, self.told.append, sleep=self._without_hurry, told=self.states.append, train=False)
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                if self.task.done():
                    await self.task
                await asyncio.sleep(0.05)

    def verdicts(self, since: int = 0) -> list[Verdict]:
        return [event.verdict for event in self.told[since:] if isinstance(event, SetupEvaluated)]

    async def move(self, configuration: Configuration, action: str, stage: Stage, *, active: bool) -> None:
        name = configuration.configuration_id
        move = StageMove(name, self.app.clock.now(), action, stage, active, "a person", "to see what happens")
        await self.app.configurations.move(move)

    @staticmethod
    async def _without_hurry(_: float) -> None:
        await asyncio.sleep(0.001)


@asynccontextmanager
async def trading(database_url: str, folder: Path, *, defaults: bool = False) -> AsyncIterator[Trader]:
    settings = Settings(
        data_directory=folder,
        database=DatabaseSettings(url=SecretStr(database_url)),
        simulated=SimulatedSettings(symbols=("BTC/USDT",), timeframes=("1m",), history_days=1),
        trading=TradingSettings(paper_trade_defaults=defaults),
    )
    async with open_application(settings) as app:
        trader = Trader(app)
        try:
            yield trader
        finally:
            trader.task.cancel()
            await asyncio.gather(trader.task, return_exceptions=True)


async def put_into_force(
    app: Application, stage: Stage = Stage.VALIDATION, values: dict[str, float | str] | None = None
) -> Configuration:
    now = app.clock.now()
    configuration = Configuration(
        configuration_id="",
        combination=Combination(SERIES, STRATEGY.strategy_id, None),
        version=0,
        values=dict(values or PARAMETERS.values),
        parameters_id=PARAMETERS.parameters_id,
        origin=Origin.TUNED,
        stage=stage,
        active=True,
        evidence={},
        job_id=None,
        created_at=now,
        activated_at=now,
        activated_by="a person",
    )
    return await app.configurations.add(configuration, reason="found by hand")


async def test_configuration_is_traded_sized_and_dropped_as_its_life_says_while_the_trader_runs(
    database_url: str, tmp_path: Path
) -> None:
    async with trading(database_url, tmp_path) as trader:
        await trader.until(lambda: bool(trader.told))
        assert [state.phase for state in trader.states] == [Phase.NOTHING_TO_TRADE]
        assert "never trained" in trader.states[0].text

        configuration = await put_into_force(trader.app)
        await trader.until(lambda: Verdict.ACCEPTED in trader.verdicts())
        assert (trader.states[-1].phase, trader.states[-1].configurations) == (Phase.TRADING, 1)

        before = len(trader.told)
        await trader.move(configuration, "promoted", Stage.MATURE, active=True)
        await trader.until(lambda: any(isinstance(event, SizeChanged) for event in trader.told[before:]))
        await trader.move(configuration, "quarantined", Stage.QUARANTINED, active=True)
        await trader.until(lambda: Verdict.QUARANTINED in trader.verdicts(before))
        await trader.until(lambda: "in quarantine" in trader.states[-1].text)
        assert [one.held for one in (await open_desk(trader.app, [SERIES])).watched] == [True]
        sizes = [event.size_ppm for event in trader.told if isinstance(event, SizeChanged)]
        assert sizes == [1_000_000, 0]

        await trader.move(configuration, "deactivated", Stage.QUARANTINED, active=False)
        await trader.until(lambda: trader.states[-1].phase is Phase.NOTHING_TO_TRADE)
        check = await trader.app.reader.ledger_check(paper_book(trader.app))
        assert check.difference == 0


async def test_defaults_are_traded_only_where_the_settings_allow_it_and_nothing_trained_is_in_force(
    database_url: str, tmp_path: Path
) -> None:
    async with trading(database_url, tmp_path, defaults=True) as trader:
        await trader.until(lambda: bool(trader.states))
        first = trader.states[-1]
        assert (first.phase, first.configurations, first.untested) == (Phase.TRADING, 0, True)
        assert "3 UNTESTED" in first.text
        await put_into_force(trader.app)
        await trader.until(lambda: trader.states[-1].configurations == 1)
        assert "2 UNTESTED" in trader.states[-1].text


async def test_prior_is_heard_from_the_moment_its_verdict_says_earned_and_no_longer_than_that(
    database_url: str, tmp_path: Path
) -> None:
    async with trading(database_url, tmp_path) as trader:
        embeddings, now = trader.app.embeddings, trader.app.clock.now()
        model = pessimistic_model(*sorted(STRATEGIES))
        evidence = {"exchanges": ["simulated"]}
        await embeddings.save_model(model.version, "1m", now, model.to_bytes(), evidence)
        await put_into_force(trader.app)
        await trader.until(lambda: Verdict.ACCEPTED in trader.verdicts())

        allowed = {"half_below": -0.01, "skip_below": -0.02}
        await embeddings.add_verdict(EncoderVerdict("1m", model.version, now, True, allowed))
        await trader.until(lambda: Verdict.PRIOR_TOO_LOW in trader.verdicts())
        before = len(trader.told)
        await embeddings.add_verdict(EncoderVerdict("1m", model.version, now + 1, False, {}))
        await trader.until(lambda: Verdict.ACCEPTED in trader.verdicts(before))


@pytest.mark.parametrize("stage", [Stage.QUARANTINED, Stage.RETIRED])
async def test_configuration_that_may_not_trade_never_does(stage: Stage, database_url: str, tmp_path: Path) -> None:
    async with trading(database_url, tmp_path) as trader:
        await put_into_force(trader.app, stage)
        await trader.until(lambda: len(trader.told) > 300)
        assert Verdict.ACCEPTED not in trader.verdicts()


async def test_training_that_a_decay_asked_for_is_worked_on_beside_trading(database_url: str, tmp_path: Path) -> None:
    async with trading(database_url, tmp_path) as trader:
        await trader.until(lambda: bool(trader.told))
        job_id = await trained_assets(trader.app).start_training(
            ["BTC/USDT"], ["simulated"], [STRATEGY.strategy_id], list(Regime), ["1m"], points=64, by=AUTHOR
        )
        async with asyncio.timeout(SECONDS):
            while (job := await trader.app.training.job(job_id)) is None or not job.state.ended:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert job.state is JobState.FINISHED
        seen = len(trader.told)
        await trader.until(lambda: len(trader.told) > seen)


async def test_training_that_other_code_began_is_cancelled_and_done_anew(database_url: str, tmp_path: Path) -> None:
    async with trading(database_url, tmp_path) as trader:
        await trader.until(lambda: bool(trader.told))
        old = await trained_assets(trader.app).start_training(
            ["BTC/USDT"], ["simulated"], [STRATEGY.strategy_id], list(Regime), ["1m"], points=64, by=AUTHOR
        )
        # Stopped at once, before the trader looks for work again, and then begun by other code.
        trader.task.cancel()
        await asyncio.gather(trader.task, return_exceptions=True)
        async with trader.app.database.transaction() as transaction:
            await transaction.execute("UPDATE training_jobs SET code_version = 'another', state = 'running'")
        again = Trader(trader.app)
        try:
            await again.until(lambda: bool(again.told))
            jobs = {job.job_id: job for job in await trader.app.training.jobs()}
            assert jobs.pop(old).state is JobState.CANCELLED
            assert [job.request.strategies for job in jobs.values()] == [(STRATEGY.strategy_id,)]
            assert {job.requested_by for job in jobs.values()} == {AUTHOR}
        finally:
            again.task.cancel()
            await asyncio.gather(again.task, return_exceptions=True)


async def test_configuration_outside_the_bounds_of_today_is_left_out_and_named(
    database_url: str, tmp_path: Path
) -> None:
    async with trading(database_url, tmp_path) as trader:
        outside = await put_into_force(trader.app, values={**dict(PARAMETERS.values), "volume_multiple": 1e6})
        await trader.until(lambda: len(trader.told) > 100)
        assert trader.states[-1].phase is Phase.NOTHING_TO_TRADE
        assert any(outside.configuration_id in reason for reason in trader.states[-1].reasons)
