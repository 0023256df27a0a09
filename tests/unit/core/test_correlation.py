"""Correlations against a plain reading of their definition, clusters, and open risk that is lost together."""

from dataclasses import replace
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.trading import spec

from tradepulse.core.correlation import Correlations, heat, room_below
from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import Candle, Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.risk import CorrelationRule

NAMES = ("AAA", "BBB", "CCC", "DDD")
MARKETS = {name: MarketKey("desk", f"{name}/USD") for name in NAMES}
BASE, BAR = Timeframe.M5, Timeframe.H1
STEP = BAR.milliseconds
PER_BAR = STEP // BASE.milliseconds
RULE = CorrelationRule(limit_ppm=1, timeframe=BAR, bars=30, least=5, decay=0.9)
Closes = dict[int, float]


def market(name: str, base: str = "") -> MarketSpec:
    return replace(spec(market=MARKETS[name]), base=base or name)


def candles_of(closes: Closes) -> list[Candle]:
    """Base candles of hourly closes; those in between hold other prices."""
    rows = []
    for hour, close in sorted(closes.items()):
        for part in range(PER_BAR):
            last = part == PER_BAR - 1
            price = close if last else 1.0 + part
            opened = (hour - 1) * STEP + part * BASE.milliseconds
            rows.append(Candle(opened, price, price, price, price, 1.0))
    return rows


def fed(closes: dict[str, Closes], rule: CorrelationRule = RULE) -> Correlations:
    found = Correlations(rule, dict.fromkeys(MARKETS.values(), BASE))
    for name, of_market in closes.items():
        key = MARKETS[name]
        for candle in candles_of(of_market):
            found.add(CandleClosed(SeriesKey(key.exchange, key.symbol, BASE), candle))
    return found


def plainly(one: Closes, other: Closes, now: int, rule: CorrelationRule = RULE) -> float | None:
    pairs = [
        (hour, log(one[hour] / one[hour - 1]), log(other[hour] / other[hour - 1]))
        for hour in range(now - rule.bars + 1, now + 1)
        if all(hour in closes and hour - 1 in closes for closes in (one, other))
    ]
    if len(pairs) < rule.least:
        return None
    weigh = [rule.decay ** (now - hour) for hour, _, _ in pairs]
    both = sum(w * x * y for w, (_, x, y) in zip(weigh, pairs, strict=True))
    mine = sum(w * x * x for w, (_, x, _) in zip(weigh, pairs, strict=True))
    others = sum(w * y * y for w, (_, _, y) in zip(weigh, pairs, strict=True))
    return both / sqrt(mine * others) if mine * others > 0 else None


def walk(seed: int, share: float = 0.0, common_seed: int = 99, hours: int = 80) -> Closes:
    """A random walk, of which ``share`` is that of all."""
    own, common = (np.random.default_rng(one).normal(0, 0.01, hours) for one in (seed, common_seed))
    levels = np.cumsum(sqrt(1 - share) * own + sqrt(share) * common)
    return {hour: 100 * exp(levels[hour]) for hour in range(hours)}


CLOSES = st.dictionaries(st.integers(0, 60), st.floats(1, 100), max_size=60)


@given(one=CLOSES, other=CLOSES, now=st.integers(0, 70))
def test_correlation_is_what_its_definition_says_whatever_is_missing(one: Closes, other: Closes, now: int) -> None:
    seen = fed({"AAA": {h: c for h, c in one.items() if h <= now}, "BBB": {h: c for h, c in other.items() if h <= now}})
    found, expected = seen.between(market("AAA"), market("BBB"), now * STEP + 1), plainly(one, other, now)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


@given(closes=st.tuples(CLOSES, CLOSES), start=st.integers(0, 60))
def test_correlation_after_a_restart_is_the_same_bit_for_bit(closes: tuple[Closes, Closes], start: int) -> None:
    """The store hands out its last candles up to the kill, the feed goes on from there."""
    lived = fed(dict(zip(("AAA", "BBB"), closes, strict=True)))
    again = Correlations(RULE, dict.fromkeys(MARKETS.values(), BASE))
    for name, of_market in zip(("AAA", "BBB"), closes, strict=True):
        key = SeriesKey("desk", MARKETS[name].symbol, BASE)
        stored = candles_of({hour: close for hour, close in of_market.items() if hour < start})
        again.fill(key, Candles.from_rows(stored[-again.history_needed(BASE) :]))
        for candle in candles_of({hour: close for hour, close in of_market.items() if hour >= start}):
            again.add(CandleClosed(key, candle))
    for now in (start, 60, 75):
        assert again.between(market("AAA"), market("BBB"), now * STEP) == lived.between(
            market("AAA"), market("BBB"), now * STEP
        )


def test_correlation_of_too_few_common_bars_or_of_prices_that_stand_still_counts_as_one() -> None:
    few = {hour: 100.0 + hour for hour in range(RULE.least)}
    still = dict.fromkeys(range(40), 100.0)
    seen = fed({"AAA": few, "BBB": walk(1, hours=RULE.least + 1), "CCC": still})
    now = RULE.least * STEP
    assert seen.between(market("AAA"), market("BBB"), now) is None
    assert fed({"BBB": walk(1, hours=40), "CCC": still}).between(market("BBB"), market("CCC"), 39 * STEP) is None
    assert seen.alike(market("AAA"), market("BBB"), now) == 1.0
    # Not even two that point opposite ways are taken for a hedge then.
    assert seen.together(market("AAA"), market("BBB"), now, same_way=False) == 1.0
    enough = fed({"AAA": few | {RULE.least: 107.0}, "BBB": walk(1, hours=RULE.least + 1)})
    assert enough.between(market("AAA"), market("BBB"), now) is not None


