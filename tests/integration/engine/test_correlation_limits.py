"""Markets that move together: refused, cut down as one, or as far as they are lost together; the same after kills.

Candles of five minutes; twenty of them say how two markets move. The entry is a quarter of the equity.
"""

from dataclasses import replace

import numpy as np
import pytest
from tests.integration.engine.planned import Life, Scene, Wish, lived
from tests.integration.engine.scripted import MARKET, OTHER
from tests.integration.engine.test_risk_limits import lots

from tradepulse.core.correlation import Correlations
from tradepulse.domain.events import SetupEvaluated
from tradepulse.domain.market import MarketKey, MarketKind, Timeframe
from tradepulse.domain.risk import AccountLimits, CorrelationRule
from tradepulse.domain.signals import Verdict

THIRD = MarketKey("replay", "QRS/USD")
RULE = CorrelationRule(timeframe=Timeframe.M5, bars=25, least=20, decay=0.97)
BARS, FIRST, SECOND = 36, 26, 28


def wiggle(seed: int) -> list[float]:
    """Around 100 and never near a stop."""
    moves = np.random.default_rng(seed).normal(0, 0.2, BARS)
    return [round(float(100 + move), 2) for move in moves]


def against(prices: list[float]) -> list[float]:
    return [round(200 - price, 2) for price in prices]


ALIKE = {MARKET: wiggle(1), OTHER: wiggle(1)}
OPPOSED = {MARKET: wiggle(1), OTHER: against(wiggle(1))}
APART = {MARKET: wiggle(1), OTHER: wiggle(2)}
LONG, SHORT = 90.0, 110.0


def scene(prices: dict[MarketKey, list[float]], rule: CorrelationRule, stop: float = LONG, first: int = FIRST) -> Scene:
    wishes = [Wish(MARKET, first), Wish(OTHER, first + 2, stop=stop)]
    return Scene(AccountLimits(correlation=rule), prices, wishes, kind=MarketKind.SWAP)


async def measured(seen: Scene) -> float:
    """Just when the second setup is judged."""
    life = Life(seen)
    await life.start(bars=SECOND + 1)
    specs = [life.engine.portfolio.spec(key) for key in (MARKET, OTHER)]
    found = life.engine.correlations.between(*specs, life.scene.time(SECOND))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("prices", "stop", "verdict"),
    [
        (ALIKE, LONG, Verdict.CORRELATED),
        (ALIKE, SHORT, Verdict.ACCEPTED),
        (OPPOSED, LONG, Verdict.ACCEPTED),
        (OPPOSED, SHORT, Verdict.CORRELATED),
        (APART, LONG, Verdict.ACCEPTED),
    ],
)
async def test_correlated_position_refuses_another_the_same_way_and_an_opposed_one_turns_the_sign(
    prices: dict[MarketKey, list[float]], stop: float, verdict: Verdict
) -> None:
    life = await lived(scene(prices, replace(RULE, limit_ppm=800_000), stop), every=5)
    assert life.verdicts()["XYZ/USD", SECOND] == [verdict]


async def test_correlation_limit_when_just_above_or_just_below_what_is_measured() -> None:
    mixed = {MARKET: wiggle(1), OTHER: [round((a + b) / 2, 2) for a, b in zip(wiggle(1), wiggle(2), strict=True)]}
    at_all = await measured(scene(mixed, replace(RULE, limit_ppm=1_000_000)))
    assert 0.2 < at_all < 0.98
    just_above, just_below = int(at_all * 1_000_000) + 1, int(at_all * 1_000_000) - 1
    kept = await lived(scene(mixed, replace(RULE, limit_ppm=just_above)), every=5)
    assert kept.verdicts()["XYZ/USD", SECOND] == [Verdict.ACCEPTED]
    denied = await lived(scene(mixed, replace(RULE, limit_ppm=just_below)), every=5)
    assert denied.verdicts()["XYZ/USD", SECOND] == [Verdict.CORRELATED]
    (reason,) = [e.reason for e in denied.told if isinstance(e, SetupEvaluated) and e.verdict is Verdict.CORRELATED]
    assert reason.startswith(f"correlation of {at_all:.2f} with replay:ABC/USD")


