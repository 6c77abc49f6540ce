"""Status and TRANSITIONS: every legal move of a job, and nothing else."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a job does."""

    TRAIN = "train"  # makes a model of a dataset
    PREDICT = "predict"  # makes a file of a model's predictions for a dataset


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # one worker holds it, and trains or predicts
    PAUSED = "paused"  # stopped on request with a checkpoint; goes on only when asked
    SUCCEEDED = "succeeded"  # came to its end; there is a model, or a file of predictions
    FAILED = "failed"  # stopped by an error that status_reason names
    CANCELLED = "cancelled"  # stopped on request for good


OVER = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
# The event stream of a job ends after one of these.
FINAL_EVENTS = frozenset(str(status) for status in OVER)


@dataclass(frozen=True)
class Transition:
    """A legal move: from one of `sources` to `target`, told by an event of type `event`."""

    sources: frozenset[Status]
    target: Status
    event: str
    meaning: str


def _from(*sources: Status) -> frozenset[Status]:
    return frozenset(sources)


TRANSITIONS: dict[str, Transition] = {
    "start": Transition(_from(Status.QUEUED), Status.RUNNING, "started", "A worker claimed the job."),
    "succeed": Transition(
        _from(Status.RUNNING),
        Status.SUCCEEDED,
        "succeeded",
        "The job came to its end; its model, or its predictions, are stored.",
    ),
    "fail": Transition(_from(Status.RUNNING), Status.FAILED, "failed", "The job cannot go on; status_reason says why."),
    "cancel": Transition(
        _from(Status.QUEUED, Status.RUNNING, Status.PAUSED),
        Status.CANCELLED,
        "cancelled",
        "Stopped on request, for good.",
    ),
    "pause": Transition(
        _from(Status.QUEUED, Status.RUNNING),
        Status.PAUSED,
        "paused",
        "Stopped on request; a running job keeps a checkpoint, or a part, first.",
    ),
    "resume": Transition(
        _from(Status.PAUSED), Status.QUEUED, "resumed", "Queued again; goes on from where it was stored last."
    ),
    "rescue": Transition(
        _from(Status.RUNNING),
        Status.QUEUED,
        "rescued",
        "The worker was lost; queued again from where it was stored last.",
    ),
    "release": Transition(
        _from(Status.RUNNING), Status.QUEUED, "released", "The worker handed the job back; it waits for a worker again."
    ),
    "retry": Transition(
        _from(Status.FAILED), Status.QUEUED, "retried", "Queued again on request, from where it was stored last."
    ),
}

# Events that are no moves.
NOTICES: dict[str, str] = {
    "queued": "The job was accepted.",
    "epoch": "An epoch came to its end; data holds its metrics.",
    "checkpoint": "A checkpoint was stored; data holds its id, epoch and digest.",
    "part": "A part of the predictions was stored; data holds how many rows are done.",
    "part_damaged": "The bytes of a part are not what was stored; the predictions go on from there.",
    "checkpoint_damaged": "A checkpoint's bytes are not what was stored; the one before it is taken.",
    "cancel_requested": "The running job was asked to stop for good.",
    "pause_requested": "The running job was asked to pause.",
    "pause_withdrawn": "The pause was taken back before the job was paused; it goes on.",
    "finding": "The doctor found something that hampers the network; data holds advice and evidence.",
    "fingerprint_changed": "Something else computes it from here on, so that its bits are no longer promised.",
}

# Every type of event, with what it says.
EVENTS: dict[str, str] = {
    **NOTICES,
    **{transition.event: transition.meaning for transition in TRANSITIONS.values()},
}
