"""Trained assets: jobs that find configurations, their life, and what may be traded because of them."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from tradepulse.domain.market import SeriesKey
from tradepulse.domain.training import (
    ANY_REGIME,
    AllowedRange,
    Combination,
    Configuration,
    JsonObject,
    OptimizedParameters,
    Origin,
    Stage,
    StageMove,
    TrainingJob,
    TrainingRequest,
    TrainingUnit,
    regime_of,
    regime_word,
)
from tradepulse.policy.answers import TRADED_STAGES, Answers, Matrix, MatrixCell, halved, part_of
from tradepulse.policy.configuration_documents import configurations_in, document_of, fingerprint
from tradepulse.policy.reliability_engine import expectation_of
from tradepulse.policy.training_requests import (
    checked_request,
    known_regime,
    known_strategy,
    nothing_stored,
    selected,
    traded_timeframe,
    unified_symbol,
)
from tradepulse.ports import ChangedMeanwhileError, Clock, ConfigurationStore, SeriesCoverage, TrainingStore
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.strategies import STRATEGIES

__all__ = ["Matrix", "MatrixCell", "TrainedAssetsManager"]

NEXT_STAGE = {Stage.VALIDATION: Stage.CONFIRMATION, Stage.CONFIRMATION: Stage.MATURE}
LIST_REMEDY = "See them with: tradepulse list-configurations"

P = ParamSpec("P")
T = TypeVar("T")
Coverage = Callable[[], Awaitable[Sequence[SeriesCoverage]]]
Ranges = Callable[[Sequence[str]], Awaitable[tuple[AllowedRange, ...]]]
InForce = Mapping[tuple[str, str], Sequence[Mapping[str, object]]]


def _looking_again(act: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decide once more on what is there now, where somebody else was faster."""

    @wraps(act)
    async def twice(*given: P.args, **named: P.kwargs) -> T:
        try:
            return await act(*given, **named)
        except ChangedMeanwhileError:
            return await act(*given, **named)

    return twice


class Planner(Protocol):
    """Units and plan of a request; ``in_force`` are values by (strategy, timeframe) that trade already."""

    async def __call__(
        self, request: TrainingRequest, coverage: Sequence[SeriesCoverage], in_force: InForce
    ) -> tuple[tuple[TrainingUnit, ...], JsonObject]: ...


