"""A venue's book with its memory: every order that ever was is known, those that ended from the store."""

import asyncio
from collections.abc import Callable

from tradepulse.domain.commands import Command
from tradepulse.domain.events import OrderEvent
from tradepulse.exchanges.venue_book import VenueBook, client_ids
from tradepulse.exchanges.venue_orders import VenueOrder
from tradepulse.ports import JsonObject, VenueStore


class KeptBook:
    """``venue`` names the book in the store. Without a store nothing is saved, and everything stays in memory."""

    def __init__(self, book: VenueBook, store: VenueStore | None, venue: str) -> None:
        self._book = book
        self._store = store
        self._venue = venue
        self._saving = asyncio.Lock()

    async def load(self) -> JsonObject | None:
        return None if self._store is None else await self._store.load(self._venue)

    async def execute(self, command: Command, now: int) -> list[OrderEvent]:
        """Whoever calls saves what was touched before telling the answer."""
        await self.recall(command)
        return self._book.execute(command, now)

    async def recall(self, command: Command) -> None:
        """Bring the orders that the command names back into memory."""
        for client_id in client_ids(command):
            await self.known(client_id)

    async def known(self, client_id: str) -> VenueOrder | None:
        order = self._book.orders.get(client_id)
        if order is None and self._store is not None:
            stored = await self._store.order(self._venue, client_id)
            if stored is not None:
                order = self._book.orders.setdefault(client_id, VenueOrder.from_json(stored))
        return order

    async def save(self, state: Callable[[], JsonObject]) -> None:
        """Everything that changed, in one go. Orders that ended leave memory once the store has them."""
        if self._store is None:
            self._book.touched.clear()
            return
        async with self._saving:
            touched, self._book.touched = self._book.touched, {}
            saved = False
            try:
                orders = {client_id: order.as_json() for client_id, order in touched.items()}
                await self._store.save(self._venue, state(), orders)
                saved = True
            finally:
                if not saved:
                    self._book.touched = touched | self._book.touched
        for client_id, order in touched.items():
            if order.status.terminal:
                self._book.orders.pop(client_id, None)
