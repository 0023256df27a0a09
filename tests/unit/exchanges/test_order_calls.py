"""Rounding never loosens protection, and what an exchange cannot do is refused before anything is sent."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.local_exchanges.traded_markets import MARKET_IDS, SYMBOL, traded_market

from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.exchanges.order_calls import order_calls
from tradepulse.exchanges.rounding import Rounding
from tradepulse.exchanges.unified_calls import Exit, OrderForm, PairIds, SentOrder, TradedMarket
from tradepulse.exchanges.venue_facts import StopType
from tradepulse.shared.errors import RefusedError

IDS = PairIds("abcdefgh234567p001", "abcdefgh234567s001", "abcdefgh234567t001")
ONE = Decimal(1)
steps = st.integers(-8, 2).map(lambda exponent: ONE.scaleb(exponent)) | st.sampled_from(
    [Decimal("0.05"), Decimal("0.25"), Decimal("2.5")]
)
roundings = st.builds(Rounding, steps, steps, st.none() | st.just(5))
prices = st.decimals("0.00000001", "99999999", allow_nan=False, allow_infinity=False, places=10)


def rounded(told: str) -> Decimal:
    assert set(told) <= set("0123456789.")
    return Decimal(told)


def price_step(rounding: Rounding, price: Decimal) -> Decimal:
    if rounding.digits is None:
        return rounding.tick_size
    return max(rounding.tick_size, ONE.scaleb(price.adjusted() - rounding.digits + 1))


@given(roundings, prices)
def test_prices_when_rounded_up_then_a_stop_is_not_later_and_a_limit_not_worse(
    rounding: Rounding, price: Decimal
) -> None:
    for told in (rounding.sell_stop(price), rounding.sell_limit(price)):
        assert price <= rounded(told) < price + price_step(rounding, price)
        assert rounded(told) % rounding.tick_size == 0


@given(roundings, prices)
def test_prices_when_rounded_down_then_a_buy_is_not_dearer_and_a_stopped_sale_not_harder(
    rounding: Rounding, price: Decimal
) -> None:
    step = price_step(rounding, price)
    for rule in (rounding.buy_limit, rounding.sell_stop_limit):
        if price < step:
            with pytest.raises(RefusedError, match="needs more than nothing"):
                rule(price)
        else:
            assert price - step < rounded(rule(price)) <= price


@given(roundings, prices)
def test_prices_when_rounded_then_rounding_again_changes_nothing(rounding: Rounding, price: Decimal) -> None:
    once = rounding.sell_stop(price)
    assert rounding.sell_stop(rounded(once)) == rounding.sell_limit(rounded(once)) == once
    assert rounding.buy_limit(rounded(once)) == once


@given(roundings, prices)
def test_prices_when_digits_are_limited_then_no_more_are_used(rounding: Rounding, price: Decimal) -> None:
    if rounding.digits is not None and rounding.tick_size.normalize().as_tuple().digits == (1,):
        digits = rounded(rounding.sell_stop(price)).normalize().as_tuple().digits
        assert len(digits) <= rounding.digits


@given(roundings, prices)
def test_amounts_when_rounded_then_never_more_than_there_is(rounding: Rounding, quantity: Decimal) -> None:
    if quantity < rounding.lot_size:
        with pytest.raises(RefusedError, match="lot size"):
            rounding.amount(quantity)
    else:
        told = rounded(rounding.amount(quantity))
        assert quantity - rounding.lot_size < told <= quantity
        assert told % rounding.lot_size == 0


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "-1", "0"])
def test_numbers_when_not_positive_and_finite_then_refused(value: str) -> None:
    for rounding in (Rounding(ONE, ONE), Rounding(ONE, ONE, 5)):
        for rule in (rounding.amount, rounding.money, rounding.sell_stop, rounding.sell_limit, rounding.buy_limit):
            with pytest.raises(RefusedError):
                rule(Decimal(value))


@pytest.mark.parametrize("exchange", MARKET_IDS)
def test_pair_when_the_exchange_has_none_then_refused_with_the_reason(exchange: str) -> None:
    calls = order_calls(traded_market(exchange))
    leaving = Exit(ONE, Decimal(45_000), Decimal(60_000), Decimal(44_000))
    if calls.venue.pair_stop.value is None:
        with pytest.raises(RefusedError, match="Rest the stop alone") as refusal:
            calls.protective_pair(IDS, leaving)
        assert calls.venue.why in str(refusal.value)
    else:
        assert IDS.pair in str(calls.protective_pair(IDS, leaving)) or exchange == "bitfinex"


@pytest.mark.parametrize("exchange", MARKET_IDS)
def test_exit_when_its_prices_are_the_wrong_way_round_then_refused(exchange: str) -> None:
    calls = order_calls(traded_market(exchange))
    with pytest.raises(RefusedError, match="below its target"):
        calls.protective_pair(IDS, Exit(ONE, Decimal("60000.001"), Decimal("60000.002")))
    with pytest.raises(RefusedError, match="may never fill"):
        calls.resting_stop(IDS.stop, ONE, Decimal(45_000), Decimal(45_001))


def test_pair_when_its_stop_must_have_a_limit_then_refused_without() -> None:
    with pytest.raises(RefusedError, match="Give the stop's worst price"):
        order_calls(traded_market("kucoin")).protective_pair(IDS, Exit(ONE, Decimal(45_000), Decimal(60_000)))


@pytest.mark.parametrize("exchange", MARKET_IDS)
def test_stop_at_market_when_the_exchange_has_none_then_refused_with_the_remedy(exchange: str) -> None:
    calls = order_calls(traded_market(exchange))
    if StopType.MARKET in calls.venue.stop_types.value:
        assert not calls.resting_stop(IDS.stop, ONE, Decimal(45_000)).unified
    else:
        with pytest.raises(RefusedError, match="worst price"):
            calls.resting_stop(IDS.stop, ONE, Decimal(45_000))


def test_stop_when_the_market_lists_none_then_refused() -> None:
    market = traded_market("binance")
    bare = TradedMarket(market.spec, market.id, {"orderTypes": ["LIMIT", "MARKET"]})
    with pytest.raises(RefusedError, match="no stop at all"):
        order_calls(bare).resting_stop(IDS.stop, ONE, Decimal(45_000))


@pytest.mark.parametrize("exchange", ["coinbase", "gate", "bitget"])
def test_market_buy_when_measured_in_cost_and_none_given_then_refused(exchange: str) -> None:
    calls = order_calls(traded_market(exchange))
    with pytest.raises(RefusedError, match="cost"):
        calls.market_entry("abcdefgh234567e001", ONE)
    assert calls.market_entry("abcdefgh234567e001", ONE, Decimal("500.129")).arguments[3] == "500.12"


@pytest.mark.parametrize(("exchange", "form"), [("coinbase", form) for form in OrderForm] + [("gate", OrderForm.STOP)])
def test_cancellation_when_the_exchange_needs_its_own_id_then_refused_until_it_is_known(
    exchange: str, form: OrderForm
) -> None:
    calls = order_calls(traded_market(exchange))
    with pytest.raises(RefusedError, match="by a query first"):
        calls.cancel(SentOrder(IDS.stop, form, 0))
    assert calls.cancel(SentOrder(IDS.stop, form, 0, "42")).arguments[0] == "42"


@pytest.mark.parametrize(
    ("exchange", "symbol", "kind"),
    [("nowhere", SYMBOL, MarketKind.SPOT), ("binance", "BTC/USDT:USDT", MarketKind.SWAP)],
)
def test_market_when_not_among_those_tried_then_no_orders_are_built(
    exchange: str, symbol: str, kind: MarketKind
) -> None:
    spec = MarketSpec(MarketKey(exchange, symbol), "BTC", "USDT", kind, ONE, ONE, ONE, 0, 0, 0)
    with pytest.raises(RefusedError, match="Trade spot on one of: binance"):
        order_calls(TradedMarket(spec, "BTCUSDT", {}))


def test_okx_when_the_probe_found_another_trade_mode_then_stops_and_pairs_use_it() -> None:
    calls = order_calls(traded_market("okx"), okx_trade_mode="cross")
    (order,) = calls.resting_stop(IDS.stop, ONE, Decimal(45_000)).arguments
    assert order["tdMode"] == "cross"
