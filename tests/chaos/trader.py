"""The process that is killed: the product's live trader as ``tests.live_trader.launcher`` starts it."""

import asyncio
import ctypes
import faulthandler
import os
import signal
import sys

from tests.chaos.life import Life
from tests.live_trader import launcher
from tests.live_trader.launch import Launch

DEATH_OF_THE_PARENT = 1


def live(life: Life) -> int:
    """Until it is killed, or ends by itself. SIGUSR1 has it say where it stands."""
    # Nothing outlives the one who may kill it.
    ctypes.CDLL(None).prctl(DEATH_OF_THE_PARENT, signal.SIGKILL)
    for number, path in ((0, os.devnull), (1, life.facts), (2, life.log)):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    faulthandler.register(signal.SIGUSR1, file=2)
    return asyncio.run(launcher.until_stopped(Launch(**life.launch)))


if __name__ == "__main__":
    sys.exit(live(Life.of(sys.stdin.readline())))