@pytest.mark.parametrize("stop", [LONG, SHORT])
async def test_correlation_that_is_not_known_counts_as_one_whichever_way(stop: float) -> None:
    early = scene(APART, replace(RULE, limit_ppm=800_000), stop, first=15)
    life = await lived(early, every=5)
    assert life.verdicts()["XYZ/USD", 17] == [Verdict.CORRELATED]


async def test_same_base_asset_elsewhere_counts_as_one() -> None:
    elsewhere = MarketKey("second", "ABC/USD")
    rule = replace(RULE, limit_ppm=800_000)
    wishes = [Wish(MARKET, FIRST), Wish(elsewhere, SECOND)]
    both = Scene(AccountLimits(correlation=rule), {MARKET: wiggle(1), elsewhere: wiggle(2)}, wishes)
    assert (await lived(both, every=5)).verdicts()["ABC/USD", SECOND] == [Verdict.CORRELATED]


async def test_cluster_of_three_is_cut_to_what_it_may_hold_and_one_that_moves_alone_is_not() -> None:
    prices = {MARKET: wiggle(1), OTHER: wiggle(1), THIRD: wiggle(3)}
    rule = replace(RULE, cluster_ppm=300_000)
    wishes = [Wish(MARKET, FIRST), Wish(OTHER, SECOND), Wish(THIRD, SECOND + 2)]
    three = Scene(AccountLimits(correlation=rule), prices, wishes, kind=MarketKind.SWAP)
    first, second, third = lots(await lived(three, every=5))
    assert second < first / 4
    assert third > first * 0.99
    # In one instant: what the second one leaves is less than a lot.
    wishes[2] = Wish(THIRD, SECOND)
    together = Scene(AccountLimits(correlation=rule), prices | {THIRD: wiggle(1)}, wishes, kind=MarketKind.SWAP)
    life = await lived(together, every=5)
    assert lots(life) == [first, second]
    assert life.verdicts()["XYZ/USD", SECOND] == [Verdict.CLUSTER_LIMIT]
    (reason,) = [e.reason for e in life.told if isinstance(e, SetupEvaluated) and e.verdict is Verdict.CLUSTER_LIMIT]
    assert all(name in reason for name in ("ABC/USD", "XYZ/USD", "QRS/USD"))


@pytest.mark.parametrize(("prices", "cut"), [(ALIKE, True), (APART, False)])
async def test_heat_of_positions_that_are_lost_together_is_limited_and_of_others_less(
    prices: dict[MarketKey, list[float]], cut: bool
) -> None:
    """Each risks about 3.1 %: together 6.2 %, apart about 4.4 %."""
    life = await lived(scene(prices, replace(RULE, heat_ppm=50_000)), every=5)
    first, second = lots(life)
    assert (second < first * 0.8) is cut
    full = await Life(scene(prices, replace(RULE, heat_ppm=70_000))).live()
    assert lots(full)[1] > first * 0.99


async def test_heat_when_nothing_is_left_then_denied() -> None:
    limits = AccountLimits(correlation=replace(RULE, heat_ppm=20_000))
    at_once = Scene(limits, ALIKE, [Wish(MARKET, SECOND), Wish(OTHER, SECOND)], kind=MarketKind.SWAP)
    life = await lived(at_once, every=5)
    assert life.verdicts()["ABC/USD", SECOND] == [Verdict.ACCEPTED]
    assert life.verdicts()["XYZ/USD", SECOND] == [Verdict.HEAT_LIMIT]


async def test_engine_that_does_not_read_its_closes_from_the_store_is_caught_by_these_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Correlations, "fill", lambda *_: None)
    with pytest.raises(AssertionError, match="killed at write"):
        await lived(scene(APART, replace(RULE, limit_ppm=800_000)), every=5)