class TrainedAssetsManager:
    """Starts training, answers what to trade with which parameters, and moves configurations through their life.

    ``by`` names who or what acts; every act is a row of the configuration's life, with its reason.
    """

    def __init__(
        self,
        training: TrainingStore,
        configurations: ConfigurationStore,
        clock: Clock,
        *,
        coverage: Coverage,
        plan: Planner,
        ranges: Ranges,
        code_version: str,
    ) -> None:
        self._training = training
        self._configurations = configurations
        self._clock = clock
        self._coverage = coverage
        self._plan = plan
        self._ranges = ranges
        self._code_version = code_version
        self._answers = Answers(training, configurations)

    # --- training

    async def start_training(
        self,
        symbols: Sequence[str],
        exchanges: Sequence[str],
        strategies: Sequence[str],
        market_regimes: Sequence[str],
        timeframes: Sequence[str],
        *,
        since: int | None = None,
        until: int | None = None,
        points: int = 2048,
        seed: int = 0,
        challenger: bool = False,
        by: str = "a person",
    ) -> str:
        """The id of a new job. ``since`` and ``until`` (exclusive) are open times, UTC ms.

        ``ConfigurationError`` names what cannot be trained, ``RefusedError`` an identical job that has not ended.
        """
        coverage = await self._coverage()
        request = checked_request(
            coverage,
            symbols,
            exchanges,
            strategies,
            market_regimes,
            timeframes,
            since=since,
            until=until,
            points=points,
            seed=seed,
            challenger=challenger,
        )
        request = replace(request, ranges=await self._ranges(request.strategies))
        chosen = selected(request, coverage)
        end = max(entry.last + entry.series.timeframe.milliseconds for entry in chosen)
        # All workers see the candles that the plan saw, however long the job waits.
        fixed = replace(request, until=end if until is None else until)
        units, plan = await self._plan(fixed, chosen, await self._in_force(request))
        plan = {**plan, "until": fixed.until}
        return await self._training.create(request, units, plan, by=by, code_version=self._code_version)

    async def deploy(self, job: TrainingJob, report: JsonObject) -> None:
        """Put into force what the gate passed, and write on what it refused that it did. Twice is as good as once."""
        families = {(family["strategy"], family["timeframe"]): family for family in report["families"]}
        for entry in report["combinations"]:
            if entry["verdict"] == "deployed":
                family = families.get((entry["strategy"], entry["timeframe"]), {})
                await self._deploy(job, entry, _evidence(job, entry, family))
            else:
                await self._note_refusal(job, entry)

    # --- what to trade

    async def get_optimized_parameters(
        self, symbol: str, exchange: str, strategy: str, regime: str | None, timeframe: str, *, defaults: bool = False
    ) -> OptimizedParameters:
        """The active configuration of the combination, else of its parent, else *do not trade*; always with the reason.

        ``defaults``: the strategy's defaults are allowed where the gate has never judged. ``regime`` is ``None`` or
        ``any`` for all regimes.
        """
        series = SeriesKey(exchange.strip().lower(), unified_symbol(symbol), traded_timeframe(timeframe))
        chosen = None if regime in (None, ANY_REGIME) else known_regime(str(regime))
        return await self._answers.about(Combination(series, known_strategy(strategy), chosen), defaults=defaults)

    async def matrix(self, symbol: str, exchange: str) -> Matrix:
        """The 54 combinations of one symbol on one exchange, and their 18 parents."""
        return await self._answers.matrix(unified_symbol(symbol), exchange.strip().lower())

    async def exchanges_of(self, symbol: str) -> Sequence[str]:
        """Where there are candles or configurations of a symbol; ``ConfigurationError`` where there are none."""
        wanted = unified_symbol(symbol)
        series = [entry.series for entry in await self._coverage()]
        series += [one.combination.series for one in await self._configurations.find(symbol=wanted)]
        found = sorted({one.exchange for one in series if one.symbol == wanted})
        if not found:
            raise nothing_stored(wanted, sorted({one.symbol for one in series}))
        return found

    # --- the life of configurations

    async def known(self, configuration_id: str) -> Configuration | None:
        """By its whole id."""
        return await self._configurations.get(configuration_id)

    async def configuration(self, configuration_id: str) -> Configuration:
        """``ConfigurationError`` where there is none of that id; the beginning of an id is enough."""
        found = await self._configurations.get(configuration_id)
        if found is not None:
            return found
        every = await self._configurations.find()
        near = [one for one in every if configuration_id and one.configuration_id.startswith(configuration_id)]
        if len(near) != 1:
            how = "is no configuration" if not near else f"names {len(near)} configurations"
            raise ConfigurationError(f"'{configuration_id}' {how}.", LIST_REMEDY)
        return near[0]

    async def life(self, configuration_id: str) -> Sequence[StageMove]:
        """Its moves, oldest first."""
        return await self._configurations.moves((await self.configuration(configuration_id)).configuration_id)

    @_looking_again
    async def activate(self, configuration_id: str, *, by: str, reason: str) -> Configuration:
        """Put it into force; the one in force before is deactivated in the same moment.

        One in quarantine begins again in validation; that takes a reason.
        """
        configuration = await self.configuration(configuration_id)
        if configuration.stage is Stage.QUARANTINED:
            if not reason.strip():
                raise ConfigurationError(
                    f"{_name(configuration)} is in quarantine: leading it out needs a reason.",
                    "Say with --reason why it may be trusted again.",
                )
            return await self._move(configuration, "restored", by, reason, stage=Stage.VALIDATION, active=True)
        if configuration.active:
            return configuration
        if configuration.stage not in TRADED_STAGES:
            raise RefusedError(
                f"{_name(configuration)} is {configuration.stage}: it is not put into force again.",
                "Train again, or activate another version.",
            )
        _refuse_full_size_without_figures(configuration, configuration.stage)
        return await self._move(configuration, "activated", by, _given(reason), active=True)

    @_looking_again
    async def deactivate(self, configuration_id: str, *, by: str, reason: str) -> Configuration:
        """Take it out of force; new setups of its combination are those of the parent, if one is in force."""
        configuration = await self.configuration(configuration_id)
        if not configuration.active:
            return configuration
        return await self._move(configuration, "deactivated", by, _given(reason), active=False)

    @_looking_again
    async def rollback(self, configuration_id: str, *, by: str, reason: str) -> Configuration:
        """Put that version of the same combination into force again that was in force before this active one."""
        current = await self.configuration(configuration_id)
        if not current.active:
            raise RefusedError(f"{_name(current)} is not in force.", "Name the one in force, or activate another.")
        before = await self._in_force_before(current)
        if before is None:
            raise RefusedError(
                f"No version of {current.combination} was in force before version {current.version}.",
                "Deactivate or retire it instead.",
            )
        _refuse_full_size_without_figures(before, before.stage)
        figures = {"rolled_back_from": current.configuration_id}
        return await self._move(before, "activated", by, _given(reason), active=True, figures=figures)

    async def promote(
        self, configuration_id: str, *, by: str, reason: str, to: Stage | None = None, figures: JsonObject | None = None
    ) -> Configuration:
        """One stage on: validation, confirmation, mature. A stage is never skipped."""
        configuration = await self.configuration(configuration_id)
        if not reason.strip():
            raise ConfigurationError("A promotion needs a reason.", "Say what it has shown, for example its trades.")
        following = NEXT_STAGE.get(configuration.stage)
        if following is None:
            raise RefusedError(f"{_name(configuration)} is {configuration.stage}: it cannot be promoted.")
        if not configuration.active:
            raise RefusedError(f"{_name(configuration)} is not in force: it proves nothing.", "Activate it first.")
        if to not in (None, following):
            raise RefusedError(
                f"From {configuration.stage} to {to} is not the next stage.", f"Promote it to {following} first."
            )
        _refuse_full_size_without_figures(configuration, following)
        return await self._move(configuration, "promoted", by, reason, stage=following, active=True, figures=figures)

    @_looking_again
    async def retire(self, configuration_id: str, *, by: str, reason: str) -> Configuration:
        """Out of force for good; it stays readable."""
        configuration = await self.configuration(configuration_id)
        if configuration.stage is Stage.RETIRED:
            return configuration
        return await self._move(configuration, "retired", by, _given(reason), stage=Stage.RETIRED, active=False)

    # --- sharing

    async def export(self, configurations: Iterable[Configuration]) -> JsonObject:
        return document_of(configurations, self._clock.now(), self._code_version)

    async def import_(self, document: Mapping[str, object], *, by: str) -> tuple[Configuration, ...]:
        """What was new in the document: inactive, in validation. All of it is checked before any of it is stored."""
        added = []
        for configuration in configurations_in(document, self._clock.now()):
            there = await self._versions(configuration.combination)
            if fingerprint(configuration) in {fingerprint(one) for one in there}:
                continue
            added.append(await self._configurations.add(configuration, reason=f"imported by {by}"))
        return tuple(added)

    async def list(
        self,
        *,
        exchange: str | None = None,
        symbol: str | None = None,
        timeframe: str | None = None,
        strategy: str | None = None,
        regime: str | None = None,
        active: bool | None = None,
    ) -> Sequence[Configuration]:
        """In the order of combination and version; ``regime`` is a word, ``any`` for those of all regimes."""
        if regime not in (None, ANY_REGIME):
            known_regime(str(regime))
        return await self._configurations.find(
            exchange=exchange and exchange.strip().lower(),
            symbol=symbol and unified_symbol(symbol),
            timeframe=timeframe and traded_timeframe(timeframe),
            strategy=strategy and known_strategy(strategy),
            regime=regime,
            active=active,
        )

    # --- inside

    async def _in_force(self, request: TrainingRequest) -> InForce:
        """Distinct values in force of the request's families, in a fixed order."""
        found: dict[tuple[str, str], dict[str, Mapping[str, object]]] = {}
        for configuration in await self._configurations.find(active=True):
            combination = configuration.combination
            if combination.strategy in request.strategies and combination.series.timeframe in request.timeframes:
                family = found.setdefault((combination.strategy, str(combination.series.timeframe)), {})
                family[repr(sorted(configuration.values.items()))] = configuration.values
        return {family: [values[key] for key in sorted(values)] for family, values in found.items()}

    @_looking_again
    async def _deploy(self, job: TrainingJob, entry: JsonObject, evidence: JsonObject) -> None:
        combination = _combination_of(entry)
        versions = await self._versions(combination)
        deployed = next((one for one in versions if one.job_id == job.job_id), None)
        if deployed is None:
            deployed = await self._configurations.add(
                self._passed(job, combination, entry, evidence, versions), reason=f"passed the gate: {entry['reason']}"
            )
        told = {move.action for move in await self._configurations.moves(deployed.configuration_id)}
        if told - {"created", "halved"}:
            return
        if deployed.stage is Stage.QUARANTINED or _are_doubted(deployed.parameters_id, versions):
            action = "refused" if deployed.stage is Stage.QUARANTINED else "quarantined"
            reason = "the same parameters are in quarantine: it is not put into force until a person activates it"
            figures = {"job_id": job.job_id}
            await self._move(
                deployed, action, "training", reason, stage=Stage.QUARANTINED, active=False, figures=figures
            )
            return
        if not deployed.active:
            warned = await self._warning_of_the_same(deployed, versions)
            if warned is not None and "halved" not in told:
                await self._move(deployed, "halved", "training", warned, active=False)
            reason = f"passed the gate in job {job.job_id}"
            await self._move(deployed, "activated", "training", reason, active=True, figures=entry["published"] or {})

    def _passed(
        self,
        job: TrainingJob,
        combination: Combination,
        entry: JsonObject,
        evidence: JsonObject,
        versions: Sequence[Configuration],
    ) -> Configuration:
        parameters = STRATEGIES[combination.strategy].parameters(combination.regime, **entry["values"])
        same = [one for one in versions if one.parameters_id == parameters.parameters_id]
        # Found again by a later training, the same parameters keep what they have earned, good or bad.
        earned = next((one.stage for one in same if one.active), Stage.VALIDATION)
        stage = Stage.QUARANTINED if _are_doubted(parameters.parameters_id, versions) else earned
        return Configuration(
            configuration_id="",
            combination=combination,
            version=0,
            values=dict(parameters.values),
            parameters_id=parameters.parameters_id,
            origin=Origin(entry["origin"]),
            stage=stage,
            active=False,
            evidence=evidence,
            job_id=job.job_id,
            created_at=self._clock.now(),
        )

    async def _warning_of_the_same(self, deployed: Configuration, versions: Sequence[Configuration]) -> str | None:
        """Why the version in force with the same parameters is at half size, if a warning halved it."""
        for one in versions:
            if one.active and one.parameters_id == deployed.parameters_id:
                moves = await self._configurations.moves(one.configuration_id)
                if one.stage is Stage.MATURE and halved(moves):
                    return f"the warning of version {one.version} with the same parameters holds"
        return None

    async def _note_refusal(self, job: TrainingJob, entry: JsonObject) -> None:
        active = await self._configurations.active(_combination_of(entry))
        if active is None:
            return
        told = {move.figures.get("job_id") for move in await self._configurations.moves(active.configuration_id)}
        if job.job_id not in told:
            reason = f"training again refused this combination, it stays in force: {entry['reason']}"
            figures = {"job_id": job.job_id, "verdict": entry["verdict"]}
            await self._move(active, "refused", "training", reason, active=True, figures=figures)

    async def _in_force_before(self, current: Configuration) -> Configuration | None:
        activated = [
            (move.time, version.version, move, version)
            for version in await self._versions(current.combination)
            for move in await self._configurations.moves(version.configuration_id)
            if move.action == "activated" or (move.action == "restored" and move.active)
        ]
        stack: list[Configuration] = []
        for _, _, move, version in sorted(activated, key=lambda row: row[:2]):
            ids = [one.configuration_id for one in stack]
            if "rolled_back_from" in move.figures and version.configuration_id in ids:
                del stack[ids.index(version.configuration_id) + 1 :]
            else:
                stack.append(version)
        usable = [
            one for one in stack if one.stage in TRADED_STAGES and one.configuration_id != current.configuration_id
        ]
        return usable[-1] if usable else None

    async def _versions(self, combination: Combination) -> Sequence[Configuration]:
        series = combination.series
        return await self._configurations.find(
            exchange=series.exchange,
            symbol=series.symbol,
            timeframe=str(series.timeframe),
            strategy=combination.strategy,
            regime=regime_word(combination.regime),
        )

    async def _move(
        self,
        configuration: Configuration,
        action: str,
        by: str,
        reason: str,
        *,
        active: bool,
        stage: Stage | None = None,
        figures: JsonObject | None = None,
    ) -> Configuration:
        return await self._configurations.move(
            StageMove(
                configuration_id=configuration.configuration_id,
                time=self._clock.now(),
                action=action,
                stage=stage or configuration.stage,
                active=active,
                by=by,
                reason=reason,
                figures=figures or {},
                expected=None if action == "refused" else (configuration.stage, configuration.active),
            )
        )


