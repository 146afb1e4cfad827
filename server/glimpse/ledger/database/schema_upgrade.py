"""Runs migrations with Alembic. Imported only where a schema has to change: the import takes a tenth of a second."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from glimpse.ledger.database.schema_version import MIGRATIONS


def upgrade(connection: Connection, revision: str) -> None:
    """Migrates a schema to an Alembic revision, or to "head", in the transaction of `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
