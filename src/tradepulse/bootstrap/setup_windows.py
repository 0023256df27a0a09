"""Setups of stored candles with their windows and what became of them: what the encoder learns from and remembers.

Both sides are looked at on every market, with the reference funding where it is a spot market: how a setup ends does
not depend on whether this account may sell short, and a window is mirrored for a short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import MarketKind, MarketSpec
from tradepulse.domain.signals import Direction
from tradepulse.encoder.features import Windows, windows_of
from tradepulse.encoder.fitted_model import groups_of, planned_reward_risk
from tradepulse.encoder.out_of_sample import Samples, at_rows, joined
from tradepulse.encoder.prior import Resolved
from tradepulse.exchanges.capabilities import SWAP_FUNDING_PPM
from tradepulse.kernels.fills import NO_EXIT, TARGET
from tradepulse.kernels.outcomes import NOT_ENTERED, outcomes_of
from tradepulse.kernels.trials import Setups, TradeRules, TrialMarket
from tradepulse.policy import search
from tradepulse.policy.evaluation import TimeColumns, parameters_of, shared_market
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters, SetupTable, Strategy
from tradepulse.strategies.setup_table import setup_id

POINTS, POINTS_LOOKED_AT = 12, 128
"""Parameter sets per strategy, the same for every market: of so many of the fixed design those that find most."""
SAMPLED, FEWEST_SAMPLED = 24_000, 4_000
"""Windows that no setup chose: of all markets together, and at least of each."""
NAMES = tuple(sorted(STRATEGIES))

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SetupsFound:
    """Of one series, a row each. ``resolved_at``, ``won`` and ``r`` mean something where ``known``."""

    setup_id: tuple[str, ...]
    windows: Windows
    strategy: IntArray
    """Place in ``NAMES``."""
    direction: IntArray
    reward_risk: FloatArray
    found_at: IntArray
    known: BoolArray
    resolved_at: IntArray
    won: BoolArray
    r: FloatArray

    def __len__(self) -> int:
        return len(self.setup_id)

    def outcomes(self) -> tuple[Windows, Resolved]:
        """Those whose end is known; embeddings are filled in later."""
        rows = np.flatnonzero(self.known)
        group = np.array([groups_of(int(self.strategy[row]), self.reward_risk[row : row + 1])[0] for row in rows])
        empty = np.zeros((len(rows), 1), np.float32)
        told = (self.won[rows], self.r[rows], group.astype(np.int64), self.found_at[rows], self.resolved_at[rows])
        return at_rows(self.windows, rows), Resolved(empty, *told)


def both_ways(spec: MarketSpec) -> MarketSpec:
    return spec if spec.kind is MarketKind.SWAP else replace(spec, kind=MarketKind.SWAP, funding_ppm=SWAP_FUNDING_PPM)


def busy_parameters(history: MarketHistory, in_force: Sequence[Parameters] = ()) -> list[Parameters]:
    """Defaults, what is in force, and of the fixed design what finds most on this market; no outcome is looked at."""
    chosen: dict[str, Parameters] = {}
    for name in NAMES:
        strategy = STRATEGIES[name]
        own = [one for one in in_force if one.strategy == name]
        for parameters in (strategy.parameters(), *own, *_busiest(strategy, history)):
            chosen.setdefault(f"{name}:{parameters.parameters_id}", parameters)
    return list(chosen.values())


def _busiest(strategy: Strategy, history: MarketHistory) -> list[Parameters]:
    found = []
    for place, point in enumerate(search.design(strategy, POINTS_LOOKED_AT).points[:POINTS_LOOKED_AT]):
        parameters = parameters_of(strategy, point)
        found.append((-int(strategy.scan(history, parameters).valid.sum()), place, parameters))
    return [parameters for _, _, parameters in sorted(found, key=lambda one: one[:2])[:POINTS]]


def setups_found(history: MarketHistory, spec: MarketSpec, parameters: Sequence[Parameters], since: int) -> SetupsFound:
    """Every valid setup found from ``since`` on that could be entered: once per strategy, bar and side."""
    columns = TimeColumns.over([history.candles.open_time], history.series.timeframe.milliseconds, 0)
    market = shared_market(history, both_ways(spec), columns)
    seen = {name: np.empty(0, np.int64) for name in NAMES}
    parts = []
    for chosen in parameters:
        table = STRATEGIES[chosen.strategy].scan(history, chosen)
        # A bar and a side in one number.
        place = 2 * table.index + (table.direction > 0)
        wanted = table.valid & (table.bar_time + _duration(history) >= since) & ~np.isin(place, seen[chosen.strategy])
        rows = np.flatnonzero(wanted)
        seen[chosen.strategy] = np.concatenate((seen[chosen.strategy], place[rows]))
        parts.append(_entered(history, market, table, rows))
    return _together(parts)


def _duration(history: MarketHistory) -> int:
    return history.series.timeframe.milliseconds


def _entered(history: MarketHistory, market: TrialMarket, table: SetupTable, rows: IntArray) -> SetupsFound:
    bar, side = table.index[rows], table.direction[rows].astype(np.int64)
    rules = TradeRules(table.reward_risk, table.min_reward_risk, table.max_bars_in_trade)
    setups = Setups(bar, side, table.stop[rows], table.target[rows])
    _, left, reason, r = outcomes_of(market, rules, setups)
    entered = np.flatnonzero((reason != NOT_ENTERED) & _without_long_gap(market, bar, left, reason))
    windows = windows_of(history.candles, _duration(history), history.regime, bar[entered], side[entered])
    kept = entered[windows.rows]
    known = reason[kept] != NO_EXIT
    planned = planned_reward_risk(
        table.close[rows[kept]], table.stop[rows[kept]], table.target[rows[kept]], table.reward_risk
    )
    return SetupsFound(
        tuple(
            setup_id(table.strategy, table.parameters_id, table.series, opened, Direction(way))
            for opened, way in zip(table.bar_time[rows[kept]].tolist(), side[kept].tolist(), strict=True)
        ),
        at_rows(windows, np.arange(len(windows))),
        np.full(len(kept), NAMES.index(table.strategy)),
        side[kept],
        planned,
        table.bar_time[rows[kept]] + _duration(history),
        known,
        np.where(known, left[kept], 0),
        reason[kept] == TARGET,
        np.where(known, r[kept], 0.0),
    )


def _without_long_gap(market: TrialMarket, bar: IntArray, left: IntArray, reason: IntArray) -> BoolArray:
    """Nobody knows what happened to a trade that lasted across a long hole."""
    last = np.clip(np.searchsorted(market.bars.open_time, left, side="right") - 1, 0, len(market.segment) - 1)
    ended = reason != NO_EXIT
    same: BoolArray = market.segment[bar] == market.segment[np.where(ended, last, len(market.segment) - 1)]
    return same


def _together(parts: Sequence[SetupsFound]) -> SetupsFound:
    names = SetupsFound.__slots__[2:]
    ids = tuple(one for part in parts for one in part.setup_id)
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return SetupsFound(ids, joined([part.windows for part in parts]), *arrays)


def sampled(history: MarketHistory, markets: int, rng: np.random.Generator) -> Samples:
    """At random places and sides of one of so many markets."""
    count = max(FEWEST_SAMPLED, SAMPLED // markets)
    bars = np.sort(rng.integers(0, max(1, len(history)), count))
    sides = rng.choice(np.array([-1, 1]), count)
    windows = windows_of(history.candles, _duration(history), history.regime, bars, sides)
    return Samples(windows, history.candles.open_time[bars[windows.rows]] + _duration(history))


def all_samples(parts: Sequence[Samples]) -> Samples:
    return Samples(joined([one.windows for one in parts]), np.concatenate([one.closed_at for one in parts]))


def in_order(parts: Sequence[tuple[Windows, Resolved]]) -> tuple[Windows, Resolved]:
    """Oldest first."""
    windows = joined([one for one, _ in parts])
    told = [outcomes for _, outcomes in parts]
    whole = Resolved(*(np.concatenate([getattr(one, name) for one in told]) for name in Resolved.__slots__))
    order = np.argsort(whole.found_at, kind="stable")
    return at_rows(windows, order), whole[order]
