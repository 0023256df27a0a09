from tradepulse.exchanges.order_pace import OrderPace, PaceLimit, pace_limits


def test_limits_when_an_exchange_publishes_them_then_those_of_orders_within_minutes() -> None:
    told = {
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6_000},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        ]
    }
    assert pace_limits(told) == (PaceLimit(100, 10_000),)
    assert pace_limits({}) == ()


def test_orders_when_as_many_went_out_as_may_then_refused_until_the_first_are_long_enough_ago() -> None:
    now = 1_000
    pace = OrderPace([PaceLimit(4, 10_000)], lambda: now)
    pace.note(2)
    now += 6_000
    assert pace.refusal(2) == ""
    assert "2 orders were sent within 10 s" in pace.refusal(3)
    pace.note(2)
    assert pace.refusal(1)
    now += 4_000
    assert pace.refusal(2) == ""
    assert pace.refusal(3)
    assert OrderPace((), lambda: now).refusal(1_000) == ""
