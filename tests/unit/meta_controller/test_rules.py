"""The rules: each takes away alone, none gives, loosening goes by a quarter an hour whatever happens."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.meta_controller.hours import CALM, NOON, STRATEGIES, candles, facts

from tradepulse.domain.market import DAY, HOUR, MINUTE
from tradepulse.domain.policy import PPM, Bounds, MarketState
from tradepulse.meta_controller.facts import Facts, MarketFacts, StrategyFacts, facts_of
from tradepulse.meta_controller.rules import LONGEST, SHORTEST, judge, slowly, state_hash, time_to_live

SATURDAY = NOON + 3 * DAY
EXPIRY = NOON + 30 * DAY - 4 * HOUR
"""Friday 2025-01-31, 8:00 UTC."""


def market(regime: int | None = 0, rank: float | None = 0.5, age: int = 0) -> tuple[MarketFacts, ...]:
    return (replace(CALM, regime=regime, volatility_rank=rank, age_ms=age),)


@pytest.mark.parametrize(
    ("hour", "risk", "state", "reason"),
    [
        (facts(), 1.0, MarketState.CALM, "nothing stands against it"),
        (facts(drawdown=0.051), 0.75, MarketState.CALM, "drawdown of 5.1%"),
        (facts(drawdown=0.10), 0.5, MarketState.CALM, "drawdown of 10.0%"),
        (facts(drawdown=0.4), 0.25, MarketState.CALM, "drawdown of 40.0%"),
        (facts(markets=market(rank=0.91)), 0.75, MarketState.NERVOUS, "more volatile than 91% of the days before"),
        (facts(markets=market(rank=0.995)), 0.25, MarketState.STRESSED, "more volatile than 100% of the days before"),
        (facts(markets=market(regime=-1)), 0.5, MarketState.TRENDING, "breadth of -1.00: most markets fall"),
        (facts(markets=market(regime=1)), 1.0, MarketState.TRENDING, "nothing stands against it"),
        (facts(correlation=0.92), 0.5, MarketState.CALM, "mean correlation of 0.92"),
        (facts(markets=market(age=3 * HOUR)), 0.25, MarketState.CALM, "newest candle of a market is 3.0 h old"),
        (facts(markets=market(age=25 * HOUR)), 0.0, MarketState.CALM, "newest candle of a market is 25.0 h old"),
        (facts(markets=()), 0.0, MarketState.UNKNOWN, "no candles are stored"),
        (facts(markets=market(rank=None)), 0.5, MarketState.UNKNOWN, "volatility is not known"),
        (facts(SATURDAY), 0.75, MarketState.CALM, "weekend: thin books"),
        (facts(EXPIRY), 0.5, MarketState.CALM, "monthly expiry of options"),
        (facts(htf_sweep=3.6), 0.5, MarketState.CALM, "a strategy does not deliver"),
    ],
)
def test_each_rule_alone_leaves_its_share_and_says_why(
    hour: Facts, risk: float, state: MarketState, reason: str
) -> None:
    found = judge(hour)
    assert (found.bounds.risk_ppm / PPM, found.state) == (risk, state)
    assert any(told.startswith(reason) for told in found.reasons)


def test_decay_asks_for_more_confluence_and_pauses_only_while_markets_are_stressed() -> None:
    assert judge(facts(htf_sweep=2.6)).bounds.confluence_bump_ppm == 50_000
    alarmed = judge(facts(htf_sweep=3.6)).bounds
    assert (alarmed.confluence_bump_ppm, alarmed.paused) == (100_000, frozenset())
    assert judge(facts(htf_sweep=3.6, markets=market(rank=0.98))).bounds.paused == {"htf_sweep"}


MARKETS = st.lists(
    st.builds(
        MarketFacts,
        st.just("binance BTC/USDT"),
        st.sampled_from([None, -1, 0, 1]),
        st.none() | st.floats(0, 1),
        st.integers(0, 3 * DAY),
    ),
    max_size=4,
).map(tuple)
HOURS = st.builds(
    Facts,
    st.integers(NOON, NOON + 60 * DAY),
    st.floats(0, 1),
    st.tuples(*(st.builds(StrategyFacts, st.just(name), st.floats(0, 5), st.booleans()) for name in STRATEGIES)),
    MARKETS,
    st.none() | st.floats(-1, 1),
)


@given(hour=HOURS, worse=st.floats(0, 1))
def test_judgement_is_bounded_repeatable_and_no_better_when_things_get_worse(hour: Facts, worse: float) -> None:
    found = judge(hour)
    assert 0 <= found.bounds.risk_ppm <= PPM
    assert 0 <= found.bounds.confluence_bump_ppm <= PPM // 4
    assert 0 <= found.conviction <= 1
    assert 1 <= found.reward_weights["drawdown"] <= 3
    assert (found, state_hash(found)) == (judge(hour), state_hash(judge(hour)))
    deeper = judge(replace(hour, drawdown=max(hour.drawdown, worse)))
    assert deeper.bounds.is_within(found.bounds)
    older = judge(replace(hour, markets=tuple(replace(one, age_ms=one.age_ms + DAY) for one in hour.markets)))
    assert older.bounds.is_within(found.bounds)


BOUNDS = st.builds(
    Bounds,
    st.integers(0, PPM),
    st.sets(st.sampled_from(STRATEGIES)).map(frozenset),
    st.integers(0, PPM // 4),
)


def share(bounds: Bounds | None, strategy: str) -> int:
    """What a setup of the strategy may have; all of it where nothing is in force."""
    return PPM if bounds is None else 0 if strategy in bounds.paused else bounds.risk_ppm


@given(wishes=st.lists(st.tuples(st.integers(1, 600), BOUNDS), min_size=2, max_size=12))
def test_however_often_it_is_judged_or_not_nothing_is_loosened_faster_than_a_quarter_an_hour(
    wishes: list[tuple[int, Bounds]],
) -> None:
    """Runs may come every minute or not for ten hours: what the engine sees never rises faster, its end included."""
    now, since, ends = 0, 0, 0
    before: Bounds | None = None
    for minutes, wanted in wishes:
        earlier = before
        issued_earlier = since
        now += minutes * MINUTE
        alive = before if now < ends else None
        bounds = slowly(alive, now - since, wanted)
        assert bounds.is_within(wanted)
        for strategy in STRATEGIES if earlier is not None else ():
            most = share(earlier, strategy) + PPM // 4 * (now - issued_earlier) // HOUR
            # Until it was judged again it may have ended by itself.
            assert min(share(bounds, strategy), PPM) <= most
        if earlier is not None and alive is None:
            assert all(share(earlier, one) + PPM // 4 * (ends - issued_earlier) / HOUR >= PPM for one in STRATEGIES)
        before, since, ends = bounds, now, now + time_to_live(bounds)


@given(before=BOUNDS, wanted=BOUNDS, minutes=st.integers(0, 600))
def test_tightening_is_at_once(before: Bounds, wanted: Bounds, minutes: int) -> None:
    found = slowly(before, minutes * MINUTE, wanted)
    assert found.is_within(wanted)
    assert slowly(before, minutes * MINUTE, before.together(wanted)) == before.together(wanted)
    assert SHORTEST <= time_to_live(found) <= LONGEST


def test_facts_of_candles_rank_the_last_day_and_know_no_future() -> None:
    hours = {"a": candles(1, 2300, wild_day=6.0), "b": candles(2, 2300)}
    found = facts_of(hours, {"a": 0, "b": 5}, 0.1, (), NOON)
    wild, usual = found.markets
    assert wild.volatility_rank == 1.0
    assert usual.volatility_rank is not None
    assert usual.volatility_rank < 0.99
    assert found.correlation is not None
    assert abs(found.correlation) < 0.3
    assert found.age_ms == 5
    yesterday = NOON - DAY
    cut = {name: one.between(None, yesterday) for name, one in hours.items()}
    ages = {"a": 0, "b": 0}
    assert facts_of(hours, ages, 0.1, (), yesterday) == facts_of(cut, ages, 0.1, (), yesterday)


def test_facts_of_few_or_equal_candles_say_what_is_not_known() -> None:
    flat = candles(1, 400)
    still = replace(flat, close=np.full(400, 100.0))
    found = facts_of({"a": flat, "b": still}, {"a": 0, "b": 0}, 0.0, (), NOON)
    assert [one.volatility_rank for one in found.markets] == [None, None]
    assert found.correlation is None
    assert judge(found).state is MarketState.UNKNOWN
