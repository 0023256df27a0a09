"""The encoder at work: fit and judge it on stored candles, keep its memory of setups up to date."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import code_version
from tradepulse.bootstrap.setup_windows import (
    NAMES,
    SetupsFound,
    all_samples,
    busy_parameters,
    in_order,
    sampled,
    setups_found,
)
from tradepulse.bootstrap.training import SeriesLoader, trainable
from tradepulse.domain.embeddings import CurrentWindow, EncoderVerdict, SetupWindow
from tradepulse.domain.jobs import JsonObject
from tradepulse.domain.market import TRADED_TIMEFRAMES, SeriesKey, Timeframe
from tradepulse.encoder.encoder_model import fit_encoder
from tradepulse.encoder.features import WINDOW, Windows, windows_of
from tradepulse.encoder.fitted_model import FittedModel
from tradepulse.encoder.out_of_sample import Judgement, Samples, judge, score
from tradepulse.encoder.prior import Resolved, fit_prior
from tradepulse.policy.plan import FEWEST_CANDLES, SeriesData
from tradepulse.policy.training_requests import unified_symbol
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES, Parameters
from tradepulse.strategies.base_strategy import regime_timeframe
from tradepulse.strategies.regimes import regime_warmup_bars

KEPT = 5
"""Models of a timeframe; verdicts are kept for ever."""
IN_FORCE_LOOKED_AT = 12
STORED_AT_ONCE = 5_000
NO_MODEL = "No model yet. Fit one: tradepulse encoder train"
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class KeptModel:
    """The newest model of a timeframe as it is stored."""

    timeframe: Timeframe
    version: str
    fitted_at: int
    model: FittedModel
    evidence: JsonObject

    @property
    def parameters(self) -> list[Parameters]:
        return [
            STRATEGIES[told["strategy"]].parameters(told["regime"], **told["values"])
            for told in self.evidence["parameters"]
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    data: Sequence[SeriesData]
    found: Sequence[SetupsFound]
    parameters: Sequence[Parameters]
    samples: Samples
    windows: Windows
    outcomes: Resolved


async def kept_model(app: Application, timeframe: Timeframe) -> KeptModel | None:
    stored = await app.embeddings.newest_model(str(timeframe))
    if stored is None:
        return None
    version, fitted_at, arrays, evidence = stored
    return KeptModel(timeframe, version, fitted_at, FittedModel.from_bytes(arrays), evidence)


async def train_encoder(
    app: Application,
    timeframes: Collection[str] = (),
    symbols: Collection[str] = (),
    exchanges: Collection[str] = (),
    seed: int = 0,
    tell: Tell = lambda *_: None,
) -> JsonObject:
    """Judge and fit each timeframe anew, embed every setup with its model, and forget what older models made."""
    wanted = await _wanted(app, timeframes, symbols, exchanges)
    answers: JsonObject = {}
    for number, (timeframe, series) in enumerate(wanted.items()):
        tell(number, len(wanted), f"{timeframe}: candles")
        gathered = await _gathered(app, timeframe, series, seed)
        tell(number, len(wanted), f"{timeframe}: held-out time")
        judgement = await asyncio.to_thread(_judged, gathered, seed)
        model = await asyncio.to_thread(_fitted, gathered)
        answers[str(timeframe)] = await _store(app, timeframe, gathered, model, judgement, seed)
        tell(number + 1, len(wanted), str(timeframe))
    return answers


async def evaluate_encoder(
    app: Application, timeframes: Collection[str] = (), seed: int = 0, tell: Tell = lambda *_: None
) -> JsonObject:
    """Judge again on the candles that are stored by now; the verdict is kept, the model stays as it is."""
    models = await _models(app, timeframes)
    if not models:
        raise ConfigurationError("There is no encoder model to judge.", "Fit one: tradepulse encoder train")
    answers: JsonObject = {}
    for number, kept in enumerate(models):
        tell(number, len(models), str(kept.timeframe))
        exchanges = kept.evidence["exchanges"]
        series = (await _wanted(app, [str(kept.timeframe)], (), exchanges))[kept.timeframe]
        gathered = await _gathered(app, kept.timeframe, series, seed, kept.parameters)
        judgement = await asyncio.to_thread(_judged, gathered, seed)
        answers[str(kept.timeframe)] = await _add_verdict(app, kept.timeframe, kept.version, judgement)
    return answers


async def run_encoder(app: Application, timeframes: Collection[str] = (), tell: Tell = lambda *_: None) -> JsonObject:
    """Embed the newest closed window of every series, new setups, and what became of those that were open."""
    models = await _models(app, timeframes)
    if not models:
        return {"state": NO_MODEL}
    answers: JsonObject = {}
    for kept in models:
        wanted = await _wanted(app, [str(kept.timeframe)], (), kept.evidence["exchanges"], missing_is_error=False)
        told: JsonObject = {"model": kept.version, "series": 0, "setups": 0, "resolved": 0, "left_out": []}
        for number, series in enumerate(wanted.get(kept.timeframe, ())):
            tell(number, len(wanted[kept.timeframe]), str(series))
            try:
                found = await _remember_series(app, kept, series)
            except ConfigurationError as error:
                told["left_out"].append(f"{series}: {error.problem}")
                continue
            told["series"] += 1
            told["setups"] += len(found)
            told["resolved"] += int(found.known.sum())
        answers[str(kept.timeframe)] = told
    return answers


async def _models(app: Application, timeframes: Collection[str]) -> list[KeptModel]:
    wanted = [Timeframe.parse(text) for text in timeframes] or list(TRADED_TIMEFRAMES)
    found = [await kept_model(app, timeframe) for timeframe in wanted]
    return [one for one in found if one is not None]


async def _wanted(
    app: Application,
    timeframes: Collection[str],
    symbols: Collection[str],
    exchanges: Collection[str],
    *,
    missing_is_error: bool = True,
) -> dict[Timeframe, list[SeriesKey]]:
    """What is stored of these names, in order. Where no exchange is named: real candles if there are any."""
    coverage = [entry for entry in await trainable(app.candles) if entry.rows >= FEWEST_CANDLES]
    chosen = {Timeframe.parse(text) for text in timeframes}
    names = {unified_symbol(symbol) for symbol in symbols}
    fitting = [
        entry
        for entry in coverage
        if (not chosen or entry.series.timeframe in chosen)
        and (not names or entry.series.symbol in names)
        and (not exchanges or entry.series.exchange in exchanges)
    ]
    if not exchanges:
        fitting = [entry for entry in fitting if not entry.simulated] or fitting
    found: dict[Timeframe, list[SeriesKey]] = {}
    for entry in sorted(fitting, key=lambda one: (one.series.timeframe.milliseconds, one.series)):
        found.setdefault(entry.series.timeframe, []).append(entry.series)
    if not found and missing_is_error:
        raise ConfigurationError(
            f"No series of these names has {FEWEST_CANDLES:,} candles.", "Use download-data or import-data first."
        )
    return found


async def _gathered(
    app: Application,
    timeframe: Timeframe,
    series: Sequence[SeriesKey],
    seed: int,
    parameters: Sequence[Parameters] | None = None,
) -> _Gathered:
    load = SeriesLoader(app, None, None)
    data = [await load(one) for one in series]
    in_force = await _in_force(app, timeframe) if parameters is None else ()
    return await asyncio.to_thread(_looked_at, data, seed, parameters, in_force)


async def _in_force(app: Application, timeframe: Timeframe) -> list[Parameters]:
    """Of those that fit today's bounds; not all, where there are very many."""
    found: dict[str, Parameters] = {}
    for one in await app.configurations.find(timeframe=str(timeframe), active=True):
        strategy = STRATEGIES.get(one.combination.strategy)
        if strategy is None:
            continue
        try:
            parameters = strategy.parameters(one.combination.regime, **one.values)
        except ConfigurationError:
            continue
        found[f"{parameters.strategy}:{parameters.parameters_id}"] = parameters
    return [found[name] for name in sorted(found)][:IN_FORCE_LOOKED_AT]


