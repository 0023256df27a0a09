"""The loss of all wallets together: known only when all of them are."""

from decimal import Decimal

import pytest

from tradepulse.core.wallets import Wallets, WalletState
from tradepulse.domain.market import DAY
from tradepulse.domain.risk import WalletLimits

TODAY = 20_000 * DAY
LIMIT = WalletLimits(daily_loss_ppm=15_000)


def book(equity: int, *, baseline: int = 10_000, day: int = TODAY, loaded: bool = True) -> WalletState:
    return WalletState(loaded, Decimal(equity), Decimal(0), day, Decimal(baseline), frozenset())


def loss(*books: WalletState) -> str:
    wallets = Wallets(LIMIT)
    for number, state in enumerate(books):
        wallets.join(str(number), ["USD"], lambda state=state: state)  # type: ignore[misc]
    return wallets.loss_of(TODAY)


def test_loss_of_one_book_when_the_other_is_not_loaded_then_no_alarm_yet() -> None:
    assert loss(book(9_772), book(0, loaded=False, day=0)) == ""
    assert loss(book(9_772), book(10_000)) == "", "227.88 of 20000 are 1.1 %"


def test_loss_of_all_books_when_the_limit_is_reached_then_it_is_told() -> None:
    assert "of the day's 20000 in all wallets were lost" in loss(book(9_800), book(9_900))
    assert loss(book(9_800), book(9_901)) == ""


@pytest.mark.parametrize(("first", "told"), [(9_772, False), (9_600, True)])
def test_loss_when_a_book_has_not_seen_the_day_begin_then_it_counts_with_what_it_has(first: int, told: bool) -> None:
    assert bool(loss(book(first), book(10_000, baseline=11_000, day=TODAY - DAY))) is told
