"""How fast this machine walks candles: `make bench`. Measures, and promises nothing.

The candles are simulated (seed 7): every machine does the same work. Kernels are compiled before the clock runs.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal

from tradepulse.bootstrap.backtests import replay
from tradepulse.core.backtest import backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import DAY, MINUTE, Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.strategies import STRATEGIES, MarketHistory

GENESIS = 1_704_067_200_000
KEY = MarketKey("simulated", "BTC/USDT")
SERIES = SeriesKey(KEY.exchange, KEY.symbol, Timeframe.M1)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=1_000_000, min_confluence=1.0)
CASH = Decimal(10_000)
REPLAYED_DAYS = 7
Row = dict[str, object]


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def candles_of(days: int) -> tuple[Candles, MarketSpec]:
    market = SimulatedMarket(7, [KEY.symbol], GENESIS)
    return market.between(KEY, GENESIS, GENESIS + days * DAY), market.specs[KEY]


def measured(days: int) -> list[Row]:
    bars = days * DAY // MINUTE
    candles_of(1)
    rows: list[Row] = [row("generate simulated candles", bars, seconds(lambda: candles_of(days)))]
    candles, spec = candles_of(days)
    few = candles[: REPLAYED_DAYS * DAY // MINUTE]
    history = MarketHistory.of(SERIES, candles)
    rows.append(row("label regimes", bars, seconds(lambda: MarketHistory.of(SERIES, candles))))
    for name, strategy in STRATEGIES.items():
        parameters = strategy.parameters()

        def fast() -> object:
            return backtest_history(strategy, parameters, history, spec, LIMITS, CASH)  # noqa: B023 - called at once

        def whole_engine() -> object:
            return asyncio.run(replay(strategy, parameters, SERIES, few, spec, LIMITS, CASH))  # noqa: B023

        fast()
        rows.append(row(f"kernel backtest, {name}", bars, min(seconds(fast) for _ in range(3))))
        rows.append(row(f"engine replay, {name}", len(few), seconds(whole_engine)))
    return rows


def row(what: str, bars: int, took: float) -> Row:
    return {"what": what, "candles": bars, "seconds": round(took, 4), "candles_per_second": round(bars / took)}


def main() -> None:
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--days", type=int, default=365, help="days of one-minute candles")
    options.add_argument("--json", action="store_true", help="write JSON")
    chosen = options.parse_args()
    rows = measured(max(chosen.days, REPLAYED_DAYS))
    if chosen.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'what':<44}{'candles':>10}{'seconds':>10}{'candles/s':>14}")
    for line in rows:
        print(f"{line['what']:<44}{line['candles']:>10,}{line['seconds']:>10}{line['candles_per_second']:>14,}")


if __name__ == "__main__":
    main()
