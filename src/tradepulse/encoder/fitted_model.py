"""All that is fitted for one timeframe: the encoder, and the head that reads it. Plain numbers, stored as they are.

The version is the hash of every byte, so that the same candles and the same seed give the same version, and whoever
changes one number has another model.
"""

import json
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any

import numpy as np

from tradepulse.domain.embeddings import Embedding
from tradepulse.encoder.encoder_model import COMPONENTS, DIMENSIONS, EncoderModel, FloatArray, version_of
from tradepulse.encoder.features import CHANNELS, HAND_FEATURES, WINDOW
from tradepulse.encoder.prior import BaseRates, IntArray, PriorHead
from tradepulse.shared.errors import ConfigurationError

FORMAT = 1
WIDTH = WINDOW * CHANNELS
SHAPES: dict[str, tuple[int, ...]] = {
    "mean": (WIDTH,),
    "components": (WIDTH, COMPONENTS),
    "hand_mean": (len(HAND_FEATURES),),
    "hand_scale": (len(HAND_FEATURES),),
    "weights": (DIMENSIONS,),
}
ENCODER_ARRAYS = ("mean", "components", "hand_mean", "hand_scale")
BANDS = (2.0, 3.0, 4.0)
"""Of the planned reward to risk: how far the target is decides how often it is reached, whatever the window."""


@dataclass(frozen=True, slots=True)
class PriorOpinion:
    """P(target before stop) of one setup, and what is usual for its combination without looking at the window."""

    probability: float
    base: float

    @property
    def excess(self) -> float:
        return self.probability - self.base


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """``head`` is ``None`` where too few outcomes were known. ``strategies`` in the order of the head's groups."""

    encoder: EncoderModel
    head: PriorHead | None
    strategies: tuple[str, ...]

    @property
    def version(self) -> str:
        return blake2s(self.to_bytes(), digest_size=8).hexdigest()

    def opinion(self, embedding: Embedding, strategy: str, reward_risk: float) -> PriorOpinion | None:
        if self.head is None or strategy not in self.strategies:
            return None
        group = groups_of(self.strategies.index(strategy), np.array([reward_risk]))
        base = float(self.head.rates.at(group)[0])
        return PriorOpinion(float(self.head.probability(embedding[None, :], group)[0]), base)

    def to_bytes(self) -> bytes:
        """A line of JSON, then the arrays as little-endian doubles."""
        head = self.head
        told: dict[str, Any] = {
            "format": FORMAT,
            "explained": self.encoder.explained,
            "strategies": list(self.strategies),
            "ridge": None if head is None else head.ridge,
            "overall": None if head is None else head.rates.overall,
            "groups": [] if head is None else sorted(head.rates.groups.items()),
        }
        arrays = [getattr(self.encoder, name) for name in ENCODER_ARRAYS]
        arrays.append(np.zeros(DIMENSIONS) if head is None else head.weights)
        body = b"".join(np.ascontiguousarray(one, dtype="<f8").tobytes() for one in arrays)
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, stored: bytes) -> "FittedModel":
        first, _, body = stored.partition(b"\n")
        size = sum(int(np.prod(shape)) for shape in SHAPES.values()) * 8
        told = _read(first)
        if told.get("format") != FORMAT or len(body) != size:
            raise ConfigurationError(
                f"A stored encoder model has the format {told.get('format')} and {len(body)} bytes; this program reads "
                f"format {FORMAT} with {size}.",
                "Fit it again: tradepulse encoder train",
            )
        arrays = _split(body)
        mean, components, hand_mean, hand_scale = (arrays[name] for name in ENCODER_ARRAYS)
        version = version_of((mean, components, hand_mean, hand_scale))
        encoder = EncoderModel(version, mean, components, hand_mean, hand_scale, float(told["explained"]))
        head = None
        if told["ridge"] is not None:
            rates = BaseRates(told["overall"], {int(group): float(rate) for group, rate in told["groups"]})
            head = PriorHead(arrays["weights"], rates, told["ridge"])
        return cls(encoder, head, tuple(told["strategies"]))


def _read(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _split(body: bytes) -> dict[str, FloatArray]:
    arrays, place = {}, 0
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(body, "<f8", count, place).astype(np.float64).reshape(shape)
        place += count * 8
    return arrays


def groups_of(strategy: int, reward_risk: FloatArray) -> IntArray:
    """Combination of a strategy and a band of planned reward to risk."""
    return strategy * (len(BANDS) + 1) + np.searchsorted(BANDS, reward_risk, side="right").astype(np.int64)


def planned_reward_risk(close: FloatArray, stop: FloatArray, target: FloatArray, reward_risk: float) -> FloatArray:
    """From the close to the target over that to the stop; ``reward_risk`` where the target follows from the entry."""
    risk = np.abs(close - stop)
    planned = np.divide(np.abs(target - close), risk, out=np.full_like(close, reward_risk), where=risk > 0)
    return np.where(np.isnan(target), reward_risk, planned)
