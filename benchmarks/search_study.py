"""Studies of the search on real candles, as tables in Markdown: what ``docs/research/search-study.md`` quotes.

    python -m benchmarks.search_study density   [--bounds old] [--timeframes 1h,4h] [--symbols BTC,ETH]
    python -m benchmarks.search_study selectors | trials | regimes | search [--timeframes 15m,1h,4h]

Needs the folder of real candles (TRADEPULSE_TEST_CANDLES, or ../shared/data/candles).
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from benchmarks.honesty import FOLDER
from benchmarks.honesty_tables import table
from benchmarks.null_markets import LONG_AFTER
from benchmarks.planted_markets import ANY
from tradepulse.core.backtest import backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import FloatArray, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.capabilities import SWAP_FUNDING_PPM, spec_for
from tradepulse.policy import search
from tradepulse.policy.evaluation import BLOCKS, COLUMNS, SLOTS, SUM_R, WINS, N, TimeColumns, trial_stats
from tradepulse.storage.candle_files import read_candle_file
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters, ParameterSpec, Strategy

DENSITY_POINTS = 64
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=250_000, min_confluence=1.0)
CASH = Decimal(10_000)
QUANTILES = (0.10, 0.33, 0.50, 0.67, 0.90)

Bounds = Mapping[str, tuple[float, float]]

# Bounds before the study, where they differ from those in force.
BEFORE: Mapping[str, Bounds] = {
    "htf_sweep": {
        "swing_lookback": (10, 40),
        "swing_confirm": (1, 4),
        "sweep_depth_atr": (0.0, 0.5),
        "reclaim_bars": (0, 3),
        "volume_threshold": (0.8, 2.5),
        "volume_period": (10, 40),
        "confirmation_window": (6, 48),
    },
    "volume_breakout": {
        "consolidation_bars": (5, 30),
        "atr_threshold": (0.8, 2.5),
        "max_range_atr": (2.0, 8.0),
        "volume_multiple": (1.2, 5.0),
    },
    "divergence_capitulation": {
        "swing_confirm": (1, 4),
        "divergence_lookback": (10, 60),
        "min_rsi_gain": (0.5, 10.0),
        "rsi_oversold": (20.0, 45.0),
        "capitulation_threshold": (1.5, 5.0),
        "entry_window": (2, 10),
    },
}


def real_history(symbol: str, timeframe: Timeframe) -> tuple[MarketHistory, MarketSpec]:
    path = Path(FOLDER) / f"binance__{symbol}-USDT__{timeframe}.parquet"
    candles = read_candle_file(path, LONG_AFTER).good
    series = SeriesKey("binance", f"{symbol}/USDT", timeframe)
    return MarketHistory.of(series, candles), spec_for(series.market, candles)


def both_ways(spec: MarketSpec) -> MarketSpec:
    return replace(spec, kind=MarketKind.SWAP, funding_ppm=SWAP_FUNDING_PPM)


def parameters_at(strategy: Strategy, share: FloatArray, bounds: Bounds) -> Parameters:
    """A point of the unit cube within ``bounds``, which may lie outside of those that a user is held to."""
    rows = zip(strategy.parameter_specs, share.tolist(), strict=True)
    return Parameters(strategy.strategy_id, tuple((spec.name, _value(spec, place, bounds)) for spec, place in rows))


def _value(spec: ParameterSpec, place: float, bounds: Bounds) -> int | float | str:
    if spec.kind == "choice":
        return spec.choices[int(place * len(spec.choices))]
    low, high = bounds.get(spec.name, (spec.low, spec.high))
    return low + place * (high - low) if spec.kind == "float" else int(low + place * (high - low + 1))


def density_rows(
    strategy: Strategy, history: MarketHistory, spec: MarketSpec, bounds: Bounds
) -> Iterator[tuple[str, ...]]:
    """Trades of 64 points per 10,000 candles; which conditions refuse setups, and which refuse alone."""
    shares = qmc.Sobol(len(strategy.parameter_specs), rng=np.random.default_rng(0)).random(DENSITY_POINTS)
    for market in (spec, both_ways(spec)):
        trades: list[float] = []
        failed: Counter[str] = Counter()
        verdicts: Counter[Verdict] = Counter()
        setups = 0
        for place in shares:
            parameters = parameters_at(strategy, place, bounds)
            outcome = backtest_history(strategy, parameters, history, market, LIMITS, CASH)
            trades.append(len(outcome.trades) * 1e4 / len(history))
            verdicts.update(outcome.verdicts)
            found = strategy.scan(history, parameters)
            setups += len(found)
            alone = found.passed.sum(axis=1) == found.passed.shape[1] - 1
            failed.update({name: int((~found.passed[alone, column]).sum()) for column, name in enumerate(found.names)})
        yield (
            strategy.strategy_id,
            f"{history.series.symbol} {history.series.timeframe}",
            "spot" if market.kind is MarketKind.SPOT else "both ways",
            f"{setups / DENSITY_POINTS * 1e4 / len(history):.0f}",
            *(f"{value:.1f}" for value in np.quantile(trades, QUANTILES)),
            ", ".join(f"{name} {count / max(setups, 1):.0%}" for name, count in failed.most_common(3) if count),
            f"{verdicts[Verdict.REWARD_RISK_TOO_LOW] / max(setups, 1):.1%}",
        )


def density(chosen: argparse.Namespace) -> str:
    rows: list[Sequence[str]] = []
    for timeframe in map(Timeframe.parse, chosen.timeframes.split(",")):
        for symbol in chosen.symbols.split(","):
            history, spec = real_history(symbol, timeframe)
            for name, strategy in STRATEGIES.items():
                rows += density_rows(strategy, history, spec, BEFORE[name] if chosen.bounds == "old" else {})
    quantiles = (f"{share:.0%}" for share in QUANTILES)
    columns = (
        "strategy",
        "series",
        "market",
        "setups",
        *quantiles,
        "refused by one condition alone",
        "too little reward",
    )
    return table(f"Trades per 10,000 candles of {DENSITY_POINTS} points, {chosen.bounds} bounds", columns, rows)


# ------------------------------------------------------------- what is chosen on one stretch, and made on the next

SPLITS = ((0, 24, 40), (0, 40, 56), (8, 48, 64), (16, 56, 64), (0, 32, 64))
"""Time columns: chosen on the first stretch, measured on the second."""
LEAST_TRADES = 100
SYMBOLS = ("BTC", "ETH", "BNB", "XRP", "ADA", "SOL")


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """All trials of one family of real candles: ``pooled`` [P, slot, column, 4] over the symbols."""

    strategy: str
    timeframe: Timeframe
    market: str
    pooled: FloatArray
    design: search.Design


@lru_cache(maxsize=18)
def trials_of(name: str, timeframe: Timeframe, *, swap: bool) -> Trials:
    strategy = STRATEGIES[name]
    series = [real_history(symbol, timeframe) for symbol in SYMBOLS]
    tried = search.design(strategy)
    memory = strategy.warmup_bars(strategy.parameters(), timeframe)
    block = max(len(history) for history, _ in series) // BLOCKS
    columns = TimeColumns.over(
        [history.candles.open_time for history, _ in series], timeframe.milliseconds, min(memory, block // 10)
    )
    pooled = np.zeros((len(tried.points), len(SLOTS), COLUMNS, 4))
    for history, spec in series:
        market = both_ways(spec) if swap else spec
        pooled += trial_stats(strategy, history, market, tried.points, columns)
    return Trials(name, timeframe, "both ways" if swap else "spot", pooled, tried)


def families_of(timeframes: Sequence[Timeframe]) -> Iterator[Trials]:
    for name, timeframe, swap in product(STRATEGIES, timeframes, (False, True)):
        yield trials_of(name, timeframe, swap=swap)


Selector = Callable[[FloatArray, npt.NDArray[np.bool_], search.Design], int]


def _best(score: FloatArray, eligible: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(np.where(eligible, score, -np.inf)))


def _among(count: int) -> Selector:
    """The highest t-statistic among the first so many trials."""

    def select(total: FloatArray, eligible: npt.NDArray[np.bool_], _: search.Design) -> int:
        return _best(search.t_statistic(total), eligible & (np.arange(len(total)) < count))

    return select


def _plateau(total: FloatArray, eligible: npt.NDArray[np.bool_], tried: search.Design) -> int:
    score = search.t_statistic(total)
    point = search.plateau(score, eligible, search.relevant_neighbours(tried.cube, score, eligible))
    return 0 if point is None else point


def _win_rate(total: FloatArray, eligible: npt.NDArray[np.bool_], _: search.Design) -> int:
    return _best(total[:, WINS] / np.maximum(total[:, N], 1.0), eligible)


def _mean(total: FloatArray, eligible: npt.NDArray[np.bool_], _: search.Design) -> int:
    return _best(total[:, SUM_R] / np.maximum(total[:, N], 1.0), eligible)


SELECTORS: Mapping[str, Selector] = {
    "highest win rate": _win_rate,
    "highest mean R": _mean,
    "highest t (the peak)": _among(1 << 30),
    "plateau": _plateau,
}


def _in_and_out(trials: Trials, selector: Selector, slot: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Sums ``[4]`` of the chosen point where it was chosen and after, per split that allows a choice."""
    for first, middle, end in SPLITS:
        chosen_on = search.totals(trials.pooled[:, slot, first:middle])
        eligible = chosen_on[:, N] >= LEAST_TRADES
        if eligible.any():
            point = selector(chosen_on, eligible, trials.design)
            yield chosen_on[point], search.totals(trials.pooled[point, slot, middle:end])


