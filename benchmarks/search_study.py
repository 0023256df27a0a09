"""Studies of the search on real candles, as tables in Markdown: what ``docs/research/search-study.md`` quotes.

    python -m benchmarks.search_study density   [--bounds old] [--timeframes 1h,4h] [--symbols BTC,ETH]
    python -m benchmarks.search_study selectors | trials | regimes

Needs the folder of real candles (TRADEPULSE_TEST_CANDLES, or ../shared/data/candles).
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from scipy.stats import qmc

from benchmarks.honesty import FOLDER
from benchmarks.honesty_tables import table
from benchmarks.null_markets import LONG_AFTER
from tradepulse.core.backtest import backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import FloatArray, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.signals import Verdict
from tradepulse.exchanges.capabilities import SWAP_FUNDING_PPM, spec_for
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


STUDIES = {"density": density}


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
