"""What every store of finished backtests and walk-forwards promises."""

import pytest

from tradepulse.ports import ResultStore
from tradepulse.storage.in_memory_jobs import InMemoryResultStore
from tradepulse.storage.results import PostgresResultStore

REPORT = {"strategy": "volume_breakout", "profit": "1.50"}
TRADES = [{"trade_id": "1"}, {"trade_id": "2"}]


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> ResultStore:
    if request.param == "in memory":
        return InMemoryResultStore()
    return PostgresResultStore(request.getfixturevalue("database"))


async def test_backtest_when_saved_twice_under_one_id_then_the_first_counts(store: ResultStore) -> None:
    assert await store.save_backtest(REPORT, TRADES, backtest_id="a") == "a"
    assert await store.save_backtest({"strategy": "other"}, [], backtest_id="a") == "a"
    found = await store.backtest("a")
    assert found is not None
    assert (found["strategy"], found["trades"], found["backtest_id"]) == ("volume_breakout", TRADES, "a")
    assert len(await store.backtests()) == 1
    assert await store.backtest("b") is None


async def test_backtests_when_read_page_by_page_then_newest_first_without_trades_and_each_once(
    store: ResultStore,
) -> None:
    names = [await store.save_backtest(REPORT, TRADES) for _ in range(3)]
    first = await store.backtests(limit=2)
    rest = await store.backtests(limit=2, before=first[-1]["cursor"])
    assert [row["backtest_id"] for row in first + rest] == names[::-1]
    assert all("trades" not in row for row in first)


async def test_delete_when_there_then_gone_with_its_trades_and_only_once(store: ResultStore) -> None:
    await store.save_backtest(REPORT, TRADES, backtest_id="a")
    assert await store.delete_backtest("a")
    assert not await store.delete_backtest("a")
    assert await store.backtest("a") is None


async def test_walk_forward_when_saved_twice_under_one_id_then_the_first_counts_and_it_is_no_backtest(
    store: ResultStore,
) -> None:
    assert await store.save_walk_forward({"folds": [1]}, walk_forward_id="w") == "w"
    assert await store.save_walk_forward({"folds": []}, walk_forward_id="w") == "w"
    found = await store.walk_forward("w")
    assert found is not None
    assert found["folds"] == [1]
    assert [row["walk_forward_id"] for row in await store.walk_forwards()] == ["w"]
    assert await store.backtests() == []
    assert await store.backtest("w") is None
