"""The process: ``python -m tests.live_trader.launcher LAUNCH.json``, where the file is a ``Launch`` as JSON.

Nothing here decides anything: it reaches the local exchanges instead of real ones, adds the steady strategy, and then
calls what the command calls. Every fact the engines tell is a line of JSON on the standard output, as is what the
wallets' traders say of themselves. SIGTERM ends it as it ends the command; SIGKILL is what it is for.
"""

import asyncio
import json
import signal
import sys
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.live_trader.steady import SteadyStrategy

import tradepulse.strategies

if "pytest" in sys.modules:
    raise ImportError("A launcher adds a strategy for good: it has a process of its own.")
# Before anything of the product has read which strategies there are.
_STRATEGIES = {**tradepulse.strategies.STRATEGIES, SteadyStrategy.strategy_id: SteadyStrategy()}
tradepulse.strategies.STRATEGIES = types.MappingProxyType(_STRATEGIES)

from tests.live_trader.launch import Launch, outside_of  # noqa: E402

from tradepulse import bootstrap  # noqa: E402
from tradepulse.exchanges import rate_budget  # noqa: E402
from tradepulse.shared.logging import configure_logging  # noqa: E402
from tradepulse.shared.settings import Settings  # noqa: E402

STOPPED = 0


def say(kind: str, **facts: Any) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **facts}, default=str) + "\n")
    sys.stdout.flush()


def tell(event: Any) -> None:
    say("event", type=type(event).__name__, event=asdict(event))


async def trade(launch: Launch) -> None:
    rate_budget.BURSTS.update(launch.bursts)
    settings = Settings(**launch.settings)
    configure_logging(settings.logging, [])
    async with bootstrap.open_application(settings) as app:
        say("open")
        wallets = bootstrap.load_wallets(settings)
        run = bootstrap.run_live if launch.mode == "live" else bootstrap.run_paper_wallets
        await run(
            app,
            wallets,
            launch.names,
            tell,
            outside=outside_of(launch),
            told=lambda wallet, state: say("state", wallet=wallet.name, text=state.text),
        )


def show_tasks() -> None:
    """What everything waits for, in the log: on SIGUSR1, for whoever looks for what hangs."""
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)


async def until_stopped(launch: Launch) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, show_tasks)
    trading, stopping = asyncio.create_task(trade(launch)), asyncio.create_task(stop.wait())
    await asyncio.wait({trading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        trading.cancel()
        await asyncio.gather(trading, return_exceptions=True)
        return STOPPED
    stopping.cancel()
    await trading
    return STOPPED


if __name__ == "__main__":
    sys.exit(asyncio.run(until_stopped(Launch(**json.loads(Path(sys.argv[1]).read_text())))))