def _combination_of(entry: Mapping[str, str]) -> Combination:
    series = SeriesKey(entry["exchange"], entry["symbol"], traded_timeframe(entry["timeframe"]))
    return Combination(series, entry["strategy"], regime_of(entry["regime"]))


def _are_doubted(parameters_id: str, versions: Sequence[Configuration]) -> bool:
    """Whether these parameters are in quarantine. What a person has led out of it is in force; the rest waits."""
    same = [one for one in versions if one.parameters_id == parameters_id]
    in_force = [one for one in same if one.active]
    return any(one.stage is Stage.QUARANTINED for one in in_force or same)


def _evidence(job: TrainingJob, entry: JsonObject, family: JsonObject) -> JsonObject:
    kept = {"strategy", "timeframe", "series", "candles", "first", "last", "recent_from", "points", "design"}
    kept |= {"verdict", "reason", "steps", "plateau", "defaults", "folds"}
    return {
        "combination": entry,
        "family": {part: family.get(part) for part in sorted(kept)},
        "pbo": part_of(family, "cscv").get("pbo"),
        "seed": job.request.seed,
        "code_version": job.code_version,
        "job_id": job.job_id,
    }


def _refuse_full_size_without_figures(configuration: Configuration, stage: Stage) -> None:
    if stage is Stage.MATURE and expectation_of(configuration.evidence) is None:
        raise RefusedError(
            f"{_name(configuration)} has no published figures that it could be held to: it is not traded at full size.",
            "Train it here; until then it trades at half size at most.",
        )


def _given(reason: str) -> str:
    return reason.strip() or "no reason given"


def _name(configuration: Configuration) -> str:
    return f"Version {configuration.version} of {configuration.combination}"
