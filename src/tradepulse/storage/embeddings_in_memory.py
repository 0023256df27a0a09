"""The ``EmbeddingStore`` that remembers until the process ends."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tradepulse.domain.embeddings import CurrentWindow, Embedding, EncoderVerdict, SetupWindow, SimilarWindow
from tradepulse.ports import JsonObject


class InMemoryEmbeddingStore:
    def __init__(self) -> None:
        self._models: dict[str, tuple[str, int, bytes, JsonObject]] = {}
        self._current: dict[tuple[str, str, str], CurrentWindow] = {}
        self._setups: dict[tuple[str, str], SetupWindow] = {}
        self._verdicts: list[EncoderVerdict] = []

    async def save_model(
        self, version: str, timeframe: str, fitted_at: int, arrays: bytes, evidence: JsonObject
    ) -> None:
        if version in self._models:
            timeframe, fitted_at, arrays, _ = self._models[version]
        self._models[version] = (timeframe, fitted_at, arrays, evidence)

    async def newest_model(self, timeframe: str) -> tuple[str, int, bytes, JsonObject] | None:
        of_it = [version for version, model in self._models.items() if model[0] == timeframe]
        return (of_it[-1], *self._models[of_it[-1]][1:]) if of_it else None

    async def keep_models(self, timeframe: str, count: int) -> int:
        of_it = [version for version, model in self._models.items() if model[0] == timeframe]
        older = of_it[: max(len(of_it) - count, 0)]
        for version in older:
            del self._models[version]
        return len(older)

    async def add_verdict(self, verdict: EncoderVerdict) -> None:
        self._verdicts.append(verdict)

    async def newest_verdict(self, timeframe: str, version: str | None = None) -> EncoderVerdict | None:
        fitting = [one for one in self._verdicts if one.timeframe == timeframe]
        fitting = [one for one in fitting if version in (None, one.model_version)]
        return fitting[-1] if fitting else None

    async def look_again_from(self, version: str, exchange: str, symbol: str) -> int | None:
        of_it = [
            one
            for one in self._setups.values()
            if (one.model_version, one.exchange, one.symbol) == (version, exchange, symbol)
        ]
        waiting = [one.found_at for one in of_it if one.resolved_at is None]
        return min(waiting) if waiting else max((one.found_at for one in of_it), default=None)

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
