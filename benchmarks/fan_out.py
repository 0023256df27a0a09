"""What an engine of several processes costs per task, against threads: python -m benchmarks.fan_out

Wall-clock time, because the work is done in other processes. An engine that is not installed is left out; to measure
Ray, install ray and numpy in an environment of their own and run this file there.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

PROCESSES = 2
ROUNDS = 5
EMPTY_TASKS = 200
RESULTS = 8
# What a unit of training answers: 2,049 points, four slots, 64 columns, four figures.
RESULT_SHAPE = (2049, 4, 64, 4)
# A year of 1m candles: six columns.
CANDLES_SHAPE = (6, 525_600)


def nothing(number: int) -> int:
    return number


def statistics_of(candles: Any, number: int) -> Any:
    return np.full(RESULT_SHAPE, float(candles[0, 0]) + number, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Engine:
    """``spread`` runs a function over numbers; ``share`` hands an array to the processes once."""

    spread: Callable[[Callable[..., Any], tuple[Any, ...], int], list[Any]]
    share: Callable[[Any], Any]


@contextmanager
def threads() -> Iterator[Engine]:
    with ThreadPoolExecutor(PROCESSES) as pool:

        def spread(function: Callable[..., Any], shared: tuple[Any, ...], count: int) -> list[Any]:
            return [future.result() for future in [pool.submit(function, *shared, n) for n in range(count)]]

        yield Engine(spread, lambda array: array)


@contextmanager
def dask() -> Iterator[Engine]:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:

        def spread(function: Callable[..., Any], shared: tuple[Any, ...], count: int) -> list[Any]:
            return client.gather([client.submit(function, *shared, number, pure=False) for number in range(count)])

        yield Engine(spread, lambda array: client.scatter(array, broadcast=True))


@contextmanager
def ray() -> Iterator[Engine]:
    import ray as engine

    engine.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False)

    def spread(function: Callable[..., Any], shared: tuple[Any, ...], count: int) -> list[Any]:
        remote = engine.remote(function)
        return engine.get([remote.remote(*shared, number) for number in range(count)])

    try:
        yield Engine(spread, engine.put)
    finally:
        engine.shutdown()


ENGINES = {"threads": (threads, "numpy"), "dask": (dask, "distributed"), "ray": (ray, "ray")}


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def milliseconds(taken: list[float], tasks: int) -> str:
    each = [1000 * seconds / tasks for seconds in taken]
    return f"{statistics.median(each):.2f} ({min(each):.2f} – {max(each):.2f})"


def measured(open_engine: Callable[[], Any]) -> tuple[str, ...]:
    candles = np.random.default_rng(0).random(CANDLES_SHAPE)
    started = time.perf_counter()
    with open_engine() as engine:
        engine.spread(nothing, (), PROCESSES)
        up = time.perf_counter() - started
        sharing = [
            timed(lambda: engine.spread(statistics_of, (engine.share(candles.copy()),), 1)) for _ in range(ROUNDS)
        ]
        shared = engine.share(candles)
        engine.spread(statistics_of, (shared,), PROCESSES)
        single = [timed(lambda: engine.spread(nothing, (), 1)) for _ in range(4 * ROUNDS)]
        many = [timed(lambda: engine.spread(nothing, (), EMPTY_TASKS)) for _ in range(ROUNDS)]
        large = [timed(lambda: engine.spread(statistics_of, (shared,), RESULTS)) for _ in range(ROUNDS)]
    return (
        f"{up:.1f}",
        milliseconds(single, 1),
        milliseconds(many, EMPTY_TASKS),
        milliseconds(large, RESULTS),
        milliseconds(sharing, 1),
    )


def main() -> None:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}. Milliseconds of wall-clock time per task: median (lowest – highest).")
    print("start s | one empty task | one of 200 empty tasks | one of 8 that answer 8.4 MB | first on 25 MB of candles")
    for name, (open_engine, module) in ENGINES.items():
        if find_spec(module) is None:
            print(f"{name:8} not installed")
            continue
        print(f"{name:8} {' | '.join(measured(open_engine))}")


if __name__ == "__main__":
    main()
