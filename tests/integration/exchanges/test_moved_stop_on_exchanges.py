"""How long a holding is without a resting stop while what protects it is replaced, by the exchange's own ledger.

Every request takes 60 ms to the exchange, and its answer as long back.
"""

from pathlib import Path

import pytest
from tests.integration.exchanges.trading_desk import desk_on
from tests.local_exchanges.fault_rules import Broken, FaultRule
from tests.local_exchanges.running import local_exchange

from tradepulse.domain.commands import Command
from tradepulse.domain.events import OrderAccepted, OrderEnded
from tradepulse.exchanges.rate_budget import BURSTS

WAY = 0.06
ROUND_TRIP_MS = 2_000 * WAY


@pytest.mark.parametrize(("exchange_id", "pairs"), [("binance", True), ("okx", True), ("kraken", False)])
async def test_stop_when_replaced_then_the_exchange_has_none_for_about_one_round_trip(
    exchange_id: str, pairs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BURSTS, "kraken", 1e6)
    options = {"counter_limit": 1e6} if exchange_id == "kraken" else {}
    accounts = {"alice": {"USDT": "10000", "BTC": "1"}}
    markets: dict[str, dict[str, str | None]] = {"BTC/USDT": {"largest_market_quantity": "1000000"}}
    with local_exchange(exchange_id, seed=3, markets=markets, accounts=accounts, **options) as exchange:
        async with desk_on(exchange, tmp_path) as desk:
            await desk.buy()
            first: Command = desk.pair(1) if pairs else desk.stop(1)
            again: Command = desk.pair(2, stop="49500") if pairs else desk.stop(2, stop="49500")
            assert isinstance((await desk.execute(first))[0], OrderAccepted)
            before = len(exchange.uncovered())
            exchange.fault(FaultRule(Broken.NOTHING, executes=True, times=None, delay=WAY, delay_answer=WAY))
            ended = await desk.execute(desk.cancel_pair(1) if pairs else desk.cancel(1))
            assert any(isinstance(fact, OrderEnded) for fact in ended)
            assert isinstance((await desk.execute(again))[0], OrderAccepted)
            (bare,) = exchange.uncovered()[before:]
    assert bare.end is not None
    # The answer to the cancellation on its way back, and the new order on its way there. More is left for a stream that
    # is slower than the answer: then it is asked what became of the old order.
    assert 0.9 * ROUND_TRIP_MS <= bare.end - bare.begin < 3 * ROUND_TRIP_MS
