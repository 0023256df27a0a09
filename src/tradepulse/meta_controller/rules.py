"""From the facts of an hour to how much risk is allowed. Pure: the same facts, the same judgement.

Each rule names a share of the usual risk that it leaves, and the least of them counts. Tightening is immediate;
loosening goes by a quarter an hour at most, also by what happens when nobody renews a policy.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import orjson

from tradepulse.domain.market import HOUR, MINUTE
from tradepulse.domain.policy import PPM, Bounds, Judgement, MarketState
from tradepulse.meta_controller.facts import Facts

SHORTEST, LONGEST = 15 * MINUTE, 240 * MINUTE
USUAL = 90 * MINUTE
"""Of a policy that takes nothing away: an hour, and half of one in case the next run is late."""
LOOSER_PER_HOUR = PPM // 4
WARNING = 2.5
"""Level of a cusum from which more confluence is asked for, as the reliability engine's warning."""
ALARM_BUMP, WARNING_BUMP = 100_000, 50_000


@dataclass(frozen=True, slots=True)
class Limit:
    """From ``value`` on, ``risk_ppm`` is left."""

    value: float
    risk_ppm: int


# In rising order. They were set once and are not fitted to anything.
DRAWDOWN = (Limit(0.05, 750_000), Limit(0.10, 500_000), Limit(0.15, 250_000))
VOLATILITY = (Limit(0.90, 750_000), Limit(0.95, 500_000), Limit(0.99, 250_000))
CORRELATION = (Limit(0.80, 750_000), Limit(0.90, 500_000))
FALLING = (Limit(0.6, 750_000), Limit(0.8, 500_000))
AGE = (Limit(2 * HOUR, 250_000), Limit(24 * HOUR, 0))
UNKNOWN_RISK, WEEKEND_RISK, EXPIRY_RISK, ALARM_RISK = 500_000, 750_000, 500_000, 500_000
NERVOUS, STRESSED = 0.90, 0.97
TRENDING = 0.6


@dataclass(frozen=True, slots=True)
class _Finding:
    risk_ppm: int
    reason: str


def judge(facts: Facts) -> Judgement:
    """The state of the market, and the least that any rule leaves, with the reasons of all that take something."""
    state = _state(facts)
    found = [one for one in _findings(facts) if one.risk_ppm < PPM]
    risk = min([PPM, *(one.risk_ppm for one in found)])
    levels = [one for one in facts.strategies if one.alarmed or one.warning_level >= WARNING]
    bump = max([0, *(ALARM_BUMP if one.alarmed else WARNING_BUMP for one in levels)])
    # A pause by decay alone would never end: nothing would be traded that could show an end of the decay.
    paused = frozenset(one.strategy for one in levels if one.alarmed and state is MarketState.STRESSED)
    reasons = [one.reason for one in sorted(found, key=lambda one: one.risk_ppm)]
    reasons += [f"cusum of {one.strategy} at {one.warning_level:.1f}" for one in levels]
    reasons += [f"{name} is paused while markets are stressed" for name in sorted(paused)]
    return Judgement(
        state,
        _conviction(facts),
        Bounds(risk, paused, bump),
        _weights(risk),
        tuple(reasons) or ("nothing stands against it",),
    )


def _findings(facts: Facts) -> Iterator[_Finding]:
    yield _Finding(_left(facts.drawdown, DRAWDOWN), f"drawdown of {facts.drawdown:.1%}")
    rank, correlation, breadth, age = facts.volatility_rank, facts.correlation, facts.breadth, facts.age_ms
    yield (
        _Finding(UNKNOWN_RISK, "volatility is not known: fewer than 30 days of candles")
        if rank is None
        else _Finding(_left(rank, VOLATILITY), f"more volatile than {rank:.0%} of the days before")
    )
    if breadth is not None:
        yield _Finding(_left(-breadth, FALLING), f"breadth of {breadth:+.2f}: most markets fall")
    if correlation is not None:
        yield _Finding(_left(correlation, CORRELATION), f"mean correlation of {correlation:.2f}")
    if age is None:
        yield _Finding(0, "no candles are stored")
    else:
        yield _Finding(_left(age, AGE), f"newest candle of a market is {age / HOUR:.1f} h old")
    if facts.weekend:
        yield _Finding(WEEKEND_RISK, "weekend: thin books")
    if facts.expiry:
        yield _Finding(EXPIRY_RISK, "monthly expiry of options")
    if any(one.alarmed for one in facts.strategies):
        yield _Finding(ALARM_RISK, "a strategy does not deliver what was published")


def _left(value: float, limits: tuple[Limit, ...]) -> int:
    return min([PPM, *(one.risk_ppm for one in limits if value >= one.value)])


def _state(facts: Facts) -> MarketState:
    rank, breadth = facts.volatility_rank, facts.breadth
    if rank is None or breadth is None:
        return MarketState.UNKNOWN
    fall_together = -breadth >= FALLING[-1].value and (facts.correlation or 0.0) >= CORRELATION[0].value
    if rank >= STRESSED or fall_together:
        return MarketState.STRESSED
    if rank >= NERVOUS:
        return MarketState.NERVOUS
    return MarketState.TRENDING if abs(breadth) >= TRENDING else MarketState.CALM


def _conviction(facts: Facts) -> float:
    """Share of the facts about markets that were known."""
    told = [one.regime is not None for one in facts.markets] + [
        one.volatility_rank is not None for one in facts.markets
    ]
    told.append(facts.correlation is not None or len(facts.markets) == 1)
    return sum(told) / len(told) if facts.markets else 0.0


def _weights(risk_ppm: int) -> dict[str, float]:
    """Of the reward of a learned policy: losing from the top costs up to three times as much as usual."""
    return {"r": 1.0, "costs": 1.0, "drawdown": 1.0 + 2.0 * (PPM - risk_ppm) / PPM}


def state_hash(judgement: Judgement) -> str:
    """Of what was judged, not of the figures: a price that moved a little is no other state."""
    told = {
        "state": judgement.state,
        "risk": judgement.bounds.risk_ppm,
        "paused": sorted(judgement.bounds.paused),
        "bump": judgement.bounds.confluence_bump_ppm,
    }
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def slowly(before: Bounds | None, since_ms: int, wanted: Bounds) -> Bounds:
    """``wanted``, as far as it may be looser than what has been in force for ``since_ms``.

    ``before`` is ``None`` where nothing was in force: then nothing is loosened. A pause lasts an hour at least, and
    ends with as much as any loosening within that time.
    """
    if before is None:
        return wanted
    step = LOOSER_PER_HOUR * max(0, since_ms) // HOUR
    kept = before.paused if since_ms < HOUR else frozenset[str]()
    lifted = before.paused - wanted.paused - kept
    return Bounds(
        min(wanted.risk_ppm, step if lifted else before.risk_ppm + step),
        wanted.paused | kept,
        max(wanted.confluence_bump_ppm, before.confluence_bump_ppm - step),
    )


def time_to_live(bounds: Bounds) -> int:
    """So long that its end, after which it says nothing, loosens no faster than ``slowly`` does."""
    taken = PPM if bounds.paused else max(PPM - bounds.risk_ppm, bounds.confluence_bump_ppm)
    whole_minutes = ceil(taken * HOUR / LOOSER_PER_HOUR / MINUTE) * MINUTE
    return min(LONGEST, max(SHORTEST, USUAL, whole_minutes))
