"""One place that says how kernels are compiled."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def _cache_directory(sources: Path) -> Path:
    """Compiled code is kept beside the sources, under a name that changes with any of them.

    numba looks at a function's own file only: a kernel would go on with what it has compiled in from another module
    after that one has changed.
    """
    digest = hashlib.blake2s(digest_size=6)
    for source in sorted(sources.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return sources / "__pycache__" / f"compiled-{digest.hexdigest()}"


_SOURCES = Path(__file__).parent
if os.access(_SOURCES, os.W_OK):
    # The public name of the setting is NUMBA_CACHE_DIR; numba reads it into this module when it is imported.
    setattr(numba.config, "CACHE_DIR", str(_cache_directory(_SOURCES)))  # noqa: B010


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile to machine code without Python objects, cached on disk; other threads run meanwhile.

    ``fastmath`` stays off: reassociation would make results depend on the machine, and NaN must stay NaN.
    """
    return cast("Callable[Parameters, Result]", numba.njit(cache=True, fastmath=False, nogil=True)(function))
