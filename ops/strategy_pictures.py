"""Draws the three setups for the pages: the first trade that each makes on the simulated market, whatever became of it.

Run by ``ops/generate_docs.py``. The same seed makes the same market, so the pictures are the same on every machine.
"""  # noqa: INP001

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from tradepulse.bootstrap.paper import GENESIS
from tradepulse.cli.screen import utc
from tradepulse.core.backtest import backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import DAY, Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.signals import Setup
from tradepulse.exchanges.market_tape import resampled
from tradepulse.exchanges.simulated_market import EXCHANGE, SimulatedMarket
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, higher_bars
from tradepulse.strategies.parameters import Parameters

MARKET = MarketKey(EXCHANGE, "ETH/USDT")
TIMEFRAME = Timeframe.M5
SEED, DAYS, CASH = 7, 30, Decimal(10_000)
WIDTH, PRICES, VOLUMES, MARGIN, LABELS = 900, 330, 60, 34, 120
UP, DOWN, STOP, TARGET, MARK, INK, PAPER = "#2a9d6f", "#c2504a", "#c2504a", "#2a9d6f", "#4f6bd8", "#4a5160", "#ffffff"
BEFORE, AFTER = 12, 6
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=250_000, min_confluence=1.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rule saw: bars from ``first`` to ``last``, between two prices."""

    first: int
    last: int
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    history: MarketHistory
    setup: Setup
    index: int
    trade: Trade
    shapes: tuple[Shape, ...]


def pictures() -> Iterator[tuple[str, str]]:
    """Name of the strategy, and its picture as SVG."""
    market = SimulatedMarket(SEED, (MARKET.symbol,), GENESIS)
    candles = resampled(market.between(MARKET, GENESIS, GENESIS + DAYS * DAY), TIMEFRAME)
    history = MarketHistory.of(SeriesKey(MARKET.exchange, MARKET.symbol, TIMEFRAME), candles)
    for name, strategy in STRATEGIES.items():
        parameters = strategy.parameters()
        table = strategy.scan(history, parameters)
        outcome = backtest_history(strategy, parameters, history, market.specs[MARKET], LIMITS, CASH)
        trade = outcome.trades[0]
        row = next(row for row in range(len(table)) if table.setup(row).setup_id == trade.setup_id)
        index = int(table.index[row])
        setup = table.setup(row)
        yield name, drawn(Found(history, setup, index, trade, tuple(SHAPES[name](history, setup, index, parameters))))


def _measured(setup: Setup, name: str) -> int:
    return round(next(condition.value for condition in setup.conditions if condition.name == name))


def _sweep(history: MarketHistory, setup: Setup, index: int, _: Parameters) -> Iterator[Shape]:
    bars = higher_bars(history.candles, TIMEFRAME, TIMEFRAME.context)
    failed = index - _measured(setup, "bars_to_shift")
    failure = next(
        bar for bar in range(len(bars.open)) if bars.first_row[bar] <= failed < bars.first_row[bar] + bars.rows[bar]
    )
    swept = failure - _measured(setup, "bars_to_reclaim")
    first = int(bars.first_row[swept])
    yield Shape(
        first, failed, float(bars.low[swept]), float(bars.high[swept]), f"{TIMEFRAME.context}: low swept and reclaimed"
    )


def _consolidation(history: MarketHistory, setup: Setup, index: int, _: Parameters) -> Iterator[Shape]:
    bars = _measured(setup, "consolidation_bars")
    run = history.candles[index - bars : index]
    yield Shape(index - bars, index - 1, float(run.low.min()), float(run.high.max()), f"consolidation of {bars} bars")


def _divergence(history: MarketHistory, setup: Setup, index: int, parameters: Parameters) -> Iterator[Shape]:
    later = index - _measured(setup, "bars_to_trigger") - parameters.integer("swing_confirm")
    earlier = later - _measured(setup, "bars_between_lows")
    for bar, text in ((earlier, "low, RSI low"), (later, "lower low, RSI higher")):
        low = float(history.candles.low[bar])
        yield Shape(bar, bar, low, low, text)


SHAPES = {"htf_sweep": _sweep, "volume_breakout": _consolidation, "divergence_capitulation": _divergence}


@dataclass(frozen=True, slots=True)
class Scale:
    first: int
    step: float
    low: float
    high: float

    def x(self, bar: int) -> float:
        return round(MARGIN + (bar - self.first + 0.5) * self.step, 1)

    def y(self, price: float) -> float:
        return round(MARGIN + (self.high - price) / (self.high - self.low) * PRICES, 1)


def drawn(found: Found) -> str:
    candles, trade = found.history.candles, found.trade
    bar = TIMEFRAME.milliseconds
    last_bar = found.index + (trade.exit_time - found.setup.bar_time) // bar
    first = min([found.index, *(shape.first for shape in found.shapes)]) - BEFORE
    shown = range(first, min(last_bar + AFTER, len(candles) - 1) + 1)
    stop, target, entry = float(trade.stop_price), float(trade.target_price), float(trade.entry_price)
    low = min(float(candles.low[shown.start : shown.stop].min()), stop, target)
    high = max(float(candles.high[shown.start : shown.stop].max()), stop, target)
    scale = Scale(first, (WIDTH - MARGIN - LABELS) / len(shown), low, high)
    parts = [*_shapes(found, scale), *_candles(candles, shown, scale)]
    for price, colour, text in ((entry, INK, "entry"), (stop, STOP, "stop"), (target, TARGET, "target")):
        parts += _level(scale, found.index + 1, last_bar, price, colour, f"{text} {price:g}")
    parts.append(f'<circle cx="{scale.x(last_bar)}" cy="{scale.y(float(trade.exit_price))}" r="4" fill="{MARK}"/>')
    x = scale.x(found.index)
    parts.append(f'<path d="M{x} {MARGIN + 18}V{scale.y(float(candles.high[found.index]))}" stroke="{MARK}"/>')
    parts.append(_text(x, MARGIN + 12, "setup", MARK, "middle"))
    became = f"{trade.exit_reason}: {trade.r_multiple:+.2f} R after costs"
    title = f"SIMULATED {MARKET.symbol} {TIMEFRAME}, found {utc(found.setup.found_at)}. {became}"
    height = PRICES + VOLUMES + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="{PAPER}"/>'
        + "".join(parts)
        + _text(MARGIN, 20, title, INK)
        + "</svg>\n"
    )


def _candles(candles: Candles, shown: range, scale: Scale) -> Iterator[str]:
    """One path per colour: wicks as lines, bodies and volumes as boxes."""
    most = float(candles.volume[shown.start : shown.stop].max())
    half = round(scale.step * 0.35, 2)
    ground = PRICES + VOLUMES + 1.5 * MARGIN
    for colour, rising in ((UP, True), (DOWN, False)):
        wicks, bodies, volumes = [], [], []
        for bar in shown:
            opened, closed = float(candles.open[bar]), float(candles.close[bar])
            if (closed >= opened) is not rising:
                continue
            x = scale.x(bar)
            wicks.append(f"M{x} {scale.y(float(candles.high[bar]))}V{scale.y(float(candles.low[bar]))}")
            top, bottom = scale.y(max(opened, closed)), scale.y(min(opened, closed))
            bodies.append(f"M{x - half:.1f} {top}h{2 * half:.1f}v{max(bottom - top, 0.8):.1f}h-{2 * half:.1f}z")
            tall = float(candles.volume[bar]) / most * VOLUMES
            volumes.append(f"M{x - half:.1f} {ground}h{2 * half:.1f}v-{tall:.1f}h-{2 * half:.1f}z")
        yield f'<path d="{"".join(wicks)}" stroke="{colour}" fill="none"/><path d="{"".join(bodies)}" fill="{colour}"/>'
        yield f'<path d="{"".join(volumes)}" fill="{colour}" opacity="0.4"/>'


def _shapes(found: Found, scale: Scale) -> Iterator[str]:
    for shape in found.shapes:
        left, right = scale.x(shape.first) - scale.step / 2, scale.x(shape.last) + scale.step / 2
        top, bottom = scale.y(shape.high), scale.y(shape.low)
        if shape.low == shape.high:
            yield f'<circle cx="{scale.x(shape.first)}" cy="{bottom + 7}" r="3.5" fill="{MARK}"/>'
            yield _text(scale.x(shape.first), bottom + 22, shape.text, MARK, "middle")
            continue
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{bottom - top:.1f}" fill="{MARK}" '
            f'fill-opacity="0.12" stroke="{MARK}" stroke-dasharray="3 3"/>'
        )
        yield _text(left, bottom + 15, shape.text, MARK)


def _level(scale: Scale, first: int, last: int, price: float, colour: str, text: str) -> Iterator[str]:
    y = scale.y(price)
    line = f"M{scale.x(first)} {y}H{scale.x(last)}"
    yield f'<path d="{line}" stroke="{colour}" stroke-width="1.6" stroke-dasharray="6 3"/>'
    yield _text(WIDTH - LABELS + 10, y + 4, text, colour)


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
