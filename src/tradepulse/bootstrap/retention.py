"""Forgetting what is old, as the settings allow."""

from tradepulse.bootstrap.application import Application
from tradepulse.storage.retention import Kept, PostgresRetention


async def remove_what_is_old(app: Application, *, dry_run: bool = False) -> dict[str, int]:
    """Rows removed, by table; with ``dry_run`` those that would be."""
    chosen = app.settings.retention
    kept = Kept(chosen.event_days, chosen.setup_days, chosen.mark_days, chosen.job_days)
    retention = PostgresRetention(app.database, kept)
    now = app.clock.now()
    return await (retention.outdated(now) if dry_run else retention.remove(now))