def _looked_at(
    data: Sequence[SeriesData], seed: int, parameters: Sequence[Parameters] | None, in_force: Sequence[Parameters]
) -> _Gathered:
    chosen = busy_parameters(data[0].history, in_force) if parameters is None else parameters
    found = [setups_found(one.history, one.spec, chosen, 0) for one in data]
    random = [np.random.default_rng([seed, number]) for number in range(len(data))]
    samples = all_samples([sampled(one.history, len(data), rng) for one, rng in zip(data, random, strict=True)])
    return _Gathered(data, found, chosen, samples, *in_order([one.outcomes() for one in found]))


def _judged(gathered: _Gathered, seed: int) -> Judgement:
    return judge(score(gathered.samples, gathered.windows, gathered.outcomes, seed), seed)


def _fitted(gathered: _Gathered) -> FittedModel:
    encoder = fit_encoder(gathered.samples.windows)
    embedded = replace(gathered.outcomes, embedding=encoder.encode(gathered.windows))
    return FittedModel(encoder, fit_prior(embedded), NAMES)


async def _store(
    app: Application, timeframe: Timeframe, gathered: _Gathered, model: FittedModel, judgement: Judgement, seed: int
) -> JsonObject:
    version, now = model.version, app.clock.now()
    series = [one.history.series for one in gathered.data]
    evidence: JsonObject = {
        "seed": seed,
        "code_version": code_version(),
        "explained": model.encoder.explained,
        "outcomes": len(gathered.outcomes),
        "exchanges": sorted({one.exchange for one in series}),
        "series": [_candles_of(one) for one in gathered.data],
        "parameters": [_told(one) for one in gathered.parameters],
    }
    kept = KeptModel(timeframe, version, now, model, evidence)
    # The model after its memory, the verdict after the model: until then the one before is asked, or none is heard.
    for data, found in zip(gathered.data, gathered.found, strict=True):
        await _save_setups(app, kept, data.history.series, found)
    await app.embeddings.save_model(version, str(timeframe), now, model.to_bytes(), evidence)
    told = await _add_verdict(app, timeframe, version, judgement)
    for data in gathered.data:
        await _save_current(app, kept, data)
    dropped = await app.embeddings.drop_other_models(str(timeframe), version)
    await app.embeddings.keep_models(str(timeframe), KEPT)
    return told | {"setups_stored": sum(map(len, gathered.found)), "setups_of_other_models_dropped": dropped}


