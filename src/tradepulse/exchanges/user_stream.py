"""What an exchange tells of an account by itself, so that nothing it told is lost between two looks.

ccxt.pro answers a watch with what came while somebody waited; what comes between two waits is kept in its caches until
the next message. So every message wakes the reader, and the reader takes from the caches whatever it has not seen in
this state. What an exchange did not tell, because the connection was down or the frame was lost, is nobody's to find
here: whoever reads asks by REST after every connection and from time to time.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

import ccxt.pro as ccxtpro

from tradepulse.exchanges.ccxt_exchange import PASSING, ExchangeConnection, Sleep, own_cancellation
from tradepulse.exchanges.order_answers import SeenOrder, SeenTrade, seen_order, seen_trade
from tradepulse.exchanges.outcomes import WRONG_TIME, reason_of
from tradepulse.shared.errors import TradePulseError

logger = logging.getLogger(__name__)
Seen = TypeVar("Seen", SeenOrder, SeenTrade)
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
SILENT_MS = 45_000
"""No message and no answer to three pings."""
# Stops and pairs come on a channel of their own, the orders that they place on the plain one.
_WITH_TRIGGERS = frozenset({"okx", "kucoin"})
# What exchanges say on an open connection that ends it for us, which ccxt reads over or leaves its watchers waiting by.
_ENDINGS = {
    "serverShutdown": "the exchange is about to close it",
    "eventStreamTerminated": "the exchange has ended the account's events",
}
# OKX refuses a login and keeps the connection open; ccxt takes that login for one under way and waits for ever.
# https://www.okx.com/docs-v5/en/#error-code-websocket
_LOGINS_REFUSED = frozenset({"60004", "60005", "60006", "60007", "60009", "60011", "60024"})
# ccxt hands on what the fee does to the balance, where everywhere else it tells what was paid.
_FEES_AS_CHANGES = frozenset({"okx"})


class UserStream:
    """Orders and executions of one account. ``news`` is set by every message; ``breaks`` counts lost connections."""

    def __init__(self, connection: ExchangeConnection, sleep: Sleep) -> None:
        self._connection = connection
        self._sleep = sleep
        self.news = asyncio.Event()
        self.breaks = 0
        self._down: dict[str, set[Any]] = {}
        """Channels that broke, each with the connections that were there then: hearing another one ends it."""
        self._urls: set[str] = set()
        """Where the account's own channels are."""
        self._ending: dict[Any, str] = {}
        self._orders: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._trades: set[tuple[str, str]] = set()
        self._listen()

    def _listen(self) -> None:
        """Hear every message of every stream before ccxt does, and look at the caches after it has."""
        understood = self._connection.client.handle_message

        def heard(stream: Any, message: Any) -> None:
            try:
                understood(stream, message)
            finally:
                why = _ending(message)
                if why:
                    self._ending[stream] = why
                else:
                    self._note_life(stream)
                self.news.set()

        self._connection.client.handle_message = heard

    @property
    def down(self) -> bool:
        """An own channel has broken, and nothing was heard from where it is since."""
        return bool(self._down)

    def _note_life(self, stream: Any) -> None:
        if any("order" in str(name).lower() or "mytrades" in str(name).lower() for name in stream.futures):
            self._urls.add(stream.url)
        if stream.url in self._urls:
            self._down = {channel: before for channel, before in self._down.items() if stream in before}

    @property
    def tells_trades(self) -> bool:
        """Whether executions come by themselves; else only how much of an order is filled."""
        return bool(self._connection.client.has.get("watchMyTrades"))

    async def run(self) -> None:
        """Keep all of the account's channels open until cancelled."""
        channels: list[tuple[str, dict[str, Any]]] = [("watch_orders", {})]
        if self._connection.exchange in _WITH_TRIGGERS:
            channels.append(("watch_orders", {"trigger": True}))
        if self.tells_trades:
            channels.append(("watch_my_trades", {}))
        tasks = [asyncio.create_task(self._watch(f"{name} {more}", name, more)) for name, more in channels]
        tasks.append(asyncio.create_task(self._watch_over()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, channel: str, method: str, parameters: dict[str, Any]) -> None:
        pause, client = FIRST_PAUSE, self._connection.client
        while True:
            try:
                with own_cancellation():
                    await getattr(client, method)(params=parameters)
                self._down.pop(channel, None)
                pause = FIRST_PAUSE
            except ccxtpro.ExchangeClosedByUser:
                return
            except (*PASSING, ccxtpro.BaseError) as error:
                logger.warning("%s of %s broke: %s", method, self._connection.exchange, reason_of(error))
                self.breaks += 1
                if isinstance(error, (ccxtpro.BaseError, OSError)):
                    self._down[channel] = set((client.clients or {}).values())
                self.news.set()
                if isinstance(error, WRONG_TIME):
                    await self._measure_the_clock()
                await self._sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _measure_the_clock(self) -> None:
        try:
            await self._connection.suspect_the_clock()
        except (*PASSING, ccxtpro.BaseError, TradePulseError) as error:
            logger.warning("The clock of %s was not measured: %s", self._connection.exchange, reason_of(error))

    async def _watch_over(self) -> None:
        while True:
            await self._sleep(FIRST_PAUSE * 4)
            self._connection.drop_streams("it answers no ping", SILENT_MS)
            ending, self._ending = self._ending, {}
            for stream, why in ending.items():
                self._connection.drop_stream(stream, why)

    def orders(self) -> list[SeenOrder]:
        """Orders that have changed since the last look."""
        client, changed, now_seen = self._connection.client, [], {}
        for order in (*_all(client.orders), *_all(getattr(client, "triggerOrders", None))):
            key = (str(order.get("symbol")), str(order.get("id")))
            state = (order.get("status"), order.get("filled"), order.get("lastUpdateTimestamp"))
            now_seen[key] = state
            if self._orders.get(key) != state and order.get("id"):
                changed += _readable(seen_order, order)
        self._orders = now_seen
        return changed

    def trades(self) -> list[SeenTrade]:
        """Executions that were not there at the last look."""
        found = {
            (str(each.get("symbol")), str(each.get("id"))): each for each in _all(self._connection.client.myTrades)
        }
        fresh = [
            seen for key, trade in found.items() if key not in self._trades for seen in _readable(seen_trade, trade)
        ]
        self._trades = set(found)
        if self._connection.exchange not in _FEES_AS_CHANGES:
            return fresh
        return [replace(each, fees=tuple((currency, -cost) for currency, cost in each.fees)) for each in fresh]


def _ending(message: Any) -> str:
    """Why nothing more of the account's own will come by this connection, '' when something may."""
    if not isinstance(message, dict):
        return ""
    inner = message.get("event")
    told = _ENDINGS.get(str((inner if isinstance(inner, dict) else message).get("e")), "")
    if inner == "error" and str(message.get("code")) in _LOGINS_REFUSED:
        told = f"it refused the login: {message.get('msg')}"
    # A market's channel names its symbol; of an own channel, with an expired token say, only the refusal is told.
    refused = message.get("method") == "subscribe" and message.get("success") is False and "symbol" not in message
    return told or (f"it refused a subscription: {message.get('error')}" if refused else "")


def _readable(read: Callable[[dict[str, Any]], Seen], told: dict[str, Any]) -> list[Seen]:
    """Nothing where it cannot be read: asking will find what it was about."""
    try:
        return [read(told)]
    except PASSING as error:
        logger.error("A message of the stream cannot be read: %s", reason_of(error))
        return []


def _all(cache: Iterable[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return [] if cache is None else list(cache)
