"""The migrations build exactly the tables of tables.py, once, however many ask."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from store import tables
from store.database import Database
from store.migrate import HERE, is_migrated, migrate, newest
from store.settings import StoreSettings


def test_the_migrations_lead_to_the_tables(database: Database) -> None:
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)
    assert differences == []


def test_the_numbered_files_end_where_alembic_does() -> None:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    assert ScriptDirectory.from_config(config).get_current_head() == newest()


def test_a_path_with_any_letter_in_it_is_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "100% sure? #1"
    database = Database(StoreSettings(data=folder).database)
    migrate(database)
    assert is_migrated(database)
    assert (folder / "nudge.db").exists()
    database.dispose()


def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    assert not _exists(databases[0])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, databases))
    assert all(is_migrated(database) for database in databases)
    for database in databases:
        database.dispose()


def _exists(database: Database) -> bool:
    with database.reading() as connection:
        return database.engine.dialect.has_table(connection, "job")


def test_every_row_has_a_tenant_and_every_unique_key_begins_with_it() -> None:
    for table in tables.metadata.tables.values():
        if table.name == "blob":
            continue
        assert "tenant_id" in table.c, table.name
        for constraint in table.constraints:
            if type(constraint).__name__ == "UniqueConstraint":
                assert next(iter(constraint.columns)).name == "tenant_id", table.name
