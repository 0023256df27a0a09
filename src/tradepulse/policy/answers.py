"""What is traded where, and why: the answer for one combination, and the matrix of all of one symbol's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tradepulse.domain.market import TRADED_TIMEFRAMES, SeriesKey
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import (
    Answer,
    Combination,
    Configuration,
    OptimizedParameters,
    Origin,
    Stage,
    StageMove,
    regime_word,
)
from tradepulse.policy.past_judgements import NOT_ENOUGH, PastJudgement, PastJudgements
from tradepulse.ports import ConfigurationStore, TrainingStore
from tradepulse.strategies import STRATEGIES

TRADED_STAGES = (Stage.VALIDATION, Stage.CONFIRMATION, Stage.MATURE)
HALF, FULL = 0.5, 1.0
Versions = Mapping[Combination, Sequence[Configuration]]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A combination with what is traded there now, what the gate said last, and the figures behind it.

    ``verdict``: ``traded``, ``falls back``, ``not traded``, ``left out`` (too little to judge) or ``never trained``.
    Precisions and probabilities are shares, expectancies R after costs; ``None`` where there is no figure.
    """

    combination: Combination
    verdict: str
    reason: str
    stage: Stage | None
    origin: Origin | None
    configuration_id: str | None
    version: int | None
    size_share: float
    trades: int | None
    precision: float | None
    precision_lower: float | None
    break_even: float | None
    expectancy_r: float | None
    expectancy_lower: float | None
    effective_trades: float | None
    judged_at: int | None
    job_id: str | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """One symbol on one exchange: strategy x regime x timeframe, and the parents that regimes fall back to."""

    symbol: str
    exchange: str
    cells: tuple[MatrixCell, ...]
    parents: tuple[MatrixCell, ...]


class Answers:
    """Reads configurations and past judgements; changes nothing."""

    def __init__(self, training: TrainingStore, configurations: ConfigurationStore) -> None:
        self._configurations = configurations
        self._judgements = PastJudgements(training)

    async def about(self, combination: Combination, *, defaults: bool) -> OptimizedParameters:
        """Its own configuration in force, else its parent's, else (where allowed) the defaults, else nothing."""
        series = combination.series
        stored = await self._configurations.find(
            exchange=series.exchange,
            symbol=series.symbol,
            timeframe=str(series.timeframe),
            strategy=combination.strategy,
        )
        judgement = await self._judgements.last(combination)
        return await self._answer(combination, _by_combination(stored), judgement, defaults=defaults)

    async def matrix(self, symbol: str, exchange: str) -> Matrix:
        stored = _by_combination(await self._configurations.find(exchange=exchange, symbol=symbol))
        regimes: tuple[Regime | None, ...] = (*Regime, None)
        cells = [
            await self._cell(Combination(SeriesKey(exchange, symbol, timeframe), strategy, regime), stored)
            for strategy in STRATEGIES
            for regime in regimes
            for timeframe in TRADED_TIMEFRAMES
        ]
        return Matrix(
            symbol,
            exchange,
            tuple(cell for cell in cells if cell.combination.regime is not None),
            tuple(cell for cell in cells if cell.combination.regime is None),
        )

    async def _answer(
        self,
        combination: Combination,
        stored: Versions,
        judgement: PastJudgement | None,
        *,
        defaults: bool,
    ) -> OptimizedParameters:
        own = _in_force(stored, combination)
        if own is not None:
            return await self._with(combination, own, Answer.OWN, "")
        why = await self._why_none(stored.get(combination, ()), judgement)
        parent = _in_force(stored, combination.parent)
        if parent is not None and combination.regime not in kept_out_of(parent):
            return await self._with(combination, parent, Answer.PARENT, f"None of its own: {why}. ")
        if defaults and (judgement is None or judgement.verdict == NOT_ENOUGH):
            values = dict(STRATEGIES[combination.strategy].parameters(combination.regime).values)
            reason = f"{_sentence(why)} The strategy's defaults are used, because untested ones are allowed."
            return OptimizedParameters(combination, Answer.DEFAULTS, reason, values, size_share=HALF)
        return OptimizedParameters(combination, Answer.NOTHING, _sentence(why), size_share=0.0)

    async def _why_none(self, versions: Sequence[Configuration], judgement: PastJudgement | None) -> str:
        """Why no version of a combination is in force: what was done to the last one, or what the gate said."""
        if judgement is not None and judgement.verdict == NOT_ENOUGH:
            return f"there was too little to judge: {judgement.reason}"
        if judgement is not None and judgement.verdict != "deployed":
            return f"the gate refused it: {judgement.reason}"
        if versions:
            last = (await self._configurations.moves(versions[-1].configuration_id))[-1]
            return f"version {versions[-1].version} is not in force ({last.action} by {last.by}: {last.reason})"
        return "it was never trained"

    async def _with(
        self, combination: Combination, configuration: Configuration, answer: Answer, why: str
    ) -> OptimizedParameters:
        whose = regime_word(configuration.combination.regime)
        name = f"version {configuration.version} of {whose}"
        moves = await self._configurations.moves(configuration.configuration_id)
        if configuration.stage not in TRADED_STAGES:
            last = next((move.reason for move in reversed(moves) if move.stage is configuration.stage), "")
            reason = f"{why}V{name[1:]} is {configuration.stage}{f': {last}' if last else ''}."
            return OptimizedParameters(combination, Answer.NOTHING, reason, size_share=0.0)
        share = _size_share(configuration, moves)
        size = "full size" if share == FULL else "half size"
        reason = f"{why}V{name[1:]}, {configuration.stage}, {size}."
        return OptimizedParameters(combination, answer, reason, dict(configuration.values), configuration, share)

    async def _cell(self, combination: Combination, stored: Versions) -> MatrixCell:
        own = _in_force(stored, combination)
        judgement = await self._judgements.last(combination)
        answer = await self._answer(combination, stored, judgement, defaults=False)
        held = answer.configuration or own or _in_force(stored, combination.parent)
        entry: Mapping[str, object] = judgement.entry if judgement else {}
        if own is not None:
            entry = part_of(own.evidence, "combination")
        return MatrixCell(
            combination=combination,
            verdict=_verdict(answer.answer, held, judgement),
            reason=answer.reason,
            stage=held.stage if held else None,
            origin=held.origin if held else None,
            configuration_id=held.configuration_id if held else None,
            version=held.version if held else None,
            size_share=answer.size_share,
            trades=_count(part_of(entry, "held_out").get("trades")),
            judged_at=judgement.time if judgement else None,
            job_id=judgement.job_id if judgement else None,
            **_published(entry),
        )


