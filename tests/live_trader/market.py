"""A market whose minutes are lived through in a moment, on an exchange whose clock stands still in between."""

import asyncio

from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MINUTE

BEGIN = 1_767_225_600_000


class FrozenMarket:
    """Minutes from ``BEGIN`` on, of the exchange's first symbol unless another is named."""

    def __init__(self, exchange: RunningExchange, symbol: str = "") -> None:
        self._exchange = exchange
        self._symbol = symbol
        self._over = 0

    async def minute(self, *prices: str, depth: str = "2", pause: float = 0.05) -> None:
        """The last price is the close. A moment more passes, so that the candle is final."""
        for price in prices:
            self._exchange.price(price, self._symbol, depth=depth)
            self._exchange.clock(advance=MINUTE // (len(prices) + 1))
            await asyncio.sleep(pause)
        self._over += 1
        self._exchange.clock(now=BEGIN + self._over * MINUTE)
        self._exchange.clock(advance=3_500)
        await asyncio.sleep(4 * pause)

    async def seconds(self, count: int, pause: float = 0.1) -> None:
        for _ in range(count):
            self._exchange.clock(advance=1_000)
            await asyncio.sleep(pause)
