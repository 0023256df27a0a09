"""What is known of an order, whatever order the news comes in."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.integration.engine.scripted import spec

from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderFilled, OrderRejected
from tradepulse.domain.market import MarketKind
from tradepulse.domain.orders import OrderRole, OrderStatus
from tradepulse.exchanges.order_answers import SeenOrder, SeenTrade
from tradepulse.exchanges.tracked_orders import Leg, TrackedOrder
from tradepulse.exchanges.unified_calls import OrderForm

SPEC = spec(MarketKind.SPOT)
STOP, TARGET = Decimal(490), Decimal(510)
TRADES = [Decimal("0.003"), Decimal("0.001"), Decimal("0.006")]
NOW = 1_000


def order(*, pair: bool = False) -> TrackedOrder:
    legs = (Leg("stop", OrderRole.STOP, STOP), Leg("target", OrderRole.TARGET, TARGET)) if pair else ()
    return TrackedOrder("order", OrderRole.STOP, OrderForm.PAIR if pair else OrderForm.STOP, SPEC, 0, legs)


def trade(number: int, price: Decimal = STOP, *fees: tuple[str, Decimal]) -> SeenTrade:
    return SeenTrade(str(number), "7", SPEC.key.symbol, False, price, TRADES[number], fees, number)


def seen(status: OrderStatus, filled: str, **more: object) -> SeenOrder:
    whole = Decimal("0.010")
    return SeenOrder("7", "order", SPEC.key.symbol, status, whole, Decimal(filled), "sell", "why", **more)  # type: ignore[arg-type]


NEWS = [
    seen(OrderStatus.OPEN, "0"),
    seen(OrderStatus.OPEN, "0.003"),
    seen(OrderStatus.OPEN, "0.004"),
    seen(OrderStatus.FILLED, "0.010"),
    *(trade(number) for number in range(3)),
]


@given(
    order_of_news=st.permutations(range(len(NEWS))), again=st.lists(st.integers(0, len(NEWS) - 1)), pair=st.booleans()
)
def test_order_when_news_comes_in_any_order_and_again_then_each_fact_is_told_once(
    order_of_news: list[int], again: list[int], pair: bool
) -> None:
    tracked = order(pair=pair)
    for number in [*order_of_news, *again, *range(len(NEWS))]:
        news = NEWS[number]
        if isinstance(news, SeenOrder):
            tracked.absorb(news, NOW)
        else:
            tracked.absorb_trades([news], {})
        if not tracked.short:
            tracked.finish(NOW)
    assert tracked.settled
    fills = [fact.fill for fact in tracked.facts if isinstance(fact, OrderFilled)]
    assert sorted(fill.fill_id for fill in fills) == [f"{SPEC.key.symbol}:{number}" for number in range(3)]
    assert sum(fill.lots for fill in fills) == tracked.filled_lots == 10
    names = ["stop", "target"] if pair else ["order"]
    for kind in (OrderAccepted, OrderEnded):
        assert [fact.client_id for fact in tracked.facts if isinstance(fact, kind)] == names
    ended = [fact for fact in tracked.facts if isinstance(fact, OrderEnded)]
    assert (ended[0].status, ended[0].filled_lots) == (OrderStatus.FILLED, 10)
    assert all(fact.filled_lots == 0 for fact in ended[1:])
    assert isinstance(tracked.facts[-1], OrderEnded)


def test_pair_when_it_fills_near_the_target_then_the_target_is_named() -> None:
    pair = order(pair=True)
    pair.absorb(seen(OrderStatus.FILLED, "0.003"), NOW)
    pair.absorb_trades([trade(0, Decimal("510.5"))], {})
    pair.finish(NOW)
    assert [(e.client_id, e.filled_lots) for e in pair.facts if isinstance(e, OrderEnded)] == [
        ("stop", 0),
        ("target", 3),
    ]


def test_pair_when_its_target_gives_way_to_its_stop_then_each_half_ends_with_what_it_sold() -> None:
    pair = order(pair=True)
    pair.absorb_trades([], {})
    pair.absorb(seen(OrderStatus.FILLED, "0.010"), NOW)
    pair.absorb_trades([trade(2, TARGET), trade(1, TARGET)], {})
    pair.finish(NOW)
    assert not pair.ended, "which half the missing execution belongs to is not known yet"
    pair.absorb_trades([trade(0, STOP)], {})
    pair.finish(NOW)
    assert pair.settled
    sold = {"stop": 0, "target": 0}
    for fact in pair.facts:
        if isinstance(fact, OrderFilled):
            sold[fact.fill.client_id] += fact.fill.lots
    assert {e.client_id: e.filled_lots for e in pair.facts if isinstance(e, OrderEnded)} == sold
    assert sold == {"stop": 3, "target": 7}


def test_pair_when_placed_by_an_earlier_process_then_its_levels_are_the_exchanges() -> None:
    pair = order(pair=True)
    pair.legs = (Leg("stop", OrderRole.STOP, Decimal(0)), Leg("target", OrderRole.TARGET, Decimal(0)))
    pair.absorb(seen(OrderStatus.OPEN, "0", stop=STOP, target=TARGET), NOW)
    pair.absorb_trades([trade(0, Decimal(509))], {})
    assert [event.fill.client_id for event in pair.facts if isinstance(event, OrderFilled)] == ["target"]


def test_fees_when_taken_in_other_currencies_then_quote_base_and_worth_are_kept_apart() -> None:
    tracked = order()
    tracked.accept("7", NOW)
    fees = (("USD", Decimal("0.1")), ("ABC", Decimal("0.00001")), ("BNB", Decimal("0.001")))
    tracked.absorb_trades([trade(0, STOP, *fees)], {"BNB": Decimal(600)})
    (fill,) = [fact.fill for fact in tracked.facts if isinstance(fact, OrderFilled)]
    assert (fill.fee, fill.fee_lots_base) == (Decimal("0.7"), Decimal("0.00001"))
    tracked.absorb_trades([trade(1, STOP, ("XYZ", Decimal(1)))], {})
    estimated = [fact.fill for fact in tracked.facts if isinstance(fact, OrderFilled)][1]
    assert estimated.fee == STOP * Decimal("0.001") * SPEC.taker_ppm / 1_000_000


def test_order_when_refused_and_then_shown_by_the_exchange_then_that_is_told_too() -> None:
    tracked = order()
    tracked.reject("no", NOW)
    tracked.absorb(seen(OrderStatus.OPEN, "0"), NOW)
    assert [type(fact) for fact in tracked.facts] == [OrderRejected, OrderAccepted]


def test_order_when_its_executions_lag_then_short_until_they_are_all_there() -> None:
    tracked = order()
    tracked.absorb(seen(OrderStatus.CANCELLED, "0.004"), NOW)
    assert tracked.short
    tracked.finish(NOW)
    assert not tracked.settled
    tracked.absorb_trades([trade(0), trade(1)], {})
    assert tracked.settled
