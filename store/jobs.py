"""Jobs as their owner sees them: submit, look, list, cancel, pause, resume, retry, delete."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, select
from sqlalchemy.exc import IntegrityError

from core.estimate import Estimate
from store import tables
from store.database import Database
from store.errors import IllegalMove, KeyInProgress, KeyReused, NotFound, StoreError, Unavailable
from store.lifecycle import OVER, TRANSITIONS
from store.line import placed
from store.moves import move
from store.pages import Page, read_page
from store.records import CheckpointRecord, Event, JobRecord, checkpoint_record, event_record, job_record
from store.stops import Cancelled, cancel_some, stop, take_back
from store.submissions import Idempotency, JobSpec, NewJob, Submission, submit_group
from store.trails import descent_of

job = tables.job
TRIES = 3  # a group that collides with another transaction looks again, and then sees what that one wrote


class Jobs:
    """The jobs of every tenant, from the side of those who ask for them."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def submit(
        self,
        tenant: str,
        spec: JobSpec,
        estimate: Estimate,
        idempotency: Idempotency | None = None,
        rows: int | None = None,
    ) -> Submission:
        """Accept a job: the key, the job and its first event in one transaction.

        Raises:
            KeyReused: the key came before with another request.
            KeyInProgress: another request with the key is being accepted.
            NotFound: the dataset, or the checkpoint or model to begin from, is not there (any more).
        """
        [outcome] = self._submit_together([NewJob(tenant, spec, estimate, idempotency, rows)])
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    def submit_all(self, group: Sequence[NewJob]) -> list[Submission | Exception]:
        """Accept many jobs in one transaction; each one's outcome is what `submit` would return or raise.

        Raises:
            Unavailable: nothing was stored.
        """
        try:
            return [*self._submit_together(group)]
        except Unavailable:
            raise
        except Exception:
            # What no look foresees is the fault of one, and alone it harms nobody else.
            return [self._submit_alone(new) for new in group]

    def _submit_together(self, group: Sequence[NewJob]) -> list[Submission | StoreError]:
        for _ in range(TRIES):
            with suppress(IntegrityError), self.database.transaction("submit") as connection:
                return submit_group(connection, group)
        raise KeyInProgress if any(new.idempotency for new in group) else Unavailable("two requests collided")

    def _submit_alone(self, new: NewJob) -> Submission | Exception:
        try:
            return self._submit_together([new])[0]
        except Exception as error:
            return error

    def replay(self, tenant: str, idempotency: Idempotency) -> Submission | None:
        """The job that an earlier request with this key made; None when there is none. Raises KeyReused."""
        keys = tables.idempotency
        query = select(job, keys.c.fingerprint.label("first_fingerprint")).join(keys, keys.c.job_id == job.c.id)
        with self.database.reading() as connection:
            row = connection.execute(
                query.where(keys.c.tenant_id == tenant, keys.c.key == idempotency.key)
            ).one_or_none()
            if row is None:
                return None
            if row.first_fingerprint != idempotency.fingerprint:
                raise KeyReused
            return Submission(_placed(connection, row), replayed=True)

    def get(self, tenant: str, job_id: str) -> JobRecord:
        """One job; raises NotFound."""
        with self.database.reading() as connection:
            return _placed(connection, self._row(connection, tenant, job_id))

    def page(
        self,
        tenant: str,
        limit: int,
        cursor: str | None,
        status: str | None = None,
        name: str | None = None,
        kind: str | None = None,
    ) -> Page[JobRecord]:
        """A page of jobs, newest first."""
        query = select(job).where(*_chosen(tenant, status, name, kind))
        with self.database.reading() as connection:
            rows, following = read_page(connection, query, job.c.created_at, job.c.id, limit, cursor)
            return Page(placed(connection, [job_record(row) for row in rows]), following)

    def cancel(self, tenant: str, job_id: str) -> JobRecord:
        """Stop a job for good: at once where nobody trains it, else as a request that its worker obeys."""
        return self._stop(tenant, job_id, "cancel")

    def cancel_some(
        self, tenant: str, status: str | None, name: str | None, after: str = "", last: str | None = None
    ) -> Cancelled:
        """Cancel a few of the tenant's jobs of a status, a name, or both; what is over is left alone.

        Whoever calls this in turns, each with what the turn before gave as `more`, gets through all that there were at
        the first one, and lets others write in between.
        """
        with self.database.transaction("cancel_some") as connection:
            return cancel_some(connection, _chosen(tenant, status, name), after, last)

    def pause(self, tenant: str, job_id: str) -> JobRecord:
        """Stop a job until it is resumed; its worker keeps a checkpoint first."""
        return self._stop(tenant, job_id, "pause")

    def _stop(self, tenant: str, job_id: str, name: str) -> JobRecord:
        with self.database.transaction(f"{name}_request") as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            if row.status not in TRANSITIONS[name].sources:
                raise IllegalMove(name, row.status, row.kind)
            if name == "pause" and row.cancel_requested:
                raise IllegalMove(name, "being cancelled", row.kind)
            return job_record(stop(connection, row, name))

    def resume(self, tenant: str, job_id: str) -> JobRecord:
        """Queue a paused job again, from its last checkpoint; or take back a pause that is still pending."""
        return self._queue_again(tenant, job_id, "resume", {})

    def retry(self, tenant: str, job_id: str) -> JobRecord:
        """Queue a failed job again, with its attempts and its runtime counted anew."""
        return self._queue_again(
            tenant, job_id, "retry", {"fruitless_attempts": 0, "runtime_s": 0.0, "status_reason": None}
        )

    def _queue_again(self, tenant: str, job_id: str, name: str, values: dict[str, Any]) -> JobRecord:
        with self.database.transaction(name) as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            if name == "resume" and row.cancel_requested:
                raise IllegalMove(name, "being cancelled", row.kind)
            changed = take_back(connection, row) if name == "resume" else None
            if changed is None:
                data = {"reason": row.status_reason} if name == "retry" else None
                changed = move(connection, name, job_id, values=values, data=data)
            if changed is None:
                raise IllegalMove(name, row.status, row.kind)
            return _placed(connection, changed)

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete a job that is over, with its events, metrics, checkpoints and predictions; its models stay."""
        with self.database.transaction("delete") as connection:
            row = self._row(connection, tenant, job_id, lock=True)
            if row.status not in OVER:
                raise IllegalMove("be deleted", row.status, row.kind)
            connection.execute(delete(job).where(job.c.id == job_id))

    def metrics(self, tenant: str, job_id: str) -> list[dict[str, Any]]:
        """One row for each epoch, in order, as `{"epoch": 1, ...}`."""
        table = tables.metric
        with self.database.reading() as connection:
            self._row(connection, tenant, job_id)
            query = select(table.c.epoch, table.c.measurements).where(table.c.job_id == job_id).order_by(table.c.epoch)
            return [{"epoch": epoch, **values} for epoch, values in connection.execute(query)]

    def events(
        self, tenant: str, job_id: str, after: int = 0, limit: int = 1000, types: Sequence[str] = ()
    ) -> list[Event]:
        """The events behind number `after`, in order; with `types` only those."""
        table = tables.event
        with self.database.reading() as connection:
            self._row(connection, tenant, job_id)
            query = select(table).where(table.c.job_id == job_id, table.c.number > after)
            if types:
                query = query.where(table.c.type.in_(types))
            return [event_record(row) for row in connection.execute(query.order_by(table.c.number).limit(limit))]

    def descent(self, tenant: str, job_id: str) -> tuple[JobRecord, str | None]:
        """A job, and the blob of its descent, if it has one; raises NotFound."""
        with self.database.reading() as connection:
            return job_record(self._row(connection, tenant, job_id)), descent_of(connection, job_id)

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


def _placed(connection: Connection, row: Any) -> JobRecord:
    [record] = placed(connection, [job_record(row)])
    return record


def _chosen(tenant: str, status: str | None, name: str | None, kind: str | None = None) -> list[ColumnElement[bool]]:
    """The tenant's jobs of a status, a name, a kind, or all of these."""
    asked = [(job.c.status, status), (job.c.name, name), (job.c.kind, kind)]
    return [job.c.tenant_id == tenant, *(column == value for column, value in asked if value is not None)]
