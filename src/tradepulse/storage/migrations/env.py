"""Alembic's entry. Migrations become SQL text, which ``sync_schema`` shows or runs; so a migration is SQL alone."""

from alembic import context

from tradepulse.storage.tables import metadata

context.configure(
    dialect_name="postgresql",
    # Percent signs stay single: the text is run as it is.
    dialect_opts={"paramstyle": "named"},
    target_metadata=metadata,
    literal_binds=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
