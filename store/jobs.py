"""Jobs as their owner sees them: submit, look, list, cancel, pause, resume, retry, delete."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from core.estimate import Estimate
from core.training_spec import TrainingSpec
from store import tables
from store.database import Database
from store.errors import IllegalMove, KeyInProgress, KeyReused, NotFound, Unavailable
from store.ids import PREFIXES, new_id
from store.lifecycle import OVER, Status
from store.moves import move, notice, record_events
from store.pages import Page, read_page
from store.records import CheckpointRecord, Event, JobRecord, checkpoint_record, event_record, job_record

job = tables.job
# One constant statement with every column given is compiled once; that halves the time of a submit.
INSERT = insert(job).returning(job)
TAKE_KEY = postgresql.insert(tables.idempotency).on_conflict_do_nothing().returning(tables.idempotency.c.key)
TAKE_KEY_SQLITE = sqlite.insert(tables.idempotency).on_conflict_do_nothing().returning(tables.idempotency.c.key)
NOTHING_YET = {column.name: None for column in job.columns if column.nullable}


@dataclass(frozen=True)
class Idempotency:
    """A client's key for one request, and the digest of what it asked."""

    key: str
    fingerprint: str


class _KeyTaken(Exception):
    """Another job has this key; the transaction that noticed is rolled back."""


@dataclass(frozen=True)
class Submission:
    """A job that was accepted; `replayed` says that an earlier request with the same key made it."""

    job: JobRecord
    replayed: bool


