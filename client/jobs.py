"""Jobs: submit, wait, follow, stop, and predict with what came out."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from client.descents import Gradients, Surface
from client.errors import InputError, JobError
from client.events import STORY, Event, follow, listed
from client.models import Model, Models
from client.schemas import BulkCancel, CheckpointRecord, Epoch, Estimate, JobRecord, Page, Predictions
from client.specs import Spec, complete
from client.trackers import to_mlflow, to_tensorboard
from client.transport import Transport, new_key

LONG_POLL_S = 20


class Job:
    """One job: a training, or predictions of a whole dataset. `record` is how it stood when last asked; iterate over it
    to follow its events live.

    for event in job: ...              # every event, from the first on, until the job is over
    for epoch in job.epochs(): ...     # only the metrics of each epoch
    job.wait().predict(inputs)
    """

    def __init__(self, transport: Transport, record: JobRecord, etag: str | None = None) -> None:
        self._transport = transport
        self._etag = etag
        self.record = record

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def status(self) -> str:
        return self.record.status

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.name!r}: {self.status}>"

    def refresh(self) -> "Job":
        """Ask how the job stands now."""
        return self._ask()

    def wait(self, timeout: float | None = None) -> "Job":
        """Return when the job is over, however it ended; raises JobError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self.record.over:
            left = LONG_POLL_S if end is None else min(LONG_POLL_S, end - time.monotonic())
            if left <= 0:
                raise JobError(f"{self.id} is still {self.status} after {timeout:g} s; it goes on.")
            self._ask(wait=left)
        return self

    def events(self, after: int = 0) -> Iterator[Event]:
        """Every event with a number above `after`, live, until the job is over, across broken connections."""
        yield from follow(self._transport, self.id, after)
        self._ask()

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def story(self) -> list[Event]:
        """What happened so far, without epochs and checkpoints; the `message` of each event says it in plain words."""
        return list(listed(self._transport, self.id, STORY))

    def epochs(self) -> Iterator[Epoch]:
        """The metrics of each epoch, from the first on, each as soon as it is known."""
        for event in self.events():
            if event.epoch is not None:
                yield event.epoch

    def metrics(self, max_points: int | None = None) -> list[Epoch]:
        """The metrics of the epochs so far; at most `max_points` of them, evenly thinned."""
        answer = self._transport.get(f"/v1/jobs/{self.id}/metrics", max_points=max_points)
        return [Epoch.model_validate(row) for row in answer.json()["data"]]

    def curve(self) -> list[tuple[datetime, Epoch]]:
        """When each epoch so far ended, and what was measured in it; raises InputError for a job of predictions."""
        if self.record.kind == "predict":
            raise InputError(f"{self.id} predicts a dataset, so it has no metrics; name a training.")
        events = listed(self._transport, self.id, ("epoch",))
        return [(event.created_at, event.epoch) for event in events if event.created_at and event.epoch]

    def to_tensorboard(self, folder: str | Path) -> Path:
        """Write the metrics so far as TensorBoard's event files; gives the job's folder inside `folder`. Needs
        `nudge-training[tensorboard]`, and raises NudgeError where that is missing."""
        return to_tensorboard(self.refresh().record, self.curve(), Path(folder))

    def to_mlflow(self, uri: str, experiment: str = "nudge") -> str:
        """Keep the spec and the metrics so far as a run of MLflow, in place of the one that was made of the job before;
        gives the run's id. Needs `nudge-training[mlflow]`, and raises NudgeError where that is missing."""
        return to_mlflow(self.refresh().record, self.curve(), uri, experiment)

    def checkpoints(self) -> list[CheckpointRecord]:
        """The checkpoints that are kept."""
        answer = self._transport.get(f"/v1/jobs/{self.id}/checkpoints")
        return [CheckpointRecord.model_validate(row) for row in answer.json()["data"]]

    def download(self, which: str = "newest") -> bytes:
        """A checkpoint as a safetensors file: the `newest`, the `best`, the `start` that the job was given, or the one
        of an id."""
        if which == "start":
            return self._transport.get(f"/v1/jobs/{self.id}/start").content
        self._ask()
        name = {"newest": self.record.checkpoint, "best": self.record.best_checkpoint}.get(which, which)
        if name is None:
            raise JobError(f"{self.id} is {self.status} and has no such checkpoint ({which}).")
        return self._transport.get(f"/v1/checkpoints/{name}/content").content

    def save_predictions(self, path: str | Path) -> Path:
        """Write the file of a job of predictions, waiting for it if need be; what is written is held against its
        digest. Raises NudgeError where the job has none."""
        self.wait()
        path = Path(path)
        self._transport.download(f"/v1/jobs/{self.id}/predictions", path)
        return path

    def receipt(self) -> dict[str, Any]:
        """What anyone needs to repeat the job, with the digests that the repetition must come to."""
        receipt: dict[str, Any] = self._transport.get(f"/v1/jobs/{self.id}/receipt").json()
        return receipt

    def surface(self) -> Surface:
        """The path of a traced job that succeeded and that of the full gradient, with the cost around them."""
        return Surface.model_validate_json(self._transport.get(f"/v1/jobs/{self.id}/surface").content)

    def gradients(self, step: int = 0) -> Gradients:
        """The gradient of the mini-batch of a traced job's update (from 0) beside that of all rows."""
        answer = self._transport.get(f"/v1/jobs/{self.id}/gradients", step=step)
        return Gradients.model_validate_json(answer.content)

    def cancel(self) -> "Job":
        """Ask the job to stop; what it learned so far stays in its checkpoints."""
        return self._move("cancel")

    def pause(self) -> "Job":
        """Ask the job to stop until it is resumed; a running one keeps a checkpoint first."""
        return self._move("pause")

    def resume(self) -> "Job":
        """Let a paused job go on from its last checkpoint, or take back a pause that is still pending."""
        return self._move("resume")

    def retry(self) -> "Job":
        """Let a failed job go on from its last checkpoint."""
        return self._move("retry")

    def _move(self, name: str) -> "Job":
        answer = self._transport.post(f"/v1/jobs/{self.id}/{name}", key=new_key())
        self.record, self._etag = JobRecord.model_validate_json(answer.content), None
        return self

    def delete(self) -> None:
        """Delete the job; refused (409) before it is over."""
        self._transport.delete(f"/v1/jobs/{self.id}")

    def model(self) -> Model:
        """The trained network, waiting for it if need be; raises JobError when there is none."""
        self.wait()
        if self.record.model is None:
            reason = f" ({self.record.status_reason.rstrip('.')})" if self.record.status_reason else ""
            raise JobError(f"{self.id} {self.status}{reason}, so it made no model.")
        return Models(self._transport).get(self.record.model)

    def predict(self, inputs: Any, top: int | None = None, *, mask: Any = None) -> Predictions:
        """Predict with the trained network, waiting for it if need be; see `Model.predict`."""
        return self.model().predict(inputs, top, mask=mask)

    def _ask(self, wait: float | None = None) -> "Job":
        headers = {"If-None-Match": self._etag} if self._etag and wait else {}
        # Without an ETag the first answer comes at once: it is how the job stands, not a change.
        timeout = (wait or 0) + 30.0
        whole = None if wait is None else max(1, round(wait))
        answer = self._transport.get(f"/v1/jobs/{self.id}", headers=headers, timeout=timeout, wait=whole)
        if answer.status_code != 304:
            self.record = JobRecord.model_validate_json(answer.content)
            self._etag = answer.headers.get("etag")
        return self


