"""Alembic's entry point: runs the migrations on the connection that `glimpse.ledger.database.database.migrate`
provides.

Servers of the previous version keep running during and after a migration. A migration therefore only adds: tables, and
columns that are nullable or have a server default. If one does more, the changelog says that all servers have to stop
first.
"""

from alembic import context

from glimpse.ledger.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place; Alembic then copies the table.
    render_as_batch=True,
    # SQLite can roll back schema changes; Alembic assumes that it cannot.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
