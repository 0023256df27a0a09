"""What the rules of the meta-controller would have said, hour by hour, over real candles; drawn and counted.

python -m benchmarks.meta_study FOLDER [--picture docs/images/meta-policy.png]

``FOLDER`` holds Parquet files ``binance__BTC-USDT__1h.parquet`` and their like. There is no book here: drawdown and
decay stay out, what is left are the rules about markets. The yardstick is an equal-weighted hold of the same markets:
it is not traded by anybody. Nothing is fitted.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import HOUR, Candles
from tradepulse.domain.policy import PPM, Bounds, Judgement
from tradepulse.meta_controller.facts import HOURS_NEEDED, facts_of
from tradepulse.meta_controller.rules import judge, slowly, time_to_live
from tradepulse.storage.candle_files import read_candle_file

FloatArray = npt.NDArray[np.float64]
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "BNB-USDT", "ADA-USDT")
YEAR_HOURS = 365 * 24
WORST = 5
LONG_AFTER = 4_000_000_000_000


@dataclass(frozen=True, slots=True)
class Hour:
    time: int
    judgement: Judgement
    in_force: Bounds

    @property
    def risk(self) -> float:
        return self.in_force.risk_ppm / PPM


@dataclass(frozen=True, slots=True)
class Fall:
    """Rows of the peak, the trough, and the size of a drawdown."""

    peak: int
    trough: int
    size: float


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks.meta_study", description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--years", type=float, default=2.0)
    options.add_argument("--picture", type=Path)
    chosen = options.parse_args()
    markets = {
        f"binance {symbol}": read_candle_file(chosen.folder / f"binance__{symbol}__1h.parquet", LONG_AFTER).good
        for symbol in SYMBOLS
    }
    end = min(int(candles.open_time[-1]) for candles in markets.values()) + HOUR
    hours = list(judged(markets, end - round(chosen.years * YEAR_HOURS) * HOUR, end))
    held = equal_weighted(markets, [hour.time for hour in hours])
    for line in report(hours, held):
        print(line)
    if chosen.picture is not None:
        draw(hours, held, chosen.picture)
    return 0


def judged(markets: Mapping[str, Candles], since: int, until: int) -> Iterator[Hour]:
    """As the hourly job does it, each hour with what had closed by then."""
    in_force: Bounds | None = None
    issued = ends = 0
    for now in range(since, until, HOUR):
        seen = {name: candles.between(now - HOURS_NEEDED * HOUR, now) for name, candles in markets.items()}
        ages = {name: now - int(candles.open_time[-1]) - HOUR for name, candles in seen.items()}
        judgement = judge(facts_of(seen, ages, 0.0, (), now))
        in_force = slowly(in_force if now < ends else None, now - issued, judgement.bounds)
        issued, ends = now, now + time_to_live(in_force)
        yield Hour(now, judgement, in_force)


def equal_weighted(markets: Mapping[str, Candles], times: list[int]) -> FloatArray:
    """Worth at each time of one unit of money that was put into all markets alike at the first."""
    worth = np.zeros(len(times))
    for candles in markets.values():
        rows = np.searchsorted(candles.open_time, np.array(times) - HOUR, side="right") - 1
        closes = candles.close[rows]
        worth += closes / closes[0] / len(markets)
    return worth


def worst_falls(held: FloatArray, count: int = WORST) -> list[Fall]:
    """The deepest drawdowns that do not overlap, deepest first: from each peak to its trough before the next peak."""
    falls, peak = list[Fall](), 0
    trough = 0
    for row, worth in enumerate(held):
        if worth >= held[peak]:
            if trough > peak:
                falls.append(Fall(peak, trough, 1 - float(held[trough] / held[peak])))
            peak = trough = row
        elif worth < held[trough]:
            trough = row
    if trough > peak:
        falls.append(Fall(peak, trough, 1 - float(held[trough] / held[peak])))
    return sorted(falls, key=lambda fall: -fall.size)[:count]


def report(hours: list[Hour], held: FloatArray) -> Iterator[str]:
    risk = np.array([hour.risk for hour in hours])
    changes = int((np.diff(risk) != 0).sum())
    days = len(hours) / 24
    yield f"{len(hours):,} hours, {day(hours[0].time)} to {day(hours[-1].time)}; {len(SYMBOLS)} markets"
    full, half = np.mean(risk == 1), np.mean(risk <= 0.5)
    yield f"mean risk {risk.mean():.2f}; full {full:.0%} of the hours, at most half {half:.0%}"
    yield f"changes of the risk: {changes:,}, {changes / days:.1f} a day"
    yield ""
    yield "| state | hours | mean risk | mean return of the next 24 h | its spread |"
    yield "|---|---|---|---|---|"
    forward = np.append(held[24:] / held[:-24] - 1, np.full(24, np.nan))
    states = np.array([str(hour.judgement.state) for hour in hours])
    for state, count in Counter(states.tolist()).most_common():
        chosen = states == state
        ahead = forward[chosen & np.isfinite(forward)]
        cells = (state, f"{count:,}", f"{risk[chosen].mean():.2f}", f"{ahead.mean():+.2%}", f"{ahead.std():.2%}")
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "| reason | hours in which it was given |"
    yield "|---|---|"
    reasons = Counter(kind(reason) for hour in hours for reason in hour.judgement.reasons)
    for reason, count in reasons.most_common():
        yield f"| {reason} | {count:,} |"
    yield ""
    columns = ("worst falls of the equal-weighted hold", "size", "risk at the peak", "mean, first day",
               "mean on the way down", "at the trough")  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|"
    for fall in worst_falls(held):
        way = risk[fall.peak : fall.trough + 1]
        span = f"{day(hours[fall.peak].time)} to {day(hours[fall.trough].time)}"
        cells = (
            span, f"{fall.size:.1%}", f"{way[0]:.2f}", f"{way[:24].mean():.2f}", f"{way.mean():.2f}", f"{way[-1]:.2f}",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    yield ""
    moves = np.diff(held) / held[:-1]
    for name, share in (
        ("hold", 1.0),
        ("with the share of each hour", risk[:-1]),
        ("with the mean share", risk.mean()),
    ):
        grown = np.cumprod(np.append(1.0, 1 + moves * share))
        yield f"{name}: {grown[-1] - 1:+.1%}, deepest fall {worst_falls(grown, 1)[0].size:.1%}"


def kind(reason: str) -> str:
    """A reason without its figures."""
    return " ".join(word for word in reason.split() if not any(letter.isdigit() for letter in word))


def day(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d")


def draw(hours: list[Hour], held: FloatArray, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    # A point every six hours: the picture shows the years, not the hours.
    thin = slice(None, None, 6)
    times = [datetime.fromtimestamp(hour.time / 1000, UTC) for hour in hours][thin]
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(10, 5), height_ratios=(2, 1))
    above.plot(times, held[thin], color="#335c81", linewidth=0.8)
    for fall in worst_falls(held):
        span = [datetime.fromtimestamp(hours[row].time / 1000, UTC) for row in (fall.peak, fall.trough)]
        above.axvspan(span[0], span[1], color="#c1440e", alpha=0.15, linewidth=0)
    above.set_ylabel("equal-weighted hold")
    below.fill_between(times, [hour.risk for hour in hours][thin], step="post", color="#6a994e", linewidth=0)
    below.set_ylabel("risk allowed")
    below.set_ylim(0, 1)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=90)


if __name__ == "__main__":
    raise SystemExit(main())
