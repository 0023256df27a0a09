"""A share of the size is at most that share, never more than all of it, and nothing at zero."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.trading import CASH, MARKET, setup, spec

from tradepulse.core.effective_size import EffectiveSize, Voice
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_manager import RiskLimits, SizedEntry, size_entry
from tradepulse.domain.market import MarketKind
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.kernels.fills import PPM

NOTHING = EffectiveSize(0, Voice.RELIABILITY)


def portfolio(cash: Decimal = CASH) -> Portfolio:
    book = Portfolio({MARKET: spec()})
    book.deposit(cash, 0, "start")
    return book


def lots(share_ppm: int, limits: RiskLimits) -> int:
    sized = size_entry(setup(), spec(), portfolio(), limits, busy=False, size=EffectiveSize(share_ppm))
    return sized.lots if isinstance(sized, SizedEntry) else 0


@given(
    share=st.integers(0, PPM),
    more=st.integers(0, 5 * PPM),
    risk=st.integers(1_000, 100_000),
    largest=st.integers(10_000, PPM),
)
def test_size_grows_with_its_share_and_never_exceeds_that_share_of_the_whole(
    share: int, more: int, risk: int, largest: int
) -> None:
    limits = RiskLimits(risk, largest, 0.5)
    whole = lots(PPM, limits)
    assert lots(share, limits) <= lots(min(PPM, share + more), limits) <= whole == lots(PPM + more, limits)
    assert lots(share, limits) * PPM <= whole * share + PPM


def test_size_when_the_share_is_nothing_then_quarantined_and_other_reasons_come_first() -> None:
    limits = RiskLimits(10_000, PPM, 0.5)
    assert size_entry(setup(), spec(), portfolio(), limits, busy=False, size=NOTHING) is Verdict.QUARANTINED
    assert size_entry(setup(), spec(), portfolio(), limits, busy=True, size=NOTHING) is Verdict.POSITION_OPEN
    strict = RiskLimits(10_000, PPM, 1.1)
    assert size_entry(setup(), spec(), portfolio(), strict, busy=False, size=NOTHING) is Verdict.CONFLUENCE_TOO_LOW
    short = setup(direction=Direction.SHORT, stop=102.0)
    assert size_entry(short, spec(), portfolio(), limits, busy=False, size=NOTHING) is Verdict.SHORT_NOT_POSSIBLE
    swap = size_entry(short, spec(MarketKind.SWAP), portfolio(), limits, busy=False, size=NOTHING)
    assert swap is Verdict.QUARANTINED
