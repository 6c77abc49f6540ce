"""A job's metrics for the programs that compare trainings: TensorBoard and MLflow, written by their own libraries."""

import re
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from client.errors import InputError, NudgeError
from client.schemas import Epoch, JobRecord
from client.tracking_server import bounded, check_address, check_reachable, shown

Curve = list[tuple[datetime, Epoch]]
COUNTERS = frozenset({"epoch", "epochs"})
BATCH, POINTS = 100, 1000  # parameters and values of metrics that MLflow takes at once
LONGEST = 500  # letters of a parameter
STATUS = {"succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
JOB = "nudge.job"


class MissingExtra(InputError):
    """The library that writes this is not installed here."""


def to_tensorboard(record: JobRecord, curve: Curve, folder: Path) -> Path:
    """Write the metrics as TensorBoard's event files into a folder of the job's own in `folder`, and give that.

    What was written there before is replaced. Raises MissingExtra.
    """
    writer = _library("tensorboard.summary.writer.event_file_writer", "tensorboard")
    event = _library("tensorboard.compat.proto.event_pb2", "tensorboard").Event
    summary = _library("tensorboard.compat.proto.summary_pb2", "tensorboard").Summary
    into = folder / f"{record.name}-{record.id}"
    for old in into.glob("events.out.tfevents.*"):
        old.unlink()
    file = writer.EventFileWriter(str(into))
    for moment, epoch in curve:
        values = [summary.Value(tag=_tag(name), simple_value=value) for name, value in _numbers(epoch)]
        file.add_event(event(wall_time=moment.timestamp(), step=epoch.epoch, summary=summary(value=values)))
    file.close()
    return into


def to_mlflow(record: JobRecord, curve: Curve, uri: str, experiment: str) -> str:
    """Keep spec and metrics as a run at MLflow's tracking `uri`, and give the run's id.

    The run that an earlier export of the job made is deleted. Raises MissingExtra, InputError for a `uri` that names no
    tracking server, UnreachableError where none answers, and NudgeError for whatever goes wrong there.
    """
    check_address(uri)
    check_reachable(uri)
    tracking, entities = _library("mlflow.tracking", "mlflow"), _library("mlflow.entities", "mlflow")
    with bounded():
        try:
            return _run(tracking.MlflowClient(tracking_uri=uri), entities, record, curve, experiment)
        except Exception as error:  # the library's own, its databases', its HTTP's: they have no other ancestor
            raise NudgeError(f"MLflow at {shown(uri)} failed: {_sentence(error)}") from error


def _run(mlflow: Any, entities: Any, record: JobRecord, curve: Curve, experiment: str) -> str:
    found = mlflow.get_experiment_by_name(experiment)
    place = found.experiment_id if found else mlflow.create_experiment(experiment)
    for old in mlflow.search_runs([place], filter_string=f"tags.`{JOB}` = '{record.id}'"):
        mlflow.delete_run(old.info.run_id)
    tags = {JOB: record.id, "nudge.model": record.model, "nudge.dataset": record.spec.get("dataset")}
    run = mlflow.create_run(
        place,
        start_time=_milliseconds(record.started_at or record.created_at),
        run_name=record.name,
        tags={name: value for name, value in tags.items() if value},
    )
    name: str = run.info.run_id
    params = [entities.Param(key, value[:LONGEST]) for key, value in _flat(record.spec)]
    for start in range(0, len(params), BATCH):
        mlflow.log_batch(name, params=params[start : start + BATCH])
    points = [
        entities.Metric(key, value, _milliseconds(moment), epoch.epoch)
        for moment, epoch in curve
        for key, value in _numbers(epoch)
    ]
    for start in range(0, len(points), POINTS):
        mlflow.log_batch(name, metrics=points[start : start + POINTS])
    if record.finished_at is not None:
        mlflow.set_terminated(name, STATUS[record.status], _milliseconds(record.finished_at))
    return name


def _library(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        needed = f"This needs an extra: pip install 'nudge-training[{extra}]' where this command runs."
        raise MissingExtra(needed) from error


def _numbers(epoch: Epoch) -> Iterator[tuple[str, float]]:
    """The metrics that are single numbers; a confusion matrix is none."""
    for name, value in epoch.to_json().items():
        if isinstance(value, int | float) and name not in COUNTERS:
            yield name, float(value)


def _tag(name: str) -> str:
    """`loss/train` for `train_loss`: TensorBoard shows together what has the same beginning."""
    return re.sub(r"^(train|validation)_(.+)$", r"\2/\1", name)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a spec by their paths, such as `network.layers.0.units`."""
    if isinstance(value, dict | list) and value:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif path.partition(".")[0] != "metadata":  # whose keys may be anything
        yield path, str(value)


def _sentence(error: Exception) -> str:
    """The first line of what a library says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:LONGEST]}" if lines else f"{type(error).__name__}."


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
