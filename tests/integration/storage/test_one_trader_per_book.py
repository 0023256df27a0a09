"""Two programs that trade one book would overwrite each other's exchange: the second is refused."""

import pytest

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage import db
from tradepulse.storage.db import Database, held_alone


async def test_book_when_traded_already_then_refused_until_the_first_has_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "LOCK_ATTEMPTS", 2)
    async with held_alone(database, "book"):
        with pytest.raises(ConfigurationError, match="Another program trades the book 'book' already"):
            async with held_alone(database, "book"):
                pass
        async with held_alone(database, "another book"):
            pass
    async with held_alone(database, "book"):
        pass
