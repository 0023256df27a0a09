"""The database: its schema, its state, and whether the book in it adds up."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.options import AsJson, BookName, run, settings_for_command
from tradepulse.cli.screen import show_facts, show_json, show_line, tell
from tradepulse.shared.errors import ConfigurationError, InvariantError
from tradepulse.shared.settings import Settings

if TYPE_CHECKING:
    from tradepulse.bootstrap import Repair

MigrationsOnly = Annotated[bool, typer.Option("--migrations-only", help="Do not look for changes made by hand.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be changed, change nothing.")]

Drop = Annotated[bool, typer.Option("--drop", help="Drop what the migrations do not make, and the data in it.")]

BackupFolder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where backups are kept.")]
BackupToRestore = Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that 'db backup' wrote.")]
Keep = Annotated[int, typer.Option("--keep", min=0, help="Then remove all but so many of the newest; 0: none.")]
Check = Annotated[bool, typer.Option("--check", help="Restore and compare only; replace nothing.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    group.command("sync")(sync)
    group.command("status")(status)
    group.command("revision")(revision)
    group.command("retention")(retention)
    group.command("backup")(backup)
    group.command("restore")(restore)
    app.add_typer(group, name="db", help="The database: its schema and its state.")
    app.command("ledger")(ledger)


def sync(
    dry_run: DryRun = False, drop: Drop = False, migrations_only: MigrationsOnly = False, as_json: AsJson = False
) -> None:
    """Bring the database's schema up to date, and back to what the migrations make where somebody changed it by hand.

    Columns and tables that the migrations do not know are dropped only with --drop.
    """
    answer = run(_sync(settings_for_command(), dry_run=dry_run, drop=drop, drift=not migrations_only))
    if as_json:
        show_json({"dry_run": dry_run, **answer})
        return
    if dry_run:
        _show_sql(answer, drop=drop)
    _show_outcome(answer, dry_run=dry_run, drop=drop)


async def _sync(settings: Settings, *, dry_run: bool, drop: bool, drift: bool) -> dict[str, list[str]]:
    """Drift is looked for in a migrated database only: what is owed differs by itself."""
    from tradepulse import bootstrap

    statements = await bootstrap.sync_database_schema(settings, dry_run=dry_run)
    if not drift:
        repairs = []
    elif dry_run:
        repairs = [] if statements else await _drift(settings)
    else:
        repairs = await _mended(settings, drop=drop)
    return {
        "statements": statements,
        "repairs": [one.statement for one in repairs if not one.drops],
        "drops": [one.statement for one in repairs if one.drops],
    }


async def _drift(settings: Settings) -> "list[Repair]":
    """Who may not make a scratch database may migrate all the same."""
    from tradepulse import bootstrap

    try:
        return await bootstrap.drift_of_schema(settings)
    except ConfigurationError as error:
        tell(f"Drift was not looked for: {error}")
        return []


async def _mended(settings: Settings, *, drop: bool) -> "list[Repair]":
    from tradepulse import bootstrap

    found = await _drift(settings)
    return await bootstrap.mend_database_schema(settings, drop=drop) if found else found


def _show_sql(answer: dict[str, list[str]], *, drop: bool) -> None:
    """What may be piped into psql: what would not be run is a comment."""
    for title, statements in (("migrations", answer["statements"]), ("drift", answer["repairs"])):
        if statements:
            show_line(f"-- {title}")
        for statement in statements:
            show_line(f"{statement};")
    if answer["drops"]:
        show_line("-- drift: what the migrations do not make" + ("" if drop else "; dropped only with --drop"))
    for statement in answer["drops"]:
        shown = " ".join(statement.split())
        show_line(f"{shown};" if drop else f"-- {shown};")


def _show_outcome(answer: dict[str, list[str]], *, dry_run: bool, drop: bool) -> None:
    """For people, so not among the SQL."""
    due = len(answer["statements"]) + len(answer["repairs"]) + (len(answer["drops"]) if drop else 0)
    kept = 0 if drop else len(answer["drops"])
    if dry_run:
        tell(f"{due} statements would be run." if due else "The schema is up to date.")
    else:
        show_line(f"The schema is up to date now; {due} statements were run." if due else "The schema is up to date.")
    if kept:
        tell(f"In the database, and not made by the migrations: {kept}. --drop takes it away.")


def revision(as_json: AsJson = False) -> None:
    """Show which migration the database has; 'none' where it is empty. Changes nothing."""
    from tradepulse import bootstrap

    found = run(bootstrap.revision_of_database(settings_for_command()))
    if as_json:
        show_json({"revision": found})
    else:
        show_line(found or "none")


def status(as_json: AsJson = False) -> None:
    """Show where the database is, whether its schema is current, and what it holds."""
    facts = run(_status(settings_for_command()))
    if as_json:
        show_json(facts)
    else:
        show_facts((name.replace("_", " "), value) for name, value in facts.items())


async def _status(settings: Settings) -> dict[str, Any]:
    from tradepulse import bootstrap

    pending = await bootstrap.sync_database_schema(settings, dry_run=True)
    if pending:
        return {"schema": "behind", "pending_statements": len(pending), "remedy": "tradepulse db sync"}
    async with bootstrap.open_application(settings) as app:
        coverage = await app.candles.coverage()
        return {
            "database": app.database_label,
            "schema": "current",
            "series": len(coverage),
            "candles": sum(entry.rows for entry in coverage),
            "books": len(await app.reader.books()),
            "backtests": len(await app.results.backtests(limit=1000)),
        }


def retention(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove what is older than the settings keep it: told facts, setups that came to nothing, ended jobs."""
    gone = run(_retention(settings_for_command(), dry_run=dry_run))
    if as_json:
        show_json({"dry_run": dry_run, "rows": gone})
        return
    show_facts(gone.items())
    show_line("So many rows would be removed (--dry-run)." if dry_run else "So many rows were removed.")


