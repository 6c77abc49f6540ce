"""The migrations build exactly the tables of tables.py, once, however many ask."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from core.training_spec import TrainingSpec
from store import tables
from store.blobs import Blobs
from store.claims import Claims
from store.database import Database
from store.jobs import Jobs
from store.migrate import HERE, is_migrated, migrate, newest
from store.model_versions import hold_name
from store.models import Models
from store.settings import StoreSettings

SPEC = TrainingSpec.model_validate(
    {"dataset": "ds_1", "network": {"layers": [{"type": "dense", "units": 2}]}, "loss": {"type": "cross_entropy"}}
)


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


def test_a_later_migration_does_not_stop_older_processes(database: Database) -> None:
    for revision, ready in (("9999", True), ("0000", False), (newest(), True)):
        with database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        assert is_migrated(database) is ready


def test_rows_of_the_first_version_are_kept_and_can_be_worked_on(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    migrate(database, "0001")
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO blob VALUES ('sha256:3', 1, NULL, '2026-01-01 00:00:00')"))
        connection.execute(
            text("INSERT INTO dataset VALUES ('ds_1','default','d',1,'sha256:1','{}',1,1,'2026-01-01 00:00:00')")
        )
        connection.execute(
            text(
                "INSERT INTO job (id, tenant_id, kind, name, status, spec, spec_version, estimate, priority, "
                "dataset_id, attempt, fruitless_attempts, heartbeat, cancel_requested, pause_requested, epoch, epochs, "
                "fraction, last_event, created_at, queued_at) "
                "VALUES ('job_1', 'default', 'train', 'j', 'queued', :spec, 1, '{}', "
                "0, 'ds_1', 0, 0, 0, false, false, 0, 3, 0.0, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            ),
            {"spec": SPEC.model_dump_json()},
        )
        connection.execute(
            text("INSERT INTO event VALUES ('job_1', 1, 'default', 'queued', '{}', '2026-01-01 00:00:00')")
        )
        connection.execute(
            text(
                "INSERT INTO model (id, tenant_id, name, version, job_id, checkpoint_id, dataset_id, dataset_digest, "
                "digest, spec, spec_version, metrics, blob, size, created_at) VALUES ('mdl_1', 'default', 'm', 3, "
                "'job_1', 'ckpt_1', 'ds_1', 'sha256:1', 'sha256:2', '{}', 1, '{}', 'sha256:3', 1, "
                "'2026-01-01 00:00:00')"
            )
        )
    migrate(database)
    with database.transaction() as connection:
        assert hold_name(connection, "default", "m", 1) == 4
    model = Models(database, Blobs(database, f"file://{tmp_path}", tmp_path)).resolve("default", "m", "3")
    assert (model.id, model.notes) == ("mdl_1", "")
    claims, jobs = Claims(database), Jobs(database)
    assert claims.queued(10) == ["job_1"]
    claim = claims.claim("job_1", "a worker")
    assert claim is not None
    claims.renew(claim)
    record = jobs.get("default", "job_1")
    assert (record.status, record.bit_exact, record.fingerprint) == ("running", True, None)
    assert record.runtime_s >= 0
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
