"""How a job stands, in words."""

from datetime import datetime
from typing import Any

from client.display import said as measured
from client.schemas import CheckpointRecord, JobRecord


def facts(record: JobRecord, newest: CheckpointRecord | None, now: datetime) -> dict[str, Any]:
    """What is told of a job at the moment `now`, with its `newest` checkpoint where it has one; None is left out."""
    progress = record.progress
    done = f"{progress.epoch} of {progress.epochs} {'epoch' if progress.epochs == 1 else 'epochs'} finished"
    if progress.rows is not None:
        done = f"{progress.rows_done:,} of {progress.rows:,} rows predicted"
    return {
        "id": record.id,
        "name": record.name,
        "status": _status(record),
        "reason": record.status_reason,
        "worker": silence(record, now),
        "place": record.queue_position and f"{record.queue_position} in the line",
        "attempt": record.attempt,
        "priority": record.priority,
        "metrics": measured(record.metrics) if record.metrics else None,
        "progress": f"{progress.fraction * 100:.0f} %, {done}",
        "parameters": f"{record.estimate.parameters:,}",
        "dataset": record.spec.get("dataset"),
        "checkpoint": f"{newest.id}, {place(newest)}" if newest else record.checkpoint,
        "model": record.model or record.spec.get("model"),
        "created": f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC",
    }


def silence(record: JobRecord, now: datetime) -> str | None:
    """That the worker of a running job was not heard for more than half of its lease; None while it was."""
    if record.last_sign_of_life_at is None or record.lease_s is None:
        return None
    silent_s = (now - record.last_sign_of_life_at).total_seconds()
    if silent_s <= record.lease_s / 2:
        return None
    said = f"no sign of life for {silent_s:.0f} s"
    if silent_s < record.lease_s:
        return f"{said}; after {record.lease_s:g} s the job goes to another"
    return f"{said}, and {record.lease_s:g} s are allowed: the job goes to another, as soon as there is one"


def place(checkpoint: CheckpointRecord) -> str:
    """Where in the training a checkpoint stands."""
    if not checkpoint.step:
        return f"after epoch {checkpoint.epoch}"
    done, total = f"{checkpoint.step:,}", f" of {checkpoint.steps:,}" if checkpoint.steps else ""
    batches = "mini-batch" if (checkpoint.steps or checkpoint.step) == 1 else "mini-batches"
    return f"in epoch {checkpoint.epoch + 1}, after {done}{total} {batches}"


def _status(record: JobRecord) -> str:
    asked = "cancel" if record.cancel_requested else "pause" if record.pause_requested else None
    return f"{record.status}, asked to {asked}" if asked else record.status
