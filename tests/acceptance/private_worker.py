"""A worker in a process of its own that reaches one local exchange and nothing else; pages come slowly.

Called with the exchange's reach as JSON; the database comes from the environment.
"""

import asyncio
import json
import signal
import sys
from typing import Any

from tests.local_exchanges.running import Reach, private_session

from tradepulse.bootstrap import open_application
from tradepulse.bootstrap.workers import run_worker
from tradepulse.exchanges import backfill_ohlcv
from tradepulse.exchanges.ccxt_candles import CcxtCandles, Page
from tradepulse.shared.settings import load_settings

SECONDS_PER_PAGE = 0.7


async def main(reach: Reach) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    page = CcxtCandles.page

    async def slow_page(self: CcxtCandles, *given: Any) -> Page:
        await asyncio.sleep(SECONDS_PER_PAGE)
        return await page(self, *given)

    CcxtCandles.page = slow_page  # type: ignore[method-assign]
    async with private_session(reach) as session, open_application(load_settings()) as app:
        opened = backfill_ohlcv.opened_exchange
        backfill_ohlcv.opened_exchange = lambda *given, **named: opened(*given, **named | {"session": session})
        await run_worker(app, stop, threads=1)


asyncio.run(main(Reach.of(json.loads(sys.argv[1]))))
