"""Bring a database to the schema of this version, once, however many processes ask at the same time."""

from pathlib import Path

from sqlalchemy import make_url, text

from store.database import Database

HERE = Path(__file__).parent / "migrations"
LOCK = 0x6E75646765  # "nudge": PostgreSQL's advisory lock of the migration


def migrate(database: Database, revision: str = "head") -> None:
    """Run every migration that is missing up to `revision`, in one transaction; who comes second finds nothing to do.

    Raises:
        Unavailable: the server cannot be reached.
    """
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    if database.is_sqlite and (path := make_url(database.url).database):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = Config()
        config.set_main_option("script_location", str(HERE).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def newest() -> str:
    """The revision that this version of the code is written for: the files are numbered."""
    return max(path.name.split("_")[0] for path in (HERE / "versions").glob("[0-9]*.py"))


def is_migrated(database: Database) -> bool:
    """Whether the database stands at the revision of this version, or at a later one, which only adds to it: while
    servers and workers are replaced one by one, the older ones go on.

    Every process asks this when it starts, so it is asked without alembic, whose import takes half a second.
    """
    with database.reading() as connection:
        if not database.engine.dialect.has_table(connection, "alembic_version"):
            return False
        return (connection.scalar(text("SELECT version_num FROM alembic_version")) or "") >= newest()
