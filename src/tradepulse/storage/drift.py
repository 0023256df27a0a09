"""How a database differs from the one that the migrations make, and the SQL that mends it.

A scratch database on the same server is migrated from nothing and compared with the real one. Tables and columns are
compared by Alembic; constraints, indexes, triggers, functions and views by the definition that PostgreSQL itself writes
of them, which is also what makes them again.
"""

import io
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.db import create_database
from tradepulse.storage.driver_errors import database_errors
from tradepulse.storage.schema import MIGRATION_LOCK, connected_engine, statements_of, sync_schema

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation, OpContainer
    from sqlalchemy import MetaData

# In the order in which they are made: a trigger needs its function, a foreign key the key it names.
_OBJECTS: LiteralString = """
    with ours as (
        select c.oid, c.relname, c.relkind from pg_class c
        where c.relnamespace = current_schema()::regnamespace
          and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    )
    select 1, 'function', '', p.oid::regprocedure::text, pg_get_functiondef(p.oid),
           format('drop function %s', p.oid::regprocedure)
    from pg_proc p
    where p.pronamespace = current_schema()::regnamespace and p.prokind in ('f', 'p')
      and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    union all
    select case k.contype when 'f' then 3 else 2 end, 'constraint', t.relname, k.conname,
           format('alter table %I add constraint %I %s', t.relname, k.conname, pg_get_constraintdef(k.oid)),
           format('alter table %I drop constraint %I', t.relname, k.conname)
    from pg_constraint k join ours t on t.oid = k.conrelid
    where k.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select 4, 'index', t.relname, i.relname, pg_get_indexdef(i.oid), format('drop index %I', i.relname)
    from pg_index x join ours i on i.oid = x.indexrelid join ours t on t.oid = x.indrelid
    where not exists (select from pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x'))
    union all
    select 5, 'view', '', v.relname, format('create or replace view %I as %s', v.relname, pg_get_viewdef(v.oid)),
           format('drop view %I', v.relname)
    from ours v where v.relkind = 'v'
    union all
    select 6, 'trigger', t.relname, g.tgname, pg_get_triggerdef(g.oid),
           format('drop trigger %I on %I', g.tgname, t.relname)
    from pg_trigger g join ours t on t.oid = g.tgrelid
    where not g.tgisinternal
    order by 1, 3, 4
"""  # fmt: skip
_REPLACED_IN_PLACE = ("function", "view")


@dataclass(frozen=True, slots=True)
class Repair:
    """One statement. ``drops``: it takes something away that the migrations do not make, and what it holds."""

    statement: str
    drops: bool = False


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    table: str
    name: str
    creates: str
    drops: str


_Objects = dict[tuple[str, str, str], _Object]


def schema_drift(url: str) -> list[Repair]:
    """What makes the database of ``url``, migrated to the head, the one that the migrations make; nothing where it is.

    Blocks. Errors: ``ConfigurationError`` where the user may not make the scratch database.
    """
    with database_errors(url), _scratch_database(url) as scratch:
        reference = _reflected(scratch)
        wanted, found, there = _objects_of(scratch), _objects_of(url), _tables_of(url)
        return [
            *_taken_away(wanted, found, set(reference.tables)),
            *_tables_and_columns(url, reference),
            *_made(wanted, found, there),
        ]


def mend_drift(url: str, *, drop: bool = False) -> list[Repair]:
    """Run what ``schema_drift`` tells, in one transaction; what drops, where ``drop`` says so. Answers all of it."""
    repairs = schema_drift(url)
    chosen = [one.statement for one in repairs if drop or not one.drops]
    if chosen:
        _run_together(url, chosen)
    return repairs


def _run_together(url: str, statements: Sequence[str]) -> None:
    with database_errors(url), psycopg.connect(url) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        for statement in statements:
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                raise ConfigurationError(
                    f"The drift cannot be mended by itself; nothing was changed. PostgreSQL refused '{statement}': "
                    f"{str(error).splitlines()[0]}",
                    "Mend it by hand, or restore a backup: ops/scripts/restore.sh.",
                ) from error


