"""Does what the market looks like say anything about a setup's outcome? As a table in Markdown.

    python -m benchmarks.encoder_study [--timeframes 15m,1h,4h] [--seed 1]

Needs the folder of real candles (TRADEPULSE_TEST_CANDLES, or ../shared/data/candles).
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.honesty import FOLDER
from benchmarks.honesty_tables import table
from benchmarks.search_study import real_history
from tradepulse.bootstrap.setup_windows import all_samples, busy_parameters, in_order, sampled, setups_found
from tradepulse.domain.market import Timeframe
from tradepulse.encoder.out_of_sample import Judgement, judge, score

SYMBOLS = ("BTC", "ETH", "SOL", "BNB", "ADA", "XRP")


def study(timeframe: Timeframe, seed: int) -> Judgement:
    rng = np.random.default_rng(seed)
    markets = [real_history(symbol, timeframe) for symbol in SYMBOLS]
    parameters = busy_parameters(markets[0][0])
    found = [setups_found(history, spec, parameters, 0) for history, spec in markets]
    samples = all_samples([sampled(history, len(markets), rng) for history, _ in markets])
    windows, outcomes = in_order([one.outcomes() for one in found])
    return judge(score(samples, windows, outcomes, seed), seed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--timeframes", default="15m,1h,4h")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if not Path(FOLDER).is_dir():
        raise SystemExit("This study needs real candles: set TRADEPULSE_TEST_CANDLES to their folder.")
    rows, verdicts = [], []
    for text in chosen.timeframes.split(","):
        found = study(Timeframe.parse(text), chosen.seed)
        verdicts.append(f"{text}: {'earned' if found.earned else 'not earned'}\n" + "\n".join(found.reasons))
        for name, lift in (*found.top.items(), ("logistic head, worst fifth", found.bottom)):
            p, r = lift.precision, lift.r
            rows.append(
                (
                    text,
                    name,
                    f"{found.setups:,}",
                    f"{found.wins:.1%}",
                    f"{p.value * 100:+.1f} ({p.low * 100:+.1f} to {p.high * 100:+.1f})",
                    f"{r.value:+.3f} ({r.low:+.3f} to {r.high:+.3f})",
                )
            )
    columns = ("timeframe", "score", "setups held out", "wins", "top fifth, points", "top fifth, R")
    print(table("Lift of the top fifth", columns, rows))
    print("\n\n".join(verdicts))


if __name__ == "__main__":
    main()
