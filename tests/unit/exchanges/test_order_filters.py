"""What an exchange demands of an order."""

from decimal import Decimal

import pytest

from tradepulse.exchanges.order_filters import OrderFilters, filters_of

BINANCE = {
    "limits": {
        "amount": {"min": 0.00001, "max": 9000.0},
        "cost": {"min": 5.0, "max": 9000000.0},
        "price": {"min": 0.01, "max": 1000000.0},
    },
    "info": {
        "filters": [
            {"filterType": "MARKET_LOT_SIZE", "maxQty": "100"},
            {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": False},
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "1.2",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.8",
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        ]
    },
}


def test_filters_when_read_from_binance_then_those_that_ccxt_leaves_out_are_there_too() -> None:
    filters = filters_of(BINANCE)
    assert (filters.min_amount, filters.max_market_amount, filters.min_cost) == (
        Decimal("0.00001"),
        Decimal(100),
        Decimal(5),
    )
    assert (filters.buy_up, filters.sell_down, filters.market_cost_counts) == (Decimal("1.2"), Decimal("0.8"), False)
    assert (filters.max_orders, filters.max_stops, filters.max_pairs) == (200, 5, 20)


def test_filters_when_a_market_names_none_then_everything_passes() -> None:
    filters = filters_of({"limits": {"amount": {"min": 0.0}}, "info": {}})
    assert filters == OrderFilters()
    assert filters.amount_refusal(Decimal(1), Decimal(1), at_market=True) == ""
    assert filters.price_refusal(Decimal(1), Decimal(100), buys=True) == ""
    assert filters.room_refusal(10**6, 10**6, 10**6) == ""


@pytest.mark.parametrize(
    ("amount", "price", "at_market", "words"),
    [
        ("0.000001", "50000", False, "below the minimum of 0.00001"),
        ("9001", "1", False, "above the maximum of 9000"),
        ("101", "1", True, "above the maximum of 100"),
        ("101", "1", False, ""),
        ("0.00009", "50000", False, "a value of 4.5 is below"),
        ("0.00009", "50000", True, ""),
        ("0.0001", "50000", False, ""),
    ],
)
def test_amount_when_it_breaks_a_filter_then_the_value_and_the_rule_are_named(
    amount: str, price: str, at_market: bool, words: str
) -> None:
    refusal = filters_of(BINANCE).amount_refusal(Decimal(amount), Decimal(price), at_market=at_market)
    assert words in refusal
    assert bool(words) is bool(refusal)


@pytest.mark.parametrize(
    ("price", "reference", "buys", "words"),
    [
        ("60001", "50000", True, "more than 1.2 times"),
        ("60000", "50000", True, ""),
        ("60001", "50000", False, ""),
        ("39999", "50000", False, "less than 0.8 times"),
        ("60001", None, True, ""),
        ("0.001", "1", True, "below the minimum of 0.01"),
        ("2000000", None, False, "above the maximum"),
    ],
)
def test_price_when_it_is_too_far_from_the_market_then_refused_by_its_side(
    price: str, reference: str | None, buys: bool, words: str
) -> None:
    market = None if reference is None else Decimal(reference)
    refusal = filters_of(BINANCE).price_refusal(Decimal(price), market, buys=buys)
    assert words in refusal
    assert bool(words) is bool(refusal)


def test_room_when_one_more_would_be_too_many_then_refused() -> None:
    filters = filters_of(BINANCE)
    assert filters.room_refusal(200, 5, 20) == ""
    assert "201 open orders" in filters.room_refusal(201, 0, 0)
    assert "6 open stops" in filters.room_refusal(0, 6, 0)


def test_values_when_okx_limits_only_orders_at_market_then_others_pass() -> None:
    filters = filters_of({"limits": {"cost": {"max": 1_000_000.0}}, "info": {"maxMktSz": "1000000"}})
    assert filters.amount_refusal(Decimal(100), Decimal(50_000), at_market=False) == ""
    assert "above the maximum" in filters.amount_refusal(Decimal(100), Decimal(50_000), at_market=True)