@contextmanager
def _scratch_database(url: str) -> Iterator[str]:
    name = f"tradepulse_scratch_{secrets.token_hex(4)}"
    create_database(url, name, template="template0")
    try:
        scratch = make_conninfo(url, dbname=name)
        sync_schema(scratch)
        yield scratch
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _reflected(url: str) -> "MetaData":
    from pgvector.sqlalchemy import VECTOR
    from sqlalchemy import MetaData
    from sqlalchemy.dialects.postgresql.base import ischema_names

    ischema_names.setdefault("vector", VECTOR)
    metadata = MetaData()
    with connected_engine(url) as connection:
        metadata.reflect(connection)
    return metadata


def _tables_and_columns(url: str, reference: "MetaData") -> Iterator[Repair]:
    from alembic.autogenerate import produce_migrations
    from alembic.migration import MigrationContext
    from alembic.operations.ops import DropColumnOp, DropTableOp

    options = {"compare_type": True, "compare_server_default": True, "include_object": _is_table_or_column}
    with connected_engine(url) as connection:
        found = produce_migrations(MigrationContext.configure(connection, opts=options), reference)
    if found.upgrade_ops is None:
        return
    for operation in _flat(found.upgrade_ops):
        for statement in _written(operation):
            yield Repair(statement, drops=isinstance(operation, DropColumnOp | DropTableOp))


def _is_table_or_column(_: object, __: str | None, kind: str, *___: object) -> bool:
    return kind in ("table", "column")


def _flat(container: "OpContainer") -> Iterator["MigrateOperation"]:
    from alembic.operations.ops import OpContainer

    for operation in container.ops:
        if isinstance(operation, OpContainer):
            yield from _flat(operation)
        else:
            yield operation


def _written(operation: "MigrateOperation") -> list[str]:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.operations.ops import AlterColumnOp
    from sqlalchemy.dialects.postgresql import dialect

    if isinstance(operation, AlterColumnOp):
        # Words for MySQL, of which it warns.
        operation.kw = {name: value for name, value in operation.kw.items() if not name.endswith("autoincrement")}
        if operation.modify_type is not None:
            wanted = operation.modify_type.compile(dialect())  # type: ignore[no-untyped-call]
            operation.kw["postgresql_using"] = f'"{operation.column_name}"::{wanted}'
    output = io.StringIO()
    options = {"as_sql": True, "output_buffer": output, "literal_binds": True}
    Operations(MigrationContext.configure(dialect_name="postgresql", opts=options)).invoke(operation)
    return statements_of(output.getvalue())


def _taken_away(wanted: _Objects, found: _Objects, tables: set[str]) -> Iterator[Repair]:
    """What is not wanted, or wanted otherwise, the last made first."""
    for key, one in reversed(found.items()):
        same = key in wanted and (one.creates == wanted[key].creates or one.kind in _REPLACED_IN_PLACE)
        # What hangs on a table that is not ours goes with the table.
        if not same and (not one.table or one.table in tables):
            yield Repair(one.drops, drops=key not in wanted)


def _made(wanted: _Objects, found: _Objects, there: set[str]) -> Iterator[Repair]:
    for key, one in wanted.items():
        made_with_its_table = one.kind == "constraint" and one.table not in there
        if (key not in found or one.creates != found[key].creates) and not made_with_its_table:
            yield Repair(one.creates)


def _objects_of(url: str) -> _Objects:
    with psycopg.connect(url) as connection:
        rows = connection.execute(_OBJECTS).fetchall()
    objects = (_Object(*(str(cell) for cell in row[1:])) for row in rows)
    return {(one.kind, one.table, one.name): one for one in objects}


def _tables_of(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select tablename from pg_tables where schemaname = current_schema()")
        return {str(row[0]) for row in found}
