"""What every venue store promises."""

import pytest

from tradepulse.ports import VenueStore
from tradepulse.storage.in_memory import InMemoryVenueStore
from tradepulse.storage.venues import PostgresVenueStore


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> VenueStore:
    if request.param == "in memory":
        return InMemoryVenueStore()
    return PostgresVenueStore(request.getfixturevalue("database"))


async def test_load_when_nothing_was_saved_then_none(store: VenueStore) -> None:
    assert await store.load("simulated") is None
    assert await store.order("simulated", "a") is None


async def test_save_when_repeated_then_state_is_replaced_and_orders_are_kept(store: VenueStore) -> None:
    await store.save("simulated", {"cash": "10", "price": 0.1 + 0.2}, {"a": {"status": "open"}, "b": {"lots": 1}})
    await store.save("simulated", {"cash": "9"}, {"a": {"status": "filled"}})
    assert await store.load("simulated") == {"cash": "9"}
    assert await store.order("simulated", "a") == {"status": "filled"}
    assert await store.order("simulated", "b") == {"lots": 1}
    assert await store.order("other", "a") is None
    assert await store.load("other") is None


async def test_save_when_an_order_cannot_be_written_then_nothing_is(store: VenueStore) -> None:
    await store.save("simulated", {"cash": "10"}, {})
    with pytest.raises(TypeError):
        await store.save("simulated", {"cash": "0"}, {"a": {"status": "open"}, "b": {"bad": object()}})
    assert await store.load("simulated") == {"cash": "10"}
    assert await store.order("simulated", "a") is None
