"""Alembic's entry: on a connection that ``sync_schema`` hands over, or as SQL text."""

from alembic import context

from tradepulse.storage.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        dialect_name="postgresql", target_metadata=metadata, literal_binds=True, dialect_opts={"paramstyle": "named"}
    )
else:
    context.configure(connection=connection, target_metadata=metadata)

with context.begin_transaction():
    context.run_migrations()
