"""New jobs, written in groups: one transaction for many, and an outcome for each.

What can speak against a job is looked up for the whole group first; then the rows of all that stand are written, with
one statement for each table. So a refused job does not touch the others, and a group costs hardly more than one job.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Column, Connection, Select, bindparam, insert, select

from core.checkpoint import FORMAT
from core.estimate import Estimate
from core.prediction_spec import PredictionSpec
from core.training_spec import TrainingSpec, ValidationDataset
from store import clock, tables
from store.errors import KeyReused, NotFound, StoreError
from store.ids import PREFIXES, new_id
from store.lifecycle import Kind, Status
from store.line import placed
from store.records import JobRecord, job_record

job, keys, dataset, checkpoint, model = (
    tables.job,
    tables.idempotency,
    tables.dataset,
    tables.checkpoint,
    tables.model,
)
JobSpec = TrainingSpec | PredictionSpec


@dataclass(frozen=True)
class Idempotency:
    """A client's key for one request, and the digest of what it asked."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class NewJob:
    """A job that is asked for; `rows` counts those that are to be predicted."""

    tenant: str
    spec: JobSpec
    estimate: Estimate
    idempotency: Idempotency | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Submission:
    """A job that was accepted; `replayed` says that an earlier request with the same key made it."""

    job: JobRecord
    replayed: bool


def _among(query: Select[Any], tenant: Column[str], name: Column[str]) -> Select[Any]:
    """The query for what has one of the names, in one of the tenants; each row says which."""
    asked = tenant.in_(bindparam("tenants", expanding=True)), name.in_(bindparam("names", expanding=True))
    return query.add_columns(tenant.label("of_tenant"), name.label("of_name")).where(*asked)


# Constant statements, with every column given, are compiled once.
KEYS = _among(
    select(job, keys.c.fingerprint.label("first_fingerprint")).join_from(job, keys), keys.c.tenant_id, keys.c.key
)
DATASETS = _among(select(), dataset.c.tenant_id, dataset.c.id)
WEIGHTS = _among(select(tables.weights.c.blob), tables.weights.c.tenant_id, tables.weights.c.id)
CHECKPOINTS = _among(select(checkpoint.c.blob), checkpoint.c.tenant_id, checkpoint.c.id)
MODELS = _among(select(model.c.blob), model.c.tenant_id, model.c.id)
INSERT_JOBS, INSERT_EVENTS, INSERT_KEYS = insert(job), insert(tables.event), insert(keys)
NOTHING_YET = {column.name: None for column in job.columns if column.nullable}
RECORDED = [field.name for field in fields(JobRecord) if field.name in job.columns]


def submit_group(connection: Connection, group: Sequence[NewJob]) -> list[Submission | StoreError]:
    """Write the jobs of a group with their first events and keys; KeyReused and NotFound are outcomes of single jobs.

    Raises:
        IntegrityError: another transaction has meanwhile taken a key, or taken away a dataset. Look again.
    """
    draft = _Draft(connection, group)
    outcomes: list[Submission | StoreError] = []
    for new in group:
        try:
            outcomes.append(draft.add(new))
        except (KeyReused, NotFound) as error:
            outcomes.append(error)
    draft.write(connection)
    told = iter(placed(connection, [outcome.job for outcome in outcomes if isinstance(outcome, Submission)]))
    return [replace(outcome, job=next(told)) if isinstance(outcome, Submission) else outcome for outcome in outcomes]


