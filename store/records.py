"""What the store gives back: plain frozen values, detached from any connection."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from store.lifecycle import OVER


@dataclass(frozen=True)
class JobRecord:
    """A job as it stood when it was read. `last_event` rises with every event, `heartbeat` with every sign of life."""

    id: str
    tenant_id: str
    kind: str
    name: str
    status: str
    status_reason: str | None
    spec: dict[str, Any]
    estimate: dict[str, Any]
    priority: int
    dataset_id: str
    validation_dataset_id: str | None
    attempt: int
    heartbeat: int
    renewed_at: datetime | None
    lease_s: float | None
    cancel_requested: bool
    pause_requested: bool
    runtime_s: float
    fingerprint: dict[str, Any] | None
    bit_exact: bool
    bit_exact_reason: str | None
    epoch: int
    epochs: int
    rows_done: int | None
    rows: int | None
    fraction: float
    examples_per_s: float | None
    eta_s: float | None
    metrics: dict[str, Any] | None
    last_event: int
    checkpoint_id: str | None
    best_checkpoint_id: str | None
    model_id: str | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    queue_position: int | None = None  # 1 is the next to be taken; set where an owner asks, null unless queued

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in OVER


@dataclass(frozen=True)
class Event:
    """Something that happened to a job; numbers start at 1 and have no gaps."""

    job_id: str
    number: int
    type: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class CheckpointRecord:
    """Where a job could go on: after `epoch` whole epochs and `step` of the `steps` batches of the next."""

    id: str
    job_id: str
    epoch: int
    step: int
    steps: int | None
    digest: str
    metrics: dict[str, Any]
    blob: str
    size: int
    fingerprint: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True)
class ModelRecord:
    """A trained network with its lineage."""

    id: str
    name: str
    version: int
    aliases: tuple[str, ...]
    job_id: str
    checkpoint_id: str
    dataset_id: str
    dataset_digest: str
    digest: str
    spec: dict[str, Any]
    metrics: dict[str, Any]
    blob: str
    size: int
    notes: str
    created_at: datetime


@dataclass(frozen=True)
class AliasRecord:
    """A word that points at one version of a name, and when it was moved last."""

    name: str
    alias: str
    version: int
    model_id: str
    updated_at: datetime


def _fields(cls: Any, row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(cls) if hasattr(row, field.name)}


def job_record(row: Any) -> JobRecord:
    """A row of the job table as a value."""
    return JobRecord(**_fields(JobRecord, row))


def event_record(row: Any) -> Event:
    """A row of the event table as a value."""
    return Event(**_fields(Event, row))


def checkpoint_record(row: Any) -> CheckpointRecord:
    """A row of the checkpoint table as a value."""
    return CheckpointRecord(**_fields(CheckpointRecord, row))


def model_record(row: Any, aliases: tuple[str, ...]) -> ModelRecord:
    """A row of the model table, with the aliases that point at it."""
    return ModelRecord(**_fields(ModelRecord, row), aliases=aliases)


def alias_record(row: Any) -> AliasRecord:
    """A row of the alias table, with the id of the model that it points at."""
    return AliasRecord(**_fields(AliasRecord, row))
