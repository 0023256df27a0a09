"""The ``EmbeddingStore`` that remembers until the process ends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tradepulse.domain.embeddings import CurrentWindow, Embedding, SetupWindow, SimilarWindow
from tradepulse.ports import JsonObject


class InMemoryEmbeddingStore:
    def __init__(self) -> None:
        self._models: dict[str, tuple[str, int, bytes, JsonObject]] = {}
        self._current: dict[tuple[str, str, str], CurrentWindow] = {}
        self._setups: dict[tuple[str, str], SetupWindow] = {}

    async def save_model(
        self, version: str, timeframe: str, fitted_at: int, arrays: bytes, evidence: JsonObject
    ) -> None:
        if version in self._models:
            timeframe, fitted_at, arrays, _ = self._models[version]
        self._models[version] = (timeframe, fitted_at, arrays, evidence)

    async def newest_model(self, timeframe: str) -> tuple[str, int, bytes, JsonObject] | None:
        of_it = [version for version, model in self._models.items() if model[0] == timeframe]
        return (of_it[-1], *self._models[of_it[-1]][1:]) if of_it else None

    async def save_current(self, windows: Sequence[CurrentWindow]) -> None:
        for one in windows:
            key = (one.exchange, one.symbol, one.timeframe)
            kept = self._current.get(key)
            if kept is None or kept.bar_time < one.bar_time or kept.model_version != one.model_version:
                self._current[key] = one

    async def current(self, exchange: str, symbol: str, timeframe: str) -> CurrentWindow | None:
        return self._current.get((exchange, symbol, timeframe))

    async def save_setups(self, windows: Sequence[SetupWindow]) -> None:
        for one in windows:
            key = (one.model_version, one.setup_id)
            kept = self._setups.get(key)
            if kept is None:
                self._setups[key] = one
            elif kept.resolved_at is None:
                self._setups[key] = replace(kept, resolved_at=one.resolved_at, won=one.won, r=one.r)

    async def similar(
        self, version: str, embedding: Embedding, before: int, *, count: int = 100, strategy: str | None = None
    ) -> list[SimilarWindow]:
        found = [
            SimilarWindow(
                one.setup_id,
                one.exchange,
                one.symbol,
                one.timeframe,
                one.strategy,
                one.direction,
                one.found_at,
                one.resolved_at,
                bool(one.won),
                float(one.r or 0.0),
                _cosine(embedding, one.embedding),
            )
            for one in self._setups.values()
            if one.model_version == version
            and one.resolved_at is not None
            and one.resolved_at < before
            and strategy in (None, one.strategy)
        ]
        return sorted(found, key=lambda one: (-one.likeness, one.setup_id))[:count]

    async def count(self, version: str) -> int:
        return sum(one.model_version == version for one in self._setups.values())

    async def drop_other_models(self, timeframe: str, version: str) -> int:
        others = [key for key, one in self._setups.items() if one.timeframe == timeframe and key[0] != version]
        for key in others:
            del self._setups[key]
        self._current = {
            key: one for key, one in self._current.items() if key[2] != timeframe or one.model_version == version
        }
        return len(others)


def _cosine(a: Embedding, b: Embedding) -> float:
    length = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0