class _Draft:
    """What the database knows of a group's keys, datasets and checkpoints, and the rows that will be written."""

    def __init__(self, connection: Connection, group: Sequence[NewJob]) -> None:
        def look(query: Select[Any], names: Callable[[NewJob], Sequence[str | None]]) -> dict[tuple[str, str], Any]:
            wanted = {name for new in group for name in names(new) if name is not None}
            values = {"tenants": list({new.tenant for new in group}), "names": list(wanted)}
            rows = connection.execute(query, values).all() if wanted else ()
            return {(row.of_tenant, row.of_name): row for row in rows}

        found = look(KEYS, lambda new: [new.idempotency.key] if new.idempotency else [])
        self.first = {place: (job_record(row), row.first_fingerprint) for place, row in found.items()}
        self.datasets = look(DATASETS, lambda new: _datasets(new.spec))
        self.origins = {
            "checkpoint": look(CHECKPOINTS, lambda new: [_origin(new.spec).get("checkpoint")]),
            "weights": look(WEIGHTS, lambda new: [_origin(new.spec).get("weights")]),
            "model": look(MODELS, lambda new: [_origin(new.spec).get("model")]),
        }
        self.jobs: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.keys: list[dict[str, Any]] = []

    def add(self, new: NewJob) -> Submission:
        """Draft a job, or find the first one of its key; raises KeyReused or NotFound."""
        key = new.idempotency
        if key is not None and (new.tenant, key.key) in self.first:
            record, fingerprint = self.first[new.tenant, key.key]
            if fingerprint != key.fingerprint:
                raise KeyReused
            return Submission(record, replayed=True)
        row = _row(new) | {"start_blob": self._start(new)}
        record = JobRecord(**{name: row[name] for name in RECORDED})
        about = {"job_id": record.id, "tenant_id": new.tenant, "created_at": record.created_at}
        self.jobs.append(row)
        self.events.append(about | {"number": 1, "type": "queued", "data": {"name": record.name}})
        if key is not None:
            self.keys.append(about | {"key": key.key, "fingerprint": key.fingerprint})
            self.first[new.tenant, key.key] = record, key.fingerprint
        return Submission(record, replayed=False)

    def write(self, connection: Connection) -> None:
        """Write every row of the draft."""
        # In one order everywhere: of two groups with the same keys one waits, and neither for the other.
        self.keys.sort(key=lambda row: (row["tenant_id"], row["key"]))
        for statement, rows in ((INSERT_JOBS, self.jobs), (INSERT_EVENTS, self.events), (INSERT_KEYS, self.keys)):
            if rows:
                connection.execute(statement, rows)

    def _start(self, new: NewJob) -> str | None:
        """The blob to begin from, if any; raises NotFound for what that is of, or for a dataset."""
        for name in _datasets(new.spec):
            if (new.tenant, name) not in self.datasets:
                raise NotFound("dataset", name)
        for kind, origin in _origin(new.spec).items():
            if (new.tenant, origin) not in self.origins[kind]:
                raise NotFound(kind, origin)
            blob: str = self.origins[kind][new.tenant, origin].blob
            return blob
        return None


def _datasets(spec: JobSpec) -> list[str]:
    validation = spec.validation if isinstance(spec, TrainingSpec) else None
    return [spec.dataset, *([validation.dataset] if isinstance(validation, ValidationDataset) else [])]


def _origin(spec: JobSpec) -> dict[str, str]:
    """What the weights come from: its kind and its id."""
    if isinstance(spec, PredictionSpec):
        return {"model": spec.model}
    named = {"checkpoint": spec.from_checkpoint, "weights": spec.from_weights}
    return {kind: name for kind, name in named.items() if name is not None}


def _row(new: NewJob) -> dict[str, Any]:
    """The row of a job that has just been queued."""
    spec, job_id, now = new.spec, new_id("job"), clock.now()
    kind = Kind.TRAIN if isinstance(spec, TrainingSpec) else Kind.PREDICT
    name = spec.name or "job-" + job_id.removeprefix(PREFIXES["job"])[-8:]
    return NOTHING_YET | {
        "id": job_id,
        "tenant_id": new.tenant,
        "kind": str(kind),
        "name": name,
        "status": str(Status.QUEUED),
        "spec": spec.model_dump(mode="json") | {"name": name},
        "spec_version": spec.spec_version,
        "estimate": new.estimate.model_dump(mode="json"),
        "priority": spec.priority,
        "dataset_id": spec.dataset,
        "validation_dataset_id": next(iter(_datasets(spec)[1:]), None),
        "attempt": 0,
        "fruitless_attempts": 0,
        "heartbeat": 0,
        "cancel_requested": False,
        "pause_requested": False,
        "runtime_s": 0.0,
        "checkpoint_format": FORMAT if _origin(spec) else 1,  # who claims it must read the one to begin from
        "bit_exact": True,
        "epoch": 0,
        "epochs": spec.epochs if isinstance(spec, TrainingSpec) else 0,
        "rows_done": None if kind is Kind.TRAIN else 0,
        "rows": new.rows,
        "fraction": 0.0,
        "last_event": 1,
        "created_at": now,
        "queued_at": now,
    }
