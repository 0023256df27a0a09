"""A market whose minutes are lived through in a moment, on an exchange whose clock stands still in between."""

import asyncio
from collections.abc import Callable

from tests.live_trader.harness import RunningTrader
from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE

BEGIN = 1_767_225_600_000


class FrozenMarket:
    """Minutes from ``BEGIN`` on, of the exchange's first symbol unless another is named."""

    def __init__(self, exchange: RunningExchange, symbol: str = "") -> None:
        self._exchange = exchange
        self._symbol = symbol
        self._over = 0

    async def minute(self, *prices: str, depth: str = "2", pause: float = 0.05, **terms: str) -> None:
        """The last price is the close. A moment more passes, so that the candle is final."""
        for price in prices:
            self._exchange.price(price, self._symbol, depth=depth, **terms)
            self._exchange.clock(advance=MINUTE // (len(prices) + 1))
            await asyncio.sleep(pause)
        self._over += 1
        self._exchange.clock(now=BEGIN + self._over * MINUTE)
        self._exchange.clock(advance=3_500)
        if prices:
            # The next minute's first trade wakes who sleeps by a clock that stands still.
            self._exchange.price(prices[-1], self._symbol, depth=depth, **terms)
        await asyncio.sleep(4 * pause)

    async def told(self, trader: RunningTrader, *prices: str, **terms: str) -> None:
        """A minute whose candle the trader has acted on before anything else happens."""
        opened = BEGIN + self._over * MINUTE
        await self.minute(*prices, **terms)
        await self.until(trader, lambda: self._acted_on(trader, opened))

    def _acted_on(self, trader: RunningTrader, opened: int) -> bool:
        symbol = self._symbol or self._exchange.reach.symbols[0]
        return any(
            event["candle"]["open_time"] >= opened
            and (event["series"]["exchange"], event["series"]["symbol"]) == (self._exchange.reach.exchange_id, symbol)
            for event in trader.events("CandleClosed")
        )

    async def until(self, trader: RunningTrader, true: Callable[[], bool], seconds: int = 60) -> None:
        """Time goes on slowly meanwhile, without the next minute's end: what is late is asked for again."""
        for _ in range(seconds * 4):
            if true():
                return
            assert trader.process.poll() is None, f"it ended:\n{trader.said()}"
            await asyncio.sleep(0.25)
            self._exchange.clock(advance=100)
        raise AssertionError(f"it did not happen:\n{trader.said()}")

    async def seconds(self, count: int, pause: float = 0.1) -> None:
        for _ in range(count):
            self._exchange.clock(advance=1_000)
            await asyncio.sleep(pause)