class Jobs:
    """`client.jobs`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: Any) -> Job:
        """Submit a training job. It carries an Idempotency-Key, so that one job starts, however often it must
        be sent. Raises NudgeError with the place and reason of everything that does not fit."""
        body = complete(spec, fields)
        answer = self._transport.post("/v1/jobs", body, key=idempotency_key or new_key())
        return Job(self._transport, JobRecord.model_validate_json(answer.content))

    def predict(
        self,
        model: str,
        dataset: str,
        *,
        idempotency_key: str | None = None,
        **fields: Any,
    ) -> Job:
        """Predict a whole dataset with the model of this id; see `Client.batch_predict`."""
        body = {"dataset": dataset} | {name: value for name, value in fields.items() if value is not None}
        path = f"/v1/models/{model}/batch-predictions"
        answer = self._transport.post(path, body, key=idempotency_key or new_key())
        return Job(self._transport, JobRecord.model_validate_json(answer.content))

    def estimate(self, spec: Spec | None = None, **fields: Any) -> Estimate:
        """What a job would cost, without starting it; raises what `submit` would."""
        body = complete(spec, fields)
        answer = self._transport.post("/v1/jobs", body, params={"validate_only": "true"}, again=True).json()
        return Estimate.model_validate(answer.get("estimate", answer))

    def get(self, job: str) -> Job:
        """The job with this id."""
        answer = self._transport.get(f"/v1/jobs/{job}")
        return Job(self._transport, JobRecord.model_validate_json(answer.content), answer.headers.get("etag"))

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[JobRecord]:
        """Some of the jobs, newest first; `kind` is "train" or "predict"."""
        answer = self._transport.get("/v1/jobs", status=status, name=name, kind=kind, limit=limit, cursor=cursor)
        return Page[JobRecord].model_validate_json(answer.content)

    def cancel_all(self, *, status: str | None = None, name: str | None = None) -> BulkCancel:
        """Stop all jobs of a status, a name, or both, that are not over; says how many those are."""
        answer = self._transport.post("/v1/jobs/cancel", params={"status": status, "name": name}, again=True)
        return BulkCancel.model_validate_json(answer.content)
