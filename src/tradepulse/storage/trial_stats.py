"""Statistics of trials as bytes, and their totals for the ledger."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from tradepulse.domain.signals import Regime
from tradepulse.domain.training import TrainingJob, TrainingRequest, TrainingUnit
from tradepulse.ports import JsonObject

Stats = npt.NDArray[np.float32]
# Twice as fast as the fastest level of zlib, and smaller.
_LEVEL = 1


def encode(stats: Stats) -> bytes:
    """float32 of any shape, C order, little-endian, compressed. The shape must be kept beside it."""
    plain = np.ascontiguousarray(stats, dtype="<f4").tobytes()
    packed: bytes = pa.Codec("zstd", compression_level=_LEVEL).compress(plain, asbytes=True)
    return packed


def decode(data: bytes, shape: Sequence[int]) -> Stats:
    size = 4 * int(np.prod(shape, dtype=np.int64))
    plain: bytes = pa.Codec("zstd").decompress(data, decompressed_size=size, asbytes=True)
    return np.frombuffer(plain, dtype="<f4").reshape(tuple(shape))


def totals(stats: Stats, recent_column: int | None) -> Stats:
    """float32 [point, slot, column, 4] to [point, slot, (earlier, recent), 4]; added up in float64.

    ``None``: the plan tells no recent time apart.
    """
    first_recent = stats.shape[2] if recent_column is None else recent_column
    parts = (stats[:, :, :first_recent], stats[:, :, first_recent:])
    return np.stack([part.sum(axis=2, dtype=np.float64) for part in parts], axis=2).astype(np.float32)


def recent_column(plan: JsonObject, unit: TrainingUnit) -> int | None:
    for family in plan.get("families", ()):
        if (family["strategy"], family["timeframe"]) == (unit.strategy, str(unit.series.timeframe)):
            return int(family["recent_column"])
    return None


def request_hash(request: TrainingRequest) -> str:
    """The same for requests that ask for the same, in whichever order they name it."""
    asked = request_json(replace(request, regimes=request.regimes or tuple(Regime)))
    in_order = {name: sorted(value, key=str) if isinstance(value, list) else value for name, value in asked.items()}
    return hashlib.sha256(orjson.dumps(in_order, option=orjson.OPT_SORT_KEYS)).hexdigest()


def request_json(request: TrainingRequest) -> JsonObject:
    words: JsonObject = orjson.loads(orjson.dumps(request))
    return words


def json_bytes(report: JsonObject) -> bytes:
    """Numbers of numpy are written as numbers; what is not finite becomes null."""
    return orjson.dumps(report, option=orjson.OPT_SERIALIZE_NUMPY)


def report_of(job: TrainingJob, report: JsonObject) -> JsonObject:
    """The report with what only the store knows of its job."""
    known = {
        "id": job.job_id,
        "request": request_json(job.request),
        "code_version": job.code_version,
        "requested_by": job.requested_by,
        "state": str(job.state),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
    return report | {"job": report.get("job", {}) | known}
