"""The local exchange of a ``Place``, and budgets that let tests run faster than the exchanges' rates."""

from collections.abc import Iterator

import pytest
from tests.canary import no_canary_is_seen
from tests.integration.exchanges.places import ROOMY, Place
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.exchanges.rate_budget import BURSTS

__all__ = ["no_canary_is_seen"]


@pytest.fixture
def exchange(place: Place) -> Iterator[RunningExchange]:
    accounts = {name: {place.quote: "10000", "BTC": "1", "ETH": "10"} for name in ("alice", "bob")}
    markets: dict[str, dict[str, str | None]] = {place.symbol: ROOMY, place.other: {**ROOMY, "last": "3000"}}
    with local_exchange(place.exchange, seed=3, markets=markets, accounts=accounts, **place.options) as running:
        yield running


@pytest.fixture(autouse=True)
def saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates of some exchanges would make a test as slow as life."""
    for name in ("kraken", "coinbase", "okx"):
        monkeypatch.setitem(BURSTS, name, 1e6)
