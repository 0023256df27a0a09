"""What followed on windows that looked alike, as it was known at the time asked about; what to do without a model."""

from dataclasses import asdict

import httpx
import numpy as np
import pytest
from tests.integration.api.scenario import BTC, CANDLE_COUNT, START, Scenario

from tradepulse.domain.embeddings import EncoderVerdict, SetupWindow
from tradepulse.domain.market import Candles
from tradepulse.encoder.encoder_model import fit_encoder
from tradepulse.encoder.features import windows_of
from tradepulse.encoder.fitted_model import FittedModel
from tradepulse.encoder.out_of_sample import Interval, Judgement, Lift
from tradepulse.encoder.prior import BaseRates, PriorHead
from tradepulse.storage.embeddings_in_memory import InMemoryEmbeddingStore
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import regimes_of

MINUTE = 60_000
NOW = {"exchange": "simulated", "symbol": "BTC-USDT", "timeframe": "1m"}
NOTHING = Interval(0.0, 0.0, 0.0)
UNEARNED = Judgement(
    False, ("NO: it won no more often",), None, None, 500, 0.2, 30, {"random": Lift(100, NOTHING, NOTHING)},
    Lift(100, NOTHING, NOTHING), {"random": NOTHING},
)  # fmt: skip


@pytest.fixture(scope="module")
def remembered() -> tuple[Scenario, FittedModel]:
    """Every eleventh minute is remembered as a setup whose outcome was known half an hour later."""
    scenario = Scenario()
    candles = Candles.from_rows(scenario.candles.rows[BTC])
    bars = np.arange(30_000, CANDLE_COUNT, 11)
    found = windows_of(candles, MINUTE, regimes_of(candles, BTC.timeframe), bars, np.where(bars % 2, 1, -1))
    encoder = fit_encoder(found)
    head = PriorHead(np.full(75, 0.01), BaseRates(0.3, {}), 1.0)
    return scenario, FittedModel(encoder, head, tuple(sorted(STRATEGIES)))


@pytest.fixture
async def scenario(remembered: tuple[Scenario, FittedModel]) -> Scenario:
    scenario, model = remembered
    scenario.begin_without_work()
    store = scenario.embeddings
    candles = Candles.from_rows(scenario.candles.rows[BTC])
    bars = np.arange(30_000, CANDLE_COUNT, 11)
    sides = np.where(bars % 2, 1, -1)
    found = windows_of(candles, MINUTE, regimes_of(candles, BTC.timeframe), bars, sides)
    names = sorted(STRATEGIES)
    await store.save_setups(
        [
            SetupWindow(
                "m1", f"known {bar}", "simulated", "BTC/USDT", "1m", names[bar % 3], int(side),
                START + (int(bar) + 1) * MINUTE, embedding, START + (int(bar) + 31) * MINUTE, bool(bar % 5 == 0), 0.5,
            )
            for bar, side, embedding in zip(bars, sides, model.encoder.encode(found), strict=True)
        ]
    )  # fmt: skip
    await store.save_model("m1", "1m", START, model.to_bytes(), {"explained": 0.7, "series": [{"series": str(BTC)}]})
    await store.add_verdict(EncoderVerdict("1m", "m1", START, UNEARNED.earned, UNEARNED.to_json()))
    return scenario


async def plant(store: InMemoryEmbeddingStore, answer: dict[str, object], resolved_at: int) -> None:
    """A hundred copies of the very window asked about, all won, known only at ``resolved_at``."""
    (example,) = [one for one in store._setups.values() if one.setup_id == answer["examples"][0]["setup_id"]]  # type: ignore[index]
    facts = asdict(example) | {"resolved_at": resolved_at, "won": True, "r": 9.0}
    await store.save_setups([SetupWindow(**facts | {"setup_id": f"planted {n}"}) for n in range(100)])