class Jobs:
    """The jobs of every tenant, from the side of those who ask for them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def submit(
        self, tenant: str, spec: TrainingSpec, estimate: Estimate, idempotency: Idempotency | None = None
    ) -> Submission:
        """Accept a job: the key, the job and its first event in one transaction.

        Raises:
            KeyReused: the key came before with another request.
            NotFound: the dataset, or the checkpoint to begin from, is not there (any more).
        """
        job_id, now = new_id("job"), datetime.now(UTC)
        name = spec.name or "job-" + job_id.removeprefix(PREFIXES["job"])[-8:]
        stored = spec.model_dump(mode="json") | {"name": name}
        validation = stored.get("validation") or {}
        values = NOTHING_YET | {
            "id": job_id,
            "tenant_id": tenant,
            "kind": "train",
            "name": name,
            "status": str(Status.QUEUED),
            "spec": stored,
            "spec_version": spec.spec_version,
            "estimate": estimate.model_dump(mode="json"),
            "priority": spec.priority,
            "dataset_id": spec.dataset,
            "validation_dataset_id": validation.get("dataset"),
            "attempt": 0,
            "fruitless_attempts": 0,
            "heartbeat": 0,
            "cancel_requested": False,
            "pause_requested": False,
            "epoch": 0,
            "epochs": spec.epochs,
            "fraction": 0.0,
            "last_event": 1,
            "created_at": now,
            "queued_at": now,
        }
        try:
            with self.database.transaction() as connection:
                if spec.from_checkpoint is not None:
                    values["start_blob"] = self._checkpoint(connection, tenant, spec.from_checkpoint).blob
                row = connection.execute(INSERT, values).one()
                record_events(connection, tenant, job_id, 1, [("queued", {"name": name})], now)
                if idempotency is not None:
                    self._take_key(connection, tenant, idempotency, job_id, now)
                return Submission(job_record(row), replayed=False)
        except _KeyTaken:
            assert idempotency is not None
            return Submission(self._replay(tenant, idempotency), replayed=True)
        except IntegrityError as error:
            raise self._gone(tenant, spec) from error

    def _take_key(
        self, connection: Connection, tenant: str, idempotency: Idempotency, job_id: str, now: datetime
    ) -> None:
        """Write the key, or raise _KeyTaken; waits for a transaction that is writing the same one."""
        statement = TAKE_KEY_SQLITE if self.database.is_sqlite else TAKE_KEY
        key = {"tenant_id": tenant, "key": idempotency.key, "fingerprint": idempotency.fingerprint}
        if connection.execute(statement, key | {"job_id": job_id, "created_at": now}).first() is None:
            raise _KeyTaken

    def _replay(self, tenant: str, idempotency: Idempotency) -> JobRecord:
        """The job that the first request with this key made."""
        keys = tables.idempotency
        query = (
            select(job, keys.c.fingerprint.label("key_fingerprint"))
            .join(keys, keys.c.job_id == job.c.id)
            .where(keys.c.tenant_id == tenant, keys.c.key == idempotency.key)
        )
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise KeyInProgress  # its job was deleted in this very moment
        if row.key_fingerprint != idempotency.fingerprint:
            raise KeyReused
        return job_record(row)

    def _gone(self, tenant: str, spec: TrainingSpec) -> NotFound | Unavailable:
        """Which of the datasets that the spec names went away meanwhile."""
        wanted = [spec.dataset, (spec.model_dump().get("validation") or {}).get("dataset")]
        table = tables.dataset
        with self.database.reading() as connection:
            query = select(table.c.id).where(table.c.tenant_id == tenant, table.c.id.in_(wanted))
            found = set(connection.scalars(query))
        missing = [name for name in wanted if name is not None and name not in found]
        return NotFound("dataset", missing[0]) if missing else Unavailable("two requests collided")

    def get(self, tenant: str, job_id: str) -> JobRecord:
        """One job; raises NotFound."""
        with self.database.reading() as connection:
            return job_record(self._row(connection, tenant, job_id))

    def page(
        self, tenant: str, limit: int, cursor: str | None, status: str | None = None, name: str | None = None
    ) -> Page[JobRecord]:
        """A page of jobs, newest first."""
        query = select(job).where(job.c.tenant_id == tenant)
        if status is not None:
            query = query.where(job.c.status == status)
        if name is not None:
            query = query.where(job.c.name == name)
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, job.c.created_at, job.c.id, limit, cursor)
        return Page([job_record(row) for row in rows], following)

    def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """Stop a job for good: at once where nobody trains it, else as a request that its worker obeys."""
        return self._stop(tenant, job_id, "cancel", [Status.QUEUED, Status.PAUSED])

    def pause(self, tenant: str, job_id: str) -> JobRecord:
        """Stop a job until it is resumed; its worker keeps a checkpoint first."""
        return self._stop(tenant, job_id, "pause", [Status.QUEUED])

    def _stop(self, tenant: str, job_id: str, name: str, idle: Sequence[Status]) -> JobRecord:
        requested = job.c.cancel_requested if name == "cancel" else job.c.pause_requested
        with self.database.transaction() as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            if row.status in idle:
                return job_record(move(connection, name, job_id))
            if row.status != Status.RUNNING or (name == "pause" and row.cancel_requested):
                raise IllegalMove(name, "being cancelled" if row.status == Status.RUNNING else row.status)
            changed = notice(
                connection,
                f"{name}_requested",
                job_id,
                guard=[requested.is_(False)],
                values={requested.name: True},
            )
            return job_record(changed if changed is not None else row)

    def resume(self, tenant: str, job_id: str) -> JobRecord:
        """Queue a paused job again; it goes on from its last checkpoint."""
        return self._queue_again(tenant, job_id, "resume", {})

    def retry(self, tenant: str, job_id: str) -> JobRecord:
        """Queue a failed job again, with its attempts counted anew."""
        return self._queue_again(tenant, job_id, "retry", {"fruitless_attempts": 0, "status_reason": None})

    def _queue_again(self, tenant: str, job_id: str, name: str, values: dict[str, Any]) -> JobRecord:
        with self.database.transaction() as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            changed = move(connection, name, job_id, values=values)
            if changed is None:
                raise IllegalMove(name, row.status)
            return job_record(changed)

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete a job that is over, with its events, metrics and checkpoints; its models stay."""
        with self.database.transaction() as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            if row.status not in OVER:
                raise IllegalMove("be deleted", row.status)
            connection.execute(delete(job).where(job.c.id == job_id))

    def metrics(self, tenant: str, job_id: str) -> list[dict[str, Any]]:
        """One row for each epoch, in order, as `{"epoch": 1, ...}`."""
        table = tables.metric
        with self.database.reading() as connection:
            self._row(connection, tenant, job_id)
            query = select(table.c.epoch, table.c.measurements).where(table.c.job_id == job_id).order_by(table.c.epoch)
            return [{"epoch": epoch, **values} for epoch, values in connection.execute(query)]

    def events(self, tenant: str, job_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """The events behind number `after`, in order."""
        table = tables.event
        with self.database.reading() as connection:
            self._row(connection, tenant, job_id)
            query = select(table).where(table.c.job_id == job_id, table.c.number > after)
            return [event_record(row) for row in connection.execute(query.order_by(table.c.number).limit(limit))]

    def positions(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The last event's number of each job that exists: one cheap query for everyone who follows."""
        if not job_ids:
            return {}
        with self.database.reading() as connection:
            rows = connection.execute(select(job.c.id, job.c.last_event).where(job.c.id.in_(job_ids)))
            return {row.id: row.last_event for row in rows}

    def checkpoints(self, tenant: str, job_id: str) -> list[CheckpointRecord]:
        """The checkpoints that a job still keeps, newest first."""
        table = tables.checkpoint
        with self.database.reading() as connection:
            self._row(connection, tenant, job_id)
            query = select(table).where(table.c.job_id == job_id).order_by(table.c.epoch.desc(), table.c.step.desc())
            return [checkpoint_record(row) for row in connection.execute(query)]

    def checkpoint(self, tenant: str, checkpoint_id: str) -> CheckpointRecord:
        """One checkpoint; raises NotFound."""
        with self.database.reading() as connection:
            return checkpoint_record(self._checkpoint(connection, tenant, checkpoint_id))

    def _checkpoint(self, connection: Connection, tenant: str, checkpoint_id: str) -> Any:
        table = tables.checkpoint
        query = select(table).where(table.c.tenant_id == tenant, table.c.id == checkpoint_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("checkpoint", checkpoint_id)
        return row

    def _row(self, connection: Connection, tenant: str, job_id: str, lock: bool = False) -> Any:
        query: Select[Any] = select(job).where(job.c.tenant_id == tenant, job.c.id == job_id)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise NotFound("job", job_id)
        return row
