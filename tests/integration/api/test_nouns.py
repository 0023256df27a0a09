"""Every noun's answers: what is asked for comes, what is refused says why, and what only some may do others may not."""

from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from fastapi import FastAPI
from tests.integration.api.people import caller, token_for
from tests.integration.api.scenario import BTC, EXCHANGE, SOL_WITH_GAP, Scenario

from tradepulse.domain.users import Role
from tradepulse.strategies import STRATEGIES

NEW_KEY = {"wallet": "main", "api_key": "key-of-the-wallet", "secret": "a-secret-that-nobody-sees-again"}


def asset_of(answer: httpx.Response, symbol: str) -> dict[str, object]:
    return next(line for line in answer.json() if line["symbol"] == symbol)


# --- portfolio


async def test_books_and_wallets_when_listed_then_what_is_there_and_whether_it_is_traded(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    assert [line["book"] for line in (await client.get("/api/portfolio/books")).json()] == ["paper"]
    (wallet,) = (await client.get("/api/portfolio/wallets")).json()
    assert (wallet["name"], wallet["traded"]) == ("main", False)
    assert wallet["equity"] == scenario.book.equity_rows[-1]["equity"]


async def test_performance_when_grouped_then_every_group_adds_up_to_the_whole(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    figures = (await client.get("/api/portfolio/performance")).json()
    profits = sum((Decimal(row["profit"]) for row in scenario.book.trade_rows), Decimal(0))
    for group in ("by_strategy", "by_symbol", "by_regime", "by_timeframe"):
        assert sum((Decimal(line["statistics"]["profit"]) for line in figures[group]), Decimal(0)) == profits
    first, last = (Decimal(scenario.book.equity_rows[at]["equity"]) for at in (0, -1))
    assert figures["return_share"] == pytest.approx(float(last / first - 1))
    peak, fall = Decimal(0), Decimal(0)
    for row in scenario.book.equity_rows:
        peak = max(peak, Decimal(row["equity"]))
        fall = max(fall, (peak - Decimal(row["equity"])) / peak)
    assert figures["max_drawdown"] == pytest.approx(float(fall))


async def test_holdings_and_resting_orders_when_a_position_is_open_then_valued_and_protected(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    held = (await client.get("/api/portfolio/holdings")).json()
    (holding,) = held["items"]
    close = scenario.candles.rows[BTC][-1].close
    assert Decimal(holding["value"]) == Decimal(holding["quantity"]) * Decimal(str(close))
    (pair,) = (await client.get("/api/portfolio/oco-orders")).json()
    assert pair["stop"]["price"] == scenario.position["stop_price"]
    assert pair["target"]["price"] == scenario.position["target_price"]


async def test_risk_when_asked_for_then_its_state(client: httpx.AsyncClient, scenario: Scenario) -> None:
    assert (await client.get("/api/portfolio/risk-management")).json()["state"] == "active"
    scenario.book.begun = False
    try:
        assert (await client.get("/api/portfolio/risk-management")).status_code == 404
        assert (await client.get("/api/portfolio/holdings")).json() == {"book": None, "cash": None, "items": []}
        assert (await client.get("/api/portfolio/oco-orders")).json() == []
        assert (await client.get("/api/portfolio/performance")).json()["max_drawdown"] is None
    finally:
        scenario.book.begun = True


@pytest.mark.parametrize("path", ["summary", "history", "performance", "holdings", "oco-orders", "risk-management"])
async def test_portfolio_when_the_book_is_not_there_then_404_names_those_that_are(
    client: httpx.AsyncClient, path: str
) -> None:
    refused = await client.get(f"/api/portfolio/{path}", params={"book": "another"})
    assert refused.status_code == 404
    assert "paper" in refused.text


# --- trades


async def test_trades_when_chosen_then_history_statistics_and_days_agree(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    strategy = scenario.book.trade_rows[0]["strategy"]
    since = scenario.book.trade_rows[3]["exit_time"]
    chosen = {"strategy": strategy, "since": since, "symbol": "BTC-USDT"}
    rows = [row for row in scenario.book.trade_rows if row["strategy"] == strategy and row["exit_time"] >= since]
    assert 0 < len(rows) < len(scenario.book.trade_rows)
    history = (await client.get("/api/trades/history", params=chosen)).json()["items"]
    assert {trade["trade_id"] for trade in history} == {row["trade_id"] for row in rows}
    assert (await client.get("/api/trades/statistics", params=chosen)).json()["trades"] == len(rows)
    days = (await client.get("/api/trades/daily-pnl", params=chosen)).json()
    assert sum((Decimal(day["profit"]) for day in days), Decimal(0)) == sum(Decimal(row["profit"]) for row in rows)
    assert [day["day"] for day in days] == sorted(
        {datetime.fromtimestamp(row["exit_time"] / 1000, UTC).date().isoformat() for row in rows}
    )
    assert (await client.get("/api/trades/history", params={"until": -1})).status_code == 422


async def test_logs_when_paged_and_filtered_then_newest_first_and_only_those(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    page = (await client.get("/api/trades/logs", params={"limit": 1})).json()
    assert page["items"][0]["cursor"] == scenario.book.events[-1]["sequence"]
    older = (await client.get("/api/trades/logs", params={"cursor": page["next_cursor"]})).json()["items"]
    assert [line["cursor"] for line in [*page["items"], *older]] == [
        event["sequence"] for event in reversed(scenario.book.events)
    ]
    opened = (await client.get("/api/trades/logs", params={"kind": ["position_opened", "none"]})).json()["items"]
    assert {line["kind"] for line in opened} == {"position_opened"}
    assert (await client.get("/api/trades/logs", params={"limit": 0})).status_code == 422


# --- patterns


async def test_strategies_when_asked_for_one_by_one_then_rules_parameters_and_results(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    listed = (await client.get("/api/patterns/strategies")).json()
    assert [line["strategy"] for line in listed] == list(STRATEGIES)
    for line in listed:
        assert (await client.get(f"/api/patterns/{line['strategy']}")).json() == line
        parameters = (await client.get(f"/api/patterns/{line['strategy']}/parameters")).json()
        assert parameters == [one | {"allowed": None} for one in line["parameters"]]
    performance = (await client.get("/api/patterns/performance")).json()
    assert sum(line["setups"] for line in performance) == len(scenario.book.setup_rows)
    assert sum(line["statistics"]["trades"] for line in performance) == len(scenario.book.trade_rows)
    library = {line["condition"]: line for line in (await client.get("/api/patterns/pattern-library")).json()}
    assert library["higher_timeframe"] == {
        "condition": "higher_timeframe", "context": True, "strategies": list(STRATEGIES),
    }  # fmt: skip
    assert any(not line["context"] for line in library.values())


@pytest.mark.parametrize("path", ["no_such_strategy", "no_such_strategy/parameters"])
async def test_strategy_when_unknown_then_404_names_those_there_are(client: httpx.AsyncClient, path: str) -> None:
    refused = await client.get(f"/api/patterns/{path}")
    assert refused.status_code == 404
    assert "htf_sweep" in refused.text


# --- analytics


async def test_overview_when_candles_are_stored_then_change_range_and_regime_are_theirs(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    answer = await client.get("/api/analytics/market-overview")
    bitcoin = asset_of(answer, "BTC/USDT")
    rows = scenario.candles.rows[BTC]
    assert (bitcoin["last_close"], bitcoin["timeframes"]) == (rows[-1].close, ["1m", "5m"])
    assert bitcoin["change_day"] == pytest.approx(rows[-1].close / rows[-1441].close - 1)
    assert bitcoin["range_day"] == pytest.approx(
        (max(row.high for row in rows[-1440:]) - min(row.low for row in rows[-1440:])) / rows[-1].close
    )
    assert bitcoin["regime"] in ("bull", "bear", "sideways")
    assert asset_of(answer, "ETH/USDT")["regime"] is None, "a day of hours is too little to tell"


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC-USDT", "BTC%2FUSDT"])
async def test_asset_when_the_symbol_is_written_in_any_of_its_ways_then_the_same(
    client: httpx.AsyncClient, symbol: str
) -> None:
    (line,) = (await client.get(f"/api/analytics/assets/{symbol}")).json()
    assert (line["exchange"], line["symbol"]) == (EXCHANGE, "BTC/USDT")
    assert (await client.get("/api/analytics/assets/XRP-USDT")).status_code == 404
    assert (await client.get("/api/analytics/assets/nonsense")).status_code == 400


async def test_ranking_when_trades_were_made_on_one_market_then_it_is_ranked_before_those_without(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    ranked = (await client.get("/api/analytics/asset-ranking")).json()
    assert [line["rank"] for line in ranked] == list(range(1, len(ranked) + 1))
    assert ranked[0]["symbol"] == "BTC/USDT"
    assert ranked[0]["statistics"]["trades"] == len(scenario.book.trade_rows)
    assert all(line["statistics"]["trades"] == 0 for line in ranked[1:])


async def test_correlations_when_series_overlap_then_symmetric_and_unknown_where_they_do_not(
    client: httpx.AsyncClient,
) -> None:
    found = (await client.get("/api/analytics/correlation-matrix", params={"timeframe": "15m", "bars": 200})).json()
    size = len(found["markets"])
    for row in range(size):
        assert found["matrix"][row][row] == pytest.approx(1.0)
        for column in range(size):
            assert found["matrix"][row][column] == found["matrix"][column][row]
    ether = found["markets"].index(f"{EXCHANGE} ETH/USDT")
    bitcoin = found["markets"].index(f"{EXCHANGE} BTC/USDT")
    assert found["matrix"][ether][bitcoin] is None, "the one is of the first day, the other of the last"
    assert f"{EXCHANGE} {SOL_WITH_GAP.symbol}" in found["markets"]
    refused = await client.get("/api/analytics/correlation-matrix", params={"timeframe": "15m", "bars": 2})
    assert refused.status_code == 422


async def test_walk_forward_when_stored_then_listed_and_opened_by_its_id(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    name = await scenario.services.results.save_walk_forward({"strategy": "htf_sweep", "folds": [1, 2]})
    (listed,) = (await client.get("/api/analytics/walk-forward-results")).json()
    opened = (await client.get(f"/api/analytics/walk-forward-results/{name}")).json()
    assert listed["walk_forward_id"] == name
    assert opened["folds"] == [1, 2]
    assert (await client.get("/api/analytics/walk-forward-results/none")).status_code == 404
    assert (await client.get("/api/analytics/walk-forward-results", params={"limit": 0})).status_code == 422


# --- exchanges


async def test_exchanges_when_listed_then_how_each_protects(client: httpx.AsyncClient) -> None:
    (line,) = (await client.get("/api/exchanges/supported")).json()
    assert (line["exchange"], line["protection"]) == ("binance", "native")
    (group,) = (await client.get("/api/exchanges/performance")).json()
    assert group["name"] == EXCHANGE


async def test_key_when_stored_tested_and_removed_then_only_its_last_characters_are_ever_shown(
    admin: httpx.AsyncClient, scenario: Scenario
) -> None:
    stored = await admin.post("/api/exchanges/connections", json=NEW_KEY)
    tested = await admin.post("/api/exchanges/connections/main/test")
    listed = await admin.get("/api/exchanges/connections")
    audit = await scenario.accounts.notes(limit=10)
    assert (stored.status_code, tested.status_code) == (201, 200)
    assert stored.json()["warnings"]
    assert listed.json()[0]["key"]["last_four"] == tested.json()["last_four"] == NEW_KEY["api_key"][-4:]
    told = stored.text + tested.text + listed.text + str(audit)
    assert NEW_KEY["secret"] not in told
    assert NEW_KEY["api_key"] not in told
    assert (await admin.delete("/api/exchanges/connections/main")).status_code == 204
    assert (await admin.delete("/api/exchanges/connections/main")).status_code == 404
    assert (await admin.post("/api/exchanges/connections/main/test")).status_code == 409
    actions = [entry.note.action for entry in await scenario.accounts.notes(limit=10)]
    assert {"exchange key stored", "exchange key removed"} <= set(actions)


async def test_key_when_it_may_withdraw_then_refused_and_not_repeated(admin: httpx.AsyncClient) -> None:
    refused = await admin.post("/api/exchanges/connections", json={**NEW_KEY, "api_key": "withdraw-key"})
    assert refused.status_code == 409
    assert "withdraw-key" not in refused.text
    nonsense = await admin.post("/api/exchanges/connections", json={**NEW_KEY, "secrt": "my-real-secret"})
    assert nonsense.status_code == 422
    assert "my-real-secret" not in nonsense.text


async def test_key_when_sent_under_an_idempotency_key_then_nothing_of_it_is_kept(
    admin: httpx.AsyncClient, scenario: Scenario
) -> None:
    headers = {"Idempotency-Key": "once"}
    answer = await admin.post("/api/exchanges/connections", json=NEW_KEY, headers=headers)
    again = await admin.post("/api/exchanges/connections", json=NEW_KEY, headers=headers)
    assert (answer.status_code, again.status_code) == (201, 201)
    assert "idempotent-replay" not in again.headers


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TRADER])
async def test_keys_and_configuration_when_not_an_admin_then_refused(app: FastAPI, role: Role) -> None:
    async with caller(app, await token_for(app, role)) as client:
        assert (await client.post("/api/exchanges/connections", json=NEW_KEY)).status_code == 403
        assert (await client.delete("/api/exchanges/connections/main")).status_code == 403
        assert (await client.get("/api/system/config")).status_code == 403


async def test_keys_when_the_password_was_not_given_lately_then_it_is_asked_for(app: FastAPI) -> None:
    async with caller(app, await token_for(app, Role.ADMIN, "Arne", confirmed=False)) as client:
        refused = await client.post("/api/exchanges/connections", json=NEW_KEY)
    assert (refused.status_code, refused.json()["code"]) == (403, "confirmation_needed")


# --- system


async def test_system_when_asked_for_then_versions_resources_and_configuration_without_secrets(
    admin: httpx.AsyncClient,
) -> None:
    version = (await admin.get("/api/system/version")).json()
    assert version["database"] == "in memory"
    resources = (await admin.get("/api/system/resources")).json()
    assert 0 < resources["process_memory"] < resources["memory_total"]
    assert 0 < resources["disk_free"] <= resources["disk_total"]
    (setting,) = (await admin.get("/api/system/config")).json()
    assert setting == {"name": "database.url", "value": "**********", "source": "environment"}


# --- meta


async def test_policy_when_there_is_none_then_nothing_is_taken_away(client: httpx.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/api/intelligence/meta/policy")).json() == {"in_force": None, "latest": None}
    assert (await client.get("/api/intelligence/meta/history")).json() == {"items": [], "next_cursor": None}
    assert (await client.get("/api/intelligence/meta/policy/1")).status_code == 404
    async with caller(app, await token_for(app, Role.TRADER)) as trader:
        assert (await trader.post("/api/intelligence/meta/policy/1/rollback", json={})).status_code == 404


async def test_policies_when_judged_twice_then_told_with_reasons_and_what_differs_and_gone_back_from(
    client: httpx.AsyncClient, app: FastAPI, scenario: Scenario
) -> None:
    await scenario.judge(drawdown=0.06)
    await scenario.judge(drawdown=0.11)
    held = (await client.get("/api/intelligence/meta/policy")).json()
    assert held["in_force"] == held["latest"]
    assert held["in_force"]["bounds"] == {"risk": 0.5, "paused": [], "confluence_bump": 0.0}
    assert held["in_force"]["diff"] == [{"field": "risk", "before": 0.75, "after": 0.5}]
    assert "drawdown of 11.0%" in held["in_force"]["reasons"]
    page = (await client.get("/api/intelligence/meta/history?limit=1")).json()
    assert ([line["version"] for line in page["items"]], page["next_cursor"]) == ([2], 2)
    page = (await client.get("/api/intelligence/meta/history?limit=1&cursor=2")).json()
    assert ([line["version"] for line in page["items"]], page["next_cursor"]) == ([1], None)
    states = (await client.get("/api/intelligence/meta/market-state")).json()["items"]
    assert [line["facts"]["drawdown"] for line in states] == [0.11, 0.06]
    # No time has passed, so nothing is loosened yet, whoever asks for it.
    async with caller(app, await token_for(app, Role.TRADER)) as trader:
        back = await trader.post("/api/intelligence/meta/policy/1/rollback", json={})
    assert (back.json()["version"], back.json()["bounds"]["risk"]) == (3, 0.5)
    assert back.json()["reasons"][0].startswith("back to policy 1 by ")
    newest = (await scenario.accounts.notes(limit=1))[0].note
    assert (newest.action, newest.facts["back_to"]) == ("went back to a policy", 1)
    # Who may only look cannot go back.
    assert (await client.post("/api/intelligence/meta/policy/1/rollback", json={})).status_code == 403
