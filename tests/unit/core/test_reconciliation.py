"""Our book against the exchange's."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradepulse.core.reconciliation import Action, BookView, Difference, ReconciliationPolicy, reconcile
from tradepulse.domain.client_ids import ClientId, IdRole
from tradepulse.domain.commands import CancelOrder, QueryOrder
from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import AccountView, RestingOrder

MARKET = MarketKey("binance", "BTC/USDT")
OURS, OTHER = "tradetradeaaaa", "tradetradebbbb"
STOP = str(ClientId(OURS, IdRole.STOP, 1))


def book(coins: str = "0.5", cash: str = "1000", *open_ids: str) -> BookView:
    return BookView({"USDT": Decimal(cash)}, {"BTC": Decimal(coins)}, frozenset(open_ids), frozenset({OURS}))


def account(coins: str = "0.5", cash: str = "1000", *ids: str | None) -> AccountView:
    resting = tuple(
        RestingOrder(MARKET, str(number), client_id, False, Decimal("0.5")) for number, client_id in enumerate(ids)
    )
    totals = {"BTC": Decimal(coins), "USDT": Decimal(cash)}
    return AccountView("binance", totals, totals, resting, 0)


def test_books_when_they_say_the_same_then_nothing_is_found_and_entries_may_go_on() -> None:
    result = reconcile(book("0.5", "1000", STOP), account("0.5", "1000", STOP))
    assert (result.findings, result.commands, result.obstacle) == ((), (), "")


def test_order_when_it_is_not_ours_then_told_and_left_alone() -> None:
    result = reconcile(book(), account("0.5", "1000", None))
    assert [(each.difference, each.action) for each in result.findings] == [(Difference.FOREIGN_ORDER, Action.ALARM)]
    assert (result.commands, result.obstacle) == ((), "")


def test_order_when_its_trade_is_not_in_the_book_then_cancelled() -> None:
    orphan = str(ClientId(OTHER, IdRole.STOP, 0))
    assert reconcile(book(), account("0.5", "1000", orphan)).commands == (CancelOrder(orphan, MARKET),)


def test_order_when_the_book_believes_it_ended_then_asked_about_and_not_cancelled() -> None:
    assert reconcile(book(), account("0.5", "1000", STOP)).commands == (QueryOrder(STOP, MARKET),)


def test_coins_when_fewer_are_held_then_no_entries_until_it_is_explained() -> None:
    result = reconcile(book("0.5"), account("0.4"))
    assert [each.difference for each in result.findings] == [Difference.MISSING_COINS]
    assert "0.4 is held where the book says 0.5" in result.obstacle
    assert result.commands == ()


def test_money_when_less_is_there_then_no_entries_and_more_is_the_owners_own_affair() -> None:
    assert reconcile(book(), account(cash="999")).obstacle
    assert not reconcile(book(), account(cash="5000")).findings


def test_coins_when_more_are_held_then_ignored_unless_the_policy_says_otherwise() -> None:
    assert reconcile(book("0.5"), account("0.7")).findings == ()
    strict = ReconciliationPolicy({**ReconciliationPolicy().actions, Difference.EXTRA_COINS: Action.ALARM})
    assert [each.difference for each in reconcile(book("0.5"), account("0.7"), strict).findings] == [
        Difference.EXTRA_COINS
    ]


def test_difference_when_it_is_dust_then_nothing() -> None:
    dusty = ReconciliationPolicy(dust={"BTC": Decimal("0.00001"), "USDT": Decimal("0.01")})
    assert not reconcile(book("0.5", "1000"), account("0.499995", "999.995"), dusty).findings


names = st.sampled_from([None, STOP, str(ClientId(OTHER, IdRole.EXIT, 2)), str(ClientId(OURS, IdRole.TARGET, 0))])


@given(ids=st.lists(names, max_size=5), held=st.sampled_from(["0", "0.5", "0.6"]))
def test_findings_when_looked_at_twice_then_they_are_the_same_in_any_order_of_the_orders(
    ids: list[str | None], held: str
) -> None:
    seen = account(held, "1000", *ids)
    turned = AccountView("binance", seen.totals, seen.free, tuple(reversed(seen.resting)), 99)
    first, second = reconcile(book(), seen), reconcile(book(), turned)
    assert first == second
    assert len({each.finding_id for each in first.findings}) == len(set(first.findings))
