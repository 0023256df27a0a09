"""What is tried on an account before it is traded, and room for what protects before anything is bought."""

from pathlib import Path

import pytest
from tests.integration.exchanges.places import BINANCE, COINBASE, KRAKEN, OKX, Place, every, on
from tests.integration.exchanges.trading_desk import desk_on, kinds
from tests.local_exchanges.fault_rules import unavailable
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.domain.orders import ProtectionMode
from tradepulse.exchanges import ccxt_exchange, ccxt_gateway

Terms = dict[str, str | None]


def on_binance(terms: Terms, **options: int) -> "object":
    accounts = {"alice": {"USDT": "10000", "BTC": "1"}}
    return local_exchange("binance", seed=3, markets={"BTC/USDT": terms}, accounts=accounts, **options)


@pytest.mark.parametrize(("terms", "words"), [({"most_stops": "1"}, "open stops"), ({"most_pairs": "1"}, "open pairs")])
async def test_entry_when_there_is_no_room_for_its_stop_then_not_sent(terms: Terms, words: str, tmp_path: Path) -> None:
    with on_binance(terms) as exchange:  # type: ignore[attr-defined]
        async with desk_on(exchange, tmp_path) as desk:
            assert kinds(await desk.execute(desk.entry(1)))[-1] == "ended"
            # Bought and not protected yet: its stop is counted.
            (fact,) = await desk.execute(desk.entry(2))
            assert words in fact.reason
            assert kinds(await desk.execute(desk.pair(1))) == ["accepted", "accepted"]
            (fact,) = await desk.execute(desk.entry(3))
            assert words in fact.reason
            await desk.execute(desk.cancel_pair(1))
            assert kinds(await desk.execute(desk.entry(4)))[-1] == "ended"
        assert len([each for each in exchange.orders() if each["side"] == "buy"]) == 2


@every([BINANCE])
async def test_entry_when_stops_of_others_take_the_room_then_not_sent(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.instrument(most_stops=2)
    for stop in ("40000", "41000"):
        exchange.place("sell", "0.01", stop=stop)
    async with on(place, exchange, tmp_path) as desk:
        await desk.gateway.account()
        (fact,) = await desk.execute(desk.entry(1))
        assert "3 open stops" in fact.reason


async def test_entry_when_too_many_orders_went_out_then_not_sent_and_a_stop_is(tmp_path: Path) -> None:
    with on_binance({}, orders_limit=5) as exchange:  # type: ignore[attr-defined]
        async with desk_on(exchange, tmp_path) as desk:
            assert kinds(await desk.execute(desk.entry(1)))[-1] == "ended"
            await desk.execute(desk.pair(1))
            (fact,) = await desk.execute(desk.entry(2))
            assert "within 10 s" in fact.reason
            assert kinds(await desk.execute(desk.stop(3))) == ["accepted"]


@every([OKX, COINBASE])
async def test_account_when_its_trial_goes_well_then_pairs_are_used_and_nothing_is_left_of_it(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    async with on(place, exchange, tmp_path, probed=None) as desk:
        probe = desk.gateway.probes[desk.market]
        assert (probe.passed, probe.okx_trade_mode) == (True, "cash")
        assert desk.gateway.modes() == {desk.market: ProtectionMode.NATIVE}
        # Nothing ever rested: what a trial keeps, a stop cannot have.
        assert exchange.orders() == []
        assert exchange.fills() == []
        assert kinds(await desk.execute(desk.pair(1))) == ["accepted", "accepted"]


@pytest.mark.parametrize(("coins", "passed"), [("1", True), ("0", False)])
async def test_account_of_okx_when_it_takes_cross_alone_then_used_only_where_nothing_can_be_borrowed(
    coins: str, passed: bool, tmp_path: Path
) -> None:
    accounts = {"alice": {"USDT": "10000", "BTC": coins}}
    with local_exchange("okx", seed=3, accounts=accounts, algo_modes=["cross"]) as exchange:
        async with desk_on(exchange, tmp_path, probed=None) as desk:
            probe = desk.gateway.probes[desk.market]
            assert probe.passed is passed
            assert "tdMode cash was refused" in probe.why if not passed else probe.okx_trade_mode == "cross"
            assert exchange.orders(open_only=True) == []


async def test_account_of_coinbase_when_there_are_no_brackets_then_stops_are_emulated(tmp_path: Path) -> None:
    with local_exchange("coinbase", seed=3, brackets=[]) as exchange:
        async with desk_on(exchange, tmp_path, symbol="BTC/USD", probed=None) as desk:
            assert not desk.gateway.probes[desk.market].passed
            assert desk.gateway.modes() == {desk.market: ProtectionMode.EMULATED}


@every([OKX, COINBASE])
async def test_account_when_its_trial_is_not_answered_then_stops_are_emulated(
    place: Place, exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.fault(unavailable(times=None, path="order-algo|preview"))
    async with on(place, exchange, tmp_path, probed=None) as desk:
        assert not desk.gateway.probes[desk.market].passed
        assert desk.gateway.modes() == {desk.market: ProtectionMode.EMULATED}


@every([KRAKEN])
async def test_entry_when_the_exchange_says_of_itself_that_it_is_in_maintenance_then_refused(
    place: Place, exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccxt_gateway, "STATUS_SECONDS", 1.0)
    async with on(place, exchange, tmp_path) as desk:
        exchange.venue("system", status="maintenance")
        await desk.until(lambda: "maintenance" in desk.gateway.obstacle(desk.market))
        exchange.venue("system", status="online")
        await desk.until(lambda: desk.gateway.obstacle(desk.market) == "")


@every([OKX])
async def test_entry_when_a_login_was_refused_once_then_the_account_is_listened_to_again_and_it_is_sent(
    place: Place, exchange: RunningExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ccxt takes the refused login for one that is under way, and nothing more comes on that connection."""
    monkeypatch.setattr(ccxt_exchange, "CLOCK_PAUSE_MS", 0)
    async with on(place, exchange, tmp_path) as desk:
        await desk.until(lambda: _own_channels(exchange) == 2)
        exchange.clock(skew=3_600_000)
        exchange.cut_streams()
        await desk.until(lambda: "is down" in desk.gateway.obstacle(desk.market))
        await desk.until(lambda: desk.gateway.obstacle(desk.market) == "")
        await desk.until(lambda: _own_channels(exchange) == 2)
        assert kinds(await desk.execute(desk.entry(1)))[-1] == "ended"


def _own_channels(exchange: RunningExchange) -> int:
    told = exchange.streams()["connections"]
    return sum("orders" in name for each in told for name in each["wanted"])
