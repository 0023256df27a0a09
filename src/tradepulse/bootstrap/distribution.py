"""Beyond one machine's cores: units of training on a Dask cluster, results in the same store.

The machine that was asked takes the units and hands them in; the cluster only computes. A worker that dies is missed
by the cluster, which computes its unit elsewhere. Only ``train.evaluate_unit`` travels, so the results are the same
bits as on one core.
"""

import asyncio
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from time import monotonic
from typing import Any
from uuid import uuid4

from tradepulse.bootstrap.backtests import code_version
from tradepulse.domain.training import JsonObject, TrainingRequest, TrainingUnit
from tradepulse.policy.plan import SeriesData
from tradepulse.policy.train import evaluate_unit
from tradepulse.policy.training_job import Evaluate
from tradepulse.ports import UnitResult
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError

LOCAL, WORKERS = "local", "workers"
"""In this process; or nowhere here, because workers elsewhere take the units."""
CONNECT_SECONDS = 10
LOOK_SECONDS = 0.2
ATTEMPTS = 5
SERIES_SHARED = 4
"""So many series stay on the cluster; units of one series come in a row."""
logger = logging.getLogger(__name__)
ADDRESS = re.compile(r"(?:dask|tcp|tls)://[^\s/:]+:\d{1,5}")
OWN_CLUSTER = re.compile(r"cluster(?::([1-9]\d?))?")
ENGINES = "local, workers, cluster, cluster:<processes>, or a Dask scheduler such as tcp://10.0.0.5:8786"


@dataclass(frozen=True, slots=True)
class Cluster:
    """``lanes``: how many units it computes at once. ``evaluate`` is what ``training_job.work_on`` wants."""

    lanes: int
    evaluate: Evaluate


@asynccontextmanager
async def open_cluster(engine: str, cores: int) -> AsyncIterator[Cluster]:
    """Connect to a scheduler, or start processes on this machine (one per core unless told) that end with the context.

    ``ConfigurationError`` where the text is no engine, the extra is not installed, nobody answers at the address, the
    cluster has no worker, or a worker runs other code.
    """
    processes = processes_of(engine, cores)
    dask = _dask()
    if processes is None:
        async with _client(engine.replace("dask://", "tcp://"), engine) as client:
            yield await _cluster_of(client, engine)
        return
    local = dask.LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        processes=True,
        asynchronous=True,
        host="127.0.0.1",
        dashboard_address=None,
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    )
    async with local, _client(local, engine) as client:
        await client.wait_for_workers(processes, timeout=6 * CONNECT_SECONDS)
        yield await _cluster_of(client, engine)


def check_engine(engine: str) -> None:
    """Before a job is stored that could not be worked on. ``ConfigurationError`` as ``open_cluster`` raises it."""
    if engine not in (LOCAL, WORKERS):
        processes_of(engine, 1)
        _dask()


def processes_of(engine: str, cores: int) -> int | None:
    """How many local processes; ``None`` for the address of a scheduler."""
    own = OWN_CLUSTER.fullmatch(engine)
    if own is not None:
        return int(own.group(1) or cores)
    if ADDRESS.fullmatch(engine) is None:
        raise ConfigurationError(f"'{engine}' is not an engine.", f"Use {ENGINES}.")
    return None


def _dask() -> Any:
    """Imported when it is wanted: it is an extra, and takes a second."""
    try:
        return import_module("distributed")
    except ImportError:
        raise ConfigurationError(
            "Training on a cluster needs Dask, which is not installed.", "Install it: pip install 'tradepulse[cluster]'"
        ) from None


@asynccontextmanager
async def _client(address: Any, engine: str) -> AsyncIterator[Any]:
    try:
        client = await _dask().Client(address, asynchronous=True, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            f"No Dask scheduler answers at {engine}: {error}.",
            "Start it with 'dask scheduler', or correct the address.",
        ) from None
    try:
        yield client
    finally:
        await client.close()


async def _cluster_of(client: Any, engine: str) -> Cluster:
    workers: dict[str, int] = await client.nthreads()
    if not workers:
        raise ConfigurationError(
            f"The cluster at {engine} has no worker.", "Start one per machine: dask worker <scheduler address>"
        )
    for worker, version in (await client.run(_version_there)).items():
        if version != code_version():
            raise _other_code(worker, version)
    return Cluster(sum(workers.values()), _OnCluster(client))


def _other_code(worker: str, version: str) -> ConfigurationError:
    return ConfigurationError(
        f"Worker {worker} runs {version}, this is {code_version()}: results would not be comparable.",
        "Install the same TradePulse there, then start the worker again.",
    )


class _OnCluster:
    """The ``Evaluate`` of ``training_job`` on a cluster. Every process holds a series once."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._shared: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._turn = asyncio.Lock()

    async def __call__(
        self,
        unit: TrainingUnit,
        data: SeriesData,
        request: TrainingRequest,
        plan: JsonObject,
        *,
        advance: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> UnitResult:
        for attempt in range(ATTEMPTS):
            try:
                result = await self._computed(unit, data, request, plan, cancelled)
            except (OSError, _dask().client.FutureCancelledError) as error:
                # A process died with the candles it held, or on the way to it.
                logger.warning("The cluster lost %s on %s: %s", unit.strategy, unit.series, error)
                self._shared.clear()
                await asyncio.sleep(attempt)
            else:
                advance(1, 1)
                return result
        raise TransientError(f"The cluster lost a unit {ATTEMPTS} times.", "See its logs, then resume the job.")

    async def _computed(
        self,
        unit: TrainingUnit,
        data: SeriesData,
        request: TrainingRequest,
        plan: JsonObject,
        cancelled: threading.Event,
    ) -> UnitResult:
        source = await self._on_cluster(data)
        key = f"training-{unit.index}-{uuid4().hex}"
        given_up = _dask().Event(key, client=self._client)
        future = self._client.submit(
            _evaluate_there, unit, source, request, plan, code_version(), key, key=key, pure=False
        )
        working = asyncio.ensure_future(future.result())
        while not working.done() and not cancelled.is_set():
            await asyncio.wait({working}, timeout=LOOK_SECONDS)
        if not working.done():
            working.cancel()
            await given_up.set()
            await future.cancel()
            raise RefusedError("The unit was given up.")
        result: UnitResult = await working
        return result

    async def _on_cluster(self, data: SeriesData) -> Any:
        key = (str(data.history.series), data.data_hash)
        async with self._turn:
            shared = self._shared.pop(key, None) or await self._client.scatter(data, hash=False)
            self._shared[key] = shared
            while len(self._shared) > SERIES_SHARED:
                self._shared.popitem(last=False)
        return shared


def _version_there() -> str:
    return code_version()


def _evaluate_there(
    unit: TrainingUnit, data: SeriesData, request: TrainingRequest, plan: JsonObject, version: str, name: str
) -> UnitResult:
    """Runs on a worker, which may have joined after the versions were compared."""
    if version != code_version():
        raise _other_code("that joined later", code_version())
    return evaluate_unit(unit, data, request, plan, threads=1, cancelled=_heard(name))


def _heard(name: str) -> Callable[[], bool]:
    """Asks the scheduler once a second whether the unit was given up."""
    given_up = _dask().Event(name)
    asked = monotonic()

    def cancelled() -> bool:
        nonlocal asked
        if monotonic() - asked < 1.0:
            return False
        asked = monotonic()
        return bool(given_up.is_set())

    return cancelled
