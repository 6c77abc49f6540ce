"""A worker's hold on a job: its fence, and what is asked of the one who holds it.

A claim raises the job's attempt. From then on each statement of the worker names that attempt and the status
`running`; once another worker took over, or the job ended, nothing matches and nothing is written.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select

from core.prediction_spec import PredictionSpec
from core.training_spec import TrainingSpec
from store import clock
from store.errors import StaleAttempt
from store.lifecycle import Status
from store.parts import Part
from store.records import CheckpointRecord
from store.tables import job
from store.trails import Mark


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A worker's hold on a job: the attempt is its fence."""

    job_id: str
    tenant: str
    attempt: int
    spec: TrainingSpec | PredictionSpec
    start_blob: str | None  # the weights to begin with
    spent_before_s: float = 0.0  # by the attempts before this one
    since: float = field(default_factory=time.monotonic)

    @property
    def fence(self) -> ColumnElement[bool]:
        """True for the job's row while this claim holds."""
        return and_(job.c.id == self.job_id, job.c.attempt == self.attempt, job.c.status == str(Status.RUNNING))

    @property
    def runtime_s(self) -> float:
        """For how long workers have held the job by now, all attempts together."""
        return self.spent_before_s + time.monotonic() - self.since


@dataclass(frozen=True, kw_only=True)
class Claim(Hold):
    """A hold on a training. Its `start_blob` counts while there is no checkpoint of the job itself."""

    spec: TrainingSpec
    validation_dataset: str | None
    checkpoints: tuple[CheckpointRecord, ...]  # newest first: where to go on, and what to fall back to
    marks: tuple[Mark, ...] = ()  # of a traced job


@dataclass(frozen=True, kw_only=True)
class PredictionClaim(Hold):
    """A hold on a job of predictions; its `start_blob` is the model."""

    spec: PredictionSpec
    parts: tuple[Part, ...]  # that are stored, in order


@dataclass(frozen=True)
class Orders:
    """What the job's owner asks of its worker."""

    cancel: bool
    pause: bool


def hold(connection: Connection, claim: Hold) -> Any:
    """The job's row, locked until the transaction ends; raises StaleAttempt when the claim no longer holds."""
    row = connection.execute(select(job).where(claim.fence).with_for_update()).one_or_none()
    if row is None:
        raise StaleAttempt(claim.job_id, claim.attempt)
    return row


def sign_of_life(claim: Hold) -> dict[str, Any]:
    """What every write of an owner changes of its job besides."""
    return {"heartbeat": job.c.heartbeat + 1, "renewed_at": clock.now(), "runtime_s": claim.runtime_s}
