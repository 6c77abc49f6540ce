"""The columns of each table, typed."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    Named,
    String,
    Text,
    TypedColumns,
    TypeDecorator,
)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no time zone, so it is set again on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ID = String(40)
NAME = String(64)
TENANT = String(40)
DIGEST = String(71)  # "sha256:" and 64 hexadecimal digits


class BlobColumns(TypedColumns):
    """Bytes by their digest; `content` is null where they lie at the blobs' address."""

    digest: Named[str] = Column(DIGEST, primary_key=True)
    size: Named[int] = Column(BigInteger)
    content: Named[bytes | None] = Column(LargeBinary)
    touched_at: Named[datetime] = Column(Instant)


class DatasetColumns(TypedColumns):
    """A dataset that never changes. `shape` is core's DataSchema: input, target and column roles."""

    id: Named[str] = Column(ID, primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    name: Named[str] = Column(NAME)
    version: Named[int] = Column(Integer)
    digest: Named[str] = Column(DIGEST)
    shape: Named[Any] = Column(JSON, nullable=False)
    shape_version: Named[int] = Column(Integer)
    size: Named[int] = Column(BigInteger)
    created_at: Named[datetime] = Column(Instant)


class DatasetArrayColumns(TypedColumns):
    """The files of a dataset: x.npy, y.npy and one for each further column role."""

    dataset_id: Named[str] = Column(ForeignKey("dataset.id", ondelete="CASCADE"), primary_key=True)
    path: Named[str] = Column(String(200), primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)


class JobColumns(TypedColumns):
    """A job: what was asked, where it stands, who holds it, and how far it came."""

    id: Named[str] = Column(ID, primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    kind: Named[str] = Column(String(16))
    name: Named[str] = Column(NAME)
    status: Named[str] = Column(String(16))
    status_reason: Named[str | None] = Column(String(2000))
    spec: Named[Any] = Column(JSON, nullable=False)
    spec_version: Named[int] = Column(Integer)
    estimate: Named[Any] = Column(JSON, nullable=False)
    priority: Named[int] = Column(Integer)
    dataset_id: Named[str] = Column(ForeignKey("dataset.id"), index=True)
    validation_dataset_id: Named[str | None] = Column(ForeignKey("dataset.id"), index=True)

    # The weights to begin with, or to predict with: kept here, so that the checkpoint or model they come from may go.
    start_blob: Named[str | None] = Column(ForeignKey("blob.digest"), index=True)

    # The fence: every write of a worker names the attempt. The lease: heartbeat counts up while the owner lives.
    attempt: Named[int] = Column(Integer)
    fruitless_attempts: Named[int] = Column(Integer)
    owner: Named[str | None] = Column(String(200))
    heartbeat: Named[int] = Column(BigInteger)
    # While it runs, for people only: when its owner was heard last, and how long it may be silent. No rescue reads it.
    renewed_at: Named[datetime | None] = Column(Instant)
    lease_s: Named[float | None] = Column(Float)
    cancel_requested: Named[bool]
    pause_requested: Named[bool]

    # Seconds in which a worker held it, since it was queued first or retried.
    runtime_s: Named[float] = Column(Float)
    # The newest format among its checkpoints, and the one it begins from: a worker that is too old to read it leaves
    # the job alone.
    checkpoint_format: Named[int] = Column(Integer)
    # What computed it last (core.fingerprint); once that changes, bits are no longer promised, and why is told.
    fingerprint: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    bit_exact: Named[bool]
    bit_exact_reason: Named[str | None] = Column(String(2000))

    epoch: Named[int] = Column(Integer)
    epochs: Named[int] = Column(Integer)
    # Of predictions; null for trainings.
    rows_done: Named[int | None] = Column(Integer)
    rows: Named[int | None] = Column(Integer)
    fraction: Named[float] = Column(Float)
    examples_per_s: Named[float | None] = Column(Float)
    eta_s: Named[float | None] = Column(Float)
    metrics: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    last_event: Named[int] = Column(Integer)

    checkpoint_id: Named[str | None] = Column(ID)
    best_checkpoint_id: Named[str | None] = Column(ID)
    model_id: Named[str | None] = Column(ID)

    created_at: Named[datetime] = Column(Instant)
    queued_at: Named[datetime] = Column(Instant)
    started_at: Named[datetime | None] = Column(Instant)
    finished_at: Named[datetime | None] = Column(Instant)


class EventColumns(TypedColumns):
    """What happened to a job, numbered from 1 without gaps by the job row itself."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    number: Named[int] = Column(Integer, primary_key=True, autoincrement=False)
    tenant_id: Named[str] = Column(TENANT)
    type: Named[str] = Column(String(32))
    data: Named[Any] = Column(JSON, nullable=False)
    created_at: Named[datetime] = Column(Instant)


class MetricColumns(TypedColumns):
    """One row for each epoch; the measurements are JSON, so that a new metric needs no new column."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    epoch: Named[int] = Column(Integer, primary_key=True, autoincrement=False)
    tenant_id: Named[str] = Column(TENANT)
    measurements: Named[Any] = Column(JSON, nullable=False)


class CheckpointColumns(TypedColumns):
    """Where a job could go on: after `epoch` whole epochs and `step` batches of the next one."""

    id: Named[str] = Column(ID, primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    epoch: Named[int] = Column(Integer)
    step: Named[int] = Column(Integer)
    steps: Named[int | None] = Column(Integer)  # batches of a whole epoch; unknown of what older versions wrote
    digest: Named[str] = Column(DIGEST)
    metrics: Named[Any] = Column(JSON, nullable=False)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)
    size: Named[int] = Column(BigInteger)
    fingerprint: Named[Any] = Column(JSON(none_as_null=True), nullable=True)
    created_at: Named[datetime] = Column(Instant)


class PartColumns(TypedColumns):
    """Some rows of a job's predictions, behind the first `first_row` of them; all are gone when the file is there."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    first_row: Named[int] = Column(Integer, primary_key=True, autoincrement=False)
    tenant_id: Named[str] = Column(TENANT)
    rows: Named[int] = Column(Integer)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)


class PredictionsColumns(TypedColumns):
    """The file that came of a job's predictions."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)
    size: Named[int] = Column(BigInteger)


class WeightsColumns(TypedColumns):
    """Uploaded weights to begin a job with; `tensors` are their names, types and shapes."""

    id: Named[str] = Column(ID, primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    tensors: Named[Any] = Column(JSON, nullable=False)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)
    size: Named[int] = Column(BigInteger)
    created_at: Named[datetime] = Column(Instant)


class MarkColumns(TypedColumns):
    """The weights of a traced job after `step` updates; all are gone when its descent is there."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    step: Named[int] = Column(BigInteger, primary_key=True, autoincrement=False)
    tenant_id: Named[str] = Column(TENANT)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)


class DescentColumns(TypedColumns):
    """What was seen when a traced job looked back at its way."""

    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)


class ModelColumns(TypedColumns):
    """A trained network; it keeps its own reference to the bytes, so that jobs and checkpoints may go."""

    id: Named[str] = Column(ID, primary_key=True)
    tenant_id: Named[str] = Column(TENANT)
    name: Named[str] = Column(NAME)
    version: Named[int] = Column(Integer)
    job_id: Named[str] = Column(ID)
    checkpoint_id: Named[str] = Column(ID)
    dataset_id: Named[str] = Column(ID)
    dataset_digest: Named[str] = Column(DIGEST)
    digest: Named[str] = Column(DIGEST)
    spec: Named[Any] = Column(JSON, nullable=False)
    spec_version: Named[int] = Column(Integer)
    metrics: Named[Any] = Column(JSON, nullable=False)
    blob: Named[str] = Column(ForeignKey("blob.digest"), index=True)
    size: Named[int] = Column(BigInteger)
    notes: Named[str] = Column(Text, server_default="")
    created_at: Named[datetime] = Column(Instant)


class ModelNameColumns(TypedColumns):
    """A name of models: the last version that was given, and the lock of all that happens under the name."""

    tenant_id: Named[str] = Column(TENANT, primary_key=True)
    name: Named[str] = Column(NAME, primary_key=True)
    last_version: Named[int] = Column(Integer)


class AliasColumns(TypedColumns):
    """A word that points at one version of a model name."""

    tenant_id: Named[str] = Column(TENANT, primary_key=True)
    name: Named[str] = Column(NAME, primary_key=True)
    alias: Named[str] = Column(NAME, primary_key=True)
    version: Named[int] = Column(Integer)
    updated_at: Named[datetime] = Column(Instant)


class IdempotencyColumns(TypedColumns):
    """The request that came first with a key, and the job that it made."""

    tenant_id: Named[str] = Column(TENANT, primary_key=True)
    key: Named[str] = Column(String(255), primary_key=True)
    fingerprint: Named[str] = Column(DIGEST)
    job_id: Named[str] = Column(ForeignKey("job.id", ondelete="CASCADE"), index=True)
    created_at: Named[datetime] = Column(Instant)