async def test_similar_to_a_setup_when_the_future_is_planted_then_it_is_neither_counted_nor_shown(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    setup = scenario.book.setup_rows[5]
    before = (await client.get(f"/api/patterns/setups/{setup['setup_id']}/similar")).json()
    assert (before["state"], before["found"], before["before"]) == ("answered", 100, setup["found_at"])
    assert before["text"] == f"Of the 100 most similar setups that had ended by then {before['won']} won."
    assert 0 < before["won"] < 100
    assert len(before["examples"]) == 5
    assert all(one["resolved_at"] < setup["found_at"] for one in before["examples"])
    assert {one["strategy"] for one in before["examples"]} == {setup["strategy"]}
    assert before["base"] == pytest.approx(0.3)
    assert before["earned"] is False
    await plant(scenario.embeddings, before, setup["found_at"])
    assert (await client.get(f"/api/patterns/setups/{setup['setup_id']}/similar")).json() == before
    await plant_known(scenario, before, setup["found_at"] - 1)
    after = (await client.get(f"/api/patterns/setups/{setup['setup_id']}/similar")).json()
    assert after["won"] > before["won"], "what was known by then is counted"


async def plant_known(scenario: Scenario, answer: dict[str, object], resolved_at: int) -> None:
    for key in [key for key in scenario.embeddings._setups if key[1].startswith("planted")]:
        del scenario.embeddings._setups[key]
    await plant(scenario.embeddings, answer, resolved_at)


async def test_similar_to_a_trade_when_asked_then_as_for_its_setup_and_examples_have_their_candles(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    trade = scenario.book.trade_rows[0]
    answer = (await client.get(f"/api/trades/{trade['trade_id']}/similar")).json()
    assert answer == (await client.get(f"/api/patterns/setups/{trade['setup_id']}/similar")).json()
    place = answer["examples"][0]["candles"]
    asked = {"exchange": place["exchange"], "symbol": place["symbol"], "timeframe": place["timeframe"], "limit": 300}
    shown = (await client.get("/api/analytics/candles", params=asked | {"until": place["until"]})).json()["candles"]
    assert place["since"] in {candle["time"] for candle in shown}
    assert (await client.get("/api/trades/none/similar")).status_code == 404
    assert (await client.get("/api/patterns/setups/none/similar")).status_code == 404


async def test_similar_to_now_when_looked_at_for_a_short_then_another_window_than_for_a_long(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    long = (await client.get("/api/analytics/similar-windows", params=NOW)).json()
    short = (await client.get("/api/analytics/similar-windows", params=NOW | {"direction": "short"})).json()
    assert long["bar_time"] == short["bar_time"] == START + (CANDLE_COUNT - 1) * MINUTE
    assert long["examples"] != short["examples"]
    assert long["prior"] is None


async def test_answers_when_there_is_no_model_or_no_window_then_they_say_what_to_do(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    other = (await client.get("/api/analytics/similar-windows", params=NOW | {"timeframe": "5m"})).json()
    assert (other["state"], other["found"], other["examples"]) == ("no model", 0, [])
    assert "tradepulse encoder train --timeframe 5m" in other["text"]
    unknown = (await client.get("/api/analytics/similar-windows", params=NOW | {"symbol": "ABC/USDT"})).json()
    assert unknown["state"] == "no window"
    assert "download-data" in unknown["text"]


async def test_encoder_state_when_judged_then_its_verdict_with_controls_and_what_it_may_do(
    client: httpx.AsyncClient, scenario: Scenario
) -> None:
    states = {one["timeframe"]: one for one in (await client.get("/api/intelligence/encoder")).json()}
    fitted, missing = states["1m"], states["4h"]
    assert (fitted["model_version"], fitted["series"]) == ("m1", [str(BTC)])
    assert fitted["verdict"]["earned"] is False
    assert "random" in fitted["verdict"]["top"]
    assert "changes no size" in fitted["text"]
    assert missing["verdict"] is None
    assert "tradepulse encoder train" in missing["text"]
