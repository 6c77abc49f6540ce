"""Bring a database to the schema of this version, once, however many processes ask at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text

from store.database import Database

LOCK = 0x6E75646765  # "nudge": PostgreSQL's advisory lock of the migration


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database) -> None:
    """Run every migration that is missing, in one transaction; a second caller waits and finds nothing to do.

    Raises:
        Unavailable: the server cannot be reached.
    """
    if database.is_sqlite and (path := make_url(database.url).database):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        command.upgrade(_config(connection), "head")


def newest() -> str | None:
    """The revision that this version of the code is written for."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def is_migrated(database: Database) -> bool:
    """Whether the database stands at the revision of this version."""
    with database.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision() == newest()