async def _add_verdict(app: Application, timeframe: Timeframe, version: str, judgement: Judgement) -> JsonObject:
    told = judgement.to_json()
    verdict = EncoderVerdict(str(timeframe), version, app.clock.now(), judgement.earned, told)
    await app.embeddings.add_verdict(verdict)
    return {"model": version, **told}


def _candles_of(data: SeriesData) -> JsonObject:
    opened = data.history.candles.open_time
    return {
        "series": str(data.history.series),
        "candles": len(opened),
        "first": int(opened[0]),
        "last": int(opened[-1]),
        "data_hash": data.data_hash,
    }


def _told(parameters: Parameters) -> JsonObject:
    regime = None if parameters.regime is None else str(parameters.regime)
    return {"strategy": parameters.strategy, "regime": regime, "values": dict(parameters.values)}


async def _remember_series(app: Application, kept: KeptModel, series: SeriesKey) -> SetupsFound:
    since = await app.embeddings.look_again_from(kept.version, series.exchange, series.symbol)
    begin = None if since is None else since - _memory_ms(kept, series.timeframe)
    data = await SeriesLoader(app, begin, None)(series)
    found = await asyncio.to_thread(setups_found, data.history, data.spec, kept.parameters, since or 0)
    await _save_setups(app, kept, series, found)
    await _save_current(app, kept, data)
    return found


def _memory_ms(kept: KeptModel, timeframe: Timeframe) -> int:
    """What decides about a setup and its window as the whole history does."""
    bars = max(STRATEGIES[one.strategy].warmup_bars(one, timeframe) for one in kept.parameters)
    regime = regime_timeframe(timeframe)
    # One bar more of each, because the first may be incomplete.
    return (bars + WINDOW + 2) * timeframe.milliseconds + (regime_warmup_bars(regime) + 1) * regime.milliseconds


async def _save_setups(app: Application, kept: KeptModel, series: SeriesKey, found: SetupsFound) -> None:
    embeddings = await asyncio.to_thread(kept.model.encoder.encode, found.windows)
    for first in range(0, len(found), STORED_AT_ONCE):
        rows = range(first, min(first + STORED_AT_ONCE, len(found)))
        windows = []
        for row in rows:
            known, found_at, strategy = bool(found.known[row]), int(found.found_at[row]), NAMES[found.strategy[row]]
            # Of a setup that the model was fitted on it would know the answer.
            fresh = found_at > kept.fitted_at
            opinion = kept.model.opinion(embeddings[row], strategy, float(found.reward_risk[row])) if fresh else None
            windows.append(
                SetupWindow(
                    kept.version,
                    found.setup_id[row],
                    series.exchange,
                    series.symbol,
                    str(series.timeframe),
                    strategy,
                    int(found.direction[row]),
                    found_at,
                    embeddings[row],
                    int(found.resolved_at[row]) if known else None,
                    bool(found.won[row]) if known else None,
                    float(found.r[row]) if known else None,
                    opinion.probability if opinion else None,
                    opinion.base if opinion else None,
                )
            )
        await app.embeddings.save_setups(windows)


async def _save_current(app: Application, kept: KeptModel, data: SeriesData) -> None:
    """Nothing where the newest window has a hole."""
    history = data.history
    series, last = history.series, np.array([len(history) - 1])
    windows = windows_of(history.candles, series.timeframe.milliseconds, history.regime, last, np.array([1]))
    if not len(windows):
        return
    bar_time, embedding = int(history.candles.open_time[-1]), kept.model.encoder.encode(windows)[0]
    name = str(series.timeframe)
    await app.embeddings.save_current(
        [CurrentWindow(series.exchange, series.symbol, name, kept.version, bar_time, embedding)]
    )
