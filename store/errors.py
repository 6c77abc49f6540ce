"""What the store can refuse, raised where the truth is known; HTTP status codes live in the service."""

from dataclasses import dataclass


class StoreError(Exception):
    """Anything the store refuses or cannot do."""


@dataclass
class NotFound(StoreError):
    """No such row for this tenant; a foreign row looks the same as a missing one."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"There {'are' if self.kind == 'weights' else 'is'} no {self.kind} {self.id!r}."


_ANEW = {
    "train": "begin a new job with its last checkpoint (from_checkpoint)",
    "predict": "ask for the predictions anew",
}
WAYS_OUT = {
    **{("be deleted", status): "cancel it first" for status in ("queued", "running", "paused")},
    ("retry", "paused"): "resume it instead",
    ("resume", "failed"): "retry it instead",
    ("resume", "running"): "it goes on already, and no pause of it is pending",
}


@dataclass
class IllegalMove(StoreError):
    """The job's status does not allow the move."""

    move: str
    status: str
    kind: str

    def __str__(self) -> str:
        way_out = WAYS_OUT.get((self.move, self.status))
        if self.move in ("resume", "retry") and self.status in ("cancelled", "succeeded"):
            way_out = _ANEW[self.kind]
        return f"A job that is {self.status} cannot {self.move}{f'; {way_out}' if way_out else ''}."


@dataclass
class NoPredictions(StoreError):
    """The job has no file of predictions: it is a training, or not at its end, or never came there."""

    job_id: str
    kind: str
    status: str
    reason: str | None = None  # that of a failure

    def __str__(self) -> str:
        if self.kind != "predict":
            return (
                f"Job {self.job_id} is a training and makes no file of predictions; ask its model for one with "
                "POST /v1/models/{model_id}/batch-predictions."
            )
        way_out = {"failed": "retry it", "cancelled": "ask for them anew", "paused": "resume it"}
        if (self.reason or "").startswith("bad_row"):
            way_out["failed"] = "a retry would meet the same row, so ask for others anew, as its status_reason says"
        return (
            f"Job {self.job_id} is {self.status}, so its predictions are not there; "
            f"{way_out.get(self.status, 'wait until it has succeeded')}."
        )


@dataclass
class NoReceipt(StoreError):
    """Only trainings have receipts."""

    job_id: str
    status: str

    def __str__(self) -> str:
        return (
            f"Job {self.job_id} makes predictions, and receipts are for trainings. The digest of its file is in the "
            "event `succeeded` and the ETag of GET /v1/jobs/{job_id}/predictions; its spec without `model` and "
            "`spec_version`, sent again to the same model, makes the same bytes, and the job that trained its "
            "model has a receipt."
        )


@dataclass
class InUse(StoreError):
    """The thing cannot be deleted while something else needs it."""

    what: str
    by: str
    way_out: str = "delete that first, or wait until it is over"

    def __str__(self) -> str:
        return f"{self.what} is in use by {self.by}; {self.way_out}."


class KeyReused(StoreError):
    """An idempotency key came back with another request."""

    def __str__(self) -> str:
        return "This Idempotency-Key was used before with another request; take a new key for a new request."


class KeyInProgress(StoreError):
    """The first request with this idempotency key is still under way."""

    def __str__(self) -> str:
        return "The first request with this Idempotency-Key is still under way; ask again in a moment."


class BadCursor(StoreError):
    """A cursor that this store never gave."""

    def __str__(self) -> str:
        return "This cursor was not given by this list; start without one."


@dataclass
class Unavailable(StoreError):
    """The database or the blob store cannot be reached now; the same call may succeed later."""

    reason: str

    def __str__(self) -> str:
        return f"The store cannot be reached now ({self.reason}); try again in a moment."


@dataclass
class StaleAttempt(StoreError):
    """A worker that no longer holds the job tried to write; nothing was written."""

    job_id: str
    attempt: int

    def __str__(self) -> str:
        return f"Attempt {self.attempt} no longer holds {self.job_id}: it was taken over, cancelled or finished."


@dataclass
class BlobDamaged(StoreError):
    """The bytes under a digest are missing or are not those of the digest."""

    digest: str
    reason: str

    def __str__(self) -> str:
        return f"The stored bytes {self.digest} are damaged: {self.reason}."
