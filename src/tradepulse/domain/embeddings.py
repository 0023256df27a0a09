"""Words of likeness: a window of now, the window of a setup, and one that looked alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Embedding = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CurrentWindow:
    """The last closed candles of a series, looked at for a long."""

    exchange: str
    symbol: str
    timeframe: str
    model_version: str
    bar_time: int
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class SetupWindow:
    """A setup's window, looked at for its own side, and what became of it once that is known (UTC ms)."""

    model_version: str
    setup_id: str
    exchange: str
    symbol: str
    timeframe: str
    strategy: str
    direction: int
    found_at: int
    embedding: Embedding
    resolved_at: int | None = None
    won: bool | None = None
    r: float | None = None
    prior: float | None = None
    """P(target before stop) as it was told before the outcome; ``None`` where the model is younger than the setup."""
    base: float | None = None


@dataclass(frozen=True, slots=True)
class SimilarWindow:
    """A resolved setup that looked alike; ``likeness`` is the cosine, 1 for the same."""

    setup_id: str
    exchange: str
    symbol: str
    timeframe: str
    strategy: str
    direction: int
    found_at: int
    resolved_at: int
    won: bool
    r: float
    likeness: float


@dataclass(frozen=True, slots=True)
class EncoderVerdict:
    """Whether a timeframe's prior has earned its place, judged at ``time``, with every figure that says so."""

    timeframe: str
    model_version: str
    time: int
    earned: bool
    judgement: dict[str, Any]