def _by_combination(stored: Iterable[Configuration]) -> Versions:
    found: dict[Combination, tuple[Configuration, ...]] = {}
    for configuration in sorted(stored, key=lambda one: one.version):
        found[configuration.combination] = (*found.get(configuration.combination, ()), configuration)
    return found


def _in_force(stored: Versions, combination: Combination) -> Configuration | None:
    return next((one for one in stored.get(combination, ()) if one.active), None)


def _size_share(configuration: Configuration, moves: Sequence[StageMove]) -> float:
    """Full size for the mature, unless a warning halved it and was not taken back."""
    if configuration.stage is not Stage.MATURE:
        return HALF
    return HALF if halved(moves) else FULL


def halved(moves: Sequence[StageMove]) -> bool:
    """Whether a warning holds that was not taken back."""
    sized = [move.action for move in moves if move.action in {"halved", "restored", "promoted"}]
    return bool(sized) and sized[-1] == "halved"


def _verdict(answer: Answer, held: Configuration | None, judgement: PastJudgement | None) -> str:
    if answer is Answer.OWN:
        return "traded"
    if answer is Answer.PARENT:
        return "falls back"
    if held is None and judgement is None:
        return "never trained"
    return NOT_ENOUGH if held is None and judgement and judgement.verdict == NOT_ENOUGH else "not traded"


def _published(entry: Mapping[str, object]) -> dict[str, float | None]:
    """The gate's pooled figures, else the plain ones of the held-out trades."""
    published, held_out = part_of(entry, "published"), part_of(entry, "held_out")
    names = ("precision", "precision_lower", "break_even", "expectancy_r", "expectancy_lower", "effective_trades")
    return {name: _figure(published.get(name, held_out.get(name))) for name in names}


def part_of(whole: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Evidence may come from another machine: what is not there, or of another shape, shows as nothing."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def kept_out_of(configuration: Configuration) -> frozenset[Regime]:
    """Regimes in which a configuration of all regimes does not trade: they were judged and found wanting."""
    listed = part_of(configuration.evidence, "combination").get("not_in")
    words = listed if isinstance(listed, list) else []
    return frozenset(regime for regime in Regime if str(regime) in words)


def _figure(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int | None:
    figure = _figure(value)
    return None if figure is None else int(figure)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}."
