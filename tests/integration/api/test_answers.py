from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from tests.integration.api.people import caller, token_for
from tests.integration.api.scenario import BTC, Scenario

from tradepulse.api.app import create_app
from tradepulse.domain.users import Role
from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError, TransientError
from tradepulse.shared.settings import Settings
from tradepulse.strategies.volume_breakout import VolumeBreakout


async def test_status_says_paper_and_simulated_and_when_the_heart_last_beat(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    status = (await client.get("/api/system/status")).json()
    assert (status["mode"], status["simulated"], status["book"]) == ("PAPER", True, "paper")
    assert status["heartbeat"] == scenario.book.events[-1]["time"]
    assert status["last_sequence"] == scenario.book.events[-1]["sequence"]
    assert status["database"] == {"description": "in memory", "reachable": True, "problem": ""}


async def test_status_still_answers_when_the_database_does_not(client: httpx.AsyncClient, scenario: Scenario) -> None:
    scenario.book.fault = TransientError("The database does not answer.", "Start it again.")
    try:
        status = (await client.get("/api/system/status")).json()
        refused = await client.get("/api/trades/active")
    finally:
        scenario.book.fault = None
    assert status["database"]["reachable"] is False
    assert status["database"]["problem"] == "The database does not answer. Start it again."
    assert refused.status_code == 503


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC-USDT", "BTC%2FUSDT", "BTC%252FUSDT", "btc-usdt"])
async def test_candles_when_the_symbol_is_written_in_any_of_its_ways_then_the_same_series(
    client: httpx.AsyncClient, symbol: str
) -> None:
    query = f"exchange=simulated&symbol={symbol}&timeframe=1m&limit=50"
    answer = (await client.get(f"/api/analytics/candles?{query}")).json()
    assert answer["symbol"] == "BTC/USDT"
    assert len(answer["candles"]) == 50
    assert answer["more"] is True


async def test_candles_when_asked_page_by_page_then_they_join_without_overlap_and_keep_their_regimes(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    query = {"exchange": "simulated", "symbol": "BTC/USDT", "timeframe": "1m"}
    whole = (await client.get("/api/analytics/candles", params={**query, "limit": 600})).json()["candles"]
    newer = (await client.get("/api/analytics/candles", params={**query, "limit": 300})).json()["candles"]
    older = (
        await client.get("/api/analytics/candles", params={**query, "limit": 300, "until": newer[0]["time"]})
    ).json()["candles"]
    assert older + newer == whole
    assert whole[-1]["close"] == scenario.candles.rows[BTC][-1].close
    assert {bar["regime"] for bar in whole} <= {"bull", "bear", "sideways"}


async def test_candles_when_the_timeframe_is_not_stored_then_joined_from_a_finer_one(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    query = {"exchange": "simulated", "symbol": "BTC/USDT", "timeframe": "1h", "limit": 20}
    newer = (await client.get("/api/analytics/candles", params=query)).json()["candles"]
    older = (await client.get("/api/analytics/candles", params={**query, "until": newer[0]["time"]})).json()["candles"]
    assert (len(newer), len(older)) == (20, 20)
    times = [bar["time"] for bar in older + newer]
    assert times == list(range(times[0], times[-1] + 1, 3_600_000))
    minutes = [row for row in scenario.candles.rows[BTC] if newer[-1]["time"] <= row.open_time]
    assert len(minutes) == 60
    assert newer[-1]["high"] == max(row.high for row in minutes)
    assert newer[-1]["close"] == minutes[-1].close


async def test_trades_when_paged_by_cursor_then_every_trade_comes_once(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    seen: list[str] = []
    cursor: int | None = None
    while True:
        parameters = {"limit": 4} | ({} if cursor is None else {"cursor": cursor})
        page = (await client.get("/api/trades/history", params=parameters)).json()
        seen += [trade["trade_id"] for trade in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [row["trade_id"] for row in reversed(scenario.book.trade_rows)]


async def test_statistics_add_up_to_the_cent_and_carry_sample_size_and_bound(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    figures = (await client.get("/api/trades/statistics")).json()
    profits = [Decimal(row["profit"]) for row in scenario.book.trade_rows]
    assert Decimal(figures["profit"]) == sum(profits)
    assert figures["trades"] == len(profits)
    assert figures["wins"] == sum(profit > 0 for profit in profits)
    assert 0 < figures["precision_lower_bound"] < figures["precision"]


async def test_active_positions_are_valued_at_the_latest_close(client: httpx.AsyncClient, scenario: Scenario) -> None:
    [position] = (await client.get("/api/trades/active")).json()
    last = scenario.candles.rows[BTC][-1]
    moved = Decimal(str(last.close)) - Decimal(position["entry_price"])
    profit = moved * Decimal(position["quantity"]) - Decimal(position["entry_fee"])
    assert Decimal(position["unrealised_profit"]) == profit
    assert position["unrealised_r"] == pytest.approx(float(profit / 100))
    assert (position["direction"], position["mark_time"]) == ("long", last.open_time + 60_000)


async def test_setups_when_filtered_then_only_those_and_each_says_why(client: httpx.AsyncClient) -> None:
    denied = (await client.get("/api/patterns/setups", params={"taken": "false"})).json()["items"]
    assert denied
    assert not any(setup["taken"] for setup in denied)
    low = next(setup for setup in denied if setup["verdict"] == "confluence too low")
    assert low["explanation"] == (
        "Not taken: confluence too low. 4 of 5 conditions held, confluence 0.80. "
        "volume / average volume was 1.83, asked for >= 2.5."
    )
    none = (await client.get("/api/patterns/setups", params={"symbol": "ETH-USDT"})).json()
    assert none == {"items": [], "next_cursor": None}


async def test_trade_story_tells_setup_orders_fills_and_ledger(client: httpx.AsyncClient, scenario: Scenario) -> None:
    trade_id = scenario.book.trade_rows[0]["trade_id"]
    story = (await client.get(f"/api/trades/{trade_id}")).json()
    assert story["setup"]["setup_id"] == story["setup_id"]
    assert [order["role"] for order in story["orders"]] == ["entry"]
    assert [fill["fill_id"] for fill in story["fills"]] == ["f1"]
    assert [entry["kind"] for entry in story["ledger"]] == ["fee"]


async def test_coverage_and_gaps_name_what_is_missing(client: httpx.AsyncClient) -> None:
    coverage = (await client.get("/api/data/coverage")).json()["series"]
    solana = next(line for line in coverage if line["symbol"] == "SOL/USDT")
    assert (solana["missing"], solana["simulated"], solana["tick_size"]) == (4, True, "0.01")
    gaps = await client.get("/api/data/gaps?exchange=simulated&symbol=SOL-USDT&timeframe=15m")
    assert [gap["candles"] for gap in gaps.json()["gaps"]] == [4]


async def test_backtests_are_listed_and_opened_again(client: httpx.AsyncClient) -> None:
    assert [row["backtest_id"] for row in (await client.get("/api/backtests")).json()["items"]] == ["bt-1"]
    assert (await client.get("/api/backtests/bt-1")).json()["figures"] == {"trades": 12}
    assert (await client.get("/api/backtests/bt-2")).status_code == 404


async def test_strategies_tell_their_parameters_and_conditions(scenario: Scenario, tmp_path: Path) -> None:
    app = create_app(replace(scenario.services, strategies=(VolumeBreakout(),)), settings=Settings(), static=tmp_path)
    async with caller(app, await token_for(app, Role.VIEWER)) as client:
        [strategy] = (await client.get("/api/patterns/strategies")).json()
    assert strategy["strategy"] == "volume_breakout"
    assert "reward_risk" in {parameter["name"] for parameter in strategy["parameters"]}
    assert strategy["conditions"]


async def test_everything_when_no_book_has_begun_is_empty_and_says_what_to_do(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    scenario.book.begun = False
    try:
        summary = await client.get("/api/portfolio/summary")
        lists = [
            (await client.get(path)).json()
            for path in ("/api/trades/active", "/api/trades/history", "/api/patterns/setups", "/api/portfolio/history")
        ]
        figures = (await client.get("/api/trades/statistics")).json()
    finally:
        scenario.book.begun = True
    assert summary.status_code == 404
    assert summary.json()["remedy"] == "Start paper trading with: tradepulse up"
    empty_page = {"items": [], "next_cursor": None}
    assert lists == [[], empty_page, empty_page, {"book": None, "points": []}]
    assert (figures["trades"], figures["precision"], figures["profit"]) == (0, None, "0")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("A", "b"), 400),
        (RefusedError("A", "b"), 409),
        (TransientError("A", "b"), 503),
        (InvariantError("A", "b"), 500),
    ],
)
async def test_problem_when_a_port_fails_then_status_and_remedy_by_the_one_table(
    client: httpx.AsyncClient, scenario: Scenario, error: Exception, status: int
) -> None:
    scenario.book.fault = error
    try:
        answer = await client.get("/api/trades/active")
    finally:
        scenario.book.fault = None
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["detail"], answer.json()["remedy"]) == ("A", "b")


async def test_problem_when_the_failure_is_unexpected_then_nothing_of_it_leaks(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    scenario.book.fault = ZeroDivisionError("a secret")
    try:
        answer = await client.get("/api/trades/active")
    finally:
        scenario.book.fault = None
    assert answer.status_code == 500
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/analytics/candles?exchange=simulated&symbol=BTCUSDT&timeframe=1m", 400),
        ("/api/analytics/candles?exchange=simulated&symbol=BTC-USDT&timeframe=3m", 400),
        ("/api/analytics/candles?exchange=nowhere&symbol=BTC-USDT&timeframe=1m", 404),
        ("/api/analytics/candles?exchange=simulated&timeframe=1m", 422),
        ("/api/trades/history?limit=0", 422),
        ("/api/trades/history?book=other", 404),
        ("/api/trades/none", 404),
        ("/api/none", 404),
    ],
)
async def test_problem_when_asked_wrongly_then_problem_details(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


async def test_openapi_is_complete(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            (status,) = {status for status in operation["responses"] if status.startswith("2") and status != "202"}
            described = operation["responses"][status]
            assert status == "204" or any(one["schema"] for one in described["content"].values()), path
    assert {"Problem", "LiveRequest", "LiveMessage", "Topic"} <= set(document["components"]["schemas"])
