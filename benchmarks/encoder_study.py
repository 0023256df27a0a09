"""Does what the market looks like say anything about a setup's outcome? As a table in Markdown.

    python -m benchmarks.encoder_study [--timeframes 15m,1h,4h] [--seed 1]

Needs the folder of real candles (TRADEPULSE_TEST_CANDLES, or ../shared/data/candles).
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.honesty import FOLDER
from benchmarks.honesty_tables import table
from benchmarks.search_study import both_ways, real_history
from tradepulse.domain.market import MarketSpec, Timeframe
from tradepulse.encoder.encoder_model import EncoderModel, fit_encoder
from tradepulse.encoder.features import Windows, windows_of
from tradepulse.encoder.prior import BaseRates, Resolved, concatenated, fit_prior, nearest_share
from tradepulse.kernels.fills import NO_EXIT, TARGET
from tradepulse.kernels.outcomes import NOT_ENTERED, outcomes_of
from tradepulse.kernels.trials import Setups, TradeRules
from tradepulse.policy import search
from tradepulse.policy.evaluation import TimeColumns, parameters_of, shared_market
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters, Strategy

SYMBOLS = ("BTC", "ETH", "SOL", "BNB", "ADA", "XRP")
POINTS = 12
"""Parameter sets per strategy, the same for every market: those that find most, at different places."""
BARS_PER_SYMBOL = 4_000
FOLDS = 5
NEIGHBOURS = 100
DRAWS = 2_000
WEEK = 7 * 24 * 3_600_000
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Market:
    history: MarketHistory
    spec: MarketSpec


def busy_points(strategy: Strategy, market: Market) -> list[Parameters]:
    """Of the fixed design, those that find most setups on one market; no outcome is looked at."""
    found = []
    for point in search.design(strategy, 128).points[:128]:
        parameters = parameters_of(strategy, point)
        found.append((-int(strategy.scan(market.history, parameters).valid.sum()), len(found), parameters))
    return [parameters for _, _, parameters in sorted(found, key=lambda one: one[:2])[:POINTS]]


def resolved_setups(
    market: Market, parameters: Sequence[tuple[int, Strategy, Parameters]]
) -> Iterator[tuple[Windows, Resolved]]:
    """Every valid setup once per strategy, bar and side, with what became of it. Embeddings are filled in later."""
    history, spec = market.history, market.spec
    duration = history.series.timeframe.milliseconds
    shared = shared_market(history, spec, TimeColumns.over([history.candles.open_time], duration, 0))
    seen: set[tuple[str, int, int]] = set()
    for group, strategy, chosen in parameters:
        setups = strategy.scan(history, chosen)
        fresh = [
            row
            for row in np.flatnonzero(setups.valid)
            if (key := (strategy.strategy_id, int(setups.index[row]), int(setups.direction[row]))) not in seen
            and not seen.add(key)
        ]
        rows = np.array(fresh, dtype=np.int64)
        bar, side = setups.index[rows], setups.direction[rows].astype(np.int64)
        rules = TradeRules(setups.reward_risk, setups.min_reward_risk, setups.max_bars_in_trade)
        _, left, reason, r = outcomes_of(shared, rules, Setups(bar, side, setups.stop[rows], setups.target[rows]))
        known = np.flatnonzero((reason != NOT_ENTERED) & (reason != NO_EXIT))
        windows = windows_of(history.candles, duration, history.regime, bar[known], side[known])
        kept = known[windows.rows]
        found_at = history.candles.open_time[bar[kept]] + duration
        empty = np.zeros((len(kept), 1), np.float32)
        groups = np.full(len(kept), group)
        yield windows, Resolved(empty, reason[kept] == TARGET, r[kept], groups, found_at, left[kept])


def sampled_windows(market: Market, until: int, rng: np.random.Generator) -> Windows:
    candles = market.history.candles.between(None, until)
    bars = np.sort(rng.integers(0, max(1, len(candles)), BARS_PER_SYMBOL))
    sides = rng.choice(np.array([-1, 1]), BARS_PER_SYMBOL)
    return windows_of(candles, market.history.series.timeframe.milliseconds, market.history.regime, bars, sides)


def joined(windows: Sequence[Windows]) -> Windows:
    return Windows(
        np.concatenate([one.rows for one in windows]),
        np.concatenate([one.shapes for one in windows]),
        np.concatenate([one.hand for one in windows]),
    )


@dataclass(frozen=True, slots=True)
class Scored:
    """Held-out setups with what each way of scoring said of them: the excess over the base rate, or a stand-in."""

    won: npt.NDArray[np.bool_]
    r: FloatArray
    base: FloatArray
    week: npt.NDArray[np.int64]
    scores: dict[str, FloatArray]


def study(timeframe: Timeframe, seed: int) -> Scored:
    rng = np.random.default_rng(seed)
    markets = [Market(h, both_ways(s)) for h, s in (real_history(symbol, timeframe) for symbol in SYMBOLS)]
    parameters = []
    for strategy in STRATEGIES.values():
        parameters += [
            (len(parameters) + row, strategy, one) for row, one in enumerate(busy_points(strategy, markets[0]))
        ]
    pairs = [pair for market in markets for pair in resolved_setups(market, parameters)]
    windows = joined([pair[0] for pair in pairs])
    plain = [pair[1] for pair in pairs]
    order = np.argsort(np.concatenate([one.found_at for one in plain]), kind="stable")
    whole = concatenated(plain)
    shapes, hand = windows.shapes[order], windows.hand[order]
    cuts = np.quantile(whole.found_at, np.linspace(0, 1, FOLDS + 2)[1:])
    parts = []
    for begin, end in pairwise(cuts):
        model = fit_encoder(joined([sampled_windows(market, int(begin), rng) for market in markets]))
        parts.append(_fold(model, whole, shapes, hand, int(begin), int(end), rng))
    names = parts[0].scores
    return Scored(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("won", "r", "base", "week")),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in names},
    )


def _fold(
    model: EncoderModel,
    whole: Resolved,
    shapes: npt.NDArray[np.float32],
    hand: npt.NDArray[np.float32],
    begin: int,
    end: int,
    rng: np.random.Generator,
) -> Scored:
    training, testing = whole.resolved_at < begin, (whole.found_at >= begin) & (whole.found_at < end)
    rows = np.arange(len(whole))
    embedded = Resolved(
        model.encode(Windows(rows, shapes, hand)), whole.won, whole.r, whole.group, whole.found_at, whole.resolved_at
    )
    seen, unseen = embedded[training], embedded[testing]
    base = BaseRates.of(seen).at(unseen.group)
    permuted = Resolved(seen.embedding, rng.permutation(seen.won), seen.r, seen.group, seen.found_at, seen.resolved_at)
    alike, _ = nearest_share(seen, unseen.embedding, unseen.found_at, NEIGHBOURS)
    own, other = fit_prior(seen), fit_prior(permuted)
    nothing = np.zeros(len(unseen))
    scores = {
        "logistic head": own.probability(unseen.embedding, unseen.group) - base if own else nothing,
        "100 most alike": np.nan_to_num(alike - BaseRates.of(seen).overall),
        "base rate alone": base,
        "permuted outcomes": other.probability(unseen.embedding, unseen.group) - base
        if other
        else np.zeros(len(unseen)),
        "random": rng.random(len(unseen)),
    }
    return Scored(unseen.won, unseen.r, base, unseen.found_at // WEEK, scores)


def top_fifth(score: FloatArray) -> npt.NDArray[np.bool_]:
    return score >= np.quantile(score, 0.8)


def lift(scored: Scored, name: str, rng: np.random.Generator) -> tuple[float, float, float, float, float, float]:
    """Of the top fifth over all held-out setups: points of precision beyond the combinations' base, and R; both with
    95 % intervals from resampling whole weeks."""
    chosen = top_fifth(scored.scores[name])
    excess = scored.won - scored.base
    weeks, place = np.unique(scored.week, return_inverse=True)
    sums = np.zeros((len(weeks), 6))
    for column, values in enumerate(
        (excess * chosen, chosen * 1.0, excess, np.ones(len(excess)), scored.r * chosen, scored.r)
    ):
        sums[:, column] = np.bincount(place, weights=values, minlength=len(weeks))
    drawn = np.array([sums[rng.integers(0, len(weeks), len(weeks))].sum(axis=0) for _ in range(DRAWS)])

    def figures(total: FloatArray) -> FloatArray:
        total = np.atleast_2d(total)
        precision = total[:, 0] / total[:, 1] - total[:, 2] / total[:, 3]
        return np.column_stack((precision, total[:, 4] / total[:, 1] - total[:, 5] / total[:, 3]))

    middle, spread = figures(sums.sum(axis=0))[0], figures(drawn)
    low, high = np.quantile(spread, (0.025, 0.975), axis=0)
    return (float(middle[0]), float(low[0]), float(high[0]), float(middle[1]), float(low[1]), float(high[1]))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--timeframes", default="15m,1h,4h")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if not Path(FOLDER).is_dir():
        raise SystemExit("This study needs real candles: set TRADEPULSE_TEST_CANDLES to their folder.")
    rows = []
    for text in chosen.timeframes.split(","):
        scored = study(Timeframe.parse(text), chosen.seed)
        for name in scored.scores:
            p, p_low, p_high, r, r_low, r_high = lift(scored, name, np.random.default_rng(chosen.seed))
            rows.append(
                (
                    text,
                    name,
                    f"{len(scored.won):,}",
                    f"{scored.won.mean():.1%}",
                    f"{p * 100:+.1f} ({p_low * 100:+.1f} to {p_high * 100:+.1f})",
                    f"{r:+.3f} ({r_low:+.3f} to {r_high:+.3f})",
                )
            )
    print(
        table(
            "Lift of the top fifth",
            ("timeframe", "score", "setups held out", "wins", "top fifth, points", "top fifth, R"),
            rows,
        )
    )


if __name__ == "__main__":
    main()
