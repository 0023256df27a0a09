"""What every embedding store promises."""

from dataclasses import replace

import numpy as np
import pytest

from tradepulse.domain.embeddings import CurrentWindow, Embedding, EncoderVerdict, SetupWindow
from tradepulse.ports import EmbeddingStore
from tradepulse.storage.embeddings import PostgresEmbeddingStore
from tradepulse.storage.embeddings_in_memory import InMemoryEmbeddingStore


@pytest.fixture(params=["in memory", "postgres"])
def store(request: pytest.FixtureRequest) -> EmbeddingStore:
    if request.param == "in memory":
        return InMemoryEmbeddingStore()
    return PostgresEmbeddingStore(request.getfixturevalue("database"))


def embedding(seed: int) -> Embedding:
    return np.random.default_rng(seed).normal(size=75).astype(np.float32)


def setup(number: int, resolved_at: int | None = 1_000, version: str = "m1") -> SetupWindow:
    done = resolved_at is not None
    return SetupWindow(
        version,
        f"s{number:05}",
        "binance",
        "BTC/USDT",
        "1h",
        ("htf_sweep", "volume_breakout")[number % 2],
        1 if number % 3 else -1,
        500,
        embedding(number),
        resolved_at,
        bool(number % 4) if done else None,
        float(number) if done else None,
    )


async def test_similar_when_asked_then_the_most_alike_first_and_the_same_one_is_like_itself(
    store: EmbeddingStore,
) -> None:
    await store.save_setups([setup(number) for number in range(200)])
    found = await store.similar("m1", embedding(17), 1_001, count=10)
    assert (found[0].setup_id, found[0].won, found[0].r) == ("s00017", True, 17.0)
    assert found[0].likeness == pytest.approx(1.0, abs=1e-6)
    assert [one.likeness for one in found] == sorted((one.likeness for one in found), reverse=True)
    own = [
        float(embedding(17) @ embedding(n) / np.linalg.norm(embedding(17)) / np.linalg.norm(embedding(n)))
        for n in range(200)
    ]
    assert {one.setup_id for one in found} == {f"s{n:05}" for n in np.argsort(own)[::-1][:10]}


async def test_similar_when_the_future_is_planted_then_it_is_not_among_the_answers(store: EmbeddingStore) -> None:
    """Exact copies of the question that won, but were resolved at or after the time it is asked at, or not yet."""
    asked = embedding(1)
    later = [replace(setup(n, resolved), embedding=asked) for n, resolved in ((1, 2_000), (2, 2_001), (3, None))]
    await store.save_setups([*later, *(setup(number) for number in range(10, 60))])
    found = await store.similar("m1", asked, 2_000)
    assert len(found) == 50
    assert not {one.setup_id for one in found} & {one.setup_id for one in later}
    assert "s00001" in {one.setup_id for one in await store.similar("m1", asked, 2_001)}


async def test_similar_when_of_another_strategy_or_model_then_left_out(store: EmbeddingStore) -> None:
    await store.save_setups([setup(n) for n in range(20)])
    await store.save_setups([setup(n, version="m2") for n in range(20)])
    found = await store.similar("m1", embedding(4), 5_000, strategy="htf_sweep")
    assert {one.setup_id for one in found} == {f"s{n:05}" for n in range(0, 20, 2)}
    assert await store.similar("m3", embedding(4), 5_000) == []
    assert await store.count("m2") == 20


async def test_setup_when_resolved_later_then_known_and_never_changed_again(store: EmbeddingStore) -> None:
    await store.save_setups([setup(1, None)])
    assert await store.similar("m1", embedding(1), 10_000) == []
    await store.save_setups([setup(1, 3_000)])
    await store.save_setups([replace(setup(1, 9_000), won=False, r=-1.0)])
    await store.save_setups([setup(1, None)])
    (found,) = await store.similar("m1", embedding(1), 10_000)
    assert (found.resolved_at, found.won, found.r) == (3_000, True, 1.0)


async def test_current_when_an_older_bar_comes_late_then_the_newer_stays(store: EmbeddingStore) -> None:
    def window(seed: int, bar_time: int, version: str = "m1") -> CurrentWindow:
        return CurrentWindow("binance", "BTC/USDT", "1h", version, bar_time, embedding(seed))

    assert await store.current("binance", "BTC/USDT", "1h") is None
    await store.save_current([window(1, 200)])
    await store.save_current([window(2, 100)])
    kept = await store.current("binance", "BTC/USDT", "1h")
    assert kept is not None
    assert (kept.bar_time, kept.embedding.tolist()) == (200, embedding(1).tolist())
    await store.save_current([window(3, 150, "m2")])
    kept = await store.current("binance", "BTC/USDT", "1h")
    assert kept is not None
    assert (kept.model_version, kept.bar_time) == ("m2", 150)


async def test_model_when_replaced_then_what_the_other_made_is_forgotten(store: EmbeddingStore) -> None:
    assert await store.newest_model("1h") is None
    await store.save_model("m1", "1h", 10, b"first", {"lift": 0.1})
    await store.save_model("m2", "1h", 20, b"second", {})
    await store.save_model("m9", "4h", 30, b"other", {})
    await store.save_model("m2", "1h", 99, b"ignored", {"lift": 0.2})
    assert await store.newest_model("1h") == ("m2", 20, b"second", {"lift": 0.2})
    await store.save_setups([setup(1), setup(2), setup(1, version="m2")])
    assert await store.drop_other_models("1h", "m2") == 2
    assert (await store.count("m1"), await store.count("m2")) == (0, 1)


async def test_models_when_more_are_fitted_than_are_kept_then_the_oldest_of_the_timeframe_go(
    store: EmbeddingStore,
) -> None:
    for number in range(4):
        await store.save_model(f"m{number}", "1h", number, b"", {})
    await store.save_model("other", "4h", 0, b"", {})
    assert await store.keep_models("1h", 3) == 1
    assert await store.keep_models("1h", 3) == 0
    assert await store.keep_models("1h", 1) == 2
    newest, other = await store.newest_model("1h"), await store.newest_model("4h")
    assert newest is not None
    assert other is not None
    assert (newest[0], other[0]) == ("m3", "other")


async def test_verdict_when_judged_again_then_the_last_one_counts_and_each_model_keeps_its_own(
    store: EmbeddingStore,
) -> None:
    assert await store.newest_verdict("1h") is None
    first = EncoderVerdict("1h", "m1", 10, True, {"reasons": ["it won"]})
    again = EncoderVerdict("1h", "m1", 20, False, {"reasons": ["it lost"]})
    other = EncoderVerdict("1h", "m2", 30, True, {})
    for verdict in (first, again, other, EncoderVerdict("4h", "m3", 40, True, {})):
        await store.add_verdict(verdict)
    assert await store.newest_verdict("1h") == other
    assert await store.newest_verdict("1h", "m1") == again
    assert await store.newest_verdict("1h", "m3") is None


async def test_look_again_when_an_outcome_is_missing_then_from_the_oldest_of_those(store: EmbeddingStore) -> None:
    asked = ("m1", "binance", "BTC/USDT")
    assert await store.look_again_from(*asked) is None
    await store.save_setups([replace(setup(n), found_at=n * 100) for n in (1, 2, 9)])
    assert await store.look_again_from(*asked) == 900
    await store.save_setups([replace(setup(n, None), found_at=n * 100) for n in (4, 6)])
    assert await store.look_again_from(*asked) == 400
    assert await store.look_again_from("m1", "binance", "ETH/USDT") is None
