"""Members of the ports that remember until the process ends: for back-tests and for tests."""

from dataclasses import replace

import orjson

from tradepulse.domain.events import CandleClosed
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.shared.errors import InvariantError


class InMemoryJournal:
    """The ``Journal`` in memory. ``records`` keeps every step, its candles and its snapshot left out."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self._last: dict[str, int] = {}
        self._snapshots: dict[str, bytes] = {}

    async def commit(self, record: StepRecord) -> None:
        last = self._last.get(record.book)
        if last is not None and record.sequence <= last:
            raise committed_twice(record)
        if record.snapshot is not None:
            self._snapshots[record.book] = orjson.dumps(record.snapshot)
        events = tuple(event for event in record.events if not isinstance(event, CandleClosed))
        self.records.append(replace(record, events=events, snapshot=None))
        self._last[record.book] = record.sequence

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        last = self._last.get(book)
        return None if last is None else (last, orjson.loads(self._snapshots.get(book, b"{}")))


class InMemoryVenueStore:
    """The ``VenueStore`` in memory; what is saved is copied, so later changes by the caller do not leak in."""

    def __init__(self) -> None:
        self._states: dict[str, bytes] = {}
        self._orders: dict[tuple[str, str], bytes] = {}

    async def load(self, venue: str) -> JsonObject | None:
        state = self._states.get(venue)
        return None if state is None else _object(state)

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        written = {(venue, client_id): orjson.dumps(order) for client_id, order in orders.items()}
        self._states[venue] = orjson.dumps(state)
        self._orders |= written

    async def order(self, venue: str, client_id: str) -> JsonObject | None:
        order = self._orders.get((venue, client_id))
        return None if order is None else _object(order)


def committed_twice(record: StepRecord) -> InvariantError:
    return InvariantError(
        f"Step {record.sequence} of book '{record.book}' is committed already, or a later one is.",
        "Two programs may be trading the same book; stop one, then restart the other.",
    )


def _object(data: bytes) -> JsonObject:
    loaded: JsonObject = orjson.loads(data)
    return loaded
