"""What happened to a job in plain words: one sentence for each event, from its type and data."""

from collections.abc import Callable, Mapping
from typing import Any

Data = Mapping[str, Any]  # events of older versions hold less, so nothing is taken for granted


def tell(kind: str, data: Data) -> str:
    """The sentence of an event, without capital and full stop; of one that only newer versions know, its name."""
    return SENTENCES[kind](data) if kind in SENTENCES else kind.replace("_", " ")


def _started(data: Data) -> str:
    after, place = data.get("after"), _origin(data)
    waited = f" after {_seconds(data['after_s'])}" if "after_s" in data else ""
    worker = f" by {data['worker']}" if "worker" in data else ""
    if after == "rescued":
        lost = data.get("lost", "worker")
        return f"{lost} lost at epoch {data.get('lost_at_epoch', '?')}; taken over{waited} from {place}{worker}"
    if after == "released":
        return f"taken over{waited} from {place}{worker}"
    if after in ("resumed", "retried"):
        return f"goes on{waited} from {place}; taken{worker}"
    return f"taken{worker}{waited}; starts from {place}" if after else f"taken{worker}"


def _rescued(data: Data) -> str:
    worker = f" {data['worker']}" if data.get("worker") else ""
    if data.get("silence_s") == 0.0:  # the worker itself told of it
        return f"training process of worker{worker} lost at {_epoch(data)}{_because(data)}; queued again"
    return f"worker{worker} lost at {_epoch(data)}{_because(data)}; queued again"


def _released(data: Data) -> str:
    why = f": {_bare(data['detail'])}" if data.get("detail") else ", which was told to stop"
    return f"released by its worker{why}; another goes on from {_newest(data)}"


def _paused(data: Data) -> str:
    if data.get("was") == "queued":
        return "paused while it waited"
    return f"paused at {_epoch(data)} {'with' if data.get('checkpoint') else 'without'} a checkpoint{_lost(data)}"


def _cancelled(data: Data) -> str:
    was = {"queued": "while it waited", "paused": "while it was paused"}.get(data.get("was", ""))
    return f"cancelled {was or f'at {_epoch(data)}{_lost(data)}'}"


def _failed(data: Data) -> str:
    if data.get("reason") == "worker_lost":
        return (
            f"failed: worker lost at {_epoch(data)}{_because(data)}; attempt {data.get('attempt', '?')} was the last "
            f"of {data.get('attempts', 'those allowed')} in a row without a new checkpoint"
        )
    return f"failed: {_bare(data['detail'])}" if data.get("detail") else "failed"


def _succeeded(data: Data) -> str:
    why = f" ({_bare(data['reason'])})" if data.get("reason") else ""
    return f"trained to its end{why}; made the model {data['model']}" if "model" in data else "trained to its end"


def _measured(data: Data) -> str:
    named = {
        "train_loss": "training loss",
        "train_accuracy": "training accuracy",
        "validation_loss": "validation loss",
        "validation_accuracy": "validation accuracy",
    }
    said = [f"{words} {data[name]:.4g}" for name, words in named.items() if isinstance(data.get(name), int | float)]
    total = f" of {data['epochs']}" if "epochs" in data else ""
    return f"epoch {data.get('epoch', '?')}{total}: {', '.join(said) or 'nothing measured'}"


def _stored(data: Data) -> str:
    return (
        f"stored {_place(data.get('epoch', 0), data.get('step', 0))}{', the best so far' if data.get('best') else ''}"
    )


SENTENCES: dict[str, Callable[[Data], str]] = {
    "queued": lambda data: "accepted; waits for a worker",
    "started": _started,
    "epoch": _measured,
    "checkpoint": _stored,
    "checkpoint_damaged": lambda data: (
        f"passed over {_place(data.get('epoch', 0), data.get('step', 0))}{_because(data)}"
        + (f"; goes on from {_origin(data)}" if "from_epoch" in data else "")
    ),
    "cancel_requested": lambda data: "asked to stop for good",
    "pause_requested": lambda data: "asked to pause",
    "fingerprint_changed": lambda data: _bare(data.get("detail", "computed by something else from here on")),
    "rescued": _rescued,
    "released": _released,
    "paused": _paused,
    "resumed": lambda data: "resumed on request; waits for a worker",
    "retried": lambda data: "tried again on request, with its attempts counted anew; waits for a worker",
    "succeeded": _succeeded,
    "failed": _failed,
    "cancelled": _cancelled,
}


def _epoch(data: Data) -> str:
    """The epoch that was under way: `epoch` counts those that were finished."""
    done = data.get("epoch", 0)
    return f"epoch {min(done + 1, data.get('epochs', done + 1))}"


def _origin(data: Data) -> str:
    if data.get("fork"):
        return "the checkpoint of another job"
    return _place(data.get("from_epoch", 0), data.get("from_step", 0))


def _place(epoch: int, step: int) -> str:
    """A checkpoint, named by its place: after whole epochs, and some batches of the next one."""
    if step:
        return f"the checkpoint at batch {step:,} of epoch {epoch + 1}"
    return f"the checkpoint of epoch {epoch}" if epoch else "the beginning"


def _newest(data: Data) -> str:
    return "its last checkpoint" if data.get("checkpoint") else "the beginning"


def _because(data: Data) -> str:
    return f" ({_bare(data['detail'])})" if data.get("detail") else ""


def _lost(data: Data) -> str:
    return f"; its worker was lost{_because(data)}" if "silence_s" in data else ""


def _bare(text: str) -> str:
    return text.strip().rstrip(".")


def _seconds(duration: float) -> str:
    """A duration as people say it."""
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 120:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.1f} h"
