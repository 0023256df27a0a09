"""Does the engine make the trades that the trial kernel says? Step F of the gate asks it of every candidate."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tradepulse.bootstrap.backtests import LARGEST_INTEGER, replay
from tradepulse.core.backtest import EXIT_BY_CODE
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import MarketSpec
from tradepulse.domain.portfolio import Trade
from tradepulse.kernels.fills import PPM
from tradepulse.strategies.base_strategy import Parameters, Strategy

if TYPE_CHECKING:
    from tradepulse.policy.evaluation import TrialTrades
    from tradepulse.policy.plan import SeriesData

REPLAYED_CANDLES = 10_000
"""The engine needs half a millisecond for a candle: of longer histories the stretch with the most trades is played."""
# So much cash and so little risk that no trade is refused for its size, and an account that may still grow.
LIMITS = RiskLimits(risk_ppm=1_000, max_position_ppm=PPM, min_confluence=1.0)
ROOM_TO_GROW = 100_000


class _Told(NamedTuple):
    """A trade as both sides tell it, in the order in which they are compared."""

    entry_time: int
    direction: int
    entry_price: Decimal
    stop_price: Decimal
    target_price: Decimal
    exit_time: int
    exit_price: Decimal
    exit_reason: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What either side tells of the same stretch; a trade that was open at its end is in neither."""

    kernel: list[_Told]
    engine: list[_Told]

    @property
    def difference(self) -> str | None:
        return difference(self.kernel, self.engine)


@dataclass(frozen=True, slots=True)
class ReplayInEngine:
    """The gate's ``ReplayCheck``. Runs an event loop of its own: call it from a thread that has none."""

    candles: int = REPLAYED_CANDLES

    def __call__(
        self, data: "SeriesData", strategy: Strategy, parameters: Parameters, trades: "TrialTrades"
    ) -> str | None:
        """``None`` where all trades of the stretch are equal, else the first difference in words."""
        return self.replayed(data, strategy, parameters, trades).difference

    def replayed(
        self, data: "SeriesData", strategy: Strategy, parameters: Parameters, trades: "TrialTrades"
    ) -> Replayed:
        first, end = stretch(len(data.history), trades.setup_bar, self.candles)
        history, spec = data.history, data.spec
        outcome = asyncio.run(
            replay(
                strategy,
                parameters,
                history.series,
                history.candles[first:end],
                spec,
                LIMITS,
                spec.money(LARGEST_INTEGER // ROOM_TO_GROW),
                before=history.candles[:first],
            )
        )
        until = int(history.candles.open_time[end - 1]) + history.series.timeframe.milliseconds
        kept = np.flatnonzero((trades.setup_bar >= first) & (trades.exit_time <= until))
        expected = [_of_kernel(trades, int(row), spec) for row in kept]
        return Replayed(expected, [_of_engine(trade) for trade in outcome.trades])


def stretch(length: int, setup_bars: "np.ndarray[tuple[int], np.dtype[np.int64]]", most: int) -> tuple[int, int]:
    """First bar and the bar after the last of at most ``most`` bars with the most setups that became trades.

    It begins at a setup, because there no position is open.
    """
    if length <= most or not len(setup_bars):
        return max(0, length - most), length
    within = np.searchsorted(setup_bars, setup_bars + most) - np.arange(len(setup_bars))
    first = int(setup_bars[int(np.argmax(within))])
    return first, min(length, first + most)


def difference(kernel: list[_Told], engine: list[_Told]) -> str | None:
    for number, (expected, found) in enumerate(zip_longest(kernel, engine), start=1):
        if expected is None:
            return f"trade {number} is made by the engine only, entered at {found.entry_time}"
        if found is None:
            return f"trade {number} is made by the kernel only, entered at {expected.entry_time}"
        for name, ours, theirs in zip(_Told._fields, expected, found, strict=True):
            if ours != theirs:
                return f"{name} of trade {number} is {ours} in the kernel and {theirs} in the engine"
    return None


def _of_kernel(trades: "TrialTrades", row: int, spec: MarketSpec) -> _Told:
    return _Told(
        int(trades.entry_time[row]),
        int(trades.direction[row]),
        spec.price(int(trades.entry_ticks[row])),
        spec.price(int(trades.stop_ticks[row])),
        spec.price(int(trades.target_ticks[row])),
        int(trades.exit_time[row]),
        spec.price(int(trades.exit_ticks[row])),
        str(EXIT_BY_CODE[int(trades.reason[row])]),
    )


def _of_engine(trade: Trade) -> _Told:
    return _Told(
        trade.entry_time,
        int(trade.direction),
        trade.entry_price,
        trade.stop_price,
        trade.target_price,
        trade.exit_time,
        trade.exit_price,
        str(trade.exit_reason),
    )