def _figures(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[str, ...]:
    """Means over the choices, each choice counting once; the error is that of the mean over choices."""
    means = [(before[SUM_R] / before[N], after[SUM_R] / after[N]) for before, after in pairs if after[N] >= 10]
    rates = [(before[WINS] / before[N], after[WINS] / after[N]) for before, after in pairs if after[N] >= 10]
    if not means:
        return ("0", *("–",) * 5)
    inside, outside = np.mean(means, axis=0)
    error = float(np.std([after for _, after in means], ddof=1) / np.sqrt(len(means))) if len(means) > 1 else np.nan
    won, kept = np.mean(rates, axis=0)
    return (
        str(len(means)),
        f"{inside:+.3f}",
        f"{outside:+.3f} ± {error:.3f}",
        f"{inside - outside:+.3f}",
        f"{won:.1%}",
        f"{kept:.1%}",
    )


CHOICES = ("choices", "R in sample", "R out of sample", "gap", "win rate in", "win rate out")


def _timeframes(chosen: argparse.Namespace) -> list[Timeframe]:
    return [Timeframe.parse(word) for word in chosen.timeframes.split(",")]


def selectors(chosen: argparse.Namespace) -> str:
    rows = []
    for name, (label, selector) in product((*STRATEGIES, "all"), SELECTORS.items()):
        pairs = [
            pair
            for trials in families_of(_timeframes(chosen))
            if name in (trials.strategy, "all")
            for pair in _in_and_out(trials, selector, ANY)
        ]
        rows.append((name, label, *_figures(pairs)))
    return table(
        "What is chosen and what it makes next, by how it is chosen", ("strategy", "chosen by", *CHOICES), rows
    )


def trials(chosen: argparse.Namespace) -> str:
    rows = []
    for count in (8, 32, 128, 512, 2048):
        pairs = [
            pair for family in families_of(_timeframes(chosen)) for pair in _in_and_out(family, _among(count), ANY)
        ]
        rows.append((f"{count:,}", *_figures(pairs)))
    return table("The peak among so many trials", ("trials", *CHOICES), rows)


def regimes(chosen: argparse.Namespace) -> str:
    """A plateau for each regime against one for all; both measured by all their trades after the choice."""
    rows = []
    for name in (*STRATEGIES, "all"):
        gaps, split_means, whole_means = [], [], []
        for family in families_of(_timeframes(chosen)):
            if name not in (family.strategy, "all"):
                continue
            for number, (first, middle, end) in enumerate(SPLITS):
                parts = [_after(family, slot, first, middle, end) for slot in range(ANY)]
                whole = _after(family, ANY, first, middle, end)
                split = np.sum([part for part in parts if part is not None], axis=0)
                if whole is None or any(part is None for part in parts) or min(split[N], whole[N]) < 10:
                    continue
                split_means.append(split[SUM_R] / split[N])
                whole_means.append(whole[SUM_R] / whole[N])
                gaps.append((number, split_means[-1] - whole_means[-1]))
        if len(gaps) < 2:
            continue
        values = np.array([gap for _, gap in gaps])
        rows.append(
            (
                name,
                str(len(values)),
                f"{np.mean(split_means):+.3f}",
                f"{np.mean(whole_means):+.3f}",
                f"{values.mean():+.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}",
                f"{(values > 0).mean():.0%}",
            )
        )
    columns = ("strategy", "choices", "R, a plateau per regime", "R, one plateau", "difference", "split better")
    return table("Parameters per regime against parameters for all, out of sample", columns, rows)


def _after(family: Trials, slot: int, first: int, middle: int, end: int) -> FloatArray | None:
    chosen_on = search.totals(family.pooled[:, slot, first:middle])
    eligible = chosen_on[:, N] >= LEAST_TRADES
    if not eligible.any():
        return None
    point = _plateau(chosen_on, eligible, family.design)
    return search.totals(family.pooled[point, slot, middle:end])


def search_studies(chosen: argparse.Namespace) -> str:
    return "\n".join(study(chosen) for study in (selectors, trials, regimes))


STUDIES = {
    "density": density,
    "selectors": selectors,
    "trials": trials,
    "regimes": regimes,
    "search": search_studies,
}


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.search_study", description=__doc__)
    options.add_argument("study", choices=STUDIES)
    options.add_argument("--bounds", choices=("old", "new"), default="new")
    options.add_argument("--timeframes", default="15m,1h,4h")
    options.add_argument("--symbols", default="BTC,SOL")
    chosen = options.parse_args()
    print(STUDIES[chosen.study](chosen))


if __name__ == "__main__":
    main()
