"""A strategy that follows a script of pseudo-random setups, and a rough market with gaps and jumps to trade it on."""

import hashlib
from decimal import Decimal

import numpy as np

from tradepulse.domain.market import Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters, Strategy, trade_specs
from tradepulse.strategies.setup_table import ConditionRule

MARKET = MarketKey("replay", "ABC/USD")
OTHER = MarketKey("replay", "XYZ/USD")
START = 1_700_000_000_000 // 86_400_000 * 86_400_000
CASH = Decimal(10_000)


class ScriptedStrategy(Strategy):
    """Finds a setup wherever a hash of the candle's open time says so; direction, stop and target follow from it."""

    strategy_id = "scripted"
    title = "Scripted"
    parameter_specs = trade_specs(12)

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 1, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("coin", ">=", 2.0),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        rows = []
        candles = history.candles
        for bar in range(first, len(history)):
            dice = hashlib.blake2s(int(candles.open_time[bar]).to_bytes(8, "little")).digest()
            if dice[0] >= 90:
                continue
            direction = 1 if dice[1] % 2 else -1
            close = float(candles.close[bar])
            distance = close * (0.001 + 0.01 * dice[2] / 255)
            target = close + direction * distance * (0.5 + dice[4] / 40) if dice[3] % 3 == 0 else np.nan
            rows.append((bar, direction, close - direction * distance, target, float(dice[5] % 8)))
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        bars = table[:, 0].astype(np.int64)
        return Found(bars, table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4:5], bars)


def spec(kind: MarketKind, market: MarketKey = MARKET) -> MarketSpec:
    return MarketSpec(
        key=market,
        base=market.symbol[:3],
        quote="USD",
        kind=kind,
        tick_size=Decimal("0.05"),
        lot_size=Decimal("0.001"),
        min_notional=Decimal(5),
        maker_ppm=400,
        taker_ppm=700,
        slippage_ppm=150,
        funding_ppm=90 if kind is MarketKind.SWAP else 0,
    )


def rough_candles(seed: int, count: int, step: int, missing: float = 0.01) -> Candles:
    """A jumpy random walk on the tick, with rows missing here and there."""
    random = np.random.default_rng(seed)
    moves = random.normal(0, 0.002, count) + (random.random(count) < 0.02) * random.normal(0, 0.02, count)
    closes = 500 * np.exp(np.cumsum(moves))
    opens = np.concatenate(([500.0], closes[:-1])) * np.exp(
        (random.random(count) < 0.05) * random.normal(0, 0.004, count)
    )
    highs = np.maximum(opens, closes) * np.exp(np.abs(random.normal(0, 0.002, count)))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(random.normal(0, 0.002, count)))
    kept = random.random(count) >= missing
    columns = [np.rint(column / 0.05) * 0.05 for column in (opens, highs, lows, closes)]
    times = START + step * np.arange(count, dtype=np.int64)
    return Candles(times[kept], *(column[kept] for column in columns), np.abs(random.normal(10, 3, count))[kept])


def series(timeframe: Timeframe, market: MarketKey = MARKET) -> SeriesKey:
    return SeriesKey(market.exchange, market.symbol, timeframe)
