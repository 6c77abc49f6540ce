"""Jobs as a worker holds them: claim, renew, report, finish, hand back. Every write is fenced by the attempt."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import and_, func, or_, select, update

from core.checkpoint import FORMAT
from core.fingerprint import Fingerprint
from core.prediction_spec import PredictionSpec
from core.training_spec import TrainingSpec
from store import clock, starts, tables
from store.checkpoints import NewCheckpoint
from store.database import Database
from store.errors import StaleAttempt
from store.holds import Claim, Hold, Orders, PredictionClaim, hold, sign_of_life
from store.lifecycle import Kind, Status
from store.line import ORDER, WAITS
from store.model_versions import insert_model
from store.moves import move, notice
from store.plain import plain, plain_values
from store.progress import EpochReport, Progress
from store.records import CheckpointRecord, JobRecord, job_record
from store.reports import Report, moved_on, write_report
from store.trails import Mark, add_marks, keep_descent

job, checkpoint = tables.job, tables.checkpoint

# The newest specs that this version reads, by kind of job; newer ones are left to the workers that know them.
SPEC_VERSIONS = {Kind.TRAIN: 1, Kind.PREDICT: 2}
DEFAULT_ATTEMPTS = 5
READABLE = and_(
    or_(*(and_(job.c.kind == str(kind), job.c.spec_version <= newest) for kind, newest in SPEC_VERSIONS.items())),
    job.c.checkpoint_format <= FORMAT,
)


class Claims:
    """The jobs of every tenant, from the side of the workers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def queued(self, limit: int, older_than_s: float = 0.0) -> list[str]:
        """Jobs that wait for a worker, in the order of the line."""
        query = select(job.c.id, job.c.queued_at).where(WAITS, READABLE).order_by(*ORDER).limit(limit)
        now = clock.now()
        with self.database.reading() as connection:
            # A clock set back makes a job look queued in the future: abs() lets it be found all the same.
            return [
                row.id
                for row in connection.execute(query)
                if abs((now - row.queued_at).total_seconds()) >= older_than_s
            ]

    def claim(self, job_id: str, owner: str, lease_s: float | None = None) -> Claim | PredictionClaim | None:
        """Take a queued job: one compare-and-swap. None when somebody else was faster or it is not queued.

        A job whose spec cannot be read fails here, in the same transaction: no worker could ever do it.
        """
        now = clock.now()
        values = {
            "attempt": job.c.attempt + 1,
            "fruitless_attempts": job.c.fruitless_attempts + 1,
            "owner": owner,
            "heartbeat": job.c.heartbeat + 1,
            "renewed_at": now,
            "lease_s": lease_s,
            "started_at": func.coalesce(job.c.started_at, now),
            "status_reason": None,
        }
        with self.database.transaction("claim") as connection:
            start = starts.look(connection, job_id, now)
            if start is None:
                return None
            guard, data = [READABLE, start.unchanged], {"worker": owner, **start.data}
            row = move(connection, "start", job_id, guard=guard, values=values, data=data)
            if row is None:
                return None
            try:
                return _held(row, start)
            except ValidationError as error:
                reason = plain(f"bad_spec: the stored spec cannot be read: {error}")
                data = {"reason": "bad_spec", "detail": reason}
                move(connection, "fail", job_id, values={"status_reason": reason}, data=data)
                return None

    def renew(self, claim: Hold, progress: Progress | None = None) -> Orders:
        """Say that the owner lives, and hear what is asked of it.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        values = sign_of_life(claim)
        if progress is not None:
            values |= moved_on(progress)
        statement = update(job).where(claim.fence).values(values)
        with self.database.transaction("renew") as connection:
            row = connection.execute(statement.returning(job.c.cancel_requested, job.c.pause_requested)).one_or_none()
        if row is None:
            raise StaleAttempt(claim.job_id, claim.attempt)
        return Orders(cancel=row.cancel_requested, pause=row.pause_requested)

    def report(
        self,
        claim: Claim,
        epochs: Sequence[EpochReport],
        checkpoints: Sequence[NewCheckpoint],
        progress: Progress,
        fingerprint: Fingerprint | None = None,
        marks: Sequence[Mark] = (),
    ) -> Orders:
        """Write finished epochs and checkpoints, their events and the job's pointers, in one transaction.

        `fingerprint` is what computed them. Where the job was computed by something else before, its bits are no longer
        promised, and an event says so.

        Doing it again with the same arguments changes nothing, so a caller that saw an error after the commit simply
        repeats itself. A checkpoint of other bytes takes the place of the one that was there: that one was damaged.

        Raises:
            StaleAttempt: the job is no longer this claim's; nothing was written.
        """
        with self.database.transaction("report") as connection:
            row = hold(connection, claim)
            values, report = sign_of_life(claim), Report(epochs, checkpoints, progress, fingerprint)
            add_marks(connection, row, marks)
            write_report(connection, row, claim.fence, report, values, claim.spec.checkpoints.keep, clock.now())
        return Orders(cancel=row.cancel_requested, pause=row.pause_requested)

    def pass_over(
        self, claim: Claim, damaged: CheckpointRecord, detail: str, instead: CheckpointRecord | None = None
    ) -> None:
        """Note, once, that a checkpoint cannot be gone on from, since its bytes are damaged; `instead` is tried next.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        kind, event = "checkpoint_damaged", tables.event
        data: dict[str, Any] = {"checkpoint": damaged.id, "detail": plain(detail)}
        data |= {"epoch": damaged.epoch, "step": damaged.step, "steps": damaged.steps}
        data |= {"from_epoch": instead.epoch if instead else 0, "from_step": instead.step if instead else 0}
        data |= {"from_steps": instead.steps if instead else None}
        with self.database.transaction("damage") as connection:
            row = hold(connection, claim)
            last = select(event).where(event.c.job_id == row.id, event.c.number == row.last_event)
            told = connection.execute(last).one()
            if told.type != kind or told.data["checkpoint"] != damaged.id:
                notice(connection, kind, claim.job_id, data=data)

    def succeed(
        self, claim: Claim, *, model_from_best: bool = False, reason: str | None = None, descent: str | None = None
    ) -> JobRecord:
        """End the job well: its model and its last status in one transaction. A cancel asked before wins.

        `descent` is the blob of a traced job's.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        with self.database.transaction("succeed") as connection:
            row = hold(connection, claim)
            if row.cancel_requested:
                return job_record(move(connection, "cancel", claim.job_id, values={"runtime_s": claim.runtime_s}))
            source = (model_from_best and row.best_checkpoint_id) or row.checkpoint_id
            found = connection.execute(select(checkpoint).where(checkpoint.c.id == source)).one()
            model_id = insert_model(connection, row, found, row.name)
            values = {
                "model_id": model_id,
                "fraction": 1.0,
                "status_reason": reason and plain(reason),
                "runtime_s": claim.runtime_s,
            }
            if descent is not None:
                keep_descent(connection, row, descent)
            data = {"model": model_id} | ({"reason": plain(reason)} if reason else {})
            return job_record(move(connection, "succeed", claim.job_id, values=values, data=data))

    def end(
        self, claim: Hold, name: str, *, reason: str | None = None, data: dict[str, Any] | None = None
    ) -> JobRecord:
        """Make the move `fail`, `cancel`, `pause` or `release`, as the worker that holds the job.

        A job that is handed back while it was asked to stop is stopped instead: a request never gets lost. One that is
        handed back because of some trouble, which `data` tells, goes behind all that wait: it would only meet it again.
        A pause that was taken back while the worker obeyed it is a release.

        Raises:
            StaleAttempt: the job is no longer this claim's.
        """
        with self.database.transaction(name) as connection:
            row = hold(connection, claim)
            values: dict[str, Any] = {"status_reason": reason and plain(reason), "runtime_s": claim.runtime_s}
            told = plain_values(data or {})
            if name == "release" and data:
                values["queued_at"] = clock.now()
            if name == "pause" and not row.pause_requested:
                name, told = "release", told | {"withdrawn": True}
            if name == "release":
                values["fruitless_attempts"] = max(0, row.fruitless_attempts - 1)
            if name in ("release", "pause"):
                name = "cancel" if row.cancel_requested else "pause" if row.pause_requested else "release"
            return job_record(move(connection, name, claim.job_id, values=values, data=told))

    def hand_back(
        self, job_id: str, attempt: int, heartbeat: int | None, detail: str, silence_s: float = 0.0
    ) -> JobRecord | None:
        """Take a job from an owner that is lost: queued again, or failed after its last attempt.

        With `heartbeat`, only if the owner gave no sign of life since that count, for `silence_s` seconds. None when it
        did.
        """
        fence = [job.c.attempt == attempt]
        if heartbeat is not None:
            fence.append(job.c.heartbeat == heartbeat)
        with self.database.transaction("rescue") as connection:
            query = select(job).where(job.c.id == job_id, job.c.status == str(Status.RUNNING), *fence)
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                return None
            attempts = _attempts(row.spec)
            data = {
                "attempt": attempt,
                "attempts": attempts,
                "worker": row.owner,
                "detail": detail,
                "silence_s": round(silence_s, 3),
            }
            if row.cancel_requested or row.pause_requested:
                name, values = ("cancel" if row.cancel_requested else "pause"), {}
            elif row.fruitless_attempts >= attempts:
                reason = plain(
                    f"worker_lost: {detail}; attempt {attempt} was the last, since limits.attempts allows "
                    f"{attempts} in a row without a new checkpoint"
                )
                name, values, data = "fail", {"status_reason": reason}, data | {"reason": "worker_lost"}
            else:
                name, values = "rescue", {}
            return job_record(move(connection, name, job_id, values=values, data=plain_values(data)))

    def running(self) -> list[tuple[str, int, int]]:
        """(job, attempt, heartbeat) of every running job: what a rescuer watches."""
        query = select(job.c.id, job.c.attempt, job.c.heartbeat).where(job.c.status == str(Status.RUNNING))
        with self.database.reading() as connection:
            return [(row.id, row.attempt, row.heartbeat) for row in connection.execute(query)]


def _held(row: Any, start: starts.Start) -> Claim | PredictionClaim:
    """The claim that a worker has just made; raises ValidationError for a spec that cannot be read."""
    held = {"job_id": row.id, "tenant": row.tenant_id, "attempt": row.attempt, "start_blob": row.start_blob}
    held["spent_before_s"] = row.runtime_s
    if row.kind == Kind.PREDICT:
        return PredictionClaim(**held, spec=PredictionSpec.model_validate(row.spec), parts=start.parts)
    spec, validation = TrainingSpec.model_validate(row.spec), row.validation_dataset_id
    return Claim(**held, spec=spec, validation_dataset=validation, checkpoints=start.checkpoints, marks=start.marks)


def _attempts(spec: Any) -> int:
    """How many attempts a stored spec allows, be the rest of it readable or not."""
    try:
        return int(spec["limits"]["attempts"])
    except (KeyError, TypeError, ValueError):
        return DEFAULT_ATTEMPTS
