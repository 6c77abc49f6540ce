"""The tables, typed. Every row carries its tenant and every unique key begins with it; blobs alone are pure content."""

from sqlalchemy import Index, MetaData, Table, UniqueConstraint

from store.columns import (
    AliasColumns,
    BlobColumns,
    CheckpointColumns,
    DatasetArrayColumns,
    DatasetColumns,
    DescentColumns,
    EventColumns,
    IdempotencyColumns,
    JobColumns,
    MarkColumns,
    MetricColumns,
    ModelColumns,
    ModelNameColumns,
    PartColumns,
    PredictionsColumns,
    WeightsColumns,
)

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
metadata = MetaData(naming_convention=NAMING)

blob = Table("blob", metadata, BlobColumns)
dataset = Table(
    "dataset",
    metadata,
    DatasetColumns,
    UniqueConstraint("tenant_id", "name", "version"),
    Index(None, "tenant_id", "created_at", "id"),
)
dataset_array = Table("dataset_array", metadata, DatasetArrayColumns)
job = Table(
    "job",
    metadata,
    JobColumns,
    Index(None, "tenant_id", "created_at", "id"),
    Index(None, "tenant_id", "name", "created_at", "id"),
)
Index("ix_job_line", job.c.status, job.c.priority.desc(), job.c.queued_at, job.c.id)
event = Table("event", metadata, EventColumns)
metric = Table("metric", metadata, MetricColumns)
checkpoint = Table("checkpoint", metadata, CheckpointColumns)
part = Table("part", metadata, PartColumns)
predictions = Table("predictions", metadata, PredictionsColumns)
weights = Table("weights", metadata, WeightsColumns, Index(None, "tenant_id", "created_at", "id"))
mark = Table("mark", metadata, MarkColumns)
descent = Table("descent", metadata, DescentColumns)
model = Table(
    "model",
    metadata,
    ModelColumns,
    UniqueConstraint("tenant_id", "name", "version"),
    Index(None, "tenant_id", "created_at", "id"),
)
model_name = Table("model_name", metadata, ModelNameColumns)
model_alias = Table("model_alias", metadata, AliasColumns)
idempotency = Table("idempotency", metadata, IdempotencyColumns)
