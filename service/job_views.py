"""A job as the service tells of it."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from core.estimate import Estimate
from store.lifecycle import Kind, Status
from store.line import COUNTED
from store.records import JobRecord


class ProgressView(BaseModel):
    """How far a job came: a training counts epochs, predictions count rows."""

    epoch: int = Field(description="Finished epochs.")
    epochs: int = Field(description="0 for predictions.")
    rows_done: int | None = Field(description="Rows whose predictions are stored; null for a training.")
    rows: int | None = Field(description="Rows to predict; null for a training.")
    fraction: float = Field(description="Of the whole job, 0 to 1; of predictions `rows_done` of `rows`.")
    examples_per_s: float | None
    eta_s: float | None


class JobView(BaseModel):
    """A job as it stands."""

    id: str = Field(examples=["job_01kb8r3c8n5t0v6m2f9x4y7pqd"])
    object: Literal["job"] = "job"
    kind: Kind
    name: str
    status: Status
    status_reason: str | None = Field(description="Why it ended as it did, where that needs saying.")
    spec: dict[str, Any] = Field(
        description="The TrainingSpec, or for predictions the PredictionSpec, with every default written out."
    )
    estimate: Estimate
    attempt: int = Field(description="How often a worker took the job.")
    runtime_s: float = Field(description="Seconds in which a worker held it, since it was submitted or retried.")
    bit_exact: bool = Field(
        description="Whether its bytes are promised to be those of any other run of this spec under its fingerprint."
    )
    bit_exact_reason: str | None = Field(description="Why they are not.")
    priority: int
    queue_position: int | None = Field(
        description="While the job waits: its place in the order in which workers take jobs, 1 being the next. Counted "
        f"up to {COUNTED}; {COUNTED + 1} says that {COUNTED} or more go before."
    )
    progress: ProgressView
    last_sign_of_life_at: datetime | None = Field(
        description="While it runs: when its worker was heard last, by the worker's clock."
    )
    lease_s: float | None = Field(
        description="While it runs: after how many seconds without a sign of life it goes to another worker."
    )
    metrics: dict[str, Any] | None = Field(description="Metrics of the last finished epoch.")
    checkpoint: str | None = Field(description="The newest checkpoint.")
    best_checkpoint: str | None
    model: str | None = Field(description="The model that a succeeded training made.")
    cancel_requested: bool = Field(description="Whether the running job was asked to stop for good.")
    pause_requested: bool = Field(description="Whether the running job was asked to pause.")
    last_event: int = Field(description="Number of the newest event.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        """The view of a record."""
        return cls(
            id=record.id,
            kind=Kind(record.kind),
            name=record.name,
            status=Status(record.status),
            status_reason=record.status_reason,
            spec=record.spec,
            estimate=Estimate.model_validate(record.estimate),
            attempt=record.attempt,
            runtime_s=record.runtime_s,
            bit_exact=record.bit_exact,
            bit_exact_reason=record.bit_exact_reason,
            priority=record.priority,
            queue_position=record.queue_position,
            progress=ProgressView(
                epoch=record.epoch,
                epochs=record.epochs,
                rows_done=record.rows_done,
                rows=record.rows,
                fraction=record.fraction if record.rows is None else (record.rows_done or 0) / record.rows,
                examples_per_s=record.examples_per_s,
                eta_s=record.eta_s,
            ),
            last_sign_of_life_at=record.renewed_at,
            lease_s=record.lease_s,
            metrics=record.metrics,
            checkpoint=record.checkpoint_id,
            best_checkpoint=record.best_checkpoint_id,
            model=record.model_id,
            cancel_requested=record.cancel_requested,
            pause_requested=record.pause_requested,
            last_event=record.last_event,
            created_at=record.created_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )


class DryRun(BaseModel):
    """What a job would cost; nothing was stored."""

    object: Literal["estimate"] = "estimate"
    spec: dict[str, Any] = Field(description="With every default written out.")
    estimate: Estimate
