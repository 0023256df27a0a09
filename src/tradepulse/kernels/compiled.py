"""One place that says how kernels are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile to machine code without Python objects, cached on disk; other threads run meanwhile.

    ``fastmath`` stays off: reassociation would make results depend on the machine, and NaN must stay NaN.
    """
    return cast("Callable[Parameters, Result]", numba.njit(cache=True, nogil=True, fastmath=False)(function))
