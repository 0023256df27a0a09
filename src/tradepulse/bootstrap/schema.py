"""The database's schema, as a command may ask for it."""

import asyncio

from tradepulse.shared.settings import Settings
from tradepulse.storage.db import open_database
from tradepulse.storage.schema import sync_schema


async def sync_database_schema(settings: Settings, *, dry_run: bool) -> list[str]:
    """The SQL statements that bring the database up to date; run, unless ``dry_run``."""
    url = settings.database.url.get_secret_value() if settings.database.url else None
    async with open_database(url, settings.data_directory, sync=False) as database:
        return await asyncio.to_thread(sync_schema, database.url, dry_run=dry_run)
