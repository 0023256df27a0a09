"""Traders are born here: a process that has imported everything forks, so that a life begins without imports.

Every child is a process of its own, with its own connections, which is killed like any other. Nothing is open and no
thread runs in here when it forks. Lines in: a ``Life``; lines out: ``{"born": pid}``, and ``{"dead": pid, "status":
n}`` for every child that ended by itself or was killed.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

from tests.chaos.life import Life

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Nursery:
    """``born`` gives the process id of a new trader; ``died`` how one has ended, ``None`` while it lives."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._births: Queue[int] = Queue()
        self._deaths: dict[int, int] = {}
        self._died = threading.Condition()
        self._one_at_a_time = threading.Lock()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def born(self, life: str) -> int:
        assert self._process.stdin is not None
        with self._one_at_a_time:
            self._process.stdin.write(life + "\n")
            self._process.stdin.flush()
            return self._births.get(timeout=60)

    def died(self, pid: int) -> int | None:
        return self._deaths.get(pid)

    def wait(self, pid: int, seconds: float = 20) -> int:
        with self._died:
            if not self._died.wait_for(lambda: pid in self._deaths, seconds):
                raise TimeoutError(f"Process {pid} does not end.")
        return self._deaths[pid]

    def close(self) -> None:
        """After the process has ended."""
        self._listener.join(10)
        for pipe in (self._process.stdin, self._process.stdout):
            # What was not written to a process that is gone is of no use to anybody.
            with suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "born" in told:
                self._births.put(told["born"])
                continue
            with self._died:
                self._deaths[told["dead"]] = told["status"]
                self._died.notify_all()


@contextmanager
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.nursery"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    born = Nursery(process)
    try:
        yield born
    finally:
        process.kill()
        process.wait()
        born.close()


def _serve() -> None:
    from tests.chaos import trader

    signal.signal(signal.SIGCHLD, lambda *_: None)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    pending = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 512)
            _reap()
        if 0 in ready:
            told = os.read(0, 1 << 20)
            if not told:
                return
            *lives, pending = (pending + told).split(b"\n")
            for life in lives:
                child = os.fork()
                if child == 0:
                    _begin(trader.live, Life.of(life.decode()))
                _tell({"born": child})


def _begin(live: Callable[[Any], int], life: object) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        status = live(life)
    except BaseException:  # noqa: BLE001
        # The edge of this process: told to whoever reads its log.
        traceback.print_exc()
    finally:
        os._exit(status)


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell({"dead": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(fact: dict[str, int]) -> None:
    os.write(1, (json.dumps(fact) + "\n").encode())


if __name__ == "__main__":
    _serve()
