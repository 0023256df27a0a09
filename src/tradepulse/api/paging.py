"""Pages of rows that carry the row number they are paged by."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tradepulse.api.models import Page
from tradepulse.ports import JsonObject

Item = TypeVar("Item")


def page_of(rows: Sequence[JsonObject], limit: int, read: Callable[[JsonObject], Item]) -> Page[Item]:
    """A full page may have a successor; a short one is the last."""
    next_cursor = int(rows[-1]["cursor"]) if len(rows) == limit else None
    return Page[Item](items=[read(row) for row in rows], next_cursor=next_cursor)