def test_correlation_of_one_base_asset_is_one_and_opposite_directions_turn_the_sign() -> None:
    seen = fed({"AAA": walk(1), "BBB": walk(2)})
    now = 79 * STEP
    assert seen.between(market("AAA"), market("BBB", base="AAA"), now) == 1.0
    assert seen.together(market("AAA"), market("BBB", base="AAA"), now, same_way=False) == -1.0
    found = seen.between(market("AAA"), market("BBB"), now)
    assert found is not None
    assert seen.together(market("AAA"), market("BBB"), now, same_way=False) == -found


def test_correlation_follows_what_happened_of_late() -> None:
    apart, alike = walk(1, hours=60), walk(2, hours=60)
    shared = walk(3, hours=25)
    one, other = ({h: c if h < 55 else c * shared[h - 40] for h, c in walk_.items()} for walk_ in (apart, alike))
    follows = replace(RULE, decay=0.6)
    assert plainly(one, other, 59, follows) != plainly(one, other, 59)
    seen = fed({"AAA": one, "BBB": other}, follows)
    assert seen.between(market("AAA"), market("BBB"), 59 * STEP) == pytest.approx(plainly(one, other, 59, follows))


def test_cluster_is_everything_that_a_chain_of_correlations_leads_to() -> None:
    """B goes with A and with C, which do not go with each other; D goes with nobody."""
    rng = np.random.default_rng(5)
    a, c, d = rng.normal(0, 0.01, (3, 400))
    levels = {"AAA": a, "BBB": (a + c) / sqrt(2), "CCC": c, "DDD": d}
    rule = replace(RULE, bars=350, least=60, decay=0.999, cluster_at_ppm=600_000)
    seen = fed({name: dict(enumerate((100 * np.exp(np.cumsum(x))).tolist())) for name, x in levels.items()}, rule)
    specs = {name: market(name) for name in NAMES}
    now = 399 * STEP
    assert abs(seen.alike(specs["AAA"], specs["CCC"], now)) < 0.2
    assert seen.cluster(specs["AAA"], [specs[name] for name in ("BBB", "CCC", "DDD")], now) == {
        MARKETS["AAA"], MARKETS["BBB"], MARKETS["CCC"]
    }  # fmt: skip
    assert seen.cluster(specs["AAA"], [specs["CCC"], specs["DDD"]], now) == {MARKETS["AAA"]}


def test_correlation_of_candles_coarser_than_the_rule_is_that_of_their_own_closes() -> None:
    coarse = Timeframe.H4
    seen = Correlations(RULE, dict.fromkeys(MARKETS.values(), coarse))
    for name, sign in (("AAA", 1), ("BBB", -1)):
        key = MARKETS[name]
        for number in range(20):
            close = exp(sign * 0.01 * (-1) ** number)
            candle = Candle((number - 1) * coarse.milliseconds, close, close, close, close, 1.0)
            seen.add(CandleClosed(SeriesKey(key.exchange, key.symbol, coarse), candle))
    found = seen.between(market("AAA"), market("BBB"), 19 * coarse.milliseconds)
    assert found == pytest.approx(-1.0)


def test_nothing_is_kept_where_nothing_is_limited() -> None:
    seen = fed({"AAA": walk(1)}, replace(RULE, limit_ppm=0))
    assert seen.history_needed(BASE) == 0
    assert seen.cluster(market("AAA"), [], 0) == {MARKETS["AAA"]}


def test_heat_of_two_equal_risks_lies_between_their_root_and_their_sum() -> None:
    risks = np.array([0.03, 0.04])
    assert heat(risks, np.eye(2)) == pytest.approx(0.05)
    assert heat(risks, np.ones((2, 2))) == pytest.approx(0.07)
    # A hedge is not taken off.
    assert heat(risks, np.array([[1, -1], [-1, 1]])) == pytest.approx(0.05)
    assert heat(np.empty(0), np.empty((0, 0))) == 0.0


@given(
    risks=st.lists(st.floats(0, 0.05), max_size=4),
    seed=st.integers(0, 1000),
    limit=st.floats(0.01, 0.3),
)
def test_room_is_the_risk_that_brings_the_heat_to_the_limit(risks: list[float], seed: int, limit: float) -> None:
    size = len(risks)
    random = np.random.default_rng(seed)
    returns = random.normal(size=(size + 1, 50)) + random.normal(size=50)
    pairs = np.atleast_2d(np.corrcoef(returns))
    held = np.array(risks, dtype=np.float64)
    room = room_below(limit, held, pairs[:size, :size], pairs[size, :size])
    with_new = heat(np.append(held, room), pairs)
    if heat(held, pairs[:size, :size]) >= limit:
        assert room == 0.0
    else:
        assert room >= 0
        assert with_new == pytest.approx(limit, rel=1e-6)
