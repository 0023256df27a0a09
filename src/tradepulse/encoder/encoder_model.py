"""Windows as 75 numbers: what their shape amounts to (64 whitened principal components) and eleven features by hand.

One model per timeframe, fitted once on windows of all its markets and then fixed: two embeddings can be compared only
if the same model made them, so its version is part of every stored embedding.
"""

from dataclasses import dataclass
from hashlib import blake2s

import numpy as np
import numpy.typing as npt

from tradepulse.encoder.features import HAND_FEATURES, Float32Array, Windows
from tradepulse.shared.errors import ConfigurationError

COMPONENTS = 64
DIMENSIONS = COMPONENTS + len(HAND_FEATURES)
FEWEST_WINDOWS = 1_000
HAND_WEIGHT = 2.0
"""Of one feature by hand beside one component, whose number would drown them in a distance."""
MOST_DEVIATIONS = 5.0

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EncoderModel:
    """Plain arrays, so that it can be stored and read without running anything.

    ``mean`` [480], ``components`` [480, 64] (divided by their deviations already), ``hand_mean``, ``hand_scale`` [11].
    """

    version: str
    mean: FloatArray
    components: FloatArray
    hand_mean: FloatArray
    hand_scale: FloatArray
    explained: float
    """Share of the variance of shapes that the components keep."""

    def encode(self, windows: Windows) -> Float32Array:
        """``[n, 75]``, every number within five deviations."""
        parts = (windows.shapes - self.mean) @ self.components
        hand = (windows.hand - self.hand_mean) / self.hand_scale
        bounded = np.clip(np.concatenate((parts, hand), axis=1), -MOST_DEVIATIONS, MOST_DEVIATIONS)
        bounded[:, COMPONENTS:] *= HAND_WEIGHT
        return bounded.astype(np.float32)


def fit_encoder(windows: Windows) -> EncoderModel:
    """Principal components of the covariance, whitened; the largest weight of each is positive, so signs are fixed."""
    if len(windows) < FEWEST_WINDOWS:
        raise ConfigurationError(
            f"{len(windows)} windows are too few to learn from: {FEWEST_WINDOWS:,} are needed.",
            "Download a longer history, or more symbols: tradepulse download-data",
        )
    shapes = windows.shapes.astype(np.float64)
    mean = shapes.mean(axis=0)
    centred = shapes - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(shapes) - 1))
    kept, directions = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    largest = directions[np.abs(directions).argmax(axis=0), np.arange(COMPONENTS)]
    components = directions * np.sign(largest) / np.sqrt(np.maximum(kept, 1e-12))
    hand = windows.hand.astype(np.float64)
    scale = hand.std(axis=0)
    arrays = (mean, components, hand.mean(axis=0), np.where(scale > 1e-9, scale, 1.0))
    return EncoderModel(version_of(arrays), *arrays, float(kept.sum() / max(values.sum(), 1e-12)))


def version_of(arrays: tuple[FloatArray, ...]) -> str:
    digest = blake2s(digest_size=6)
    for array in arrays:
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
