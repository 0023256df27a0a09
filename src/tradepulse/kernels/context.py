"""What the higher timeframe says around a setup."""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@compiled
def close_against_extreme(close: FloatArray, last: IntArray, direction: IntArray, bars: int) -> FloatArray:
    """Distance of close ``last[k]`` from the extreme close of the ``bars`` before, against ``direction[k]``.

    As a share of the close: negative where it is itself a new extreme against the trade; -1 without enough bars.
    """
    result = np.full(len(last), -1.0)
    for row in range(len(last)):
        at = last[row]
        if at < bars:
            continue
        nearest = np.inf
        for bar in range(at - bars, at):
            nearest = min(nearest, direction[row] * close[bar])
        result[row] = (direction[row] * close[at] - nearest) / close[at]
    return result
