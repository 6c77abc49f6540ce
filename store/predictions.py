"""Predictions of whole datasets: parts as a worker stores them, fenced like all it writes, and the file in the end."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from core.fingerprint import Fingerprint
from store import clock, tables
from store.database import Database
from store.errors import NoPredictions, NotFound
from store.holds import Orders, PredictionClaim, hold, sign_of_life
from store.moves import move, notice, record_events
from store.parts import Part
from store.plain import plain
from store.progress import Progress
from store.records import JobRecord, job_record
from store.reports import exactness, moved_on

job, part, predictions = tables.job, tables.part, tables.predictions


@dataclass(frozen=True)
class PredictionsRecord:
    """A finished file: its bytes lie under `blob`, which is their digest."""

    job_name: str
    format: str
    blob: str
    size: int


class Predictions:
    """The predictions of every tenant's jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def keep(
        self, claim: PredictionClaim, new: Part, progress: Progress, fingerprint: Fingerprint | None = None
    ) -> Orders:
        """Write a part and the position behind it in one transaction; again with the same part it changes nothing.

        Raises:
            StaleAttempt: the job is no longer this claim's; nothing was written.
        """
        now = clock.now()
        with self.database.transaction("part") as connection:
            row = hold(connection, claim)
            values = sign_of_life(claim) | moved_on(progress)
            if new.done > row.rows_done:
                if new.first_row != row.rows_done:
                    raise ValueError(f"the part begins at {new.first_row}, but {row.rows_done} rows are done")
                changed, events = exactness(row, fingerprint)
                events.append(("part", {"rows_done": new.done, "rows": row.rows}))
                values |= changed | {"rows_done": new.done, "fruitless_attempts": 0}
                values |= {"last_event": row.last_event + len(events)}
                place = {"job_id": row.id, "tenant_id": row.tenant_id, "first_row": new.first_row}
                connection.execute(insert(part).values(rows=new.rows, blob=new.blob, **place))
                record_events(connection, row.tenant_id, row.id, values["last_event"], events, now)
            connection.execute(update(job).where(claim.fence).values(values))
        return Orders(cancel=row.cancel_requested, pause=row.pause_requested)

    def pass_over(self, claim: PredictionClaim, damaged: Part, detail: str) -> None:
        """Give up a part whose bytes are damaged, and all behind it: their rows are predicted again.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        behind = part.c.job_id == claim.job_id, part.c.first_row >= damaged.first_row
        with self.database.transaction("part_damage") as connection:
            row = hold(connection, claim)
            if connection.execute(delete(part).where(*behind)).rowcount:
                data = {"rows_done": damaged.first_row, "rows": row.rows, "detail": plain(detail)}
                values = {"rows_done": damaged.first_row}
                notice(connection, "part_damaged", claim.job_id, values=values, data=data)

    def deliver(self, claim: PredictionClaim, blob: str, size: int) -> JobRecord:
        """End the job well: the file, in place of its parts, and the last status in one transaction. A cancel asked
        before wins.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        with self.database.transaction("deliver") as connection:
            row = hold(connection, claim)
            values: dict[str, Any] = {"runtime_s": claim.runtime_s}
            if row.cancel_requested:
                return job_record(move(connection, "cancel", claim.job_id, values=values))
            if row.rows_done != row.rows:
                raise ValueError(f"the file is there, but only {row.rows_done} of {row.rows} rows are done")
            connection.execute(insert(predictions).values(job_id=row.id, tenant_id=row.tenant_id, blob=blob, size=size))
            connection.execute(delete(part).where(part.c.job_id == row.id))
            data = {"digest": blob, "bytes": size}
            return job_record(move(connection, "succeed", claim.job_id, values=values | {"fraction": 1.0}, data=data))

    def get(self, tenant: str, job_id: str) -> PredictionsRecord:
        """The file of a job; raises NotFound, and NoPredictions where the job has none (yet)."""
        wanted = (job.c.kind, job.c.status, job.c.status_reason, job.c.name, job.c.spec)
        query = select(*wanted, predictions.c.blob, predictions.c.size)
        query = query.join_from(job, predictions, isouter=True).where(job.c.tenant_id == tenant, job.c.id == job_id)
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("job", job_id)
        if row.blob is None:
            raise NoPredictions(job_id, row.kind, row.status, row.status_reason)
        return PredictionsRecord(row.name, row.spec["format"], row.blob, row.size)