async def _retention(settings: Settings, *, dry_run: bool) -> dict[str, int]:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings) as app:
        return await bootstrap.remove_what_is_old(app, dry_run=dry_run)


def backup(folder: BackupFolder, keep: Keep = 0, as_json: AsJson = False) -> None:
    """Back the database up into a new folder below FOLDER, with counts and checksums. Trading may go on meanwhile."""
    from tradepulse import bootstrap

    written, removed = run(bootstrap.back_up(settings_for_command(), folder, keep=keep))
    facts = {"backup": str(written.folder), "revision": written.revision, "bytes": written.size, "rows": written.rows}
    if as_json:
        show_json({**facts, "removed": [str(one) for one in removed]})
        return
    show_facts([*facts.items(), ("removed", ", ".join(one.name for one in removed) or "none")])


def restore(folder: BackupToRestore, check: Check = False, as_json: AsJson = False) -> None:
    """Restore a backup into a scratch database, compare every table with it, then let it take the database's place.

    The database that was there is kept under another name. Refused while a program uses it.
    """
    from tradepulse import bootstrap

    found, before = bootstrap.restore_backup(settings_for_command(), folder, only_check=check)
    facts = {"backup": str(found.folder), "revision": found.revision, "tables": len(found.tables), "rows": found.rows}
    if as_json:
        show_json({**facts, "checked_only": check, "kept_as": before or None})
        return
    show_facts(facts.items())
    show_line("Every table has the rows and the checksum of the backup.")
    if check:
        show_line("Nothing was replaced (--check).")
    elif before:
        show_line(f"The database that was there is kept as '{before}'. Drop it when you are sure.")


def ledger(book: BookName = None, as_json: AsJson = False) -> None:
    """Check that the book adds up to the last unit: start + trades = cash + positions + fees."""
    answer = run(_ledger(settings_for_command(), book))
    if as_json:
        show_json(answer)
    else:
        show_facts((name.replace("_", " "), value) for name, value in answer.items())
    if not answer["balanced"]:
        raise InvariantError(
            f"The book '{answer['book']}' does not add up: {answer['difference']} is missing.",
            "Stop trading, keep the database as it is, and report this.",
        )


async def _ledger(settings: Settings, book: str | None) -> dict[str, Any]:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings) as app:
        names = [str(entry["book"]) for entry in await app.reader.books()]
        if not names:
            raise ConfigurationError("No book has begun yet.", "Start paper trading first: tradepulse up")
        if book is not None and book not in names:
            raise ConfigurationError(f"There is no book '{book}'.", f"Books that exist: {', '.join(names)}.")
        chosen = book or names[0]
        check = await app.reader.ledger_check(chosen)
        sums = {name: f"{value.normalize():f}" for name, value in asdict(check).items()}
        return {"book": chosen, **sums, "balanced": check.difference == 0}
