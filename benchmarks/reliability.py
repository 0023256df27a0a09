"""How fast decay is noticed, and how often health is doubted: theory beside simulation, and beside the usual rule.

Run it with ``python -m benchmarks.reliability``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Table
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import Origin, Stage
from tradepulse.policy.cusum import run_length, summed, won_or_lost
from tradepulse.policy.reliability_engine import Expectation, Outcome, ReliabilityEngine, ReliabilityRules, Watched

RULES = ReliabilityRules()
HORIZON = 200
LONG = 3_000
PATHS = 4_000
PAIRS = ((0.60, 0.50), (0.50, 0.40), (0.40, 0.30), (0.35, 0.25))
LAST = 30
Alarm = Callable[[npt.NDArray[np.bool_]], npt.NDArray[np.float64]]


class Delay(NamedTuple):
    false_share: float
    mean: float
    median: float


def cusum_alarms(expected: float, declined: float, alarm: float) -> Alarm:
    """Trade at which each path of wins alarms (infinity: never), by the product's own functions."""
    won, lost = won_or_lost(True, expected, declined), won_or_lost(False, expected, declined)

    def alarms(paths: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        first = np.full(len(paths), np.inf)
        for row, wins in enumerate(paths.tolist()):
            total = 0.0
            for trade, win in enumerate(wins, start=1):
                total = summed(total, won if win else lost, RULES.ceiling)
                if total >= alarm:
                    first[row] = trade
                    break
        return first

    return alarms


def last_trades_alarms(expected: float) -> Alarm:
    """The usual rule: the precision of the last 30 trades is more than ten points below the published one."""

    def alarms(paths: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        sums = np.cumsum(np.pad(paths, ((0, 0), (1, 0))), axis=1)
        wins: npt.NDArray[np.int64] = sums[:, LAST:] - sums[:, :-LAST]
        low = np.less(wins, LAST * (expected - RULES.decline) - 1e-9)
        return np.where(low.any(axis=1), low.argmax(axis=1) + float(LAST), np.inf)

    return alarms


def simulated(alarms: Alarm, expected: float, declined: float, paths: int = PATHS, seed: int = 0) -> Delay:
    random = np.random.default_rng(seed)
    healthy = alarms(random.random((paths, HORIZON)) < expected)
    ill = alarms(random.random((paths, LONG)) < declined)
    return Delay(float(np.isfinite(healthy).mean()), float(ill[np.isfinite(ill)].mean()), float(np.median(ill)))


def theory(expected: float, declined: float, alarm: float) -> Delay:
    false = run_length(expected, expected, declined, alarm, trades=HORIZON)
    late = run_length(declined, expected, declined, alarm, trades=LONG)
    return Delay(float(false.alarmed[-1]), late.mean, float(np.argmax(late.alarmed >= 0.5)))


class Life(NamedTuple):
    quarantined: float
    halved: float
    promoted: float
    most_moves: int
    mean_moves: float
    median_delay: float


def lives(
    published: float, true: float, stage: Stage, *, paths: int = 1_000, trades: int = HORIZON, seed: int = 1
) -> Life:
    """Whole configurations under the whole engine: both cusums, e-process, twenty trades between changes."""
    reward, loss = 2.0 * (1.0 - published) / published + 0.1, -1.05
    mean = published * reward + (1.0 - published) * loss
    spread = (reward - loss) * (published * (1.0 - published)) ** 0.5
    expected = Expectation(published, mean, spread, -loss / (reward - loss))
    one = Watched("one", "s", SeriesKey("x", "A/B", Timeframe.H1), "p", stage, Origin.TUNED, expected)
    random = np.random.default_rng(seed)
    seen = dict.fromkeys(("quarantined", "halved", "promoted"), 0)
    moves: list[int] = []
    delays: list[float] = []
    for _ in range(paths):
        engine, actions, delay = ReliabilityEngine([one]), list[str](), np.inf
        for trade, won in enumerate((random.random(trades) < true).tolist(), start=1):
            # Results scatter around target and stop, as those of real trades do.
            r = (reward if won else loss) * float(random.uniform(0.8, 1.2))
            move = engine.learn(Outcome(one.key, r, r))
            if move is not None:
                actions.append(move.action)
                delay = trade if move.action == "quarantined" else delay
        moves.append(len(actions))
        delays.append(delay)
        for action in seen:
            seen[action] += action in actions
    share = {action: count / paths for action, count in seen.items()}
    return Life(**share, most_moves=max(moves), mean_moves=float(np.mean(moves)), median_delay=float(np.median(delays)))


def _rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for expected, declined in PAIRS:
        for alarm in (RULES.warning, RULES.alarm):
            exact = theory(expected, declined, alarm)
            drawn = simulated(cusum_alarms(expected, declined, alarm), expected, declined)
            rows.append(_row(f"cusum {alarm:g}, theory", expected, declined, exact))
            rows.append(_row(f"cusum {alarm:g}, simulated", expected, declined, drawn))
        usual = simulated(last_trades_alarms(expected), expected, declined)
        rows.append(_row(f"last {LAST} trades, more than ten points", expected, declined, usual))
    return rows


def _row(rule: str, expected: float, declined: float, delay: Delay) -> tuple[str, ...]:
    change = f"{expected:.0%} -> {declined:.0%}"
    return change, rule, f"{delay.false_share:.1%}", f"{delay.mean:.0f}", f"{delay.median:.0f}"


def tables() -> list[Table]:
    rows = []
    for published in (0.6, 0.4):
        for name, true, stage in (
            ("healthy, mature", published, Stage.MATURE),
            ("healthy, in validation", published, Stage.VALIDATION),
            ("ten points lower", published - 0.1, Stage.MATURE),
        ):
            life = lives(published, true, stage, trades=HORIZON if true == published else 3 * HORIZON)
            shares = (f"{share:.1%}" for share in (life.quarantined, life.halved, life.promoted))
            moves = (str(life.most_moves), f"{life.mean_moves:.2f}", f"{life.median_delay:.0f}")
            rows.append((f"{published:.0%}", name, *shares, *moves))
    change = ("precision", "rule", f"false alarms in {HORIZON} trades", "mean delay", "median delay")
    heading = ("published", "truth", "quarantined", "halved", "promoted", "most moves", "mean moves", "median delay")
    return [
        Table(f"One cusum, {PATHS} paths each", change, _rows()),
        Table("The whole engine: 1,000 configurations of 200 trades each (decayed: 600)", heading, rows),
    ]


def main() -> None:
    for table in tables():
        print(f"\n{table.title}\n")
        for cells in (table.columns, ("---",) * len(table.columns), *table.rows):
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
