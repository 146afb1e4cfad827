"""Alembic's entry: runs the migrations on the connection that `glimpse.ledger.database.database.migrate` hands over.

Servers of the version before go on meanwhile and afterwards, so a migration only adds: tables, and columns that are
nullable or have a default on the server. One that does more says in the changelog that all servers have to stop first.
"""

from alembic import context

from glimpse.ledger.database.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot alter most things in place; Alembic then copies the table.
    render_as_batch=True,
    # SQLite can roll a change of the schema back; Alembic thinks it cannot.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
